//! The table of deaths: who is struck, how, and what must follow.

use std::time::Duration;

use super::setup::{Check, Setup};
use crate::{ipc::beats, supervisor::liveness, vrrp};

/// A process of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads files, holds the sockets, starts the others.
    Supervisor,
    /// VRRP.
    Speaker,
    /// Traffic.
    Balancer,
}

/// What is done to the host that holds the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// These processes get SIGKILL, all at once.
    Kill(&'static [Role]),
    /// These processes get SIGSTOP, and later SIGCONT.
    Stop(&'static [Role]),
    /// The cable is cut and every process killed.
    Death,
    /// The cable is cut, and later mended.
    Cut,
    /// The balancer is killed whenever it serves, so many times.
    Again(u32),
    /// The balancer gets no more memory.
    Memory,
    /// Every process is killed and the daemon started again at once, before the addresses could go.
    Crash,
    /// The *other* host is started with the address on its interface, as keepalived leaves it behind.
    Leftover,
}

/// How long something may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Not at all.
    None,
    /// As long as a balancer may take to serve again.
    Grace,
    /// Skew_Time: the address was given up in order.
    Skew,
    /// Active_Down_Interval: it was not.
    Down,
    /// A balancer that hangs is noticed, then another host or another balancer takes over.
    Hang,
    /// The pauses between the deaths of a balancer that keeps dying, or another host takes over.
    Again,
    /// A supervisor that is silent is noticed by its speaker, which gives the address up.
    Unwatched,
}

impl Gap {
    /// In time.
    pub fn allowed(self, setup: &Setup) -> Duration {
        let elsewhere = match setup.check {
            Check::None => Duration::ZERO,
            Check::Fault | Check::WeightAtOnce => setup.skew(),
            Check::Weight => setup.down(),
        };
        match self {
            Self::None => Duration::ZERO,
            Self::Grace => liveness::GRACE,
            Self::Skew => setup.skew(),
            Self::Down => setup.down(),
            Self::Hang => beats::EVERY + liveness::HANGS + liveness::GRACE.max(elsewhere),
            // The third pause in a row is 400 ms.
            Self::Again => Duration::from_millis(400).max(elsewhere),
            Self::Unwatched => beats::EVERY + vrrp::SILENCE + setup.skew(),
        }
    }
}

/// One way to die and what must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// What is done.
    pub blow: Blow,
    /// Once struck, the host answers for the address no longer than this. Without it, it may go on.
    pub silent: Option<Silence>,
    /// The longest time in which no host answers for the address.
    pub address: Gap,
    /// The longest time in which a client gets nothing.
    pub client: Gap,
    /// Whether a client may be refused.
    pub refuses: bool,
}

/// When a struck host must have fallen silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// As the fence closes: 5 ms.
    Fence,
    /// Before another host takes over.
    Takeover,
}

impl Silence {
    /// In time.
    pub fn allowed(self, setup: &Setup) -> Duration {
        match self {
            Self::Fence => Duration::from_millis(5),
            Self::Takeover => setup.down(),
        }
    }
}

impl Case {
    /// One by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }

    /// The same, or what is there instead.
    pub fn named_or_not(name: &str) -> Result<&'static Self, String> {
        let names = || CASES.iter().map(|case| case.name).collect::<Vec<_>>();
        Self::named(name).ok_or_else(|| format!("there are {}", names().join("; ")))
    }

    /// Whether a setup tells anything of it that others do not.
    pub fn suits(&self, setup: &Setup) -> bool {
        setup.every_case || self.only_the_balancer()
    }

    /// Whether the host lives on, without a balancer for a while.
    pub(super) fn only_the_balancer(&self) -> bool {
        match self.blow {
            Blow::Kill(roles) | Blow::Stop(roles) => roles == [Balancer],
            Blow::Again(_) | Blow::Memory => true,
            _ => false,
        }
    }
}

use Role::{Balancer, Speaker, Supervisor};

