//! The machine of one session (RFC 5880 §6.8): what is heard and what time it is go in, packets and changes come out.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::packet::{Diagnostic, Packet, State};

/// What a session is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Least time between packets that this side can take.
    pub(crate) min_rx: Duration,
    /// Time between packets that this side would send at, while Up.
    pub(crate) min_tx: Duration,
    /// The same while it is not.
    pub(crate) idle_tx: Duration,
    /// How many packets of ours may be lost in a row.
    pub(crate) multiplier: u8,
    /// Nothing is sent before something was heard.
    pub(crate) passive: bool,
}

/// What the neighbour said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Remote {
    number: u32,
    state: State,
    min_tx: Duration,
    min_rx: Duration,
    multiplier: u8,
    demand: bool,
}

/// What another process needs to go on with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    number: u32,
    state: State,
    remote: Option<Remote>,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) why: Diagnostic,
    /// The neighbour has ended the session by hand, which says nothing of the way to it (RFC 5882 §3.2).
    pub(crate) ended: bool,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    /// Other settings that the neighbour has not confirmed yet: these count as far as they are the careful ones.
    former: Option<Settings>,
    number: u32,
    state: State,
    why: Diagnostic,
    remote: Option<Remote>,
    /// A Poll Sequence is under way (§6.5).
    polls: bool,
    /// The neighbour's poll waits for its answer.
    answers: bool,
    transmit_at: Option<Instant>,
    detect_at: Option<Instant>,
    /// Jitter: xorshift.
    random: u32,
}

impl Session {
    /// A session that is down. `number` tells it from all others of this host, and is not 0.
    pub(crate) fn new(settings: Settings, number: u32, now: Instant) -> Self {
        Self {
            settings,
            former: None,
            number,
            state: State::Down,
            why: Diagnostic::None,
            remote: None,
            polls: false,
            answers: false,
            transmit_at: (!settings.passive).then_some(now),
            detect_at: None,
            random: number | 1,
        }
    }

    /// One that goes on where another process left it: the neighbour notices nothing.
    pub(crate) fn resume(settings: Settings, memory: Memory, now: Instant) -> Self {
        let mut session = Self::new(settings, memory.number, now);
        session.state = memory.state;
        session.remote = memory.remote;
        session.detect_at = session.detection_time().map(|time| now + time);
        session.transmit_at = session.interval().map(|_| now);
        session
    }

