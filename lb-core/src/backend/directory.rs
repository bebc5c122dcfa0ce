//! Servers by what requests and tables know them by, so that finding one costs the same however many there are.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    id::ServerIndex,
    server::{Server, ServerKey},
};

/// The servers of a backend. Of two that are known by the same the first in the file counts.
#[derive(Debug)]
pub(super) struct Directory {
    by_name: HashMap<Arc<str>, ServerIndex>,
    by_number: HashMap<u32, ServerIndex>,
    by_key: HashMap<ServerKey, ServerIndex>,
    by_address: Followed<SocketAddr>,
}

impl Directory {
    pub(super) fn new(servers: &[Server]) -> Self {
        // Later ones give way to earlier ones.
        let servers = || servers.iter().rev();
        let name = |server: &Server| (Arc::clone(&server.config().name), server.index());
        Self {
            by_name: servers().map(name).collect(),
            by_number: servers().map(|s| (s.number(), s.index())).collect(),
            by_key: servers().map(|s| (s.key(), s.index())).collect(),
            by_address: Followed::default(),
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<ServerIndex> {
        self.by_name.get(name).copied()
    }

    /// By the number in tables.
    pub(super) fn numbered(&self, number: u32) -> Option<ServerIndex> {
        self.by_number.get(&number).copied()
    }

    pub(super) fn of_key(&self, key: ServerKey) -> Option<ServerIndex> {
        self.by_key.get(&key).copied()
    }

    /// By the address of now; `moves` counts the changes of servers' addresses up to now.
    pub(super) fn at(
        &self,
        address: SocketAddr,
        servers: &[Server],
        moves: u64,
    ) -> Option<ServerIndex> {
        self.by_address.find(&address, moves, || {
            let addressed = servers.iter().rev();
            addressed
                .filter_map(|server| Some((server.address()?, server.index())))
                .collect()
        })
    }
}

/// Servers by something that follows from their addresses, which change at run time.
#[derive(Debug)]
pub(super) struct Followed<K>(RwLock<Known<K>>);

#[derive(Debug)]
struct Known<K> {
    servers: HashMap<K, ServerIndex>,
    /// The number of moves of servers that this takes into account; `None` before the first question.
    moves: Option<u64>,
}

impl<K> Default for Followed<K> {
    fn default() -> Self {
        Self(RwLock::new(Known {
            servers: HashMap::new(),
            moves: None,
        }))
    }
}

impl<K: Hash + Eq> Followed<K> {
    /// The server that is known by `key`. Only the first question after a move looks at `all` of them.
    pub(super) fn find<Q: Hash + Eq + ?Sized>(
        &self,
        key: &Q,
        moves: u64,
        all: impl FnOnce() -> HashMap<K, ServerIndex>,
    ) -> Option<ServerIndex>
    where
        K: Borrow<Q>,
    {
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if known.moves == Some(moves) {
                return known.servers.get(key).copied();
            }
        }
        let servers = all();
        let found = servers.get(key).copied();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known {
            servers,
            moves: Some(moves),
        };
        found
    }
}
