//! `resolvers` sections (configuration manual §5.3.2), and what servers say of the resolution of their names.

use std::{net::SocketAddr, path::Path, sync::Arc};

use lb_core::config::{Resolution, Resolvers};

use super::{
    address::{self, Host, Port},
    args::{Admitted, Arg, Args, Context, Parsed, admit, arity},
    document::Section,
    keywords::RESOLVERS,
    value::{self, Unit},
};
use crate::config::diagnostic::{Diagnostic, Span};

/// Reads one section.
pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Resolvers {
    let mut resolvers = Resolvers::new(section.header.text(1));
    for line in &section.lines {
        let mut args = Args::new(line, 0);
        let result = entry(&mut args, &mut resolvers, context);
        context.collect(result);
    }
    resolvers
}

fn entry(args: &mut Args<'_>, resolvers: &mut Resolvers, context: &mut Context<'_>) -> Parsed<()> {
    let word = args.need("resolvers", "a keyword")?;
    let language = "keyword '{}' in 'resolvers' section";
    let found = match admit(context, RESOLVERS, &word, language)? {
        Admitted::Use(found) => found,
        Admitted::Skip(_) => return Ok(()),
    };
    arity(args, word.text, found)?;
    match word.text {
        "accepted_payload_size" => {
            let size = args.need("accepted_payload_size", "a number of bytes")?;
            let size = value::number(&size, "accepted_payload_size", 12, u16::MAX.into())?;
            resolvers.payload = u16::try_from(size).unwrap_or(u16::MAX);
        }
        "nameserver" => {
            let name = args.need("nameserver", "a name")?;
            let at = args.need("nameserver", "an address")?;
            if resolvers.nameservers.iter().any(|(n, _)| **n == *name.text) {
                return Err(name.refuse("another name server has this name", "a name of its own"));
            }
            let server = nameserver(&at, context)?;
            resolvers.nameservers.push((Arc::from(name.text), server));
        }
        "parse-resolv-conf" => of_the_host(&word, resolvers, context),
        "resolve_retries" => {
            let count = args.need("resolve_retries", "a number")?;
            resolvers.retries = value::number(&count, "resolve_retries", 1, 255)?;
        }
        "timeout" => {
            let what = args.need("timeout", "resolve or retry")?;
            let time = args.need("timeout", "a time")?;
            let time = value::time(&time, "timeout", Unit::Milliseconds)?;
            match what.text {
                "resolve" => resolvers.interval = time,
                "retry" => resolvers.patience = time,
                _ => return Err(what.refuse("unknown timeout", "resolve or retry")),
            }
        }
        _ => hold(args, resolvers)?,
    }
    Ok(())
}

fn hold(args: &mut Args<'_>, resolvers: &mut Resolvers) -> Parsed<()> {
    let status = args.need("hold", "a status")?;
    let time = args.need("hold", "a time")?;
    let time = value::time(&time, "hold", Unit::Milliseconds)?;
    let hold = &mut resolvers.hold;
    match status.text {
        "nx" => hold.nx = time,
        "refused" => hold.refused = time,
        "timeout" => hold.timeout = time,
        "other" => hold.other = time,
        "obsolete" => hold.obsolete = time,
        // Names are asked for again after `timeout resolve`, whatever was found.
        "valid" => {}
        _ => {
            let known = "nx, other, refused, timeout, valid or obsolete";
            return Err(status.refuse("unknown status", known));
        }
    }
    Ok(())
}

fn nameserver(at: &Arg<'_>, context: &Context<'_>) -> Parsed<SocketAddr> {
    if at.text.starts_with("tcp") && at.text.contains('@') {
        return Err(at.refuse("name servers are asked over UDP", "<ip>:<port>"));
    }
    let kinds = ["udp@", "udp4@", "udp6@"];
    let mut bare = kinds.iter().filter_map(|kind| at.text.strip_prefix(kind));
    let parsed = address::parse(at, bare.next().unwrap_or(at.text))?;
    let Port::One(port @ 1..) = parsed.port else {
        return Err(at.refuse("a name server has one port", "<ip>:<port>"));
    };
    let ip = match &parsed.host {
        Host::Ip(_) | Host::Name(_) => address::resolve(context, &parsed).first().copied(),
        _ => None,
    };
    ip.map(|ip| SocketAddr::new(ip, port))
        .ok_or_else(|| at.refuse("not an address of a name server", "<ip>:<port>"))
}

