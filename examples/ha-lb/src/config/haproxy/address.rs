//! Address forms of `bind`, `server`, `log`, `source` and `stats socket` (configuration manual §11).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use lb_core::config::UnixAddress;

use super::args::{Arg, Context, Parsed};

/// Who is named by an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// An IP address; `*` and nothing are 0.0.0.0.
    Ip(IpAddr),
    /// A host name.
    Name(String),
    /// A UNIX socket.
    Unix(PathBuf),
    /// A UNIX socket in the abstract namespace.
    Abstract(String),
    /// An open descriptor, `fd@N`.
    Fd(i32),
}

/// What stands behind the last colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// Nothing.
    Missing,
    /// One port.
    One(u16),
    /// `low-high`.
    Range(u16, u16),
    /// `+N` or `-N`: relative to the port at which the client arrived.
    Offset(i32),
}

/// An address as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The host part.
    pub(super) host: Host,
    /// The port part.
    pub(super) port: Port,
    /// Only addresses of this family will do (`ipv4@`, `ipv6@`).
    pub(super) family: Option<Family>,
}

/// A family asked for by prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `ipv4@`.
    V4,
    /// `ipv6@`.
    V6,
}

impl Family {
    fn holds(self, ip: IpAddr) -> bool {
        match self {
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// Prefixes that HAProxy knows and this reader refuses by name.
const REFUSED: &[(&str, &str)] = &[
    ("sockpair@", "socket pairs are not supported"),
    ("udp@", "UDP is not balanced"),
    ("udp4@", "UDP is not balanced"),
    ("udp6@", "UDP is not balanced"),
    ("uxdg@", "datagram UNIX sockets are not supported here"),
    ("quic4@", "HTTP/3 is not supported"),
    ("quic6@", "HTTP/3 is not supported"),
    ("dgram+", "datagram addresses are not supported here"),
    ("ring@", "ring buffers are not supported"),
];

/// Reads one address.
pub(super) fn parse(arg: &Arg<'_>, text: &str) -> Parsed<Address> {
    if let Some((_, why)) = REFUSED.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Err(arg.refuse(*why, "an IP address, a host name or a UNIX socket's path"));
    }
    let text = text.strip_prefix("stream+").unwrap_or(text);
    if let Some(path) = ["unix@", "uxst@"].iter().find_map(|p| text.strip_prefix(p)) {
        return unix(arg, UnixAddress::Path(PathBuf::from(path)));
    }
    if let Some(name) = text.strip_prefix("abns@") {
        return unix(arg, UnixAddress::Abstract(name.to_owned()));
    }
    if let Some(fd) = text.strip_prefix("fd@") {
        let fd = fd.parse().ok().filter(|fd| *fd >= 0);
        let fd = fd.ok_or_else(|| {
            let message = format!("file descriptor is not a valid integer in '{text}'");
            arg.refuse(message, "fd@ and a number")
        })?;
        return Ok(Address {
            host: Host::Fd(fd),
            port: Port::Missing,
            family: None,
        });
    }
    let (family, text) = family(text);
    if text.starts_with('/') {
        return unix(arg, UnixAddress::Path(PathBuf::from(text)));
    }
    let (host, port) = split_port(text);
    let host = parse_host(host, family);
    check_name(arg, &host)?;
    Ok(Address {
        host,
        port: parse_port(arg, port)?,
        family,
    })
}

fn unix(arg: &Arg<'_>, address: UnixAddress) -> Parsed<Address> {
    if address.is_too_long() {
        let message = format!("socket path '{address}' too long (max 107)");
        return Err(arg.refuse(message, "a shorter name"));
    }
    Ok(Address {
        host: match address {
            UnixAddress::Path(path) => Host::Unix(path),
            UnixAddress::Abstract(name) => Host::Abstract(name),
        },
        port: Port::Missing,
        family: None,
    })
}

fn family(text: &str) -> (Option<Family>, &str) {
    for (prefix, family) in [
        ("ipv4@", Some(Family::V4)),
        ("tcp4@", Some(Family::V4)),
        ("ipv6@", Some(Family::V6)),
        ("tcp6@", Some(Family::V6)),
        ("ip@", None),
        ("tcp@", None),
    ] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return (family, rest);
        }
    }
    (None, text)
}

