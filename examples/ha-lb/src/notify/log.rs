//! What has become of the scripts of one instance or sync group.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{admin::status, supervisor::command::Command};

/// How many scripts wait for the one that runs: one that hangs must not gather hours of changes behind it.
pub(super) const WAITING: usize = 64;

/// Shared by the queue and whoever asks; never locked for long.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    waiting: VecDeque<Command>,
    dropped: u64,
    running: Option<(String, Instant)>,
    runs: u64,
    failures: u64,
    last: Option<status::Run>,
    last_failure: Option<status::Run>,
}

impl Entries {
    fn count_dropped(&mut self, count: usize) -> usize {
        let more = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped = self.dropped.saturating_add(more);
        count
    }
}

impl Log {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command is queued, in the place of the oldest if too many wait; returns how many were dropped.
    pub(super) fn waits(&self, command: Command) -> usize {
        let mut entries = self.entries();
        entries.waiting.push_back(command);
        let excess = entries.waiting.len().saturating_sub(WAITING);
        entries.waiting.drain(..excess);
        entries.count_dropped(excess)
    }

    /// None of those that wait is run; returns how many these were.
    pub(super) fn supersede(&self) -> usize {
        let mut entries = self.entries();
        let all = entries.waiting.len();
        entries.waiting.clear();
        entries.count_dropped(all)
    }

    /// The next of those that wait is run.
    pub(super) fn begins(&self) -> Option<(Command, Instant)> {
        let now = Instant::now();
        let mut entries = self.entries();
        let command = entries.waiting.pop_front()?;
        entries.running = Some((command.words.join(" "), now));
        Some((command, now))
    }

    /// One that did not wait runs.
    pub(super) fn started(&self, command: &Command) {
        self.entries().running = Some((command.words.join(" "), Instant::now()));
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
            waiting: entries.waiting.len(),
            dropped: entries.dropped,
            running: running.map(|(words, _)| words.clone()),
            running_for: running.map(|(_, since)| since.elapsed().as_secs_f64()),
            runs: entries.runs,
            failures: entries.failures,
            last: entries.last.clone(),
            last_failure: entries.last_failure.clone(),
        }
    }
}
