//! Stick tables, and the `peers` sections that share them.

use std::{sync::Arc, time::Instant};

use super::Balancer;
use crate::{
    config::{PeersConfig, StickTableConfig},
    dataplane::{StartError, tls::Connector},
    peers::{Group, Shared},
    stick_table::StickTable,
};

impl Balancer {
    /// Makes the tables and the groups; what was counted and learned goes on where the declaration is the same as in
    /// `old`.
    pub(super) fn share_tables(&mut self, old: &Self, now: Instant) -> Result<(), StartError> {
        let config = Arc::clone(&self.config);
        for proxy in &config.proxies {
            if let Some(table) = &proxy.stick_table {
                self.keep_table(&proxy.name, table, old, now);
            }
            for (name, table) in proxy.peers.iter().flat_map(|section| &section.tables) {
                if let Some(section) = &proxy.peers {
                    self.keep_table(&section.table_name(name), table, old, now);
                }
            }
        }
        for section in config
            .proxies
            .iter()
            .filter_map(|proxy| proxy.peers.as_ref())
        {
            self.group(section, old, now);
            // Behind the last is another process of this host.
            let peers = section.peers.iter().map(|peer| &peer.tls);
            for (index, tls) in peers.chain([&section.local_tls]).enumerate() {
                if let Some(tls) = tls {
                    let place = (Arc::clone(&section.name), index);
                    let known = old.peer_connectors.get(&place);
                    let connector = match known.filter(|known| known.tls() == *tls) {
                        Some(known) => known.clone(),
                        None => Connector::new(&section.name, tls)?,
                    };
                    self.peer_connectors.insert(place, connector);
                }
            }
        }
        Ok(())
    }

    fn keep_table(&mut self, name: &Arc<str>, config: &StickTableConfig, old: &Self, now: Instant) {
        let kept = old.tables.get(name);
        let kept = kept.filter(|kept| kept.config() == config).cloned();
        let table = kept.unwrap_or_else(|| Arc::new(StickTable::new(config, now)));
        self.tables.entry(Arc::clone(name)).or_insert(table);
    }

    /// The tables that a section shares, by their names among its hosts.
    fn shared_by(&self, section: &PeersConfig) -> Vec<Shared> {
        let proxies = self.config.proxies.iter().filter(|proxy| {
            let table = proxy.stick_table.as_ref();
            table.is_some_and(|table| table.peers.as_ref() == Some(&section.name))
        });
        let of_proxies = proxies.filter_map(|proxy| {
            Some(Shared {
                name: Arc::clone(&proxy.name),
                table: Arc::clone(self.tables.get(&proxy.name)?),
            })
        });
        let own = section.tables.iter().filter_map(|(name, _)| {
            Some(Shared {
                name: format!("/{name}").into(),
                table: Arc::clone(self.tables.get(&section.table_name(name))?),
            })
        });
        of_proxies.chain(own).collect()
    }

    fn group(&mut self, section: &PeersConfig, old: &Self, now: Instant) {
        let Some(local) = &section.local else {
            return;
        };
        let shared = self.shared_by(section);
        let peers: Vec<Arc<str>> = section.peers.iter().map(|p| Arc::clone(&p.name)).collect();
        let same = |group: &&Arc<Group>| {
            let mut tables = group.tables().iter().zip(&shared);
            group.local() == local
                && group.peers() == peers
                && group.tables().len() == shared.len()
                && tables.all(|(a, b)| a.name == b.name && Arc::ptr_eq(&a.table, &b.table))
        };
        let kept = old.groups.get(&section.name).filter(same).cloned();
        let group = kept.unwrap_or_else(|| {
            let (name, local) = (Arc::clone(&section.name), Arc::clone(local));
            let process = std::process::id();
            Arc::new(Group::new(name, local, process, peers, shared.clone(), now))
        });
        self.groups.insert(Arc::clone(&section.name), group);
    }

    /// Speaks TLS to a peer, if it is spoken to so.
    pub(in crate::dataplane) fn peer_connector(
        &self,
        section: &Arc<str>,
        index: usize,
    ) -> Option<&Connector> {
        self.peer_connectors.get(&(Arc::clone(section), index))
    }
}
