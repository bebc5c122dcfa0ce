//! When this machine stood still: without it nobody can tell a program that is late from one that was kept waiting. A
//! thread on each processor notes how late it is woken.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Time between two measurements.
const EVERY: Duration = Duration::from_millis(20);
/// Shorter waits are not kept.
const WORTH_KEEPING: Duration = Duration::from_millis(5);

/// Running threads; they stop with their owner.
pub(crate) struct Gauge {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    looked: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct Seen {
    /// From when, and until when.
    halts: Vec<(Instant, Instant)>,
    /// Up to when each thread has measured.
    until: Vec<Instant>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gauge {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let here = sched_getaffinity(None).unwrap();
        for processor in (0..CpuSet::MAX_CPU).filter(|one| here.is_set(*one)) {
            let number = {
                let mut seen = shared.seen();
                seen.until.push(Instant::now());
                seen.until.len() - 1
            };
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut own = CpuSet::new();
                own.set(processor);
                // Wherever it runs, it is late when its machine is.
                let _ = sched_setaffinity(None, &own);
                measure(number, &shared);
            });
        }
        Self { shared }
    }

    /// How long it stood still at each time since then that it did, on one processor or on several at once.
    pub(crate) fn halts(&self, since: Instant) -> Vec<Duration> {
        let now = Instant::now();
        let seen = self.shared.seen();
        // A thread that stood still until now has not told yet.
        let lags = |seen: &mut Seen| seen.until.iter().any(|until| *until < now);
        let seen = self.shared.looked.wait_while(seen, lags);
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        let mut halts: Vec<_> = seen.halts.clone();
        drop(seen);
        halts.retain(|(_, to)| *to > since);
        halts.sort_unstable();
        let mut merged: Vec<(Instant, Instant)> = Vec::new();
        for (from, to) in halts {
            match merged.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => merged.push((from, to)),
            }
        }
        let lengths = merged.into_iter().map(|(from, to)| to - from);
        lengths.collect()
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn measure(number: usize, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        let due = Instant::now() + EVERY;
        thread::sleep(EVERY);
        let now = Instant::now();
        let mut seen = shared.seen();
        if now.saturating_duration_since(due) >= WORTH_KEEPING {
            seen.halts.push((due, now));
        }
        seen.until[number] = now;
        drop(seen);
        shared.looked.notify_all();
    }
}
