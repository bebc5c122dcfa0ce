//! What a virtual router asks for. [`Action`] is the only way out: small, `Copy`, in order.
//!
//! Addresses and bytes are not in here; they are read from the configuration.

use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::{ChecksumMode, Priority};

use crate::{FaultReason, GroupId, RouterId, StateKind};

/// One effect, to be carried out in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send an advert now, without blocking.
    Send {
        /// Priority to put in; 0 when resigning.
        priority: Priority,
    },
    /// Put the addresses on the interface. Answered by `Installed` or `InstallFailed`.
    Install,
    /// Take the addresses away.
    Remove,
    /// Put back what is missing of the addresses that are installed. Answered like `Install`.
    Repair,
    /// Announce each address by gratuitous ARP or unsolicited neighbour advertisement, after the
    /// `Install` or `Repair` before it is done.
    Announce {
        /// That many times each.
        repeat: u8,
    },
    /// The state changed. Nothing to do but tell: log, run scripts.
    Transition(Transition),
    /// The state of the router's sync group changed, after those of its members. Nothing to do but
    /// tell.
    Group(GroupTransition),
    /// Tracking changed the effective priority. Nothing to do but tell.
    Priority(PriorityChange),
    /// Something an operator should know; once for each kind until the state changes.
    Warn(Warning),
}

/// A change of the effective priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityChange {
    /// Priority before.
    pub from: Priority,
    /// Priority from now on.
    pub to: Priority,
    /// The state that the router is in.
    pub state: StateKind,
}

/// A change of state, or of what holds a router in Fault. `Display` is `Backup -> Active: no advert from 192.168.10.11 for 6.57 s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// State left.
    pub from: StateKind,
    /// State entered.
    pub to: StateKind,
    /// Why.
    pub reason: Reason,
    /// The effective priority at that time.
    pub priority: Priority,
}

/// A change of state of a sync group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupTransition {
    /// The group.
    pub group: GroupId,
    /// State left.
    pub from: StateKind,
    /// State entered.
    pub to: StateKind,
    /// The member's fault that holds it out.
    pub fault: Option<FaultReason>,
}

/// Why the state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The router was started.
    Startup,
    /// The router was started and owns the addresses.
    Owner,
    /// Active_Down_Interval went by without an acceptable advert.
    Silence {
        /// Who was Active, if anyone was heard.
        active: Option<IpAddr>,
        /// How long ago it was last heard, else since this router is Backup.
        silence: Duration,
    },
    /// The Active router sent priority 0.
    Resigned {
        /// Who resigned.
        source: IpAddr,
    },
    /// A process of this host that died was Active.
    Succeeded,
    /// Preempt_Mode: the Active router has a lower priority.
    Preempted {
        /// Who was Active.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
        /// Own effective priority.
        own: Priority,
    },
    /// Another Active has a higher priority.
    HigherPriority {
        /// Who.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
        /// Own effective priority.
        own: Priority,
    },
    /// Another Active has the same priority and the higher address.
    HigherAddress {
        /// Who.
        source: IpAddr,
        /// The priority of both.
        priority: Priority,
    },
    /// A fault holds the router out.
    Fault(FaultReason),
    /// Tracking took from the own priority, and policy calls an election then.
    Weakened {
        /// Priority before.
        before: Priority,
        /// Own effective priority.
        own: Priority,
    },
    /// The last fault is gone.
    Recovered,
    /// Own adverts were so late that others may have taken over.
    Late {
        /// Time since the last advert was sent.
        silence: Duration,
    },
    /// The lease of the addresses ran out.
    LeaseExpired,
    /// That member of the sync group is no longer Active.
    Sibling(RouterId),
    /// The router was stopped.
    Shutdown,
}

/// What an operator should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Another router sends from our own primary address.
    SameAddress {
        /// The address of both.
        source: IpAddr,
    },
    /// Another router claims to own the addresses that we own.
    TwoOwners {
        /// Who.
        source: IpAddr,
    },
    /// The other owner goes on although our address is the higher one: we give way, and own the
    /// addresses again when it resigns, owns them no more, or falls silent.
    OwnerYields {
        /// Who.
        source: IpAddr,
    },
    /// A router sends adverts while we are Active, with a priority that does not win.
    TwoActives {
        /// Who.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// The interval in an advert is not ours: discarded with v2, followed with v3.
    IntervalMismatch {
        /// Who.
        source: IpAddr,
        /// Its interval.
        interval: Duration,
    },
    /// The adverts of another router carry other addresses than ours. It is followed all the same,
    /// but keepalived up to 2.3.2 would not follow us.
    OtherAddresses {
        /// Who.
        source: IpAddr,
    },
    /// A member of the sync group hears priorities that beat its own, and another hears some that its
    /// own beats: they want different things for as long as both hosts live.
    CrossedPriorities {
        /// Who beats this router.
        source: IpAddr,
        /// With which priority.
        priority: Priority,
        /// Own effective priority.
        own: Priority,
        /// The member that wins.
        member: RouterId,
        /// Its effective priority.
        members: Priority,
        /// The priority that it beats.
        beaten: Priority,
    },
    /// The checksum of another router covers something else than ours: both are heard here, but it may
    /// not hear us.
    OtherChecksum {
        /// Who.
        source: IpAddr,
        /// What its checksum covers.
        theirs: ChecksumMode,
    },
    /// A router sends adverts without the trailer of `auth_hmac`: it would not be heard if that were
    /// enforced.
    Unsigned {
        /// Who.
        source: IpAddr,
    },
    /// The clock of a router is far from ours: once it is farther than the window, the router is not
    /// heard any more.
    ClocksApart {
        /// Who.
        source: IpAddr,
        /// By how many seconds its clock is behind ours; negative if it is in front.
        behind: i64,
        /// How far it may be.
        window: Duration,
    },
    /// An address went without our doing; it is put back.
    AddressLost,
    /// The addresses could not be installed; the host goes on trying.
    InstallFailed,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.to, self.reason)
    }
}