/// `parse-resolv-conf`.
fn of_the_host(word: &Arg<'_>, resolvers: &mut Resolvers, context: &mut Context<'_>) {
    let text = match context.files.read(Path::new("/etc/resolv.conf")) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read /etc/resolv.conf: {error}");
            return context.warn(
                word.span.clone(),
                message,
                "no name server is taken from it",
            );
        }
    };
    for line in String::from_utf8_lossy(&text).lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let Some(name) = words.next() else {
            continue;
        };
        let is_new = !resolvers.nameservers.iter().any(|(n, _)| **n == *name);
        if let (Ok(ip), true) = (name.parse(), is_new) {
            let server = (Arc::from(name), SocketAddr::new(ip, 53));
            resolvers.nameservers.push(server);
        }
    }
}

/// Words of a server about the resolution of its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    section: Option<(String, Span)>,
    prefer_v4: bool,
    networks: Vec<ipnet::IpNet>,
    shares: bool,
    ignores_weights: bool,
}

impl Draft {
    /// A word with its value; false if it is none of these.
    pub(super) fn set(&mut self, name: &str, arg: &Arg<'_>) -> Parsed<bool> {
        match name {
            "resolvers" => self.section = Some((arg.text.to_owned(), arg.span.clone())),
            "resolve-prefer" => {
                self.prefer_v4 = match arg.text {
                    "ipv4" => true,
                    "ipv6" => false,
                    _ => return Err(arg.refuse("unknown family", "ipv4 or ipv6")),
                }
            }
            "resolve-net" => {
                let read = |net: &str| {
                    let ip = || net.parse().ok().map(|ip: std::net::IpAddr| ip.into());
                    net.parse().ok().or_else(ip)
                };
                let networks = arg.text.split(',').map(read).collect::<Option<Vec<_>>>();
                self.networks =
                    networks.ok_or_else(|| arg.refuse("not a list of networks", "<net>,..."))?;
            }
            "resolve-opts" => {
                for option in arg.text.split(',') {
                    match option {
                        "allow-dup-ip" => self.shares = true,
                        "prevent-dup-ip" => self.shares = false,
                        "ignore-weight" => self.ignores_weights = true,
                        _ => {
                            let known = "allow-dup-ip, prevent-dup-ip or ignore-weight";
                            return Err(arg.refuse("unknown option", known));
                        }
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether it is the name of a service, for whose records name servers are asked.
    pub(super) fn of_service(&self, host: &Host) -> bool {
        let service = matches!(host, Host::Name(name) if name.starts_with('_'));
        service && self.section.is_some()
    }

    /// For a server with this host name.
    pub(super) fn finish(&self, host: &str) -> Option<Resolution> {
        let (section, _) = self.section.as_ref()?;
        Some(Resolution {
            resolvers: Arc::from(section.as_str()),
            prefer_v4: self.prefer_v4,
            networks: self.networks.clone(),
            shares: self.shares,
            of_service: host.starts_with('_'),
            ignores_weights: self.ignores_weights,
        })
    }

    /// What is wrong with the section that it names.
    pub(super) fn check(&self, known: &[Resolvers]) -> Option<Diagnostic> {
        let (section, span) = self.section.as_ref()?;
        if known.iter().any(|resolvers| *resolvers.name == **section) {
            return None;
        }
        let message = format!("unable to find required resolvers '{section}'");
        Some(Diagnostic::error(span.clone(), message).expected("the name of a resolvers section"))
    }
}
