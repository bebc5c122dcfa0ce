//! `keepalived.data`: sections of `name = value`, for people and for line-wise readers.

use std::{fmt::Write as _, time::Duration};

use chrono::{DateTime, Local};
use vrrp_proto::{Family, Version};

use super::{Router, address, followed, quoted};
use crate::{
    admin::status::{self, State, Status},
    config::keepalived::{Authentication, Config, Instance},
};

pub(super) fn text(config: &Config, status: &Status, routers: &[Router<'_>]) -> String {
    let mut text = String::from("------< Global definitions >------\n");
    let router_id = status.router_id.as_deref().unwrap_or_default();
    let _ = writeln!(text, " Router ID = {router_id}");
    text.push_str("------< VRRP Topology >------\n");
    for (instance, known, _) in routers {
        let group = known.sync_group.as_deref();
        let _ = writeln!(text, " VRRP Instance = {}", instance.name);
        for (name, value) in state(instance, known, group)
            .into_iter()
            .chain(settings(instance, known))
        {
            let _ = writeln!(text, "   {name} = {value}");
        }
        lists(config, instance, known, &mut text);
    }
    groups(config, routers, &mut text);
    scripts(config, status, &mut text);
    text
}

type Line = (&'static str, String);

fn state(instance: &Instance, known: &status::Instance, group: Option<&str>) -> Vec<Line> {
    let version = match instance.version {
        Version::V2 => "2",
        _ => "3",
    };
    let mut lines = vec![("VRRP Version", version.to_owned())];
    if let Some(group) = group {
        lines.push(("Sync group", group.to_owned()));
    }
    lines.push(("State", word(known.state).to_owned()));
    if let Some(peer) = followed(known).filter(|_| known.state == State::Backup) {
        lines.push(("Master router", peer.address.clone()));
        lines.push(("Master priority", peer.priority.to_string()));
    }
    lines.push(("Wantstate", word(known.state).to_owned()));
    if let Some(at) = known
        .last_transition
        .as_ref()
        .and_then(|last| time(last.at))
    {
        let shown = at.format("%a %b %e %T%.6f %Y");
        let stamp = at.format("%s%.6f");
        lines.push(("Last transition", format!("{stamp} ({shown})")));
    }
    lines
}

fn settings(instance: &Instance, known: &status::Instance) -> Vec<Line> {
    let garp = &instance.announcements;
    let enabled = |on: bool| if on { "enabled" } else { "disabled" }.to_owned();
    let whole = |duration: Duration| duration.as_secs().to_string();
    let mut lines = vec![
        ("Interface", interface(instance)),
        ("Using src_ip", source(instance, known)),
        ("Gratuitous ARP delay", whole(garp.delay)),
        ("Gratuitous ARP repeat", garp.repeat.to_string()),
        (
            "Gratuitous ARP refresh",
            whole(garp.refresh.unwrap_or_default()),
        ),
        (
            "Gratuitous ARP refresh repeat",
            garp.refresh_repeat.to_string(),
        ),
        (
            "Gratuitous ARP lower priority delay",
            whole(garp.lower_priority_delay.unwrap_or(garp.delay)),
        ),
        (
            "Gratuitous ARP lower priority repeat",
            garp.lower_priority_repeat
                .unwrap_or(garp.repeat)
                .to_string(),
        ),
        (
            "Down timer adverts",
            instance.down_timer_adverts.to_string(),
        ),
        (
            "Send advert after receive lower priority advert",
            (!instance.lower_priority_no_advert).to_string(),
        ),
        (
            "Send advert after receive higher priority advert",
            instance.higher_priority_send_advert.to_string(),
        ),
        ("Virtual Router ID", instance.vrid.value().to_string()),
        ("Priority", instance.priority.value().to_string()),
        ("Effective priority", known.effective_priority.to_string()),
        ("Total priority", known.effective_priority.to_string()),
        ("Advert interval", interval(instance)),
        ("Accept", enabled(instance.accept)),
        ("Preempt", enabled(instance.preempt)),
    ];
    if !instance.preempt_delay.is_zero() {
        let delay = instance.preempt_delay.as_secs_f64();
        lines.push(("Preempt delay", format!("{delay:.6} secs")));
    }
    if instance.version == Version::V2 && instance.family == Family::Ipv4 {
        let kind = match instance.authentication {
            None => "none",
            Some(Authentication::Password(_)) => "SIMPLE_PASSWORD",
            Some(Authentication::Header(_)) => "IPSEC_AH",
        };
        lines.push(("Authentication type", kind.to_owned()));
    }
    lines
}

/// Adverts that do not leave from the device with the virtual MAC address leave from the interface below it.
fn interface(instance: &Instance) -> String {
    let vmac = &instance.vmac;
    let mut devices = vmac.devices.iter();
    let own = devices.find(|device| device.parent == instance.interface);
    own.map_or_else(
        || instance.interface.clone(),
        |device| {
            let base = if vmac.adverts.is_none() {
                ", xmit base i/f"
            } else {
                ""
            };
            format!("{}, vmac on {}{base}", device.name, device.parent)
        },
    )
}

fn source(instance: &Instance, known: &status::Instance) -> String {
    let own = known.own_address.as_deref().unwrap_or("(none)");
    match instance.source {
        Some(_) => format!("{own} (from configuration)"),
        None => own.to_owned(),
    }
}

fn lists(config: &Config, instance: &Instance, known: &status::Instance, text: &mut String) {
    let addresses = address::lines(&instance.addresses, instance, known);
    list(
        text,
        &format!("Virtual IP ({}):", addresses.len()),
        &addresses,
    );
    let excluded = address::lines(&instance.excluded_addresses, instance, known);
    list_unless_empty(text, "Virtual IP Excluded :", &excluded);
    let peers = instance.unicast.iter().flat_map(|unicast| &unicast.peers);
    let peers: Vec<String> = peers
        .map(|peer| {
            let (least, most) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255));
            format!("{} min_ttl {least} max_ttl {most}", peer.address)
        })
        .collect();
    list_unless_empty(text, "Unicast Peer :", &peers);
    let weighted = |name: &str, weight: i16, reverse: bool| {
        let reverse = if reverse { " reverse" } else { "" };
        format!("{name} weight {weight}{reverse}")
    };
    let interfaces = instance
        .track_interfaces
        .iter()
        .filter(|track| !track.implied);
    let interfaces: Vec<String> = interfaces
        .map(|track| weighted(&track.name, track.weight, track.reverse))
        .collect();
    list_unless_empty(text, "Tracked interfaces :", &interfaces);
    let scripts = instance.track_scripts.iter().filter_map(|track| {
        let script = config.scripts.get(track.position)?;
        Some(weighted(&script.name, track.weight, track.reverse))
    });
    list_unless_empty(text, "Tracked scripts :", &scripts.collect::<Vec<_>>());
    let yes = if instance.smtp_alert { "yes" } else { "no" };
    let _ = writeln!(text, "   Using smtp notification = {yes}");
    for (name, command) in [
        ("Backup", &instance.notify.backup),
        ("Master", &instance.notify.master),
        ("Fault", &instance.notify.fault),
        ("Stop", &instance.notify.stop),
        ("Generic", &instance.notify.any),
    ] {
        if let Some(command) = command {
            let command = quoted(command);
            let _ = writeln!(text, "   {name} state transition script = {command}");
        }
    }
}

