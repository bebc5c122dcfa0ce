//! What can go wrong on a segment, and how to draw it from a seed.

use core::{fmt, time::Duration};

use super::{Rng, Weather};

/// Something that goes wrong, or right again. Numbers are those of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The wire behaves so from now on.
    Weather(Weather),
    /// Packets no longer get from one host to another; the other way is not touched.
    Cut {
        /// Sender.
        from: usize,
        /// Receiver.
        to: usize,
    },
    /// All cuts are mended.
    Mend,
    /// A host's process dies without a word.
    Crash(usize),
    /// It starts again, with nothing remembered.
    Boot(usize),
    /// A host stands still: packets wait, timers run late.
    Stall(usize, Duration),
    /// A host's virtual machine is paused: it stands still, and so does its clock, which cannot tell it
    /// afterwards.
    Pause(usize, Duration),
    /// A router is stopped in order.
    Stop(usize),
    /// It is started again.
    Start(usize),
    /// The link of a host is lost or comes back.
    Link(usize, bool),
    /// The tracked script of a host fails or works again.
    Script(usize, bool),
}

impl Fault {
    /// Any fault among so many hosts; times are of the order of `interval`.
    pub fn draw(rng: &mut Rng, hosts: usize, interval: Duration) -> Self {
        let host = rng.index(hosts);
        match rng.below(17) {
            0 | 1 => Self::Weather(Weather::draw(rng, interval)),
            2..=4 => Self::Cut {
                from: host,
                to: (host + 1 + rng.index(hosts.saturating_sub(1))) % hosts.max(1),
            },
            5 => Self::Mend,
            6 | 7 => Self::Crash(host),
            8 | 9 => Self::Boot(host),
            10 => Self::Stall(host, rng.up_to(interval * 8)),
            11 => Self::Stop(host),
            12 => Self::Start(host),
            13 => Self::Link(host, rng.chance(500)),
            14 | 15 => Self::Script(host, rng.chance(500)),
            _ => Self::Pause(host, rng.up_to(interval * 8)),
        }
    }
}

/// In words; `r0` is the router of the first host.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weather(weather) => weather.fmt(f),
            Self::Cut { from, to } => write!(f, "nothing gets from r{from} to r{to}"),
            Self::Mend => f.write_str("all cuts are mended"),
            Self::Crash(host) => write!(f, "r{host} dies"),
            Self::Boot(host) => write!(f, "r{host} boots"),
            Self::Stall(host, time) => write!(f, "r{host} stands still for {time:.1?}"),
            Self::Pause(host, time) => write!(f, "r{host} and its clock are paused for {time:.1?}"),
            Self::Stop(host) => write!(f, "r{host} is stopped in order"),
            Self::Start(host) => write!(f, "r{host} is started"),
            Self::Link(host, true) => write!(f, "r{host} has its link back"),
            Self::Link(host, false) => write!(f, "r{host} loses its link"),
            Self::Script(host, true) => write!(f, "the script of r{host} works"),
            Self::Script(host, false) => write!(f, "the script of r{host} fails"),
        }
    }
}
