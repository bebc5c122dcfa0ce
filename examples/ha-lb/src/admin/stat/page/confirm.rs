//! The question before servers are changed: which ones, to what, and what follows from it.

use std::fmt::Write as _;

use lb_core::{
    backend::{Backend, Health},
    server::Server,
};

use super::{
    super::{
        html::{Esc, Many},
        service::action::{Action, CHOICES, Order},
    },
    Context, daemon, shell,
};
use crate::admin::runtime::command::State;

/// More servers than that are counted.
const SHOWN: usize = 50;

/// The page that asks; none if the backend or all of the servers are not known.
pub(in super::super) fn confirm(context: &Context, order: &Order) -> Option<String> {
    let number = order.backend.strip_prefix('#');
    let number = number.and_then(|number| number.parse::<u32>().ok());
    let balancer = &context.balancer;
    let backend = balancer
        .backends
        .iter()
        .find(|b| b.name() == order.backend || number == Some(b.id()))?;
    let chosen: Vec<&Server> = order
        .servers
        .iter()
        .filter_map(|name| backend.server_named(name))
        .collect();
    if chosen.is_empty() {
        return None;
    }
    let mut out = String::new();
    shell::open(context.title(), None, &mut out);
    let _ = write!(
        out,
        "<main class=\"card ask\"><h1>{}?</h1><p>{} of <b>{}</b>:</p><ul>",
        title(order),
        Many(chosen.len(), "server"),
        Esc(backend.name())
    );
    for server in chosen.iter().take(SHOWN) {
        let status = server.status();
        let class = if status.is_up() { "up" } else { "down" };
        let _ = write!(
            out,
            "<li><b>{}</b> {} <small>{}</small></li>",
            Esc(server.name()),
            daemon::badge(class, &format!("now {status}")),
            sessions(server.served() as usize)
        );
    }
    if chosen.len() > SHOWN {
        let _ = write!(out, "<li>and {} more</li>", chosen.len() - SHOWN);
    }
    out.push_str("</ul>");
    for (class, sentence) in consequences(order.action, backend, &chosen) {
        let _ = write!(out, "<p class=\"card note {class}\">{sentence}</p>");
    }
    let (uri, suffix) = (&context.uri, context.options.suffix());
    let back = format!("{uri}{suffix}");
    let _ = write!(
        out,
        "<form method=post action=\"{0}\"><input type=hidden name=b value=\"{1}\">\
         <input type=hidden name=action value=\"{2}\">",
        Esc(&back),
        Esc(&order.backend),
        Esc(&order.word)
    );
    for server in &chosen {
        let _ = write!(
            out,
            "<input type=hidden name=s value=\"{}\">",
            Esc(server.name())
        );
    }
    let _ = writeln!(
        out,
        "<div class=act><button class=go>Yes, do it</button><a class=button href=\"{}\">Cancel</a></div></form></main>",
        Esc(&back)
    );
    shell::close(&mut out);
    Some(out)
}

fn title(order: &Order) -> &str {
    let mut choices = CHOICES.iter();
    let choice = choices.find(|choice| choice.word == order.word);
    choice.map_or(&order.word, |choice| choice.title)
}

fn sessions(count: usize) -> String {
    match count {
        0 => "no session".to_owned(),
        count => Many(count, "session").to_string(),
    }
}

/// What an operator would want to have known, with how bad it is.
fn consequences(
    action: Action,
    backend: &Backend,
    chosen: &[&Server],
) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    let running: usize = chosen.iter().map(|server| server.served() as usize).sum();
    let takes_out = match action {
        Action::State(State::Drain | State::Maint)
        | Action::Health(Health::Stopping | Health::Down) => true,
        Action::State(State::Ready)
        | Action::Health(Health::Up)
        | Action::Checked(_)
        | Action::Agent
        | Action::Shutdown => false,
    };
    if takes_out {
        told.push(left(backend, chosen));
    }
    match action {
        Action::State(State::Drain) | Action::Health(Health::Stopping) => told.push((
            "",
            format!(
                "{} go on to their end; clients that belong to a server still reach it.",
                many(running)
            ),
        )),
        Action::State(State::Maint) | Action::Health(Health::Down) => {
            let cut = chosen
                .iter()
                .any(|s| s.config().shutdown_sessions_on_down && s.served() > 0);
            told.push(if cut {
                (
                    "bad",
                    format!("{} are cut (<code>on-marked-down</code>).", many(running)),
                )
            } else {
                ("", format!("{} go on to their end.", many(running)))
            });
            if let Action::State(_) = action {
                told.push((
                    "",
                    "They are not checked until they are ready again.".to_owned(),
                ));
            }
        }
        Action::Health(Health::Up) => {
            told.push(("", "Checks go on and may take them down again.".to_owned()))
        }
        Action::Checked(false) => told.push((
            "",
            "When one of them dies, nothing notices: clients are still sent to it.".to_owned(),
        )),
        Action::Shutdown => told.push(("bad", format!("{} are cut at once.", many(running)))),
        Action::State(State::Ready) => told.push((
            "",
            "They get new sessions at once, until a check says otherwise.".to_owned(),
        )),
        Action::Checked(true) | Action::Agent => {}
    }
    told
}

fn many(running: usize) -> String {
    format!("Their {}", Many(running, "running session")).replace("Their 0 running", "No running")
}

/// What would be left of a backend without the chosen servers.
fn left(backend: &Backend, chosen: &[&Server]) -> (&'static str, String) {
    let name = Esc(backend.name()).to_string();
    let rest = backend
        .servers()
        .iter()
        .filter(|server| server.is_usable() && !chosen.iter().any(|c| c.index() == server.index()));
    let (backup, active): (Vec<_>, Vec<_>) = rest.partition(|server| server.config().backup);
    let all = Many(backend.servers().len(), "server");
    match (active.len(), backup.len()) {
        (0, 0) => (
            "bad",
            format!("<b>No server is left in backend {name}</b>: its clients get an error."),
        ),
        (0, backups) => (
            "",
            format!(
                "Only {} would serve backend {name}.",
                Many(backups, "backup server")
            ),
        ),
        (active, _) => (
            "good",
            format!("{active} of {all} would go on serving backend {name}."),
        ),
    }
}
