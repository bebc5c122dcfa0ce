//! Virtual routers for people.

use std::fmt;

use super::{
    super::{Failure, Instance, Neighbour, Rejected, State, Status, Stranger, Track},
    HISTORY, hooks,
    layout::{Table, clock, duration, milliseconds, paragraph},
};

pub(super) fn instance(f: &mut fmt::Formatter<'_>, one: &Instance) -> fmt::Result {
    let since = one
        .state_age
        .map_or_else(String::new, |age| format!(" for {}", duration(age)));
    let from = one
        .own_address
        .as_deref()
        .map_or_else(String::new, |own| format!(" from {own}"));
    let authentication = one.authentication.as_deref();
    let authentication = authentication.map_or_else(String::new, |how| format!(" ({how})"));
    let head = format!(
        "{}{since}: VRID {} on {}, VRRPv{}{authentication}, adverts{from} every {}",
        one.state,
        one.vrid,
        one.interface,
        one.version,
        seconds(one.interval)
    );
    f.write_str("\n")?;
    paragraph(f, &format!("{}: ", one.name), &head)?;
    if let Some(held) = &one.held_by {
        line(f, "HELD BY", held)?;
    }
    if let Some(last) = &one.last_transition {
        line(f, "because", &last.reason)?;
    }
    if let Some(group) = &one.sync_group {
        line(f, "sync group", group)?;
    }
    line(f, "priority", &priority(one))?;
    line(f, "addresses", &addresses(one))?;
    for device in &one.virtual_macs {
        let (mac, name, parent) = (&device.mac, &device.device, &device.parent);
        let adverts = if device.adverts {
            ""
        } else {
            "; adverts do not come from it"
        };
        let state = match device.state.as_str() {
            "missing" => "MISSING",
            state => state,
        };
        line(
            f,
            "virtual MAC",
            &format!("{mac}, device {name} on {parent}: {state}{adverts}"),
        )?;
    }
    let failures = [
        (&one.retrying, " the addresses"),
        (&one.retrying_paths, " routes and rules"),
    ];
    for (failure, what) in failures {
        if let Some(failure) = failure {
            line(f, "RETRYING", &retrying(failure, what))?;
        }
    }
    for (label, list) in [("routes", &one.routes), ("rules", &one.rules)] {
        for (number, text) in list.iter().enumerate() {
            line(f, if number == 0 { label } else { "" }, text)?;
        }
    }
    peers(f, one)?;
    adverts(f, one)?;
    for (number, change) in one.transitions.iter().take(HISTORY).enumerate() {
        let text = format!(
            "{}  {} -> {}: {}",
            clock(change.at),
            change.from,
            change.to,
            change.reason
        );
        line(f, if number == 0 { "history" } else { "" }, &text)?;
    }
    Ok(())
}

fn retrying(failure: &Failure, what: &str) -> String {
    format!(
        "{}{what}: {} (failed {} times, {} ago)",
        failure.operation,
        failure.error,
        failure.count,
        duration(failure.age)
    )
}

/// Scripts, and packets that belong to nobody.
pub(super) fn rest(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    let tracked = watched(status);
    if !tracked.is_empty() {
        write!(f, "\n{tracked}")?;
    }
    neighbours(f, &status.neighbours)?;
    if let Some(failure) = &status.retrying_static {
        f.write_str("\n")?;
        let text = retrying(failure, "");
        paragraph(f, "RETRYING static addresses, routes and rules: ", &text)?;
    }
    hooks::write(f, status)?;
    let stray = causes(&status.stray);
    if !stray.is_empty() {
        f.write_str("\n")?;
        paragraph(f, "VRRP packets for none of the instances: ", &stray)?;
    }
    strangers(f, &status.strangers)
}

/// Who sends adverts for virtual routers that are not here.
fn strangers(f: &mut fmt::Formatter<'_>, all: &[Stranger]) -> fmt::Result {
    let mut table = Table::new(&["UNKNOWN VRID", "ON", "FROM", "ADVERTS", "LAST"]);
    for one in all {
        table.row([
            one.vrid.to_string(),
            one.interface.clone(),
            one.address.clone(),
            one.count.to_string(),
            format!("{} ago", duration(one.age)),
        ]);
    }
    if !table.is_empty() {
        write!(f, "\n{table}")?;
    }
    Ok(())
}

/// Who is watched by BFD.
fn neighbours(f: &mut fmt::Formatter<'_>, all: &[Neighbour]) -> fmt::Result {
    let mut table = Table::new(&[
        "NEIGHBOUR",
        "BFD",
        "FOR",
        "EVERY",
        "LOST AFTER",
        "HEARD",
        "LOSSES",
    ]);
    let interval = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), duration);
    for one in all {
        let state = match (one.reached, one.state.as_str()) {
            (true, "up") => "reached",
            (true, _) => "reached, has ended the session",
            (false, _) => "LOST",
        };
        table.row([
            format!("{} {}", one.name, one.address),
            state.to_owned(),
            duration(one.state_age),
            interval(one.interval),
            interval(one.detection_time),
            one.received.to_string(),
            one.losses.to_string(),
        ]);
    }
    if !table.is_empty() {
        write!(f, "\n{table}")?;
    }
    for one in all {
        if let Some(reason) = &one.reason {
            paragraph(f, &format!("  {}: ", one.name), reason)?;
        }
        if let Some(failure) = &one.failure {
            paragraph(f, &format!("  {}: RETRYING ", one.name), failure)?;
        }
    }
    Ok(())
}

