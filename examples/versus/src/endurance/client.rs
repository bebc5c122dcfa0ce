//! Clients that follow scripts: some ask and read, others leave in the middle, others read slowly.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustls::ClientConfig;
use slab::Slab;

use super::phase::PATIENCE;
use crate::{
    Fatal,
    load::{answer::Answer, wire::Wire},
    poll::{Interest, Poll},
};

/// A slow client reads so much in each of its turns ...
const SIP: usize = 16 << 10;
/// ... between which so much time passes.
const PAUSE: Duration = Duration::from_millis(5);

/// What one connection does.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) target: SocketAddr,
    pub(super) request: Rc<[u8]>,
    /// Requests, one after the other.
    pub(super) turns: usize,
    pub(super) expect: Expect,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) manner: Manner,
}

/// How a request ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// With an answer of this status, and of this length if it is known.
    Answer { status: u16, body: Option<usize> },
    /// With half of an answer, or with a 502 where the proxy knew before it began.
    Cut,
}

/// How a client behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    Slow,
    /// Goes away after so many bytes of the request and of the answer, with a FIN or a RST.
    Leaves {
        sent: usize,
        received: usize,
        reset: bool,
    },
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) connections: u64,
    /// Requests that ended as expected.
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
}

impl Played {
    pub(super) fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// Called with their number when all connections are open and answered once.
type Meeting<'a> = &'a mut dyn FnMut(usize) -> Result<(), Fatal>;

struct Client {
    wire: Wire,
    script: Script,
    answer: Answer,
    sent: usize,
    received: usize,
    /// Requests that are still to be made, this one included.
    turns: usize,
    /// It has been answered, and waits for the others.
    met: bool,
}

/// What a turn came to.
enum Turn {
    Waits,
    Answered,
    Over,
}

/// Plays the scripts, at most `window` of them unanswered; with a meeting all connections come together after their
/// first answer, without it each ends on its own and makes room.
pub(super) fn play(
    scripts: impl Iterator<Item = Script>,
    window: usize,
    meeting: Option<Meeting<'_>>,
) -> Result<Played, Fatal> {
    let mut crew = Crew {
        poll: Poll::new()?,
        clients: Slab::new(),
        waiting: Vec::new(),
        slow: meeting.is_none(),
        meets: meeting.is_some(),
        played: Played::default(),
        room: vec![0; 64 << 10],
    };
    crew.run(scripts, window, meeting)?;
    Ok(crew.played)
}

struct Crew {
    poll: Poll,
    clients: Slab<Client>,
    /// Those that have met the first answer and wait for the others.
    waiting: Vec<usize>,
    /// Some may be slow.
    slow: bool,
    meets: bool,
    played: Played,
    room: Vec<u8>,
}

impl Crew {
    fn run(
        &mut self,
        scripts: impl Iterator<Item = Script>,
        window: usize,
        mut meeting: Option<Meeting<'_>>,
    ) -> Result<(), Fatal> {
        let mut scripts = scripts.fuse().peekable();
        let mut progress = (Instant::now(), 0);
        let mut sipped = Instant::now();
        loop {
            while self.clients.len() - self.waiting.len() < window {
                let Some(script) = scripts.next() else { break };
                self.open(script)?;
            }
            if scripts.peek().is_none() {
                if self.clients.is_empty() {
                    return Ok(());
                }
                if self.meets && self.waiting.len() == self.clients.len() {
                    if let Some(meeting) = &mut meeting {
                        meeting(self.clients.len())?;
                    }
                    self.meets = false;
                    for token in std::mem::take(&mut self.waiting) {
                        self.turn(token);
                    }
                }
            }
            for index in 0..self.poll.wait(Some(PAUSE))? {
                if let Some((token, _)) = self.poll.event(index) {
                    self.turn(token);
                }
            }
            if self.slow && sipped.elapsed() >= PAUSE {
                sipped = Instant::now();
                let slow = |(token, client): (usize, &Client)| {
                    (client.script.manner == Manner::Slow).then_some(token)
                };
                let tokens: Vec<usize> = self.clients.iter().filter_map(slow).collect();
                self.slow = !tokens.is_empty() || self.played.connections == 0;
                tokens.into_iter().for_each(|token| self.turn(token));
            }
            let done = (
                self.played.requests,
                self.played.errors,
                self.played.connections,
            );
            let done = done.0 + done.1 + done.2 + self.waiting.len() as u64;
            if done != progress.1 {
                progress = (Instant::now(), done);
            } else if progress.0.elapsed() > PATIENCE {
                let left = self.clients.len();
                return Err(
                    format!("{left} connections came to nothing within {PATIENCE:?}").into(),
                );
            }
        }
    }

