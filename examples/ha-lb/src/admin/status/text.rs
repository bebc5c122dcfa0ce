//! The status for people: what is wrong stands out, everything fits 100 columns, nothing needs a legend.

mod hooks;
mod layout;
mod traffic;
mod vrrp;

use std::fmt;

use super::{Process, Reload, Status, Upgrade};
use layout::{Table, bytes, clock, duration, paragraph};

/// How many changes of state of each instance are shown.
const HISTORY: usize = 5;

/// Displays a status.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a Status);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0;
        write!(f, "ha-lb {}", status.version)?;
        if let Some(name) = &status.router_id {
            write!(f, " on {name}")?;
        }
        writeln!(
            f,
            ", up {}, {}",
            duration(precise(status.uptime)),
            clock(status.at)
        )?;
        write!(f, "{}", processes(status))?;
        if let Some(reload) = &status.reload {
            last_reload(f, reload)?;
        }
        if let Some(upgrade) = &status.upgrade {
            last_upgrade(f, upgrade)?;
        }
        if let Some(age) = status.instances_age.filter(|age| *age > STALE) {
            let ago = duration(age);
            writeln!(
                f,
                "\nTHE VRRP PROCESS DOES NOT ANSWER: what follows of it is {ago} old"
            )?;
        }
        for instance in &status.instances {
            vrrp::instance(f, instance)?;
        }
        vrrp::rest(f, status)?;
        if let Some(age) = status.traffic_age.filter(|age| *age > STALE) {
            let ago = duration(age);
            writeln!(
                f,
                "\nTHE BALANCER DOES NOT ANSWER: what follows of it is {ago} old"
            )?;
        }
        traffic::frontends(f, &status.frontends)?;
        status
            .backends
            .iter()
            .try_for_each(|backend| traffic::backend(f, backend))
    }
}

/// What a child told longer ago than that is told to be old.
const STALE: f64 = 2.5;

/// Seconds of a counter, as seconds with a fraction.
fn precise(seconds: u64) -> f64 {
    u32::try_from(seconds).map_or(f64::from(u32::MAX), f64::from)
}

fn processes(status: &Status) -> Table {
    let mut table = Table::new(&[
        "PROCESS", "PID", "UP", "RESTARTS", "UID", "MEMORY", "CPU", "FILES", "RIGHTS",
    ]);
    let all = [
        ("supervisor", Some(&status.supervisor)),
        ("vrrp", status.vrrp.as_ref()),
        ("balancer", status.balancer.as_ref()),
    ];
    for (name, process) in all {
        let Some(process) = process else { continue };
        table.row([
            name.to_owned(),
            process
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            match (process.pid, process.uptime) {
                (None, _) => "RESTARTING".to_owned(),
                (Some(_), _) if process.hangs => "HANGS".to_owned(),
                (Some(_), Some(up)) if process.ready => duration(up),
                _ => "starting".to_owned(),
            },
            process.restarts.to_string(),
            process.uid.map_or_else(String::new, |uid| uid.to_string()),
            process.memory.map_or_else(String::new, bytes),
            process.cpu.map_or_else(String::new, duration),
            match (process.descriptors, process.descriptor_limit) {
                (Some(open), Some(limit)) => format!("{open}/{limit}"),
                (Some(open), None) => open.to_string(),
                _ => String::new(),
            },
            rights(process),
        ]);
    }
    table
}

/// More capabilities than this are counted: the names stand in `--json`.
const NAMED: usize = 6;

fn rights(process: &Process) -> String {
    let Some(capabilities) = &process.capabilities else {
        return String::new();
    };
    let names = capabilities
        .iter()
        .map(|name| name.trim_start_matches("CAP_"));
    let mut rights = match capabilities.len() {
        0 => "none".to_owned(),
        1..=NAMED => names.collect::<Vec<_>>().join(" "),
        many => format!("{many} capabilities"),
    };
    match process.root.as_deref() {
        None | Some("/") => {}
        // An empty place that nobody can put anything in.
        Some(root) if root.starts_with("/proc/") => rights.push_str(", no files"),
        Some(root) => rights = format!("{rights}, root {root}"),
    }
    rights
}

fn last_reload(f: &mut fmt::Formatter<'_>, reload: &Reload) -> fmt::Result {
    let refused = if reload.applied { "" } else { "NOT APPLIED: " };
    let at = clock(precise(reload.at));
    let text = format!("{at}  {refused}{}", reload.outcome);
    paragraph(f, "  last reload  ", &text)
}

fn last_upgrade(f: &mut fmt::Formatter<'_>, upgrade: &Upgrade) -> fmt::Result {
    let outcome = match &upgrade.failure {
        Some(why) => format!("FAILED, the program before runs on: {why}"),
        None if upgrade.ready => "every process has taken over".to_owned(),
        None => "processes are taking over".to_owned(),
    };
    let at = clock(precise(upgrade.at));
    let text = format!("{at}  from {}: {outcome}", upgrade.from);
    paragraph(f, "  last upgrade ", &text)
}

#[cfg(test)]
mod tests;