/// The port follows the last colon, also behind an IPv6 address without brackets (`::1:80`).
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.ends_with(']') {
        return (text, None);
    }
    match text.rsplit_once(':') {
        // `::1` alone: what stands before the last colon is no address.
        Some((host, _)) if is_ipv6(text) && !is_ipv6(host) => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

fn parse_host(host: &str, family: Option<Family>) -> Host {
    let inner = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    match inner {
        "" | "*" if family == Some(Family::V6) => Host::Ip(Ipv6Addr::UNSPECIFIED.into()),
        "" | "*" => Host::Ip(Ipv4Addr::UNSPECIFIED.into()),
        _ => inner
            .parse()
            .map_or_else(|_| Host::Name(inner.to_owned()), Host::Ip),
    }
}

/// A name with characters that no host name has never resolves: mostly it is a template not filled in.
fn check_name(arg: &Arg<'_>, host: &Host) -> Parsed<()> {
    let Host::Name(name) = host else {
        return Ok(());
    };
    let odd = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.:%".contains(c);
    let Some(c) = name.chars().find(|c| odd(*c)) else {
        return Ok(());
    };
    let message = format!("character '{}' in a host name", c.escape_default());
    let finding = arg.refuse(message, "an IP address or a host name");
    Err(Box::new(match c {
        '<' | '{' | '[' | '$' | '@' => {
            finding.action("it looks like a placeholder of a template: put the real value there")
        }
        _ => *finding,
    }))
}

fn parse_port(arg: &Arg<'_>, port: Option<&str>) -> Parsed<Port> {
    let Some(text) = port.filter(|text| !text.is_empty()) else {
        return Ok(Port::Missing);
    };
    let refuse = || {
        arg.refuse(
            format!("invalid port '{text}'"),
            "a port from 1 to 65535, a range low-high, or an offset +N",
        )
    };
    if text.starts_with(['+', '-']) {
        let offset: i32 = text.parse().map_err(|_| refuse())?;
        return Port::Offset(offset).checked().ok_or_else(refuse);
    }
    let one = |text: &str| text.parse::<u16>().ok();
    match text.split_once('-') {
        Some((low, high)) => match (one(low), one(high)) {
            (Some(low), Some(high)) if low > 0 && low <= high => Ok(Port::Range(low, high)),
            _ => Err(refuse()),
        },
        None => one(text).map(Port::One).ok_or_else(refuse),
    }
}

impl Port {
    fn checked(self) -> Option<Self> {
        match self {
            Self::Offset(offset) if !(-65_535..=65_535).contains(&offset) => None,
            port => Some(port),
        }
    }
}

/// The addresses of a host, by the resolver if it is a name; empty when there is no answer or the host is no IP
/// host at all.
pub(super) fn resolve(context: &Context<'_>, address: &Address) -> Vec<IpAddr> {
    let mut found = match &address.host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) => context.files.resolve(name).unwrap_or_default(),
        Host::Unix(_) | Host::Abstract(_) | Host::Fd(_) => Vec::new(),
    };
    match address.family {
        Some(family) => found.retain(|ip| family.holds(*ip)),
        // HAProxy takes the first answer, IPv4 before IPv6.
        None => found.sort_by_key(IpAddr::is_ipv6),
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::diagnostic::Span;

    fn read(text: &str) -> Option<(Host, Port)> {
        let arg = Arg {
            text,
            span: Span::new(Arc::from("f"), 1, 1),
        };
        parse(&arg, text).ok().map(|a| (a.host, a.port))
    }

    fn ip(text: &str) -> Host {
        Host::Ip(text.parse().unwrap())
    }

    #[test]
    fn every_form_of_the_manual() {
        for (text, host, port) in [
            (":80", ip("0.0.0.0"), Port::One(80)),
            ("*:80", ip("0.0.0.0"), Port::One(80)),
            ("ipv6@:80", ip("::"), Port::One(80)),
            ("[::]:80", ip("::"), Port::One(80)),
            (":::80", ip("::"), Port::One(80)),
            ("::1:91", ip("::1"), Port::One(91)),
            ("[::1]", ip("::1"), Port::Missing),
            ("::1", ip("::1"), Port::Missing),
            ("2001:db8::7", ip("2001:db8::7"), Port::Missing),
            (
                "ipv4@127.0.0.1:8000-8010",
                ip("127.0.0.1"),
                Port::Range(8000, 8010),
            ),
            ("127.0.0.1:+1000", ip("127.0.0.1"), Port::Offset(1000)),
            ("127.0.0.1:-5", ip("127.0.0.1"), Port::Offset(-5)),
            ("10.0.0.1", ip("10.0.0.1"), Port::Missing),
            ("10.0.0.1:", ip("10.0.0.1"), Port::Missing),
            (
                "web.example:80",
                Host::Name("web.example".into()),
                Port::One(80),
            ),
            ("unix@/run/x", Host::Unix("/run/x".into()), Port::Missing),
            ("/run/x", Host::Unix("/run/x".into()), Port::Missing),
            ("abns@x", Host::Abstract("x".into()), Port::Missing),
            ("fd@3", Host::Fd(3), Port::Missing),
            ("tcp@1.2.3.4:5", ip("1.2.3.4"), Port::One(5)),
        ] {
            assert_eq!(read(text), Some((host, port)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            ":99999",
            ":80-70",
            ":0-5",
            ":x",
            "udp@:5",
            "quic4@:443",
            "fd@x",
            ":+99999999999",
            ":+70000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
