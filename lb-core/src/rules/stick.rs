//! `stick` lines: which server a table remembers, and which it is to remember.

use std::{sync::Arc, time::Instant};

use super::ProxyRules;
use crate::{
    acl::Condition,
    expr::Expr,
    request::RequestView,
    stick_table::{Key, StickTable},
};

/// `stick on`, `stick match`, `stick store-request`.
#[derive(Debug, Clone)]
pub(super) struct Stick {
    pub(super) matches: bool,
    pub(super) stores: bool,
    pub(super) key: Expr,
    /// The proxy whose table it is.
    pub(super) table: Option<Arc<str>>,
    pub(super) condition: Condition,
}

/// Entries that are to remember the server of a stream.
#[derive(Debug, Default)]
pub struct Stores {
    entries: Vec<(Arc<StickTable>, Key)>,
}

impl Stores {
    /// The stream went to the server of this number.
    pub fn remember(&self, now: Instant, server: u32) {
        for (table, key) in &self.entries {
            table.set_server(now, key, server);
        }
    }
}

impl ProxyRules {
    /// Whether there is any `stick` line.
    pub fn sticks(&self) -> bool {
        !self.rules.sticks.is_empty()
    }

    /// `stick` lines: the number of the server that a table remembers, and where the server is to be remembered.
    pub fn stick(&self, view: &RequestView<'_>) -> (Option<u32>, Stores) {
        let mut server = None;
        let mut stores = Stores::default();
        for stick in &self.rules.sticks {
            let looks = stick.matches && server.is_none();
            if !(looks || stick.stores) || !stick.condition.holds(view) {
                continue;
            }
            let name = stick.table.as_deref().or(view.backend);
            let world = view.state.world.as_deref();
            let table = name.and_then(|name| world?.table(name));
            let found = table.and_then(|table| {
                let key = table.key_of(stick.key.value(view)?)?;
                Some((table, key))
            });
            let Some((table, key)) = found else {
                continue;
            };
            if looks {
                server = table.server(view.now, &key);
            }
            if stick.stores {
                stores.entries.push((Arc::clone(table), key));
            }
        }
        (server, stores)
    }
}
