//! A control packet (RFC 5880 §4.1).
//!
//! ```text
//! 0                   1                   2                   3
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |                    Desired Min TX Interval                    |
//! |                   Required Min RX Interval                    |
//! |                 Required Min Echo RX Interval                 |
//! ```

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Without authentication.
pub(crate) const LENGTH: usize = 24;
const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATED: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// State of a session (RFC 5880 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Held down by hand, or about to go.
    AdminDown,
    /// The neighbour is not heard.
    Down,
    /// It is heard, and does not hear us yet as far as known.
    Init,
    /// Both hear each other.
    Up,
}

/// Why a session is not Up any more (RFC 5880 §4.1), as far as it is told here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Diagnostic {
    /// It has not been.
    None,
    /// Nothing was heard for the detection time.
    Expired,
    /// The neighbour said that its side is down.
    NeighbourDown,
    /// It was ended by hand.
    Administrative,
}

/// What a control packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) state: State,
    /// An answer is asked for, or this is one.
    pub(crate) poll: bool,
    pub(crate) last: bool,
    pub(crate) demand: bool,
    pub(crate) multiplier: u8,
    /// The sender's number of the session, and ours as far as it knows it (0).
    pub(crate) mine: u32,
    pub(crate) yours: u32,
    pub(crate) min_tx: Duration,
    pub(crate) min_rx: Duration,
}

/// Why a packet is discarded (RFC 5880 §6.8.6, in its order).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Version,
    Length,
    Multiplier,
    Multipoint,
    Discriminator,
    /// Without knowing our number only who is down can speak.
    State,
    Authenticated,
}

impl Packet {
    /// Reads the payload of a datagram.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let &[first, flags, multiplier, length, ref rest @ ..] = bytes else {
            return Err(Malformed::Length);
        };
        if first >> 5 != VERSION {
            return Err(Malformed::Version);
        }
        let authenticated = flags & AUTHENTICATED != 0;
        let least = if authenticated { LENGTH + 2 } else { LENGTH };
        if usize::from(length) < least || usize::from(length) > bytes.len() {
            return Err(Malformed::Length);
        }
        if multiplier == 0 {
            return Err(Malformed::Multiplier);
        }
        if flags & MULTIPOINT != 0 {
            return Err(Malformed::Multipoint);
        }
        let mut words = rest.chunks_exact(4).map(|word| match *word {
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        });
        let mut word = || words.next().unwrap_or(0);
        let (mine, yours, min_tx, min_rx) = (word(), word(), word(), word());
        if mine == 0 {
            return Err(Malformed::Discriminator);
        }
        let state = match flags >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        };
        if yours == 0 && matches!(state, State::Init | State::Up) {
            return Err(Malformed::State);
        }
        // No session here uses authentication.
        if authenticated {
            return Err(Malformed::Authenticated);
        }
        let micros = |number| Duration::from_micros(u64::from(number));
        Ok(Self {
            diagnostic: match first & 0x1f {
                1 => Diagnostic::Expired,
                3 => Diagnostic::NeighbourDown,
                7 => Diagnostic::Administrative,
                _ => Diagnostic::None,
            },
            state,
            poll: flags & POLL != 0,
            last: flags & FINAL != 0,
            demand: flags & DEMAND != 0,
            multiplier,
            mine,
            yours,
            min_tx: micros(min_tx),
            min_rx: micros(min_rx),
        })
    }

    /// The payload of a datagram.
    pub(crate) fn emit(&self) -> [u8; LENGTH] {
        let diagnostic = match self.diagnostic {
            Diagnostic::None => 0,
            Diagnostic::Expired => 1,
            Diagnostic::NeighbourDown => 3,
            Diagnostic::Administrative => 7,
        };
        let state = match self.state {
            State::AdminDown => 0,
            State::Down => 1,
            State::Init => 2,
            State::Up => 3_u8,
        };
        let flag = |on: bool, bit| if on { bit } else { 0 };
        let flags =
            state << 6 | flag(self.poll, POLL) | flag(self.last, FINAL) | flag(self.demand, DEMAND);
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let words = [
            u32::from_be_bytes([VERSION << 5 | diagnostic, flags, self.multiplier, 24]),
            self.mine,
            self.yours,
            micros(self.min_tx),
            micros(self.min_rx),
            // No echo.
            0,
        ];
        let mut bytes = [0; LENGTH];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AdminDown => "admin_down",
            Self::Down => "down",
            Self::Init => "init",
            Self::Up => "up",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no reason told",
            Self::Expired => "nothing was heard for the detection time",
            Self::NeighbourDown => "the neighbour says that it is down",
            Self::Administrative => "ended by hand",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 5880 §4.1 by hand: Up, Poll, multiplier 5, 7 -> 9, 10 ms both ways.
    const GOLDEN: [u8; LENGTH] = [
        0x20, 0xe0, 5, 24, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10, 0, 0, 0, 0,
    ];

    fn golden() -> Packet {
        Packet {
            diagnostic: Diagnostic::None,
            state: State::Up,
            poll: true,
            last: false,
            demand: false,
            multiplier: 5,
            mine: 7,
            yours: 9,
            min_tx: Duration::from_millis(10),
            min_rx: Duration::from_millis(10),
        }
    }

    #[test]
    fn a_packet_is_read_and_written_to_the_byte() {
        assert_eq!(Packet::parse(&GOLDEN), Ok(golden()));
        assert_eq!(golden().emit(), GOLDEN);
    }

    #[test]
    fn each_rule_of_reception_has_its_own_error() {
        let with = |at: usize, value: u8| {
            let mut bytes = GOLDEN;
            bytes[at] = value;
            Packet::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 0x40), Malformed::Version);
        assert_eq!(with(3, 23), Malformed::Length);
        assert_eq!(with(3, 25), Malformed::Length);
        assert_eq!(with(2, 0), Malformed::Multiplier);
        assert_eq!(with(1, 0xe1), Malformed::Multipoint);
        assert_eq!(with(7, 0), Malformed::Discriminator);
        assert_eq!(with(11, 0), Malformed::State);
        let mut longer = [0; 26];
        longer[..LENGTH].copy_from_slice(&GOLDEN);
        (longer[1], longer[3]) = (0xe4, 26);
        assert_eq!(Packet::parse(&longer), Err(Malformed::Authenticated));
        assert_eq!(Packet::parse(&GOLDEN[..23]), Err(Malformed::Length));
        assert_eq!(Packet::parse(&[]), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
            }
        }
    }
}
