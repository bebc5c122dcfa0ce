//! What traffic says of a server (`observe`): errors in a row are counted, and too many of them raise an alarm that
//! whoever runs its checks hears.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use crate::config::{Layer, Observe};

/// What a stream saw of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It took a connection.
    Connected,
    /// It took none.
    NotConnected,
    /// It answered with this status.
    Status(u16),
    /// Its answer was not understood.
    Malformed,
    /// Its connection broke before the answer.
    Broken,
    /// It closed before the answer.
    Closed,
    /// It let its timeout pass.
    TimedOut,
}

impl Seen {
    /// Whether it is an error for those who look at this layer; `None` if it says nothing to them.
    fn is_error(self, layer: Layer) -> Option<bool> {
        match (self, layer) {
            (Self::Connected, Layer::Connections) => Some(false),
            (Self::NotConnected, _) => Some(true),
            (_, Layer::Connections) | (Self::Connected, _) => None,
            (Self::Status(status), _) => Some(!matches!(status, 100..=499 | 501 | 505)),
            _ => Some(true),
        }
    }

    /// As HAProxy's log says it.
    fn words(self) -> &'static str {
        match self {
            Self::Connected => "L4 successful connection",
            Self::NotConnected => "L4 unsuccessful connection",
            Self::Status(_) => "Wrong http response",
            Self::Malformed => "Invalid http response (headers)",
            Self::Broken => "Read error (http)",
            Self::Closed => "Close from server (http)",
            Self::TimedOut => "Read timeout (http)",
        }
    }
}

/// The errors of one server.
#[derive(Debug, Default)]
pub(super) struct Observed {
    in_a_row: AtomicU32,
    alarm: Mutex<Alarm>,
}

#[derive(Debug, Default)]
struct Alarm {
    raised: Option<String>,
    waker: Option<Waker>,
}

impl Observed {
    /// Something was seen.
    pub(super) fn note(&self, rule: &Observe, seen: Seen) {
        match seen.is_error(rule.layer) {
            // Nothing is written while all is well: every worker reads this.
            Some(false) if self.in_a_row.load(Relaxed) > 0 => self.in_a_row.store(0, Relaxed),
            None | Some(false) => {}
            Some(true) => {
                let count = self.in_a_row.fetch_add(1, Relaxed) + 1;
                if count < rule.limit {
                    return;
                }
                self.in_a_row.store(0, Relaxed);
                let words = seen.words();
                let mut alarm = self.lock();
                alarm.raised = Some(format!(
                    "Detected {count} consecutive errors, last one was: {words}"
                ));
                if let Some(waker) = alarm.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// The next alarm. One listens at a time.
    pub(super) fn poll_alarm(&self, cx: &mut Context<'_>) -> Poll<String> {
        let mut alarm = self.lock();
        if let Some(raised) = alarm.raised.take() {
            return Poll::Ready(raised);
        }
        alarm.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Alarm> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OnError;

    fn raised(observed: &Observed) -> Option<String> {
        match observed.poll_alarm(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(text) => Some(text),
            Poll::Pending => None,
        }
    }

    #[test]
    fn so_many_errors_in_a_row_raise_an_alarm_once() {
        let rule = Observe {
            layer: Layer::Responses,
            limit: 2,
            then: OnError::FailCheck,
        };
        let observed = Observed::default();
        for seen in [
            Seen::Status(500),
            Seen::Connected,
            Seen::Status(501),
            Seen::TimedOut,
        ] {
            observed.note(&rule, seen);
            assert_eq!(raised(&observed), None, "{seen:?}");
        }
        observed.note(&rule, Seen::Status(503));
        assert_eq!(
            raised(&observed).as_deref(),
            Some("Detected 2 consecutive errors, last one was: Wrong http response")
        );
        assert_eq!(raised(&observed), None);
    }

    #[test]
    fn connections_alone_are_counted_where_responses_do_not_matter() {
        let rule = Observe {
            layer: Layer::Connections,
            limit: 1,
            then: OnError::FailCheck,
        };
        let observed = Observed::default();
        observed.note(&rule, Seen::Status(500));
        assert_eq!(raised(&observed), None);
        observed.note(&rule, Seen::NotConnected);
        assert!(raised(&observed).is_some());
    }
}
