//! The statistics page over HTTP: who may see it, which form is wanted, and the actions of `stats admin`.
//!
//! Answers are HAProxy's to the letter where programs read them (401, CSV, JSON, redirects after a form); the page is
//! this program's own. A form sent to the page's address is carried out at once, as HAProxy does; the page itself
//! sends its forms to `;confirm`, which shows what would happen and asks.

pub(super) mod action;
mod auth;
mod dump;

use std::{
    borrow::Cow,
    fmt::Write as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use lb_core::{
    config::{ProxyConfig, StatsPage},
    dataplane::{StatsBody, StatsOutcome, StatsService},
    head::HeadRef,
    request::RequestView,
    rules,
};

use super::{
    info,
    options::{Form, Notice, Options},
    page::{self, Context, Page},
    rows::Detail,
    typed,
    walk::{Filter, Walk},
};
use crate::admin::{metrics, runtime::execute::Runtime, status::Status};
use action::Order;
use auth::Admission;
pub(super) use dump::Dump;
use dump::Whole;

/// Serves the page. The data plane starts with it before there is anything to show, which the first clients wait for: see
/// [`Service::serve`].
#[derive(Default)]
pub struct Service {
    runtime: OnceLock<Arc<Runtime>>,
    daemon: Mutex<Option<(Instant, Arc<Status>)>>,
}

impl Service {
    /// From now on the page shows this.
    pub fn serve(&self, runtime: Arc<Runtime>) {
        let _ = self.runtime.set(runtime);
    }

    /// The supervisor told how the rest of the daemon is.
    pub fn told(&self, status: Status, now: Instant) {
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        *daemon = Some((now, Arc::new(status)));
    }

    /// Virtual routers, processes, scripts and the last reload as the supervisor told of them last (its frontends and
    /// backends are empty), and how long ago that was.
    pub fn daemon(&self, now: Instant) -> Option<(Arc<Status>, Duration)> {
        let daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, status) = daemon.as_ref()?;
        Some((Arc::clone(status), now.saturating_duration_since(*at)))
    }

    fn context(
        &self,
        proxy: &ProxyConfig,
        page: &StatsPage,
        runtime: &Runtime,
        options: Options,
        admin: bool,
    ) -> Context {
        let now = Instant::now();
        let balancer = runtime.balancer();
        let or_global = |own: &Option<String>, global: Option<String>| match own.as_deref() {
            Some("") => global,
            own => own.map(str::to_owned),
        };
        let global = &balancer.config.global;
        Context {
            workers: runtime.workers(),
            now,
            filter: Filter {
                // `.` is the proxy that holds the page.
                names: page
                    .scope
                    .iter()
                    .map(|name| {
                        if name == "." {
                            &proxy.name
                        } else {
                            name.as_str()
                        }
                        .to_owned()
                    })
                    .collect(),
                containing: options.scope.clone(),
                hide_down: options.hide_down,
                hide_maintenance: options.hide_maintenance,
            },
            detail: Detail {
                legends: page.show_legends,
            },
            uri: page.uri.clone(),
            node: or_global(&page.show_node, Some(balancer.node())),
            description: or_global(&page.show_desc, global.description.clone()),
            version: (!page.hide_version).then_some(info::VERSION),
            refresh: page
                .refresh
                .map(|every| every.as_secs().max(1))
                .filter(|_| !options.no_refresh),
            admin,
            daemon: self.daemon(now).filter(|_| page.scope.is_empty()),
            options,
            balancer,
        }
    }
}

