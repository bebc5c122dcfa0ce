//! One line of `virtual_ipaddress`: an address and its options, in any order.

use std::net::{IpAddr, Ipv4Addr};

use super::{
    config::VirtualAddress,
    document::Node,
    keyword::{Context, closest},
    lexer::Word,
    names::number,
    value::prefix_max,
};
use crate::config::diagnostic::Diagnostic;

/// Longest label the kernel takes, without its end.
const MAX_LABEL: usize = 15;

pub(super) const OPTIONS: &[&str] = &[
    "dev",
    "brd",
    "broadcast",
    "scope",
    "label",
    "peer",
    "home",
    "-nodad",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
    "no_track",
    "preferred_lft",
    "use_vmac",
    "track_group",
    "via",
];

/// Options that say something of IPv6 only.
const IPV6_ONLY: &[&str] = &["home", "-nodad", "mngtmpaddr", "preferred_lft"];

/// The prefix from which the kernel makes temporary addresses.
const TEMPORARY_PREFIX: u8 = 64;

const SCOPES: &[(&str, u8)] = &[
    ("global", 0),
    ("universe", 0),
    ("site", 200),
    ("link", 253),
    ("host", 254),
    ("nowhere", 255),
];

impl Context<'_> {
    /// Reads a line of an instance.
    pub(super) fn virtual_address(&mut self, node: &Node) -> Option<VirtualAddress> {
        let read = self.static_address(node);
        self.without_group(read)
    }

    /// Reads a line; the group that tracks it, if it names one. The whole block is a list, so that the address stands in
    /// the keyword's place.
    pub(super) fn static_address(&mut self, node: &Node) -> Option<(VirtualAddress, Option<Word>)> {
        if let Some(block) = &node.block {
            self.diagnostics.push(
                Diagnostic::error(block.span.clone(), "an address has no block")
                    .found("{")
                    .expected("one address a line"),
            );
            return None;
        }
        let (address, prefix) = self.prefixed(&node.keyword)?;
        let max = prefix_max(address);
        let mut read = VirtualAddress {
            address,
            prefix: prefix.unwrap_or(max),
            device: None,
            broadcast: None,
            scope: None,
            label: None,
            peer: None,
            home: false,
            detect_duplicates: false,
            manage_temporary: false,
            no_prefix_route: false,
            auto_join: false,
            preferred_lifetime: None,
            vmac: false,
            no_track: false,
            span: node.keyword.span.clone(),
        };
        let mut group = None;
        let mut words = node.arguments.iter();
        while let Some(option) = words.next() {
            let name = option.text.as_str();
            if name == "track_group" {
                group = Some(self.value(option, &mut words, "a group")?.clone());
                continue;
            }
            self.option(&mut read, option, &mut words)?;
            if IPV6_ONLY.contains(&name) && address.is_ipv4() {
                self.option_without_effect(option);
                read.preferred_lifetime = None;
            }
        }
        if read.manage_temporary && address.is_ipv6() && read.prefix != TEMPORARY_PREFIX {
            self.refuse(
                &node.keyword,
                "address for `mngtmpaddr`",
                format!("a prefix of {TEMPORARY_PREFIX}"),
            );
            return None;
        }
        Some((read, group))
    }

    /// Reads one option. `None` if the line is refused.
    fn option<'w>(
        &mut self,
        read: &mut VirtualAddress,
        option: &Word,
        words: &mut impl Iterator<Item = &'w Word>,
    ) -> Option<()> {
        match option.text.as_str() {
            "dev" => {
                let word = self.value(option, words, "an interface")?;
                if read.device.is_some() {
                    self.refuse(
                        word,
                        "second interface of an address",
                        "`dev` once in a line",
                    );
                    return None;
                }
                read.device = Some(word.text.clone());
            }
            "brd" | "broadcast" => {
                let word = self.value(option, words, "an address, + or -")?;
                read.broadcast = Some(self.broadcast(read, word)?);
            }
            "scope" => {
                let word = self.value(option, words, "a scope")?;
                let number = number(&word.text).and_then(|number| u8::try_from(number).ok());
                read.scope = Some(match number {
                    Some(number) => number,
                    None => self.choice(word, "scope", SCOPES)?,
                });
            }
            "label" => {
                let word = self.value(option, words, "a label")?;
                if word.text.len() > MAX_LABEL {
                    self.refuse(word, "label", format!("at most {MAX_LABEL} characters"));
                    return None;
                }
                read.label = Some(word.text.clone());
            }
            "peer" => {
                let word = self.value(option, words, "an address")?;
                let (peer, prefix) = self.prefixed(word)?;
                if peer.is_ipv4() != read.address.is_ipv4() {
                    self.refuse(word, "peer of this address", "an address of its family");
                    return None;
                }
                read.peer = Some((peer, prefix.unwrap_or(prefix_max(peer))));
            }
            "preferred_lft" => {
                let word = self.value(option, words, "seconds or `forever`")?;
                read.preferred_lifetime = match word.text.as_str() {
                    "forever" => Some(u32::MAX),
                    _ => Some(self.number(word, 0..=u32::MAX)?),
                };
            }
            "home" => read.home = true,
            "-nodad" => read.detect_duplicates = true,
            "mngtmpaddr" => read.manage_temporary = true,
            "noprefixroute" => read.no_prefix_route = true,
            "no_track" => read.no_track = true,
            "autojoin" => read.auto_join = true,
            "use_vmac" => read.vmac = true,
            _ => {
                self.diagnostics.push(
                    Diagnostic::error(option.span.clone(), "unknown option of an address")
                        .found(&option.text)
                        .expected("one address a line, and an option after it")
                        .suggestion(closest(&option.text, OPTIONS.iter().copied())),
                );
                return None;
            }
        }
        Some(())
    }

    fn option_without_effect(&mut self, option: &Word) {
        self.diagnostics.push_once(
            &format!("without effect {}", option.text),
            Diagnostic::warning(option.span.clone(), "this option has no effect here")
                .found(&option.text)
                .action("the address is installed without it"),
        );
    }

    /// `+` sets the bits of the host to ones, `-` to zeros, which takes a prefix of 30 or less.
    fn broadcast(&mut self, read: &VirtualAddress, word: &Word) -> Option<Ipv4Addr> {
        let IpAddr::V4(address) = read.address else {
            self.refuse(word, "option of an IPv6 address", "no broadcast address");
            return None;
        };
        match word.text.as_str() {
            sign @ ("+" | "-") if read.prefix <= 30 => {
                let host = u32::MAX.checked_shr(u32::from(read.prefix)).unwrap_or(0);
                let bits = match sign {
                    "+" => address.to_bits() | host,
                    _ => address.to_bits() & !host,
                };
                Some(Ipv4Addr::from_bits(bits))
            }
            "+" | "-" => {
                self.refuse(
                    word,
                    "broadcast address of this prefix",
                    "a prefix of 30 or less",
                );
                None
            }
            text => match text.parse() {
                Ok(broadcast) => Some(broadcast),
                Err(_) => {
                    self.refuse(word, "broadcast address", "an IPv4 address, + or -");
                    None
                }
            },
        }
    }
}
