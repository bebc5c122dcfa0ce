//! `server`, `default-server` and `server-template` lines (configuration manual §5.2).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lb_core::config::{CheckConfig, Protocol, ProxyOptions, ServerConfig, UnixAddress};

use super::{
    address::{self, Address, Host, Port},
    args::{Admitted, Arg, Args, Context, Parsed, admit},
    bind,
    keywords::SERVER,
    lexer::Line,
    resolvers, server_tls, server_watch,
    value::{self, Unit},
};

/// Settings of a server while its line is read; kept as a whole for `default-server`.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Everything but the check.
    pub(super) config: ServerConfig,
    /// Whether `check` was given.
    checked: bool,
    /// Check settings, given with or without `check`.
    check: CheckConfig,
    /// The port in `addr`, which counts unless `port` is given.
    check_port: Option<u16>,
    /// `id`.
    pub(super) forced_id: Option<u32>,
    /// `init-addr`: an address to use when the name has none.
    fallback: Option<IpAddr>,
    /// Whether `init-addr` has the resolver asked.
    resolve: bool,
    /// TLS words.
    tls: server_tls::Draft,
    /// Words about traffic, agents and other servers.
    pub(super) watch: server_watch::Draft,
    /// Words about the resolution of its name.
    pub(super) names: resolvers::Draft,
    /// What the global section says of TLS.
    pub(super) tls_defaults: server_tls::Defaults,
    /// Its line arrived on the command line: checks take over nothing from what is said of connections.
    at_run_time: bool,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            config: ServerConfig::new("", 0, None),
            checked: false,
            check: CheckConfig::default(),
            check_port: None,
            forced_id: None,
            fallback: None,
            resolve: true,
            tls: server_tls::Draft::default(),
            watch: server_watch::Draft::default(),
            names: resolvers::Draft::default(),
            tls_defaults: server_tls::Defaults::default(),
            at_run_time: false,
        }
    }
}

impl Draft {
    /// For a server that is added to a running backend: in maintenance, and nobody is asked for its address.
    pub(super) fn at_run_time() -> Self {
        let mut draft = Self {
            resolve: false,
            at_run_time: true,
            ..Self::default()
        };
        draft.config.disabled = true;
        draft
    }

    /// Whether its line says whom steps of a check that ask for TLS have to trust.
    pub(super) fn vouches_for_steps(&self) -> bool {
        self.check.tls.is_some() || self.check.step_tls.is_some()
    }

