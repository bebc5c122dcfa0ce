//! Virtual MAC addresses: `use_vmac` of instances and of addresses, and the devices that come of them. The names are
//! keepalived's: `vrrp.VRID`, and where that is taken `vrrp6.VRID` for IPv6, `vrrp1.VRID` and so on.

use std::time::Duration;

use vrrp_proto::Family;

use super::{document::Node, keyword::Context, lexer::Word};
use crate::config::diagnostic::Span;

mod assign;

pub(super) use assign::assign;

/// Longest name the kernel takes, without its end.
const MAX_NAME: usize = 15;
/// keepalived: a day.
const MAX_REMINDER: Duration = Duration::from_secs(86_400);

/// The virtual MAC addresses of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vmac {
    /// Devices that it needs; addresses that go there name them as their `device`.
    pub devices: Vec<VmacDevice>,
    /// Where its adverts come from instead of the interface's own hardware address.
    pub adverts: Option<[u8; 6]>,
    /// `garp_extra_if`: how often addresses on other interfaces are announced again.
    pub reminders: Option<Reminders>,
}

/// A device with a hardware address of its own on top of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmacDevice {
    /// Its name.
    pub name: String,
    /// The interface.
    pub parent: String,
    /// The hardware address.
    pub mac: [u8; 6],
}

/// `garp_extra_if`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reminders {
    /// Time between announcements.
    pub interval: Duration,
    /// `all`: also of addresses on other interfaces than devices with a virtual MAC address.
    pub all: bool,
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    wanted: Option<Span>,
    name: Option<Word>,
    mac: Option<Octets>,
    /// `use_vmac_addr`.
    addresses: bool,
    /// `vmac_xmit_base`.
    pub(super) from_interface: Option<Span>,
    pub(super) reminders: Option<Reminders>,
}

/// `vmac_prefix` and `vmac_addr_prefix`.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    pub(super) instances: Option<String>,
    pub(super) addresses: Option<String>,
}

/// A hardware address, perhaps without its last octet, which is then the VRID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Octets {
    Five([u8; 5]),
    Six([u8; 6]),
}

impl Octets {
    /// `None` for what is no address.
    fn read(text: &str) -> Option<Self> {
        let is_hex = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let octet = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| is_hex(part));
        let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
        match *octets?.as_slice() {
            [a, b, c, d, e] => Some(Self::Five([a, b, c, d, e])),
            [a, b, c, d, e, f] => Some(Self::Six([a, b, c, d, e, f])),
            _ => None,
        }
    }

    const fn with(self, vrid: u8) -> [u8; 6] {
        match self {
            Self::Five([a, b, c, d, e]) => [a, b, c, d, e, vrid],
            Self::Six(octets) => octets,
        }
    }
}

/// `use_vmac [NAME] [MAC]`.
pub(super) fn use_vmac(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.wanted = Some(node.keyword.span.clone());
    for word in &node.arguments {
        if !word.text.contains(':') {
            draft.name = context.device_name(word);
            continue;
        }
        let Some(octets) = Octets::read(&word.text) else {
            context.refuse(
                word,
                "hardware address",
                "five or six octets, as 02:00:5e:00:01",
            );
            continue;
        };
        match octets.with(0) {
            [0, 0, 0x5e, 0, 1 | 2, _] => context.refuse(
                word,
                "address of one's own",
                "none that RFC 9568 gives to virtual routers: leave it out to get the right one",
            ),
            [first, ..] if first & 1 == 1 => {
                context.refuse(word, "address of a device", "one that is not of a group");
            }
            _ => draft.mac = Some(octets),
        }
    }
}

pub(super) fn use_vmac_addr(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.addresses = context.flag(node);
}

pub(super) fn xmit_base(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.from_interface = context.flag(node).then(|| node.keyword.span.clone());
}

/// `garp_extra_if [all] SECONDS`.
pub(super) fn reminders(node: &Node, context: &mut Context<'_>) -> Option<Reminders> {
    let (all, word) = match node.arguments.as_slice() {
        [all, word] if all.text == "all" => (true, word),
        [word] => (false, word),
        [word, ..] => {
            context.refuse(word, "kind of interfaces", "`all`, or seconds alone");
            return None;
        }
        [] => return None,
    };
    let interval = context.seconds(word, Duration::ZERO..=MAX_REMINDER)?;
    (!interval.is_zero()).then_some(Reminders { interval, all })
}

/// `vmac_prefix` and `vmac_addr_prefix`.
pub(super) fn prefix(node: &Node, context: &mut Context<'_>) -> Option<String> {
    let word = context.device_name(node.arguments.first()?)?;
    Some(word.text)
}

impl Context<'_> {
    fn device_name(&mut self, word: &Word) -> Option<Word> {
        let name = &word.text;
        let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if name.is_empty()
            || name.len() > MAX_NAME
            || name.contains(odd)
            || name == "."
            || name == ".."
        {
            self.refuse(
                word,
                "name of a device",
                format!("at most {MAX_NAME} characters, no `/`"),
            );
            return None;
        }
        Some(word.clone())
    }
}

const fn is_ipv6(family: Family) -> bool {
    matches!(family, Family::Ipv6)
}
