//! The two persistent tables of the fence, and what both kinds of table have in common: layers, destinations,
//! sets and their elements (`include/uapi/linux/netfilter/nf_tables.h`).
//!
//! ```text
//! table arp  vip_fence     { set fenced4 {timeout}
//!   chain input { hook input priority -400
//!     arp saddr ip @fenced4 accept                        announcements of another host
//!     arp operation request arp daddr ip @fenced4, no mark -> drop
//!     arp daddr ip @fenced4 -> take the mark off again }
//!   chain renew_MS { hook input priority -402: beat of everybody on lo with hold MS -> update @fenced4 { address
//!     timeout MS }, drop } }
//! table inet vip_fence     { sets fenced4, fenced6 {timeout}; the same chain at hook ingress of lo, where the kernel has it
//!   chain input { hook input priority -400
//!     ip daddr 224.0.0.0/4 accept
//!     ip daddr @fenced4, ip6 daddr @fenced6, neighbour solicitation target @fenced6:
//!     without mark drop, else take the mark off } }
//! ```
//! The tables that set the mark are in [`super::open`].
//!
//! What is fenced is renewed by a beat and not by a transaction: after one that deletes, the kernel destroys what was
//! deleted in the background, and for that time it would not close a dying process's tables (it waits there for an
//! RCU grace period, 20 to 200 ms).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::expression::{
    ACCEPT, DROP, Hook, META_L4PROTO, META_MARK, META_NFPROTO, NETWORK, Rule, TRANSPORT, chain,
    millis, rule,
};
use super::hearing::{self, EVERYBODY, Ear, FOR_EVERYBODY};
use super::nfnetlink::{Attributes, Batch};
use super::pulse::SMALLEST_FRAME;

const NEW_TABLE: u16 = 0;
pub(super) const GET_TABLE: u16 = 1;
const DEL_TABLE: u16 = 2;
const DEL_RULE: u16 = 8;
const NEW_SET: u16 = 9;
pub(super) const NEW_SET_ELEMENT: u16 = 12;
const GET_SET_ELEMENT: u16 = 13;
pub(super) const DEL_SET_ELEMENT: u16 = 14;

const NLM_F_CREATE: u16 = 0x400;

/// Elements that are asked for together: each is answered by a datagram of its own.
const ASKED_TOGETHER: usize = 64;

const SET_TIMEOUT: u32 = 0x10;
const SET_DYNAMIC: u32 = 0x20;

pub(super) const INPUT: &str = "input";
pub(super) const BEFORE_USERS: i32 = -400;

/// Removes all rules of a chain, in the same transaction as what follows.
pub(super) fn flush(batch: &mut Batch, layer: Layer, table: &str, chain: &str) {
    // Without a handle it means all of them.
    batch.message(DEL_RULE, 0, layer as u8, |out| {
        out.text(1, table);
        out.text(2, chain);
    });
}

/// A protocol family of nf_tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Layer {
    Inet = 1,
    Arp = 3,
}

impl Layer {
    pub(super) const BOTH: [Self; 2] = [Self::Arp, Self::Inet];

    /// `NF_INET_LOCAL_IN` or `NF_ARP_IN`.
    pub(super) const fn input_hook(self) -> u32 {
        match self {
            Self::Inet => 1,
            Self::Arp => 0,
        }
    }

    /// IPv6 has no ARP.
    pub(super) fn has(self, address: IpAddr) -> bool {
        self == Self::Inet || address.is_ipv4()
    }

    /// Whether each of its two kinds of address is of IPv6.
    pub(super) const fn families(self) -> &'static [bool] {
        match self {
            Self::Arp => &[false],
            Self::Inet => &[false, true],
        }
    }
}

/// Where an address stands in a packet, and which packets are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Destination {
    ArpTarget,
    Ipv4,
    Ipv6,
    Solicited,
}

