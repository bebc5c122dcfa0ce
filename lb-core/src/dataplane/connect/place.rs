//! A place on a server, and the pauses between attempts.

use std::{task::Poll, time::Duration};

use super::{
    super::{
        clock,
        session::{Connection, Gone},
        trace::{Answerer, Trace},
    },
    Need, NotDialed, gave_up,
};
use crate::{
    backend::{AssignKey, Assignment, Lease, Refusal},
    id::ServerIndex,
};

impl Connection {
    /// A place on a server, after waiting in the queue if need be.
    pub(super) async fn place(
        &mut self,
        trace: &mut Trace,
        need: &Need<'_>,
        exclude: Option<ServerIndex>,
    ) -> Result<Lease, NotDialed> {
        let now = clock::recent();
        let key = AssignKey {
            source: self.addresses().source.ip(),
            cookie: need.cookie,
            hash: need.hash,
            exclude,
            forced: need.forced,
            stuck: need.sticks.0,
            last: self.last_server(need),
            insists: need.insists,
            precedence: self.state.precedence(),
        };
        let mut ticket = match need.backend.assign(now, &key) {
            Assignment::Leased(lease) => {
                trace.timers.queue.get_or_insert_default();
                return Ok(lease);
            }
            Assignment::Refused(Refusal::NoServer) => return Err(NotDialed::NoServer),
            Assignment::Refused(Refusal::QueueFull(server)) => {
                trace.answerer = Answerer::Server(server);
                return Err(NotDialed::QueueFull);
            }
            Assignment::Queued(ticket) => Box::pin(ticket),
        };
        let timeouts = &need.proxy.timeouts;
        self.timer.after(now, timeouts.queue.or(timeouts.connect));
        let granted = self
            .wait(|client, cx| {
                // First: a place that comes to somebody who is gone is for the next.
                if gave_up(client, need.on_end, cx).is_ready() {
                    return Poll::Ready(None);
                }
                ticket.as_mut().poll(cx).map(Some)
            })
            .await;
        let waited = clock::recent().saturating_duration_since(now);
        // Whoever has waited counts itself: HAProxy logs 1 for the head of a queue, 0 for who never was in one. What was
        // waited for before another attempt counts as well.
        let ahead = ticket.ahead();
        let place = |before: Option<u64>| {
            let served = before.map_or(0, |before| before.saturating_add(1));
            u32::try_from(served).unwrap_or(u32::MAX)
        };
        let add = |queue: &mut u32, before| *queue = queue.saturating_add(place(before));
        add(&mut trace.server_queue, ahead.server);
        add(&mut trace.backend_queue, ahead.backend);
        match granted {
            Ok(Some(lease)) => {
                *trace.timers.queue.get_or_insert_default() += waited;
                Ok(lease)
            }
            Err(Gone::TimedOut) => {
                trace.timers.queue = Some(waited);
                Err(NotDialed::Queue)
            }
            Ok(None) | Err(Gone::Client) => {
                trace.timers.queue = Some(waited);
                Err(NotDialed::GoneInQueue)
            }
            Err(Gone::Killed) => Err(NotDialed::Killed),
        }
    }

    /// The pause between two attempts on one server.
    pub(super) async fn pause(
        &mut self,
        need: &Need<'_>,
        pause: Duration,
    ) -> Result<(), NotDialed> {
        self.timer.after(clock::recent(), Some(pause));
        match self
            .wait(|client, cx| gave_up(client, need.on_end, cx))
            .await
        {
            Err(Gone::TimedOut) => Ok(()),
            Ok(()) | Err(Gone::Client) => Err(NotDialed::GoneConnecting),
            Err(Gone::Killed) => Err(NotDialed::Killed),
        }
    }
}
