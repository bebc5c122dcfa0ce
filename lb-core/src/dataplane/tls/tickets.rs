//! Session tickets: sealed by keys that all workers share and that outlive a reload.
//!
//! What opens a ticket is derived from a key and from what is asked of clients, so that a session made before a
//! client had to show a certificate, or one that has been revoked since, is not taken up where it has to.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use rustls::server::ProducesTickets;

use super::super::clock;
use crate::config::TicketKey;

/// How long keys of our own seal; they open for as long again.
const TERM: Duration = Duration::from_secs(6 * 60 * 60);
const NAME: usize = 16;
const NONCE: usize = 12;
/// Tickets that hold long chains of clients are not made longer than a record.
const LONGEST: usize = 16 * 1024;

/// A key: its name, which stands open in each ticket, and its secret.
#[derive(Clone)]
struct Key {
    name: [u8; NAME],
    secret: hmac::Key,
}

impl Key {
    fn random() -> Option<Self> {
        let random = SystemRandom::new();
        let (mut name, mut secret) = ([0; NAME], [0; 32]);
        random.fill(&mut name).ok()?;
        random.fill(&mut secret).ok()?;
        Some(Self {
            name,
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
    }

    fn given(key: &TicketKey) -> Option<Self> {
        let (name, secret) = key.0.split_first_chunk::<NAME>()?;
        Some(Self {
            name: *name,
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret),
        })
    }

    /// What seals under `purpose`.
    fn cipher(&self, purpose: &[u8]) -> Option<LessSafeKey> {
        let derived = hmac::sign(&self.secret, purpose);
        let key = UnboundKey::new(&CHACHA20_POLY1305, derived.as_ref()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

/// Keys of our own, made and given up as time goes by.
#[derive(Default)]
pub(in crate::dataplane) struct TicketKeys(Mutex<Own>);

#[derive(Default)]
struct Own {
    current: Option<(Key, Instant)>,
    previous: Option<Key>,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys")
    }
}

impl TicketKeys {
    /// The key that seals, and the one that sealed before it.
    fn keys(&self, now: Instant) -> (Option<Key>, Option<Key>) {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = own
            .current
            .as_ref()
            .map(|(_, since)| now.saturating_duration_since(*since));
        if age.is_none_or(|age| age >= TERM) {
            let old = own.current.take().map(|(key, _)| key);
            // After a long silence the last key is too old as well.
            own.previous = old.filter(|_| age.is_some_and(|age| age < 2 * TERM));
            own.current = Key::random().map(|key| (key, now));
        }
        let current = own.current.as_ref().map(|(key, _)| key.clone());
        (current, own.previous.clone())
    }
}

enum Source {
    Own(Arc<TicketKeys>),
    /// `tls-ticket-keys`, in the order of the file.
    Given(Vec<Key>),
}

/// Seals and opens the tickets of one kind of session.
pub(super) struct Ticketer {
    source: Source,
    purpose: Vec<u8>,
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

impl Ticketer {
    /// With the keys of a file, or else with our own; tickets of another `purpose` are not opened.
    pub(super) fn new(own: &Arc<TicketKeys>, given: &[TicketKey], purpose: Vec<u8>) -> Self {
        let given: Vec<Key> = given.iter().filter_map(Key::given).collect();
        Self {
            source: match given.is_empty() {
                true => Source::Own(Arc::clone(own)),
                false => Source::Given(given),
            },
            purpose,
        }
    }

    fn sealing(&self) -> Option<Key> {
        match &self.source {
            Source::Own(own) => own.keys(clock::recent()).0,
            Source::Given(keys) => keys.iter().rev().nth(1).or(keys.last()).cloned(),
        }
    }

    fn opening(&self, name: &[u8; NAME]) -> Option<Key> {
        match &self.source {
            Source::Own(own) => {
                let (current, previous) = own.keys(clock::recent());
                [current, previous]
                    .into_iter()
                    .flatten()
                    .find(|key| key.name == *name)
            }
            Source::Given(keys) => keys.iter().rev().find(|key| key.name == *name).cloned(),
        }
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(2 * TERM.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.sealing()?;
        let mut nonce = [0; NONCE];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut ticket =
            Vec::with_capacity(NAME + NONCE + plain.len() + CHACHA20_POLY1305.tag_len());
        ticket.extend(key.name);
        ticket.extend(nonce);
        let mut sealed = plain.to_vec();
        key.cipher(&self.purpose)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(key.name),
                &mut sealed,
            )
            .ok()?;
        ticket.extend(sealed);
        (ticket.len() <= LONGEST).then_some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > LONGEST {
            return None;
        }
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let key = self.opening(name)?;
        let mut plain = sealed.to_vec();
        let length = key
            .cipher(&self.purpose)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(key.name),
                &mut plain,
            )
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[u8]) -> Vec<TicketKey> {
        names
            .iter()
            .map(|name| TicketKey(Arc::from([*name; 48])))
            .collect()
    }

    #[test]
    fn a_ticket_opens_for_its_purpose_alone() {
        let own = Arc::default();
        let ticketer = Ticketer::new(&own, &[], b"verify none".to_vec());
        let ticket = ticketer.encrypt(b"session").unwrap();
        assert_eq!(ticketer.decrypt(&ticket).unwrap(), b"session");
        let other = Ticketer::new(&own, &[], b"verify required".to_vec());
        assert_eq!(other.decrypt(&ticket), None);
        let same = Ticketer::new(&own, &[], b"verify none".to_vec());
        assert_eq!(same.decrypt(&ticket).unwrap(), b"session");
        for at in 0..ticket.len() {
            let mut bad = ticket.clone();
            bad[at] ^= 1;
            assert_eq!(ticketer.decrypt(&bad), None, "{at}");
            assert_eq!(ticketer.decrypt(&ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn keys_of_a_file_turn_as_new_ones_are_appended() {
        let own = Arc::default();
        let old = Ticketer::new(&own, &given(&[1, 2, 3]), Vec::new());
        let ticket = old.encrypt(b"session").unwrap();
        assert_eq!(ticket[..NAME], [2; NAME], "the last but one seals");
        let new = Ticketer::new(&own, &given(&[2, 3, 4]), Vec::new());
        assert_eq!(new.decrypt(&ticket).unwrap(), b"session");
        assert_eq!(new.encrypt(b"session").unwrap()[..NAME], [3; NAME]);
        let later = Ticketer::new(&own, &given(&[3, 4, 5]), Vec::new());
        assert_eq!(later.decrypt(&ticket), None);
    }

    #[test]
    fn own_keys_are_given_up_after_two_terms() {
        let keys = TicketKeys::default();
        let start = clock::now();
        let name = |key: Option<Key>| key.map(|key| key.name);
        let first = name(keys.keys(start).0);
        assert!(name(keys.keys(start + TERM / 2).0) == first);
        let (second, before) = keys.keys(start + TERM);
        assert!(name(second.clone()) != first && name(before) == first);
        let (third, before) = keys.keys(start + TERM * 2);
        assert!(name(before) == name(second) && name(third) != first);
        let (_, before) = keys.keys(start + TERM * 5);
        assert!(before.is_none());
    }
}
