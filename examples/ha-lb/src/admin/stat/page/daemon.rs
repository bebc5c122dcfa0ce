//! The VRRP half: who holds the virtual addresses, why, and who else was heard; and the processes of this daemon.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::super::html::{Bytes, Esc, Seconds};
use crate::admin::status::{Instance, LastTransition, Peer, Process, State, Status, Track};

/// The speaker tells every second; an older word is said to be old.
pub(super) const STALE: Duration = Duration::from_secs(4);
/// Earlier changes of state that are shown.
const CHANGES: usize = 5;

/// The virtual routers. `age` is that of `status`.
pub(super) fn routers(status: &Status, age: Duration, out: &mut String) {
    if status.instances.is_empty() {
        return;
    }
    out.push_str("<h2 id=vrrp>Virtual addresses</h2>\n<div class=grid>\n");
    for instance in &status.instances {
        router(instance, age, out);
    }
    out.push_str("</div>\n");
}

/// Processes, scripts and the last reload.
pub(super) fn processes(status: &Status, age: Duration, out: &mut String) {
    out.push_str("<h2>This daemon</h2><div class=card><dl>");
    process("Supervisor", &status.supervisor, out);
    if let Some(vrrp) = &status.vrrp {
        process("VRRP process", vrrp, out);
    }
    if let Some(balancer) = &status.balancer {
        process("Balancer", balancer, out);
    }
    for script in &status.scripts {
        let class = match script.result.as_str() {
            "passes" => "up",
            "fails" => "down",
            _ => "",
        };
        let _ = write!(
            out,
            "<dt>{} {}</dt><dd>{} <small>answered by {}</small></dd>",
            match script.kind.as_str() {
                "file" => "File",
                "process" => "Process",
                _ => "Script",
            },
            Esc(&script.name),
            match (script.result.as_str(), script.value) {
                ("value", Some(value)) => badge(class, &value.to_string()),
                (result, _) => badge(class, result),
            },
            Esc(&script.answered_by)
        );
    }
    if let Some(reload) = &status.reload {
        let _ = write!(
            out,
            "<dt>Last reload</dt><dd>{} ago: {}</dd>",
            Seconds(since(reload.at)),
            Esc(&reload.outcome)
        );
    }
    if age > STALE {
        let _ = write!(out, "<dt>As of</dt><dd>{} ago</dd>", Seconds(age.as_secs()));
    }
    out.push_str("</dl></div>\n");
}

/// A word with the colour and sign of how good it is.
pub(super) fn badge(class: &str, word: &str) -> String {
    format!("<span class=\"s {class}\">{}</span>", Esc(word))
}

/// Whole seconds of a number that may be anything.
pub(super) fn whole(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs())
}

/// Seconds since a moment of the UNIX epoch.
fn since(at: u64) -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs().saturating_sub(at))
}

fn process(title: &str, process: &Process, out: &mut String) {
    let _ = write!(out, "<dt>{title}</dt><dd>");
    let _ = match process.pid {
        Some(pid) if process.ready => write!(out, "pid {pid}"),
        Some(pid) => write!(out, "pid {pid}, {}", badge("warn", "starting")),
        None => write!(out, "{}", badge("down", "not running")),
    };
    if let Some(memory) = process.memory {
        let _ = write!(out, ", {}", Bytes(memory));
    }
    match process.restarts {
        0 => {}
        1 => out.push_str(", started again once"),
        times => {
            let _ = write!(out, ", started again {times} times");
        }
    }
    out.push_str("</dd>");
}

