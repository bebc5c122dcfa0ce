//! `virtual_server_group`: addresses that share the servers and settings of one `virtual_server`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{
    diagnostic::Diagnostic,
    keepalived::{
        document::Node,
        keyword::{Context, inside},
        lexer::Word,
    },
};

/// A group by its name.
pub(in crate::config::keepalived) struct Group {
    name: String,
    addresses: Vec<SocketAddr>,
}

impl Group {
    /// The addresses of the group called `name`; refused when there is none.
    pub(super) fn find<'g>(
        groups: &'g [Self],
        name: &Word,
        context: &mut Context<'_>,
    ) -> &'g [SocketAddr] {
        match groups.iter().find(|group| group.name == name.text) {
            Some(group) => &group.addresses,
            None => {
                context.diagnostics.push(
                    Diagnostic::error(name.span.clone(), "no `virtual_server_group` of this name")
                        .found(&name.text)
                        .expected("the name of a `virtual_server_group`"),
                );
                &[]
            }
        }
    }
}

/// Reads `virtual_server_group NAME { ... }`: lines `ADDRESS PORT`, `FIRST-LAST PORT` and `fwmark N`.
pub(in crate::config::keepalived) fn read(node: &Node, context: &mut Context<'_>) -> Option<Group> {
    let name = node.arguments.first()?.text.clone();
    let mut addresses = Vec::new();
    for line in inside(node) {
        let port = line.arguments.first();
        if line.keyword.text == "fwmark" {
            context.diagnostics.push(
                Diagnostic::warning(line.keyword.span.clone(), "a firewall mark in a group")
                    .found("fwmark")
                    .action("it is left out: a proxy has to listen on addresses"),
            );
        } else if let Some((first, last)) = line.keyword.text.split_once('-') {
            match (range(first, last), port) {
                (Some(ips), Some(port)) => {
                    let port = context.number(port, 1..=u16::MAX);
                    let ips = ips.into_iter();
                    addresses.extend(ips.filter_map(|ip| Some(SocketAddr::new(ip, port?))));
                }
                _ => context.refuse(
                    &line.keyword,
                    "range of addresses",
                    "an address, `-`, the last octet (IPv6: group) of the last one, and a port",
                ),
            }
        } else {
            addresses.extend(context.socket(&line.keyword, port));
        }
    }
    Some(Group { name, addresses })
}

/// `192.168.1.10-20` and `fe80::10-1f`: the last octet, or group of hexadecimal digits, of the last address follows
/// the first address.
fn range(first: &str, last: &str) -> Option<Vec<IpAddr>> {
    match first.parse().ok()? {
        IpAddr::V4(first) => {
            let [a, b, c, d] = first.octets();
            let last: u8 = last.parse().ok().filter(|last| d <= *last)?;
            Some(
                (d..=last)
                    .map(|d| Ipv4Addr::new(a, b, c, d).into())
                    .collect(),
            )
        }
        IpAddr::V6(first) => {
            let [a, b, c, d, e, f, g, h] = first.segments();
            let last = u16::from_str_radix(last, 16).ok();
            let last = last.filter(|last| h <= *last)?;
            let address = |h| Ipv6Addr::new(a, b, c, d, e, f, g, h).into();
            Some((h..=last).map(address).collect())
        }
    }
}
