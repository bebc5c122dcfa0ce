//! `ha_lb_*`: virtual routers, processes, scripts, the last reload. Made from the status document, so that the
//! balancer serves it together with its own half and the supervisor alone when there is no balancer.

use super::{
    exposition::{
        Exposition,
        Kind::{self, Counter, Gauge},
    },
    watching,
};
use crate::admin::status::{Instance, Process, State, Status};

/// All of it; `age` is how old the document is already.
pub fn write(out: &mut Exposition, status: &Status, age: f64) {
    let labels = [("version", status.version.as_str())];
    out.family("ha_lb_build_info", Gauge, "The program.")
        .sample(&labels, 1);
    out.single(
        "ha_lb_uptime_seconds",
        Gauge,
        "How long the daemon has been up.",
        status.uptime,
    );
    processes(out, status);
    if let Some(reload) = &status.reload {
        out.single(
            "ha_lb_reloads_total",
            Counter,
            "Reloads that were asked for.",
            reload.number,
        );
        out.single(
            "ha_lb_last_reload_successful",
            Gauge,
            "Whether the last reload was put into force.",
            u8::from(reload.applied),
        );
        out.single(
            "ha_lb_last_reload_timestamp_seconds",
            Gauge,
            "When the last reload ended.",
            reload.at,
        );
    }
    watching::write(out, status);
    if let Some(told) = status.instances_age {
        out.single(
            "ha_lb_vrrp_age_seconds",
            Gauge,
            "How long ago the VRRP process told of itself; it is asked every second.",
            told + age,
        );
        states(out, status);
        counters(out, status);
        by_cause(out, status);
        neighbours(out, status, age);
    }
}

fn processes(out: &mut Exposition, status: &Status) {
    let all = [
        ("supervisor", Some(&status.supervisor)),
        ("vrrp", status.vrrp.as_ref()),
        ("balancer", status.balancer.as_ref()),
    ];
    let mut each = |name: &str, kind, help: &str, value: &dyn Fn(&Process) -> Option<f64>| {
        let mut family = out.family(name, kind, help);
        for (name, process) in all {
            if let Some(value) = process.and_then(value) {
                family.sample(&[("process", name)], value);
            }
        }
    };
    let whole = |number: Option<u64>| number.map(precise);
    each(
        "ha_lb_process_up",
        Gauge,
        "Whether a process of the daemon serves.",
        &|p| Some(f64::from(u8::from(p.ready))),
    );
    each(
        "ha_lb_process_restarts_total",
        Counter,
        "Restarts after a death.",
        &|p| Some(f64::from(p.restarts)),
    );
    each(
        "ha_lb_process_uptime_seconds",
        Gauge,
        "How long it has been up.",
        &|p| p.uptime,
    );
    each(
        "ha_lb_process_cpu_seconds_total",
        Counter,
        "Processor time used.",
        &|p| p.cpu,
    );
    each(
        "ha_lb_process_resident_memory_bytes",
        Gauge,
        "Resident memory.",
        &|p| whole(p.memory),
    );
    each("ha_lb_process_open_fds", Gauge, "Open descriptors.", &|p| {
        whole(p.descriptors)
    });
    each(
        "ha_lb_process_max_fds",
        Gauge,
        "The most it may open.",
        &|p| whole(p.descriptor_limit),
    );
    each("ha_lb_process_threads", Gauge, "Threads.", &|p| {
        p.threads.map(f64::from)
    });
}