fn router(instance: &Instance, age: Duration, out: &mut String) {
    // Both holding the addresses and watching who does are as they should be.
    let class = match instance.state {
        State::Active => "up",
        State::Backup => "",
        State::Initialize => "warn",
        State::Fault => "down",
    };
    let _ = write!(
        out,
        "<article class=card><div class=title><h3>{}</h3>{}</div><ul class=vips>",
        Esc(&instance.name),
        badge(class, &instance.state.to_string())
    );
    for vip in &instance.vips {
        let _ = write!(out, "<li>{}</li>", Esc(vip));
    }
    out.push_str("</ul><dl>");
    if let Some(held_by) = &instance.held_by {
        let _ = write!(out, "<dt>Held by</dt><dd>{}</dd>", Esc(held_by));
    }
    if let Some(group) = &instance.sync_group {
        let _ = write!(out, "<dt>Sync group</dt><dd>{}</dd>", Esc(group));
    }
    if let Some(time) = instance.state_age {
        let time = whole(time + age.as_secs_f64());
        let _ = write!(out, "<dt>For</dt><dd>{}</dd>", Seconds(time));
    }
    if let Some(last) = &instance.last_transition {
        let _ = write!(
            out,
            "<dt>Because</dt><dd>{} <small>(was {})</small></dd>",
            Esc(&last.reason),
            last.from
        );
    }
    priority(instance, out);
    addresses(instance, out);
    let _ = write!(
        out,
        "<dt>On</dt><dd>{}, VRID {}, VRRPv{}",
        Esc(&instance.interface),
        instance.vrid,
        instance.version
    );
    if let Some(own) = &instance.own_address {
        let _ = write!(out, " <small>from {}</small>", Esc(own));
    }
    out.push_str("</dd><dt>Heard</dt><dd>");
    if instance.peers.is_empty() {
        out.push_str("nobody else");
    }
    for (place, peer) in instance.peers.iter().enumerate() {
        out.push_str(if place > 0 { "<br>" } else { "" });
        let leads = instance.active_address.as_deref() == Some(&*peer.address);
        heard(peer, leads, age, out);
    }
    for refused in instance.refused.iter().take(CHANGES) {
        let _ = write!(
            out,
            "<br>{} {} <small>{} times</small>",
            Esc(&refused.address),
            badge("warn", &refused.reason),
            refused.count
        );
    }
    out.push_str("</dd></dl>");
    earlier(&instance.transitions, &instance.name, out);
    out.push_str("</article>\n");
}

/// The priority, and what made it.
fn priority(instance: &Instance, out: &mut String) {
    let _ = write!(out, "<dt>Priority</dt><dd>{}", instance.effective_priority);
    if instance.effective_priority != instance.priority {
        let _ = write!(out, " <small>({} in the file)</small>", instance.priority);
    }
    for track in &instance.tracks {
        tracked(track, out);
    }
    out.push_str("</dd>");
}

fn tracked(track: &Track, out: &mut String) {
    let class = match (track.health.as_str(), track.reverse) {
        ("up", false) | ("down", true) => "up",
        ("down", false) | ("up", true) => "down",
        _ => "",
    };
    let _ = write!(
        out,
        "<br>{} {} {}",
        Esc(&track.kind),
        Esc(&track.name),
        badge(class, &track.health)
    );
    let _ = match (track.weight, track.contribution) {
        (0, _) => write!(out, " <small>a failure is a fault</small>"),
        (_, 0) => Ok(()),
        (_, contribution) => write!(out, " <small>{contribution:+}</small>"),
    };
}

/// Whether the addresses are where the state says, and what watches over them.
fn addresses(instance: &Instance, out: &mut String) {
    if instance.state != State::Active && instance.retrying.is_none() {
        return;
    }
    let class = match instance.addresses.as_str() {
        "up" => "up",
        "failing" => "down",
        _ => "warn",
    };
    let _ = write!(
        out,
        "<dt>Addresses</dt><dd>{} <small>fence {}",
        badge(class, &instance.addresses),
        Esc(&instance.fence)
    );
    if let Some(lease) = &instance.lease {
        let _ = write!(out, ", lease {:.1} s", lease.valid);
    }
    out.push_str("</small>");
    if let Some(failure) = &instance.retrying {
        let _ = write!(
            out,
            "<br>could not {} them, {} times: {}",
            Esc(&failure.operation),
            failure.count,
            Esc(&failure.error)
        );
    }
    out.push_str("</dd>");
}

fn heard(peer: &Peer, leads: bool, age: Duration, out: &mut String) {
    let _ = write!(
        out,
        "{} <small>priority {}, ",
        Esc(&peer.address),
        peer.priority
    );
    let heard = peer.age + age.as_secs_f64();
    let _ = if heard < 10.0 {
        write!(out, "{heard:.1} s ago</small>")
    } else {
        write!(out, "{} ago</small>", Seconds(whole(heard)))
    };
    if leads {
        let _ = write!(out, " {}", badge("up", "Active"));
    }
}

/// What was before, folded.
fn earlier(transitions: &[LastTransition], name: &str, out: &mut String) {
    let [_, earlier @ ..] = transitions else {
        return;
    };
    if earlier.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<details id=\"before:{}\"><summary>Before that</summary><ul>",
        Esc(name)
    );
    for change in earlier.iter().take(CHANGES) {
        let _ = write!(
            out,
            "<li>{} ago {}: {}</li>",
            Seconds(since(whole(change.at))),
            change.to,
            Esc(&change.reason)
        );
    }
    out.push_str("</ul></details>");
}
