//! A `peers` section while it runs: what its sessions share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, Instant},
};

use crate::stick_table::StickTable;

/// How long somebody who knows everything is looked for.
const SEARCH: Duration = Duration::from_secs(5);

/// A table and its name on the wire.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Its name among the peers: that of its proxy, or `/` and its own name for one of the section.
    pub name: Arc<str>,
    /// The table.
    pub table: Arc<StickTable>,
}

/// How much of what others know has been learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// A peer that tells everything is looked for, until then.
    Until(Instant),
    /// Everything was learned, or nobody could be asked.
    Done,
}

/// One `peers` section.
#[derive(Debug)]
pub struct Group {
    name: Arc<str>,
    local: Arc<str>,
    process: u32,
    peers: Vec<Arc<str>>,
    tables: Vec<Shared>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    learning: Learning,
    /// The peer that is asked for everything.
    teacher: Option<usize>,
    links: Vec<Link>,
    /// Number of the last session.
    sessions: u64,
}

/// What is known of a peer, whether there is a connection to it or not.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// The session that holds, if there is one.
    pub session: Option<u64>,
    /// For each table the last change of ours that the peer has confirmed.
    pub confirmed: Vec<u64>,
    /// Entries that came from it.
    pub learned: u64,
    /// Entries that it was told.
    pub told: u64,
    /// Connections so far.
    pub sessions: u64,
    /// When the last one began.
    pub since: Option<Instant>,
    /// It has told everything, and was not sure that it was everything.
    unsure: bool,
    waker: Option<Waker>,
}

impl Group {
    /// A section called `name` with these tables, in which this host is `local` and the others are `peers`. What they
    /// know is looked for from `now` on.
    pub fn new(
        name: Arc<str>,
        local: Arc<str>,
        process: u32,
        peers: Vec<Arc<str>>,
        tables: Vec<Shared>,
        now: Instant,
    ) -> Self {
        let link = Link {
            confirmed: vec![0; tables.len()],
            ..Link::default()
        };
        let state = State {
            learning: match peers.is_empty() {
                true => Learning::Done,
                false => Learning::Until(now + SEARCH),
            },
            teacher: None,
            links: vec![link; peers.len() + 1],
            sessions: 0,
        };
        Self {
            name,
            local,
            process,
            peers,
            tables,
            state: Mutex::new(state),
        }
    }

    /// Name of the section.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Name of this host in it.
    pub fn local(&self) -> &Arc<str> {
        &self.local
    }

    /// The other hosts.
    pub fn peers(&self) -> &[Arc<str>] {
        &self.peers
    }

    /// The tables.
    pub fn tables(&self) -> &[Shared] {
        &self.tables
    }

    /// How much has been learned.
    pub fn learning(&self) -> Learning {
        self.state().learning
    }

