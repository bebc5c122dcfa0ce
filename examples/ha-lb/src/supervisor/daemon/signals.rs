//! Signals beside SIGTERM, SIGINT and SIGHUP: what each means depends on the name that the daemon was called by.
//!
//! None of them may have its default action, which would end or stop the process: programs that look for haproxy
//! or keepalived by name send them.

use std::{io, time::Instant};

use rustix::process::Signal;
use tokio::{
    signal::unix::{Signal as Arrivals, SignalKind, signal},
    sync::mpsc::UnboundedSender,
};

use super::{Daemon, Event, report::Asker};
use crate::{admin::dumps::Dump, supervisor::launch::Program};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Asked {
    /// haproxy's SIGUSR1.
    SoftStop,
    /// haproxy's SIGUSR2.
    Reload,
    /// A file of keepalived's.
    Dump(Dump),
    /// The file of the counters, which then count from 0.
    DumpAndClear,
    /// Something that this program does otherwise; the sentence says how.
    Instead(&'static str),
}

/// SIGTERM, SIGINT and SIGHUP; one that comes while nobody waits is remembered.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) terminate: Arrivals,
    pub(super) interrupt: Arrivals,
    pub(super) hang_up: Arrivals,
}

impl Heard {
    /// From now on none of them has its default action.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// `keepalived --signum=JSON`, SIGRTMIN + 2.
pub(crate) const JSON: i32 = 36;
/// `keepalived --signum=STATS_CLEAR`, SIGRTMAX - 1.
pub(crate) const STATS_CLEAR: i32 = 63;

fn table(program: Program) -> Vec<(i32, Asked)> {
    const USR1: i32 = Signal::USR1.as_raw();
    const USR2: i32 = Signal::USR2.as_raw();
    const STATUS: Asked = Asked::Instead("ask with `ha-lb status` (`--json` for programs)");
    const NONE: Asked = Asked::Instead("it has no meaning here");
    match program {
        Program::HaLb => vec![(USR1, NONE), (USR2, NONE)],
        Program::Haproxy => vec![
            (USR1, Asked::SoftStop),
            (USR2, Asked::Reload),
            (Signal::QUIT.as_raw(), STATUS),
            (
                Signal::TTOU.as_raw(),
                Asked::Instead(
                    "listeners are not paused; another process may listen beside them (SO_REUSEPORT)",
                ),
            ),
            (
                Signal::TTIN.as_raw(),
                Asked::Instead("listeners were not paused"),
            ),
        ],
        Program::Keepalived => vec![
            (USR1, Asked::Dump(Dump::Data)),
            (USR2, Asked::Dump(Dump::Stats)),
            (JSON, Asked::Dump(Dump::Json)),
            (STATS_CLEAR, Asked::DumpAndClear),
        ],
    }
}

/// Passes the signals of `program` on as events.
pub(super) fn listen(program: Program, events: &UnboundedSender<Event>) -> io::Result<()> {
    for (number, asked) in table(program) {
        let mut arrivals = signal(SignalKind::from_raw(number))?;
        let events = events.clone();
        tokio::spawn(async move {
            while arrivals.recv().await.is_some() {
                if events.send(Event::Signal(number, asked)).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

impl Daemon {
    pub(super) fn signalled(&mut self, number: i32, asked: Asked) {
        match asked {
            Asked::SoftStop => self.soft_stop(),
            Asked::Reload => self.hang_up("SIGUSR2", Instant::now()),
            Asked::Dump(dump) => self.ask_children(Asker::Dump(dump), Instant::now()),
            Asked::DumpAndClear => {
                self.stats.clear_next();
                self.ask_children(Asker::Dump(Dump::Stats), Instant::now());
            }
            Asked::Instead(what) => tracing::warn!("signal {number}: {what}"),
        }
    }
}
