//! The state of a virtual router, with the timers inside the state that owns them: leaving a state
//! drops them.

use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::Priority;

use crate::{FaultKind, FaultReason, Instant};

/// State of a virtual router (RFC 9568 §6.3).
///
/// ```text
///                         +---------------+
///              +--------->|               |<-------------+
///              |          |  Initialize   |              |
///              |   +------|               |----------+   |
///              |   |      +---------------+          |   |
///     Shutdown |   | Startup                 Startup |   | Shutdown or Fault:
///     or Fault |   | or last fault gone     as owner |   | sends priority 0
///              |   V                                 V   |
///      +---------------+      Active_Down_Timer   +---------------+
///      |               |------------------------->|               |
///      |    Backup     |                          |    Active     |
///      |               |<-------------------------|               |
///      +---------------+   higher priority, tie   +---------------+
///                          and higher address, or
///                          own adverts too late
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not taking part: not started, or held out by faults. No timer runs here.
    Initialize {
        /// Whether the router was started, and only faults hold it.
        started: bool,
    },
    /// Started, and not taking part yet, by [`Policy::startup_delay`](crate::Policy::startup_delay).
    /// For the RFC this is Initialize.
    Delayed {
        /// From when on it takes part.
        begins_at: Instant,
    },
    /// Watching the Active router.
    Backup(Backup),
    /// Holding the addresses.
    Active(Active),
}

/// Timers and memory of the state Backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Active_Down_Timer.
    pub active_down_at: Instant,
    /// Active_Adver_Interval: own interval until another is learned (v3).
    pub active_adver_interval: Duration,
    /// When this state was entered.
    pub since: Instant,
    /// The last advert that restarted the timer.
    pub active: Option<Heard>,
    /// The last advert that was discarded for its lower priority.
    pub rival: Option<Heard>,
    /// From when on adverts of lower priority are discarded: set by the first of them if there is a
    /// preempt_delay.
    pub preempt_at: Option<Instant>,
    /// Who resigned: `active_down_at` is at most Skew_Time after that.
    pub resigned: Option<IpAddr>,
}

/// Timers and memory of the state Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    /// Adver_Timer.
    pub adver_at: Instant,
    /// When the last advert was sent.
    pub sent_at: Instant,
    /// When this state was entered.
    pub since: Instant,
    /// Next announcement of the addresses.
    pub announce_at: Option<Instant>,
    /// The last announcement of the addresses.
    pub announced_at: Instant,
    /// How often each address is announced at `announce_at`.
    pub announce_repeat: u8,
    /// Another router was about to be Active too, or still is: the addresses are announced once more in between.
    pub reassertion: Option<Reassertion>,
    /// The host could not install the addresses yet.
    pub install_failed: bool,
}

/// Announcements against a router that took over in the same moment, or was Active until then.
///
/// It gives way as soon as it hears of us, but its own announcements may reach neighbours after ours, and they would
/// send to it until the next ones, which keepalived makes five seconds later. Nobody tells how late it is: each
/// announcement follows after twice the time of the one before, so that neighbours are wrong for no longer than it was
/// late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reassertion {
    /// When the addresses are announced once more.
    pub at: Instant,
    /// How long after the announcement before that is.
    pub pause: Duration,
}

impl Reassertion {
    /// A busy host's announcements are milliseconds behind its advert.
    const FIRST: Duration = Duration::from_millis(10);
    const LAST: Duration = Duration::from_millis(1280);

    /// The first one.
    pub(crate) fn begin(now: Instant) -> Self {
        Self {
            at: now + Self::FIRST,
            pause: Self::FIRST,
        }
    }

    /// The one after this, which is made now.
    pub(crate) fn next(self, now: Instant) -> Option<Self> {
        let pause = self.pause * 2;
        let at = now + pause;
        (pause <= Self::LAST).then_some(Self { at, pause })
    }
}

/// An advert that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub source: IpAddr,
    /// With which priority.
    pub priority: Priority,
    /// When.
    pub at: Instant,
}

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Not started, or held back by a startup delay.
    Initialize,
    /// Started, held out by a fault: keepalived's FAULT. For the RFC this is Initialize.
    Fault,
    /// Watching.
    Backup,
    /// Holding the addresses.
    Active,
}

impl State {
    /// The earliest timer; `None` exactly in [`State::Initialize`].
    pub fn next_deadline(&self) -> Option<Instant> {
        match *self {
            Self::Initialize { .. } => None,
            Self::Delayed { begins_at } => Some(begins_at),
            Self::Backup(Backup { active_down_at, .. }) => Some(active_down_at),
            Self::Active(Active {
                adver_at,
                announce_at,
                reassertion,
                ..
            }) => {
                let announcements = [announce_at, reassertion.map(|again| again.at)];
                let first = announcements.into_iter().flatten().min();
                Some(first.map_or(adver_at, |first| first.min(adver_at)))
            }
        }
    }

    /// Its name.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Initialize { started: false } | Self::Delayed { .. } => StateKind::Initialize,
            Self::Initialize { started: true } => StateKind::Fault,
            Self::Backup(_) => StateKind::Backup,
            Self::Active(_) => StateKind::Active,
        }
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Initialize => "Initialize",
            Self::Fault => "Fault",
            Self::Backup => "Backup",
            Self::Active => "Active",
        })
    }
}

/// The faults of a router: at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    interface: Option<FaultReason>,
    no_address: bool,
    no_peers: bool,
    deaf: bool,
    unwatched: bool,
    operator: bool,
    tracking: Option<FaultReason>,
    sibling: Option<FaultReason>,
}

impl Faults {
    /// Adds a reason, in the place of one of its kind.
    pub(crate) fn set(&mut self, reason: FaultReason) {
        match reason.kind() {
            FaultKind::Interface => self.interface = Some(reason),
            FaultKind::Address => self.no_address = true,
            FaultKind::Peers => self.no_peers = true,
            FaultKind::Hearing => self.deaf = true,
            FaultKind::Watch => self.unwatched = true,
            FaultKind::Operator => self.operator = true,
            FaultKind::Tracking => self.tracking = Some(reason),
            FaultKind::Sibling => self.sibling = Some(reason),
        }
    }

    /// Takes the reason of that kind away.
    pub(crate) fn clear(&mut self, kind: FaultKind) {
        match kind {
            FaultKind::Interface => self.interface = None,
            FaultKind::Address => self.no_address = false,
            FaultKind::Peers => self.no_peers = false,
            FaultKind::Hearing => self.deaf = false,
            FaultKind::Watch => self.unwatched = false,
            FaultKind::Operator => self.operator = false,
            FaultKind::Tracking => self.tracking = None,
            FaultKind::Sibling => self.sibling = None,
        }
    }

    /// The gravest of them; `None` when there is none.
    pub fn first(&self) -> Option<FaultReason> {
        self.own().or(self.sibling)
    }

    /// The fault of another member of the sync group.
    pub fn sibling(&self) -> Option<FaultReason> {
        self.sibling
    }

    /// The gravest that is the router's own, and not another's of its sync group.
    pub fn own(&self) -> Option<FaultReason> {
        if self.operator {
            Some(FaultReason::Operator)
        } else if self.interface.is_some() {
            self.interface
        } else if self.no_address {
            Some(FaultReason::NoPrimaryAddress)
        } else if self.no_peers {
            Some(FaultReason::NoPeers)
        } else if self.unwatched {
            Some(FaultReason::Unwatched)
        } else if self.tracking.is_none() && self.deaf {
            Some(FaultReason::Deaf)
        } else {
            self.tracking
        }
    }

    /// Whether its host does not hear its adverts.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf
    }
}