/// Scripts, files and processes.
fn watched(status: &Status) -> Table {
    let mut table = Table::new(&["TRACKED", "RESULT", "ANSWERED BY"]);
    for one in &status.scripts {
        let result = match (one.result.as_str(), one.value) {
            ("value", Some(value)) => value.to_string(),
            ("fails", Some(count)) => format!("FAILS, {count} run"),
            ("fails", None) => "FAILS".to_owned(),
            (other, Some(count)) => format!("{other}, {count} run"),
            (other, None) => other.to_owned(),
        };
        let name = match one.kind.as_str() {
            "" => one.name.clone(),
            kind => format!("{kind} {}", one.name),
        };
        table.row([name, result, one.answered_by.clone()]);
    }
    table
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    paragraph(f, &format!("  {label:<11} "), text)
}

/// An interval as the file has it.
fn seconds(interval: f64) -> String {
    format!("{} s", (interval * 1000.0).round() / 1000.0)
}

/// `152 = 150 + 2 (script check)`.
fn priority(one: &Instance) -> String {
    let mut text = format!("{} = {} of the file", one.effective_priority, one.priority);
    if one.tracks.is_empty() {
        text = format!("{}, nothing tracked", one.priority);
    }
    for track in &one.tracks {
        let Track {
            kind, name, health, ..
        } = track;
        let health = match health.as_str() {
            "up" => "up",
            "down" => "DOWN",
            _ => "no result yet",
        };
        let inverse = if track.reverse { ", reversed" } else { "" };
        let part = match (track.weight, track.contribution) {
            (0, _) => format!(", {kind} {name} {health} (a failure is a fault{inverse})"),
            (weight, 0) => format!(" + 0 {kind} {name} {health} (weight {weight}{inverse})"),
            (_, plus @ 1..) => format!(" + {plus} {kind} {name} {health}{inverse}"),
            (_, minus) => format!(
                " - {} {kind} {name} {health}{inverse}",
                minus.unsigned_abs()
            ),
        };
        text.push_str(&part);
    }
    text
}

fn addresses(one: &Instance) -> String {
    let list = match one.vips.as_slice() {
        [] => "none".to_owned(),
        all => all.join(" "),
    };
    let state = match one.addresses.as_str() {
        "failing" => "NOT ALL UP",
        other => other,
    };
    let fence = match one.fence.as_str() {
        "on" | "off" => format!("fence {}", one.fence),
        why => format!("NO FENCE ({why})"),
    };
    let lease = match one.lease {
        Some(lease) => format!(", lease {:.1} of {}", lease.left, seconds(lease.valid)),
        None => String::new(),
    };
    format!("{list}: {state}, {fence}{lease}")
}

fn peers(f: &mut fmt::Formatter<'_>, one: &Instance) -> fmt::Result {
    if one.peers.is_empty() && one.state != State::Active {
        line(f, "peers", "none heard")?;
    }
    for (number, peer) in one.peers.iter().enumerate() {
        let active = if one.active_address.as_deref() == Some(&peer.address) {
            ", Active"
        } else {
            ""
        };
        let text = format!(
            "{}{active}: priority {}, last advert {} ago, every {}, {} heard",
            peer.address,
            peer.priority,
            duration(peer.age),
            seconds(peer.interval),
            peer.adverts
        );
        line(f, if number == 0 { "peers" } else { "" }, &text)?;
    }
    if let Some(left) = one.takeover_in {
        let text = format!("in {} unless an advert comes", duration(left));
        line(f, "takes over", &text)?;
    }
    two_actives(f, one)
}

/// Loud while it lasts.
fn two_actives(f: &mut fmt::Formatter<'_>, one: &Instance) -> fmt::Result {
    let rivals = one.counters.rivals;
    let active = one.state == State::Active;
    let since = one.state_age.unwrap_or(0.0);
    let present = |age: f64| active && age < since && age < 3.0 * one.interval;
    match one.peers.iter().find(|peer| present(peer.age)) {
        _ if rivals == 0 => Ok(()),
        Some(peer) => {
            let text = format!("{} sends adverts too, {rivals} by now", peer.address);
            line(f, "TWO ACTIVES", &text)
        }
        None => line(
            f,
            "two Actives",
            &format!("{rivals} adverts so far, none now"),
        ),
    }
}

fn adverts(f: &mut fmt::Formatter<'_>, one: &Instance) -> fmt::Result {
    let counters = &one.counters;
    let mut text = format!(
        "{} sent (at most {} late), {} received",
        counters.sent,
        milliseconds(counters.send_lateness_max),
        counters.received
    );
    let resigned = (counters.priority_zero_sent, counters.priority_zero_received);
    if resigned != (0, 0) {
        text.push_str(&format!(
            ", priority 0: {} sent, {} received",
            resigned.0, resigned.1
        ));
    }
    if counters.send_errors > 0 {
        text.push_str(&format!(", {} COULD NOT BE SENT", counters.send_errors));
    }
    let rejected = causes(&counters.rejected);
    if !rejected.is_empty() {
        text.push_str(&format!(", REJECTED: {rejected}"));
    }
    line(f, "adverts", &text)?;
    if counters.address_mismatches > 0 {
        let count = counters.address_mismatches;
        line(
            f,
            "",
            &format!("{count} received with other virtual addresses than ours"),
        )?;
    }
    if counters.unsigned_received > 0 {
        let count = counters.unsigned_received;
        let text = format!("{count} received unsigned: `mode enforce` would reject such");
        line(f, "", &text)?;
    }
    for refused in &one.refused {
        let text = format!(
            "rejected from {}: {}, the last {} ago: {}",
            refused.address,
            refused.count,
            duration(refused.age),
            refused.reason
        );
        line(f, "", &text)?;
    }
    Ok(())
}

/// Those that happened.
fn causes(rejected: &[Rejected]) -> String {
    let some = rejected.iter().filter(|one| one.count > 0);
    let words: Vec<_> = some
        .map(|one| format!("{} {}", one.cause, one.count))
        .collect();
    words.join(", ")
}
