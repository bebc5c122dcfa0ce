//! A proxy on the page: its title, the table of what matters, the form to change servers, and a folded table of the
//! rest.

use std::fmt::Write as _;

use lb_core::{config::Mode, server::ServerStatus};

use super::{
    super::{
        columns::{Column, Kind, Row},
        html::{Bytes, Count, Esc, Many, Seconds},
        service::action::CHOICES,
        walk::Walk,
    },
    Context, daemon,
};
use crate::supervisor::listeners;

mod cells;

/// A proxy while it is written.
#[derive(Debug)]
pub(super) struct Section {
    proxy: usize,
    changeable: bool,
    part: Part,
}

/// What comes next.
#[derive(Debug)]
enum Part {
    Title,
    Main(Walk),
    More(Walk),
}

impl Section {
    pub(super) fn new(context: &Context, proxy: usize) -> Self {
        let backend = context.balancer.backend_of(proxy);
        let has_servers = backend.is_some_and(|(_, backend)| !backend.servers().is_empty());
        Self {
            proxy,
            changeable: context.admin && has_servers,
            part: Part::Title,
        }
    }

    /// Writes a little more; false when that was all.
    pub(super) fn step(&mut self, context: &Context, out: &mut String) -> bool {
        let walk = || {
            let filter = context.filter.clone();
            Walk::of(&context.balancer, self.proxy, filter, context.detail)
        };
        match &mut self.part {
            Part::Title => {
                title(context, self.proxy, self.changeable, out);
                cells::main_head(context.admin, self.changeable, out);
                self.part = Part::Main(walk());
            }
            Part::Main(rows) => match rows.next() {
                Some(row) => {
                    let legends = context.detail.legends;
                    cells::main(&row, context.admin, self.changeable, legends, out);
                }
                None => {
                    out.push_str("</tbody></table></div>\n");
                    if self.changeable {
                        form(out);
                    }
                    cells::more_head(&name(context, self.proxy), out);
                    self.part = Part::More(walk());
                }
            },
            Part::More(rows) => match rows.next() {
                Some(row) => cells::more(&row, out),
                None => {
                    out.push_str("</tbody></table></div></details></section>\n");
                    return false;
                }
            },
        }
        true
    }
}

/// The name of a proxy, escaped.
fn name(context: &Context, proxy: usize) -> String {
    let section = context.balancer.config.proxies.get(proxy);
    section.map_or_else(String::new, |section| Esc(&section.name).to_string())
}

/// The colour and the words for a proxy as a whole.
fn whole(context: &Context, proxy: usize) -> (&'static str, String) {
    let Some((_, backend)) = context.balancer.backend_of(proxy) else {
        return ("", String::new());
    };
    let servers = backend.servers();
    if servers.is_empty() {
        return ("", String::new());
    }
    let up = servers.iter().filter(|s| s.status().is_up()).count();
    let failed = servers
        .iter()
        .any(|s| matches!(s.status(), ServerStatus::Down(_)));
    let class = match (backend.is_up(), failed) {
        (false, _) => "down",
        (true, true) => "warn",
        (true, false) => "up",
    };
    (
        class,
        format!("{up} of {} up", Many(servers.len(), "server")),
    )
}

/// The link to a proxy.
pub(super) fn jump(context: &Context, proxy: usize, out: &mut String) {
    let name = name(context, proxy);
    let (class, words) = whole(context, proxy);
    let words = match class {
        "down" | "warn" => format!(" <small>{words}</small>"),
        _ => String::new(),
    };
    let _ = write!(
        out,
        "<li><a class=\"{class}\" href=\"#{name}\">{name}{words}</a></li>"
    );
}

fn title(context: &Context, proxy: usize, changeable: bool, out: &mut String) {
    let Some(section) = context.balancer.config.proxies.get(proxy) else {
        return;
    };
    let name = name(context, proxy);
    let kind = match (&section.frontend, &section.backend) {
        (Some(_), Some(_)) => "listen",
        (Some(_), None) => "frontend",
        _ => "backend",
    };
    let mode = match section.mode {
        Mode::Http => "HTTP",
        Mode::Tcp => "TCP",
    };
    let (class, words) = whole(context, proxy);
    let whole = if words.is_empty() {
        String::new()
    } else {
        daemon::badge(class, &words)
    };
    let _ = write!(
        out,
        "<section class=\"card proxy\" aria-labelledby=\"{name}\"><div class=title><h3 id=\"{name}\">{name} \
         <small>{kind}, {mode}</small></h3>{whole}</div>"
    );
    if context.description.is_some()
        && let Some(description) = &section.description
    {
        let _ = write!(out, "<p>{}</p>", Esc(description));
    }
    if context.detail.legends {
        legends(context, proxy, out);
    }
    if changeable {
        let suffix = context.options.suffix();
        let _ = write!(
            out,
            "<form method=post action=\"{}{}\"><input type=hidden name=b value=\"#{}\">",
            Esc(&context.uri),
            Esc(&format!(";confirm{suffix}")),
            section.id
        );
    }
    out.push_str("<div class=scroll>");
}

/// `stats show-legends`: where it listens, how it balances, its cookie.
fn legends(context: &Context, proxy: usize, out: &mut String) {
    let Some(section) = context.balancer.config.proxies.get(proxy) else {
        return;
    };
    let mut words = vec![format!("number {}", section.id)];
    for bind in section.frontend.iter().flat_map(|frontend| &frontend.binds) {
        words.push(format!("listens on {}", listeners::describe(&bind.address)));
    }
    if let Some((_, backend)) = context.balancer.backend_of(proxy)
        && !backend.servers().is_empty()
    {
        words.push(format!("balances by {}", backend.config().balance.name()));
        if let Some(cookie) = &backend.config().cookie {
            words.push(format!("cookie {}", cookie.name));
        }
    }
    out.push_str("<p class=facts>");
    for word in words {
        let _ = write!(out, "<span>{}</span>", Esc(&word));
    }
    out.push_str("</p>");
}

/// What can be done with the ticked servers; the form was opened in [`title`].
fn form(out: &mut String) {
    out.push_str("<div class=act><label>With the ticked servers <select name=action><option value=\"\">choose ...</option>");
    for choice in CHOICES {
        let _ = write!(
            out,
            "<option value={}>{}</option>",
            choice.word, choice.title
        );
    }
    out.push_str("</select></label><button>Continue ...</button></div></form>\n");
}
