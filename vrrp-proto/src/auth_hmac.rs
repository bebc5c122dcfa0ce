//! keepalived's `auth_hmac` (2.4.1 and later; draft-cassen-vrrp-auth-hmac): a [`Trailer`] that proves
//! who sent an advertisement and that it is fresh. For both versions and both families, multicast
//! and unicast; the only authentication that VRRPv3 has. Feature `auth`.
//!
//! The tag is HMAC-SHA256, cut to its first 128 bits, over
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! | Family: 4, 6  |    Version    |     VRID      |       0       |
//! +---------------+---------------+---------------+---------------+
//! |   Source address, 16 bytes; IPv4 in the first 4, then 0       |
//! +---------------------------------------------------------------+
//! |   Message, its checksum field read as 0                       |
//! +---------------------------------------------------------------+
//! |   Trailer, its tag read as 0                                  |
//! +---------------------------------------------------------------+
//! ```
//!
//! so that it is the same for each of an advertisement's unicast copies, and no trailer fits
//! another virtual router, another sender or another content. Keys have numbers; a receiver takes
//! any key that it knows, so that keys are changed without a gap: all learn the new one, then all
//! sign with it, then the old one is forgotten.
//!
//! ```
//! use std::{net::{IpAddr, Ipv4Addr}, time::Duration};
//! use vrrp_proto::{Advertisement, Addresses, Auth, ChecksumMode, Envelope, Interval};
//! use vrrp_proto::{Priority, Version, Vrid, auth_hmac::*};
//!
//! let keys = || [Key::new(1, &[7; 32]).unwrap()];
//! let settings = Settings { mode: Mode::Enforce, active_key: 1, anti_replay: AntiReplay::Monotonic };
//! let mut sender = Authenticator::new(keys(), settings)?;
//! let mut receiver = Authenticator::new(keys(), settings)?;
//! let unix = Duration::from_secs(1_750_000_000); // the caller reads the clock
//!
//! let addresses = [IpAddr::from([192, 0, 2, 100])];
//! let advertisement = Advertisement {
//!     version: Version::V3,
//!     vrid: Vrid::new(51).unwrap(),
//!     priority: Priority::DEFAULT,
//!     interval: Interval::DEFAULT,
//!     addresses: Addresses::from(&addresses[..]),
//!     auth: Auth::None,
//! };
//! let envelope = Envelope::multicast(IpAddr::from([198, 51, 100, 10]));
//! let mut buffer = [0; 64];
//! let message = advertisement.emit(&envelope, &mut buffer, ChecksumMode::PseudoHeader)?;
//! let length = match sender.sealer(unix) {
//!     Some(sealer) => sealer.seal(message, &envelope, &mut buffer)?,
//!     None => message, // Mode::ReceiveOnly
//! };
//!
//! let parsed = Advertisement::parse_packet(&buffer[..length], &envelope)?;
//! assert!(receiver.verify(&parsed, &envelope, unix).is_ok());
//! assert_eq!(receiver.verify(&parsed, &envelope, unix), Err(VerifyError::Replay(parsed.trailer.unwrap().sequence)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::{fmt, net::IpAddr, num::NonZeroU8, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{ChecksumMode, Envelope, Family, Parsed, Sequence, Trailer, checksum::checksum};

mod error;
mod replay;

pub use error::{KeyError, SealError, SettingsError, VerifyError};
use replay::Marks;
pub use replay::{Mark, Memory};

/// Family, version, VRID, zero, source.
const PSEUDO_LEN: usize = 20;
/// Where the checksum stands in a message.
const CHECKSUM: core::ops::Range<usize> = 6..8;

/// A secret with its number. Never printed.
#[derive(Clone)]
pub struct Key {
    id: NonZeroU8,
    /// The secret, already taken in.
    mac: Hmac<Sha256>,
}

impl Key {
    /// Shortest secret: a 128-bit tag is worth as much as that.
    pub const MIN_LEN: usize = 32;
    /// Longest secret.
    pub const MAX_LEN: usize = 64;

    /// A key of 32 to 64 bytes, with a number from 1 to 255.
    ///
    /// # Errors
    /// Number 0, another length.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, KeyError> {
        let id = NonZeroU8::new(id).ok_or(KeyError::IdZero)?;
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&secret.len()) {
            return Err(KeyError::Length(secret.len()));
        }
        let mac = Hmac::new_from_slice(secret).map_err(|_| KeyError::Length(secret.len()))?;
        Ok(Self { id, mac })
    }

    /// Its number.
    pub const fn id(&self) -> u8 {
        self.id.get()
    }

    /// Whether the secrets are the same: both authenticate nothing by the same tag.
    fn is_same(&self, other: &Self) -> bool {
        self.mac.clone().finalize() == other.mac.clone().finalize()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// What is sent and what is demanded. A cluster that has no authentication yet goes through all
/// three, host by host, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing is signed yet, but trailers are understood.
    ReceiveOnly,
    /// Everything is signed; what comes without a trailer is accepted.
    Permissive,
    /// Everything is signed; what comes without a trailer is rejected.
    Enforce,
}

