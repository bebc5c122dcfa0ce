//! The end of a balancer: requests finish, for a while; and what it does while its program is being replaced.

use std::{io, pin::pin, time::Duration};

use tokio::time::timeout;

use super::{Running, carry_out, log, programs};
use crate::ipc::{channel::Channel, message::FromBalancer};

/// How long connections that are cut may take to end.
const LAST_LINES: Duration = Duration::from_millis(500);

impl Running {
    /// Stops accepting, tells a successor what the tables hold, lets requests finish for `grace` and cuts what is left.
    pub(super) async fn drain(&mut self, grace: Duration) {
        for task in self.command_lines.drain(..) {
            task.abort();
        }
        self.plane.stop_accepting();
        self.run_no_programs();
        let mut drained = pin!(timeout(grace, self.plane.drained()));
        let mut told = pin!(timeout(grace, self.plane.teach_successor()));
        let (mut in_time, mut is_told) = (None, false);
        while in_time.is_none() || !is_told {
            tokio::select! {
                done = &mut drained, if in_time.is_none() => in_time = Some(done.is_ok()),
                _ = &mut told, if !is_told => is_told = true,
                // Conversations with operators that are open go on to the end.
                Some(change) = self.operations.recv() => self.plane.log_change(change),
                Some(order) = self.orders.recv() => carry_out(order, &self.plane),
                Some(event) = self.events.recv() => log(&event),
            }
        }
        while let Ok(event) = self.events.try_recv() {
            log(&event);
        }
        if in_time == Some(false) {
            tracing::warn!(
                "balancer: requests still ran after {} s and were cut",
                grace.as_secs()
            );
            // Each leaves its line in the log.
            self.plane.cut();
            let _ = timeout(LAST_LINES, self.plane.drained()).await;
        }
    }

    /// Serves on as it is until the supervisor closes the line: then a successor accepts from the same sockets.
    pub(super) async fn hand_over(
        mut self,
        grace: Duration,
        supervisor: &Channel,
    ) -> io::Result<()> {
        self.run_no_programs();
        // What an operator has just changed, and checks have just found, is the successor's, too.
        while let Ok(event) = self.events.try_recv() {
            self.found(&event, supervisor).await?;
        }
        while let Some((server, ())) = self.changes.try_recv() {
            self.tell_of(&server, supervisor).await?;
        }
        supervisor.send(&FromBalancer::HandsOver, &[]).await?;
        loop {
            tokio::select! {
                // A supervisor of another version: its words mean nothing here.
                word = supervisor.recv_bytes() => if !matches!(word, Ok(Some(_))) {
                    break;
                },
                Some(change) = self.operations.recv() => self.plane.log_change(change),
                Some(order) = self.orders.recv() => carry_out(order, &self.plane),
                Some(event) = self.events.recv() => log(&event),
            }
        }
        self.drain(grace).await;
        Ok(())
    }

    /// Checks go on, but nobody asks the supervisor for their programs any more: whoever waits for one, or asks for one from
    /// now on, hears at once that nothing is known of the server.
    fn run_no_programs(&mut self) {
        self.asked.close();
        while self.asked.try_recv().is_ok() {}
        self.programs = programs::Open::default();
    }
}
