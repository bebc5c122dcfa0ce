//! What has become of the scripts of one instance or sync group.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::admin::status;

/// Shared by the queue and whoever asks; never locked for long.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    waiting: usize,
    running: Option<(String, Instant)>,
    runs: u64,
    failures: u64,
    last: Option<status::Run>,
    last_failure: Option<status::Run>,
}

impl Log {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command was queued.
    pub(super) fn waits(&self) {
        self.entries().waiting += 1;
    }

    /// One of those that wait is run.
    pub(super) fn begins(&self, words: &str) -> Instant {
        let now = Instant::now();
        let mut entries = self.entries();
        entries.waiting = entries.waiting.saturating_sub(1);
        entries.running = Some((words.to_owned(), now));
        now
    }

    /// It has ended.
    pub(super) fn ended(&self, run: status::Run) {
        let mut entries = self.entries();
        entries.running = None;
        entries.runs += 1;
        if !run.passed {
            entries.failures += 1;
            entries.last_failure = Some(run.clone());
        }
        entries.last = Some(run);
    }

    /// For `status`.
    pub(super) fn status(&self, (kind, name): (&str, &str)) -> status::Notify {
        let entries = self.entries();
        let running = entries.running.as_ref();
        status::Notify {
            kind: kind.to_ascii_lowercase(),
            name: name.to_owned(),
            waiting: entries.waiting,
            running: running.map(|(words, _)| words.clone()),
            running_for: running.map(|(_, since)| since.elapsed().as_secs_f64()),
            runs: entries.runs,
            failures: entries.failures,
            last: entries.last.clone(),
            last_failure: entries.last_failure.clone(),
        }
    }
}