/// What an old advertisement is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AntiReplay {
    /// Its time is farther from ours than this, in whole seconds; or its sequence number does not
    /// follow the sender's last. Clocks must agree that far.
    Time(Duration),
    /// Its sequence number does not follow the sender's last. A receiver that starts again knows
    /// of no last one.
    Monotonic,
}

impl AntiReplay {
    /// keepalived's: three intervals, at least five seconds.
    pub fn default_window(interval: Duration) -> Duration {
        let seconds = interval.saturating_mul(3).as_millis().div_ceil(1000);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX).max(5))
    }

    fn window(self) -> Option<i64> {
        match self {
            Self::Time(window) => Some(i64::try_from(window.as_secs()).unwrap_or(i64::MAX)),
            Self::Monotonic => None,
        }
    }
}

/// How an [`Authenticator`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What is sent and what is demanded.
    pub mode: Mode,
    /// Number of the key that is signed with.
    pub active_key: u8,
    /// What an old advertisement is recognised by.
    pub anti_replay: AntiReplay,
}

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// There was no trailer, and none is demanded.
    Unsigned,
    /// The trailer is right.
    Signed {
        /// The key's number.
        key: u8,
        /// By how many seconds the sender's clock is behind ours (in front of it: negative). `None`
        /// if time plays no part.
        behind: Option<i64>,
    },
}

/// Keys, settings and sequence numbers of one virtual router; `K` is an array or a boxed slice of
/// [`Key`]s.
#[derive(Debug, Clone)]
pub struct Authenticator<K> {
    keys: K,
    settings: Settings,
    sent: Option<Sequence>,
    marks: Marks,
}

impl<K: AsRef<[Key]>> Authenticator<K> {
    /// Nothing was sent or heard yet.
    ///
    /// # Errors
    /// Two keys of one number; no key of the number to sign with.
    pub fn new(keys: K, settings: Settings) -> Result<Self, SettingsError> {
        let mut ids = keys.as_ref().iter().enumerate();
        if let Some((_, twice)) =
            ids.find(|(place, key)| keys.as_ref().iter().skip(place + 1).any(|o| o.id == key.id))
        {
            return Err(SettingsError::Duplicate(twice.id()));
        }
        if !keys
            .as_ref()
            .iter()
            .any(|key| key.id() == settings.active_key)
        {
            return Err(SettingsError::NoActiveKey(settings.active_key));
        }
        Ok(Self {
            keys,
            settings,
            sent: None,
            marks: Marks::default(),
        })
    }

    /// How it behaves.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a successor (reload, upgrade) must know for no old packet to be taken for a new one.
    pub const fn memory(&self) -> Memory {
        Memory {
            sent: self.sent,
            marks: self.marks,
        }
    }

    /// Goes on where a predecessor with the same or other keys has ended.
    pub const fn resume(&mut self, memory: Memory) {
        (self.sent, self.marks) = (memory.sent, memory.marks);
    }

    /// Takes over from one with other settings or keys ([`Authenticator::resume`]). What was heard under a number that
    /// has another secret now is forgotten: whoever holds the old secret may have driven it up.
    pub fn succeed(&mut self, before: &Self) {
        let is_other = |id| match (self.key(id), before.key(id)) {
            (Some(new), Some(old)) => !new.is_same(old),
            _ => false,
        };
        let marks = before.marks.without(is_other);
        (self.sent, self.marks) = (before.sent, marks);
    }

