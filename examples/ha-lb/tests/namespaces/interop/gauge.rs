//! How long this machine stands still: without it nobody can tell a program that is late from one that was kept
//! waiting. One thread measures how late it is woken, and how long the kernel's lock for addresses (RTNL), which is one
//! for all network namespaces, keeps it.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Time between two measurements.
const EVERY: Duration = Duration::from_millis(20);
/// Shorter waits are not kept.
const WORTH_KEEPING: Duration = Duration::from_millis(5);
/// Joining and leaving a multicast group needs the lock, and changes nothing for anybody else.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);

#[derive(Debug, Clone, Copy)]
struct Wait {
    from: Instant,
    to: Instant,
    for_the_lock: bool,
}

/// A running gauge; it stops with its owner.
pub(crate) struct Gauge {
    waits: Arc<Mutex<Vec<Wait>>>,
    stop: Arc<AtomicBool>,
}

impl Gauge {
    pub(crate) fn start() -> Self {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&waits), Arc::clone(&stop));
        thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let keep = |from: Instant, for_the_lock| {
                let to = Instant::now();
                if to.duration_since(from) >= WORTH_KEEPING {
                    let wait = Wait {
                        from,
                        to,
                        for_the_lock,
                    };
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(wait);
                }
            };
            while !stopped.load(Ordering::Relaxed) {
                let woken_at = Instant::now() + EVERY;
                thread::sleep(EVERY);
                keep(woken_at, false);
                let asked = Instant::now();
                socket
                    .join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
                    .unwrap();
                socket
                    .leave_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
                    .unwrap();
                keep(asked, true);
            }
        });
        Self { waits, stop }
    }

    fn longest(&self, since: Instant, for_the_lock: bool) -> Duration {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let some = waits.iter().filter(|wait| wait.to >= since);
        some.filter(|wait| for_the_lock || !wait.for_the_lock)
            .map(|wait| wait.to.duration_since(wait.from))
            .max()
            .unwrap_or_default()
    }

    /// The longest that a thread had to wait for a processor since then.
    pub(crate) fn processor(&self, since: Instant) -> Duration {
        self.longest(since, false)
    }

    /// The longest that a thread had to wait for a processor or for the kernel's lock.
    pub(crate) fn lock(&self, since: Instant) -> Duration {
        self.longest(since, true)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
