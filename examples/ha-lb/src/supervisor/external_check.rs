//! What `option external-check` runs for a server, with its arguments and its environment (HAProxy's configuration manual,
//! `external-check command`).
//!
//! The program, its path, its time and all names are those of the files; the balancer, which strangers talk to, tells no more than
//! which server it is, where that is now and how many connections it has.

use std::{net::SocketAddr, time::Duration};

use lb_core::{
    config::{
        BindAddress, CheckKind, Config, Global, Mode, Protocol, ProxyConfig, ServerConfig,
        UnixAddress,
    },
    health::connect_limit,
};
use rustix::process::geteuid;

use super::command::Command;
use crate::{
    ipc::message::ProgramCheck,
    privileges::{AccountError, Identity},
};

/// What stands for an address or a port that is not there, among the arguments.
const NOT_USED: &str = "NOT_USED";

/// The account that programs run as, looked up when the files name another one.
#[derive(Debug, Default)]
pub(super) struct Account {
    names: Option<(Option<String>, Option<String>)>,
    found: (Option<u32>, Option<u32>),
    denied: Option<String>,
}

impl Account {
    /// `user` and `group`, as the balancer itself.
    fn look_up(&mut self, global: &Global) {
        let names = (global.user.clone(), global.group.clone());
        if self.names.as_ref() == Some(&names) {
            return;
        }
        self.names = Some(names);
        let found: Result<Identity, AccountError> = Identity::of(global);
        (self.found, self.denied) = match found {
            Ok(identity) => ((identity.user, identity.group), None),
            Err(error) => ((None, None), Some(error.to_string())),
        };
        // What it is already, it need not have the right to become.
        let own = Some(geteuid().as_raw());
        self.found.0 = self.found.0.filter(|_| self.found.0 != own);
    }
}

/// What is run and how long at most; `None` where the files have no such server, or another check.
pub(super) fn command(
    config: &Config,
    check: &ProgramCheck,
    account: &mut Account,
) -> Option<(Command, Duration)> {
    let proxies = config.proxies.iter();
    let mut serving = proxies.filter(|proxy| *proxy.name == check.backend);
    let (proxy, backend) = serving.find_map(|p| Some((p, p.backend.as_ref()?)))?;
    let CheckKind::External(program) = &backend.check else {
        return None;
    };
    let mut servers = backend.servers.iter();
    let server = servers.find(|server| *server.name == check.server)?;
    let inter = server.check.as_ref()?.inter;
    let limit = connect_limit(inter, proxy.timeouts.check, proxy.timeouts.connect);
    account.look_up(&config.global);
    let (proxy_at, server_at) = (End::of_proxy(proxy), End::of_server(server, check.address));
    let mut environment = vec![
        ("HAPROXY_PROXY_NAME", proxy.name.to_string()),
        ("HAPROXY_PROXY_ID", proxy.id.to_string()),
        (
            "HAPROXY_PROXY_ADDR",
            proxy_at.address.clone().unwrap_or_default(),
        ),
        (
            "HAPROXY_PROXY_PORT",
            proxy_at.port.clone().unwrap_or_default(),
        ),
        ("HAPROXY_SERVER_NAME", server.name.to_string()),
        ("HAPROXY_SERVER_ID", server.id.to_string()),
        (
            "HAPROXY_SERVER_ADDR",
            server_at.address.clone().unwrap_or_default(),
        ),
        (
            "HAPROXY_SERVER_PORT",
            server_at.port.clone().unwrap_or_default(),
        ),
        (
            "HAPROXY_SERVER_MAXCONN",
            server.maxconn.unwrap_or(0).to_string(),
        ),
        ("HAPROXY_SERVER_CURCONN", check.sessions.to_string()),
        (
            "HAPROXY_SERVER_SSL",
            u8::from(server.tls.is_some()).to_string(),
        ),
        ("HAPROXY_SERVER_PROTO", protocol(proxy, server).to_owned()),
    ];
    environment.extend(program.path.clone().map(|path| ("PATH", path)));
    let words = [program.command.clone()]
        .into_iter()
        .chain(proxy_at.arguments())
        .chain(server_at.arguments());
    let command = Command {
        words: words.collect(),
        uid: account.found.0,
        gid: account.found.1,
        denied: account.denied.clone(),
        environment: Some(environment),
        gains_no_rights: !config.global.setuid_programs,
    };
    Some((command, limit))
}

fn protocol(proxy: &ProxyConfig, server: &ServerConfig) -> &'static str {
    match (proxy.mode, server.protocol) {
        (Mode::Tcp, _) => "tcp",
        (Mode::Http, Protocol::Http2) => "h2",
        (Mode::Http, _) => "h1",
    }
}

/// Where somebody listens, as programs are told.
struct End {
    address: Option<String>,
    port: Option<String>,
}

impl End {
    const NOWHERE: Self = Self {
        address: None,
        port: None,
    };

    fn at(address: SocketAddr) -> Self {
        Self {
            address: Some(address.ip().to_string()),
            port: Some(address.port().to_string()),
        }
    }

    fn path(path: String) -> Self {
        Self {
            address: Some(path),
            port: None,
        }
    }

    /// The first address that a proxy accepts at.
    fn of_proxy(proxy: &ProxyConfig) -> Self {
        let binds = proxy.frontend.iter().flat_map(|frontend| &frontend.binds);
        let mut addresses = binds.map(|bind| &bind.address);
        let usual = |address: &&BindAddress| !matches!(address, BindAddress::Inherited(_));
        match addresses.find(usual) {
            Some(BindAddress::Tcp(address)) => Self::at(*address),
            Some(BindAddress::Unix(path)) => Self::path(path.display().to_string()),
            Some(BindAddress::Abstract(_)) => Self::path(String::new()),
            Some(BindAddress::Inherited(_)) | None => Self::NOWHERE,
        }
    }

    /// Where a server is now.
    fn of_server(server: &ServerConfig, address: Option<SocketAddr>) -> Self {
        match (&server.unix, address) {
            (Some(UnixAddress::Path(path)), _) => Self::path(path.display().to_string()),
            (Some(UnixAddress::Abstract(_)), _) => Self::path(String::new()),
            (None, Some(address)) => Self::at(address),
            (None, None) => Self::NOWHERE,
        }
    }

    fn arguments(self) -> [String; 2] {
        [self.address, self.port].map(|word| word.unwrap_or_else(|| NOT_USED.to_owned()))
    }
}
