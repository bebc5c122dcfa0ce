//! One line of `virtual_routes` or `static_routes`: a route as `ip route add` takes it, with keepalived's own words
//! (`no_track`, `append`, `or`).

use std::net::IpAddr;

use vip_netlink::route::{Hop, Kind, Preference, Prefix, Route, What};
use vrrp_proto::Family;

use super::{
    document::Node,
    keyword::{Context, closest},
    lexer::Word,
    line::Line,
    names::Names,
};
use crate::config::diagnostic::Diagnostic;

mod hops;
mod settings;

/// Scopes by name, as rtnetlink(7) numbers them.
const SCOPES: &[(&str, u8)] = &[
    ("global", 0),
    ("universe", 0),
    ("site", 200),
    ("link", 253),
    ("host", 254),
    ("nowhere", 255),
];

/// Every word that may begin an option.
pub(super) const WORDS: &[&str] = &[
    "inet",
    "inet6",
    "to",
    "from",
    "via",
    "gw",
    "or",
    "dev",
    "oif",
    "src",
    "nexthop",
    "onlink",
    "weight",
    "encap",
    "table",
    "vrf",
    "metric",
    "priority",
    "preference",
    "scope",
    "proto",
    "protocol",
    "tos",
    "dsfield",
    "realms",
    "realm",
    "expires",
    "pref",
    "ttl-propagate",
    "ttl_propagate",
    "append",
    "no_track",
    "track_group",
    "as",
    "mtu",
    "window",
    "rtt",
    "rttvar",
    "ssthresh",
    "cwnd",
    "advmss",
    "reordering",
    "hoplimit",
    "initcwnd",
    "features",
    "rto_min",
    "initrwnd",
    "quickack",
    "congctl",
    "fastopen_no_cookie",
    "unicast",
    "local",
    "broadcast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
];

/// A route while it is read.
struct Draft {
    route: Route,
    /// `inet` or `inet6`.
    told: Option<Family>,
    destination: Option<(Prefix, Word)>,
    /// `via`, `dev` and their kind outside of `nexthop`.
    hop: Hop,
    /// `or`: another gateway.
    other: Option<IpAddr>,
    /// What only one of the families has, and where it stands.
    only: Vec<(Family, Word)>,
    /// Addresses, which say the family.
    addresses: Vec<Given>,
    group: Option<Word>,
}

/// An address that was written.
struct Given {
    address: IpAddr,
    at: Word,
    is_gateway: bool,
}

