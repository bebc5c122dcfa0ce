//! One connection to one peer.
//!
//! ```text
//! caller: hello ─▶ status?  ─┐
//! callee: hello? ─▶ status  ─┴▶ established: definitions, updates, confirmations; lessons; heartbeats
//! ```

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    exchange::{Established, Lesson},
    group::Group,
    hello::{self, Status},
    wire::{self, Control, Decoded},
};

/// A connection is silent no longer than that.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Whoever is silent so long is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Longest line that the side that was called answers.
const LONGEST_STATUS: usize = 64;
/// A peer that takes so little of what it is told does not listen.
const UNREAD: usize = 1 << 20;

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The other side did not want it.
    #[error("the peer answered {0:?}")]
    Refused(Status),
    /// The other side did not say who it is as it should.
    #[error("the hello of the peer: {0:?}")]
    BadHello(Status),
    /// There is a newer connection with the same peer.
    #[error("the peer has a newer connection")]
    Replaced,
    /// Nothing came for too long.
    #[error("the peer is silent")]
    Silent,
    /// What came is no message.
    #[error("the peer sent what is no message of the protocol")]
    Malformed,
    /// The other side says that of us.
    #[error("the peer took a message for malformed")]
    Rejected,
    /// Everything has been told to another process of this host.
    #[error("everything has been told")]
    Told,
}

#[derive(Debug)]
enum State {
    /// We called, and wait for the status.
    Calling {
        peer: usize,
    },
    /// We were called, and wait for the hello.
    Called,
    Established(Box<Established>),
    /// The rest of what is to be sent, then nothing.
    Over(Broken),
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    group: Arc<Group>,
    state: State,
    input: Vec<u8>,
    output: Vec<u8>,
    sent_at: Instant,
    heard_at: Instant,
    teaches_only: bool,
}

impl Session {
    /// We called the peer of this place in the group's list; behind the last is a newer process of this host, which is
    /// told everything.
    pub fn call(group: Arc<Group>, peer: usize, now: Instant) -> Self {
        let mut output = Vec::new();
        hello::put(
            group.peer_name(peer),
            group.local(),
            group.process(),
            &mut output,
        );
        let teaches_only = peer == group.peers().len();
        Self::new(group, State::Calling { peer }, output, teaches_only, now)
    }

    /// We were called.
    pub fn answer(group: Arc<Group>, now: Instant) -> Self {
        Self::new(group, State::Called, Vec::new(), false, now)
    }

    fn new(
        group: Arc<Group>,
        state: State,
        output: Vec<u8>,
        teaches_only: bool,
        now: Instant,
    ) -> Self {
        Self {
            group,
            state,
            input: Vec::new(),
            output,
            sent_at: now,
            heard_at: now,
            teaches_only,
        }
    }

    /// The peer, once both know each other.
    pub fn peer(&self) -> Option<usize> {
        match &self.state {
            State::Established(it) => Some(it.peer),
            _ => None,
        }
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// So much of it was sent.
    pub fn sent(&mut self, count: usize, now: Instant) {
        self.output.drain(..count.min(self.output.len()));
        self.sent_at = now;
    }

    /// When something is to be done although nothing comes.
    pub fn deadline(&self) -> Instant {
        let silent = self.heard_at + SILENCE;
        match &self.state {
            State::Established(_) if self.output.is_empty() => silent.min(self.sent_at + HEARTBEAT),
            _ => silent,
        }
    }

    /// Why it is over; what is in [`Session::output`] is still to be sent.
    pub fn broken(&self) -> Option<Broken> {
        match &self.state {
            State::Over(why) => Some(*why),
            _ => None,
        }
    }

    /// Ready once there is something to tell; to be asked when everything has been sent.
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Established(it) = &self.state else {
            return Poll::Pending;
        };
        if !self.group.holds(it.peer, it.session, Some(cx.waker())) {
            return Poll::Ready(());
        }
        if it.teaches == Lesson::Runs {
            return Poll::Ready(());
        }
        if it.learns != Lesson::None {
            return Poll::Pending;
        }
        let mut ready = false;
        for own in &it.own {
            ready |= own.listener.poll_change(own.told, cx).is_ready();
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Hears `bytes`.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.heard_at = now;
        self.input.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.input);
        let mut at = 0;
        while self.broken().is_none() {
            match self.hear(input.get(at..).unwrap_or_default(), now) {
                Ok(0) => break,
                Ok(length) => at += length,
                Err(why) => self.end(why),
            }
        }
        input.drain(..at);
        self.input = input;
    }

