//! A warning that comes again and again is told a few times and then counted, so that a flood neither hides what
//! else there is to say nor fills a disk.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// How often a warning is told within a window.
const TOLD: u64 = 5;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);
/// Different warnings that are remembered; beyond that everything is told.
const REMEMBERED: usize = 256;

/// Leaves out what was told often enough.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    known: Mutex<HashMap<String, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u64,
}

impl Repeats {
    /// Whether it is to be told, and what was left out in windows that are over: the words and how often.
    fn count(&self, words: String, now: Instant) -> (bool, Vec<(String, u64)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = Vec::new();
        known.retain(|words, window| {
            let is_over = now.saturating_duration_since(window.since) >= WINDOW;
            if is_over && window.count > TOLD {
                over.push((words.clone(), window.count - TOLD));
            }
            !is_over
        });
        if known.len() >= REMEMBERED && !known.contains_key(&words) {
            return (true, over);
        }
        let window = known.entry(words).or_insert(Window {
            since: now,
            count: 0,
        });
        window.count += 1;
        (window.count <= TOLD, over)
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let (is_told, over) = self.count(words.0, Instant::now());
        for (words, count) in over {
            tracing::info!("{count} more times within {} s: {words}", WINDOW.as_secs());
        }
        is_told
    }
}

#[derive(Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = shape(&format!("{value:?}"));
        }
    }
}

/// The words with a `#` for each number that stands alone: what counts up is the same warning, what has another name
/// or address is not.
fn shape(message: &str) -> String {
    let is_number = |word: &str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let mut parts = digits.splitn(2, '.');
        !digits.is_empty() && parts.all(|part| part.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let words = message.split(' ');
    let words = words.map(|word| if is_number(word) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_five_times_and_then_counted() {
        let repeats = Repeats::default();
        let start = Instant::now();
        let flood = |at| repeats.count("cannot accept".to_owned(), at);
        let told = (0..1000).filter(|_| flood(start).0).count();
        assert_eq!(told, 5);
        assert!(repeats.count("something else".to_owned(), start).0);
        let (is_told, over) = flood(start + WINDOW);
        assert!(is_told);
        assert_eq!(over, [("cannot accept".to_owned(), 995)]);
    }

    #[test]
    fn numbers_make_no_difference_and_names_do() {
        for (one, other) in [
            ("rejected (128 so far)", "rejected (4 so far)"),
            (
                "check duration: 0ms. 1 active",
                "check duration: 17ms. 2 active",
            ),
            ("hangs after 1.2 s", "hangs after 10 s"),
        ] {
            assert_eq!(shape(one), shape(other));
        }
        for (one, other) in [
            ("VI_1: rejected", "VI_2: rejected"),
            ("Server app/1 is DOWN", "Server app/2 is DOWN"),
            ("from 10.77.0.1 rejected", "from 10.77.0.2 rejected"),
        ] {
            assert_ne!(shape(one), shape(other));
        }
    }
}