/// Exact up to 2^53.
fn precise(number: u64) -> f64 {
    let high = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(number & 0xffff_ffff).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// Name, help and value of a family.
type Told<V> = (&'static str, &'static str, fn(&Instance) -> V);

/// One sample an instance.
fn each(
    out: &mut Exposition,
    status: &Status,
    (name, kind, help): (&str, Kind, &str),
    value: impl Fn(&Instance) -> Option<f64>,
) {
    let mut family = out.family(name, kind, help);
    for one in &status.instances {
        if let Some(value) = value(one) {
            family.sample(&[("instance", &one.name)], value);
        }
    }
}

fn states(out: &mut Exposition, status: &Status) {
    let mut info = out.family("ha_lb_vrrp_info", Gauge, "A virtual router.");
    for one in &status.instances {
        let (vrid, version) = (one.vrid.to_string(), one.version.to_string());
        let labels = [
            ("instance", one.name.as_str()),
            ("interface", &one.interface),
            ("vrid", &vrid),
            ("version", &version),
        ];
        info.sample(&labels, 1);
    }
    let mut state = out.family("ha_lb_vrrp_state", Gauge, "1 for the state that it is in.");
    for one in &status.instances {
        for known in [
            State::Initialize,
            State::Backup,
            State::Active,
            State::Fault,
        ] {
            let labels = [
                ("instance", one.name.as_str()),
                ("state", &known.to_string()),
            ];
            state.sample(&labels, u8::from(one.state == known));
        }
    }
    changes(out, status);
    let gauges: [Told<Option<f64>>; 7] = [
        (
            "ha_lb_vrrp_last_transition_timestamp_seconds",
            "When the state last changed.",
            |one| one.last_transition.as_ref().map(|last| last.at),
        ),
        ("ha_lb_vrrp_priority", "Priority with tracking.", |one| {
            Some(f64::from(one.effective_priority))
        }),
        ("ha_lb_vrrp_base_priority", "Priority of the file.", |one| {
            Some(f64::from(one.priority))
        }),
        (
            "ha_lb_vrrp_addresses_up",
            "Whether every virtual address is on this host.",
            |one| Some(f64::from(u8::from(one.addresses == "up"))),
        ),
        (
            "ha_lb_vrrp_host_failures",
            "Failures to install or remove the addresses since they were last in place.",
            |one| {
                Some(
                    one.retrying
                        .as_ref()
                        .map_or(0.0, |failure| precise(failure.count)),
                )
            },
        ),
        (
            "ha_lb_vrrp_fence",
            "Whether the addresses fall silent with the process that speaks for them.",
            |one| Some(f64::from(u8::from(one.fence == "on"))),
        ),
        (
            "ha_lb_vrrp_lease_seconds",
            "How long the addresses would last without another advert.",
            |one| one.lease.map(|lease| lease.left),
        ),
    ];
    for (name, help, value) in gauges {
        each(out, status, (name, Gauge, help), value);
    }
    let mut tracks = out.family(
        "ha_lb_vrrp_track_contribution",
        Gauge,
        "What a tracked object adds to the priority now.",
    );
    for one in &status.instances {
        for track in &one.tracks {
            let labels = [
                ("instance", one.name.as_str()),
                ("kind", &track.kind),
                ("name", &track.name),
            ];
            tracks.sample(&labels, track.contribution);
        }
    }
}

fn changes(out: &mut Exposition, status: &Status) {
    let mut last = out.family(
        "ha_lb_vrrp_last_transition_info",
        Gauge,
        "The last change of state and why.",
    );
    for one in &status.instances {
        if let Some(change) = &one.last_transition {
            let labels = [
                ("instance", one.name.as_str()),
                ("from", &change.from.to_string()),
                ("to", &change.to.to_string()),
                ("reason", &change.reason),
            ];
            last.sample(&labels, 1);
        }
    }
    let mut changed = out.family(
        "ha_lb_vrrp_transitions_total",
        Counter,
        "Changes of state, by the state after it.",
    );
    for one in &status.instances {
        for change in &one.changes {
            let labels = [
                ("instance", one.name.as_str()),
                ("to", &change.to.to_string()),
            ];
            changed.sample(&labels, change.count);
        }
    }
}

fn counters(out: &mut Exposition, status: &Status) {
    let counters: [Told<u64>; 9] = [
        ("ha_lb_vrrp_adverts_sent_total", "Adverts sent.", |one| {
            one.counters.sent
        }),
        (
            "ha_lb_vrrp_adverts_received_total",
            "Adverts taken in.",
            |one| one.counters.received,
        ),
        (
            "ha_lb_vrrp_priority_zero_sent_total",
            "Adverts of priority 0 sent.",
            |one| one.counters.priority_zero_sent,
        ),
        (
            "ha_lb_vrrp_priority_zero_received_total",
            "Adverts of priority 0 taken in.",
            |one| one.counters.priority_zero_received,
        ),
        (
            "ha_lb_vrrp_two_actives_total",
            "Adverts taken in while Active of a router that should have given way.",
            |one| one.counters.rivals,
        ),
        (
            "ha_lb_vrrp_address_mismatches_total",
            "Adverts taken in with other virtual addresses than ours.",
            |one| one.counters.address_mismatches,
        ),
        (
            "ha_lb_vrrp_unsigned_received_total",
            "Adverts taken in without the trailer that auth_hmac does not demand yet.",
            |one| one.counters.unsigned_received,
        ),
        (
            "ha_lb_vrrp_send_errors_total",
            "Packets that could not be sent.",
            |one| one.counters.send_errors,
        ),
        (
            "ha_lb_vrrp_became_active_total",
            "Changes to Active since the VRRP process started.",
            |one| one.counters.became_active,
        ),
    ];
    for (name, help, value) in counters {
        each(out, status, (name, Counter, help), |one| {
            Some(precise(value(one)))
        });
    }
    let lateness = (
        "ha_lb_vrrp_send_lateness_max_seconds",
        Gauge,
        "The latest that an advert was sent after its time.",
    );
    each(out, status, lateness, |one| {
        Some(one.counters.send_lateness_max)
    });
}

fn by_cause(out: &mut Exposition, status: &Status) {
    let mut rejected = out.family(
        "ha_lb_vrrp_adverts_rejected_total",
        Counter,
        "Adverts that were not taken in, by cause.",
    );
    for one in &status.instances {
        for cause in &one.counters.rejected {
            let labels = [("instance", one.name.as_str()), ("cause", &cause.cause)];
            rejected.sample(&labels, cause.count);
        }
    }
    let mut stray = out.family(
        "ha_lb_vrrp_stray_packets_total",
        Counter,
        "Packets for none of the virtual routers, by cause.",
    );
    for cause in &status.stray {
        stray.sample(&[("cause", &cause.cause)], cause.count);
    }
}

fn neighbours(out: &mut Exposition, status: &Status, age: f64) {
    let peers = || {
        status
            .instances
            .iter()
            .flat_map(|one| one.peers.iter().map(move |peer| (one, peer)))
    };
    let name = "ha_lb_vrrp_peer_priority";
    let mut family = out.family(
        name,
        Gauge,
        "Priority of the last advert of another router.",
    );
    for (one, peer) in peers() {
        family.sample(
            &[("instance", &one.name), ("peer", &peer.address)],
            peer.priority,
        );
    }
    let name = "ha_lb_vrrp_peer_advert_age_seconds";
    let mut family = out.family(
        name,
        Gauge,
        "How long ago the last advert of another router came.",
    );
    for (one, peer) in peers() {
        family.sample(
            &[("instance", &one.name), ("peer", &peer.address)],
            peer.age + age,
        );
    }
    let name = "ha_lb_vrrp_peer_adverts_total";
    let mut family = out.family(
        name,
        Counter,
        "Adverts of another router that were taken in.",
    );
    for (one, peer) in peers() {
        family.sample(
            &[("instance", &one.name), ("peer", &peer.address)],
            peer.adverts,
        );
    }
    let name = "ha_lb_vrrp_peer_rejected_total";
    let mut family = out.family(
        name,
        Counter,
        "Adverts of another router that were rejected.",
    );
    for one in &status.instances {
        for refused in &one.refused {
            let labels = [("instance", one.name.as_str()), ("peer", &refused.address)];
            family.sample(&labels, refused.count);
        }
    }
}
