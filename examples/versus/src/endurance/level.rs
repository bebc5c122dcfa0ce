//! What is compared: memory, descriptors, sessions and counters.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    client::Played,
    phase::{Kind, PATIENCE, Phase},
    proxy::{Place, Proxy},
};
use crate::{Fatal, admin::Rows, process};

/// Resident memory may be so much above its level after the warm-up: what 100,000 connections would leak at 80 bytes each.
pub(super) const SLACK: u64 = 8_000_000;
/// Ends of pipes that may be open: both of 32 for each of two workers, and what a process has for its own use.
const PIPES: usize = 2 * 32 * 2 + 8;
/// What does not change for so long stays.
const QUIET: Duration = Duration::from_millis(500);
/// After a phase everything is as before by then: idle server connections end within 3 s.
const LATEST: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(20);

/// What a proxy holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Level {
    pub(super) processes: Vec<Process>,
    /// Server connections without a request, which are among the descriptors.
    pub(super) idle: u64,
    /// Sessions, requests in queues included.
    sessions: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Process {
    pub(super) name: String,
    /// Bytes.
    pub(super) resident: u64,
    /// But for pipes.
    pub(super) descriptors: usize,
    /// Ends of pipes: a worker keeps some for the next `splice(2)`, as many as it happened to need at once.
    pub(super) pipes: usize,
}

impl Process {
    fn of(pid: u32) -> Self {
        let (descriptors, pipes) = process::descriptors(pid);
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Self {
            name: name.trim().to_owned(),
            resident: process::resident(pid),
            descriptors,
            pipes,
        }
    }
}

impl Level {
    pub(super) fn of(proxy: &Proxy) -> Result<Self, Fatal> {
        let rows = proxy.admin().stat()?;
        let sum = |column: &str| -> u64 { rows.values().filter_map(|row| row.get(column)).sum() };
        let idle = sum("srv_icur");
        let sessions = sum("scur") + sum("qcur") + proxy.admin().connections()? as u64;
        let processes: Vec<Process> = process::tree(proxy.running.pid())?
            .into_iter()
            .map(Process::of)
            .collect();
        Ok(Self {
            processes,
            idle,
            sessions,
        })
    }

    fn resident(&self) -> u64 {
        self.processes.iter().map(|p| p.resident).sum()
    }

    fn pipes(&self) -> usize {
        self.processes.iter().map(|p| p.pipes).sum()
    }

    /// Open files but for idle server connections and pipes.
    fn descriptors(&self) -> u64 {
        let all: usize = self.processes.iter().map(|p| p.descriptors).sum();
        (all as u64).saturating_sub(self.idle)
    }

    /// What is not as it was at `warm`.
    fn faults(&self, warm: &Self, wholly: bool) -> Vec<String> {
        let mut faults = Vec::new();
        if self.sessions > 0 {
            faults.push(format!("{} sessions are left", self.sessions));
        }
        if self.processes.len() != warm.processes.len() {
            faults.push("a process has come or gone".to_owned());
        }
        if self.descriptors() != warm.descriptors() {
            let (now, then) = (self.descriptors(), warm.descriptors());
            faults.push(format!("{now} descriptors instead of {then}"));
        }
        if self.pipes() > PIPES {
            faults.push(format!("{} ends of pipes", self.pipes()));
        }
        if wholly && self.idle > 0 {
            faults.push(format!("{} server connections stay idle", self.idle));
        }
        let growth = self.resident().saturating_sub(warm.resident());
        if growth > SLACK {
            faults.push(format!("{:.1} MB more than before", growth as f64 / 1e6));
        }
        faults
    }
}

/// The level once nothing changes any more.
pub(super) fn when_quiet(proxy: &Proxy) -> Result<Level, Fatal> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = Level::of(proxy)?;
    let mut since = Instant::now();
    loop {
        thread::sleep(GLANCE);
        let now = Level::of(proxy)?;
        if now.descriptors() != last.descriptors() || now.sessions > 0 || now.idle > 0 {
            since = Instant::now();
        }
        if since.elapsed() > QUIET {
            return Ok(now);
        }
        if Instant::now() > deadline {
            return Err("the proxy does not come to rest after the warm-up".into());
        }
        last = now;
    }
}

/// Waits until everything is as at `warm`; what it is otherwise at the deadline.
pub(super) fn settle(proxy: &Proxy, warm: &Level) -> Result<(Level, Vec<String>), Fatal> {
    wait(proxy, warm, false)
}

/// The same, and no server connection waits for another request.
pub(super) fn settle_wholly(proxy: &Proxy, warm: &Level) -> Result<(Level, Vec<String>), Fatal> {
    wait(proxy, warm, true)
}

fn wait(proxy: &Proxy, warm: &Level, wholly: bool) -> Result<(Level, Vec<String>), Fatal> {
    let deadline = Instant::now() + LATEST;
    loop {
        let level = Level::of(proxy)?;
        let faults = level.faults(warm, wholly);
        if faults.is_empty() || Instant::now() > deadline {
            return Ok((level, faults));
        }
        thread::sleep(GLANCE);
    }
}

/// Counters at a moment.
pub(super) struct Snapshot {
    rows: Rows,
}

/// What no sound server and no patient client is the cause of.
const TROUBLE: [&str; 9] = [
    "econ", "eresp", "wretr", "wredis", "hrsp_4xx", "hrsp_5xx", "cli_abrt", "srv_abrt", "dresp",
];

impl Snapshot {
    pub(super) fn take(proxy: &Proxy) -> Result<Self, Fatal> {
        Ok(Self {
            rows: proxy.admin().stat()?,
        })
    }

    fn count(&self, proxy: &str, row: &str, column: &str) -> u64 {
        let key = (proxy.to_owned(), row.to_owned());
        let found = self.rows.get(&key).and_then(|row| row.get(column));
        found.copied().unwrap_or(0)
    }

    /// What was counted otherwise than it was done since `before`.
    pub(super) fn faults(&self, before: &Self, phase: &Phase, played: &Played) -> Vec<String> {
        let name = phase.place.name();
        let since = |row: &str, column: &str| {
            let now = self.count(name, row, column);
            now.saturating_sub(before.count(name, row, column))
        };
        let mut faults = Vec::new();
        let is_tcp = phase.place == Place::Tcp;
        let (what, counted, sent) = match is_tcp {
            true => ("sessions", since("FRONTEND", "stot"), played.connections),
            false => ("requests", since("FRONTEND", "req_tot"), played.requests),
        };
        let is_right = match phase.kind {
            // Who goes away at once may not be seen at all.
            Kind::Aborts => counted <= played.connections,
            _ => counted == sent,
        };
        if !is_right {
            faults.push(format!("{counted} {what} counted, {sent} made"));
        }
        if matches!(
            phase.kind,
            Kind::Held | Kind::Single | Kind::Http2 | Kind::Slow
        ) {
            for column in TROUBLE {
                match since("BACKEND", column) {
                    0 => {}
                    count => faults.push(format!("{count} in {column}, none is due")),
                }
            }
        }
        faults
    }
}
