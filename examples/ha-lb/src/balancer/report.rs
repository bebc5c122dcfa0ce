//! The balancer's part of the status document.

use std::sync::Arc;

use lb_core::dataplane::Balancer;

use crate::{
    admin::{
        stat::{
            columns::{Column, Kind, Row},
            rows::{self, Detail},
        },
        status::{Backend, Check, Frontend, Server, Traffic},
    },
    supervisor::listeners,
};

/// Frontends and backends as they are now.
pub(super) fn traffic(balancer: &Arc<Balancer>) -> Traffic {
    let mut traffic = Traffic::default();
    let mut servers = Vec::new();
    for row in rows::rows(balancer, Detail { legends: true }) {
        match row.kind {
            Kind::Frontend => traffic.frontends.push(frontend(&row, balancer)),
            Kind::Server => servers.push(server(&row)),
            Kind::Listener => {}
            Kind::Backend => traffic.backends.push(Backend {
                name: row.text(Column::Pxname).into_owned(),
                status: row.text(Column::Status).into_owned(),
                sessions: number(&row, Column::Scur),
                total: number(&row, Column::Stot),
                queued: number(&row, Column::Qcur),
                usable: number(&row, Column::Act),
                last_change: number(&row, Column::Lastchg),
                servers: std::mem::take(&mut servers),
            }),
        }
    }
    // A table without servers is no backend to anyone who asks for a status.
    traffic
        .backends
        .retain(|backend| !backend.servers.is_empty());
    traffic
}

fn number(row: &Row, column: Column) -> u64 {
    row.number(column).unwrap_or_default()
}

fn frontend(row: &Row, balancer: &Balancer) -> Frontend {
    let name = row.text(Column::Pxname);
    let sections = balancer.config.proxies.iter();
    let binds = sections
        .filter(|proxy| *proxy.name == *name)
        .flat_map(|proxy| proxy.frontend.iter())
        .flat_map(|frontend| &frontend.binds);
    Frontend {
        status: row.text(Column::Status).into_owned(),
        binds: binds
            .map(|bind| listeners::describe(&bind.address))
            .collect(),
        name: name.into_owned(),
        sessions: number(row, Column::Scur),
        total: number(row, Column::Stot),
        requests: number(row, Column::ReqTot),
        limit: number(row, Column::Slim),
        rate: number(row, Column::Rate),
        denied: number(row, Column::Dreq),
        errors: number(row, Column::Ereq),
    }
}

fn server(row: &Row) -> Server {
    let status = row.text(Column::CheckStatus);
    let check = match row.number(Column::CheckCode) {
        None => status.into_owned(),
        Some(code) => format!("{status}/{code}"),
    };
    Server {
        name: row.text(Column::Svname).into_owned(),
        address: row.text(Column::Addr).into_owned(),
        status: row.text(Column::Status).into_owned(),
        check,
        weight: u32::try_from(number(row, Column::Weight)).unwrap_or_default(),
        sessions: number(row, Column::Scur),
        total: number(row, Column::Stot),
        queued: number(row, Column::Qcur),
        backup: number(row, Column::Bck) > 0,
        last_change: number(row, Column::Lastchg),
        downtime: number(row, Column::Downtime),
        last_check: last_check(row),
    }
}

fn last_check(row: &Row) -> Option<Check> {
    let status = row.text(Column::CheckStatus);
    let milliseconds = row.text(Column::CheckDuration).parse::<u32>().ok();
    (!status.is_empty()).then(|| Check {
        status: status.into_owned(),
        meaning: row.text(Column::CheckDesc).into_owned(),
        code: row.text(Column::CheckCode).parse().ok(),
        duration: milliseconds.map(|ms| f64::from(ms) / 1000.0),
        detail: row.text(Column::LastChk).into_owned(),
        failures: number(row, Column::Chkfail),
    })
}
