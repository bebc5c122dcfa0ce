//! `TCP_CHECK` and `HTTP_GET` of a real server.

use std::{net::IpAddr, time::Duration};

use super::{Draft, RealDraft, count, first, time};
use crate::config::{
    diagnostic::Diagnostic,
    keepalived::{
        KeywordInfo,
        config::{Check, CheckKind},
        document::Node,
        keyword::{Context, Keyword, Table, Takes, inside},
    },
};

/// A check while it is read.
#[derive(Default)]
pub(super) struct CheckDraft {
    connect_ip: Option<IpAddr>,
    connect_port: Option<u16>,
    connect_timeout: Option<Duration>,
    retry: Option<u32>,
    retry_delay: Option<Duration>,
    delay_loop: Option<Duration>,
    virtual_host: Option<String>,
    url: Option<Url>,
}

/// `url { ... }`.
#[derive(Default)]
struct Url {
    path: Option<String>,
    virtual_host: Option<String>,
    status: Vec<(u16, u16)>,
}

const SOURCE: &str = "checks are sent from the address that the kernel chooses";
const STATUS_ONLY: &str = "only the status code is looked at";

const TABLE: Table<CheckDraft> = Table {
    block: "TCP_CHECK or HTTP_GET",
    keywords: &[&[
        Keyword::read(
            "connect_ip",
            Takes::one("an address"),
            connect_ip,
            "Where to connect (the server's address).",
        ),
        Keyword::read(
            "connect_port",
            Takes::one("a port"),
            connect_port,
            "Where to connect (the server's port).",
        ),
        Keyword::read(
            "connect_timeout",
            Takes::one("seconds"),
            |d, n, c| d.connect_timeout = time(n, c),
            "Longest wait for a connection (5 s).",
        ),
        Keyword::read(
            "retry",
            Takes::one("a number"),
            |d, n, c| d.retry = count(n, c),
            "Repetitions before a failure counts (1).",
        ),
        Keyword::obsolete(
            "nb_get_retry",
            Takes::one("a number"),
            |d, n, c| d.retry = count(n, c),
            "retry",
        ),
        Keyword::read(
            "delay_before_retry",
            Takes::one("seconds"),
            |d, n, c| d.retry_delay = time(n, c),
            "Time before a repetition (1 s; HTTP_GET 3 s).",
        ),
        Keyword::read(
            "delay_loop",
            Takes::one("seconds"),
            |d, n, c| d.delay_loop = time(n, c),
            "Time between checks.",
        ),
        Keyword::read(
            "virtualhost",
            Takes::one("a host"),
            |d, n, _| d.virtual_host = first(n),
            "Host header.",
        ),
        Keyword::repeated(
            "url",
            Takes::BLOCK,
            url,
            "What to ask for; the first counts.",
        ),
        Keyword::ignored("bindto", SOURCE),
        Keyword::ignored("bind_port", SOURCE),
        Keyword::ignored("bind_if", SOURCE),
        Keyword::ignored("fwmark", SOURCE),
        Keyword::ignored("warmup", "first checks are spread over the interval"),
        Keyword::ignored("alpha", "write it in the virtual_server"),
        Keyword::ignored("log_all_failures", "changes of a server's state are logged"),
        Keyword::ignored("enable_sni", "checks do not speak TLS"),
        Keyword::ignored("http_protocol", "checks speak HTTP/1.0"),
        Keyword::ignored("fast_recovery", "a server is up again after one check"),
    ]],
};

const URL: Table<Url> = Table {
    block: "url",
    keywords: &[&[
        Keyword::read(
            "path",
            Takes::one("a path"),
            |d, n, _| d.path = first(n),
            "Path of the request (/).",
        ),
        Keyword::read(
            "virtualhost",
            Takes::one("a host"),
            |d, n, _| d.virtual_host = first(n),
            "Host header.",
        ),
        Keyword::read(
            "status_code",
            Takes::words(1, 64, "codes or ranges"),
            status,
            "Status codes that pass (200-299).",
        ),
        Keyword::ignored("digest", STATUS_ONLY),
        Keyword::ignored("regex", STATUS_ONLY),
        Keyword::ignored("regex_no_match", STATUS_ONLY),
        Keyword::ignored("regex_options", STATUS_ONLY),
        Keyword::ignored("regex_stack", STATUS_ONLY),
        Keyword::ignored("regex_min_offset", STATUS_ONLY),
        Keyword::ignored("regex_max_offset", STATUS_ONLY),
        Keyword::ignored("tls_compliant", STATUS_ONLY),
    ]],
};

/// The keywords of the checks.
pub(super) fn keywords() -> impl Iterator<Item = KeywordInfo> {
    TABLE.list().chain(URL.list())
}

pub(super) fn tcp(real: &mut RealDraft, node: &Node, context: &mut Context<'_>) {
    let check = read(node, context);
    set(real, node, check, context);
}