    /// What is known of peer `index`; the one behind the last is another process of this host.
    pub fn link(&self, index: usize) -> Option<Link> {
        self.state().links.get(index).cloned()
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Name of a peer, or of this host for the place behind the last.
    pub fn peer_name(&self, index: usize) -> &Arc<str> {
        self.peers.get(index).unwrap_or(&self.local)
    }

    /// Place of the peer called `name`; another process of this host is behind the last.
    pub(super) fn peer_called(&self, name: &str) -> Option<usize> {
        let other = self.peers.iter().position(|peer| **peer == *name);
        other.or_else(|| (*self.local == *name).then_some(self.peers.len()))
    }

    /// A session with a peer begins: any other with it is over. Its number, and for each table the last change that the
    /// peer has confirmed.
    pub(super) fn enter(&self, peer: usize, now: Instant) -> (u64, Vec<u64>) {
        let mut state = self.state();
        state.sessions += 1;
        let number = state.sessions;
        let Some(link) = state.links.get_mut(peer) else {
            return (number, Vec::new());
        };
        link.session = Some(number);
        link.sessions += 1;
        link.since = Some(now);
        if let Some(waker) = link.waker.take() {
            waker.wake();
        }
        (number, link.confirmed.clone())
    }

    /// Whether the session is still the one with its peer; else `waker` is woken when it is not.
    pub(super) fn holds(&self, peer: usize, session: u64, waker: Option<&Waker>) -> bool {
        let mut state = self.state();
        let Some(link) = state.links.get_mut(peer) else {
            return false;
        };
        let holds = link.session == Some(session);
        if let (true, Some(waker)) = (holds, waker) {
            link.waker = Some(waker.clone());
        }
        holds
    }

    /// A session is over.
    pub(super) fn leave(&self, peer: usize, session: u64) {
        let mut state = self.state();
        let Some(link) = state
            .links
            .get_mut(peer)
            .filter(|l| l.session == Some(session))
        else {
            return;
        };
        link.session = None;
        link.waker = None;
        if state.teacher == Some(peer) {
            state.teacher = None;
        }
    }

    /// Whether peer `index` is to be asked for everything: if so, it is who is asked.
    pub(super) fn wants_lesson(&self, index: usize, now: Instant) -> bool {
        let mut state = self.state();
        let Learning::Until(end) = state.learning else {
            return false;
        };
        if state.teacher.is_some() {
            return false;
        }
        if now >= end {
            state.learning = Learning::Done;
            return false;
        }
        // Another process of this host tells of its own accord.
        let asked = index < self.peers.len() && state.links.get(index).is_some_and(|l| !l.unsure);
        if asked {
            state.teacher = Some(index);
        }
        asked
    }

    /// Peer `index` has told everything; `sure` that it was everything.
    pub(super) fn lesson_ends(&self, index: usize, sure: bool, now: Instant) {
        let mut state = self.state();
        if state.teacher == Some(index) {
            state.teacher = None;
        }
        if state.learning == Learning::Done {
            return;
        }
        if sure {
            state.learning = Learning::Done;
        } else {
            state.learning = Learning::Until(now + SEARCH);
            if let Some(link) = state.links.get_mut(index) {
                link.unsure = true;
            }
            // There is nobody left to ask: together they have told what there is.
            if state.links.iter().take(self.peers.len()).all(|l| l.unsure) {
                state.learning = Learning::Done;
            }
        }
    }

    /// Whether everything is known that others know, as far as they can be asked.
    pub(super) fn knows_everything(&self, now: Instant) -> bool {
        match self.state().learning {
            Learning::Done => true,
            Learning::Until(end) => now >= end,
        }
    }

    pub(super) fn confirmed(&self, peer: usize, table: usize, change: u64) {
        if let Some(link) = self.state().links.get_mut(peer)
            && let Some(last) = link.confirmed.get_mut(table)
        {
            *last = change;
        }
    }

    pub(super) fn count(&self, peer: usize, learned: u64, told: u64) {
        if let Some(link) = self.state().links.get_mut(peer) {
            link.learned += learned;
            link.told += told;
        }
    }
}

/// Every kind of key, shared with one peer.
pub(super) fn for_fuzzing(now: Instant) -> Arc<Group> {
    use crate::config::{StickTableConfig, StoreKind, TableKey};
    let period = Duration::from_secs(10);
    let kinds = [
        TableKey::Ip,
        TableKey::Ipv6,
        TableKey::Integer,
        TableKey::String(31),
        TableKey::Binary(4),
    ];
    let tables = kinds
        .into_iter()
        .zip(["a", "b", "c", "d", "e"])
        .map(|(kind, name)| {
            let config = StickTableConfig {
                store: vec![
                    StoreKind::ServerId,
                    StoreKind::ServerKey,
                    StoreKind::ConnRate(period),
                    StoreKind::Gpc(2),
                    StoreKind::GpcRate(2, period),
                ],
                peers: Some("group".into()),
                expire: Some(Duration::from_secs(60)),
                ..StickTableConfig::new(kind, 100)
            };
            Shared {
                name: name.into(),
                table: Arc::new(StickTable::new(&config, now)),
            }
        });
    let (local, peers) = ("here".into(), vec!["there".into()]);
    Arc::new(Group::new(
        "group".into(),
        local,
        1,
        peers,
        tables.collect(),
        now,
    ))
}