impl Destination {
    pub(super) const fn of(layer: Layer) -> &'static [Self] {
        match layer {
            Layer::Arp => &[Self::ArpTarget],
            Layer::Inet => &[Self::Ipv4, Self::Ipv6, Self::Solicited],
        }
    }

    pub(super) const fn ipv6(self) -> bool {
        matches!(self, Self::Ipv6 | Self::Solicited)
    }

    /// Its address into the register.
    pub(super) fn load(self, rule: &mut Rule<'_, '_>) {
        match self {
            Self::ArpTarget => rule.payload(NETWORK, 24, 4),
            Self::Ipv4 => {
                rule.meta(META_NFPROTO);
                rule.equal(&[2]);
                rule.payload(NETWORK, 16, 4);
            }
            Self::Ipv6 => {
                rule.meta(META_NFPROTO);
                rule.equal(&[10]);
                rule.payload(NETWORK, 24, 16);
            }
            Self::Solicited => {
                // RFC 4861 §4.3: type 135, the target after eight octets.
                rule.meta(META_NFPROTO);
                rule.equal(&[10]);
                rule.meta(META_L4PROTO);
                rule.equal(&[58]);
                rule.payload(TRANSPORT, 0, 1);
                rule.equal(&[135]);
                rule.payload(TRANSPORT, 8, 16);
            }
        }
    }
}

/// The persistent tables: their name, the bit of the mark that they look at, and how long an address stays in them.
#[derive(Debug, Clone)]
pub(super) struct Fenced {
    pub(super) table: &'static str,
    pub(super) mark: u32,
    pub(super) timeout: Duration,
    /// Where beats are heard.
    pub(super) ear: Ear,
}

const fn set(ipv6: bool) -> &'static str {
    if ipv6 { "fenced6" } else { "fenced4" }
}

impl Fenced {
    /// Creates the persistent tables or brings those of a predecessor up to date; elements stay.
    pub(super) fn create(&self, batch: &mut Batch) {
        for layer in Layer::BOTH {
            new_table(batch, layer, self.table, 0);
            for &ipv6 in layer.families() {
                let kind = SetKind::addresses(ipv6).timed();
                new_set(batch, layer, (self.table, set(ipv6)), kind);
            }
            let hook = Hook {
                chain: INPUT,
                number: layer.input_hook(),
                priority: BEFORE_USERS,
                device: None,
            };
            chain(batch, layer, self.table, hook);
            flush(batch, layer, self.table, INPUT);
            self.rules(batch, layer);
            // Another holder of this host may have another timeout, and then another chain.
            let renewal = self.renewal();
            chain(batch, layer, self.table, self.ear.hook(layer, &renewal));
            flush(batch, layer, self.table, &renewal);
            let place = (self.table, renewal.as_str());
            self.ear.wave_through(batch, layer, place);
            let beats = (EVERYBODY, FOR_EVERYBODY);
            hearing::rules(batch, layer, place, beats, self.timeout, set);
        }
    }

    /// The chain that hears renewals for this timeout. A hook cannot be changed: one that another build left elsewhere stays
    /// beside it.
    fn renewal(&self) -> String {
        let place = match self.ear {
            Ear::Loopback => "lo_",
            Ear::Everywhere => "",
        };
        format!("renew_{place}{}", self.timeout.as_millis())
    }

    /// The questions whether a beat for these has been heard.
    pub(super) fn questions(&self, addresses: &[IpAddr]) -> impl Iterator<Item = Vec<u8>> {
        questions(addresses, |ipv6| (self.table, set(ipv6)))
    }