    fn end(&mut self, why: Broken) {
        if let State::Established(it) = &self.state {
            self.group.leave(it.peer, it.session);
        }
        self.state = State::Over(why);
    }

    /// Hears what is at the front of `bytes`; how much that was.
    fn hear(&mut self, bytes: &[u8], now: Instant) -> Result<usize, Broken> {
        match &mut self.state {
            State::Calling { peer } => {
                let Some(end) = memchr::memchr(b'\n', bytes) else {
                    return match bytes.len() {
                        // No status is so long: this is no peer.
                        LONGEST_STATUS.. => Err(Broken::Refused(Status::ProtocolError)),
                        _ => Ok(0),
                    };
                };
                let peer = *peer;
                match Status::of(bytes.get(..end).unwrap_or_default()) {
                    Status::Welcome => self.establish(peer, true, now),
                    other => return Err(Broken::Refused(other)),
                }
                Ok(end + 1)
            }
            State::Called => match hello::read(bytes) {
                None => Ok(0),
                Some(Ok((hello, length))) => {
                    let peer = match self.group.peer_called(&hello.caller) {
                        _ if hello.callee != **self.group.local() => Err(Status::NotMe),
                        None => Err(Status::Unknown),
                        Some(peer) => Ok(peer),
                    };
                    match peer {
                        Ok(peer) => {
                            self.output.extend_from_slice(Status::Welcome.line());
                            self.establish(peer, hello.current, now);
                            Ok(length)
                        }
                        Err(status) => {
                            self.output.extend_from_slice(status.line());
                            Err(Broken::BadHello(status))
                        }
                    }
                }
                Some(Err(status)) => {
                    self.output.extend_from_slice(status.line());
                    Err(Broken::BadHello(status))
                }
            },
            State::Established(it) => match wire::decode(bytes) {
                Decoded::Partial => Ok(0),
                Decoded::TooLong => {
                    self.output.extend([1, 1]);
                    Err(Broken::Malformed)
                }
                Decoded::Message(message, length) => {
                    let heard = it.hear(message, &self.group, now);
                    if heard == Err(Broken::Malformed) {
                        self.output.extend([1, 0]);
                    }
                    heard.map(|()| length)
                }
            },
            State::Over(_) => Ok(0),
        }
    }

    fn establish(&mut self, peer: usize, current: bool, now: Instant) {
        let (session, confirmed) = self.group.enter(peer, now);
        let asks = !self.teaches_only && self.group.wants_lesson(peer, now);
        let tables = self.group.tables().iter().zip(confirmed);
        let established =
            Established::new((peer, session), current, tables, asks, self.teaches_only);
        self.state = State::Established(Box::new(established));
        if let (true, State::Established(it)) = (self.teaches_only, &mut self.state) {
            it.begin_teaching(self.group.tables());
        }
    }

    /// Makes ready what is to be sent now.
    pub fn fill(&mut self, now: Instant) {
        if now >= self.heard_at + SILENCE {
            return self.end(Broken::Silent);
        }
        if self.output.len() > UNREAD {
            return self.end(Broken::Silent);
        }
        let State::Established(it) = &mut self.state else {
            return;
        };
        if !self.group.holds(it.peer, it.session, None) {
            return self.end(Broken::Replaced);
        }
        it.tell(&self.group, &mut self.output, now);
        if it.only_teaches && it.teaches == Lesson::None {
            return self.end(Broken::Told);
        }
        if self.output.is_empty() && now >= self.sent_at + HEARTBEAT {
            Control::Heartbeat.put(&mut self.output);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end(Broken::Replaced);
    }
}

/// See [`super::fuzz_session`].
pub(super) fn fuzz(bytes: &[u8], cut: usize, now: Instant) {
    let run = |cuts: &[usize]| {
        let group = super::group::for_fuzzing(now);
        let mut session = Session::answer(Arc::clone(&group), now);
        let mut rest = bytes;
        for cut in cuts {
            let (piece, after) = rest.split_at(*cut.min(&rest.len()));
            session.receive(piece, now);
            rest = after;
        }
        session.receive(rest, now);
        session.fill(now);
        let rows: Vec<_> = group
            .tables()
            .iter()
            .map(|shared| shared.table.dump(now))
            .collect();
        (session.broken(), rows, session.output().to_vec())
    };
    assert_eq!(run(&[]), run(&[cut]), "the same bytes in other pieces");
}
