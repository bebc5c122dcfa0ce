//! A TCP load balancer: `tcp-lb LISTEN SERVER...` spreads the connections to LISTEN over the servers with the
//! fewest connections, and leaves out those whose port does not answer.
//!
//! ```text
//! tcp-lb 127.0.0.1:8443 192.0.2.1:6443 192.0.2.2:6443
//! ```

use std::{
    env,
    error::Error,
    io::{self, Read},
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use lb_core::{
    balance::Algorithm,
    config::{
        BackendConfig, Bind, BindAddress, CheckConfig, Config, FrontendConfig, Mode, ProxyConfig,
        ServerConfig, Timeouts,
    },
    dataplane::{self, Event, Events, ListenerFd, Options},
};

/// Says what happens to the servers.
struct Speaker;

impl Events for Speaker {
    fn event(&self, event: Event) {
        match event {
            Event::Server { text, .. } | Event::NoServer { text, .. } => eprintln!("{text}"),
            other => eprintln!("{other:?}"),
        }
    }
}

/// One `listen` section, as a configuration file would describe it.
fn proxy(listen: SocketAddr, servers: &[SocketAddr]) -> ProxyConfig {
    let minute = Some(Duration::from_secs(60));
    let mut proxy = ProxyConfig::new("tcp-lb", 2, Mode::Tcp);
    proxy.timeouts = Timeouts {
        connect: Some(Duration::from_secs(2)),
        client: minute,
        server: minute,
        ..Timeouts::default()
    };
    proxy.frontend = Some(FrontendConfig {
        binds: vec![Bind::new(BindAddress::Tcp(listen))],
        ..FrontendConfig::default()
    });
    proxy.backend = Some(BackendConfig {
        balance: Algorithm::LeastConn,
        redispatch: Some(-1),
        servers: (1..)
            .zip(servers)
            .map(|(id, &address)| ServerConfig {
                check: Some(CheckConfig::default()),
                ..ServerConfig::new(address.to_string(), id, Some(address))
            })
            .collect(),
        ..BackendConfig::default()
    });
    proxy
}

fn run(listen: SocketAddr, servers: &[SocketAddr]) -> Result<(), Box<dyn Error>> {
    let config = Config {
        proxies: vec![proxy(listen, servers)],
        ..Config::default()
    };
    let mut options = Options::new(Arc::new(Speaker));
    options.listeners.push(ListenerFd {
        proxy: 0,
        bind: 0,
        worker: 0,
        fd: TcpListener::bind(listen)?.into(),
    });
    let plane = dataplane::start(Arc::new(config), options)?;
    eprintln!("{listen} -> {servers:?}; ends with its standard input");
    io::stdin().read_to_end(&mut Vec::new())?;
    plane.join(Duration::from_secs(10));
    Ok(())
}

fn main() -> ExitCode {
    let addresses: Result<Vec<SocketAddr>, _> = env::args().skip(1).map(|a| a.parse()).collect();
    let Ok([listen, servers @ ..]) = addresses.as_deref() else {
        eprintln!("usage: tcp-lb LISTEN SERVER...   (addresses as 127.0.0.1:8443)");
        return ExitCode::from(2);
    };
    match run(*listen, servers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tcp-lb: {e}");
            ExitCode::FAILURE
        }
    }
}
