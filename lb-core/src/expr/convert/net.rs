//! Converters over addresses, hosts and ports. Manual 7.3.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Converter, text::slice};
use crate::expr::{
    Type, Value,
    args::{ArgKind, may, need},
    fetch::target::host_port,
};

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "ipmask",
        &[need("mask4", ArgKind::Mask4), may("mask6", ArgKind::Mask6)],
        Type::Address,
        Type::Address,
        "The address with all but the bits of the mask cleared.",
        |value, args, _| {
            let mask = |index: usize| args.get(index)?.mask();
            Some(Value::Address(match value.address()? {
                IpAddr::V4(address) => {
                    let mask = u32::try_from(mask(0)?).ok()?;
                    IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
                }
                IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask(1)?)),
            }))
        },
    ),
    Converter::row(
        "host_only",
        &[],
        Type::String,
        Type::String,
        "The host of host:port.",
        |value, _, _| slice(value, |bytes| Some(0..host_port(bytes).0.len())),
    ),
    Converter::row(
        "port_only",
        &[],
        Type::String,
        Type::Int,
        "The port of host:port, 0 without one.",
        |value, _, _| {
            let port = host_port(value.bytes()?).1;
            Some(Value::Int(
                port.and_then(|p| Value::text(p).integer()).unwrap_or(0),
            ))
        },
    ),
];
