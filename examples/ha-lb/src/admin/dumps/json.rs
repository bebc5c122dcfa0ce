//! `keepalived.json`: an array with `data` and `stats` of each instance.

use std::time::Duration;

use serde::Serialize;
use vrrp_proto::Version;

use super::{Router, Stats, address, followed, quoted};
use crate::{
    admin::status::State,
    config::keepalived::{Authentication, Command, Config, VmacDevice},
};

#[derive(Serialize)]
struct Document<'a> {
    data: Data<'a>,
    stats: Stats,
}

/// keepalived's names, its 0 and 1 where it has no true and false, and its order.
#[derive(Serialize)]
struct Data<'a> {
    iname: &'a str,
    dont_track_primary: u8,
    skip_check_adv_addr: u8,
    strict_mode: u8,
    vmac_ifname: &'a str,
    ifp_ifname: &'a str,
    master_priority: u8,
    last_transition: f64,
    garp_delay: serde_json::Value,
    garp_refresh: serde_json::Value,
    garp_rep: u8,
    garp_refresh_rep: u8,
    garp_lower_prio_delay: serde_json::Value,
    garp_lower_prio_rep: u8,
    lower_prio_no_advert: u8,
    higher_prio_send_advert: u8,
    vrid: u8,
    base_priority: u8,
    effective_priority: u8,
    vipset: bool,
    promote_secondaries: bool,
    adver_int: serde_json::Value,
    master_adver_int: serde_json::Value,
    accept: u8,
    nopreempt: bool,
    preempt_delay: u64,
    state: u8,
    wantstate: u8,
    version: u8,
    smtp_alert: bool,
    notify_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_master: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_stop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_deleted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_master_rx_lower_pri: Option<String>,
    vips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vroutes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vrules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_ifp: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_script: Vec<String>,
    auth_type: u8,
}

pub(super) fn text(config: &Config, routers: &[Router<'_>]) -> String {
    let documents = routers.iter().map(|router| Document {
        data: data(config, router),
        stats: router.2,
    });
    let documents: Vec<Document<'_>> = documents.collect();
    serde_json::to_string(&documents).unwrap_or_default()
}

fn data<'a>(config: &Config, (instance, known, _): &Router<'a>) -> Data<'a> {
    let garp = &instance.announcements;
    let followed = followed(known).filter(|_| known.state != State::Active);
    let script = |command: &Option<Command>| command.as_ref().map(quoted);
    let scripts = instance
        .track_scripts
        .iter()
        .filter_map(|track| config.scripts.get(track.position));
    let interfaces = instance
        .track_interfaces
        .iter()
        .filter(|track| !track.implied);
    let own = |device: &&VmacDevice| device.parent == instance.interface;
    let vmac = instance.vmac.devices.iter().find(own);
    Data {
        iname: &instance.name,
        dont_track_primary: (!instance.track_primary).into(),
        skip_check_adv_addr: 0,
        strict_mode: instance.strict.into(),
        vmac_ifname: vmac.map_or("", |device| &device.name),
        ifp_ifname: vmac.map_or(&instance.interface, |device| &device.name),
        master_priority: followed.map_or(0, |peer| peer.priority),
        last_transition: known
            .last_transition
            .as_ref()
            .map_or(0.0, |last| (last.at * 1e6).round() / 1e6),
        garp_delay: seconds(garp.delay),
        garp_refresh: seconds(garp.refresh.unwrap_or_default()),
        garp_rep: garp.repeat,
        garp_refresh_rep: garp.refresh_repeat,
        garp_lower_prio_delay: seconds(garp.lower_priority_delay.unwrap_or(garp.delay)),
        garp_lower_prio_rep: garp.lower_priority_repeat.unwrap_or(garp.repeat),
        lower_prio_no_advert: instance.lower_priority_no_advert.into(),
        higher_prio_send_advert: instance.higher_priority_send_advert.into(),
        vrid: instance.vrid.value(),
        base_priority: instance.priority.value(),
        effective_priority: known.effective_priority,
        vipset: address::is_set(known),
        promote_secondaries: instance.promote_secondaries,
        adver_int: seconds(instance.interval),
        master_adver_int: followed.map_or_else(
            || seconds(instance.interval),
            |peer| seconds(Duration::try_from_secs_f64(peer.interval).unwrap_or(instance.interval)),
        ),
        accept: instance.accept.into(),
        nopreempt: !instance.preempt,
        preempt_delay: instance.preempt_delay.as_secs(),
        state: number(known.state),
        wantstate: number(known.state),
        version: match instance.version {
            Version::V2 => 2,
            _ => 3,
        },
        smtp_alert: instance.smtp_alert,
        notify_deleted: instance.notify.says_deleted,
        script_backup: script(&instance.notify.backup),
        script_master: script(&instance.notify.master),
        script_fault: script(&instance.notify.fault),
        script_stop: script(&instance.notify.stop),
        script_deleted: script(&instance.notify.deleted),
        script: script(&instance.notify.any),
        script_master_rx_lower_pri: script(&instance.notify.master_rx_lower_priority),
        vips: address::lines(&instance.addresses, instance, known),
        evips: address::lines(&instance.excluded_addresses, instance, known),
        vroutes: instance.routes.iter().map(ToString::to_string).collect(),
        vrules: instance.rules.iter().map(ToString::to_string).collect(),
        track_ifp: interfaces.map(|track| track.name.as_str()).collect(),
        track_script: scripts.map(|script| quoted(&script.command)).collect(),
        auth_type: match instance.authentication {
            None => 0,
            Some(Authentication::Password(_)) => 1,
            Some(Authentication::Header(_)) => 2,
        },
    }
}

/// Whole seconds are written without a fraction: readers expect integers there.
fn seconds(duration: Duration) -> serde_json::Value {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().into()
    } else {
        duration.as_secs_f64().into()
    }
}

/// keepalived's number of a state.
fn number(state: State) -> u8 {
    match state {
        State::Initialize => 0,
        State::Backup => 1,
        State::Active => 2,
        State::Fault => 3,
    }
}
