//! Waiting for both sides of an exchange: what may end it, and how long each side may take.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::{
    backend::Outcome,
    dataplane::{flow::Side, registry::Order, session::Connection},
    server::Seen,
};

/// What ended a phase of waiting for both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The server sent something; it is in its input.
    Received,
    /// The response has been passed on.
    Done,
    /// The server ended or broke its connection.
    ServerGone,
    /// The client broke its connection, or ended it and that counts.
    ClientGone,
    /// The request's body is malformed or truncated.
    BadRequest,
    /// The response's body is malformed or truncated.
    BadResponse,
    /// The client let its timeout pass.
    ClientTimeout,
    /// The server let its timeout pass.
    ServerTimeout,
    /// The server was marked down and takes its sessions with it.
    ServerDown,
    /// An active server came up and takes the sessions of this backup server away.
    ServerUp,
    /// The time to finish is over.
    Killed,
}

/// The timeouts of one exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Inactivity of the client.
    pub(super) client: Option<Duration>,
    /// Inactivity of the server.
    pub(super) server: Option<Duration>,
}

impl Patience {
    /// Whether the client's time is over first, where both are waited for from the same moment on.
    pub(super) fn ends_with_client(self) -> bool {
        match (self.client, self.server) {
            (Some(client), Some(server)) => client <= server,
            (client, _) => client.is_some(),
        }
    }

    /// An order to end, or the end of the patience with the one side that is waited for.
    pub(super) fn poll(
        self,
        connection: &mut Connection,
        server: &Side,
        for_client: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        match connection.member.order() {
            Order::Run | Order::Leave | Order::Finish => {}
            Order::ServerDown => return Poll::Ready(Step::ServerDown),
            Order::ServerUp => return Poll::Ready(Step::ServerUp),
            Order::Killed => return Poll::Ready(Step::Killed),
        }
        let after = |active: Instant, timeout: Option<Duration>| timeout.map(|t| active + t);
        let (deadline, step) = if for_client {
            let active = connection.client.active;
            (after(active, self.client), Step::ClientTimeout)
        } else {
            (after(server.active, self.server), Step::ServerTimeout)
        };
        connection.timer.set(deadline);
        connection.timer.poll_expired(cx).map(|()| step)
    }
}

impl Step {
    /// The same, unless an order was the cause: one that ends a connection of HTTP/2 takes the client from each of its
    /// streams.
    pub(super) fn or_order(self, connection: &Connection) -> Self {
        match (self, connection.member.order()) {
            (Self::ClientGone, Order::Killed) => Self::Killed,
            _ => self,
        }
    }

    /// What it says of a server that has not answered; `None` if it is no word about it.
    pub(super) fn seen(self, server: &Side) -> Option<Seen> {
        Some(match self {
            Self::BadResponse => Seen::Malformed,
            Self::ServerTimeout => Seen::TimedOut,
            Self::ServerGone if server.ended => Seen::Closed,
            Self::ServerGone => Seen::Broken,
            _ => return None,
        })
    }

    /// What it means for the server's counters when a response had begun.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Done | Self::Received => Outcome::Completed,
            Self::ServerGone | Self::BadResponse | Self::ServerTimeout | Self::ServerDown => {
                Outcome::ServerAborted
            }
            // Ended by us: no fault of the server.
            Self::ClientGone
            | Self::BadRequest
            | Self::ClientTimeout
            | Self::ServerUp
            | Self::Killed => Outcome::ClientAborted,
        }
    }
}
