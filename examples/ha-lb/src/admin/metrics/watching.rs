//! What routers track beside interfaces, notify scripts, and alerts by mail.

use super::exposition::{
    Exposition,
    Kind::{Counter, Gauge},
};
use crate::admin::status::{Notify, Status};

pub(super) fn write(out: &mut Exposition, status: &Status) {
    tracked(out, status);
    neighbours(out, status);
    hooks(out, status);
    mail(out, status);
}

fn tracked(out: &mut Exposition, status: &Status) {
    let of = |kind: &'static str| status.scripts.iter().filter(move |one| one.kind == kind);
    let mut scripts = out.family(
        "ha_lb_script_up",
        Gauge,
        "Whether a vrrp_script passes; absent before its first result.",
    );
    for script in of("script").filter(|one| one.result != "unknown") {
        let labels = [("script", script.name.as_str())];
        scripts.sample(&labels, u8::from(script.result == "passes"));
    }
    let mut files = out.family("ha_lb_track_file_value", Gauge, "What a track_file says.");
    for file in of("file") {
        if let Some(value) = file.value {
            files.sample(&[("file", file.name.as_str())], value);
        }
    }
    let mut processes = out.family(
        "ha_lb_track_process_count",
        Gauge,
        "How many processes of a vrrp_track_process run.",
    );
    for process in of("process") {
        if let Some(count) = process.value {
            processes.sample(&[("process", process.name.as_str())], count);
        }
    }
}

fn neighbours(out: &mut Exposition, status: &Status) {
    let mut up = out.family(
        "ha_lb_bfd_neighbour_reached",
        Gauge,
        "Whether a neighbour that is watched by BFD counts as reached.",
    );
    for one in &status.neighbours {
        up.sample(&[("neighbour", one.name.as_str())], u8::from(one.reached));
    }
    let mut losses = out.family(
        "ha_lb_bfd_neighbour_losses_total",
        Counter,
        "How often it was lost.",
    );
    for one in &status.neighbours {
        losses.sample(&[("neighbour", one.name.as_str())], one.losses);
    }
}

fn hooks(out: &mut Exposition, status: &Status) {
    let mut each = |name: &str, kind, help: &str, value: fn(&Notify) -> u64| {
        let mut family = out.family(name, kind, help);
        for one in &status.notify {
            let labels = [("kind", one.kind.as_str()), ("name", one.name.as_str())];
            family.sample(&labels, value(one));
        }
    };
    each(
        "ha_lb_notify_scripts_total",
        Counter,
        "Notify scripts that have ended.",
        |one| one.runs,
    );
    each(
        "ha_lb_notify_failures_total",
        Counter,
        "Notify scripts that ended with anything but exit status 0.",
        |one| one.failures,
    );
    each(
        "ha_lb_notify_waiting",
        Gauge,
        "Notify scripts that wait for the one that runs.",
        |one| u64::try_from(one.waiting).unwrap_or(u64::MAX),
    );
    each(
        "ha_lb_notify_dropped_total",
        Counter,
        "Notify scripts that were not run, since too many waited or the instance ended.",
        |one| one.dropped,
    );
}

fn mail(out: &mut Exposition, status: &Status) {
    let Some(mail) = &status.mail else {
        return;
    };
    let queued = u64::try_from(mail.queued).unwrap_or(u64::MAX);
    for (name, kind, help, value) in [
        (
            "ha_lb_mail_queued",
            Gauge,
            "Alerts that wait for the mail server.",
            queued,
        ),
        (
            "ha_lb_mail_sent_total",
            Counter,
            "Alerts that the mail server took.",
            mail.sent,
        ),
        (
            "ha_lb_mail_refused_total",
            Counter,
            "Alerts that the mail server will never take.",
            mail.refused,
        ),
        (
            "ha_lb_mail_dropped_total",
            Counter,
            "Alerts given up because too many waited.",
            mail.dropped,
        ),
        (
            "ha_lb_mail_retries_total",
            Counter,
            "Attempts that failed and were to be repeated.",
            mail.retries,
        ),
    ] {
        out.single(name, kind, help, value);
    }
}
