//! A ready driver on tokio (feature `tokio`): one task that carries out what a
//! [`RouterSet`](crate::RouterSet) asks for, over any [`Host`].
//!
//! Each round drains host events and packets, then fires timers: a process that was stalled first
//! hears the living Active router instead of usurping it. Protocol time is `CLOCK_BOOTTIME`, by a
//! timerfd. Adverts are sent at once and never wait for an address; addresses are enqueued, and
//! their completion comes back as an event.

mod host;

pub use host::{Command, Datagram, Host, HostEvent};