impl Context<'_> {
    /// Reads a line; the group that tracks it, if it names one.
    pub(super) fn route(&mut self, node: &Node) -> Option<(Route, Option<Word>)> {
        if let Some(block) = &node.block {
            self.diagnostics.push(
                Diagnostic::error(block.span.clone(), "a route has no block")
                    .found("{")
                    .expected("one route a line"),
            );
            return None;
        }
        let mut line = Line::of(node);
        let mut draft = Draft {
            route: Route::new(Prefix::all(Family::Ipv4), Vec::new()),
            told: None,
            destination: None,
            hop: Hop::default(),
            other: None,
            only: Vec::new(),
            addresses: Vec::new(),
            group: None,
        };
        while let Some(word) = line.next() {
            self.route_option(&mut draft, word, &mut line)?;
        }
        self.finish_route(draft, &line)
    }

    fn route_option(&mut self, draft: &mut Draft, word: &Word, line: &mut Line<'_>) -> Option<()> {
        let route = &mut draft.route;
        match word.text.as_str() {
            "inet" => draft.told = Some(Family::Ipv4),
            "inet6" => draft.told = Some(Family::Ipv6),
            "to" => {
                let value = self.value(word, line, "a destination")?;
                self.destination(draft, value)?;
            }
            "from" => {
                let value = self.value(word, line, "a prefix")?;
                route.source = Some(self.prefix(value, Family::Ipv6)?);
                draft.only.push((Family::Ipv6, word.clone()));
            }
            "src" => {
                let (address, at) = self.value_address(word, line)?;
                route.preferred_source = Some(address);
                let is_gateway = false;
                draft.addresses.push(Given {
                    address,
                    at,
                    is_gateway,
                });
            }
            "or" => {
                self.older_word(word, "nexthop via");
                let (address, at) = self.value_address(word, line)?;
                draft.other = Some(address);
                let is_gateway = true;
                draft.addresses.push(Given {
                    address,
                    at,
                    is_gateway,
                });
            }
            "nexthop" => self.next_hop(draft, line)?,
            "table" => route.table = self.value_named(word, line, Names::Tables, u32::MAX)?,
            "metric" | "priority" | "preference" => {
                route.metric = Some(self.value_in(word, line, 0..=u32::MAX)?);
            }
            "scope" => route.scope = Some(self.scope(word, line)?),
            "proto" | "protocol" => {
                let number = self.value_named(word, line, Names::Protocols, 255)?;
                route.protocol = u8::try_from(number).ok()?;
            }
            "tos" | "dsfield" => {
                let number = self.value_named(word, line, Names::Services, 255)?;
                route.tos = u8::try_from(number).ok()?;
            }
            "expires" => {
                route.expires = Some(self.value_in(word, line, 0..=u32::MAX)?);
                draft.only.push((Family::Ipv6, word.clone()));
            }
            "pref" => {
                let value = self.value(word, line, "low, medium or high")?;
                let all = [
                    ("low", Preference::Low),
                    ("medium", Preference::Medium),
                    ("high", Preference::High),
                ];
                route.preference = Some(self.choice(value, "preference", &all)?);
                draft.only.push((Family::Ipv6, word.clone()));
            }
            "ttl-propagate" | "ttl_propagate" => {
                let value = self.value(word, line, "enabled or disabled")?;
                let all = [("enabled", true), ("disabled", false)];
                route.ttl_propagate = Some(self.choice(value, "ttl-propagate", &all)?);
            }
            "append" => route.append = true,
            "no_track" => route.untracked = true,
            "track_group" => draft.group = Some(self.value(word, line, "a group")?.clone()),
            "vrf" | "as" => {
                self.not_supported(word);
                return None;
            }
            name if What::ALL.iter().any(|(known, ..)| *known == name) || name == "congctl" => {
                self.setting(route, word, line)?;
            }
            _ => {
                let mut hop = std::mem::take(&mut draft.hop);
                let taken = self.hop_option(&mut hop, draft, word, line)?;
                draft.hop = hop;
                if !taken {
                    self.kind_or_destination(draft, word)?;
                }
            }
        }
        Some(())
    }

    fn kind_or_destination(&mut self, draft: &mut Draft, word: &Word) -> Option<()> {
        let kind = Kind::ALL.iter().find(|(name, ..)| *name == word.text);
        match kind {
            Some((_, kind, _)) if draft.destination.is_none() => draft.route.kind = *kind,
            _ if draft.destination.is_none() && looks_like_a_prefix(&word.text) => {
                self.destination(draft, word)?;
            }
            _ => {
                self.diagnostics.push(
                    Diagnostic::error(word.span.clone(), "unknown word of a route")
                        .found(&word.text)
                        .expected("one route a line, as `ip route add` takes it")
                        .suggestion(closest(&word.text, WORDS.iter().copied())),
                );
                return None;
            }
        }
        Some(())
    }

    fn destination(&mut self, draft: &mut Draft, word: &Word) -> Option<()> {
        let family = draft.told.unwrap_or(Family::Ipv4);
        draft.destination = Some((self.prefix(word, family)?, word.clone()));
        Some(())
    }

    fn scope(&mut self, option: &Word, line: &mut Line<'_>) -> Option<u8> {
        let word = self.value(option, line, "a scope")?;
        match word.text.parse() {
            Ok(number) => Some(number),
            Err(_) => self.choice(word, "scope", SCOPES),
        }
    }

    pub(super) fn not_supported(&mut self, word: &Word) {
        self.diagnostics.push(
            Diagnostic::error(word.span.clone(), "this option is not supported")
                .found(&word.text)
                .action("use a notify script, which may run `ip`"),
        );
    }

    /// What it means as a whole.
    fn finish_route(&mut self, draft: Draft, line: &Line<'_>) -> Option<(Route, Option<Word>)> {
        let Draft {
            mut route,
            told,
            destination,
            hop,
            other,
            only,
            addresses,
            group,
        } = draft;
        let Some((mut destination, at)) = destination else {
            self.refuse_line(
                line,
                "a route without a destination",
                "a prefix or `default`",
            );
            return None;
        };
        let everything = destination.length == 0 && !looks_like_an_address(&at.text);
        let family = if everything {
            let by_address = addresses.first().map(|given| Family::of(given.address));
            let family = told.or(by_address).unwrap_or(Family::Ipv4);
            destination = Prefix::all(family);
            family
        } else {
            Family::of(destination.address)
        };
        if told.is_some_and(|told| told != family) {
            self.refuse(
                &at,
                "destination of that family",
                "`inet` or `inet6` as the address",
            );
            return None;
        }
        route.destination = destination;
        // A gateway may be of IPv6 where the route is of IPv4, not the other way round.
        let stranger = addresses.iter().find(|given| {
            let allowed = given.is_gateway && family == Family::Ipv4;
            Family::of(given.address) != family && !allowed
        });
        if let Some(Given { at, .. }) = stranger {
            let expected = format!("{family}, as its destination");
            self.refuse(at, "address of this route", expected);
            return None;
        }
        if let Some((wanted, word)) = only.iter().find(|(only, _)| *only != family) {
            self.refuse(word, "option of this route", format!("{wanted} for it"));
            return None;
        }
        self.finish_hops(&mut route, hop, other, line)?;
        Some((route, group))
    }
}

fn looks_like_a_prefix(text: &str) -> bool {
    matches!(text, "default" | "any" | "all")
        || text.starts_with(|first: char| first.is_ascii_hexdigit() || first == ':')
            && text.contains(['.', ':', '/'])
}

fn looks_like_an_address(text: &str) -> bool {
    text.contains(['.', ':'])
}