    fn open(&mut self, script: Script) -> io::Result<()> {
        self.played.connections += 1;
        let wire = Wire::open(script.target, script.tls.as_ref())?;
        let mut interest = Interest::OUT | Interest::ET;
        if script.manner == Manner::Slow {
            set_socket_recv_buffer_size(wire.socket(), SIP)?;
        } else {
            interest |= Interest::IN | Interest::RDHUP;
        }
        let place = self.clients.vacant_entry();
        self.poll.add(wire.socket(), place.key(), interest)?;
        place.insert(Client {
            answer: match script.expect {
                Expect::Answer { status, body } => Answer::of(status, body),
                Expect::Cut => Answer::of(502, None),
            },
            sent: 0,
            received: 0,
            turns: script.turns,
            met: false,
            wire,
            script,
        });
        Ok(())
    }

    fn turn(&mut self, token: usize) {
        loop {
            let Some(client) = self.clients.get_mut(token) else {
                return;
            };
            if self.meets && client.met {
                return;
            }
            match client.turn(&mut self.room) {
                Ok(Turn::Waits) => return,
                Ok(Turn::Answered) => {
                    self.played.requests += 1;
                    client.turns -= 1;
                    if client.turns == 0 {
                        self.clients.remove(token);
                        return;
                    }
                    client.sent = 0;
                    client.received = 0;
                    client.answer.restart();
                    if self.meets {
                        client.met = true;
                        self.waiting.push(token);
                    }
                }
                Ok(Turn::Over) => {
                    self.clients.remove(token);
                    return;
                }
                Err(failed) => {
                    self.played.errors += 1;
                    let told = || failed.to_string();
                    self.played.first_error.get_or_insert_with(told);
                    self.clients.remove(token);
                    return;
                }
            }
        }
    }
}

impl Client {
    fn turn(&mut self, room: &mut [u8]) -> io::Result<Turn> {
        match self.go_on(room) {
            Err(failed) if self.may_be_cut() && is_gone(&failed) => Ok(self.cut()),
            turn => turn,
        }
    }

    /// The proxy may end this connection at any time.
    fn may_be_cut(&self) -> bool {
        self.script.expect == Expect::Cut || matches!(self.script.manner, Manner::Leaves { .. })
    }

    fn cut(&self) -> Turn {
        match self.script.expect {
            Expect::Cut => Turn::Answered,
            Expect::Answer { .. } => Turn::Over,
        }
    }

    fn go_on(&mut self, room: &mut [u8]) -> io::Result<Turn> {
        let leaves = match self.script.manner {
            Manner::Leaves {
                sent,
                received,
                reset,
            } => Some((sent, received, reset)),
            Manner::Whole | Manner::Slow => None,
        };
        let limit = leaves.map_or(self.script.request.len(), |(sent, ..)| sent);
        while let Some(left @ [_, ..]) = self.script.request.get(self.sent..limit) {
            match self.wire.write(left)? {
                Some(count) => self.sent += count,
                None => break,
            }
        }
        self.wire.flush()?;
        if let Some((sent, 0, reset)) = leaves {
            let is_open = self.wire.socket().peer_addr().is_ok();
            return match self.sent >= sent && is_open {
                true => self.leave(reset),
                false => Ok(Turn::Waits),
            };
        }
        let is_slow = self.script.manner == Manner::Slow;
        let room = match is_slow {
            true => room.get_mut(..SIP).unwrap_or_default(),
            false => room,
        };
        loop {
            let count = match self.wire.read(room) {
                Err(failed) if failed.kind() == io::ErrorKind::NotConnected => None,
                read => read?,
            };
            let Some(count) = count else {
                return Ok(Turn::Waits);
            };
            let bytes = room.get(..count).unwrap_or_default();
            self.received += count;
            if bytes.is_empty() {
                return match self.may_be_cut() {
                    true => Ok(self.cut()),
                    false => Err(io::Error::other("closed before the answer was complete")),
                };
            }
            if let Some((_, received, reset)) = leaves
                && self.received >= received
            {
                return self.leave(reset);
            }
            match self.answer.feed(bytes).map_err(io::Error::other) {
                Ok(true) => return Ok(Turn::Answered),
                // Half of a 200 is what comes before the cut.
                Err(_) if self.script.expect == Expect::Cut => {}
                done => _ = done?,
            }
            if is_slow {
                return Ok(Turn::Waits);
            }
        }
    }

    fn leave(&self, reset: bool) -> io::Result<Turn> {
        if reset {
            set_socket_linger(self.wire.socket(), Some(Duration::ZERO))?;
        }
        Ok(Turn::Over)
    }
}

fn is_gone(failed: &io::Error) -> bool {
    matches!(
        failed.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
