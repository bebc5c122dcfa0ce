//! The one timer of a connection. Deadlines are only noted; the runtime's timer is touched when a deadline is
//! earlier than what is armed, or when the armed one has fired too early.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use super::clock;

/// A deadline that may move at no cost.
#[derive(Debug, Default)]
pub(super) struct Timer {
    deadline: Option<Instant>,
    armed: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timer {
    /// Expires at `deadline`, or never.
    pub(super) fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Expires `timeout` after `now`, or never.
    pub(super) fn after(&mut self, now: Instant, timeout: Option<Duration>) {
        self.deadline = timeout.map(|t| now + t);
    }

    /// Expires at `deadline` at the latest.
    pub(super) fn no_later_than(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |own| own.min(deadline)));
    }

    /// Completes once the deadline has passed.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let (armed, sleep) = self.armed.get_or_insert_with(|| {
            (
                deadline,
                Box::pin(tokio::time::sleep_until(deadline.into())),
            )
        });
        if deadline < *armed {
            sleep.as_mut().reset(deadline.into());
            *armed = deadline;
        }
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if clock::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
            *armed = deadline;
        }
    }
}
