//! The statistics page over HTTP: who may see it, which form is wanted, and the actions of `stats admin`.
//!
//! Answers are HAProxy's to the letter where programs read them (401, CSV); the page is this program's own.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lb_core::{
    config::{ProxyConfig, StatsPage},
    dataplane::{StatsOutcome, StatsService},
    head::{HeadRef, Version},
    request::RequestView,
};

use super::{
    columns::{self, Column, Row},
    info, page,
    rows::{self, Detail},
};
use crate::admin::{
    runtime::{
        command::{State, Target},
        execute::Runtime,
    },
    status::Status,
};

/// Serves the page. The data plane starts with it before there is anything to show: see [`Service::serve`].
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
}

impl StatsService for Service {
    fn respond(
        &self,
        proxy: &ProxyConfig,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
    ) -> StatsOutcome {
        let (Some(page), Some(runtime), Some(request)) =
            (&proxy.stats, self.runtime.get(), view.request)
        else {
            return StatsOutcome::NotMine;
        };
        let target = String::from_utf8_lossy(request.target());
        let Some(options) = target.strip_prefix(page.uri.as_str()) else {
            return StatsOutcome::NotMine;
        };
        if !is_admitted(page, request.value(b"authorization")) {
            unauthorized(page, request, out);
            // HAProxy's log shows 400 for it.
            return StatsOutcome::Responded { status: 400 };
        }
        // Named ACLs of `stats admin if` see the connection and the request, as rules do.
        let admin = page
            .admin
            .as_ref()
            .is_some_and(|condition| condition.holds(view));
        let rows = visible(page, proxy, runtime);
        let status = match request.method() {
            b"POST" => act(page, runtime, admin, view.payload, out),
            b"GET" | b"HEAD" => {
                let context = context(page, runtime, options, admin);
                show(page, &rows, &context, options, request, out)
            }
            _ => return StatsOutcome::NotMine,
        };
        StatsOutcome::Responded { status }
    }
}

/// RFC 7617. Without `stats auth` everyone is admitted.
fn is_admitted(page: &StatsPage, given: Option<&[u8]>) -> bool {
    if page.auth.is_empty() {
        return true;
    }
    let Some((scheme, encoded)) = given.and_then(|value| value.split_at_checked(6)) else {
        return false;
    };
    let Ok(decoded) = BASE64_STANDARD.decode(encoded.trim_ascii()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"basic ")
        && page.auth.iter().any(|(user, password)| {
            let expected = format!("{user}:{password}");
            same(expected.as_bytes(), &decoded)
        })
}

/// Takes as long for a near miss as for a far one.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differing = expected
        .iter()
        .zip(given)
        .fold(0, |differing, (a, b)| differing | (a ^ b));
    expected.len() == given.len() && differing == 0
}

fn unauthorized(page: &StatsPage, request: HeadRef<'_>, out: &mut Vec<u8>) {
    const BODY: &str = "<html><body><h1>401 Unauthorized</h1>\nYou need a valid user and password to access this \
                        content.\n</body></html>\n";
    let realm = page.realm.replace('"', "\\\"");
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\
         www-authenticate: Basic realm=\"{realm}\"\r\n\r\n",
        BODY.len()
    );
    out.extend_from_slice(head.as_bytes());
    if request.method() != b"HEAD" {
        out.extend_from_slice(BODY.as_bytes());
    }
}

fn show(
    page: &StatsPage,
    rows: &[Row],
    context: &page::Context,
    options: &str,
    request: HeadRef<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    let option = |name: &str| options.split([';', '?', '&']).any(|option| option == name);
    let (kind, body) = if option("csv") {
        ("text/plain", columns::csv(rows))
    } else if option("json") {
        ("application/json", columns::json(rows))
    } else {
        ("text/html", page::html(rows, context))
    };
    let mut head =
        format!("HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: {kind}\r\n");
    if let Some(refresh) = page.refresh.filter(|_| !option("norefresh")) {
        let _ = write!(head, "refresh: {}\r\n", refresh.as_secs());
    }
    // Chunked as HAProxy's; HTTP/1.0 has no chunks.
    let chunked = request.version() != Version::Http10;
    let head_only = request.method() == b"HEAD";
    match (chunked, head_only) {
        (true, true) => head.push_str("\r\n"),
        (true, false) => head.push_str("transfer-encoding: chunked\r\n\r\n"),
        (false, _) => {
            let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
        }
    }
    out.extend_from_slice(head.as_bytes());
    if head_only {
        return 200;
    }
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        out.extend_from_slice(body.as_bytes());
        out.extend_from_slice(b"\r\n0\r\n\r\n");
    } else {
        out.extend_from_slice(body.as_bytes());
    }
    200
}

/// `stats scope`; `.` is the proxy that holds the page.
fn visible(page: &StatsPage, proxy: &ProxyConfig, runtime: &Runtime) -> Vec<Row> {
    let detail = Detail {
        legends: page.show_legends,
    };
    let mut rows = rows::rows(&runtime.balancer(), detail, Instant::now());
    if !page.scope.is_empty() {
        rows.retain(|row| {
            let name = row.text(Column::Pxname);
            page.scope
                .iter()
                .any(|scope| scope == name || (scope == "." && name == &*proxy.name))
        });
    }
    rows
}

