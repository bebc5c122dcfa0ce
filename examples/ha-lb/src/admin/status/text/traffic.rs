//! Frontends and backends for people.

use std::fmt;

use super::{
    super::{Backend, Frontend, Server},
    layout::{Table, duration, milliseconds},
    precise,
};

pub(super) fn frontends(f: &mut fmt::Formatter<'_>, all: &[Frontend]) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        "FRONTEND",
        "STATUS",
        "SESSIONS",
        "PER S",
        "TOTAL",
        "REQUESTS",
        "DENIED",
        "ERRORS",
        "LISTENS ON",
    ]);
    for one in all {
        table.row([
            one.name.clone(),
            one.status.clone(),
            format!("{}/{}", one.sessions, one.limit),
            one.rate.to_string(),
            one.total.to_string(),
            one.requests.to_string(),
            one.denied.to_string(),
            one.errors.to_string(),
            one.binds.join(" "),
        ]);
    }
    write!(f, "\n{table}")
}

pub(super) fn backend(f: &mut fmt::Formatter<'_>, one: &Backend) -> fmt::Result {
    writeln!(
        f,
        "\n  BACKEND {}: {} for {}, {} of {} servers usable, {} sessions, {} queued, {} total",
        one.name,
        one.status,
        duration(precise(one.last_change)),
        one.usable,
        one.servers.len(),
        one.sessions,
        one.queued,
        one.total
    )?;
    let mut table = Table::new(&[
        "SERVER", "STATUS", "SINCE", "CHECK", "TOOK", "WEIGHT", "SESSIONS", "QUEUE", "TOTAL",
        "ADDRESS",
    ]);
    for server in &one.servers {
        table.row(cells(server));
    }
    write!(f, "{table}")
}

fn cells(server: &Server) -> [String; 10] {
    let took = server.last_check.as_ref().and_then(|check| check.duration);
    let detail = server
        .last_check
        .as_ref()
        .filter(|_| !server.status.starts_with("UP"))
        .map_or("", |check| check.detail.as_str());
    let name = if server.backup {
        format!("{} (backup)", server.name)
    } else {
        server.name.clone()
    };
    [
        name,
        server.status.clone(),
        duration(precise(server.last_change)),
        server.check.clone(),
        took.map_or_else(String::new, milliseconds),
        server.weight.to_string(),
        server.sessions.to_string(),
        server.queued.to_string(),
        server.total.to_string(),
        format!("{} {detail}", server.address).trim_end().to_owned(),
    ]
}
