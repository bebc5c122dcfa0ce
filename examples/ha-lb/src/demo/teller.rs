//! The inner process's mouth: messages to the outer one, one line each, on standard output.

use std::{
    io::{self, Write as _},
    time::Instant,
};

use super::message::Message;

/// Tells, and knows when it all began.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    began: Instant,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Milliseconds from the beginning to `at`.
    pub(super) fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the beginning.
    pub(super) fn now_ms(&self) -> u64 {
        self.ms(Instant::now())
    }

    /// Tells a sentence.
    pub(super) fn say(&self, text: impl Into<String>) {
        self.tell(&Message::Say {
            at_ms: self.now_ms(),
            text: text.into(),
        });
    }

    /// Tells a message. When nobody listens any more, the leash ends this process.
    pub(super) fn tell(&self, message: &Message) {
        if let Ok(mut line) = serde_json::to_string(message) {
            line.push('\n');
            let mut out = io::stdout().lock();
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }
}
