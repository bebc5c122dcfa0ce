//! The statistics page for people: what needs attention, the virtual addresses, then each proxy. Readable without
//! scripts, on a phone, in the light and in the dark.
//!
//! Written piece by piece ([`Page`]): neither is a large page ever whole in memory, nor does it hold up a worker.
//! Whatever comes from a configuration, a server or another host is escaped.

mod attention;
mod confirm;
mod daemon;
mod proxies;
mod shell;

#[cfg(test)]
mod tests;

pub(super) use confirm::confirm;
pub(super) use shell::{POLICY_HEADERS, policy};

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use lb_core::dataplane::{Balancer, StatsBody};

use super::{
    html::{Bytes, Count, Esc, Seconds},
    info,
    options::{Notice, Options},
    rows::Detail,
    walk::Filter,
};
use crate::admin::status::Status;
use proxies::Section;

/// A piece is sent when it is that long.
const PIECE: usize = 16 * 1024;

/// What the page shows and what was asked of it.
#[derive(Debug, Clone)]
pub struct Context {
    /// What is shown.
    pub balancer: Arc<Balancer>,
    /// Its threads.
    pub workers: usize,
    /// When the page is made.
    pub now: Instant,
    /// Which proxies and servers.
    pub filter: Filter,
    /// What is told of them.
    pub detail: Detail,
    /// What stood behind the page's address.
    pub options: Options,
    /// `stats uri`, to which forms and links go.
    pub uri: String,
    /// `stats show-node`.
    pub node: Option<String>,
    /// `stats show-desc`.
    pub description: Option<String>,
    /// Absent with `stats hide-version`.
    pub version: Option<&'static str>,
    /// `stats refresh` in seconds, unless switched off.
    pub refresh: Option<u64>,
    /// Whether servers can be changed (`stats admin`).
    pub admin: bool,
    /// The rest of the daemon and the age of what is known of it; absent where `stats scope` restricts the page.
    pub daemon: Option<(Arc<Status>, Duration)>,
}

impl Context {
    /// What the page is called.
    fn title(&self) -> &str {
        self.node.as_deref().unwrap_or("ha-lb")
    }

    /// Places in the configuration of the proxies that are shown.
    fn proxies(&self) -> impl Iterator<Item = usize> {
        let proxies = self.balancer.config.proxies.iter().enumerate();
        proxies
            .filter(|(_, proxy)| self.filter.admits(proxy))
            .map(|(index, _)| index)
    }
}

/// The page while it is written.
#[derive(Debug)]
pub struct Page {
    context: Context,
    stage: Stage,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    Top,
    /// A proxy, and those after it.
    Proxy(Box<Section>, std::vec::IntoIter<usize>),
    Foot,
    Done,
}

impl Page {
    /// A page of which nothing is written yet.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            stage: Stage::Top,
        }
    }

    fn step(&mut self, out: &mut String) {
        let context = &self.context;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Top => {
                top(context, out);
                let proxies: Vec<usize> = context.proxies().collect();
                Self::proxy(context, proxies.into_iter())
            }
            Stage::Proxy(mut section, rest) => {
                if section.step(context, out) {
                    Stage::Proxy(section, rest)
                } else {
                    Self::proxy(context, rest)
                }
            }
            Stage::Foot => {
                foot(context, out);
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
    }

    fn proxy(context: &Context, mut proxies: std::vec::IntoIter<usize>) -> Stage {
        match proxies.next() {
            Some(next) => Stage::Proxy(Box::new(Section::new(context, next)), proxies),
            None => Stage::Foot,
        }
    }
}

impl StatsBody for Page {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let mut text = String::with_capacity(PIECE + PIECE / 2);
        while text.len() < PIECE && !matches!(self.stage, Stage::Done) {
            self.step(&mut text);
        }
        out.extend_from_slice(text.as_bytes());
        !matches!(self.stage, Stage::Done)
    }
}

fn top(context: &Context, out: &mut String) {
    shell::open(
        context.title(),
        context.refresh.map(|every| (every, back(context))),
        out,
    );
    out.push_str("<header class=top><div>");
    let _ = write!(out, "<h1>{}</h1>", Esc(context.title()));
    if let Some(description) = &context.description {
        let _ = write!(out, "<p>{}</p>", Esc(description));
    }
    facts(context, out);
    out.push_str("</div></header>\n");
    if let Some(notice) = context.options.notice {
        said(notice, context, out);
    }
    attention::write(context, out);
    tools(context, out);
    if let Some((status, age)) = &context.daemon {
        daemon::routers(status, *age, out);
    }
    jumps(context, out);
}

/// The page's address as it is shown now, without what it told once.
fn back(context: &Context) -> String {
    format!("{}{}", context.uri, context.options.suffix())
}

