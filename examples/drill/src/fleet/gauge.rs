//! When this machine stood still: a virtual one does not run for milliseconds now and then, and nobody can tell a program
//! that is late then from one that was kept waiting. A thread on each processor, before everything else there, notes how
//! late it is woken.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    libc,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use super::wall;

/// Time between two measurements.
const EVERY: Duration = Duration::from_micros(500);
/// Every machine is late by less.
const WORTH_KEEPING: Duration = Duration::from_micros(100);

/// A time that a processor stood still: from when, on [`wall`]'s clock, and for how long.
#[derive(Debug, Clone, Copy)]
struct Halt {
    from: Duration,
    lasted: Duration,
}

/// Running gauges, one for each processor; they stop with their owner.
#[derive(Debug)]
pub(crate) struct Gauge {
    halts: Arc<Mutex<Vec<Halt>>>,
    stop: Arc<AtomicBool>,
    /// A thread is not allowed to go before all others: what it is late by may be others' work.
    refused: Arc<AtomicBool>,
}

impl Gauge {
    pub(crate) fn start() -> io::Result<Self> {
        let gauge = Self {
            halts: Arc::default(),
            stop: Arc::default(),
            refused: Arc::default(),
        };
        for processor in each_processor()? {
            let (halts, stop) = (Arc::clone(&gauge.halts), Arc::clone(&gauge.stop));
            let refused = Arc::clone(&gauge.refused);
            let measure = move || {
                if !go_first(processor) {
                    refused.store(true, Ordering::Relaxed);
                }
                measure(&halts, &stop);
            };
            thread::Builder::new()
                .name("gauge".to_owned())
                .spawn(measure)?;
        }
        Ok(gauge)
    }

    /// One that has seen these halts, by when they began and how long they lasted.
    #[cfg(test)]
    pub(crate) fn with(halts: &[(Duration, Duration)]) -> Self {
        let halts = halts.iter().map(|&(from, lasted)| Halt { from, lasted });
        Self {
            halts: Arc::new(Mutex::new(halts.collect())),
            stop: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Whether nothing but the machine and the kernel makes it late.
    pub(crate) fn goes_first(&self) -> bool {
        !self.refused.load(Ordering::Relaxed)
    }

    /// The longest that a processor stood still in that time.
    pub(crate) fn longest(&self, from: Duration, to: Duration) -> Duration {
        let halts = self.halts.lock().unwrap_or_else(PoisonError::into_inner);
        let within = halts
            .iter()
            .filter(|halt| halt.from < to && halt.from + halt.lasted > from);
        within.map(|halt| halt.lasted).max().unwrap_or_default()
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn measure(halts: &Mutex<Vec<Halt>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let due = Instant::now() + EVERY;
        let from = wall() + EVERY;
        thread::sleep(EVERY);
        let lasted = Instant::now().saturating_duration_since(due);
        if lasted >= WORTH_KEEPING {
            let mut halts = halts.lock().unwrap_or_else(PoisonError::into_inner);
            halts.push(Halt { from, lasted });
        }
    }
}

/// Those that this thread may run on.
pub(super) fn each_processor() -> io::Result<impl Iterator<Item = usize>> {
    let here = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(move |one| here.is_set(*one).unwrap_or(false)))
}

/// This thread runs on that processor alone; false where that is refused.
pub(super) fn pin(processor: usize) -> bool {
    let mut own = CpuSet::new();
    own.set(processor)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &own))
        .is_ok()
}

/// SCHED_FIFO at the highest priority, on one processor; false where that is refused.
#[expect(unsafe_code, reason = "a system call that no safe wrapper has")]
fn go_first(processor: usize) -> bool {
    let pinned = pin(processor);
    let parameters = libc::sched_param { sched_priority: 99 };
    // SAFETY: the parameters live for the call, which only reads them; 0 is this thread.
    let first = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    pinned && first == 0
}
