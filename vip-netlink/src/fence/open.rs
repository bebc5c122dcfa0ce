//! The two tables that belong to the holder's netlink socket and go with it: they set the mark for an address that
//! is open and alive.
//!
//! ```text
//! table arp  vip_open_PORT { flags owner; set open4; set alive4 { dynamic, timeout }
//!   chain beat  { hook input priority -402: not on lo -> accept; beat -> update @alive4 { address timeout HOLD }, drop }
//!   set bound4 { device . address }
//!   chain input { hook input priority -401: arp daddr ip @open4 and @alive4 -> set the mark;
//!                 iif . arp daddr ip @bound4 and arp daddr ip @alive4 -> set the mark } }
//! table inet vip_open_PORT { flags owner; sets open4, alive4, open6, asked6, alive6; the same for IP and, with
//!   asked6, for solicitations; chain beat at hook ingress of lo, or at prerouting with all other packets (where the
//!   kernel has no such hook): before connection tracking }
//! ```
//! An address that takes no packets is open in the table of ARP, or in asked6, alone. One that is bound to a device is
//! in bound4 instead of ARP's open4: IPv6 answers on the device alone by itself.
//!
//! A beat with HOLD 0 takes its address out of @alive4 instead: a router that gives way is silent with the next
//! packet, however long the kernel's lock keeps its addresses up.
//!
//! The rule that hears a beat sets the time of the very element that is there: no packet finds it missing, nothing
//! is allocated, and no other program's nf_tables transaction can hold it up. One that is not there is added: so addresses
//! are opened, too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::Access;
use super::expression::{Hook, META_MARK, Rule, chain, millis, rule};
use super::hearing::{self, Ear};
use super::nfnetlink::Batch;
use super::pulse::SIZES;
use super::rules::{
    self, BEFORE_USERS, DEL_SET_ELEMENT, Destination, GET_TABLE, INPUT, Layer, NEW_SET_ELEMENT,
    SetKind, elements, flush, new_set, new_table, of_family, pass_multicast, places,
};

const TABLE_OWNER: u32 = 2;

const BEAT: &str = "beat";

const fn open(ipv6: bool) -> &'static str {
    if ipv6 { "open6" } else { "open4" }
}

/// IPv4 addresses that answer on one device alone.
const BOUND: &str = "bound4";

/// IPv6 addresses whose solicitations are answered.
const ASKED: &str = "asked6";

const fn alive(ipv6: bool) -> &'static str {
    if ipv6 { "alive6" } else { "alive4" }
}

/// The owned tables; nobody else can change them.
#[derive(Debug)]
pub(super) struct Open {
    table: String,
    /// Tells the beats for these tables from those of another process.
    port: u32,
    mark: u32,
    /// Times for which there are rules.
    holds: BTreeSet<Duration>,
    /// Where they are heard.
    pub(super) ear: Ear,
    /// Addresses of one beat.
    sizes: &'static [usize],
    /// The devices of addresses that answer on one alone.
    bound: BTreeMap<Ipv4Addr, u32>,
    /// Addresses that were opened for ever, which no beat can limit.
    timeless: BTreeSet<IpAddr>,
}

impl Open {
    pub(super) fn new(port: u32, mark: u32) -> Self {
        Self {
            table: name(port),
            port,
            mark,
            holds: BTreeSet::new(),
            ear: Ear::Loopback,
            sizes: &SIZES,
            bound: BTreeMap::new(),
            timeless: BTreeSet::new(),
        }
    }

    /// The question whether the tables of a holder are there.
    pub(super) fn inquiry(port: u32) -> Vec<u8> {
        Batch::question(GET_TABLE, Layer::Arp as u8, |out| out.text(1, &name(port)))
    }

