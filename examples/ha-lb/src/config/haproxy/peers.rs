//! `peers` sections (configuration manual §3.5).

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use lb_core::config::{
    Bind, BindAddress, Config, FrontendConfig, Mode, PeerConfig, PeersConfig, ProxyConfig,
};

use super::{
    args::{Admitted, Args, Context, Parsed, admit, arity},
    bind,
    document::Section,
    finish::Pending,
    global,
    keywords::PEERS,
    lexer::{Line, Word},
    persistence,
    reader::Reader,
    server, server_tls, tls,
};
use crate::config::{diagnostic::Diagnostic, files::Files};

/// A section as it is read.
pub(super) struct Draft {
    header: Line,
    config: PeersConfig,
    disabled: bool,
    binds: Vec<Bind>,
    /// Words that `bind` lines, and the local peer's, begin with.
    default_bind: Vec<Word>,
    default_server: server::Draft,
    /// The local peer has a line.
    has_local: bool,
}

/// Reads one section; `local` is the name of this host.
pub(super) fn read(
    section: &Section,
    local: &str,
    defaults: (&tls::Defaults, server_tls::Defaults),
    context: &mut Context<'_>,
) -> Draft {
    let mut draft = Draft {
        header: section.header.clone(),
        config: PeersConfig::new(section.header.text(1)),
        disabled: false,
        binds: Vec::new(),
        default_bind: Vec::new(),
        default_server: server::Draft::default(),
        has_local: false,
    };
    draft.default_server.tls_defaults = defaults.1;
    for line in &section.lines {
        let mut args = Args::new(line, 0);
        let result = draft.keyword(&mut args, local, defaults.0, context);
        context.collect(result);
    }
    draft
}

impl Draft {
    fn keyword(
        &mut self,
        args: &mut Args<'_>,
        local: &str,
        defaults: &tls::Defaults,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        let word = args.need("peers", "peer")?;
        let language = "keyword '{}' in 'peers' section";
        let entry = match admit(context, PEERS, &word, language)? {
            Admitted::Use(entry) => entry,
            Admitted::Skip(_) => return Ok(()),
        };
        arity(args, word.text, entry)?;
        match word.text {
            "bind" => {
                let line = self.with_defaults(args.line());
                let mut args = Args::new(&line, 1);
                self.binds.extend(bind::read(&mut args, defaults, context)?);
            }
            "default-bind" => {
                let words = args.line().words.iter().skip(1);
                self.default_bind = words.cloned().collect();
            }
            "default-server" => self.default_server.options(args, context)?,
            "disabled" => self.disabled = true,
            "enabled" => self.disabled = false,
            "table" => {
                let name = args.need("table", "its name")?;
                let mut table = persistence::stick_table(args, context)?;
                table.peers = Some(Arc::clone(&self.config.name));
                if self
                    .config
                    .tables
                    .iter()
                    .any(|(other, _)| **other == *name.text)
                {
                    return Err(name.refuse("another table has this name", "a name of its own"));
                }
                self.config.tables.push((name.text.into(), table));
            }
            _ => self.peer(args, local, defaults, context)?,
        }
        Ok(())
    }

    /// `peer` and `server`: another host, or this one.
    fn peer(
        &mut self,
        args: &mut Args<'_>,
        local: &str,
        defaults: &tls::Defaults,
        context: &mut Context<'_>,
    ) -> Parsed<()> {
        let mut ahead = args.clone();
        let name = ahead.need("peer", "its name")?;
        if name.text == local {
            self.has_local = true;
            // Words about servers say how the process that succeeds this one is spoken to.
            let spoken_to = match ahead.left() {
                0 => {
                    let line = args.line().rewritten(1, &["server", local, "127.0.0.1:1"]);
                    server::read(&mut Args::new(&line, 1), &self.default_server, context)?
                }
                _ => server::read(args, &self.default_server, context)?,
            };
            self.config.local_tls = spoken_to.config.tls;
            if ahead.left() > 0 {
                // Where it listens.
                let mut line = args.line().clone();
                line.words.truncate(3);
                line.words.remove(1);
                let line = self.with_defaults(&line);
                let mut args = Args::new(&line, 1);
                self.binds.extend(bind::read(&mut args, defaults, context)?);
            }
            return Ok(());
        }
        let name: Arc<str> = name.text.into();
        if self.config.peers.iter().any(|peer| peer.name == name) {
            let place = ahead.position().saturating_sub(1);
            let message = format!("another peer is called '{name}'");
            let finding = Diagnostic::error(args.line().span(place), message);
            return Err(Box::new(finding.expected("a name of its own")));
        }
        let at = ahead.position();
        let read = server::read(args, &self.default_server, context)?;
        let address = read.config.address.filter(|at| at.port() > 0);
        if address.is_none() {
            let message = format!("peer '{name}' has no address and port");
            let span = args.line().span(at);
            context.warn(span, message, "it is not called; it may call");
        }
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let address = address.unwrap_or(nowhere);
        self.config.peers.push(PeerConfig {
            name,
            address,
            tls: read.config.tls,
        });
        Ok(())
    }