impl fmt::Display for GroupTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sync group {}: {} -> {}", self.group, self.from, self.to)
    }
}

impl fmt::Display for PriorityChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "effective priority {} -> {}", self.from, self.to)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Startup => f.write_str("started"),
            Self::Owner => f.write_str("started as owner of the addresses"),
            Self::Silence {
                active: Some(active),
                silence,
            } => {
                write!(f, "no advert from {active} for {}", Seconds(*silence))
            }
            Self::Silence {
                active: None,
                silence,
            } => write!(f, "no advert from anyone for {}", Seconds(*silence)),
            Self::Resigned { source } => write!(f, "{source} resigned"),
            Self::Succeeded => f.write_str("this host was Active until its VRRP process died"),
            Self::Preempted {
                source,
                priority,
                own,
            } => {
                write!(
                    f,
                    "own priority {own} is higher than {priority} of {source}"
                )
            }
            Self::HigherPriority {
                source,
                priority,
                own,
            } => {
                write!(f, "{source} has priority {priority}, higher than own {own}")
            }
            Self::HigherAddress { source, priority } => {
                write!(
                    f,
                    "{source} has the same priority {priority} and the higher address"
                )
            }
            Self::Fault(reason) => reason.fmt(f),
            Self::Weakened { before, own } => {
                write!(f, "own priority fell from {before} to {own}: resigning at once")
            }
            Self::Recovered => f.write_str("the fault is gone"),
            Self::Late { silence } => {
                write!(
                    f,
                    "own adverts stalled for {}: others may have taken over",
                    Seconds(*silence)
                )
            }
            Self::LeaseExpired => {
                f.write_str("the lease of the addresses ran out, for adverts were late or could not be sent: others may have taken over")
            }
            Self::Sibling(member) => {
                write!(f, "router {member} of its sync group is no longer Active")
            }
            Self::Shutdown => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameAddress { source } => {
                write!(f, "another router sends from our own address {source}")
            }
            Self::TwoOwners { source } => {
                write!(
                    f,
                    "{source} claims priority 255 too: only one router can own the addresses"
                )
            }
            Self::OwnerYields { source } => {
                write!(
                    f,
                    "{source} claims priority 255 too and does not give way: giving way with priority 254 until it \
                     resigns or is silent"
                )
            }
            Self::TwoActives { source, priority } => {
                write!(
                    f,
                    "{source} is Active too, with priority {priority}: it should give way"
                )
            }
            Self::IntervalMismatch { source, interval } => {
                write!(
                    f,
                    "{source} has another advertisement interval, {}",
                    Seconds(*interval)
                )
            }
            Self::OtherAddresses { source } => {
                write!(
                    f,
                    "{source} advertises other virtual addresses than ours: keepalived before 2.3.3 ignores \
                     adverts for that"
                )
            }
            Self::CrossedPriorities {
                source,
                priority,
                own,
                member,
                members,
                beaten,
            } => {
                write!(
                    f,
                    "the sync group cannot agree: priority {priority} of {source} beats own {own}, but router \
                     {member} with {members} beats {beaten}: one host is to have the higher priority in all \
                     members"
                )
            }
            Self::OtherChecksum { source, theirs } => {
                let how = match theirs {
                    ChecksumMode::MessageOnly => "without a pseudo-header",
                    ChecksumMode::PseudoHeader => "with a pseudo-header",
                    ChecksumMode::GroupPseudoHeader => "with the group in its pseudo-header",
                };
                write!(
                    f,
                    "the checksum of {source} is one {how}, other than ours: it may not hear us"
                )
            }
            Self::Unsigned { source } => {
                write!(
                    f,
                    "{source} does not sign its adverts: it would not be heard with `mode enforce`"
                )
            }
            Self::ClocksApart {
                source,
                behind,
                window,
            } => {
                let way = if *behind > 0 { "behind" } else { "ahead of" };
                write!(
                    f,
                    "the clock of {source} is {} s {way} ours: beyond {} s it is not heard",
                    behind.unsigned_abs(),
                    window.as_secs()
                )
            }
            Self::AddressLost => f.write_str("an address has gone: putting it back"),
            Self::InstallFailed => f.write_str("the addresses could not be installed: trying on"),
        }
    }
}

/// A time as an operator reads it: seconds with two decimals, milliseconds below one second.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis < 1000 {
            write!(f, "{millis} ms")
        } else {
            let hundredths = (millis + 5) / 10;
            write!(f, "{}.{:02} s", hundredths / 100, hundredths % 100)
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_transition_reads_as_a_sentence() {
        let transition = Transition {
            from: StateKind::Backup,
            to: StateKind::Active,
            reason: Reason::Silence {
                active: Some("192.168.10.11".parse().unwrap()),
                silence: Duration::from_millis(6574),
            },
            priority: Priority::new(100),
        };
        assert_eq!(
            transition.to_string(),
            "Backup -> Active: no advert from 192.168.10.11 for 6.57 s"
        );
    }

    #[test]
    fn short_times_are_in_milliseconds() {
        assert_eq!(Seconds(Duration::from_micros(36_100)).to_string(), "36 ms");
    }
}
