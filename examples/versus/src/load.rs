//! The load generator: one thread, one epoll, a fixed number of connections; the status and the length of every
//! answer are verified.

pub(crate) mod answer;
mod h2load;
pub(crate) mod wire;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ClientConfig;

use self::{answer::Answer, wire::Wire};
use crate::{
    histogram::Histogram,
    poll::{Interest, Poll},
};

/// Longer than any answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// After so many errors there is nothing left to measure.
const TOO_MANY: u64 = 100;

/// What is asked, of whom, how often.
pub(crate) struct Plan<'a> {
    pub(crate) target: SocketAddr,
    pub(crate) request: &'a [u8],
    /// Length that each answer must have.
    pub(crate) body: usize,
    pub(crate) connections: usize,
    /// The proxy closes after each answer.
    pub(crate) closes: bool,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// In HTTP/2, with so many streams at once on each connection.
    pub(crate) streams: Option<usize>,
    /// Requests a second.
    pub(crate) pace: Option<u32>,
    pub(crate) span: Span,
}

/// When it is over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    /// After `warm_up` and `measured`; only the latter counts.
    Time {
        warm_up: Duration,
        measured: Duration,
    },
    /// After so many answers.
    Answers(u64),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    /// Answers over a TLS session that went on from an earlier one.
    pub(crate) resumed: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram,
    pub(crate) errors: u64,
    /// The first error, in words.
    pub(crate) first_error: Option<String>,
}

impl Tally {
    fn failed(&mut self, why: impl ToString) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| why.to_string());
    }
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// What follows counts.
    Begin,
    /// Nothing more counts; the connections are still open.
    End,
}

/// Runs a plan; `edge` is called in the moments in which the proxy's use is to be read.
pub(crate) fn run(plan: &Plan<'_>, edge: &mut dyn FnMut(Edge)) -> io::Result<Tally> {
    if let Some(streams) = plan.streams {
        return h2load::run(plan, streams, edge);
    }
    let mut load = Load {
        plan,
        poll: Poll::new()?,
        clients: Vec::new(),
        idle: Vec::new(),
        tally: Tally::default(),
        room: vec![0; 128 << 10],
    };
    load.open_all();
    load.turn_until_the_end(edge)?;
    Ok(load.tally)
}

/// A connection and the answer that is read from it.
struct Client {
    wire: Wire,
    answer: Answer,
    /// Bytes of the request that are not sent yet.
    unsent: usize,
    began: Instant,
    /// Its answer is complete; the close is waited for.
    closing: bool,
}

struct Load<'a> {
    plan: &'a Plan<'a>,
    poll: Poll,
    clients: Vec<Option<Client>>,
    /// Connections without a request, where the pace says when.
    idle: Vec<usize>,
    tally: Tally,
    room: Vec<u8>,
}

/// What a turn of a connection came to.
enum Turn {
    Waits,
    Answered,
    Closed,
}

