//! What the fence consists of in nf_tables: two persistent tables, two owned ones, and the
//! elements of their sets (`include/uapi/linux/netfilter/nf_tables.h`).
//!
//! ```text
//! table arp  vip_fence     { set fenced4 {timeout}
//!   chain input { hook input priority -400
//!     arp saddr ip @fenced4 accept                        announcements of another host
//!     arp operation request arp daddr ip @fenced4, no mark -> drop
//!     arp daddr ip @fenced4 -> take the mark off again } }
//! table inet vip_fence     { sets fenced4, fenced6 {timeout}
//!   chain input { hook input priority -400
//!     ip daddr @fenced4, ip6 daddr @fenced6, neighbour solicitation target @fenced6:
//!     without mark drop, else take the mark off } }
//! table arp  vip_open_PORT { flags owner; set open4
//!   chain input { hook input priority -401: arp daddr ip @open4 -> set the mark } }
//! table inet vip_open_PORT { flags owner; sets open4, open6; the same for IP and solicitations }
//! ```

use std::net::IpAddr;
use std::time::Duration;

use super::nfnetlink::{Attributes, Batch};

const NEW_TABLE: u16 = 0;
const DEL_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const DEL_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_SET_ELEMENT: u16 = 12;
const DEL_SET_ELEMENT: u16 = 14;

const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

const TABLE_OWNER: u32 = 2;
const SET_TIMEOUT: u32 = 0x10;

const BEFORE_USERS: i32 = -400;

const META_MARK: u32 = 3;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const REGISTER: u32 = 1;

/// A protocol family of nf_tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Layer {
    Inet = 1,
    Arp = 3,
}

impl Layer {
    const BOTH: [Self; 2] = [Self::Arp, Self::Inet];

    /// `NF_INET_LOCAL_IN` or `NF_ARP_IN`.
    const fn input_hook(self) -> u32 {
        match self {
            Self::Inet => 1,
            Self::Arp => 0,
        }
    }

    /// IPv6 has no ARP.
    fn has(self, address: IpAddr) -> bool {
        self == Self::Inet || address.is_ipv4()
    }
}

/// Where an address stands in a packet, and which packets are meant.
#[derive(Debug, Clone, Copy)]
enum Destination {
    ArpTarget,
    Ipv4,
    Ipv6,
    Solicited,
}

impl Destination {
    const fn of(layer: Layer) -> &'static [Self] {
        match layer {
            Layer::Arp => &[Self::ArpTarget],
            Layer::Inet => &[Self::Ipv4, Self::Ipv6, Self::Solicited],
        }
    }

    const fn ipv6(self) -> bool {
        matches!(self, Self::Ipv6 | Self::Solicited)
    }

    fn expressions(self, rule: &mut Rule<'_, '_>, set: Set) {
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
        rule.lookup(set.name(self.ipv6()));
    }
}

/// Which of the two kinds of set.
#[derive(Debug, Clone, Copy)]
enum Set {
    Fenced,
    Open,
}

impl Set {
    const fn name(self, ipv6: bool) -> &'static str {
        match (self, ipv6) {
            (Self::Fenced, false) => "fenced4",
            (Self::Fenced, true) => "fenced6",
            (Self::Open, false) => "open4",
            (Self::Open, true) => "open6",
        }
    }
}

/// Names and mark of one fence.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) fence: String,
    pub(super) open: String,
    pub(super) mark: u32,
}

impl Names {
    /// Creates the persistent tables or brings those of a predecessor up to date; elements stay.
    pub(super) fn create_fence(&self, batch: &mut Batch) {
        for layer in Layer::BOTH {
            self.table(batch, layer, &self.fence, 0);
            self.sets(batch, layer, &self.fence, Set::Fenced);
            chain(batch, layer, &self.fence, BEFORE_USERS);
            // Without a handle: all rules of the chain, in the same transaction.
            batch.message(DEL_RULE, 0, layer as u8, |out| {
                out.text(1, &self.fence);
                out.text(2, CHAIN);
            });
            if layer == Layer::Arp {
                // An announcement that names the address as its *sender* is another host's:
                // hearing it keeps our neighbour table right and never makes us answer.
                rule(batch, layer, &self.fence, |rule| {
                    rule.payload(NETWORK, 14, 4);
                    rule.lookup(Set::Fenced.name(false));
                    rule.verdict(ACCEPT);
                });
            }
            for destination in Destination::of(layer) {
                rule(batch, layer, &self.fence, |rule| {
                    if layer == Layer::Arp {
                        rule.payload(NETWORK, 6, 2);
                        rule.equal(&[0, 1]);
                    }
                    destination.expressions(rule, Set::Fenced);
                    rule.meta(META_MARK);
                    rule.mask(self.mark, 0);
                    rule.equal(&0_u32.to_ne_bytes());
                    rule.verdict(DROP);
                });
            }
            for destination in Destination::of(layer) {
                rule(batch, layer, &self.fence, |rule| {
                    destination.expressions(rule, Set::Fenced);
                    rule.meta(META_MARK);
                    rule.mask(!self.mark, 0);
                    rule.set_mark();
                });
            }
        }
    }