fn context(page: &StatsPage, runtime: &Runtime, options: &str, admin: bool) -> page::Context {
    let balancer = runtime.balancer();
    let up = Instant::now()
        .saturating_duration_since(balancer.started)
        .as_secs();
    page::Context {
        node: page.show_node.clone(),
        description: page.show_desc.clone(),
        version: (!page.hide_version).then(|| info::VERSION.to_owned()),
        pid: std::process::id(),
        uptime: page::duration(up),
        connections: (
            balancer.process.connections.value(),
            balancer.config.global.maxconn,
        ),
        admin,
        uri: page.uri.clone(),
        notice: options
            .split(';')
            .find_map(|option| notice(option.strip_prefix("st=")?)),
    }
}

fn notice(code: &str) -> Option<&'static str> {
    Some(match code {
        "DONE" => "Done.",
        "NONE" => "Nothing was changed.",
        "PART" => "Only a part of it could be done.",
        "ERRP" => "The request could not be understood; nothing was changed.",
        "DENY" => "Changes are not allowed here (`stats admin`).",
        _ => return None,
    })
}

/// A form was sent: `s` names servers, `b` the backend (`#number` or name), `action` what to make of them.
fn act(page: &StatsPage, runtime: &Runtime, admin: bool, body: &[u8], out: &mut Vec<u8>) -> u16 {
    let outcome = if admin {
        carry_out(runtime, &String::from_utf8_lossy(body))
    } else {
        "DENY"
    };
    let head = format!(
        "HTTP/1.1 303 See Other\r\ncache-control: no-cache\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\
         location: {};st={outcome}\r\n\r\n",
        page.uri
    );
    out.extend_from_slice(head.as_bytes());
    303
}

fn carry_out(runtime: &Runtime, form: &str) -> &'static str {
    if form.is_empty() {
        return "NONE";
    }
    let fields: Vec<(String, String)> = form
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let field = |name: &str| {
        fields
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    };
    let state = match field("action") {
        Some("ready" | "enable") => State::Ready,
        Some("drain") => State::Drain,
        Some("maint" | "disable") => State::Maint,
        _ => return "ERRP",
    };
    let Some(backend) = field("b") else {
        return "ERRP";
    };
    let servers = fields.iter().filter(|(name, _)| name == "s");
    let (mut done, mut failed) = (0, 0);
    for (_, server) in servers {
        let target = Target {
            backend: backend.to_owned(),
            server: server.clone(),
        };
        match runtime.set_state(&target, state) {
            Ok(()) => done += 1,
            Err(_) => failed += 1,
        }
    }
    match (done, failed) {
        (0, 0) => "NONE",
        (_, 0) => "DONE",
        (0, _) => "ERRP",
        _ => "PART",
    }
}

/// `application/x-www-form-urlencoded`.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let code = digit(high)
                    .zip(digit(low))
                    .map(|(high, low)| high * 16 + low);
                match code.and_then(|code| u8::try_from(code).ok()) {
                    Some(code) => {
                        decoded.push(code);
                        rest = after;
                    }
                    None => decoded.push(b'%'),
                }
            }
            (byte, _) => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(auth: &[(&str, &str)]) -> StatsPage {
        StatsPage {
            uri: "/stats".to_owned(),
            realm: "HAProxy-04 Statistics".to_owned(),
            auth: auth
                .iter()
                .map(|(u, p)| ((*u).to_owned(), (*p).to_owned()))
                .collect(),
            refresh: None,
            admin: None,
            hide_version: false,
            show_legends: false,
            show_node: None,
            show_desc: None,
            scope: Vec::new(),
        }
    }

    #[test]
    fn users_are_admitted_by_name_and_password() {
        let page = page(&[("admin", "password"), ("two", "b:c")]);
        let header = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        assert!(is_admitted(
            &page,
            Some(header("admin:password").as_bytes())
        ));
        assert!(is_admitted(
            &page,
            Some(header("two:b:c").replace("Basic", "basic").as_bytes())
        ));
        for wrong in [
            "admin:passwor",
            "admin:passwordx",
            "admin:",
            "two:password",
            "",
        ] {
            assert!(
                !is_admitted(&page, Some(header(wrong).as_bytes())),
                "{wrong}"
            );
        }
        assert!(!is_admitted(&page, None));
        assert!(!is_admitted(&page, Some(b"Basic ???")));
        assert!(is_admitted(&self::page(&[]), None));
    }

    #[test]
    fn the_401_is_haproxy_s() {
        let golden = include_str!("../../../tests/golden/k8s-ingress.transcript.txt");
        let start = golden.find("HTTP/1.1 401").unwrap();
        let end = start + golden[start..].find("\n$ ").unwrap();
        let head = lb_core::head::Head::default();
        let mut out = Vec::new();
        unauthorized(&page(&[("a", "b")]), HeadRef::new(&head, b""), &mut out);
        let answer = String::from_utf8(out).unwrap().replace('\r', "");
        let recorded = golden[start..end].replace('\r', "");
        assert_eq!(answer.trim_end(), recorded.trim_end());
    }

    #[test]
    fn form_fields_are_decoded() {
        assert_eq!(decode("a+b%2Fc%23%zz%4"), "a b/c#%zz%4");
    }
}
