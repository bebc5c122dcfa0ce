//! `stick` lines: which server a table remembers, and what of a stream it is to remember its server by.

use std::{sync::Arc, time::Instant};

use super::ProxyRules;
use crate::{
    acl::Condition,
    config::ServerIdentity,
    expr::Expr,
    request::RequestView,
    server::Server,
    stick_table::{Key, Remembered, StickTable},
};

/// Most entries that one request, or one response, makes.
const MOST: usize = 8;

/// `stick on`, `stick match`, `stick store-request`, `stick store-response`.
#[derive(Debug, Clone)]
pub(super) struct Stick {
    pub(super) matches: bool,
    pub(super) stores: bool,
    pub(super) key: Expr,
    /// The proxy whose table it is.
    pub(super) table: Option<Arc<str>>,
    pub(super) condition: Condition,
}

impl Stick {
    fn table<'v>(&self, view: &RequestView<'v>) -> Option<&'v Arc<StickTable>> {
        let name = self.table.as_deref().or(view.backend)?;
        view.state.world.as_deref()?.table(name)
    }

    /// The key, where the condition holds.
    fn key(&self, table: &StickTable, view: &RequestView<'_>) -> Option<Key> {
        let holds = self.condition.holds(view);
        holds.then(|| table.key_of(self.key.value(view)?)).flatten()
    }
}

/// Entries that are to remember the server of a stream.
#[derive(Debug, Default)]
pub struct Stores {
    entries: Vec<(Arc<StickTable>, Key)>,
}

impl Stores {
    /// The stream went to this server.
    pub fn remember(&self, now: Instant, server: &Server) {
        if server.config().non_stick {
            return;
        }
        for (table, key) in &self.entries {
            let known_by = match table.config().server_key {
                ServerIdentity::Name => Some(Arc::clone(&server.config().name)),
                ServerIdentity::Address => server.address().map(|at| at.to_string().into()),
            };
            table.set_server(now, key, server.number(), known_by.as_ref());
        }
    }

    /// Whether `table` takes one: the first criterion that a line finds for a table is the one that counts.
    fn takes(&self, table: &Arc<StickTable>) -> bool {
        let has = |(other, _): &(Arc<StickTable>, Key)| Arc::ptr_eq(other, table);
        self.entries.len() < MOST && !self.entries.iter().any(has)
    }
}

impl ProxyRules {
    /// Whether there is any `stick` line about requests.
    pub fn sticks(&self) -> bool {
        !self.rules.sticks.is_empty()
    }

    /// `stick` lines about requests: the server that a table remembers, and where the server is to be remembered.
    pub fn stick(&self, view: &RequestView<'_>) -> (Option<Remembered>, Stores) {
        let mut server = None;
        let mut stores = Stores::default();
        for stick in &self.rules.sticks {
            let Some(table) = stick.table(view) else {
                continue;
            };
            let looks = stick.matches && server.is_none();
            let keeps = stick.stores && stores.takes(table);
            if !(looks || keeps) {
                continue;
            }
            let Some(key) = stick.key(table, view) else {
                continue;
            };
            if looks {
                server = table.server(view.now, &key);
            }
            if keeps {
                stores.entries.push((Arc::clone(table), key));
            }
        }
        (server, stores)
    }

    /// `stick store-response` lines: where the server is to be remembered.
    pub fn learn(&self, view: &RequestView<'_>) -> Stores {
        let mut stores = Stores::default();
        for stick in &self.rules.learned {
            let table = stick.table(view).filter(|table| stores.takes(table));
            let found = table.and_then(|table| Some((table, stick.key(table, view)?)));
            if let Some((table, key)) = found {
                stores.entries.push((Arc::clone(table), key));
            }
        }
        stores
    }
}