    /// Creates the tables that die with the socket that creates them.
    pub(super) fn create(&self, batch: &mut Batch) {
        for layer in Layer::BOTH {
            new_table(batch, layer, &self.table, TABLE_OWNER);
            for &ipv6 in layer.families() {
                let plain = SetKind::addresses(ipv6);
                let timed = SetKind {
                    id: plain.id + 2,
                    ..plain.timed()
                };
                new_set(batch, layer, (&self.table, open(ipv6)), plain);
                new_set(batch, layer, (&self.table, alive(ipv6)), timed);
                if ipv6 {
                    let asked = SetKind {
                        id: plain.id + 4,
                        ..plain
                    };
                    new_set(batch, layer, (&self.table, ASKED), asked);
                }
            }
            let input = Hook {
                chain: INPUT,
                number: layer.input_hook(),
                priority: BEFORE_USERS - 1,
                device: None,
            };
            chain(batch, layer, &self.table, self.ear.hook(layer, BEAT));
            self.ear.wave_through(batch, layer, (&self.table, BEAT));
            chain(batch, layer, &self.table, input);
            pass_multicast(batch, layer, (&self.table, INPUT));
            for destination in Destination::of(layer) {
                rule(batch, layer, (&self.table, INPUT), |rule| {
                    destination.load(rule);
                    rule.lookup(match destination {
                        Destination::Solicited => ASKED,
                        other => open(other.ipv6()),
                    });
                    self.mark_if_alive(*destination, rule);
                });
            }
            if layer == Layer::Arp {
                new_set(batch, layer, (&self.table, BOUND), SetKind::BOUND);
                rule(batch, layer, (&self.table, INPUT), |rule| {
                    rule.device_and_target();
                    rule.lookup(BOUND);
                    self.mark_if_alive(Destination::ArpTarget, rule);
                });
            }
        }
    }

    fn mark_if_alive(&self, destination: Destination, rule: &mut Rule<'_, '_>) {
        destination.load(rule);
        rule.lookup(alive(destination.ipv6()));
        rule.meta(META_MARK);
        // (mark & !bit) ^ bit = mark | bit
        rule.mask(!self.mark, self.mark);
        rule.set_mark();
    }

    /// From now on these addresses are opened wherever they are asked for.
    pub(super) fn unbind(&mut self, addresses: &[IpAddr]) {
        self.bound
            .retain(|bound, _| !addresses.contains(&IpAddr::V4(*bound)));
    }

    /// From now on these addresses are opened on that device alone.
    pub(super) fn bind(&mut self, device: u32, addresses: &[IpAddr]) {
        for address in addresses {
            if let IpAddr::V4(address) = address {
                self.bound.insert(*address, device);
            }
        }
    }

    /// The elements of `bound4` for those of `addresses` that have a device.
    fn bindings(&self, addresses: &[IpAddr]) -> Vec<Vec<u8>> {
        let binding = |address: &IpAddr| match address {
            IpAddr::V4(address) => {
                let device = self.bound.get(address)?;
                Some([device.to_ne_bytes(), address.octets()].concat())
            }
            IpAddr::V6(_) => None,
        };
        let unique: BTreeSet<_> = addresses.iter().filter_map(binding).collect();
        unique.into_iter().collect()
    }

    /// Makes sure that beats with this hold are heard; one of no time at all silences.
    pub(super) fn hear(&self, batch: &mut Batch, hold: Duration) {
        if !self.has_heard(hold) {
            self.beat_rules(batch, hold);
        }
    }

    /// Rules for these holds instead of those that there are, in one transaction: no beat is missed.
    pub(super) fn hear_anew(&self, batch: &mut Batch, holds: &BTreeSet<Duration>) {
        for layer in Layer::BOTH {
            flush(batch, layer, &self.table, BEAT);
            self.ear.wave_through(batch, layer, (&self.table, BEAT));
        }
        for hold in holds {
            self.beat_rules(batch, *hold);
        }
    }

    fn beat_rules(&self, batch: &mut Batch, hold: Duration) {
        for layer in Layer::BOTH {
            let sizes = (self.port, self.sizes);
            hearing::rules(batch, layer, (&self.table, BEAT), sizes, hold, alive);
        }
    }

    /// The kernel has no room for a rule of the largest size.
    pub(super) fn without_the_largest(&mut self) {
        self.sizes = SIZES.split_last().map_or(&[], |(_, rest)| rest);
    }

