//! keepalived's `virtual_server` as a `listen` of the balancer: the same address and servers, balanced by this
//! program instead of the kernel's IPVS.
//!
//! What stays: address, servers, weights, scheduler, persistence, checks, sorry server. What differs is said once:
//! connections pass through this host, so real servers see its address instead of the client's.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use lb_core::{
    balance::{Algorithm, HashConfig, HashLayout},
    config::{
        BackendConfig, Bind, BindAddress, CheckConfig, CheckKind, Config, FrontendConfig,
        ProxyConfig, ServerConfig, Timeouts,
    },
    health::script::{Request, Script},
};

use super::{
    diagnostic::{Diagnostic, Diagnostics},
    keepalived::{self, RealServer, Scheduler, VirtualServer},
};

/// IPVS forgets a silent TCP connection after this time (`ipvsadm --set` names it first).
const IDLE: Duration = Duration::from_secs(900);

/// keepalived's own connect timeout, where no check names one.
const CONNECT: Duration = Duration::from_secs(5);

/// Adds a proxy for each `virtual_server` behind the proxies of `config`.
pub fn append(keepalived: &keepalived::Config, config: &mut Config, diagnostics: &mut Diagnostics) {
    let Some(first) = keepalived.virtual_servers.first() else {
        return;
    };
    diagnostics.push(
        Diagnostic::warning(first.span.clone(), "kernel IPVS is not used for virtual_server").action(
            "its connections are balanced by this program: real servers see this host's address instead of the \
             client's, answers come back through this host whatever lb_kind (NAT, DR, TUN) says, connections end \
             when the balancer does, and UDP is not balanced",
        ),
    );
    let mut id = config
        .proxies
        .iter()
        .map(|proxy| proxy.id)
        .max()
        .unwrap_or(1);
    for server in &keepalived.virtual_servers {
        id = id.saturating_add(1);
        say_what_is_lost(server, diagnostics);
        let taken = |name: &str| config.proxies.iter().any(|proxy| &*proxy.name == name);
        let name = unique(server.address.to_string(), taken);
        config.proxies.push(proxy(server, name, id));
    }
}

/// Settings beyond the usual that have no counterpart.
fn say_what_is_lost(server: &VirtualServer, diagnostics: &mut Diagnostics) {
    let mut warn = |what: &str, done: &str| {
        diagnostics.push(Diagnostic::warning(server.span.clone(), what).action(done));
    };
    let whole = if server.address.is_ipv4() { 32 } else { 128 };
    if server
        .persistence_prefix
        .is_some_and(|prefix| prefix < whole)
    {
        warn(
            "persistence_granularity is ignored",
            "each client address is kept by itself",
        );
    }
    if server.quorum > 1 {
        warn(
            "quorum is ignored",
            "the service is up while one real server is",
        );
    }
    let http = server.real_servers.iter().filter_map(http_check);
    let kinds: BTreeSet<_> = http.map(|kind| format!("{kind:?}")).collect();
    let some_without = server
        .real_servers
        .iter()
        .any(|real| http_check(real).is_none());
    if kinds.len() > 1 || (kinds.len() == 1 && some_without) {
        warn(
            "the real servers are checked in different ways",
            "all are checked as the first HTTP_GET says",
        );
    }
}

fn http_check(real: &RealServer) -> Option<&keepalived::CheckKind> {
    let kind = real.check.as_ref().map(|check| &check.kind)?;
    matches!(kind, keepalived::CheckKind::Http { .. }).then_some(kind)
}

fn unique(name: String, taken: impl Fn(&str) -> bool) -> Arc<str> {
    let mut candidate = name.clone();
    let mut number = 2_u32;
    while taken(&candidate) {
        candidate = format!("{name}-{number}");
        number = number.saturating_add(1);
    }
    candidate.into()
}

fn proxy(server: &VirtualServer, name: Arc<str>, id: u32) -> ProxyConfig {
    let origin: Arc<str> = format!("{}:{}", server.span.file, server.span.line).into();
    let mut bind = Bind::new(BindAddress::Tcp(server.address));
    // The address is on this host only while it is Active.
    bind.freebind = true;
    bind.origin = Some(origin);
    let checks = server
        .real_servers
        .iter()
        .filter_map(|real| real.check.as_ref());
    let connect = checks
        .map(|check| check.connect_timeout)
        .max()
        .unwrap_or(CONNECT);

    let mut proxy = ProxyConfig::new(name.clone(), id, lb_core::config::Mode::Tcp);
    proxy.timeouts = Timeouts {
        client: Some(IDLE),
        server: Some(IDLE),
        connect: Some(connect),
        ..Timeouts::default()
    };
    proxy.frontend = Some(FrontendConfig {
        binds: vec![bind],
        default_backend: Some(name),
        ..FrontendConfig::default()
    });
    proxy.backend = Some(BackendConfig {
        balance: algorithm(server.scheduler),
        hash: HashConfig {
            layout: match server.scheduler {
                Scheduler::MaglevHash => HashLayout::Maglev,
                _ => HashLayout::Map,
            },
            avalanche: server.scheduler == Scheduler::MaglevHash,
            ..HashConfig::default()
        },
        servers: servers(server),
        // A refused connection goes to another server at last, as it would once IPVS has removed the first.
        redispatch: Some(-1),
        check: check_kind(server),
        stick_on_source: server.persistence,
        ..BackendConfig::default()
    });
    proxy
}

