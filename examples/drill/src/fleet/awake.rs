//! Processors that do not sleep: a virtual one that has nothing to do is given to somebody else by its host, and comes back
//! late by up to milliseconds when a timer of a program ends. A thread on each processor that runs only when nothing else
//! there wants to (SCHED_IDLE) keeps it, as hosts do that are tuned for latency.

use std::{
    hint, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use nix::libc;

use super::gauge::{each_processor, pin};

/// Running threads, one for each processor; they stop with their owner.
#[derive(Debug)]
pub(crate) struct Awake(Arc<AtomicBool>);

impl Awake {
    pub(crate) fn start() -> io::Result<Self> {
        let awake = Self(Arc::default());
        for processor in each_processor()? {
            let stop = Arc::clone(&awake.0);
            let spin = move || {
                let yields = pin(processor) && go_last();
                while yields && !stop.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            };
            thread::Builder::new()
                .name("awake".to_owned())
                .spawn(spin)?;
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// SCHED_IDLE for this thread; false where that is refused, and it would be in others' way.
#[expect(unsafe_code, reason = "a system call that no safe wrapper has")]
fn go_last() -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters live for the call, which only reads them; 0 is this thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) == 0 }
}
