//! The rules that hear [beats](super::Pulse): a beat sets the time of its addresses in a set, or takes them out of it,
//! in the packet path and without a transaction.

use std::time::Duration;

use super::expression::{ACCEPT, DROP, Hook, META_NFPROTO, NETWORK, TRANSPORT, rule};
use super::nfnetlink::Batch;
use super::pulse::{ARP_BEAT, hold_number, ip_protocol};
use super::rules::{BEFORE_USERS, Layer};

/// Instead of a holder's number: a beat for the persistent tables, which are every holder's.
pub(super) const EVERYBODY: u32 = 0;
/// Addresses of a beat for everybody: rules for these have room in every kernel.
pub(super) const FOR_EVERYBODY: &[usize] = &[1, 8];
/// `NF_INET_PRE_ROUTING`.
const PREROUTING: u32 = 0;
/// `NF_INET_INGRESS`.
const INGRESS: u32 = 5;

/// Where beats that are IP are heard: before connection tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ear {
    /// On the loopback interface alone, so that no other packet of the host comes by: where the kernel has ingress hooks
    /// (CONFIG_NETFILTER_INGRESS).
    Loopback,
    /// With all packets of the host.
    Everywhere,
}

impl Ear {
    /// The hook of a chain that hears beats.
    pub(super) const fn hook(self, layer: Layer, chain: &str) -> Hook<'_> {
        let (number, device) = match (layer, self) {
            (Layer::Arp, _) => (layer.input_hook(), None),
            (Layer::Inet, Self::Loopback) => (INGRESS, Some("lo")),
            (Layer::Inet, Self::Everywhere) => (PREROUTING, None),
        };
        Hook {
            chain,
            number,
            priority: BEFORE_USERS - 2,
            device,
        }
    }

    /// The first rule of such a chain: packets that cannot be a beat soon leave, where others come by.
    pub(super) fn wave_through(self, batch: &mut Batch, layer: Layer, place: (&str, &str)) {
        if (layer, self) == (Layer::Inet, Self::Loopback) {
            return;
        }
        rule(batch, layer, place, |rule| {
            rule.off_loopback();
            rule.verdict(ACCEPT);
        });
    }
}

/// Rules for the beats of one `holder` with one hold, for each of these numbers of addresses; a hold of no time at all
/// takes them out of the set that is named for their family.
pub(super) fn rules(
    batch: &mut Batch,
    layer: Layer,
    place: (&str, &str),
    (holder, sizes): (u32, &[usize]),
    hold: Duration,
    set: fn(bool) -> &'static str,
) {
    for &ipv6 in layer.families() {
        for &addresses in sizes {
            let hold = (hold, hold_number(hold, addresses));
            hear(
                batch,
                layer,
                place,
                holder,
                hold,
                (set(ipv6), ipv6, addresses),
            );
        }
    }
}

fn hear(
    batch: &mut Batch,
    layer: Layer,
    place: (&str, &str),
    holder: u32,
    (hold, number): (Duration, u32),
    (set, ipv6, addresses): (&str, bool, usize),
) {
    rule(batch, layer, place, |rule| {
        // Holder, hold and addresses stand one after the other.
        let (base, at) = match layer {
            Layer::Arp => {
                rule.payload(NETWORK, 6, 2);
                rule.equal(&ARP_BEAT.to_be_bytes());
                (NETWORK, 8)
            }
            Layer::Inet => {
                rule.meta(META_NFPROTO);
                rule.equal(&[2]);
                rule.payload(NETWORK, 9, 1);
                rule.equal(&[ip_protocol(ipv6)]);
                (TRANSPORT, 0)
            }
        };
        rule.payload(base, at, 4);
        rule.equal(&holder.to_be_bytes());
        rule.payload(base, at + 4, 4);
        rule.equal(&number.to_be_bytes());
        let length = if ipv6 { 16 } else { 4 };
        let step = if ipv6 { 16 } else { 4 };
        for offset in (at + 8..).step_by(step).take(addresses) {
            rule.payload(base, offset, length);
            match hold.is_zero() {
                true => rule.strike(set),
                false => rule.keep(set, hold),
            }
        }
        rule.verdict(DROP);
    });
}
