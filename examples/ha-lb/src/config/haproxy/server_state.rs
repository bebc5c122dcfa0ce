//! `server-state-file` and `load-server-state-from-file`: what another process left of its servers, as `show servers
//! state` wrote it (management guide, version 1 of the file).

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use lb_core::config::{ProxyConfig, SavedServer, ServerConfig};

use super::args::{Args, Context, Parsed};

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
        context: &Context<'_>,
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
        let Ok(text) = context.files.read(&path) else {
            return Vec::new();
        };
        states(&String::from_utf8_lossy(&text), proxy)
    }
}

/// The states in `text` of servers that `proxy` has.
fn states(text: &str, proxy: &ProxyConfig) -> Vec<SavedServer> {
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("1") {
        return Vec::new();
    }
    let servers = proxy.backend.iter().flat_map(|backend| &backend.servers);
    let servers: Vec<&ServerConfig> = servers.collect();
    let states = lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let of_this = *fields.get(1)? == &*proxy.name;
            let named = servers.iter().find(|s| Some(&&*s.name) == fields.get(3));
            state(&fields, proxy, named.filter(|_| of_this)?)
        });
    states.collect()
}

/// One line. What the new configuration says wins over what the file says of the old one.
fn state(fields: &[&str], proxy: &ProxyConfig, server: &ServerConfig) -> Option<SavedServer> {
    const FORCED_MAINTENANCE: u32 = 0x01;
    const FORCED_DRAIN: u32 = 0x08;
    /// Of a tracked server, the configuration, or a name without an address.
    const OTHER_MAINTENANCE: u32 = 0x02 | 0x04 | 0x20;
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    let (operation, admin) = (number(5)?, number(6)?);
    let (weight, initial) = (number(7)?, number(8)?);
    let maintenance = admin & FORCED_MAINTENANCE != 0;
    let out = maintenance || admin & OTHER_MAINTENANCE != 0;
    let address = fields.get(4)?.parse::<IpAddr>().ok();
    let port = fields.get(18).and_then(|port| port.parse().ok());
    let weight = u16::try_from(weight).ok().filter(|weight| *weight <= 256);
    Some(SavedServer {
        backend: proxy.name.clone(),
        server: server.name.clone(),
        // A server out of service says nothing of its health.
        up: out || operation != 0,
        maintenance,
        drain: admin & FORCED_DRAIN != 0,
        weight: weight
            .filter(|weight| initial == u32::from(server.weight) && u32::from(*weight) != initial),
        // An address that is written is the one to use.
        address: address
            .filter(|_| server.fqdn.is_some())
            .map(|address| SocketAddr::new(address, port.unwrap_or(server.port))),
    })
}