fn algorithm(scheduler: Scheduler) -> Algorithm {
    match scheduler {
        Scheduler::RoundRobin | Scheduler::WeightedRoundRobin => Algorithm::RoundRobin,
        Scheduler::LeastConnections | Scheduler::WeightedLeastConnections => Algorithm::LeastConn,
        Scheduler::SourceHash | Scheduler::MaglevHash => Algorithm::Source,
    }
}

fn check_kind(server: &VirtualServer) -> CheckKind {
    let Some(keepalived::CheckKind::Http { path, host, status }) =
        server.real_servers.iter().find_map(http_check)
    else {
        return CheckKind::Tcp;
    };
    let host = host.iter().map(|host| ("host".to_owned(), host.clone()));
    let request = Request {
        method: "GET".to_owned(),
        target: path.clone(),
        headers: host.collect(),
        ..Request::default()
    };
    let good = status.iter().map(|(low, high)| *low..=*high).collect();
    CheckKind::Script(Arc::new(Script::http(request, good)))
}

fn servers(server: &VirtualServer) -> Vec<ServerConfig> {
    let heaviest = server
        .real_servers
        .iter()
        .map(|real| real.weight)
        .max()
        .unwrap_or(1);
    let even = matches!(
        server.scheduler,
        Scheduler::RoundRobin | Scheduler::LeastConnections
    );
    let mut servers: Vec<ServerConfig> = Vec::new();
    for (real, id) in server.real_servers.iter().zip(1..) {
        let mut address = real.address;
        if address.port() == 0 {
            address.set_port(server.address.port());
        }
        let name = unique(address.to_string(), |name| {
            servers.iter().any(|other| &*other.name == name)
        });
        let mut config = ServerConfig::new(name, id, Some(address));
        config.weight = match real.weight {
            0 => 0,
            _ if even => 1,
            weight => scaled(weight, heaviest),
        };
        config.maxconn = real.upper_threshold.filter(|limit| *limit > 0);
        config.check = real
            .check
            .as_ref()
            .map(|check| check_config(check, address));
        config.origin = Some(format!("{}:{}", real.span.file, real.span.line).into());
        servers.push(config);
    }
    if let Some(address) = server.sorry_server {
        let id = u32::try_from(servers.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let mut config = ServerConfig::new("sorry_server", id, Some(address));
        config.backup = true;
        servers.push(config);
    }
    servers
}

/// IPVS takes weights to 65535, the balancer to 256: the same proportions, at least 1.
fn scaled(weight: u16, heaviest: u16) -> u16 {
    if heaviest <= 256 {
        return weight;
    }
    let share = u32::from(weight) * 256 / u32::from(heaviest);
    u16::try_from(share).unwrap_or(256).max(1)
}

/// keepalived.conf(5), TCP_CHECK: after a failure `retry` more tries at `delay_before_retry`; one success is
/// enough to come back.
fn check_config(check: &keepalived::Check, server: std::net::SocketAddr) -> CheckConfig {
    CheckConfig {
        inter: check.interval,
        fastinter: (check.retry > 0 && !check.retry_delay.is_zero()).then_some(check.retry_delay),
        downinter: None,
        rise: 1,
        fall: check.retry.saturating_add(1),
        port: Some(check.address.port()).filter(|port| *port > 0 && *port != server.port()),
        addr: (check.address.ip() != server.ip()).then(|| check.address.ip()),
        ..CheckConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::{Severity, Span};

    fn span(line: u32) -> Span {
        Span::new("keepalived.conf".into(), line, 1)
    }

    /// The `virtual_server` of the users' `apiserver/keepalived-lvs.conf`, as it is read.
    fn apiserver() -> keepalived::Config {
        let real = |host: &str, line| {
            let address = format!("{host}:8443").parse().unwrap();
            RealServer {
                span: span(line),
                address,
                weight: 1,
                upper_threshold: None,
                check: Some(keepalived::Check {
                    kind: keepalived::CheckKind::Tcp,
                    address,
                    connect_timeout: Duration::from_secs(3),
                    interval: Duration::from_secs(5),
                    retry: 1,
                    retry_delay: Duration::from_secs(1),
                }),
            }
        };
        keepalived::Config {
            virtual_servers: vec![VirtualServer {
                span: span(34),
                address: "192.168.10.99:8443".parse().unwrap(),
                scheduler: Scheduler::WeightedLeastConnections,
                forwarding: Some("NAT".to_owned()),
                persistence: Some(Duration::from_secs(1800)),
                persistence_prefix: None,
                delay_loop: Duration::from_secs(5),
                sorry_server: None,
                quorum: 1,
                starts_down: false,
                real_servers: vec![
                    real("192.168.10.80", 41),
                    real("192.168.10.81", 48),
                    real("192.168.10.82", 55),
                ],
            }],
            ..keepalived::Config::default()
        }
    }

    fn read(keepalived: &keepalived::Config) -> (Config, Diagnostics) {
        let mut config = Config::default();
        let mut diagnostics = Diagnostics::new();
        append(keepalived, &mut config, &mut diagnostics);
        (config, diagnostics)
    }

    #[test]
    fn the_apiserver_becomes_a_listener_on_the_virtual_address_with_one_warning() {
        let (config, diagnostics) = read(&apiserver());
        assert_eq!(diagnostics.len(), 1, "{diagnostics}");
        assert_eq!(diagnostics.count(Severity::Warning), 1);
        let text = diagnostics.to_string();
        assert!(
            text.starts_with("keepalived.conf:34:1: warning: kernel IPVS is not used"),
            "{text}"
        );
        let proxy = &config.proxies[0];
        assert_eq!((&*proxy.name, proxy.id), ("192.168.10.99:8443", 2));
        let frontend = proxy.frontend.as_ref().unwrap();
        assert_eq!(
            frontend.default_backend.as_deref(),
            Some("192.168.10.99:8443")
        );
        assert_eq!(
            frontend.binds[0].address,
            BindAddress::Tcp("192.168.10.99:8443".parse().unwrap())
        );
        assert!(frontend.binds[0].freebind);
        let backend = proxy.backend.as_ref().unwrap();
        assert_eq!(backend.balance, Algorithm::LeastConn);
        assert_eq!(backend.stick_on_source, Some(Duration::from_secs(1800)));
        assert_eq!(proxy.timeouts.connect, Some(Duration::from_secs(3)));
        let servers: Vec<_> = backend
            .servers
            .iter()
            .map(|s| (s.id, s.address.unwrap().to_string(), s.weight))
            .collect();
        assert_eq!(
            servers,
            [
                (1, "192.168.10.80:8443".to_owned(), 1),
                (2, "192.168.10.81:8443".to_owned(), 1),
                (3, "192.168.10.82:8443".to_owned(), 1),
            ]
        );
        let check = backend.servers[0].check.as_ref().unwrap();
        assert_eq!(
            (check.inter, check.rise, check.fall),
            (Duration::from_secs(5), 1, 2)
        );
        assert_eq!((check.port, check.addr), (None, None));
    }

    #[test]
    fn weights_keep_their_proportions_and_a_sorry_server_is_a_backup() {
        let mut keepalived = apiserver();
        let server = &mut keepalived.virtual_servers[0];
        server.real_servers[0].weight = 1000;
        server.real_servers[1].weight = 500;
        server.real_servers[2].weight = 0;
        let third = &mut server.real_servers[2];
        third.address.set_port(0);
        third.check.as_mut().unwrap().address.set_port(0);
        server.sorry_server = Some("192.168.10.90:80".parse().unwrap());
        let (config, _) = read(&keepalived);
        let servers = &config.proxies[0].backend.as_ref().unwrap().servers;
        let weights: Vec<_> = servers.iter().map(|s| (s.weight, s.backup)).collect();
        assert_eq!(weights, [(256, false), (128, false), (0, false), (1, true)]);
        assert_eq!(servers[2].address.unwrap().port(), 8443);
        assert_eq!(servers[2].check.as_ref().unwrap().port, None);

        keepalived.virtual_servers[0].scheduler = Scheduler::RoundRobin;
        let (config, _) = read(&keepalived);
        let servers = &config.proxies[0].backend.as_ref().unwrap().servers;
        assert_eq!(
            servers.iter().map(|s| s.weight).collect::<Vec<_>>(),
            [1, 1, 0, 1]
        );
    }

    #[test]
    fn ids_and_names_go_on_behind_those_of_haproxy() {
        let mut keepalived = apiserver();
        keepalived
            .virtual_servers
            .push(keepalived.virtual_servers[0].clone());
        let mut config = Config::default();
        config
            .proxies
            .push(ProxyConfig::new("web", 7, lb_core::config::Mode::Http));
        let mut diagnostics = Diagnostics::new();
        append(&keepalived, &mut config, &mut diagnostics);
        let names: Vec<_> = config.proxies.iter().map(|p| (&*p.name, p.id)).collect();
        assert_eq!(
            names,
            [
                ("web", 7),
                ("192.168.10.99:8443", 8),
                ("192.168.10.99:8443-2", 9)
            ]
        );
        assert_eq!(diagnostics.len(), 1);
    }

    #[test]
    fn without_virtual_servers_nothing_is_said() {
        let (config, diagnostics) = read(&keepalived::Config::default());
        assert!(config.proxies.is_empty() && diagnostics.is_empty());
    }
}
