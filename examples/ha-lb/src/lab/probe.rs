//! Who answers for an address: asked every 5 ms, of each host by its hardware address, from a host of the prober's own.
//!
//! Interfaces and status documents say who *should* answer. The prober asks as a neighbour and as a client do: an ARP
//! request and a TCP SYN, both framed to one host's hardware address, so that each host answers for itself whatever
//! anybody's neighbour table says. A SYN that is answered is reset at once: the balancer never sees a connection.
//!
//! The prober's host has no address, so its kernel neither answers nor resets anything. Times of answers are the
//! kernel's own, taken when the frame arrived: a prober that had to wait for a processor still tells the truth.

mod frames;
mod history;
mod socket;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub use frames::Mac;
pub use history::{History, Span};
pub use socket::FrameSocket;

use super::{Host, LabError};
use frames::{Frames, Heard};

/// How often each host is asked.
pub const PERIOD: Duration = Duration::from_millis(5);
/// An answer that comes later than this after its question is none.
const ANSWERS_WITHIN: Duration = Duration::from_millis(200);
/// Source ports of the SYNs: each stands for one question.
const PORTS: std::ops::Range<u16> = 10_000..60_000;

/// A running prober; stops with its owner.
#[derive(Debug)]
pub struct Prober {
    history: Arc<Mutex<History>>,
    stop: Arc<AtomicBool>,
}

impl Prober {
    /// Asks each of `targets` for `address` from `host`, which must not have an address of its own; `source` is the
    /// prober's, and nobody else's.
    pub fn start(
        host: &Host,
        source: Ipv4Addr,
        address: SocketAddrV4,
        targets: &[&Host],
    ) -> Result<Self, LabError> {
        let macs: Vec<Mac> = targets.iter().map(|target| target.mac()).collect();
        let history = Arc::new(Mutex::new(History::new(macs.len())));
        let stop = Arc::new(AtomicBool::new(false));
        let socket = host.run(|| FrameSocket::open(host.index()))?;
        let rounds = Rounds {
            frames: Frames {
                mac: host.mac(),
                source,
                address,
            },
            socket,
            targets: macs,
            history: Arc::clone(&history),
            ports: PORTS.cycle(),
            asked: BTreeMap::new(),
        };
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("prober".into())
            .spawn(move || rounds.run(&stopped))
            .map_err(LabError::io("prober"))?;
        Ok(Self { history, stop })
    }

    /// What was heard so far.
    pub fn history(&self) -> History {
        lock(&self.history).clone()
    }

    /// Runs `look` on what was heard so far, without copying it.
    pub fn look<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&lock(&self.history))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(history: &Mutex<History>) -> std::sync::MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One SYN under way.
#[derive(Debug, Clone, Copy)]
struct Asked {
    target: usize,
    round: usize,
    at: Instant,
}

/// The prober's thread.
struct Rounds {
    frames: Frames,
    socket: FrameSocket,
    targets: Vec<Mac>,
    history: Arc<Mutex<History>>,
    ports: std::iter::Cycle<std::ops::Range<u16>>,
    asked: BTreeMap<u16, Asked>,
}

impl Rounds {
    fn run(mut self, stop: &AtomicBool) {
        let mut due = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= due {
                self.ask(now);
                // A round that is late is not made up for: it is one long pause.
                due = (due + PERIOD).max(now);
            }
            if !self
                .socket
                .wait(due.saturating_duration_since(Instant::now()))
            {
                return;
            }
            while let Some((frame, at)) = self.socket.receive() {
                self.hear(&frame, at);
            }
        }
    }

    fn ask(&mut self, now: Instant) {
        let round = lock(&self.history).begin_round(now);
        self.asked
            .retain(|_, asked| asked.at + ANSWERS_WITHIN > now);
        for (target, mac) in self.targets.iter().enumerate() {
            // A frame that cannot be sent (no carrier) is a question without an answer.
            let _ = self.socket.send(&self.frames.arp_request(*mac));
            if let Some(port) = self.ports.next() {
                let at = now;
                self.asked.insert(port, Asked { target, round, at });
                let _ = self.socket.send(&self.frames.syn(*mac, port));
            }
        }
    }

    fn hear(&mut self, frame: &[u8], at: Instant) {
        let Some((from, heard)) = self.frames.read(frame) else {
            return;
        };
        let target = self.targets.iter().position(|mac| *mac == from);
        match (heard, target) {
            (Heard::AsksForUs(asker), _) => {
                let _ = self.socket.send(&self.frames.arp_reply(from, asker));
            }
            (Heard::ArpReply, Some(target)) => lock(&self.history).arp(target, at),
            (Heard::SynAck { port, next }, _) => {
                // Nobody else's connection comes to this address, so whatever it is it must not stay half open.
                let _ = self.socket.send(&self.frames.reset(from, port, next));
                self.answered(port, target, at, false);
            }
            (Heard::Refused { port }, _) => self.answered(port, target, at, true),
            (Heard::ArpReply, None) => {}
        }
    }

    /// A SYN was answered; an answer that another host gave to it is none.
    fn answered(&mut self, port: u16, from: Option<usize>, at: Instant, refused: bool) {
        let Some(asked) = self.asked.remove(&port) else {
            return;
        };
        if Some(asked.target) == from && at < asked.at + ANSWERS_WITHIN {
            lock(&self.history).tcp(asked.target, asked.round, at, refused);
        }
    }
}
