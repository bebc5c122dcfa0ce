//! Servers whose address follows a name.

use std::time::Instant;

use super::{Backend, Cause, StateChange};
use crate::{
    id::ServerIndex,
    server::{AdminState, Operation, ServiceRecord},
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
        let heeded = (it.config().resolution.as_ref()).is_some_and(|it| !it.ignores_weights);
        let weight = |record: &ServiceRecord| record.weight_of_server();
        let before = it.record().as_ref().map(weight);
        let after = record.as_ref().map(weight);
        it.set_record(record);
        let weight = after.filter(|after| heeded && Some(*after) != before)?;
        let allowed = self.allows_weight(server, weight) && it.weight() != u32::from(weight);
        allowed.then(|| self.set_weight(now, server, weight))?
    }
}