fn facts(context: &Context, out: &mut String) {
    let (balancer, now) = (&context.balancer, context.now);
    let process = &balancer.process;
    out.push_str("<div class=facts>");
    if let Some(version) = context.version {
        let _ = write!(out, "<span>version {}</span>", Esc(version));
    }
    let _ = write!(
        out,
        "<span>pid {}, {} worker{}</span><span>up {}</span><span>{} of {} connections</span>\
         <span>{}/s, at most {}/s</span><span>{} requests</span><span>{} out</span></div>",
        lb_core::process::id(),
        context.workers,
        if context.workers == 1 { "" } else { "s" },
        Seconds(info::uptime(balancer, now)),
        process.connections.value(),
        info::maxconn(balancer),
        process.connection_rate.per_second(now),
        process.connection_rate.max(),
        Count(process.requests.value()),
        Bytes(process.bytes_out.value()),
    );
}

/// What came of the last action.
fn said(notice: Notice, context: &Context, out: &mut String) {
    let (class, text) = notice.words();
    let _ = writeln!(
        out,
        "<div class=\"card note {class}\" role=status><p>{text} <a href=\"{}\">Close</a></p></div>",
        Esc(&back(context))
    );
}

/// What is shown and how, as links and one field: HAProxy's options behind the address.
fn tools(context: &Context, out: &mut String) {
    let options = &context.options;
    let uri = Esc(&context.uri);
    let link = |text: &str, options: &Options, out: &mut String| {
        let suffix = options.suffix();
        let _ = write!(out, "<a href=\"{uri}{}\">{text}</a>", Esc(&suffix));
    };
    out.push_str("<nav class=tools aria-label=\"What is shown\">");
    filter(context, out);
    let hides = |flag: bool| if flag { "Show" } else { "Hide" };
    let text = format!("{} servers that are down", hides(options.hide_down));
    let other = Options {
        hide_down: !options.hide_down,
        ..options.clone()
    };
    link(&text, &other, out);
    let text = format!("{} servers in maintenance", hides(options.hide_maintenance));
    let other = Options {
        hide_maintenance: !options.hide_maintenance,
        ..options.clone()
    };
    link(&text, &other, out);
    link("Refresh now", options, out);
    if let Some(refresh) = context.refresh {
        let text = format!("Stop refreshing every {refresh} s");
        link(
            &text,
            &Options {
                no_refresh: true,
                ..options.clone()
            },
            out,
        );
    } else if options.no_refresh {
        link(
            "Refresh by itself",
            &Options {
                no_refresh: false,
                ..options.clone()
            },
            out,
        );
    }
    let suffix = options.suffix();
    let _ = writeln!(
        out,
        "<a href=\"{uri};csv{0}\">CSV</a><a href=\"{uri};json{0}\">JSON</a></nav>",
        Esc(&suffix)
    );
}

/// The field for names. A browser puts fields in the place of the address's own question, which therefore is a field
/// as well (`/haproxy?stats`).
fn filter(context: &Context, out: &mut String) {
    let (path, question) = match context.uri.split_once('?') {
        Some((path, question)) => (path.to_owned(), Some(question)),
        None => {
            let without = Options {
                scope: None,
                ..context.options.clone()
            };
            (format!("{}{}", context.uri, without.suffix()), None)
        }
    };
    let _ = write!(out, "<form method=get action=\"{}\">", Esc(&path));
    for field in question
        .into_iter()
        .flat_map(|question| question.split('&'))
    {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let (name, value) = (Esc(name), Esc(value));
        let _ = write!(out, "<input type=hidden name=\"{name}\" value=\"{value}\">");
    }
    let _ = write!(
        out,
        "<label class=hide for=scope>Only proxies whose name contains</label><input type=search id=scope name=scope \
         maxlength=40 placeholder=\"name contains\" value=\"{}\"><button>Filter</button></form>",
        Esc(context.options.scope.as_deref().unwrap_or_default())
    );
}

/// Links to the proxies, where there are enough to get lost in and few enough to be looked over.
fn jumps(context: &Context, out: &mut String) {
    let places: Vec<usize> = context.proxies().take(61).collect();
    out.push_str("<h2>Proxies</h2>");
    if places.is_empty() {
        out.push_str("<p>None has such a name.</p>");
    }
    if !(3..=60).contains(&places.len()) {
        return out.push('\n');
    }
    out.push_str("<ul class=jump>");
    for proxy in places {
        proxies::jump(context, proxy, out);
    }
    out.push_str("</ul>\n");
}

fn foot(context: &Context, out: &mut String) {
    if let Some((status, age)) = &context.daemon {
        daemon::processes(status, *age, out);
    }
    let _ = writeln!(
        out,
        "<footer><p>Made {}. Figures that are 0 are dimmed; <a href=\"#top\">back to the top</a>.</p></footer>",
        chrono::DateTime::from_timestamp(
            chrono::Utc::now().timestamp() + i64::from(context.balancer.utc_offset),
            0
        )
        .unwrap_or_default()
        .format("%Y-%m-%d %H:%M:%S"),
    );
    shell::close(out);
}