    /// Creates the tables that die with the socket that creates them.
    pub(super) fn create_open(&self, batch: &mut Batch) {
        for layer in Layer::BOTH {
            self.table(batch, layer, &self.open, TABLE_OWNER);
            self.sets(batch, layer, &self.open, Set::Open);
            chain(batch, layer, &self.open, BEFORE_USERS - 1);
            for destination in Destination::of(layer) {
                rule(batch, layer, &self.open, |rule| {
                    destination.expressions(rule, Set::Open);
                    rule.meta(META_MARK);
                    // (mark & !bit) ^ bit = mark | bit
                    rule.mask(!self.mark, self.mark);
                    rule.set_mark();
                });
            }
        }
    }

    /// Removes the persistent tables.
    pub(super) fn destroy_fence(&self, batch: &mut Batch) {
        for layer in Layer::BOTH {
            batch.message(DEL_TABLE, 0, layer as u8, |out| out.text(1, &self.fence));
        }
    }

    /// Fences `addresses` for `timeout` from now.
    pub(super) fn fence(&self, batch: &mut Batch, addresses: &[IpAddr], timeout: Duration) {
        // An element's timeout cannot be set anew before Linux 6.12: add, delete, add is one step.
        self.elements(
            batch,
            NEW_SET_ELEMENT,
            Set::Fenced,
            addresses,
            Some(timeout),
        );
        self.elements(batch, DEL_SET_ELEMENT, Set::Fenced, addresses, None);
        self.elements(
            batch,
            NEW_SET_ELEMENT,
            Set::Fenced,
            addresses,
            Some(timeout),
        );
    }

    /// Takes `addresses` out of the fence, whether they are in it or not.
    pub(super) fn unfence(&self, batch: &mut Batch, addresses: &[IpAddr]) {
        self.elements(
            batch,
            NEW_SET_ELEMENT,
            Set::Fenced,
            addresses,
            Some(Duration::from_secs(1)),
        );
        self.elements(batch, DEL_SET_ELEMENT, Set::Fenced, addresses, None);
    }

    /// Lets `addresses` answer while the owner lives.
    pub(super) fn open(&self, batch: &mut Batch, addresses: &[IpAddr]) {
        self.elements(batch, NEW_SET_ELEMENT, Set::Open, addresses, None);
    }

    /// Silences `addresses`, open or not.
    pub(super) fn close(&self, batch: &mut Batch, addresses: &[IpAddr]) {
        self.elements(batch, NEW_SET_ELEMENT, Set::Open, addresses, None);
        self.elements(batch, DEL_SET_ELEMENT, Set::Open, addresses, None);
    }

    fn table(&self, batch: &mut Batch, layer: Layer, name: &str, flags: u32) {
        batch.message(NEW_TABLE, NLM_F_CREATE, layer as u8, |out| {
            out.text(1, name);
            out.number(2, flags);
        });
    }

    fn sets(&self, batch: &mut Batch, layer: Layer, table: &str, set: Set) {
        let families: &[bool] = match layer {
            Layer::Arp => &[false],
            Layer::Inet => &[false, true],
        };
        for &ipv6 in families {
            batch.message(NEW_SET, NLM_F_CREATE, layer as u8, |out| {
                out.text(1, table);
                out.text(2, set.name(ipv6));
                out.number(
                    3,
                    if matches!(set, Set::Fenced) {
                        SET_TIMEOUT
                    } else {
                        0
                    },
                );
                // nft's own type numbers of ipv4_addr and ipv6_addr, for `nft list`.
                out.number(4, if ipv6 { 8 } else { 7 });
                out.number(5, if ipv6 { 16 } else { 4 });
                out.number(10, 1 + u32::from(ipv6));
            });
        }
    }