    /// Addresses that a beat may have.
    pub(super) const fn sizes(&self) -> &'static [usize] {
        self.sizes
    }

    /// Whether there are rules for it.
    pub(super) fn has_heard(&self, hold: Duration) -> bool {
        self.holds.contains(&hold)
    }

    /// The holds for which there are rules.
    pub(super) fn heard(&self) -> impl Iterator<Item = Duration> + '_ {
        self.holds.iter().copied()
    }

    /// There are rules for these alone from now on.
    pub(super) fn hears_only(&mut self, holds: BTreeSet<Duration>) {
        self.holds = holds;
    }

    /// There are rules for it from now on.
    pub(super) fn hears(&mut self, hold: Duration) {
        self.holds.insert(hold);
    }

    /// Whether any of them was opened for ever and not since with a hold.
    pub(super) fn any_timeless(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|one| self.timeless.contains(one))
    }

    /// They have been opened with a hold, or for ever.
    pub(super) fn opened(&mut self, addresses: &[IpAddr], hold: Option<Duration>) {
        for one in addresses {
            match hold {
                Some(_) => self.timeless.remove(one),
                None => self.timeless.insert(*one),
            };
        }
    }

    /// Lets `addresses` answer for `hold` after each beat, of which this is one; without hold, for ever.
    pub(super) fn add(
        &self,
        batch: &mut Batch,
        addresses: &[IpAddr],
        hold: Option<Duration>,
        access: Access,
    ) {
        self.admit(batch, addresses, access);
        for (layer, ipv6) in places() {
            let keys = of_family(addresses, layer, ipv6);
            let place = (&*self.table, alive(ipv6));
            // One with another hold may be there: it is replaced.
            elements(batch, NEW_SET_ELEMENT, layer, place, &keys, |_| {});
            elements(batch, DEL_SET_ELEMENT, layer, place, &keys, |_| {});
            elements(batch, NEW_SET_ELEMENT, layer, place, &keys, |element| {
                if let Some(hold) = hold {
                    element.bytes(4, &millis(hold).to_be_bytes());
                }
            });
        }
    }

    /// Lets `addresses` answer while they are alive.
    pub(super) fn admit(&self, batch: &mut Batch, addresses: &[IpAddr], access: Access) {
        for (layer, ipv6) in places() {
            let keys = of_family(addresses, layer, ipv6);
            let place = (&*self.table, open(ipv6));
            elements(batch, NEW_SET_ELEMENT, layer, place, &keys, |_| {});
            if layer == Layer::Arp {
                let bound = self.bindings(addresses);
                let elsewhere = (&*self.table, BOUND);
                elements(batch, NEW_SET_ELEMENT, layer, elsewhere, &bound, |_| {});
                let is_bound = |key: &&Vec<u8>| bound.iter().any(|one| one.ends_with(key));
                let keys: Vec<_> = keys.iter().filter(is_bound).cloned().collect();
                elements(batch, DEL_SET_ELEMENT, layer, place, &keys, |_| {});
            }
            if access == Access::Neighbours && layer == Layer::Inet {
                elements(batch, DEL_SET_ELEMENT, layer, place, &keys, |_| {});
            }
            if ipv6 {
                let place = (&*self.table, ASKED);
                elements(batch, NEW_SET_ELEMENT, layer, place, &keys, |_| {});
            }
        }
    }

    /// Silences `addresses`, open or not.
    pub(super) fn remove(&self, batch: &mut Batch, addresses: &[IpAddr]) {
        for (layer, ipv6) in places() {
            let keys = of_family(addresses, layer, ipv6);
            let place = (&*self.table, open(ipv6));
            elements(batch, NEW_SET_ELEMENT, layer, place, &keys, |_| {});
            elements(batch, DEL_SET_ELEMENT, layer, place, &keys, |_| {});
            if layer == Layer::Arp {
                let bound = self.bindings(addresses);
                let place = (&*self.table, BOUND);
                elements(batch, NEW_SET_ELEMENT, layer, place, &bound, |_| {});
                elements(batch, DEL_SET_ELEMENT, layer, place, &bound, |_| {});
            }
            if ipv6 {
                let place = (&*self.table, ASKED);
                elements(batch, NEW_SET_ELEMENT, layer, place, &keys, |_| {});
                elements(batch, DEL_SET_ELEMENT, layer, place, &keys, |_| {});
            }
        }
    }

    /// The questions whether a beat for these has been heard: for one, whether it is alive.
    pub(super) fn questions(&self, addresses: &[IpAddr]) -> impl Iterator<Item = Vec<u8>> {
        rules::questions(addresses, |ipv6| (&*self.table, alive(ipv6)))
    }
}

fn name(port: u32) -> String {
    format!("vip_open_{port}")
}
