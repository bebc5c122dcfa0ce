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
        | Action::Health(Health::Stopping | Health::Down)
        | Action::Agent(false) => true,
        Action::State(State::Ready)
        | Action::Health(Health::Up)
        | Action::Agent(true)
        | Action::Checked(_)
        | Action::Asked(_)
        | Action::Shutdown => false,
    };
    if takes_out {
        told.push(left(backend, chosen));
    }
    let ends = |how: &str| match running {
        0 => "No session runs there now.".to_owned(),
        1 => format!("The session that runs there {how}."),
        many => format!("The {many} sessions that run there {how}."),
    };
    match action {
        Action::State(State::Drain) | Action::Health(Health::Stopping) => {
            told.push(("info", ends("may go on to the end")));
            told.push((
                "info",
                "Clients that belong there by cookie or table are still sent there.".to_owned(),
            ));
        }
        Action::State(State::Maint) | Action::Health(Health::Down) => {
            let cut = chosen
                .iter()
                .any(|s| s.config().shutdown_sessions_on_down && s.served() > 0);
            told.push(if cut {
                ("bad", ends("may be cut (<code>on-marked-down</code>)"))
            } else {
                ("info", ends("may go on to the end"))
            });
            if let Action::State(_) = action {
                told.push((
                    "info",
                    "Health checks pause until it is ready again.".to_owned(),
                ));
            }
        }
        Action::Health(Health::Up) => {
            told.push((
                "info",
                "Health checks go on and may say otherwise.".to_owned(),
            ));
        }
        Action::Checked(false) => told.push((
            "",
            "Nothing will notice a death: clients will still be sent there.".to_owned(),
        )),
        Action::Shutdown => told.push(("bad", ends("will be cut at once"))),
        Action::State(State::Ready) => told.push((
            "info",
            "New sessions are sent there at once, until a health check says otherwise.".to_owned(),
        )),
        Action::Agent(_) => told.push((
            "info",
            "Servers without an agent stay as they are; what an agent says next holds.".to_owned(),
        )),
        Action::Asked(_) => told.push((
            "info",
            "Servers without an agent stay as they are.".to_owned(),
        )),
        Action::Checked(true) => {}
    }
    told
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