    fn elements(
        &self,
        batch: &mut Batch,
        kind: u16,
        set: Set,
        addresses: &[IpAddr],
        timeout: Option<Duration>,
    ) {
        let table = match set {
            Set::Fenced => &self.fence,
            Set::Open => &self.open,
        };
        for layer in Layer::BOTH {
            for ipv6 in [false, true] {
                let chosen = || {
                    addresses
                        .iter()
                        .filter(move |address| address.is_ipv6() == ipv6 && layer.has(**address))
                };
                if chosen().next().is_none() {
                    continue;
                }
                let flags = if kind == NEW_SET_ELEMENT {
                    NLM_F_CREATE
                } else {
                    0
                };
                batch.message(kind, flags, layer as u8, |out| {
                    out.text(1, table);
                    out.text(2, set.name(ipv6));
                    out.nested(3, |list| {
                        for address in chosen() {
                            list.nested(1, |element| {
                                element.nested(1, |key| match address {
                                    IpAddr::V4(address) => key.bytes(1, &address.octets()),
                                    IpAddr::V6(address) => key.bytes(1, &address.octets()),
                                });
                                if let Some(timeout) = timeout {
                                    let millis =
                                        u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                                    element.bytes(4, &millis.to_be_bytes());
                                }
                            });
                        }
                    });
                });
            }
        }
    }
}

const CHAIN: &str = "input";

fn chain(batch: &mut Batch, layer: Layer, table: &str, priority: i32) {
    batch.message(NEW_CHAIN, NLM_F_CREATE, layer as u8, |out| {
        out.text(1, table);
        out.text(3, CHAIN);
        out.nested(4, |hook| {
            hook.number(1, layer.input_hook());
            hook.bytes(2, &priority.to_be_bytes());
        });
        out.text(7, "filter");
    });
}

fn rule(batch: &mut Batch, layer: Layer, table: &str, fill: impl FnOnce(&mut Rule<'_, '_>)) {
    batch.message(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, layer as u8, |out| {
        out.text(1, table);
        out.text(2, CHAIN);
        out.nested(4, |list| fill(&mut Rule(list)));
    });
}

/// The expressions of one rule, all over register 1.
struct Rule<'a, 'b>(&'a mut Attributes<'b>);

impl Rule<'_, '_> {
    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.0.nested(1, |expression| {
            expression.text(1, name);
            expression.nested(2, fill);
        });
    }

    fn payload(&mut self, base: u32, offset: u32, length: u32) {
        self.expression("payload", |out| {
            out.number(1, REGISTER);
            out.number(2, base);
            out.number(3, offset);
            out.number(4, length);
        });
    }

    fn meta(&mut self, key: u32) {
        self.expression("meta", |out| {
            out.number(1, REGISTER);
            out.number(2, key);
        });
    }

    fn set_mark(&mut self) {
        self.expression("meta", |out| {
            out.number(2, META_MARK);
            out.number(3, REGISTER);
        });
    }

    fn equal(&mut self, value: &[u8]) {
        self.expression("cmp", |out| {
            out.number(1, REGISTER);
            out.number(2, 0);
            out.nested(3, |data| data.bytes(1, value));
        });
    }

    fn lookup(&mut self, set: &str) {
        self.expression("lookup", |out| {
            out.text(1, set);
            out.number(2, REGISTER);
        });
    }

    /// Register = (register & mask) ^ xor, in host order as the packet mark is.
    fn mask(&mut self, mask: u32, xor: u32) {
        self.expression("bitwise", |out| {
            out.number(1, REGISTER);
            out.number(2, REGISTER);
            out.number(3, 4);
            out.nested(4, |data| data.bytes(1, &mask.to_ne_bytes()));
            out.nested(5, |data| data.bytes(1, &xor.to_ne_bytes()));
        });
    }

    fn verdict(&mut self, code: u32) {
        self.expression("immediate", |out| {
            out.number(1, 0);
            out.nested(2, |data| data.nested(2, |verdict| verdict.number(1, code)));
        });
    }
}