fn groups(config: &Config, routers: &[Router<'_>], text: &mut String) {
    if config.sync_groups.is_empty() {
        return;
    }
    text.push_str("------< VRRP Sync groups >------\n");
    for group in &config.sync_groups {
        let mut members = routers.iter().filter(|r| group.members.contains(&r.0.name));
        let state = members.next().map_or(State::Initialize, |r| r.1.state);
        let _ = writeln!(text, " VRRP Sync Group = {}, {}", group.name, word(state));
        list(text, "VRRP member instances :", &group.members);
    }
}

fn scripts(config: &Config, status: &Status, text: &mut String) {
    if config.scripts.is_empty() {
        return;
    }
    text.push_str("------< VRRP Scripts >------\n");
    for script in &config.scripts {
        let known = status.scripts.iter().find(|s| s.name == *script.name);
        let result = match known.map(|known| known.result.as_str()) {
            Some("passes") => "GOOD",
            Some("fails") => "BAD",
            _ => "INIT",
        };
        let _ = write!(
            text,
            " VRRP Script = {}\n   Command = {}\n   Interval = {} sec\n   Timeout = {} sec\n   Weight = {}\n   \
             Rise = {}\n   Fall = {}\n   Status = {result}\n",
            script.name,
            quoted(&script.command),
            script.interval.as_secs_f64(),
            // keepalived's 0 stands for the interval.
            if script.timeout == script.interval {
                0.0
            } else {
                script.timeout.as_secs_f64()
            },
            script.weight,
            script.rise,
            script.fall,
        );
        let tracks = config.instances.iter().filter_map(|instance| {
            let mut tracks = instance.track_scripts.iter();
            let found = tracks.find(|track| {
                let named = config.scripts.get(track.position);
                named.is_some_and(|named| named.name == script.name)
            })?;
            Some(format!("{}, weight {}", instance.name, found.weight))
        });
        let tracks: Vec<String> = tracks.collect();
        list_unless_empty(text, "Tracking instances :", &tracks);
        text.push_str("   State = idle\n");
    }
}

fn list_unless_empty(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        list(text, title, lines);
    }
}

fn list(text: &mut String, title: &str, lines: &[impl std::fmt::Display]) {
    let _ = writeln!(text, "   {title}");
    for line in lines {
        let _ = writeln!(text, "     {line}");
    }
}

fn interval(instance: &Instance) -> String {
    match instance.version {
        Version::V2 => format!("{} sec", instance.interval.as_secs()),
        _ => format!("{} milli-sec", instance.interval.as_millis()),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Initialize => "INIT",
        other => other.keepalived_name(),
    }
}

fn time(at: f64) -> Option<DateTime<Local>> {
    let at = Duration::try_from_secs_f64(at).ok()?;
    Some(DateTime::from(std::time::UNIX_EPOCH.checked_add(at)?))
}
