//! `show proc`.

use std::{fmt, time::Duration};

use crate::admin::stat::info;

/// The daemon as haproxy's master shows itself.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Processes {
    /// The supervisor.
    pub(in crate::supervisor) master: (u32, Duration),
    /// Reloads that were asked for.
    pub(in crate::supervisor) reloads: u64,
    /// Those that were refused since the last that was applied.
    pub(in crate::supervisor) failed: u64,
    /// The balancer, if it serves.
    pub(in crate::supervisor) workers: Vec<Worker>,
    /// Balancers that finish what they have.
    pub(in crate::supervisor) old: Vec<Worker>,
}

/// A balancer.
#[derive(Debug, Clone, Copy)]
pub(in crate::supervisor) struct Worker {
    pub(in crate::supervisor) pid: u32,
    pub(in crate::supervisor) uptime: Duration,
    /// Reloads since the configuration that it runs.
    pub(in crate::supervisor) reloads: u64,
}

impl fmt::Display for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "#{:<14} {:<15} {:<15} {:<15} {:<15}",
            "<PID>", "<type>", "<reloads>", "<uptime>", "<version>"
        )?;
        let reloads = format!("{} [failed: {}]", self.reloads, self.failed);
        write_row(f, self.master.0, "master", &reloads, self.master.1)?;
        f.write_str("# workers\n")?;
        for worker in &self.workers {
            worker.write(f)?;
        }
        if !self.old.is_empty() {
            f.write_str("# old workers\n")?;
        }
        for worker in &self.old {
            worker.write(f)?;
        }
        f.write_str("# programs\n")
    }
}

impl Worker {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_row(
            f,
            self.pid,
            "worker",
            &self.reloads.to_string(),
            self.uptime,
        )
    }
}

fn write_row(
    f: &mut fmt::Formatter<'_>,
    pid: u32,
    kind: &str,
    reloads: &str,
    uptime: Duration,
) -> fmt::Result {
    let seconds = uptime.as_secs();
    let uptime = format!(
        "{}d{:02}h{:02}m{:02}s",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    let version = info::VERSION;
    writeln!(
        f,
        "{pid:<15} {kind:<15} {reloads:<15} {uptime:<15} {version:<15}"
    )
}
