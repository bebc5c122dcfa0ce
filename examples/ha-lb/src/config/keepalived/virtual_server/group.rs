//! `virtual_server_group`: addresses that share the servers and settings of one `virtual_server`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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
                (Some(range), Some(port)) => {
                    let port = context.number(port, 1..=u16::MAX);
                    let ips = range.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
                    addresses.extend(ips.filter_map(|ip| Some(SocketAddr::new(ip, port?))));
                }
                _ => context.refuse(
                    &line.keyword,
                    "range of addresses",
                    "an IPv4 address, `-`, the last octet of the last address, and a port",
                ),
            }
        } else {
            addresses.extend(context.socket(&line.keyword, port));
        }
    }
    Some(Group { name, addresses })
}

/// `192.168.1.10-20`: the last octet of the last address follows the first address.
fn range(first: &str, last: &str) -> Option<std::ops::RangeInclusive<u32>> {
    let first: Ipv4Addr = first.parse().ok()?;
    let last: u8 = last.parse().ok()?;
    let [a, b, c, d] = first.octets();
    (d <= last).then(|| first.to_bits()..=Ipv4Addr::new(a, b, c, last).to_bits())
}
