//! The proxy under endurance: its file, its sockets, what it says of itself.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use super::phase::{PATIENCE, Stage};
use crate::{
    Fatal,
    admin::Admin,
    contender::{Contender, Running, free_ports},
};

/// A section of the file, with a listener of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Http,
    Close,
    Tcp,
    Tls,
    Http2,
    Chunked,
    Aborts,
    Cuts,
    Stalls,
    Refuses,
    Slow,
}

const COUNT: usize = 11;

/// Name, words behind `bind`, further lines.
const SECTIONS: [(Place, &str, &str, &str); COUNT] = [
    (Place::Http, "http", "", ""),
    (Place::Close, "close", "", "    option httpclose\n"),
    (Place::Tcp, "tcp", "", "    mode tcp\n"),
    (Place::Tls, "tls", " ssl crt PEM", ""),
    (Place::Http2, "http2", " proto h2", ""),
    (Place::Chunked, "chunked", "", ""),
    (Place::Aborts, "aborts", "", ""),
    (Place::Cuts, "cuts", "", ""),
    (Place::Stalls, "stalls", "", "    timeout server 500ms\n"),
    (Place::Refuses, "refuses", "", "    retries 0\n"),
    (Place::Slow, "slow", "", ""),
];

impl Place {
    /// Of its section.
    pub(super) fn name(self) -> &'static str {
        let own = SECTIONS.iter().find(|(place, ..)| *place == self);
        own.map_or("", |(_, name, ..)| name)
    }
}

/// A running one.
pub(super) struct Proxy {
    pub(super) running: Running,
    ports: [u16; COUNT + 1],
}

impl Proxy {
    pub(super) fn start(contender: &Contender, stage: &Stage) -> Result<Self, Fatal> {
        let scratch = tempfile::Builder::new().prefix("versus-").tempdir()?;
        // The last one is the server's that refuses.
        let ports: [u16; COUNT + 1] = free_ports()?;
        let [first, ..] = ports;
        let socket = Admin::beside(scratch.path());
        let text = config(stage, &ports, &socket.path());
        let running = contender.start_with(&text, scratch, first)?;
        let proxy = Self { running, ports };
        proxy.admin().wait_until_it_answers(PATIENCE)?;
        Ok(proxy)
    }

    pub(super) fn address(&self, place: Place) -> SocketAddr {
        let sections = SECTIONS.iter().zip(self.ports);
        let port = sections.into_iter().find(|((own, ..), _)| *own == place);
        SocketAddr::from((Ipv4Addr::LOCALHOST, port.map_or(0, |(_, port)| port)))
    }

    /// What it says of itself.
    pub(super) fn admin(&self) -> Admin {
        Admin::beside(self.running.scratch())
    }

    /// So many are there, all answered once: waits until it knows of each, and no longer of those before them.
    pub(super) fn has_connections(&self, clients: usize) -> Result<(), Fatal> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.admin().connections()?;
            if found == clients {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(
                    format!("{clients} clients are there, and `show info` says {found}").into(),
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The file, for HAProxy and ha-lb.
fn config(stage: &Stage, ports: &[u16], socket: &str) -> String {
    let mut text = format!(
        "global\n    nbthread 2\n    maxconn {}\n    stats socket {socket} level admin\n\
         defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n    \
         http-reuse safe\n",
        stage.at_once + 1_000
    );
    let refusing = ports.last().copied().unwrap_or(0);
    for ((place, name, bind, lines), port) in SECTIONS.iter().zip(ports) {
        let bind = bind.replace("PEM", &stage.pem.display().to_string());
        let _ = write!(
            text,
            "listen {name}\n    bind 127.0.0.1:{port}{bind}\n{lines}"
        );
        let server = match place {
            Place::Refuses => refusing,
            _ => stage.origin,
        };
        // Two addresses have twice as many ports to connect from. What is idle ends soon, for that is waited for.
        for (name, address) in [("one", "127.0.0.1"), ("two", "127.0.0.2")] {
            let _ = writeln!(
                text,
                "    server {name} {address}:{server} pool-purge-delay 1s"
            );
        }
    }
    text
}
