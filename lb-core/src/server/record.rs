//! Where a service is (RFC 2782), and which of its servers is there.

use std::{net::IpAddr, sync::Arc};

use super::{Server, shared};

/// One record of a service. Its priority is not looked at, as by HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The name of a host, in lower case.
    pub host: Arc<str>,
    /// Where it listens there.
    pub port: u16,
    /// 0 to 65535.
    pub weight: u16,
    /// The host's address, if that was told along with the record: it is not asked for then.
    pub address: Option<IpAddr>,
}

impl ServiceRecord {
    /// What tells it from others of its service.
    pub fn place(&self) -> (Arc<str>, u16) {
        (Arc::clone(&self.host), self.port)
    }

    /// The weight of the server, 0-256: no less than 1 but for 0, as HAProxy counts.
    pub fn weight_of_server(&self) -> u16 {
        self.weight.div_ceil(256)
    }
}

impl Server {
    /// The record that leads to it, if its name is that of a service and one does.
    pub fn record(&self) -> Option<ServiceRecord> {
        self.history().record.clone()
    }

    /// The host whose addresses it has: that of its line, or that of its record.
    pub fn host(&self) -> Option<Arc<str>> {
        match self.service() {
            Some(_) => self.record().map(|record| record.host),
            None => self.config.fqdn.as_deref().map(Arc::from),
        }
    }

    /// The name of its service (`srvrecord`).
    pub fn service(&self) -> Option<&str> {
        shared::service(&self.config)
    }

    /// Whether the weights of records count.
    pub(crate) fn heeds_weights(&self) -> bool {
        let resolution = self.config.resolution.as_ref();
        resolution.is_some_and(|resolution| !resolution.ignores_weights)
    }

    /// The port that its line or its record says.
    pub fn port(&self) -> u16 {
        self.record().map_or(self.config.port, |record| record.port)
    }

    /// Whether a record has given it a host while it had no address: 0x40 in `show servers state`.
    pub fn was_named(&self) -> bool {
        self.history().named
    }

    /// This record leads to it from now on, or none does.
    pub(crate) fn set_record(&self, record: Option<ServiceRecord>) {
        let named = record.is_some() && !self.is_resolved();
        let mut history = self.history();
        history.named |= named;
        history.record = record;
    }
}
