//! What the wire does to packets.

use core::{fmt, time::Duration};

use super::Rng;

/// What the wire does to packets. Chances are in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Chance that a packet is lost.
    pub loss: u16,
    /// Chance that it comes twice.
    pub duplication: u16,
    /// Chance that one of its bits is flipped.
    pub corruption: u16,
    /// The least delay.
    pub delay: Duration,
    /// At most so much more; packets overtake each other by it.
    pub jitter: Duration,
}

impl Default for Weather {
    /// A quiet LAN: 0.1 to 0.2 ms, nothing lost.
    fn default() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            corruption: 0,
            delay: Duration::from_micros(100),
            jitter: Duration::from_micros(100),
        }
    }
}

impl Weather {
    /// Anything between fine and dreadful.
    pub(super) fn draw(rng: &mut Rng, interval: Duration) -> Self {
        let quiet = Self::default();
        let loss = [0, 10, 100, 300, 700];
        let loss = loss.get(rng.index(loss.len())).copied().unwrap_or(0);
        Self {
            loss,
            duplication: if rng.chance(300) { 200 } else { 0 },
            corruption: if rng.chance(300) { 100 } else { 0 },
            delay: quiet.delay,
            jitter: if rng.chance(300) {
                rng.up_to(interval * 2)
            } else {
                quiet.jitter
            },
        }
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("the wire is quiet");
        }
        let Self {
            loss,
            duplication,
            corruption,
            jitter,
            ..
        } = self;
        write!(
            f,
            "of 1000 packets the wire loses {loss}, doubles {duplication}, spoils {corruption}; jitter {jitter:.1?}"
        )
    }
}