    /// What another process needs to go on.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            number: self.number,
            state: self.state,
            remote: self.remote,
        }
    }

    /// Our number of the session.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Other settings while it runs, agreed upon with the neighbour by a Poll Sequence (§6.8.3).
    pub(crate) fn reconfigure(&mut self, settings: Settings, now: Instant) {
        if settings == self.settings {
            return;
        }
        if self.state == State::Up {
            self.former = Some(self.former.unwrap_or(self.settings));
            self.polls = true;
        }
        self.settings = settings;
        if !settings.passive || self.remote.is_some() {
            self.transmit_at = Some(now);
        }
        let longest = self.detection_time().map(|time| now + time);
        self.detect_at = self.detect_at.and(longest);
    }

    /// The session ends: what is sent from now on says so.
    pub(crate) fn end(&mut self) {
        self.state = State::AdminDown;
        self.why = Diagnostic::Administrative;
    }

    /// When something is to be done.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.transmit_at, self.detect_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// A packet of this session came in (§6.8.6).
    pub(crate) fn hears(&mut self, packet: &Packet, now: Instant) -> Option<Change> {
        let first = self.remote.is_none();
        let before = self.interval();
        self.remote = Some(Remote {
            number: packet.mine,
            state: packet.state,
            min_tx: packet.min_tx,
            min_rx: packet.min_rx,
            multiplier: packet.multiplier,
            demand: packet.demand,
        });
        if packet.last && self.polls {
            self.polls = false;
            self.former = None;
        }
        if self.state == State::AdminDown {
            return None;
        }
        self.answers |= packet.poll;
        let change = match (self.state, packet.state) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.becomes(State::Down, Diagnostic::NeighbourDown)
            }
            (State::Down, State::Down) => self.becomes(State::Init, self.why),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                // Other intervals than those of a session that is down: the neighbour is to confirm them.
                self.polls = true;
                self.becomes(State::Up, Diagnostic::None)
            }
            _ => None,
        };
        self.detect_at = self.detection_time().map(|time| now + time);
        let sooner = self.interval() < before || before.is_none();
        match self.interval() {
            // What has changed is told at once.
            Some(_) if change.is_some() || self.answers => self.transmit_at = Some(now),
            Some(interval) if sooner || first => {
                let at = now + interval;
                self.transmit_at = Some(self.transmit_at.map_or(at, |planned| planned.min(at)));
            }
            Some(_) => {}
            None => self.transmit_at = self.answers.then_some(now),
        }
        change
    }

    /// Time has passed: whether the neighbour is silent for too long (§6.8.4).
    pub(crate) fn timeout(&mut self, now: Instant) -> Option<Change> {
        self.detect_at.take_if(|at| *at <= now)?;
        self.remote = None;
        self.polls = false;
        self.former = None;
        let down = matches!(self.state, State::Init | State::Up);
        let change = down.then(|| self.becomes(State::Down, Diagnostic::Expired));
        // Who is passive waits to be spoken to again.
        self.transmit_at = match self.settings.passive {
            true => None,
            false => Some(now),
        };
        change.flatten()
    }

    /// What is to be sent now, if anything; the next one is planned (§6.8.7).
    pub(crate) fn transmit(&mut self, now: Instant) -> Option<Packet> {
        self.transmit_at.take_if(|at| *at <= now)?;
        self.transmit_at = self
            .interval()
            .map(|interval| now + self.jittered(interval));
        Some(self.packet())
    }

    /// What it says.
    pub(crate) fn packet(&mut self) -> Packet {
        let last = std::mem::take(&mut self.answers);
        Packet {
            diagnostic: self.why,
            state: self.state,
            // An answer is no question.
            poll: self.polls && !last,
            last,
            demand: false,
            multiplier: self.settings.multiplier,
            mine: self.number,
            yours: self.remote.map_or(0, |remote| remote.number),
            min_tx: self.desired(&self.settings),
            min_rx: self.settings.min_rx,
        }
    }

    /// §6.8.3: who is not Up sends once a second at most.
    fn desired(&self, settings: &Settings) -> Duration {
        match self.state {
            State::Up => settings.min_tx,
            _ => settings.idle_tx.max(settings.min_tx),
        }
    }

    /// Time between packets; `None` while none are sent (§6.8.2, §6.8.7).
    pub(crate) fn interval(&self) -> Option<Duration> {
        let own = self.desired(&self.settings);
        let own = self
            .former
            .map_or(own, |former| own.min(self.desired(&former)));
        let Some(remote) = self.remote else {
            return (!self.settings.passive).then_some(own);
        };
        let asleep = remote.demand && remote.state == State::Up && self.state == State::Up;
        let silent = remote.min_rx.is_zero() || asleep;
        (!silent).then(|| own.max(remote.min_rx))
    }

    /// §6.8.4.
    pub(crate) fn detection_time(&self) -> Option<Duration> {
        let own = self.settings.min_rx;
        let own = self.former.map_or(own, |former| own.max(former.min_rx));
        let remote = self.remote?;
        Some(own.max(remote.min_tx) * u32::from(remote.multiplier))
    }

    /// §6.8.7: a quarter less at most, and a tenth at least where no packet may be lost.
    fn jittered(&mut self, interval: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let most = if self.settings.multiplier == 1 {
            90
        } else {
            100
        };
        interval * (75 + self.random % (most - 75 + 1)) / 100
    }

    fn becomes(&mut self, to: State, why: Diagnostic) -> Option<Change> {
        let from = std::mem::replace(&mut self.state, to);
        self.why = why;
        if to != State::Up {
            self.former = None;
            self.polls = false;
        }
        let remote = self.remote.map(|remote| remote.state);
        let ended = to == State::Down && remote == Some(State::AdminDown);
        (from != to).then_some(Change {
            from,
            to,
            why,
            ended,
        })
    }
}

#[cfg(test)]
mod tests;
