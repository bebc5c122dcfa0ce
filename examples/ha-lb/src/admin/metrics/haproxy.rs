//! HAProxy's half, family for family what its exporter writes: names, labels, types, what is left out and what is
//! `NaN`. Latency histograms, which it does not have, follow as `ha_lb_frontend_...` and so on.

mod histogram;
mod http2;
mod table;

use std::{borrow::Cow, collections::BTreeMap, fmt::Display, sync::Arc, time::Instant};

use lb_core::{config::TableKey, dataplane::Balancer};

use super::exposition::{Exposition, Family, Kind::Gauge};
use crate::admin::stat::{
    columns::{Column, Kind as RowKind, Row, Value},
    info,
    rows::{self, Detail},
};
use table::{Form, PROCESS, ROWS, RowFamily};

/// Which parts are wanted (`?scope=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// `global`.
    pub process: bool,
    /// `frontend`.
    pub frontend: bool,
    /// `listener`.
    pub listener: bool,
    /// `backend`.
    pub backend: bool,
    /// `server`.
    pub server: bool,
    /// `sticktable`.
    pub table: bool,
    /// Servers in maintenance are left out (`no-maint`).
    pub no_maint: bool,
}

/// What a server's state is called in a label.
const STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// What a listener's state is called in a label.
const LISTENER_STATES: [&str; 3] = ["WAITING", "OPEN", "FULL"];

/// Results of checks that have a sample.
const CHECKS: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP",
    "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

const RESPONSES: [(&str, Column); 6] = [
    ("1xx", Column::Hrsp1xx),
    ("2xx", Column::Hrsp2xx),
    ("3xx", Column::Hrsp3xx),
    ("4xx", Column::Hrsp4xx),
    ("5xx", Column::Hrsp5xx),
    ("other", Column::HrspOther),
];

/// All that is wanted, in the exporter's order.
pub fn write(out: &mut Exposition, balancer: &Arc<Balancer>, workers: usize, wanted: Wanted) {
    let now = Instant::now();
    if wanted.process {
        process(out, balancer, workers, now);
    }
    let rows = rows::rows(balancer, Detail { legends: false });
    for (kind, is_wanted) in [
        (RowKind::Frontend, wanted.frontend),
        (RowKind::Listener, wanted.listener),
        (RowKind::Backend, wanted.backend),
        (RowKind::Server, wanted.server),
    ] {
        let shown = |row: &&Row| {
            let in_maintenance = kind == RowKind::Server && state_of(row) == "MAINT";
            row.kind == kind && is_wanted && !(wanted.no_maint && in_maintenance)
        };
        let shown: Vec<&Row> = rows.iter().filter(shown).collect();
        for family in ROWS {
            write_rows(out, kind, family, &shown, &rows);
        }
    }
    if wanted.table {
        tables(out, balancer, now);
    }
    histogram::write(out, balancer, wanted);
    if wanted.frontend {
        http2::write(out, balancer);
    }
}

fn process(out: &mut Exposition, balancer: &Balancer, workers: usize, now: Instant) {
    let facts = info::facts(balancer, workers, now);
    let values: BTreeMap<_, _> = facts.iter().map(|fact| (fact.name, &fact.value)).collect();
    for (name, kind, source, help) in PROCESS {
        let mut family = out.family(name, *kind, help);
        if source.is_empty() {
            family.sample(&[("version", info::VERSION)], 1);
        } else {
            match values.get(source) {
                Some(Value::Number(number)) => family.sample(&[], number),
                Some(Value::Text(text)) => family.sample(&[], text),
                Some(Value::None) | None => family.sample(&[], "NaN"),
            }
        }
    }
}

/// `DOWN 1/2` is DOWN, `UP 1/3` and `no check` are UP.
fn state_of(row: &Row) -> &'static str {
    let status = row.text(Column::Status);
    let known = STATES.into_iter().find(|state| status.starts_with(*state));
    known.unwrap_or("UP")
}

/// The result of the last check, if it has one.
fn check_of(row: &Row) -> Option<&'static str> {
    let status = row.text(Column::CheckStatus);
    CHECKS.into_iter().find(|check| *check == status)
}

fn write_rows(
    out: &mut Exposition,
    kind: RowKind,
    (suffix, metric, column, form, place, help): &RowFamily,
    shown: &[&Row],
    all: &[Row],
) {
    let (prefix, belongs) = match kind {
        RowKind::Frontend => ("haproxy_frontend_", place.frontend),
        RowKind::Listener => ("haproxy_listener_", place.listener),
        RowKind::Backend => ("haproxy_backend_", place.backend),
        RowKind::Server => ("haproxy_server_", place.server),
    };
    if !belongs {
        return;
    }
    let name = format!("{prefix}{suffix}");
    let mut family = out.family(&name, *metric, help);
    // A family that has a label for its parts lists them one after the other, each for every row.
    if *form == Form::Responses {
        for (class, column) in RESPONSES {
            for row in shown.iter().filter(|row| row.text(Column::Mode) == "http") {
                Names::of(row).sample(&mut family, Some(("code", class)), row.text(column));
            }
        }
        return;
    }
    for row in shown {
        if place.http && row.text(Column::Mode) != "http" {
            continue;
        }
        sample(&mut family, row, *column, *form, all);
    }
}