    fn rules(&self, batch: &mut Batch, layer: Layer) {
        let place = (self.table, INPUT);
        if layer == Layer::Arp {
            // An announcement that names the address as its *sender* is another host's:
            // hearing it keeps our neighbour table right and never makes us answer.
            rule(batch, layer, place, |rule| {
                rule.payload(NETWORK, 14, 4);
                rule.lookup(set(false));
                rule.verdict(ACCEPT);
            });
        }
        pass_multicast(batch, layer, place);
        for destination in Destination::of(layer) {
            rule(batch, layer, place, |rule| {
                if layer == Layer::Arp {
                    rule.payload(NETWORK, 6, 2);
                    rule.equal(&[0, 1]);
                }
                destination.load(rule);
                rule.lookup(set(destination.ipv6()));
                rule.meta(META_MARK);
                rule.mask(self.mark, 0);
                rule.equal(&0_u32.to_ne_bytes());
                rule.verdict(DROP);
            });
        }
        for destination in Destination::of(layer) {
            rule(batch, layer, place, |rule| {
                destination.load(rule);
                rule.lookup(set(destination.ipv6()));
                rule.meta(META_MARK);
                rule.mask(!self.mark, 0);
                rule.set_mark();
            });
        }
    }

    /// Removes the persistent tables.
    pub(super) fn destroy(&self, batch: &mut Batch) {
        for layer in Layer::BOTH {
            batch.message(DEL_TABLE, 0, layer as u8, |out| out.text(1, self.table));
        }
    }

    /// Fences `addresses` from now for as long as they stay in the tables.
    pub(super) fn add(&self, batch: &mut Batch, addresses: &[IpAddr]) {
        let timeout = Some(self.timeout);
        // An element's timeout cannot be set anew before Linux 6.12: add, delete, add is one step.
        self.elements(batch, NEW_SET_ELEMENT, addresses, timeout);
        self.elements(batch, DEL_SET_ELEMENT, addresses, None);
        self.elements(batch, NEW_SET_ELEMENT, addresses, timeout);
    }

    /// Takes `addresses` out of the fence, whether they are in it or not.
    pub(super) fn remove(&self, batch: &mut Batch, addresses: &[IpAddr]) {
        let soon = Some(Duration::from_secs(1));
        self.elements(batch, NEW_SET_ELEMENT, addresses, soon);
        self.elements(batch, DEL_SET_ELEMENT, addresses, None);
    }

    fn elements(
        &self,
        batch: &mut Batch,
        kind: u16,
        addresses: &[IpAddr],
        timeout: Option<Duration>,
    ) {
        for layer in Layer::BOTH {
            for &ipv6 in layer.families() {
                let place = (self.table, set(ipv6));
                let keys = of_family(addresses, layer, ipv6);
                elements(batch, kind, layer, place, &keys, |element| {
                    if let Some(timeout) = timeout {
                        element.bytes(4, &millis(timeout).to_be_bytes());
                    }
                });
            }
        }
    }
}

/// Adverts of others come by by thousands, and are for no virtual address: of IPv4 to a group nothing is looked up.
pub(super) fn pass_multicast(batch: &mut Batch, layer: Layer, place: (&str, &str)) {
    if layer == Layer::Inet {
        rule(batch, layer, place, |rule| {
            Destination::Ipv4.load(rule);
            rule.mask(u32::from_ne_bytes([0xf0, 0, 0, 0]), 0);
            rule.equal(&[0xe0, 0, 0, 0]);
            rule.verdict(ACCEPT);
        });
    }
}

/// The octets of those addresses that a layer has, of one family. Each once: the kernel refuses a transaction that takes an
/// element away twice, and files name addresses twice (once more with a label, or on another device).
pub(super) fn of_family(addresses: &[IpAddr], layer: Layer, ipv6: bool) -> Vec<Vec<u8>> {
    let chosen = addresses
        .iter()
        .filter(|a| a.is_ipv6() == ipv6 && layer.has(**a));
    let octets = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let unique: BTreeSet<_> = chosen.map(octets).collect();
    unique.into_iter().collect()
}

pub(super) fn new_table(batch: &mut Batch, layer: Layer, name: &str, flags: u32) {
    batch.message(NEW_TABLE, NLM_F_CREATE, layer as u8, |out| {
        out.text(1, name);
        out.number(2, flags);
    });
}

