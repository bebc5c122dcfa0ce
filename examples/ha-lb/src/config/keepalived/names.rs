//! Names of numbers that ip-route(8) and ip-rule(8) take: tables, protocols, realms and their kind, from iproute2's
//! files as keepalived reads them.

use std::path::Path;

use super::super::files::Files;

/// A kind of number that has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// `rt_tables`.
    Tables,
    /// `rt_protos`.
    Protocols,
    /// `rt_dsfield`.
    Services,
    /// `rt_realms`.
    Realms,
    /// `group`: groups of interfaces.
    Groups,
    /// `/etc/protocols`: IP protocols.
    IpProtocols,
}

impl Names {
    fn file(self) -> &'static str {
        match self {
            Self::Tables => "rt_tables",
            Self::Protocols => "rt_protos",
            Self::Services => "rt_dsfield",
            Self::Realms => "rt_realms",
            Self::Groups => "group",
            Self::IpProtocols => "protocols",
        }
    }

    /// What it is, for messages.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Tables => "routing table",
            Self::Protocols => "routing protocol",
            Self::Services => "type of service",
            Self::Realms => "realm",
            Self::Groups => "group of interfaces",
            Self::IpProtocols => "IP protocol",
        }
    }

    /// Names that need no file.
    fn known(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Tables => &[
                ("unspec", 0),
                ("default", 253),
                ("main", 254),
                ("local", 255),
            ],
            Self::Protocols => &[
                ("kernel", 2),
                ("boot", 3),
                ("static", 4),
                ("ra", 9),
                ("zebra", 11),
                ("bird", 12),
                ("dhcp", 16),
                ("keepalived", 18),
                ("babel", 42),
                ("bgp", 186),
                ("isis", 187),
                ("ospf", 188),
                ("rip", 189),
                ("eigrp", 192),
            ],
            Self::IpProtocols => &[
                ("icmp", 1),
                ("tcp", 6),
                ("udp", 17),
                ("ipv6-icmp", 58),
                ("vrrp", 112),
                ("sctp", 132),
            ],
            Self::Groups => &[("default", 0)],
            Self::Services | Self::Realms => &[],
        }
    }

    /// The number of a name, or a number written as such; iproute2 writes types of service in hexadecimal.
    pub(super) fn number(self, text: &str, files: &dyn Files) -> Option<u32> {
        match self {
            Self::Services => hexadecimal(text).or_else(|| self.named(text, files)),
            _ => number(text).or_else(|| self.named(text, files)),
        }
    }

    fn named(self, text: &str, files: &dyn Files) -> Option<u32> {
        let known = self.known().iter();
        let mut known = known.filter(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, number)) = known.next() {
            return Some(*number);
        }
        let folders: &[&str] = match self {
            Self::IpProtocols => &["/etc"],
            _ => &["/etc/iproute2", "/usr/share/iproute2"],
        };
        folders.iter().find_map(|folder| {
            let path = Path::new(folder).join(self.file());
            in_file(&files.read(&path).ok()?, text, self == Self::IpProtocols)
        })
    }
}

/// `NUMBER NAME` on a line, or the other way round in `/etc/protocols`.
fn in_file(contents: &[u8], wanted: &str, name_first: bool) -> Option<u32> {
    let contents = String::from_utf8_lossy(contents);
    contents.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (first, second) = (words.next()?, words.next()?);
        let (digits, name) = if name_first {
            (second, first)
        } else {
            (first, second)
        };
        (name.eq_ignore_ascii_case(wanted)).then(|| number(digits))?
    })
}

/// Decimal, or hexadecimal behind `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::files::Bundle;

    #[test]
    fn a_name_is_looked_up_and_a_number_is_not() {
        let files = Bundle::default().with_file(
            "/etc/iproute2/rt_tables",
            "# reserved\n255\tlocal\n0x10 blue # a table\n",
        );
        let number = |text| Names::Tables.number(text, &files);
        assert_eq!(number("blue"), Some(16));
        assert_eq!(number("6909"), Some(6909));
        assert_eq!(number("main"), Some(254));
        assert_eq!(number("green"), None);
        assert_eq!(Names::Services.number("10", &files), Some(16));
        assert_eq!(Names::IpProtocols.number("UDP", &files), Some(17));
    }
}
