//! Servers whose address follows a name.

use std::time::Instant;

use super::{Backend, Cause, StateChange};
use crate::{
    id::ServerIndex,
    server::{AdminState, Operation, Server, ServiceRecord},
};

/// Why a server has no address any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unresolved {
    /// There are fewer addresses than servers of this name.
    NoAddress,
    /// There is no such name.
    NoSuchName,
    /// The name server refused to answer.
    Refused,
    /// No name server answered.
    Timeout,
    /// The service is not there any more.
    NoRecord,
    /// Anything else.
    Other,
}

impl Unresolved {
    /// As HAProxy's log says it.
    pub(super) fn words(self) -> &'static str {
        match self {
            // The blank is HAProxy's.
            Self::NoAddress => "No IP for server ",
            Self::NoSuchName => "DNS NX status",
            Self::Refused => "DNS refused status",
            Self::Timeout => "DNS timeout status",
            Self::NoRecord => "entry removed from SRV record",
            Self::Other => "unspecified DNS error",
        }
    }
}

impl Backend {
    /// A server's name has no address any more: it is out of service until it has.
    pub fn lose_address(
        &self,
        now: Instant,
        server: ServerIndex,
        reason: Unresolved,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        let before = server.admin();
        if before.contains(AdminState::RESOLUTION_MAINT) {
            return None;
        }
        let mut admin = before;
        admin.set(AdminState::RESOLUTION_MAINT, true);
        let change = self.change(now, server, Cause::Unresolved(reason), || {
            server.set_admin(admin);
            self.kin.note_move();
            server.set_operation(Operation::Stopped, now);
        });
        (!before.is_maintenance()).then_some(change)
    }

    /// The record of a service that leads to a server from now on, if one does. Its weight counts where it is another one
    /// than before: what an operator has said since stays until then.
    pub fn set_record(
        &self,
        now: Instant,
        server: ServerIndex,
        record: Option<ServiceRecord>,
    ) -> Option<StateChange> {
        let it = self.server(server)?;
        let before = self.weight_of_record(it);
        it.set_record(record);
        let weight = self.weight_of_record(it).filter(|w| Some(*w) != before)?;
        let differs = it.weight() != u32::from(weight);
        differs.then(|| self.set_weight(now, server, weight))?
    }

    /// The weight that a server's record says, if that counts.
    fn weight_of_record(&self, server: &Server) -> Option<u16> {
        let record = server.record().filter(|_| server.heeds_weights())?;
        let weight = record.weight_of_server();
        self.allows_weight(server.index(), weight).then_some(weight)
    }

    /// A server goes over to another line: where the two say different things of its weight, it is what the new one says,
    /// or the record where that counts; else it stays what an operator or the record has made of it.
    pub(super) fn weigh_anew(&self, server: &Server, before: &Server) {
        let said = |server: &Server| (server.config().weight, server.heeds_weights());
        if said(server) != said(before) {
            let weight = self.weight_of_record(server);
            server.set_weight(u32::from(weight.unwrap_or(server.config().weight)));
        }
    }
}
