//! Letters that wait for a mail server, in their order. Pure: time is passed in.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{Attempt, letter::Letter};
use crate::admin::status;

/// More letters do not wait: the oldest is given up.
const ROOM: usize = 100;
/// From the first failure to the next attempt; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

/// What waits, and what has become of the others.
#[derive(Debug, Default)]
pub struct Outbox {
    letters: VecDeque<Letter>,
    next: Option<Instant>,
    /// Attempts in a row that failed.
    failures: u32,
    sent: u64,
    refused: u64,
    dropped: u64,
    retries: u64,
    last_error: Option<(String, f64)>,
    last_sent: Option<f64>,
}

impl Outbox {
    /// Takes a letter in; the one that has to go for it. The oldest may be `under_way`: what becomes of that one is told
    /// by [`Outbox::ended`].
    pub fn push(&mut self, letter: Letter, under_way: bool, now: Instant) -> Option<Letter> {
        self.letters.push_back(letter);
        self.next.get_or_insert(now);
        if self.letters.len() <= ROOM {
            return None;
        }
        self.dropped += 1;
        self.letters.remove(usize::from(under_way))
    }

    /// The oldest.
    pub fn first(&self) -> Option<&Letter> {
        self.letters.front()
    }

    /// All, the oldest first.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter()
    }

    /// When the oldest is to be tried.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Whether the last attempt did not fail.
    pub fn is_fine(&self) -> bool {
        self.failures == 0
    }

    /// Tries at once what waits.
    pub fn hurry(&mut self, now: Instant) {
        self.failures = 0;
        self.next = (!self.letters.is_empty()).then_some(now);
    }

    /// An attempt with the oldest has ended.
    pub fn ended(&mut self, attempt: &Attempt, now: Instant) {
        match attempt {
            Attempt::Sent => {
                self.sent += 1;
                self.last_sent = Some(unix_time());
                self.letters.pop_front();
            }
            Attempt::Never(why) => {
                self.refused += 1;
                self.last_error = Some((why.clone(), unix_time()));
                self.letters.pop_front();
            }
            Attempt::Later(why) => {
                self.retries += 1;
                self.last_error = Some((why.clone(), unix_time()));
                let wait = FIRST
                    .saturating_mul(1 << self.failures.min(10))
                    .min(LONGEST);
                self.failures += 1;
                self.next = Some(now + wait);
                return;
            }
        }
        self.failures = 0;
        self.next = (!self.letters.is_empty()).then_some(now);
    }

    /// What `status` shows.
    pub fn status(&self, server: String, sending: bool, now: Instant) -> status::Mail {
        let left = |at: Instant| at.saturating_duration_since(now).as_secs_f64();
        status::Mail {
            server,
            queued: self.letters.len(),
            sent: self.sent,
            refused: self.refused,
            dropped: self.dropped,
            retries: self.retries,
            sending,
            retry_in: self
                .next
                .filter(|_| self.failures > 0 && !sending)
                .map(left),
            last_sent_at: self.last_sent,
            last_error: self.last_error.as_ref().map(|(why, _)| why.clone()),
            last_error_at: self.last_error.as_ref().map(|(_, at)| *at),
        }
    }
}

fn unix_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: usize) -> Letter {
        Letter {
            subject: number.to_string(),
            body: String::new(),
            date: String::new(),
        }
    }

    #[test]
    fn a_dead_server_is_asked_ever_more_seldom_and_the_oldest_letters_are_given_up() {
        let mut outbox = Outbox::default();
        let start = Instant::now();
        let later = Attempt::Later("refused".to_owned());
        assert_eq!(outbox.next_deadline(), None);
        outbox.push(letter(0), false, start);
        assert_eq!(outbox.next_deadline(), Some(start));
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..9 {
            outbox.ended(&later, now);
            let next = outbox.next_deadline().unwrap();
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        let lost: Vec<_> = (1..=ROOM + 1)
            .filter_map(|n| outbox.push(letter(n), false, now))
            .collect();
        assert_eq!(lost, [letter(0), letter(1)]);
        assert_eq!(
            outbox.next_deadline(),
            Some(now),
            "a new letter does not hurry"
        );
        let status = outbox.status("s".to_owned(), false, now);
        assert_eq!(
            (status.queued, status.dropped, status.retries),
            (ROOM, 2, 9)
        );
        assert_eq!(status.last_error.as_deref(), Some("refused"));

        outbox.ended(&Attempt::Sent, now);
        assert_eq!(outbox.first(), Some(&letter(3)), "in their order");
        assert_eq!(
            outbox.next_deadline(),
            Some(now),
            "the others follow at once"
        );
        outbox.ended(&Attempt::Never("550".to_owned()), now);
        assert_eq!(outbox.first(), Some(&letter(4)));
        let status = outbox.status("s".to_owned(), false, now);
        assert_eq!((status.sent, status.refused, status.retry_in), (1, 1, None));
    }

    #[test]
    fn a_letter_that_is_under_way_is_not_given_up() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for number in 0..ROOM {
            outbox.push(letter(number), false, now);
        }
        assert_eq!(outbox.push(letter(ROOM), true, now), Some(letter(1)));
        outbox.ended(&Attempt::Sent, now);
        assert_eq!(outbox.first(), Some(&letter(2)), "the first has been sent");
    }
}
