//! How long bytes are waited for that `tcp-request content` rules depend on.

use std::time::{Duration, Instant};

use super::{
    buffer, clock, lookup,
    session::{Connection, Gone},
};
use crate::rules::Lookup;

/// The inspection of one connection, or of one of its requests, by one proxy.
#[derive(Debug)]
pub(super) struct Inspection {
    since: Instant,
    /// When the client was last heard of.
    heard: Instant,
    /// Nothing more is waited for.
    pub(super) complete: bool,
}

impl Inspection {
    pub(super) fn begin() -> Self {
        let since = clock::recent();
        Self {
            since,
            heard: since,
            complete: false,
        }
    }

    /// Waits for more from the client until the inspection has lasted for `within`. A client that says nothing is cut off by
    /// `timeout client` meanwhile.
    pub(super) async fn more(
        &mut self,
        connection: &mut Connection,
        within: Duration,
    ) -> Result<(), Gone> {
        let over = self.since + within;
        let silent = connection.frontend().timeouts.client;
        let silent = silent.map(|patience| self.heard + patience);
        let is_over_first = silent.is_none_or(|silent| over <= silent);
        let deadline = silent.map_or(over, |silent| silent.min(over));
        connection.timer.set(Some(deadline));
        let read = connection
            .wait(|client, cx| client.poll_fill(cx, buffer::SIZE))
            .await;
        match read {
            Ok(Ok(_)) => self.heard = clock::recent(),
            Ok(Err(_)) => return Err(Gone::Client),
            Err(Gone::TimedOut) if is_over_first => self.complete = true,
            Err(gone) => return Err(gone),
        }
        Ok(())
    }

    /// Asks for what a rule wants to know; an answer that is not there when the inspection has lasted for `within` is none.
    pub(super) async fn resolve(
        &mut self,
        connection: &mut Connection,
        lookup: &Lookup,
        within: Option<Duration>,
    ) -> Result<(), Gone> {
        connection.timer.after(self.since, within);
        lookup::resolve(connection, lookup).await?;
        // What the client has sent meanwhile was received: its silence begins anew.
        self.heard = clock::recent();
        Ok(())
    }
}
