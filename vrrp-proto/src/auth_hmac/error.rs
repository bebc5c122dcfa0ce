//! Why a trailer is not believed, or cannot be made.

use crate::{Cause, Sequence};

/// Why a received packet is not authentic. In the order in which the checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is none.
    #[error("no authentication trailer")]
    Missing,
    /// Of another scheme, or not as this one demands.
    #[error("an authentication trailer of scheme {scheme}, reserved {reserved}, not 1 and 0")]
    Malformed {
        /// How it was made.
        scheme: u8,
        /// What must be zero.
        reserved: u16,
    },
    /// An old packet, or one of two clocks is wrong.
    #[error("the sender's clock is {} s {}: an old packet, or a wrong clock", behind.unsigned_abs(), if *behind > 0 { "behind ours" } else { "ahead of ours" })]
    Stale {
        /// By how many seconds it is behind ours; negative if it is in front.
        behind: i64,
    },
    /// No key of that number.
    #[error("no key {0} here")]
    UnknownKey(u8),
    /// Another key of the same number, or the packet was changed or forged.
    #[error("the authentication tag is wrong: another key, or a forged packet")]
    Tag,
    /// The sender was heard with this sequence number or a later one.
    #[error("sequence number {0} was already processed")]
    Replay(Sequence),
}

impl VerifyError {
    /// What to count the packet under.
    pub const fn cause(self) -> Cause {
        match self {
            Self::Missing => Cause::HmacMissing,
            Self::Malformed { .. } => Cause::HmacMalformed,
            Self::Stale { .. } => Cause::HmacStale,
            Self::UnknownKey(_) => Cause::HmacUnknownKey,
            Self::Tag => Cause::HmacInvalid,
            Self::Replay(_) => Cause::Replay,
        }
    }
}

/// Why bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Numbers begin at 1.
    #[error("key number 0: use 1 to 255")]
    IdZero,
    /// Too short to be safe, or longer than what all accept.
    #[error("a key of {0} bytes, not 32 to 64")]
    Length(usize),
}

/// Why keys and settings do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A number names one key.
    #[error("two keys {0}")]
    Duplicate(u8),
    /// Nothing to sign with.
    #[error("the active key {0} is not one of the keys")]
    NoActiveKey(u8),
}

/// Why a message cannot be sealed: the caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Source and destination of the envelope are of different families.
    #[error("source and destination are of different address families")]
    MixedFamilies,
    /// Shorter than any message.
    #[error("{0} bytes are no message")]
    NoMessage(usize),
    /// The buffer is too small.
    #[error("buffer of {available} bytes, {required} are needed")]
    BufferTooSmall {
        /// What the packet needs.
        required: usize,
        /// What there is.
        available: usize,
    },
}