/// What a set holds. The numbers of types are nft's own, for `nft list`.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetKind {
    pub(super) flags: u32,
    pub(super) key_type: u32,
    pub(super) key_length: u32,
    /// A number for references inside a transaction, unique in its table.
    pub(super) id: u32,
}

impl SetKind {
    /// Index of a device and an IPv4 address: nft's numbers of both types, 6 bits each.
    pub(super) const BOUND: Self = Self {
        flags: 0,
        key_type: (20 << 6) | 7,
        key_length: 8,
        id: 7,
    };

    /// With a time for each element, which rules may set.
    pub(super) const fn timed(self) -> Self {
        Self {
            flags: SET_DYNAMIC | SET_TIMEOUT,
            ..self
        }
    }

    pub(super) const fn addresses(ipv6: bool) -> Self {
        Self {
            flags: 0,
            key_type: if ipv6 { 8 } else { 7 },
            key_length: if ipv6 { 16 } else { 4 },
            id: if ipv6 { 2 } else { 1 },
        }
    }
}

pub(super) fn new_set(batch: &mut Batch, layer: Layer, (table, name): (&str, &str), kind: SetKind) {
    batch.message(NEW_SET, NLM_F_CREATE, layer as u8, |out| {
        out.text(1, table);
        out.text(2, name);
        out.number(3, kind.flags);
        out.number(4, kind.key_type);
        out.number(5, kind.key_length);
        out.number(10, kind.id);
    });
}

/// Adds or deletes elements with these keys; `rest` writes what else each of them has.
pub(super) fn elements(
    batch: &mut Batch,
    kind: u16,
    layer: Layer,
    (table, set): (&str, &str),
    keys: &[Vec<u8>],
    rest: impl Fn(&mut Attributes<'_>),
) {
    if keys.is_empty() {
        return;
    }
    let flags = match kind {
        NEW_SET_ELEMENT => NLM_F_CREATE,
        _ => 0,
    };
    batch.message(kind, flags, layer as u8, |out| {
        element_list(out, (table, set), keys, rest);
    });
}

/// The attributes by which elements are named.
fn element_list(
    out: &mut Attributes<'_>,
    (table, set): (&str, &str),
    keys: &[Vec<u8>],
    rest: impl Fn(&mut Attributes<'_>),
) {
    out.text(1, table);
    out.text(2, set);
    out.nested(3, |list| {
        for octets in keys {
            list.nested(1, |element| {
                element.nested(1, |key| key.bytes(1, octets));
                rest(element);
            });
        }
    });
}

/// The questions whether a beat for these addresses has done its work in a set of each family and table: for the first address of
/// each of its frames, which come or are lost as a whole. What is new among them comes first.
pub(super) fn questions<'a>(
    addresses: &[IpAddr],
    place: impl Fn(bool) -> (&'a str, &'a str),
) -> impl Iterator<Item = Vec<u8>> {
    places().flat_map(move |(layer, ipv6)| {
        let family = addresses.iter().filter(|one| one.is_ipv6() == ipv6);
        let first: Vec<IpAddr> = family.step_by(SMALLEST_FRAME).copied().collect();
        let keys = of_family(&first, layer, ipv6);
        let some = keys.chunks(ASKED_TOGETHER);
        let asked = some.map(|some| {
            Batch::question(GET_SET_ELEMENT, layer as u8, |out| {
                element_list(out, place(ipv6), some, |_| {});
            })
        });
        asked.collect::<Vec<_>>()
    })
}

/// Every table, with each family that it has.
pub(super) fn places() -> impl Iterator<Item = (Layer, bool)> {
    let layers = Layer::BOTH.into_iter();
    layers.flat_map(|layer| layer.families().iter().map(move |&ipv6| (layer, ipv6)))
}