impl StatsService for Service {
    fn respond(
        &self,
        proxy: &ProxyConfig,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
    ) -> StatsOutcome {
        let (Some(page), Some(request)) = (&proxy.stats, view.request) else {
            return StatsOutcome::NotMine;
        };
        let target = String::from_utf8_lossy(request.target());
        let Some(rest) = target.strip_prefix(page.uri.as_str()) else {
            return StatsOutcome::NotMine;
        };
        let runtime = self.runtime.wait();
        match auth::admission(page, view, request) {
            Admission::Granted => {}
            Admission::Denied => return StatsOutcome::Denied,
            Admission::Asked(realm) => {
                auth::unauthorized(realm, request, out);
                // HAProxy's log shows 400 for it.
                return StatsOutcome::Responded { status: 400 };
            }
        }
        // Named ACLs of `stats admin if` see the connection and the request, as rules do.
        let admin = page
            .admin
            .as_ref()
            .is_some_and(|condition| condition.holds(view));
        let options = Options::parse(rest);
        let confirm = options.confirm;
        let context = self.context(proxy, page, runtime, options, admin);
        match request.method() {
            b"GET" | b"HEAD" => show(page, context, out),
            b"POST" => {
                let order = match form(request, view) {
                    _ if !admin || !auth::is_from_here(request) => Err(Notice::Denied),
                    None => Err(Notice::TooLong),
                    Some(form) => Order::parse(&String::from_utf8_lossy(&form)),
                };
                match order {
                    Ok(order) if confirm => ask(&context, &order, out),
                    Ok(order) => redirect(&context, order.carry_out(runtime), out),
                    Err(notice) => redirect(&context, notice, out),
                }
            }
            _ => StatsOutcome::NotMine,
        }
    }

    fn serve(
        &self,
        service: rules::Service,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
    ) -> StatsOutcome {
        let rules::Service::PrometheusExporter = service;
        let Some(request) = view.request else {
            return StatsOutcome::NotMine;
        };
        let runtime = self.runtime.wait();
        metrics::service::respond(runtime, self.daemon(Instant::now()), request, out)
    }
}

/// The content of the body; none if it does not lie in the view as a whole.
fn form<'a>(request: HeadRef<'_>, view: &RequestView<'a>) -> Option<Cow<'a, [u8]>> {
    if request.value(b"transfer-encoding").is_some() {
        return action::joined(view.payload).map(Cow::Owned);
    }
    let length = request.value(b"content-length");
    let length = length.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
    let is_whole = length.is_none_or(|length: usize| length <= view.payload.len());
    is_whole.then_some(Cow::Borrowed(view.payload))
}

fn head(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn page_head(out: &mut Vec<u8>) {
    head("text/html; charset=utf-8", out);
    let policy = page::policy();
    let fields = format!(
        "content-security-policy: {policy}\r\n{}",
        page::POLICY_HEADERS
    );
    out.extend_from_slice(fields.as_bytes());
}

fn show(page: &StatsPage, context: Context, out: &mut Vec<u8>) -> StatsOutcome {
    let walk = || Walk::new(&context.balancer, context.filter.clone(), context.detail);
    let (kind, body): (_, Box<dyn StatsBody>) = match context.options.form {
        Form::Html => {
            page_head(out);
            out.extend_from_slice(b"\r\n");
            let body = Box::new(Page::new(context));
            return StatsOutcome::Streams { status: 200, body };
        }
        Form::Csv => ("text/plain", Box::new(Dump::csv(walk()))),
        Form::Typed => ("text/plain", Box::new(Dump::typed(walk()))),
        Form::Json => ("application/json", Box::new(Dump::json(walk()))),
        Form::Schema => ("application/json", Box::new(Whole(typed::SCHEMA))),
    };
    head(kind, out);
    if let Some(refresh) = page.refresh.filter(|_| !context.options.no_refresh) {
        out.extend_from_slice(format!("refresh: {}\r\n", refresh.as_secs()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    StatsOutcome::Streams { status: 200, body }
}

/// Shows what would be done and asks.
fn ask(context: &Context, order: &Order, out: &mut Vec<u8>) -> StatsOutcome {
    let Some(text) = page::confirm(context, order) else {
        return redirect(context, Notice::Error, out);
    };
    page_head(out);
    out.extend_from_slice(format!("content-length: {}\r\n\r\n{text}", text.len()).as_bytes());
    StatsOutcome::Responded { status: 200 }
}

/// Back to the page, which then says what came of it.
fn redirect(context: &Context, notice: Notice, out: &mut Vec<u8>) -> StatsOutcome {
    let mut head = String::from(
        "HTTP/1.1 303 See Other\r\ncache-control: no-cache\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n",
    );
    let (uri, suffix) = (&context.uri, context.options.suffix());
    let _ = write!(head, "location: {uri};st={}{suffix}\r\n\r\n", notice.code());
    out.extend_from_slice(head.as_bytes());
    StatsOutcome::Responded { status: 303 }
}
