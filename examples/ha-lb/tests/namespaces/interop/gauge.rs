//! What keeps programs of this machine waiting: a processor that stands still, and the kernel's lock for addresses (RTNL),
//! which is one for all network namespaces.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::gauge;

/// Time between two measurements.
const EVERY: Duration = Duration::from_millis(20);
/// Joining and leaving a multicast group needs the lock, and changes nothing for anybody else.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);

/// A running gauge; it stops with its owner.
pub(crate) struct Gauge {
    processors: gauge::Gauge,
    /// Since when the lock was waited for, and how long.
    waits: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stop: Arc<AtomicBool>,
}

impl Gauge {
    pub(crate) fn start() -> Self {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&waits), Arc::clone(&stop));
        thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(EVERY);
                let asked = Instant::now();
                socket
                    .join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
                    .unwrap();
                socket
                    .leave_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
                    .unwrap();
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push((asked, asked.elapsed()));
            }
        });
        Self {
            processors: gauge::Gauge::start(),
            waits,
            stop,
        }
    }

    /// The longest that a thread had to wait for a processor since then.
    pub(crate) fn processor(&self, since: Instant) -> Duration {
        let halts = self.processors.halts(since);
        halts.into_iter().max().unwrap_or_default()
    }

    /// The longest that a thread had to wait for a processor or for the kernel's lock.
    pub(crate) fn lock(&self, since: Instant) -> Duration {
        let processor = self.processor(since);
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let some = waits
            .iter()
            .filter(|(from, lasted)| *from + *lasted >= since);
        let longest = some.map(|(_, lasted)| *lasted).max();
        processor.max(longest.unwrap_or_default())
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
