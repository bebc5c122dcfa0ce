//! A virtual address on one line.

use std::fmt::Write as _;

use super::{Instance, status};
use crate::config::keepalived::VirtualAddress;

/// `10.9.0.100/24 dev eth0 scope global label eth0:v set`; `set` while it is on this host.
pub(super) fn lines(
    addresses: &[VirtualAddress],
    instance: &Instance,
    known: &status::Instance,
) -> Vec<String> {
    let set = if is_set(known) { " set" } else { "" };
    let line = |address| line(address, instance) + set;
    addresses.iter().map(line).collect()
}

pub(super) fn is_set(known: &status::Instance) -> bool {
    known.addresses == "up"
}

fn line(one: &VirtualAddress, instance: &Instance) -> String {
    let mut line = one.address.to_string();
    let host = if one.address.is_ipv4() { 32 } else { 128 };
    // With a peer it is the peer's.
    let prefix = one.peer.map_or(one.prefix, |(_, prefix)| prefix);
    if prefix != host {
        let _ = write!(line, "/{prefix}");
    }
    if let Some(broadcast) = one.broadcast {
        let _ = write!(line, " brd {broadcast}");
    }
    let device = one.device.as_ref().unwrap_or(&instance.interface);
    let _ = write!(line, " dev {device}");
    let mut devices = instance.vmac.devices.iter();
    if let Some(made) = devices.find(|made| made.name == *device) {
        let _ = write!(line, "@{}", made.parent);
    }
    if one.vmac {
        line.push_str(" use_vmac");
    }
    let _ = write!(line, " scope {}", scope(one.scope));
    if let Some(label) = &one.label {
        let _ = write!(line, " label {label}");
    }
    if let Some((peer, prefix)) = one.peer {
        let _ = write!(line, " peer {peer}/{prefix}");
    }
    for (flag, word) in [
        (one.home, " home"),
        (one.detect_duplicates, " -nodad"),
        (one.manage_temporary, " mngtmpaddr"),
        (one.no_prefix_route, " noprefixroute"),
        (one.auto_join, " autojoin"),
        (one.no_track, " no_track"),
    ] {
        line.push_str(if flag { word } else { "" });
    }
    if !one.address.is_ipv4() {
        let _ = match one.preferred_lifetime {
            Some(u32::MAX) => line.write_str(" preferred_lft forever"),
            Some(0) => line.write_str(" deprecated"),
            Some(seconds) => write!(line, " preferred_lft {seconds}"),
            None if one.prefix == host => line.write_str(" deprecated"),
            None => line.write_str(" preferred_lft forever"),
        };
    }
    line
}

fn scope(number: Option<u8>) -> String {
    match number.unwrap_or(0) {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        255 => "nowhere".to_owned(),
        other => other.to_string(),
    }
}