/// What a row is about.
struct Names<'a> {
    proxy: Cow<'a, str>,
    /// A part of it: a label's name and value.
    part: Option<(&'static str, Cow<'a, str>)>,
}

impl<'a> Names<'a> {
    fn of(row: &'a Row) -> Self {
        let label = match row.kind {
            RowKind::Frontend | RowKind::Backend => None,
            RowKind::Server => Some("server"),
            RowKind::Listener => Some("listener"),
        };
        Self {
            proxy: row.text(Column::Pxname),
            part: label.map(|label| (label, row.text(Column::Svname))),
        }
    }

    fn sample(&self, family: &mut Family<'_>, more: Option<(&str, &str)>, value: impl Display) {
        let mut labels = vec![("proxy", &*self.proxy)];
        labels.extend(self.part.as_ref().map(|(label, name)| (*label, &**name)));
        labels.extend(more);
        family.sample(&labels, value);
    }
}

fn sample(family: &mut Family<'_>, row: &Row, column: Column, form: Form, all: &[Row]) {
    let names = Names::of(row);
    let mut each = |state: &str, value: u64| names.sample(family, Some(("state", state)), value);
    let servers = || {
        let of = |one: &&Row| {
            one.kind == RowKind::Server && one.text(Column::Pxname) == row.text(Column::Pxname)
        };
        all.iter().filter(of)
    };
    match form {
        Form::Status if row.kind == RowKind::Server => {
            for state in STATES {
                each(state, u64::from(state_of(row) == state));
            }
        }
        Form::Status if row.kind == RowKind::Listener => {
            for state in LISTENER_STATES {
                each(state, u64::from(row.text(Column::Status) == state));
            }
        }
        Form::Status => {
            let down = matches!(&*row.text(Column::Status), "DOWN" | "STOP");
            each("DOWN", u64::from(down));
            each("UP", u64::from(!down));
        }
        // Before the first result each of them is 0.
        Form::CheckStatus if row.text(Column::CheckStatus).is_empty() => {}
        Form::CheckStatus => {
            let result = check_of(row);
            for check in CHECKS {
                each(check, u64::from(result == Some(check)));
            }
        }
        Form::Servers if servers().next().is_some() => {
            for state in STATES {
                each(state, count(servers().filter(|one| state_of(one) == state)));
            }
        }
        Form::Checks if servers().next().is_some() => {
            for check in CHECKS {
                let with = servers().filter(|one| check_of(one) == Some(check));
                each(check, count(with));
            }
        }
        Form::Servers | Form::Checks | Form::Responses => {}
        Form::OfCheck | Form::CheckDuration if check_of(row).is_none() => {}
        Form::OfCheck => names.sample(family, None, row.number(column).unwrap_or(0)),
        Form::CheckDuration | Form::Milliseconds => {
            let ms = row.number(column).unwrap_or(0);
            let (seconds, rest) = (ms / 1000, ms % 1000);
            names.sample(family, None, format_args!("{seconds}.{rest:03}000"));
        }
        Form::Plain => {
            let text = row.text(column);
            let value = if text.is_empty() { "NaN" } else { &*text };
            names.sample(family, None, value);
        }
    }
}

fn count<T>(these: impl Iterator<Item = T>) -> u64 {
    u64::try_from(these.count()).unwrap_or(u64::MAX)
}

fn tables(out: &mut Exposition, balancer: &Balancer, now: Instant) {
    let kind = |key: TableKey| match key {
        TableKey::Ip => "ip",
        TableKey::Ipv6 => "ipv6",
        TableKey::Integer => "integer",
        TableKey::String(_) => "string",
        TableKey::Binary(_) => "binary",
    };
    let mut size = out.family("haproxy_sticktable_size", Gauge, "Stick table size.");
    for (name, table) in &balancer.tables {
        let labels = [("name", &**name), ("type", kind(table.config().key))];
        size.sample(&labels, table.config().size);
    }
    let mut used = out.family(
        "haproxy_sticktable_used",
        Gauge,
        "Number of entries used in this stick table.",
    );
    for (name, table) in &balancer.tables {
        let labels = [("name", &**name), ("type", kind(table.config().key))];
        used.sample(&labels, table.len(now));
    }
}
