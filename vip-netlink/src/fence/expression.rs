//! The expressions of nf_tables rules, all over register 1, and the chains that rules stand in
//! (`include/uapi/linux/netfilter/nf_tables.h`).

use std::time::Duration;

use super::nfnetlink::{Attributes, Batch};
use super::rules::Layer;

const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

const META_IIF: u32 = 4;
pub(super) const META_MARK: u32 = 3;
pub(super) const META_NFPROTO: u32 = 15;
pub(super) const META_L4PROTO: u32 = 16;
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;
pub(super) const DROP: u32 = 0;
pub(super) const ACCEPT: u32 = 1;
const REGISTER: u32 = 1;
/// `NFT_REG32_01`: the second four octets of register 1.
const SECOND: u32 = 9;
const UPDATE: u32 = 1;
/// `NFT_DYNSET_OP_DELETE`, since Linux 5.4.
const DELETE: u32 = 2;
/// The loopback interface of every network namespace.
pub(super) const LOOPBACK: u32 = 1;

/// A place in the kernel where a chain is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook<'a> {
    pub(super) chain: &'a str,
    pub(super) number: u32,
    pub(super) priority: i32,
    /// Of a hook that each device has for itself.
    pub(super) device: Option<&'a str>,
}

/// Creates a chain.
pub(super) fn chain(batch: &mut Batch, layer: Layer, table: &str, hook: Hook<'_>) {
    batch.message(NEW_CHAIN, NLM_F_CREATE, layer as u8, |out| {
        out.text(1, table);
        out.text(3, hook.chain);
        out.nested(4, |place| {
            place.number(1, hook.number);
            place.bytes(2, &hook.priority.to_be_bytes());
            if let Some(device) = hook.device {
                place.text(3, device);
            }
        });
        out.text(7, "filter");
    });
}

/// Appends a rule to a chain.
pub(super) fn rule(
    batch: &mut Batch,
    layer: Layer,
    (table, chain): (&str, &str),
    fill: impl FnOnce(&mut Rule<'_, '_>),
) {
    batch.message(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, layer as u8, |out| {
        out.text(1, table);
        out.text(2, chain);
        out.nested(4, |list| fill(&mut Rule(list)));
    });
}

/// The expressions of one rule, all over register 1.
pub(super) struct Rule<'a, 'b>(&'a mut Attributes<'b>);

impl Rule<'_, '_> {
    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.0.nested(1, |expression| {
            expression.text(1, name);
            expression.nested(2, fill);
        });
    }

    pub(super) fn payload(&mut self, base: u32, offset: u32, length: u32) {
        self.expression("payload", |out| {
            out.number(1, REGISTER);
            out.number(2, base);
            out.number(3, offset);
            out.number(4, length);
        });
    }

    /// The device on which an ARP packet came in, and behind it the address that it asks for.
    pub(super) fn device_and_target(&mut self) {
        self.meta(META_IIF);
        self.expression("payload", |out| {
            out.number(1, SECOND);
            out.number(2, NETWORK);
            out.number(3, 24);
            out.number(4, 4);
        });
    }

    pub(super) fn meta(&mut self, key: u32) {
        self.expression("meta", |out| {
            out.number(1, REGISTER);
            out.number(2, key);
        });
    }

    pub(super) fn set_mark(&mut self) {
        self.expression("meta", |out| {
            out.number(2, META_MARK);
            out.number(3, REGISTER);
        });
    }

    pub(super) fn equal(&mut self, value: &[u8]) {
        self.compare(0, value);
    }

    /// `NFT_CMP_EQ` is 0, `NFT_CMP_NEQ` 1.
    fn compare(&mut self, operation: u32, value: &[u8]) {
        self.expression("cmp", |out| {
            out.number(1, REGISTER);
            out.number(2, operation);
            out.nested(3, |data| data.bytes(1, value));
        });
    }

    pub(super) fn lookup(&mut self, set: &str) {
        self.expression("lookup", |out| {
            out.text(1, set);
            out.number(2, REGISTER);
        });
    }

    /// Puts the register into the set for so long from now, whether it is there or not.
    pub(super) fn keep(&mut self, set: &str, time: Duration) {
        self.expression("dynset", |out| {
            out.text(1, set);
            out.number(3, UPDATE);
            out.number(4, REGISTER);
            out.bytes(6, &millis(time).to_be_bytes());
        });
    }

    /// Takes the register out of the set.
    pub(super) fn strike(&mut self, set: &str) {
        self.expression("dynset", |out| {
            out.text(1, set);
            out.number(3, DELETE);
            out.number(4, REGISTER);
        });
    }

    /// The packet did not come in on the loopback interface.
    pub(super) fn off_loopback(&mut self) {
        self.meta(META_IIF);
        self.compare(1, &LOOPBACK.to_ne_bytes());
    }

    /// Register = (register & mask) ^ xor, in host order as the packet mark is.
    pub(super) fn mask(&mut self, mask: u32, xor: u32) {
        self.expression("bitwise", |out| {
            out.number(1, REGISTER);
            out.number(2, REGISTER);
            out.number(3, 4);
            out.nested(4, |data| data.bytes(1, &mask.to_ne_bytes()));
            out.nested(5, |data| data.bytes(1, &xor.to_ne_bytes()));
        });
    }

    pub(super) fn verdict(&mut self, code: u32) {
        self.expression("immediate", |out| {
            out.number(1, 0);
            out.nested(2, |data| data.nested(2, |verdict| verdict.number(1, code)));
        });
    }
}

/// nf_tables counts timeouts in milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
