//! `show peers`: `peers` sections on the command line, in the form that HAProxy gives them.

use std::{fmt::Write as _, time::Instant};

use lb_core::{
    config::PeersConfig,
    dataplane::Balancer,
    peers::{Group, Learning},
};

/// The sections, or the one called `wanted`.
pub fn show(balancer: &Balancer, wanted: Option<&str>, now: Instant) -> String {
    let sections = balancer
        .config
        .proxies
        .iter()
        .filter_map(|p| p.peers.as_ref());
    let mut text = String::new();
    for section in sections.filter(|section| wanted.is_none_or(|name| *section.name == *name)) {
        match balancer.groups.get(&section.name) {
            Some(group) => whole(&mut text, section, group, now),
            None => {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "0x0: id={} disabled=1", section.name);
            }
        }
    }
    match (text.is_empty(), wanted) {
        (true, Some(_)) => "No such peers\n".to_owned(),
        _ => text,
    }
}

fn whole(text: &mut String, section: &PeersConfig, group: &Group, now: Instant) {
    let (flags, timeout) = match group.learning() {
        Learning::Done => ("0x3", "<PAST>".to_owned()),
        Learning::Until(end) => {
            let left = end.saturating_duration_since(now).as_secs();
            ("0x0", format!("{left}s"))
        }
    };
    let _ = writeln!(
        text,
        "0x0: id={} disabled=0 flags={flags} resync_timeout={timeout} task_calls=0",
        section.name
    );
    for (index, peer) in section.peers.iter().enumerate() {
        peer_of(
            text,
            group,
            (index, &peer.name, peer.address.to_string(), "remote"),
            now,
        );
    }
    let own = section.local_address.map(|at| at.to_string());
    let own = own.unwrap_or_else(|| "-".to_owned());
    let place = section.peers.len();
    peer_of(text, group, (place, group.local(), own, "local"), now);
}

fn peer_of(
    text: &mut String,
    group: &Group,
    (index, name, address, kind): (usize, &str, String, &str),
    now: Instant,
) {
    let link = group.link(index).unwrap_or_default();
    let (state, status) = match link.session {
        Some(_) => ("active", "ESTA"),
        None => ("inactive", "NONE"),
    };
    let since = link.since.map_or_else(
        || "<NEVER>".to_owned(),
        |since| format!("{}s", now.saturating_duration_since(since).as_secs()),
    );
    let _ = writeln!(
        text,
        "  0x{index:x}: id={name}({kind},{state}) addr={address} last_status={status} last_hdshk={since}\n        \
         new_conn={} entries_in={} entries_out={}\n        shared tables:",
        link.sessions, link.learned, link.told
    );
    for (number, shared) in group.tables().iter().enumerate() {
        let acknowledged = link.confirmed.get(number).copied().unwrap_or_default();
        let (update, local) = shared.table.last_changes();
        let _ = writeln!(
            text,
            "          0x{number:x} local_id={} last_acked={acknowledged}\n              \
             table:0x{number:x} id={} update={update} localupdate={local}",
            number + 1,
            shared.name
        );
    }
}