impl Load<'_> {
    fn open_all(&mut self) {
        for slot in 0..self.plan.connections {
            self.clients.push(None);
            match self.plan.pace {
                Some(_) => self.idle.push(slot),
                None => self.begin(slot, Instant::now()),
            }
        }
    }

    /// Sends a request that was due at `due`, over a new connection if there is none.
    fn begin(&mut self, slot: usize, due: Instant) {
        if let Err(failed) = self.try_begin(slot, due) {
            self.tally.failed(failed);
            if let Some(client) = self.clients.get_mut(slot) {
                *client = None;
            }
        }
    }

    fn try_begin(&mut self, slot: usize, due: Instant) -> io::Result<()> {
        let Some(place) = self.clients.get_mut(slot) else {
            return Ok(());
        };
        let client = match place {
            Some(client) => client,
            None => {
                let wire = Wire::open(self.plan.target, self.plan.tls.as_ref())?;
                let interest = Interest::IN | Interest::OUT | Interest::RDHUP | Interest::ET;
                self.poll.add(wire.socket(), slot, interest)?;
                place.insert(Client {
                    wire,
                    answer: Answer::new(self.plan.body),
                    unsent: 0,
                    began: due,
                    closing: false,
                })
            }
        };
        client.began = due;
        client.unsent = self.plan.request.len();
        client.answer.restart();
        client.send(self.plan.request)
    }

    fn turn_until_the_end(&mut self, edge: &mut dyn FnMut(Edge)) -> io::Result<()> {
        let start = Instant::now();
        let (warm_up, end) = match self.plan.span {
            Span::Time { warm_up, measured } => (warm_up, Some(start + warm_up + measured)),
            Span::Answers(_) => (Duration::ZERO, None),
        };
        let gap = self.plan.pace.map(|p| Duration::from_secs(1) / p.max(1));
        let mut begun = None;
        let mut due = start;
        let mut last_answer = (start, 0);
        loop {
            let now = Instant::now();
            if begun.is_none() && now >= start + warm_up {
                // Errors of the warm-up stay.
                self.tally.answers = 0;
                self.tally.resumed = 0;
                self.tally.latency = Histogram::default();
                last_answer.1 = 0;
                edge(Edge::Begin);
                begun = Some(Instant::now());
            }
            let over = match self.plan.span {
                // A time in which nobody was heard measures nothing: the first answer is waited for.
                Span::Time { .. } => self.tally.answers > 0 && end.is_some_and(|end| now >= end),
                Span::Answers(count) => self.tally.answers >= count,
            };
            if self.tally.answers > last_answer.1 {
                last_answer = (now, self.tally.answers);
            } else if now > last_answer.0 + PATIENCE {
                self.tally.failed("no answer within 5 s");
            }
            if over || self.tally.errors >= TOO_MANY || now > last_answer.0 + PATIENCE {
                edge(Edge::End);
                self.tally.elapsed = begun.map_or(Duration::ZERO, |b| b.elapsed());
                return Ok(());
            }
            if let Some(gap) = gap {
                while due <= now {
                    let Some(slot) = self.idle.pop() else { break };
                    self.begin(slot, due);
                    due += gap;
                }
            }
            self.revive();
            let wait = match gap {
                Some(_) if !self.idle.is_empty() => due.saturating_duration_since(now),
                _ => Duration::from_millis(20),
            };
            for index in 0..self.poll.wait(Some(wait))? {
                if let Some((slot, _)) = self.poll.event(index) {
                    self.turn(slot);
                }
            }
        }
    }

    /// Connections that could not be opened are tried again.
    fn revive(&mut self) {
        if self.tally.errors == 0 || self.plan.pace.is_some() {
            return;
        }
        for slot in 0..self.clients.len() {
            if self.clients.get(slot).is_some_and(Option::is_none) {
                self.begin(slot, Instant::now());
            }
        }
    }

    fn turn(&mut self, slot: usize) {
        let Some(Some(client)) = self.clients.get_mut(slot) else {
            return;
        };
        let turn = client.turn(self.plan, &mut self.room);
        let closes = self.plan.closes;
        match turn {
            Ok(Turn::Waits) => {}
            Ok(Turn::Answered) => {
                let now = Instant::now();
                self.tally.answers += 1;
                self.tally.resumed += u64::from(client.wire.is_resumed());
                self.tally
                    .latency
                    .add(now.saturating_duration_since(client.began));
                match self.plan.pace {
                    Some(_) => self.idle.push(slot),
                    None if closes => {
                        client.closing = true;
                        self.turn(slot);
                    }
                    None => self.begin(slot, now),
                }
            }
            Ok(Turn::Closed) => {
                // Only after its answer: anything else is an error.
                self.forget(slot);
                self.begin(slot, Instant::now());
            }
            Err(failed) => {
                self.tally.failed(failed);
                self.forget(slot);
                if self.plan.pace.is_some() && !self.idle.contains(&slot) {
                    self.idle.push(slot);
                }
            }
        }
    }

    fn forget(&mut self, slot: usize) {
        if let Some(client) = self.clients.get_mut(slot) {
            *client = None;
        }
    }
}

impl Client {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        while self.unsent > 0 {
            let left = request.len().saturating_sub(self.unsent);
            match self.wire.write(request.get(left..).unwrap_or_default())? {
                Some(count) => self.unsent = self.unsent.saturating_sub(count),
                None => break,
            }
        }
        self.wire.flush()
    }

    fn turn(&mut self, plan: &Plan<'_>, room: &mut [u8]) -> io::Result<Turn> {
        self.send(plan.request)?;
        loop {
            let Some(count) = self.wire.read(room)? else {
                return Ok(Turn::Waits);
            };
            let bytes = room.get(..count).unwrap_or_default();
            if self.closing {
                return match bytes {
                    [] => Ok(Turn::Closed),
                    _ => Err(io::Error::other("bytes behind the answer")),
                };
            }
            if bytes.is_empty() {
                return Err(io::Error::other("closed before the answer was complete"));
            }
            if self.answer.feed(bytes).map_err(io::Error::other)? {
                return Ok(Turn::Answered);
            }
        }
    }
}
