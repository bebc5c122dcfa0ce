//! Rows one after the other, made as they are asked for: neither does a large configuration lie in memory as rows, nor
//! is a worker held up by making them all at once.

use std::{sync::Arc, time::Instant};

use lb_core::{
    config::ProxyConfig,
    dataplane::Balancer,
    server::{Server, ServerStatus},
};

use super::{
    columns::{Column, Row},
    listeners,
    rows::{self, Detail},
};

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Names of proxies (`stats scope`); empty takes all.
    pub names: Vec<String>,
    /// What the name of a proxy has to contain, whatever the case (`;scope=`).
    pub containing: Option<String>,
    /// Without servers that are not up (`;up`).
    pub hide_down: bool,
    /// Without servers in maintenance (`;no-maint`).
    pub hide_maintenance: bool,
}

impl Filter {
    /// Whether a proxy is shown.
    pub fn admits(&self, proxy: &ProxyConfig) -> bool {
        let name = &*proxy.name;
        let contains = |text: &String| {
            name.to_ascii_lowercase()
                .contains(&text.to_ascii_lowercase())
        };
        proxy.peers.is_none()
            && (self.names.is_empty() || self.names.iter().any(|n| n == name))
            && self.containing.as_ref().is_none_or(contains)
    }

    fn hides_servers(&self) -> bool {
        self.hide_down || self.hide_maintenance
    }

    /// Whether a server is shown.
    pub fn admits_server(&self, server: &Server) -> bool {
        if !self.hides_servers() {
            return true;
        }
        let status = server.status();
        let in_maintenance = matches!(status, ServerStatus::Maintenance { .. });
        (status.is_up() || !self.hide_down) && !(in_maintenance && self.hide_maintenance)
    }
}

/// Where the walk is in a proxy.
#[derive(Debug, Clone, Copy)]
enum Place {
    Frontend,
    Listener(usize),
    Server(usize),
    Backend,
}

/// The rows in the order of the file: of each proxy its frontend, its listeners, its servers, its backend.
#[derive(Debug, Clone)]
pub struct Walk {
    balancer: Arc<Balancer>,
    filter: Filter,
    detail: Detail,
    /// Proxies yet to come, the present one first.
    proxies: std::ops::Range<usize>,
    place: Place,
}

impl Walk {
    /// Over all proxies.
    pub fn new(balancer: &Arc<Balancer>, filter: Filter, detail: Detail) -> Self {
        let proxies = 0..balancer.config.proxies.len();
        Self {
            balancer: Arc::clone(balancer),
            filter,
            detail,
            proxies,
            place: Place::Frontend,
        }
    }

    /// Over one proxy, by its place in the configuration.
    pub fn of(balancer: &Arc<Balancer>, proxy: usize, filter: Filter, detail: Detail) -> Self {
        Self {
            proxies: proxy..proxy + 1,
            ..Self::new(balancer, filter, detail)
        }
    }

    /// As in HAProxy: where servers are hidden the backend's status counts them.
    fn tell_hidden(&self, proxy: usize, row: &mut Row) {
        let backend = self.balancer.backend_of(proxy);
        let servers = backend.map_or(&[][..], |(_, backend)| backend.servers());
        let up = servers.iter().filter(|server| server.status().is_up());
        let status = row.text(Column::Status);
        let counted = format!("{status} ({}/{})", up.count(), servers.len());
        row.set(Column::Status, counted);
    }

    fn skip_proxy(&mut self) {
        self.proxies.start += 1;
        self.place = Place::Frontend;
    }
}

impl Iterator for Walk {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let now = Instant::now();
        while !self.proxies.is_empty() {
            let index = self.proxies.start;
            let proxy = self.balancer.config.proxies.get(index)?;
            if !self.filter.admits(proxy) {
                self.skip_proxy();
                continue;
            }
            let row = match self.place {
                Place::Frontend => {
                    self.place = Place::Listener(0);
                    rows::of_frontend(&self.balancer, index, now)
                }
                Place::Listener(at) => {
                    let row = listeners::row(&self.balancer, index, at, self.detail);
                    self.place = match row {
                        Some(_) => Place::Listener(at + 1),
                        None => Place::Server(0),
                    };
                    row
                }
                Place::Server(at) => {
                    let backend = self.balancer.backend_of(index);
                    let found = backend
                        .and_then(|(_, backend)| Some((backend, backend.servers().get(at)?)));
                    self.place = match found {
                        Some(_) => Place::Server(at + 1),
                        None => Place::Backend,
                    };
                    found
                        .filter(|(_, server)| self.filter.admits_server(server))
                        .map(|(backend, server)| {
                            rows::server_row((proxy, backend), server, self.detail, now)
                        })
                }
                Place::Backend => {
                    let mut row = rows::of_backend(&self.balancer, index, self.detail, now);
                    if let (true, Some(row)) = (self.filter.hides_servers(), &mut row) {
                        self.tell_hidden(index, row);
                    }
                    self.skip_proxy();
                    row
                }
            };
            if row.is_some() {
                return row;
            }
        }
        None
    }
}