/// Every process of the daemon. The speaker first: one that sees its supervisor die has the time to resign.
pub(super) const EVERYBODY: &[Role] = &[Speaker, Balancer, Supervisor];

const fn case(name: &'static str, blow: Blow, address: Gap, client: Gap) -> Case {
    Case {
        name,
        blow,
        silent: None,
        address,
        client,
        refuses: true,
    }
}

impl Case {
    const fn nobody_is_refused(self) -> Self {
        Self {
            refuses: false,
            ..self
        }
    }

    const fn silent(self, silence: Silence) -> Self {
        Self {
            silent: Some(silence),
            ..self
        }
    }
}

/// The table.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case("kill balancer", Blow::Kill(&[Balancer]), Gap::None, Gap::Grace).nobody_is_refused(),
    case("kill speaker", Blow::Kill(&[Speaker]), Gap::Down, Gap::Down).silent(Silence::Fence),
    case("kill supervisor", Blow::Kill(&[Supervisor]), Gap::Skew, Gap::Skew),
    case("kill speaker, balancer", Blow::Kill(&[Speaker, Balancer]), Gap::Down, Gap::Down).silent(Silence::Fence),
    case("kill supervisor, speaker", Blow::Kill(&[Speaker, Supervisor]), Gap::Down, Gap::Down).silent(Silence::Fence),
    case("kill supervisor, balancer", Blow::Kill(&[Supervisor, Balancer]), Gap::Skew, Gap::Skew),
    case("kill all", Blow::Kill(EVERYBODY), Gap::Down, Gap::Down).silent(Silence::Fence),
    case("stop balancer", Blow::Stop(&[Balancer]), Gap::Skew, Gap::Hang).nobody_is_refused(),
    case("stop speaker", Blow::Stop(&[Speaker]), Gap::Down, Gap::Down).silent(Silence::Takeover),
    case("stop supervisor", Blow::Stop(&[Supervisor]), Gap::Skew, Gap::Skew),
    case("stop speaker, balancer", Blow::Stop(&[Speaker, Balancer]), Gap::Down, Gap::Down).silent(Silence::Takeover),
    case("stop supervisor, speaker", Blow::Stop(&[Speaker, Supervisor]), Gap::Down, Gap::Down).silent(Silence::Takeover),
    case("stop supervisor, balancer", Blow::Stop(&[Supervisor, Balancer]), Gap::Skew, Gap::Unwatched),
    case("stop all", Blow::Stop(EVERYBODY), Gap::Down, Gap::Down).silent(Silence::Takeover),
    case("silent death", Blow::Death, Gap::Down, Gap::Down).silent(Silence::Fence),
    case("cable cut", Blow::Cut, Gap::Down, Gap::Down).silent(Silence::Fence),
    case("balancer dies 4 times", Blow::Again(4), Gap::Skew, Gap::Again),
    case("balancer out of memory", Blow::Memory, Gap::None, Gap::Grace).nobody_is_refused(),
    case("crash and start", Blow::Crash, Gap::Down, Gap::Down).silent(Silence::Fence),
    case("start with a leftover", Blow::Leftover, Gap::None, Gap::None).nobody_is_refused(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_every_pair_and_all_are_killed_and_stopped() {
        let blows = CASES.iter().map(|case| case.blow);
        let kills = blows.clone().filter_map(|blow| match blow {
            Blow::Kill(roles) => Some(roles),
            _ => None,
        });
        let stops = blows.filter_map(|blow| match blow {
            Blow::Stop(roles) => Some(roles),
            _ => None,
        });
        for groups in [kills.collect::<Vec<_>>(), stops.collect()] {
            for role in EVERYBODY {
                let with = groups.iter().filter(|roles| roles.contains(role));
                assert_eq!(with.count(), 4, "alone, in two pairs, with all: {role:?}");
            }
            assert_eq!(groups.len(), 7);
        }
        for case in CASES {
            assert_eq!(Case::named(case.name), Some(case), "names are told apart");
        }
    }
}
