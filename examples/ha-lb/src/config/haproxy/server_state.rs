//! `server-state-file` and `load-server-state-from-file`: what another process left of its servers, as `show servers
//! state` wrote it (management guide, version 1 of the file).

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use lb_core::config::{ProxyConfig, SavedServer, ServerConfig};

use super::args::{Args, Context, Parsed};
use crate::config::diagnostic::Span;

/// Where a backend's state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Source {
    /// Nowhere.
    #[default]
    None,
    /// The file of all backends.
    Global,
    /// A file of its own.
    Local,
}

/// What a proxy says of its file.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// `load-server-state-from-file`.
    pub(super) source: Source,
    /// `server-state-file-name`; the backend's name if there is none.
    pub(super) name: Option<String>,
    /// Where the source was given.
    at: Option<Span>,
}

/// What `global` says of the files.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    /// `server-state-base`.
    pub(super) base: Option<PathBuf>,
    /// `server-state-file`.
    pub(super) all: Option<PathBuf>,
}

impl Wanted {
    /// The rest of a line that begins with `name`.
    pub(super) fn read(&mut self, name: &str, args: &mut Args<'_>) -> Parsed<()> {
        if name == "server-state-file-name" {
            self.name = args
                .take()
                .map(|arg| arg.text.to_owned())
                .filter(|name| name != "use-backend-name");
            return Ok(());
        }
        let arg = args.need(name, "global, local or none")?;
        self.at = Some(arg.span.clone());
        self.source = match arg.text {
            "global" => Source::Global,
            "local" => Source::Local,
            "none" => Source::None,
            _ => return Err(arg.refuse("unknown source of states", "global, local or none")),
        };
        Ok(())
    }

    /// The states of the proxy's servers, if its file is there. A first start has none.
    pub(super) fn load(
        &self,
        proxy: &ProxyConfig,
        files: &Files,
        read: &mut Tables,
        context: &mut Context<'_>,
    ) -> Vec<SavedServer> {
        let own;
        let name: &Path = match (self.source, &files.all) {
            (Source::Global, Some(all)) => all,
            (Source::Local, _) => {
                own = self.name.as_deref().unwrap_or(&proxy.name);
                Path::new(own)
            }
            _ => return Vec::new(),
        };
        let path = match &files.base {
            Some(base) => base.join(name),
            None => name.to_owned(),
        };
        let Some(at) = &self.at else {
            return Vec::new();
        };
        let rows = read
            .entry(path)
            .or_insert_with_key(|path| rows(path, at, context));
        let servers = proxy.backend.iter().flat_map(|backend| &backend.servers);
        let servers: Vec<&ServerConfig> = servers.collect();
        let rows = rows.iter().filter(|row| row.backend == *proxy.name);
        let states = rows.filter_map(|row| {
            let server = servers.iter().find(|server| row.server == *server.name)?;
            Some(row.state(proxy, server))
        });
        states.collect()
    }
}

/// Files that have been read: all backends may have the same one.
pub(super) type Tables = BTreeMap<PathBuf, Vec<Row>>;

/// One line of a file.
pub(super) struct Row {
    backend: String,
    server: String,
    address: Option<IpAddr>,
    port: Option<u16>,
    operation: u32,
    admin: u32,
    weight: u32,
    initial: u32,
}

/// The lines of a file. What cannot be read is said: whoever restarts counts on what was set by hand.
fn rows(path: &Path, at: &Span, context: &mut Context<'_>) -> Vec<Row> {
    let shown = path.display();
    let files = context.files;
    let mut warn = |what: String| context.warn(at.clone(), what, "servers begin as configured");
    let text = match files.read(path) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                warn(format!("the state file {shown} cannot be read: {error}"));
            }
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(&text);
    let mut lines = (1..).zip(text.lines());
    if lines.next().map(|(_, line)| line.trim()) != Some("1") {
        warn(format!(
            "the first line of the state file {shown} is not '1'"
        ));
        return Vec::new();
    }
    let mut rows = Vec::new();
    let mut bad = Vec::new();
    for (number, line) in lines {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        match Row::parse(line) {
            Some(row) => rows.push(row),
            None => bad.push(number),
        }
    }
    if let [first, more @ ..] = &bad[..] {
        let more = match more.len() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        warn(format!(
            "line {first}{more} of the state file {shown} is no state of a server"
        ));
    }
    rows
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Self {
            backend: (*fields.get(1)?).to_owned(),
            server: (*fields.get(3)?).to_owned(),
            address: fields.get(4)?.parse().ok(),
            port: fields.get(18).and_then(|port| port.parse().ok()),
            operation: number(5)?,
            admin: number(6)?,
            weight: number(7)?,
            initial: number(8)?,
        })
    }

    /// What the new configuration says wins over what the file says of the old one.
    fn state(&self, proxy: &ProxyConfig, server: &ServerConfig) -> SavedServer {
        const FORCED_MAINTENANCE: u32 = 0x01;
        const FORCED_DRAIN: u32 = 0x08;
        /// Of a tracked server, the configuration, or a name without an address.
        const OTHER_MAINTENANCE: u32 = 0x02 | 0x04 | 0x20;
        let maintenance = self.admin & FORCED_MAINTENANCE != 0;
        let out = maintenance || self.admin & OTHER_MAINTENANCE != 0;
        let configured = u32::from(server.weight);
        let weight = Some(self.weight)
            .filter(|weight| *weight <= 256 && self.initial == configured && *weight != configured);
        SavedServer {
            backend: proxy.name.clone(),
            server: server.name.clone(),
            // A server out of service says nothing of its health.
            up: out || self.operation != 0,
            maintenance,
            drain: self.admin & FORCED_DRAIN != 0,
            weight: weight.and_then(|weight| u16::try_from(weight).ok()),
            // An address that is written is the one to use.
            address: self
                .address
                .filter(|_| server.fqdn.is_some())
                .map(|address| SocketAddr::new(address, self.port.unwrap_or(server.port))),
        }
    }
}