pub(super) fn http(real: &mut RealDraft, node: &Node, context: &mut Context<'_>) {
    let mut check = read(node, context);
    check.url.get_or_insert_default();
    set(real, node, check, context);
}

/// A check that is not built: a connection to the same place, as often.
pub(super) fn stand_in(real: &mut RealDraft, node: &Node, context: &mut Context<'_>) {
    context.diagnostics.push_once(
        &format!("stand-in {}", node.keyword.text),
        Diagnostic::warning(node.keyword.span.clone(), "this kind of check is not built")
            .found(&node.keyword.text)
            .action("a TCP connection to the server is tried instead"),
    );
    let known = [
        "connect_ip",
        "connect_port",
        "connect_timeout",
        "retry",
        "nb_get_retry",
        "delay_before_retry",
        "delay_loop",
    ];
    let nodes: Vec<Node> = inside(node)
        .iter()
        .filter(|node| known.contains(&node.keyword.text.as_str()))
        .cloned()
        .collect();
    let mut check = CheckDraft::default();
    context.read(&mut check, &nodes, &TABLE);
    if real.check.is_none() {
        real.check = Some(check);
    }
}

fn read(node: &Node, context: &mut Context<'_>) -> CheckDraft {
    let mut check = CheckDraft::default();
    context.read(&mut check, inside(node), &TABLE);
    check
}

fn set(real: &mut RealDraft, node: &Node, check: CheckDraft, context: &mut Context<'_>) {
    if real.check.is_some() {
        context.diagnostics.push(
            Diagnostic::warning(node.keyword.span.clone(), "a second check of one server")
                .found(&node.keyword.text)
                .action("the first one counts"),
        );
        return;
    }
    real.check = Some(check);
}

impl CheckDraft {
    /// What is not said here is said by the server, or by the virtual server, or is keepalived's
    /// default.
    pub(super) fn finish(&self, real: &RealDraft, around: &Draft) -> Check {
        let mut address = real.address;
        if let Some(ip) = self.connect_ip {
            address.set_ip(ip);
        }
        if let Some(port) = self.connect_port {
            address.set_port(port);
        }
        let retry_delay = if self.url.is_some() { 3 } else { 1 };
        let seconds = |mine: Option<Duration>, reals, arounds, default| {
            mine.or(reals)
                .or(arounds)
                .unwrap_or(Duration::from_secs(default))
        };
        Check {
            kind: self.kind(real, around),
            address,
            connect_timeout: seconds(
                self.connect_timeout,
                real.connect_timeout,
                around.connect_timeout,
                5,
            ),
            interval: seconds(self.delay_loop, real.delay_loop, around.delay_loop, 60),
            retry: self.retry.or(real.retry).or(around.retry).unwrap_or(1),
            retry_delay: seconds(
                self.retry_delay,
                real.retry_delay,
                around.retry_delay,
                retry_delay,
            ),
        }
    }

    fn kind(&self, real: &RealDraft, around: &Draft) -> CheckKind {
        let Some(url) = &self.url else {
            return CheckKind::Tcp;
        };
        let hosts = [
            &url.virtual_host,
            &self.virtual_host,
            &real.virtual_host,
            &around.virtual_host,
        ];
        let status = match url.status.as_slice() {
            [] => vec![(200, 299)],
            status => status.to_vec(),
        };
        CheckKind::Http {
            path: url.path.clone().unwrap_or_else(|| "/".to_owned()),
            host: hosts.into_iter().flatten().next().cloned(),
            status,
        }
    }
}

fn connect_ip(draft: &mut CheckDraft, node: &Node, context: &mut Context<'_>) {
    draft.connect_ip = node
        .arguments
        .first()
        .and_then(|word| context.address(word));
}

fn connect_port(draft: &mut CheckDraft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.connect_port = word.and_then(|word| context.number(word, 1..=u16::MAX));
}

fn url(draft: &mut CheckDraft, node: &Node, context: &mut Context<'_>) {
    let mut url = Url::default();
    context.read(&mut url, inside(node), &URL);
    if draft.url.is_some() {
        context.diagnostics.push(
            Diagnostic::warning(node.keyword.span.clone(), "a second `url` of one check")
                .found(&node.keyword.text)
                .action("only the first one is asked for"),
        );
        return;
    }
    draft.url = Some(url);
}

/// Codes and ranges such as `200-299`, separated by blanks or commas.
fn status(draft: &mut Url, node: &Node, context: &mut Context<'_>) {
    for word in &node.arguments {
        for part in word.text.split(',').filter(|part| !part.is_empty()) {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let code = |text: &str| text.parse().ok().filter(|code| (100..=999).contains(code));
            match (code(from), code(to)) {
                (Some(from), Some(to)) if from <= to => draft.status.push((from, to)),
                _ => context.refuse(word, "status code", "a code or a range such as 200-299"),
            }
        }
    }
}
