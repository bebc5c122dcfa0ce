//! Where a route's packets go next: `via`, `dev`, `nexthop` and what they are wrapped in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vip_netlink::route::{Encapsulation, Hop, Kind, Route, Tunnel};
use vrrp_proto::Family;

use super::{Draft, Given};
use crate::config::{
    diagnostic::Diagnostic,
    keepalived::{
        keyword::Context,
        lexer::Word,
        line::Line,
        names::{Names, number},
    },
};

/// Labels of MPLS have 20 bits.
const LABEL: u32 = 0xf_ffff;
/// Labels that Linux takes.
const LABELS: usize = 30;

impl Context<'_> {
    /// An option of a hop. `Some(false)` if it is none.
    pub(super) fn hop_option(
        &mut self,
        hop: &mut Hop,
        draft: &mut Draft,
        word: &Word,
        line: &mut Line<'_>,
    ) -> Option<bool> {
        match word.text.as_str() {
            "via" | "gw" => {
                if word.text == "gw" {
                    self.older_word(word, "via");
                }
                let (address, at) = self.value_address(word, line)?;
                hop.gateway = Some(address);
                let is_gateway = true;
                draft.addresses.push(Given {
                    address,
                    at,
                    is_gateway,
                });
            }
            "dev" | "oif" => {
                hop.device = Some(self.value(word, line, "an interface")?.text.clone());
            }
            "onlink" => hop.on_link = true,
            "realms" | "realm" => {
                hop.realms = Some(self.realms(word, line)?);
                draft.only.push((Family::Ipv4, word.clone()));
            }
            "encap" => hop.encapsulation = Some(self.encapsulation(word, line)?),
            _ => return Some(false),
        }
        Some(true)
    }

    /// The words after `nexthop`, up to the next one.
    pub(super) fn next_hop(&mut self, draft: &mut Draft, line: &mut Line<'_>) -> Option<()> {
        let mut hop = Hop::default();
        while let Some(word) = line.peek().filter(|word| word.text != "nexthop") {
            line.next();
            if word.text == "weight" {
                hop.weight = self.value_in(word, line, 1..=256)?;
                continue;
            }
            if !self.hop_option(&mut hop, draft, word, line)? {
                // keepalived calls it trailing nonsense.
                self.refuse(
                    word,
                    "word of a next hop",
                    "via, dev, weight, onlink, realms or encap",
                );
                return None;
            }
        }
        draft.route.hops.push(hop);
        Some(())
    }

    pub(super) fn finish_hops(
        &mut self,
        route: &mut Route,
        hop: Hop,
        other: Option<IpAddr>,
        line: &Line<'_>,
    ) -> Option<()> {
        let single = hop != Hop::default();
        if (single || other.is_some()) && !route.hops.is_empty() {
            self.refuse_line(
                line,
                "`via` or `dev` beside `nexthop`",
                "all of it behind `nexthop`",
            );
            return None;
        }
        if single {
            let second = other.map(|gateway| Hop {
                gateway: Some(gateway),
                ..hop.clone()
            });
            route.hops.push(hop);
            route.hops.extend(second);
        }
        let aimless = |hop: &Hop| hop.gateway.is_none() && hop.device.is_none();
        match route.kind {
            kind if kind.is_dead_end() && !route.hops.is_empty() => {
                self.refuse_line(
                    line,
                    "a way for packets that go nowhere",
                    "no `via` and no `dev`",
                );
                None
            }
            Kind::Unicast if route.hops.is_empty() || route.hops.iter().any(aimless) => {
                self.refuse_line(line, "a route that leads nowhere", "`via` or `dev`");
                None
            }
            Kind::Unicast
                if !route.untracked && route.hops.iter().all(|hop| hop.device.is_none()) =>
            {
                self.diagnostics.push(
                    Diagnostic::note(line.first.span.clone(), "a route without a device")
                        .found(&line.first.text)
                        .action("the link that the kernel chooses is not followed")
                        .counted(),
                );
                Some(())
            }
            _ => Some(()),
        }
    }

    fn encapsulation(&mut self, option: &Word, line: &mut Line<'_>) -> Option<Encapsulation> {
        let word = self.value(option, line, "mpls, ip or ip6")?;
        match word.text.as_str() {
            "mpls" => {
                let labels = self.value(word, line, "labels")?;
                let all = labels.text.split('/').map(|text| {
                    let label = number(text)?;
                    (label <= LABEL).then_some(label)
                });
                let all: Option<Vec<u32>> = all.collect();
                let all = all.filter(|all| all.len() <= LABELS);
                if all.is_none() {
                    let expected =
                        format!("up to {LABELS} numbers up to {LABEL}, with `/` between");
                    self.refuse(labels, "list of labels", expected);
                }
                all.map(Encapsulation::Mpls)
            }
            "ip" => self
                .tunnel(line, ["ttl", "tos"], as_v4)
                .map(Encapsulation::Ip),
            "ip6" => self
                .tunnel(line, ["hoplimit", "tc"], as_v6)
                .map(Encapsulation::Ip6),
            "ila" => {
                self.not_supported(word);
                None
            }
            _ => {
                self.refuse(word, "encapsulation", "mpls, ip or ip6");
                None
            }
        }
    }

    /// `id`, `dst` and their kind, as long as they last.
    fn tunnel<A>(
        &mut self,
        line: &mut Line<'_>,
        [hops, service]: [&str; 2],
        address: impl Fn(IpAddr) -> Option<A>,
    ) -> Option<Tunnel<A>> {
        let mut tunnel = Tunnel::default();
        while let Some(word) = line.peek() {
            match word.text.as_str() {
                "id" => {
                    line.next();
                    let value = self.value(word, line, "a number")?;
                    tunnel.id = match value.text.parse() {
                        Ok(id) => Some(id),
                        Err(_) => {
                            self.refuse(value, "id", "a whole number");
                            return None;
                        }
                    };
                }
                "dst" | "src" => {
                    line.next();
                    let (found, at) = self.value_address(word, line)?;
                    let Some(found) = address(found) else {
                        self.refuse(&at, "address of this encapsulation", "one of its family");
                        return None;
                    };
                    match word.text.as_str() {
                        "dst" => tunnel.destination = Some(found),
                        _ => tunnel.source = Some(found),
                    }
                }
                "flags" => {
                    line.next();
                    tunnel.flags = Some(self.value_in(word, line, 0..=u16::MAX)?);
                }
                name if name == hops => {
                    line.next();
                    tunnel.ttl = Some(self.value_in(word, line, 0..=u8::MAX)?);
                }
                name if name == service || name == "dsfield" => {
                    line.next();
                    let number = self.value_named(word, line, Names::Services, 255)?;
                    tunnel.tos = u8::try_from(number).ok();
                }
                _ => break,
            }
        }
        if tunnel.id.is_none() && tunnel.destination.is_none() {
            self.refuse_line(line, "an encapsulation without a target", "`dst` or `id`");
            return None;
        }
        Some(tunnel)
    }
}

fn as_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn as_v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}