    /// A `bind` line with the words of `default-bind` behind its address.
    fn with_defaults(&self, line: &Line) -> Line {
        let mut line = line.clone();
        let at = line.words.len().min(2);
        line.words.splice(at..at, self.default_bind.iter().cloned());
        line
    }

    /// Its name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.config.name
    }

    /// Whether it shares anything.
    fn works(&self) -> bool {
        !self.disabled && self.has_local
    }

    /// Its tables by the names that rules have for them.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Arc<str>, lb_core::config::TableKey)> {
        let tables = self.config.tables.iter();
        tables.map(|(name, table)| (self.config.table_name(name), table.key))
    }

    /// The proxy that listens for it. `number` is its own.
    pub(super) fn finish(
        mut self,
        number: u32,
        local: &str,
        context: &mut Context<'_>,
    ) -> ProxyConfig {
        let name = &self.config.name;
        if !self.disabled && !self.has_local {
            context.warn(
                self.header.span(1),
                format!(
                    "peers '{name}': no peer is called '{local}' as this host is (-L, localpeer)"
                ),
                "its tables are not shared",
            );
        } else if self.works() && self.binds.is_empty() {
            let message = format!("peers '{name}': the local peer '{local}' has no address");
            let finding = Diagnostic::error(self.header.span(1), message);
            context
                .diagnostics
                .push(finding.expected("its address, or a bind line"));
        }
        let mut proxy = ProxyConfig::new(self.config.proxy_name(), number, Mode::Tcp);
        // As HAProxy's: it counts until the session begins.
        proxy.timeouts.client = Some(Duration::from_secs(5));
        if self.works() {
            self.config.local = Some(local.into());
            self.config.local_address = self.binds.iter().find_map(|bind| match bind.address {
                BindAddress::Tcp(address) => Some(reached(address)),
                _ => None,
            });
            proxy.frontend = Some(FrontendConfig {
                binds: self.binds,
                ..FrontendConfig::default()
            });
        } else {
            self.config.peers.clear();
            for (_, table) in &mut self.config.tables {
                table.peers = None;
            }
        }
        proxy.peers = Some(Arc::new(self.config));
        proxy
    }
}

impl Reader {
    /// A `peers` section.
    pub(super) fn peers(&mut self, section: &Section, context: &mut Context<'_>) {
        let local = self.local_peer(context);
        let defaults = (&self.global.tls, self.global.tls_to_servers());
        let draft = read(section, &local, defaults, context);
        if self.peers.iter().any(|other| other.name() == draft.name()) {
            let message = format!("there are two peers sections called '{}'", draft.name());
            let finding = Diagnostic::error(section.header.span(1), message);
            context
                .diagnostics
                .push(finding.expected("a name of its own"));
        }
        self.peers.push(draft);
    }

    /// What `peers` sections call this host: `-L`, else `localpeer`, else its name.
    pub(super) fn local_peer(&self, context: &Context<'_>) -> String {
        let given = given_name(context.files);
        given
            .or_else(|| self.global.local_peer.clone())
            .unwrap_or_else(global::host_name)
    }
}

/// The variable that says what `peers` sections call this host.
pub(super) const LOCAL_PEER: &str = "HAPROXY_LOCALPEER";

/// What -L calls this host, if that is not its name anyway.
pub(super) fn given_name(files: &dyn Files) -> Option<String> {
    let given = files.variable(LOCAL_PEER);
    given.filter(|name| *name != global::host_name())
}

/// A table that names a section is shared by it, if the section works.
pub(super) fn check(proxies: &mut [Pending], sections: &[Draft], context: &mut Context<'_>) {
    for pending in proxies {
        let name = pending.place.name.clone();
        let Some(table) = &mut pending.draft.proxy.stick_table else {
            continue;
        };
        let Some(peers) = table.peers.clone() else {
            continue;
        };
        match sections.iter().find(|section| *section.name() == peers) {
            Some(section) if section.works() => {}
            Some(_) => table.peers = None,
            None => {
                let message = format!("Proxy '{name}': unable to find sync peers '{peers}'");
                let finding = Diagnostic::error(pending.header.span(0), message);
                let finding = finding.expected("the name of a peers section");
                context.diagnostics.push(finding);
            }
        }
    }
}

/// Adds the proxies that listen for the sections.
pub(super) fn add(
    config: &mut Config,
    sections: Vec<Draft>,
    local: &str,
    context: &mut Context<'_>,
) {
    let taken: BTreeSet<u32> = config.proxies.iter().map(|proxy| proxy.id).collect();
    let mut numbers = (1_000_000..).filter(|number| !taken.contains(number));
    for section in sections {
        let number = numbers.next().unwrap_or(u32::MAX);
        config.proxies.push(section.finish(number, local, context));
    }
}

/// Where a process of the same host reaches what listens on `address`.
fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
