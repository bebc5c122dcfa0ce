//! `set server addr`: a server at another address.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use lb_core::server::Server;

use super::{Runtime, ServerOrder, Target};

impl Runtime {
    /// Moves a server and tells in HAProxy's words what has changed, or why nothing has.
    pub(super) fn set_address(
        &self,
        target: &Target,
        ip: IpAddr,
        port: Option<&str>,
    ) -> Result<String, String> {
        let (before, key, to, told) = self.look(target, |server| {
            plan(server, ip, port).map(|(to, told)| (server.address(), server.key(), to, told))
        })??;
        if Some(to) != before {
            self.change(target, |backend, index, _| {
                backend.set_address(Instant::now(), index, to)
            })?;
            (self.order)(ServerOrder::Moved(key));
            let name = format!("{}/{}", target.backend, target.server);
            tracing::warn!("{name} has another address: {told}");
        }
        Ok(told)
    }
}

/// Where the server is to be, and what is said of it.
fn plan(server: &Server, ip: IpAddr, port: Option<&str>) -> Result<(SocketAddr, String), String> {
    const BY: &str = "by 'stats socket command'";
    let config = server.config();
    if config.unix.is_some() {
        return Err(format!(
            "Update for the current server address family is only supported through configuration file {BY}"
        ));
    }
    let before = server.address();
    let mut told = match before.map(|before| before.ip()) {
        Some(before) if before == ip => "no need to change the addr".to_owned(),
        Some(before) => format!("IP changed from '{before}' to '{ip}'"),
        None => format!("IP changed from '' to '{ip}'"),
    };
    let known = before.map_or(config.port, |before| before.port());
    let mut to = known;
    if let Some(word) = port {
        if word.starts_with(['+', '-']) {
            return Err(format!("{told}, can't change <port> to port map {BY}"));
        }
        let number = word.parse().ok().filter(|port| *port > 0);
        to = number.ok_or_else(|| format!("problem converting port '{word}' to an int {BY}"))?;
        told.push_str(&match to == known {
            true => ", no need to change the port".to_owned(),
            false => format!(", port changed from '{known}' to '{to}'"),
        });
    }
    Ok((SocketAddr::new(ip, to), format!("{told} {BY}")))
}
