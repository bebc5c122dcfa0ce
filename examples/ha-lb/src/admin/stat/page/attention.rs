//! What somebody who was woken up wants to know first: what is wrong, or that nothing is.

use std::fmt::Write as _;

use lb_core::server::ServerStatus;

use super::{
    super::html::{Esc, Many, Seconds},
    Context, daemon,
};
use crate::admin::status::{State, Status};

/// More than that are counted.
const SHOWN: usize = 12;

/// How much something matters, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Clients see it.
    Service,
    /// Something is broken.
    Broken,
    /// Something is not as usual.
    Unusual,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Sentences in HTML, the grave ones first once sorted.
    problems: Vec<(Weight, String)>,
    servers: usize,
    serving: usize,
    maintenance: usize,
    draining: usize,
}

impl Findings {
    fn add(&mut self, weight: Weight, text: String) {
        self.problems.push((weight, text));
    }
}

/// The box at the top.
pub(super) fn write(context: &Context, out: &mut String) {
    let mut found = Findings::default();
    if let Some((status, age)) = &context.daemon {
        look_at_daemon(&mut found, status, age.as_secs_f64());
    }
    for proxy in context.proxies() {
        look_at_proxy(&mut found, context, proxy);
    }
    found.problems.sort_by_key(|(weight, _)| *weight);
    let class = match found.problems.first() {
        Some((Weight::Service | Weight::Broken, _)) => "bad",
        Some((Weight::Unusual, _)) => "",
        None => "good",
    };
    let _ = write!(
        out,
        "<section class=\"card note {class}\" id=attention aria-label=\"What needs attention\">"
    );
    if found.problems.is_empty() {
        out.push_str("<p><b>Nothing needs attention.</b></p>");
    } else {
        let _ = write!(
            out,
            "<p><b>{} {} attention</b></p><ul>",
            Many(found.problems.len(), "thing"),
            if found.problems.len() == 1 {
                "needs"
            } else {
                "need"
            }
        );
        for (_, problem) in found.problems.iter().take(SHOWN) {
            let _ = write!(out, "<li>{problem}</li>");
        }
        if found.problems.len() > SHOWN {
            let _ = write!(out, "<li>and {} more</li>", found.problems.len() - SHOWN);
        }
        out.push_str("</ul>");
    }
    summary(&found, context, out);
    out.push_str("</section>\n");
}

fn summary(found: &Findings, context: &Context, out: &mut String) {
    let _ = write!(
        out,
        "<p class=soft>{} of {} up",
        found.serving,
        Many(found.servers, "server")
    );
    if found.maintenance > 0 {
        let _ = write!(out, ", {} in maintenance", found.maintenance);
    }
    if found.draining > 0 {
        let _ = write!(out, ", {} draining", found.draining);
    }
    if let Some((status, _)) = &context.daemon
        && !status.instances.is_empty()
    {
        let active = status.instances.iter();
        let active = active.filter(|i| i.state == State::Active).count();
        let all = status.instances.len();
        let _ = write!(
            out,
            "; Active for {active} of {}",
            Many(all, "virtual router")
        );
    }
    out.push_str("</p>");
}

fn look_at_daemon(found: &mut Findings, status: &Status, age: f64) {
    for instance in &status.instances {
        if matches!(instance.state, State::Fault | State::Initialize) {
            let last = instance.last_transition.as_ref().map(|last| &last.reason);
            let reason = instance.held_by.as_ref().or(last);
            let reason = reason.map_or("not started", String::as_str);
            found.add(
                Weight::Service,
                format!(
                    "<a href=\"#vrrp\">{}</a> is out of the election: {}",
                    Esc(&instance.name),
                    Esc(reason)
                ),
            );
        } else if instance.effective_priority < instance.priority {
            found.add(
                Weight::Unusual,
                format!(
                    "<a href=\"#vrrp\">{}</a> has priority {} instead of {}",
                    Esc(&instance.name),
                    instance.effective_priority,
                    instance.priority
                ),
            );
        }
    }
    for (name, failure) in status
        .instances
        .iter()
        .filter_map(|i| Some((&i.name, i.retrying.as_ref()?)))
    {
        found.add(
            Weight::Service,
            format!(
                "<a href=\"#vrrp\">{}</a> could not {} its addresses: {}",
                Esc(name),
                Esc(&failure.operation),
                Esc(&failure.error)
            ),
        );
    }
    for (name, process) in [
        ("VRRP process", &status.vrrp),
        ("balancer", &status.balancer),
    ] {
        if process.as_ref().is_some_and(|process| !process.ready) {
            found.add(Weight::Broken, format!("the {name} does not serve"));
        }
    }
    let told = status.instances_age.unwrap_or(0.0) + age;
    if !status.instances.is_empty() && told > daemon::STALE.as_secs_f64() {
        found.add(
            Weight::Broken,
            format!("the VRRP process last said how it is {told:.0} s ago"),
        );
    }
    if let Some(reload) = status.reload.as_ref().filter(|reload| !reload.applied) {
        found.add(
            Weight::Unusual,
            format!("the last reload changed nothing: {}", Esc(&reload.outcome)),
        );
    }
}

fn look_at_proxy(found: &mut Findings, context: &Context, index: usize) {
    let balancer = &context.balancer;
    if let Some((_, frontend)) = balancer.frontend_of(index)
        && frontend.maxconn() > 0
        && frontend.current() >= frontend.maxconn()
    {
        let name = Esc(&frontend.config().name).to_string();
        found.add(
            Weight::Service,
            format!("frontend <a href=\"#{name}\">{name}</a> is full"),
        );
    }
    let Some((_, backend)) = balancer.backend_of(index) else {
        return;
    };
    let of = Esc(backend.name()).to_string();
    if !backend.is_up() {
        found.add(
            Weight::Service,
            format!(
                "backend <a href=\"#{of}\">{of}</a> has no server, for {}",
                Seconds(backend.seconds_since_change(context.now))
            ),
        );
    } else if let (0, 1..) = backend.usable_servers() {
        found.add(
            Weight::Unusual,
            format!("backend <a href=\"#{of}\">{of}</a> runs on backup servers"),
        );
    }
    for server in backend.servers() {
        found.servers += 1;
        let status = server.status();
        found.serving += usize::from(status.is_up());
        let name = Esc(server.name()).to_string();
        let link = format!("<a href=\"#{of}/{name}\">{of}/{name}</a>");
        match status {
            ServerStatus::Maintenance { resolution: true } => {
                found.add(
                    Weight::Broken,
                    format!("{link} has no address: its name is not resolved"),
                );
            }
            ServerStatus::Maintenance { .. } => found.maintenance += 1,
            ServerStatus::Drain => found.draining += 1,
            ServerStatus::Down(_) => {
                let since = Seconds(server.seconds_since_change(context.now));
                let report = server.check_report();
                let why = report.map_or("", |report| report.result.status.description());
                found.add(
                    Weight::Broken,
                    format!("{link} is down for {since}: {}", Esc(why)),
                );
            }
            ServerStatus::Up(Some(_)) | ServerStatus::NoLb(_) => {
                found.add(
                    Weight::Unusual,
                    format!("{link} is {}", Esc(&status.to_string())),
                );
            }
            ServerStatus::Up(None) | ServerStatus::NoCheck => {}
        }
    }
}
