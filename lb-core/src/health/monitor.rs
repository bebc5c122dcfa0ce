//! When a server is probed and how results add up.
//!
//! ```text
//! health   0 ......... rise-1 | rise ........ rise+fall-1
//!          down  rising       | initial, falling        up
//! ```
//! A success below `rise` adds one and at `rise` jumps to the top; a failure above `rise` takes one and at
//! `rise` (also the state before the first check) falls to 0.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CheckReport, CheckStatus, ProbeResult};
use crate::config::{CheckConfig, OnError};

/// What happens to a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A deadline may have passed.
    Timeout,
    /// The probe that was handed out is done.
    ProbeDone(ProbeResult),
    /// Traffic showed too many errors in a row (`observe`); in words.
    Errors(OnError, Arc<str>),
    /// Stop probing: maintenance (`disable health`, MAINT).
    Pause,
    /// Probe again, at once.
    Resume,
    /// The health an earlier process knew, before the first probe: dead servers are not tried first.
    Restore(CheckReport),
}

/// A probe to be run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Longest time for connecting.
    pub connect_timeout: Duration,
    /// Longest time for the handshake and the answer after it.
    pub read_timeout: Duration,
}

/// Timing beyond the server's own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// `timeout connect` of the backend.
    pub connect_timeout: Option<Duration>,
    /// `timeout check` of the backend.
    pub check_timeout: Option<Duration>,
    /// `spread-checks`: up to so many percent of an interval more or less.
    pub spread_percent: u8,
    /// Seed of that spread.
    pub seed: u64,
}

/// How long a check may take to connect, and a program that checks to end: `inter`, with `timeout check` no longer than
/// `timeout connect`.
pub fn connect_limit(
    inter: Duration,
    check_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
) -> Duration {
    match (check_timeout, connect_timeout) {
        (Some(_), Some(connect)) => inter.min(connect),
        _ => inter,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting until then.
    Waiting { until: Instant },
    /// Due, not yet handed out.
    Due { since: Instant },
    /// Handed out.
    Running { since: Instant },
    /// Not probing; a result that comes late is dropped.
    Paused { running: bool },
}

/// Checks of one server.
#[derive(Debug, Clone)]
pub struct Monitor {
    config: CheckConfig,
    pace: Pace,
    report: CheckReport,
    phase: Phase,
    random: u64,
}

impl Monitor {
    /// A monitor whose first probe is due at `first`.
    pub fn new(config: CheckConfig, pace: Pace, first: Instant) -> Self {
        Self {
            report: CheckReport::initial(&config),
            config,
            pace,
            phase: Phase::Waiting { until: first },
            random: pace.seed | 1,
        }
    }

    /// When the first probe of server `position` of `count` is due: the checks of a backend are spread over this time.
    pub fn first_probe(now: Instant, spread: Duration, position: u32, count: u32) -> Instant {
        now + spread * position / count.max(1)
    }

    /// The way in.
    pub fn handle(&mut self, now: Instant, event: Event) {
        match (event, self.phase) {
            (Event::Timeout, Phase::Waiting { until }) if until <= now => {
                self.phase = Phase::Due { since: now };
            }
            (Event::ProbeDone(result), Phase::Running { since }) => {
                self.count(result);
                // Starts are an interval apart; a probe that took longer is followed at once.
                let until = (since + self.interval()).max(now + Duration::from_millis(1));
                self.phase = Phase::Waiting { until };
            }
            (Event::Errors(..), Phase::Paused { .. }) => {}
            (Event::Errors(then, detail), phase) => {
                self.suffer(then, detail);
                if let (Some(soon), Phase::Waiting { until }) = (self.config.fastinter, phase) {
                    let until = until.min(now + soon);
                    self.phase = Phase::Waiting { until };
                }
            }
            (Event::ProbeDone(_), Phase::Paused { .. }) => {
                self.phase = Phase::Paused { running: false };
            }
            (Event::Pause, phase) => {
                let running = match phase {
                    Phase::Paused { running } => running,
                    _ => matches!(phase, Phase::Running { .. }),
                };
                self.phase = Phase::Paused { running };
            }
            // A probe from before the pause is still out: the next one follows it.
            (Event::Resume, Phase::Paused { running: true }) => {
                self.phase = Phase::Running { since: now };
            }
            (Event::Resume, Phase::Paused { running: false }) => {
                self.phase = Phase::Due { since: now };
            }
            (Event::Restore(report), _) => {
                let most = self.report.rise + self.report.fall - 1;
                self.report.health = report.health.min(most);
                self.report.result = report.result;
            }
            (Event::Timeout | Event::ProbeDone(_) | Event::Resume, _) => {}
        }
    }

    /// A probe to run now, at most one at a time.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        let Phase::Due { since } = self.phase else {
            return None;
        };
        self.phase = Phase::Running { since };
        let inter = self.config.inter;
        let read_timeout = self.pace.check_timeout.unwrap_or(inter);
        Some(Probe {
            connect_timeout: connect_limit(
                inter,
                self.pace.check_timeout,
                self.pace.connect_timeout,
            ),
            read_timeout,
        })
    }

    /// When [`Event::Timeout`] is wanted.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Due { .. } | Phase::Running { .. } | Phase::Paused { .. } => None,
        }
    }

    /// State of the checks.
    pub fn report(&self) -> &CheckReport {
        &self.report
    }

    /// What `on-error` makes of too many errors.
    fn suffer(&mut self, then: OnError, detail: Arc<str>) {
        let report = &mut self.report;
        match then {
            OnError::Fastinter => return,
            OnError::FailCheck => {}
            OnError::SuddenDeath => report.health = report.health.min(report.rise + 1),
            OnError::MarkDown => report.health = report.health.min(report.rise),
        }
        if report.health == 0 {
            return;
        }
        self.count(ProbeResult {
            status: CheckStatus::Analysis,
            code: None,
            duration: Duration::ZERO,
            detail,
        });
    }

    fn count(&mut self, result: ProbeResult) {
        let report = &mut self.report;
        let top = report.rise + report.fall - 1;
        match result.status.passed() {
            Some(true) => {
                report.health = (report.health + 1).min(top);
                if report.health >= report.rise {
                    report.health = top;
                }
            }
            Some(false) if report.health > report.rise => report.health -= 1,
            Some(false) => report.health = 0,
            // The last result stays.
            None if result.status == CheckStatus::Unknown => return,
            None => {}
        }
        report.result = result;
    }

    /// Time between the starts of two probes in the present state.
    fn interval(&mut self) -> Duration {
        let inter = self.config.inter;
        let interval = if !self.report.is_settled() {
            self.config.fastinter.unwrap_or(inter)
        } else if self.report.health == 0 {
            self.config.downinter.unwrap_or(inter)
        } else {
            inter
        };
        let spread = interval * u32::from(self.pace.spread_percent.min(50)) / 100;
        if spread.is_zero() {
            return interval;
        }
        // xorshift64: 0 to 1000 thousandths of twice the spread, around the interval.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = u32::try_from(self.random % 1001).unwrap_or(500);
        interval - spread + spread * 2 * share / 1000
    }
}
