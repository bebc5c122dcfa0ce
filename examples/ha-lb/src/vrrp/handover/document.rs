//! What one speaker leaves to the next, in a form that outlives versions: fields are only ever added.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};
use vrrp_fsm::{Active, Backup, Heard, Instant, Memory, State};
use vrrp_proto::{
    Priority, Sequence,
    auth_hmac::{self, Mark},
};

use crate::{admin::status::LastTransition, bfd::endpoint};

/// The version that this program writes and reads.
pub(super) const VERSION: u32 = 1;

/// What the successor has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::vrrp) struct Document {
    pub(super) version: u32,
    pub(in crate::vrrp) routers: Vec<Left>,
    /// Sessions of BFD, whose neighbours are to notice nothing.
    #[serde(default)]
    pub(in crate::vrrp) sessions: Vec<endpoint::Saved>,
}

/// What is left of one router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::vrrp) struct Left {
    pub(in crate::vrrp) instance: String,
    state: Saved,
    sequence: Option<u32>,
    #[serde(default)]
    hmac: Option<SavedHmac>,
    pub(in crate::vrrp) last_change: Option<LastTransition>,
}

/// A state; times are nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Saved {
    Initialize {
        started: bool,
    },
    Delayed {
        begins_at: u64,
    },
    Backup {
        active_down_at: u64,
        active_adver_interval: Duration,
        since: u64,
        active: Option<SavedHeard>,
        rival: Option<SavedHeard>,
        preempt_at: Option<u64>,
        resigned: Option<IpAddr>,
    },
    Active {
        adver_at: u64,
        sent_at: u64,
        since: u64,
        announce_at: Option<u64>,
        announced_at: u64,
        announce_repeat: u8,
        install_failed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SavedHeard {
    source: IpAddr,
    priority: u8,
    at: u64,
}

/// Sequence numbers of `auth_hmac`: the last one sent, and the last ones heard of each sender under each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedHmac {
    sent: Option<u64>,
    heard: Vec<(IpAddr, u8, u64)>,
}

impl Left {
    pub(in crate::vrrp) fn new(
        instance: &str,
        memory: Memory,
        last_change: Option<LastTransition>,
    ) -> Self {
        Self {
            instance: instance.to_owned(),
            state: memory.state.into(),
            sequence: memory.sequence,
            hmac: memory.hmac.map(|hmac| SavedHmac {
                sent: hmac.sent().map(Sequence::bits),
                heard: hmac
                    .marks()
                    .map(|mark| (mark.source, mark.key, mark.sequence.bits()))
                    .collect(),
            }),
            last_change,
        }
    }

    pub(in crate::vrrp) fn memory(&self) -> Memory {
        Memory {
            state: self.state.into(),
            sequence: self.sequence,
            hmac: self.hmac.as_ref().map(|hmac| {
                let heard = hmac.heard.iter();
                let marks = heard.map(|(source, key, sequence)| Mark {
                    source: *source,
                    key: *key,
                    sequence: Sequence::new(*sequence),
                });
                auth_hmac::Memory::new(hmac.sent.map(Sequence::new), marks)
            }),
        }
    }
}

impl From<State> for Saved {
    fn from(state: State) -> Self {
        let heard = |heard: Heard| SavedHeard {
            source: heard.source,
            priority: heard.priority.value(),
            at: heard.at.as_nanos(),
        };
        match state {
            State::Initialize { started } => Self::Initialize { started },
            State::Delayed { begins_at } => Self::Delayed {
                begins_at: begins_at.as_nanos(),
            },
            State::Backup(backup) => Self::Backup {
                active_down_at: backup.active_down_at.as_nanos(),
                active_adver_interval: backup.active_adver_interval,
                since: backup.since.as_nanos(),
                active: backup.active.map(heard),
                rival: backup.rival.map(heard),
                preempt_at: backup.preempt_at.map(Instant::as_nanos),
                resigned: backup.resigned,
            },
            State::Active(active) => Self::Active {
                adver_at: active.adver_at.as_nanos(),
                sent_at: active.sent_at.as_nanos(),
                since: active.since.as_nanos(),
                announce_at: active.announce_at.map(Instant::as_nanos),
                announced_at: active.announced_at.as_nanos(),
                announce_repeat: active.announce_repeat,
                install_failed: active.install_failed,
            },
        }
    }
}

impl From<Saved> for State {
    fn from(saved: Saved) -> Self {
        let heard = |heard: SavedHeard| Heard {
            source: heard.source,
            priority: Priority::new(heard.priority),
            at: Instant::from_nanos(heard.at),
        };
        match saved {
            Saved::Initialize { started } => Self::Initialize { started },
            Saved::Delayed { begins_at } => Self::Delayed {
                begins_at: Instant::from_nanos(begins_at),
            },
            Saved::Backup {
                active_down_at,
                active_adver_interval,
                since,
                active,
                rival,
                preempt_at,
                resigned,
            } => Self::Backup(Backup {
                active_down_at: Instant::from_nanos(active_down_at),
                active_adver_interval,
                since: Instant::from_nanos(since),
                active: active.map(heard),
                rival: rival.map(heard),
                preempt_at: preempt_at.map(Instant::from_nanos),
                resigned,
            }),
            Saved::Active {
                adver_at,
                sent_at,
                since,
                announce_at,
                announced_at,
                announce_repeat,
                install_failed,
            } => Self::Active(Active {
                adver_at: Instant::from_nanos(adver_at),
                sent_at: Instant::from_nanos(sent_at),
                since: Instant::from_nanos(since),
                announce_at: announce_at.map(Instant::from_nanos),
                announced_at: Instant::from_nanos(announced_at),
                announce_repeat,
                // The schedule makes up for what is left of it.
                reassertion: None,
                install_failed,
            }),
        }
    }
}
