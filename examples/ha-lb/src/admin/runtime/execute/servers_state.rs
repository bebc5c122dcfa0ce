//! `show servers state`.

use std::time::Instant;

use lb_core::{
    backend::Backend,
    server::{AdminState, Server},
};

use super::Runtime;

impl Runtime {
    /// `show servers state`, of one backend or of all.
    pub(super) fn servers_state(&self, wanted: Option<&str>) -> String {
        const HEADER: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
                              srv_iweight srv_time_since_last_change srv_check_status srv_check_result \
                              srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id \
                              srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
                              srv_agent_port\n";
        let balancer = self.balancer();
        let backends = &balancer.backends;
        if wanted.is_some_and(|name| !backends.iter().any(|b| b.name() == name)) {
            return "Can't find backend.".to_owned();
        }
        let now = Instant::now();
        let mut text = HEADER.to_owned();
        for backend in backends
            .iter()
            .filter(|b| wanted.is_none_or(|name| b.name() == name))
        {
            for server in backend.servers() {
                text.push_str(&server_state(backend, server, now));
            }
        }
        text
    }
}

/// One line of `show servers state` (management guide, version 1 of the state file).
fn server_state(backend: &Backend, server: &Server, now: Instant) -> String {
    let config = server.config();
    let report = server.check_report();
    // Check state: bit 1 configured, 2 enabled, 3 paused.
    let check_state = match &report {
        None => 0,
        Some(_) if !server.is_checked() => 2,
        Some(_) if server.admin().contains(AdminState::MAINT) => 14,
        Some(_) => 6,
    };
    let unknown = (1, 0, if server.has_address() { config.rise } else { 0 });
    let (status, result, health) = report.map_or(unknown, |report| {
        let status = report.result.status;
        (status as u8, status.result_number(), report.health)
    });
    let agent = config.agent.as_ref();
    // Bit 1 configured, 2 enabled, 3 paused, 4 an agent.
    let agent_state = match agent {
        None => 0,
        Some(_) if !server.has_agent() => 18,
        Some(_) if server.admin().contains(AdminState::MAINT) => 30,
        Some(_) => 22,
    };
    let address = server.address();
    let port = address.map_or_else(|| server.port(), |address| address.port());
    let named = if server.was_named() { 0x40 } else { 0 };
    let address = address.map_or_else(|| "-".to_owned(), |a| a.ip().to_string());
    format!(
        "{} {} {} {} {address} {} {} {} {} {} {status} {result} {health} {check_state} {agent_state} 0 0 {} {port} {} {} {} {} {} {}\n",
        backend.id(),
        backend.name(),
        config.id,
        server.name(),
        server.operation() as u8,
        server.admin().bits() | named,
        server.weight(),
        config.weight,
        server.seconds_since_change(now),
        server.host().as_deref().unwrap_or("-"),
        server.service().unwrap_or("-"),
        match &config.tls {
            Some(_) => 1,
            None if config.tls_refused => -1,
            None => 0,
        },
        config
            .check
            .as_ref()
            .and_then(|check| check.port)
            .unwrap_or(0),
        config
            .check
            .as_ref()
            .and_then(|check| check.addr)
            .map_or_else(|| "-".to_owned(), |address| address.to_string()),
        agent
            .and_then(|agent| agent.addr)
            .map_or_else(|| "-".to_owned(), |address| address.to_string()),
        agent.map_or(0, |agent| agent.port),
    )
}