    /// The words behind an address or behind `default-server`.
    pub(super) fn options(&mut self, args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<()> {
        while let Some(word) = args.take() {
            match admit(context, SERVER, &word, "word '{}' behind 'server'")? {
                Admitted::Use(_)
                    if self.tls.version(&word, args, &self.tls_defaults, context)? => {}
                Admitted::Use(entry) if entry.arity.0 == 0 => self.switch(word.text),
                Admitted::Use(_) => {
                    let arg = args.need(word.text, "its value")?;
                    self.set(word.text, &arg, context)?;
                }
                Admitted::Skip(entry) => {
                    for _ in 0..entry.arity.0 {
                        args.need(word.text, "its value")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn switch(&mut self, name: &str) {
        match name {
            "backup" => self.config.backup = true,
            "no-backup" => self.config.backup = false,
            "non-stick" => self.config.non_stick = true,
            "stick" => self.config.non_stick = false,
            "check" => self.checked = true,
            "no-check" => self.checked = false,
            "agent-check" => self.watch.asked = true,
            "no-agent-check" => self.watch.asked = false,
            "disabled" => self.config.disabled = true,
            "enabled" => self.config.disabled = false,
            "send-proxy" => self.config.send_proxy = Some(1),
            "send-proxy-v2" => self.config.send_proxy = Some(2),
            "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                self.config.send_proxy = Some(2);
                self.config.proxy_options.ssl = true;
                self.config.proxy_options.cert_cn |= name.ends_with("-cn");
            }
            "check-send-proxy" => self.check.send_proxy = true,
            "no-check-send-proxy" => self.check.send_proxy = false,
            "no-send-proxy"
            | "no-send-proxy-v2"
            | "no-send-proxy-v2-ssl"
            | "no-send-proxy-v2-ssl-cn" => self.config.send_proxy = None,
            _ => self.tls.switch(name),
        }
    }

    fn set(&mut self, name: &str, arg: &Arg<'_>, context: &mut Context<'_>) -> Parsed<()> {
        if self.watch.set(name, arg, context)? || self.names.set(name, arg)? {
            return Ok(());
        }
        let time = |context: &mut Context<'_>| {
            let time = value::lenient_time(arg, name, Unit::Milliseconds, context)?;
            if time.is_zero() {
                return Err(arg.refuse(format!("'{name}' is not a time"), "more than 0"));
            }
            Ok(time)
        };
        // 0 stands for no limit.
        let limit = || -> Parsed<Option<u32>> {
            Ok(Some(value::number(arg, name, 0, u32::MAX)?).filter(|n| *n > 0))
        };
        match name {
            "addr" => {
                let (addr, port) = address_of(arg, context)?;
                self.check.addr = Some(addr);
                self.check_port = port;
            }
            "port" => self.check.port = Some(port(arg)?),
            "inter" => self.check.inter = time(context)?,
            "fastinter" => self.check.fastinter = Some(time(context)?),
            "downinter" => self.check.downinter = Some(time(context)?),
            "rise" => self.check.rise = value::number(arg, name, 1, i32::MAX.unsigned_abs())?,
            "fall" => self.check.fall = value::number(arg, name, 1, i32::MAX.unsigned_abs())?,
            "cookie" => self.config.cookie = Some(arg.text.to_owned()),
            "id" => {
                self.forced_id = Some(value::number(arg, name, 1, i32::MAX.unsigned_abs())?);
            }
            "init-addr" => self.init_addr(arg)?,
            "maxconn" => self.config.maxconn = limit()?,
            "maxqueue" => self.config.maxqueue = limit()?,
            "minconn" => self.config.minconn = limit()?,
            "on-marked-down" if arg.text == "shutdown-sessions" => {
                self.config.shutdown_sessions_on_down = true;
            }
            "on-marked-down" => return Err(arg.refuse("unknown action", "shutdown-sessions")),
            "on-marked-up" if arg.text == "shutdown-backup-sessions" => {
                self.config.cut_backups_on_up = true;
            }
            "on-marked-up" => return Err(arg.refuse("unknown action", "shutdown-backup-sessions")),
            "pool-max-conn" | "max-reuse" => {
                let number = match arg.text {
                    "-1" => None,
                    _ => Some(value::number(arg, name, 0, i32::MAX.unsigned_abs())?),
                };
                match name {
                    "max-reuse" => self.config.max_reuse = number,
                    _ => self.config.pool_max_conn = number,
                }
            }
            "pool-low-conn" => {
                self.config.pool_low_conn = value::number(arg, name, 0, i32::MAX.unsigned_abs())?;
            }
            "pool-purge-delay" => {
                let delay = value::lenient_time(arg, name, Unit::Milliseconds, context)?;
                self.config.pool_purge_delay = Some(delay);
            }
            "proxy-v2-options" => proxy_options(arg, &mut self.config.proxy_options)?,
            "proto" => self.config.protocol = bind::protocol(arg)?,
            "ws" => {
                self.config.websockets = match arg.text {
                    "auto" => Protocol::Negotiated,
                    "h1" => Protocol::Http1,
                    "h2" => Protocol::Http2,
                    _ => return Err(arg.refuse("unknown protocol of WebSockets", "auto, h1 or h2")),
                };
            }
            "check-proto" => self.check.protocol = Some(bind::protocol(arg)?),
            "slowstart" => self.config.slowstart = Some(time(context)?),
            "source" => self.config.source = Some(source(arg, context)?),
            "verify" | "verifyhost" | "ca-file" | "crl-file" | "crt" | "sni" | "check-sni"
            | "alpn" | "check-alpn" | "ciphers" | "ciphersuites" => {
                self.tls.set(name, arg, &self.tls_defaults, context)?;
            }
            _ => {
                let weight = value::number(arg, name, 0, 256)?;
                self.config.weight = u16::try_from(weight).unwrap_or(256);
            }
        }
        Ok(())
    }

    /// The methods are tried in order; behind `none` or an address there is nothing to try.
    fn init_addr(&mut self, arg: &Arg<'_>) -> Parsed<()> {
        self.resolve = false;
        self.fallback = None;
        let mut over = false;
        for method in arg.text.split(',') {
            match method {
                "last" => {}
                "none" => over = true,
                "libc" => self.resolve |= !over,
                _ => {
                    let ip = method.parse();
                    let ip = ip.map_err(|_| {
                        arg.refuse("unknown method", "last, libc, none or an IP address")
                    })?;
                    self.fallback = self.fallback.or(Some(ip).filter(|_| !over));
                    over = true;
                }
            }
        }
        Ok(())
    }

    /// The server at the `index`th of `addresses`.
    fn finish(
        mut self,
        line: &Line,
        name: &str,
        address: &Address,
        ip: Option<IpAddr>,
        context: &mut Context<'_>,
    ) -> Parsed<Self> {
        let at = Arg {
            text: line.text(2),
            span: line.span(2),
        };
        let unix = match &address.host {
            Host::Unix(path) => Some(UnixAddress::Path(path.clone())),
            Host::Abstract(name) => Some(UnixAddress::Abstract(name.clone())),
            Host::Ip(_) | Host::Name(_) | Host::Fd(_) => None,
        };
        let (port, map_port) = match address.port {
            _ if unix.is_some() => (0, None),
            // Its records say it.
            _ if self.names.of_service(&address.host) => (0, None),
            Port::One(port @ 1..) => (port, None),
            Port::Missing | Port::One(0) => (0, Some(0)),
            Port::Offset(offset) => (0, Some(offset)),
            Port::Range(..) => {
                return Err(at.refuse("a server has one port", "address:port"));
            }
        };
        if let Host::Name(host) = &address.host {
            self.config.fqdn = Some(host.clone());
            self.config.resolution = self.names.finish(host);
            // Without `libc` nobody has been asked, and that is what is wanted.
            if ip.is_none() && self.resolve {
                let action = match self.fallback {
                    Some(_) => "the address of `init-addr` is taken",
                    None => "the server starts in maintenance",
                };
                let message = format!("server '{name}': host '{host}' has no address");
                context.warn(at.span.clone(), message, action);
            }
        }
        let ip = ip.or(self.fallback).filter(|_| unix.is_none());
        if at.text.is_empty() {
            let message = "the server's address is empty";
            return Err(at.refuse(message, "address:port; is a variable not set?"));
        }
        if ip.is_some_and(|ip| ip.is_unspecified()) {
            context.warn(
                at.span.clone(),
                format!("server '{name}' has no address of its own"),
                "connections go to the address at which the client arrived, as with HAProxy",
            );
        }
        self.check.port = self.check.port.or(self.check_port);
        let anywhere = ip.is_some_and(|ip| ip.is_unspecified());
        if self.checked && map_port.is_some() && self.check.port.is_none() && !anywhere {
            let message = format!("server '{name}' has neither service port nor check port");
            return Err(at.refuse(message, "address:port, or `port` for the check"));
        }
        let elsewhere = self.at_run_time || self.check.port.is_some() || self.check.addr.is_some();
        self.check.send_proxy |= self.config.send_proxy.is_some() && !elsewhere;
        let (tls, check_tls) = self.tls.finish(&at, elsewhere, &self.tls_defaults)?;
        self.config.tls_refused = self.tls.is_refused();
        self.config.spare_tls = self.tls.spare(&at, &self.tls_defaults).map(Arc::new);
        self.config.tls = tls.map(Arc::new);
        self.check.tls = match check_tls.map(Arc::new) {
            // One and the same, so that both share what they share.
            own if own == self.config.tls => self.config.tls.clone(),
            own => own,
        };
        self.check.step_tls = self.tls.of_steps(&self.tls_defaults).map(Arc::new);
        // What is promised at the least is there whatever `maxconn` says.
        self.config.maxconn = self.config.maxconn.max(self.config.minconn);
        self.config.name = name.into();
        self.config.address = ip.map(|ip| SocketAddr::new(ip, port));
        self.config.port = port;
        self.config.unix = unix;
        self.config.map_port = map_port;
        self.config.origin = Some(line.origin());
        self.config.rise = self.check.rise;
        self.config.check = self.checked.then(|| self.check.clone());
        self.watch.finish(&at, &mut self.config)?;
        Ok(self)
    }
}

/// The words of `proxy-v2-options`. What is said of certificates and ciphers is said within what is said of TLS.
fn proxy_options(arg: &Arg<'_>, options: &mut ProxyOptions) -> Parsed<()> {
    for word in arg.text.split(',') {
        match word {
            "ssl" => {}
            "cert-cn" => options.cert_cn = true,
            "ssl-cipher" => options.ssl_cipher = true,
            "cert-sig" => options.cert_sig = true,
            "cert-key" => options.cert_key = true,
            "authority" => options.authority = true,
            "crc32c" => options.crc32c = true,
            "unique-id" => options.unique_id = true,
            _ => {
                return Err(arg.refuse(
                    format!("'{word}' is no option of PROXY headers"),
                    "ssl, cert-cn, ssl-cipher, cert-sig, cert-key, authority, crc32c or unique-id",
                ));
            }
        }
        options.ssl |= matches!(
            word,
            "ssl" | "cert-cn" | "ssl-cipher" | "cert-sig" | "cert-key"
        );
    }
    Ok(())
}

/// `server <name> <address>[:<port>] [<word> ...]`, over the settings of `default-server`.
pub(super) fn read(
    args: &mut Args<'_>,
    default: &Draft,
    context: &mut Context<'_>,
) -> Parsed<Draft> {
    let name = args.need("server", "a name and an address")?;
    let at = args.need("server", "an address")?;
    let address = host(&at)?;
    let mut draft = default.clone();
    draft.options(args, context)?;
    draft.resolve &= !draft.names.of_service(&address.host);
    let asked = draft.resolve || matches!(address.host, Host::Ip(_));
    let ip = asked.then(|| address::resolve(context, &address).first().copied());
    draft.finish(args.line(), name.text, &address, ip.flatten(), context)
}

/// `server-template <prefix> <count>|<low>-<high> <host>[:<port>] [<word> ...]`: the servers take the host's
/// addresses in turn; those without one start in maintenance. With `resolvers` the host may be the name of a service
/// (`_http._tcp.web.example`), whose records say hosts and ports.
pub(super) fn template(
    args: &mut Args<'_>,
    default: &Draft,
    context: &mut Context<'_>,
) -> Parsed<Vec<Draft>> {
    let prefix = args.need("server-template", "a prefix")?;
    let count = args.need("server-template", "a number of servers")?;
    let (low, high) = match count.text.split_once('-') {
        Some((low, high)) => (low.parse().ok(), high.parse().ok()),
        None => (Some(1), count.text.parse().ok()),
    };
    let range = match (low, high) {
        (Some(low @ 1_u32..), Some(high)) if low <= high && high - low < 10_000 => low..=high,
        _ => return Err(count.refuse("not a number of servers", "1 to 10000, or low-high")),
    };
    let at = args.need("server-template", "a host and a port")?;
    let address = host(&at)?;
    let mut draft = default.clone();
    draft.options(args, context)?;
    draft.resolve &= !draft.names.of_service(&address.host);
    let ips = if draft.resolve || matches!(address.host, Host::Ip(_)) {
        address::resolve(context, &address)
    } else {
        Vec::new()
    };
    if ips.is_empty() && draft.resolve && matches!(address.host, Host::Name(_)) {
        context.warn(
            at.span.clone(),
            format!("host of '{}' has no address", at.text),
            "the servers of this template start in maintenance",
        );
    }
    // One host, one address: every server of the template has it.
    let fixed = matches!(address.host, Host::Ip(_));
    let mut servers = Vec::new();
    let mut quiet = crate::config::diagnostic::Diagnostics::new();
    for (index, number) in range.enumerate() {
        let ip = ips.get(if fixed { 0 } else { index }).copied();
        let name = format!("{}{number}", prefix.text);
        let mut draft = draft.clone();
        draft.forced_id = None;
        // Servers beyond the answers were warned about together.
        let mut context = Context {
            files: context.files,
            diagnostics: &mut quiet,
        };
        servers.push(draft.finish(args.line(), &name, &address, ip, &mut context)?);
    }
    Ok(servers)
}

fn host(at: &Arg<'_>) -> Parsed<Address> {
    let address = address::parse(at, at.text)?;
    match address.host {
        Host::Ip(_) | Host::Name(_) | Host::Unix(_) | Host::Abstract(_) => Ok(address),
        Host::Fd(_) => {
            let message = "a file descriptor is not acceptable here";
            Err(at.refuse(message, "address:port, a path or abns@name"))
        }
    }
}

/// A port, which is not 0.
pub(super) fn port(arg: &Arg<'_>) -> Parsed<u16> {
    let port = value::number(arg, "port", 1, 65_535)?;
    Ok(u16::try_from(port).unwrap_or(u16::MAX))
}

/// An address without a port.
pub(super) fn only_ip(arg: &Arg<'_>, context: &Context<'_>) -> Parsed<IpAddr> {
    let address = address::parse(arg, arg.text)?;
    match (address.port, address::resolve(context, &address).first()) {
        (Port::Missing, Some(ip)) => Ok(*ip),
        _ => Err(arg.refuse("not an address", "an IP address without a port")),
    }
}

/// An address, perhaps with a port.
pub(super) fn address_of(arg: &Arg<'_>, context: &Context<'_>) -> Parsed<(IpAddr, Option<u16>)> {
    let address = address::parse(arg, arg.text)?;
    let ip = address::resolve(context, &address).first().copied();
    match (ip, address.port) {
        (Some(ip), Port::Missing) => Ok((ip, None)),
        (Some(ip), Port::One(port)) => Ok((ip, Some(port).filter(|port| *port > 0))),
        _ => Err(arg.refuse("not an address", "an IP address, perhaps with a port")),
    }
}

/// `source <address>[:<port>]` of a server or a backend.
pub(super) fn source(arg: &Arg<'_>, context: &Context<'_>) -> Parsed<SocketAddr> {
    let address = address::parse(arg, arg.text)?;
    let port = match address.port {
        Port::Missing => 0,
        Port::One(port) => port,
        Port::Range(..) | Port::Offset(_) => {
            return Err(arg.refuse("source port ranges are not supported", "address[:port]"));
        }
    };
    address::resolve(context, &address)
        .first()
        .map(|ip| SocketAddr::new(*ip, port))
        .ok_or_else(|| arg.refuse("not an address", "address[:port]"))
}

/// `usesrc <word>` behind a source address.
pub(super) fn use_source(args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<()> {
    if args.skip("usesrc") {
        let whose = args.need("usesrc", "an address, client, clientip or hdr_ip(<name>)")?;
        let what = format!("'usesrc {}' is ignored", whose.text);
        context.warn(whose.span, what, "servers see an address of this host");
    }
    Ok(())
}