    /// Verifies what was received, at the time of day `unix` (since 1970): form, time, key, tag,
    /// sequence number, in keepalived's order. Only a packet that passes all of them is remembered.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &mut self,
        parsed: &Parsed<'_>,
        envelope: &Envelope,
        unix: Duration,
    ) -> Result<Verified, VerifyError> {
        let Some(trailer) = &parsed.trailer else {
            return match self.settings.mode {
                Mode::Enforce => Err(VerifyError::Missing),
                Mode::Permissive | Mode::ReceiveOnly => Ok(Verified::Unsigned),
            };
        };
        if trailer.scheme != Trailer::SCHEME || trailer.reserved != 0 {
            return Err(VerifyError::Malformed {
                scheme: trailer.scheme,
                reserved: trailer.reserved,
            });
        }
        // Before the tag is computed: a flood of old packets costs next to nothing.
        let window = self.settings.anti_replay.window();
        let behind = trailer.sequence.age(unix);
        if window.is_some_and(|window| behind.abs() > window) {
            return Err(VerifyError::Stale { behind });
        }
        let unknown = VerifyError::UnknownKey(trailer.key);
        let key = self.key(trailer.key).ok_or(unknown)?;
        tag(key, parsed.message, &trailer.prefix(), envelope)
            .verify_truncated_left(&trailer.tag)
            .map_err(|_| VerifyError::Tag)?;
        // A mark outside of the window only keeps out what the window keeps out; and it would keep
        // out a sender whose clock was set back.
        let gone = |mark: Sequence| window.is_some_and(|w| mark.age(unix).abs() > w);
        if !self
            .marks
            .advance(envelope.source, trailer.key, trailer.sequence, gone)
        {
            return Err(VerifyError::Replay(trailer.sequence));
        }
        Ok(Verified::Signed {
            key: trailer.key,
            behind: window.map(|_| behind),
        })
    }

    /// Begins one advertisement at the time of day `unix`: takes the next sequence number, under
    /// which each of its copies is sealed. `None` if nothing is signed.
    pub fn sealer(&mut self, unix: Duration) -> Option<Sealer<'_>> {
        if self.settings.mode == Mode::ReceiveOnly {
            return None;
        }
        let clock = Sequence::at(unix);
        // A clock that was set back: by time, receivers would soon hold what counts on for one from
        // the future; without time, only what counts on is new.
        let window = self.settings.anti_replay.window();
        let stranded = |sent: Sequence| window.is_some_and(|window| sent.age(unix) < -window);
        let sequence = match self.sent {
            Some(sent) if !clock.follows(sent) && !stranded(sent) => sent.next(),
            Some(_) | None => clock,
        };
        self.sent = Some(sequence);
        Some(Sealer {
            key: self.key(self.settings.active_key)?,
            sequence,
        })
    }

    fn key(&self, id: u8) -> Option<&Key> {
        self.keys.as_ref().iter().find(|key| key.id() == id)
    }
}

/// One advertisement's sequence number, and the key.
#[derive(Debug, Clone, Copy)]
#[must_use = "the sequence number has been used up"]
pub struct Sealer<'k> {
    key: &'k Key,
    sequence: Sequence,
}

impl Sealer<'_> {
    /// Appends the trailer to the message of that length at the start of `buffer` and returns the
    /// length of both. Over IPv6, whose checksum covers it, that is put right.
    ///
    /// # Errors
    /// No message, a buffer too small, addresses of two families.
    pub fn seal(
        &self,
        message_len: usize,
        envelope: &Envelope,
        buffer: &mut [u8],
    ) -> Result<usize, SealError> {
        let family = envelope.family().ok_or(SealError::MixedFamilies)?;
        if message_len < CHECKSUM.end {
            return Err(SealError::NoMessage(message_len));
        }
        let required = message_len + Trailer::LEN;
        let available = buffer.len();
        let too_small = SealError::BufferTooSmall {
            required,
            available,
        };
        let packet = buffer.get_mut(..required).ok_or(too_small)?;
        let (message, place) = packet.split_at_mut(message_len);
        let prefix = Trailer {
            scheme: Trailer::SCHEME,
            key: self.key.id(),
            reserved: 0,
            sequence: self.sequence,
            tag: [0; Trailer::TAG_LEN],
        }
        .prefix();
        let whole: [u8; 32] = tag(self.key, message, &prefix, envelope)
            .finalize()
            .into_bytes()
            .into();
        for (to, from) in place.iter_mut().zip(prefix.iter().chain(&whole)) {
            *to = *from;
        }
        if family == Family::Ipv6 {
            set_checksum(packet, [0, 0]);
            let sum = checksum(packet, envelope, ChecksumMode::PseudoHeader);
            set_checksum(packet, sum.to_be_bytes());
        }
        Ok(required)
    }
}

fn set_checksum(packet: &mut [u8], sum: [u8; 2]) {
    if let Some(field) = packet.get_mut(CHECKSUM) {
        field.copy_from_slice(&sum);
    }
}

/// The code over what the module's picture shows.
fn tag(
    key: &Key,
    message: &[u8],
    prefix: &[u8; Trailer::PREFIX_LEN],
    envelope: &Envelope,
) -> Hmac<Sha256> {
    let mut pseudo = [0; PSEUDO_LEN];
    let (identity, source) = pseudo.split_at_mut(4);
    let version = message.first().map_or(0, |byte| byte >> 4);
    let vrid = message.get(1).copied().unwrap_or(0);
    let copy = |place: &mut [u8], bytes: &[u8]| {
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
    };
    match envelope.source {
        IpAddr::V4(v4) => {
            copy(identity, &[4, version, vrid]);
            copy(source, &v4.octets());
        }
        IpAddr::V6(v6) => {
            copy(identity, &[6, version, vrid]);
            copy(source, &v6.octets());
        }
    }
    let mut mac = key.mac.clone();
    mac.update(&pseudo);
    mac.update(message.get(..CHECKSUM.start).unwrap_or_default());
    mac.update(&[0; 2]);
    mac.update(message.get(CHECKSUM.end..).unwrap_or_default());
    mac.update(prefix);
    mac.update(&[0; Trailer::TAG_LEN]);
    mac
}

#[cfg(test)]
mod tests;
