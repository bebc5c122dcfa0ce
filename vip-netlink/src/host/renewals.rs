//! Leases to be renewed, from the driver's side to the worker. Hundreds of routers ask for hundreds of renewals a second,
//! which the worker carries out together: the first wakes it, those that follow soon lie there when it gets to them.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use vrrp_fsm::RouterId;

use super::LinuxHost;
use super::worker::Work;

/// How long a renewal, of which there is one a second, may wait for others.
pub(super) const GATHERED: Duration = Duration::from_millis(100);

/// A router, and when the advert went out that says that its addresses stay.
pub(super) type Renewal = (RouterId, Duration);

/// Renewals that nobody is woken for.
#[derive(Debug)]
pub(super) struct Renewals {
    following: UnboundedSender<Renewal>,
    /// When the last one was that woke the worker. It looks for others a full [`GATHERED`] after it heard of it.
    woken: Option<Duration>,
}

impl Renewals {
    /// Both ends.
    pub(super) fn new() -> (Self, UnboundedReceiver<Renewal>) {
        let (following, renewed) = unbounded_channel();
        let renewals = Self {
            following,
            woken: None,
        };
        (renewals, renewed)
    }
}

impl LinuxHost {
    /// An advert went out at that time, by which its router's lease is due.
    pub(super) fn renew(&mut self, router: RouterId, sent: Duration) {
        let Renewals { following, woken } = &mut self.renewals;
        // Clocks are read one after the other: a tenth less than it waits.
        let follows = woken.is_some_and(|woken| sent.saturating_sub(woken) < GATHERED / 10 * 9);
        if !(follows && following.send((router, sent)).is_ok()) {
            *woken = Some(sent);
            self.command(router, Work::Refresh { sent });
        }
    }
}
