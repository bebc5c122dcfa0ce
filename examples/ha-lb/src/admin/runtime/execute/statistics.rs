//! `show stat` and `clear counters`.

use lb_core::{config::StatsLevel, server::Server};

use super::{super::command::Selection, Runtime};
use crate::admin::stat::{
    columns::{Column, Kind, Row},
    rows::Detail,
    walk::{Filter, Walk},
};

impl Runtime {
    /// The lines of `show stat` that are asked for.
    pub(super) fn rows(&self, selection: &Selection, level: StatsLevel) -> Vec<Row> {
        let detail = Detail {
            legends: level >= StatsLevel::Operator,
        };
        let filter = Filter {
            hide_down: selection.hide_down,
            hide_maintenance: selection.hide_maintenance,
            ..Filter::default()
        };
        let mut rows: Vec<Row> = Walk::new(&self.balancer(), filter, detail).collect();
        rows.retain(|row| {
            let kind = match row.kind {
                Kind::Frontend => 1,
                Kind::Backend => 2,
                Kind::Server => 4,
                Kind::Listener => 8,
            };
            let proxy = |wanted: &String| {
                row.text(Column::Pxname) == *wanted || row.text(Column::Iid) == *wanted
            };
            let server = selection.server.to_string();
            selection.proxy.as_ref().is_none_or(proxy)
                && selection.kinds & kind != 0
                && (selection.server < 0
                    || !matches!(row.kind, Kind::Server | Kind::Listener)
                    || row.text(Column::Sid) == server)
        });
        rows
    }

    /// `clear counters`: the maxima, and with `all` everything that is counted.
    pub(super) fn clear_counters(&self, all: bool) {
        let balancer = self.balancer();
        for counters in &balancer.frontend_counters {
            counters.connections.clear_max();
            counters.session_rate.clear_max();
            counters.request_rate.clear_max();
            counters.connection_rate.clear_max();
            if all {
                counters.traffic.clear();
            }
        }
        for counters in balancer.listener_counters.iter().flatten() {
            counters.connections.clear_max();
            if all {
                counters.traffic.clear();
            }
        }
        for backend in &balancer.backends {
            let counters = backend.counters();
            counters.sessions.clear_max();
            counters.queue.clear_max();
            counters.session_rate.clear_max();
            if all {
                counters.traffic.clear();
            }
            for counters in backend.servers().iter().map(Server::counters) {
                counters.sessions.clear_max();
                counters.queue.clear_max();
                counters.session_rate.clear_max();
                if all {
                    counters.traffic.clear();
                }
            }
        }
    }
}
