//! `virtual_server` and what is in it: `real_server` and its checks.

use std::{net::SocketAddr, time::Duration};

use super::{
    config::{RealServer, Scheduler, VirtualServer},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

mod check;

use check::CheckDraft;

/// A virtual server while it is read.
#[derive(Default)]
struct Draft {
    scheduler: Option<Scheduler>,
    forwarding: Option<String>,
    persistence: Option<Duration>,
    persistence_prefix: Option<u8>,
    delay_loop: Option<Duration>,
    retry: Option<u32>,
    retry_delay: Option<Duration>,
    connect_timeout: Option<Duration>,
    sorry_server: Option<SocketAddr>,
    quorum: Option<u32>,
    starts_down: bool,
    virtual_host: Option<String>,
    other_protocol: Option<Word>,
    real_servers: Vec<RealDraft>,
}

/// A real server while it is read.
struct RealDraft {
    name: Word,
    address: SocketAddr,
    weight: u16,
    upper_threshold: Option<u32>,
    check: Option<CheckDraft>,
    retry: Option<u32>,
    retry_delay: Option<Duration>,
    connect_timeout: Option<Duration>,
    delay_loop: Option<Duration>,
    virtual_host: Option<String>,
}

const MAX_TIME: Duration = Duration::from_secs(1_000_000);
/// keepalived: `persistence_timeout` without a value.
const DEFAULT_PERSISTENCE: Duration = Duration::from_secs(360);

const SCHEDULERS: &[(&str, Scheduler)] = &[
    ("rr", Scheduler::RoundRobin),
    ("wrr", Scheduler::WeightedRoundRobin),
    ("lc", Scheduler::LeastConnections),
    ("wlc", Scheduler::WeightedLeastConnections),
    ("sed", Scheduler::WeightedLeastConnections),
    ("nq", Scheduler::WeightedLeastConnections),
    ("lblc", Scheduler::WeightedLeastConnections),
    ("lblcr", Scheduler::WeightedLeastConnections),
    ("sh", Scheduler::SourceHash),
    ("dh", Scheduler::SourceHash),
    ("mh", Scheduler::ConsistentSourceHash),
];

const PROXY: &str = "a proxy has no such setting";
const NO_NOTIFY: &str = "it is not run; changes of a server's state are logged";
const PROBES: &str = "it is left out; the server is checked without it";
const FORWARDING: &str = "NAT, DR or TUN";

const TABLE: Table<Draft> = Table {
    block: "virtual_server",
    keywords: &[
        Keyword::read(
            "lb_algo",
            Takes::one("a scheduler"),
            scheduler,
            "How a server is chosen.",
        ),
        Keyword::obsolete("lvs_sched", Takes::one("a scheduler"), scheduler, "lb_algo"),
        Keyword::read(
            "lb_kind",
            Takes::words(1, 4, FORWARDING),
            forwarding,
            "How IPVS would forward; a proxy forwards as NAT in both directions.",
        ),
        Keyword::obsolete(
            "lvs_method",
            Takes::words(1, 4, FORWARDING),
            forwarding,
            "lb_kind",
        ),
        Keyword::read(
            "persistence_timeout",
            Takes::words(0, 1, "seconds"),
            persistence,
            "A client stays with its server for so long (360 s).",
        ),
        Keyword::read(
            "persistence_granularity",
            Takes::one("a netmask or prefix length"),
            granularity,
            "Clients of one network count as one.",
        ),
        Keyword::read(
            "protocol",
            Takes::one("TCP"),
            protocol,
            "TCP; servers of other protocols are not served.",
        ),
        Keyword::read(
            "delay_loop",
            Takes::one("seconds"),
            |d, n, c| d.delay_loop = time(n, c),
            "Time between checks (60 s).",
        ),
        Keyword::read(
            "connect_timeout",
            Takes::one("seconds"),
            |d, n, c| d.connect_timeout = time(n, c),
            "Default of the checks' connect_timeout (5 s).",
        ),
        Keyword::read(
            "retry",
            Takes::one("a number"),
            |d, n, c| d.retry = count(n, c),
            "Default of the checks' retry (1).",
        ),
        Keyword::read(
            "delay_before_retry",
            Takes::one("seconds"),
            |d, n, c| d.retry_delay = time(n, c),
            "Default of the checks' delay_before_retry (1 s).",
        ),
        Keyword::read(
            "sorry_server",
            Takes::words(1, 2, "an address and a port"),
            sorry_server,
            "Used when no other server is up.",
        ),
        Keyword::read(
            "quorum",
            Takes::one("a number"),
            |d, n, c| d.quorum = count(n, c),
            "Weight that must be up (1).",
        ),
        Keyword::read(
            "alpha",
            Takes::FLAG,
            |d, n, c| d.starts_down = c.flag(n),
            "Servers are down until their first check has passed.",
        ),
        Keyword::read(
            "virtualhost",
            Takes::one("a host"),
            |d, n, _| d.virtual_host = first(n),
            "Host header of the checks.",
        ),
        Keyword::repeated(
            "real_server",
            Takes::named(2, "an address and a port"),
            real_server,
            "A server.",
        ),
        Keyword::ignored(
            "hysteresis",
            "the quorum is left at the weight at which it is reached",
        ),
        Keyword::ignored("quorum_up", NO_NOTIFY),
        Keyword::ignored("quorum_down", NO_NOTIFY),
        Keyword::ignored("omega", PROXY),
        Keyword::ignored("ops", PROXY),
        Keyword::ignored("hashed", PROXY),
        Keyword::ignored("flag-1", PROXY),
        Keyword::ignored("flag-2", PROXY),
        Keyword::ignored("flag-3", PROXY),
        Keyword::ignored("mh-port", PROXY),
        Keyword::ignored("mh-fallback", PROXY),
        Keyword::ignored("sh-port", PROXY),
        Keyword::ignored("sh-fallback", PROXY),
        Keyword::ignored("persistence_engine", PROXY),
        Keyword::ignored("ip_family", "the address has its family"),
        Keyword::ignored("ha_suspend", "servers are checked on every host"),
        Keyword::ignored(
            "inhibit_on_failure",
            "a server that is down takes no new connections, and keeps those it has",
        ),
        Keyword::ignored(
            "sorry_server_inhibit",
            "a server that is down takes no new connections, and keeps those it has",
        ),
        Keyword::ignored("sorry_server_lvs_method", PROXY),
        Keyword::ignored("warmup", "first checks are spread over the interval"),
        Keyword::ignored("weight", "write it in each real_server"),
        Keyword::ignored(
            "smtp_alert",
            "no mail is sent; changes of a server's state are logged",
        ),
    ],
};

const REAL: Table<RealDraft> = Table {
    block: "real_server",
    keywords: &[
        Keyword::read(
            "weight",
            Takes::one("0 to 256"),
            weight,
            "Share of the connections (1).",
        ),
        Keyword::read(
            "uthreshold",
            Takes::one("a number"),
            |d, n, c| d.upper_threshold = count(n, c),
            "Most connections.",
        ),
        Keyword::read(
            "TCP_CHECK",
            Takes::BLOCK,
            check::tcp,
            "The server accepts a connection.",
        ),
        Keyword::read(
            "HTTP_GET",
            Takes::BLOCK,
            check::http,
            "The server answers a request with a status that is asked for.",
        ),
        Keyword::read(
            "delay_loop",
            Takes::one("seconds"),
            |d, n, c| d.delay_loop = time(n, c),
            "Time between checks.",
        ),
        Keyword::read(
            "connect_timeout",
            Takes::one("seconds"),
            |d, n, c| d.connect_timeout = time(n, c),
            "Default of the check's connect_timeout.",
        ),
        Keyword::read(
            "retry",
            Takes::one("a number"),
            |d, n, c| d.retry = count(n, c),
            "Default of the check's retry.",
        ),
        Keyword::read(
            "delay_before_retry",
            Takes::one("seconds"),
            |d, n, c| d.retry_delay = time(n, c),
            "Default of the check's delay_before_retry.",
        ),
        Keyword::read(
            "virtualhost",
            Takes::one("a host"),
            |d, n, _| d.virtual_host = first(n),
            "Host header of the check.",
        ),
        Keyword::ignored("lthreshold", PROXY),
        Keyword::ignored("lvs_method", PROXY),
        Keyword::ignored("lb_kind", PROXY),
        Keyword::ignored(
            "inhibit_on_failure",
            "a server that is down takes no new connections, and keeps those it has",
        ),
        Keyword::ignored("notify_up", NO_NOTIFY),
        Keyword::ignored("notify_down", NO_NOTIFY),
        Keyword::ignored("alpha", "write it in the virtual_server"),
        Keyword::ignored("warmup", "first checks are spread over the interval"),
        Keyword::ignored("log_all_failures", "changes of a server's state are logged"),
        Keyword::ignored(
            "smtp_alert",
            "no mail is sent; changes of a server's state are logged",
        ),
        Keyword::ignored("SSL_GET", PROBES),
        Keyword::ignored("SMTP_CHECK", PROBES),
        Keyword::ignored("DNS_CHECK", PROBES),
        Keyword::ignored("MISC_CHECK", PROBES),
        Keyword::ignored("BFD_CHECK", PROBES),
        Keyword::ignored("UDP_CHECK", PROBES),
        Keyword::ignored("PING_CHECK", PROBES),
        Keyword::ignored("FILE_CHECK", PROBES),
    ],
};

/// The keywords of the block and of those in it.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list().chain(REAL.list()).chain(check::keywords())
}

/// Reads `virtual_server ADDRESS PORT { ... }`. `None` if it was refused or is not served.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<VirtualServer> {
    let (name, port) = node.arguments.split_first()?;
    if matches!(name.text.as_str(), "fwmark" | "group") {
        context.diagnostics.push(
            Diagnostic::error(name.span.clone(), "a virtual server without an address")
                .found(&name.text)
                .expected("an address and a port: a proxy has to listen somewhere"),
        );
        return None;
    }
    let address = context.socket(name, port.first());
    let mut draft = Draft::default();
    context.read(&mut draft, inside(node), &TABLE);
    let address = address?;
    if let Some(protocol) = &draft.other_protocol {
        context.diagnostics.push(
            Diagnostic::warning(protocol.span.clone(), "only TCP is served")
                .found(&protocol.text)
                .action("this virtual server is left out"),
        );
        return None;
    }
    let delay_loop = draft.delay_loop.unwrap_or(Duration::from_secs(60));
    let real_servers = draft
        .real_servers
        .iter()
        .map(|real| real.finish(&draft))
        .collect();
    Some(VirtualServer {
        span: name.span.clone(),
        address,
        // keepalived refuses a virtual server without; IPVS's own default is wlc.
        scheduler: draft
            .scheduler
            .unwrap_or(Scheduler::WeightedLeastConnections),
        forwarding: draft.forwarding,
        persistence: draft.persistence,
        persistence_prefix: draft.persistence_prefix,
        delay_loop,
        sorry_server: draft.sorry_server,
        quorum: draft.quorum.unwrap_or(1),
        starts_down: draft.starts_down,
        real_servers,
    })
}

impl RealDraft {
    fn finish(&self, around: &Draft) -> RealServer {
        RealServer {
            span: self.name.span.clone(),
            address: self.address,
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            check: self.check.as_ref().map(|check| check.finish(self, around)),
        }
    }
}

fn first(node: &Node) -> Option<String> {
    node.arguments.first().map(|word| word.text.clone())
}

fn time(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.seconds(word, Duration::from_millis(1)..=MAX_TIME)
}

fn count(node: &Node, context: &mut Context<'_>) -> Option<u32> {
    let word = node.arguments.first()?;
    context.number(word, 0..=i32::MAX.unsigned_abs())
}

fn scheduler(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    let nearest = match word.text.as_str() {
        "lblc" | "lblcr" | "dh" => "it is for caches in front of many destinations",
        "sed" | "nq" => "a proxy counts connections the same way in all three",
        "fo" | "ovf" | "twos" => {
            context.diagnostics.push(
                Diagnostic::warning(word.span.clone(), "this scheduler is not known here")
                    .found(&word.text)
                    .action("`wlc` is used"),
            );
            draft.scheduler = Some(Scheduler::WeightedLeastConnections);
            return;
        }
        _ => {
            draft.scheduler = context.choice(word, "scheduler", SCHEDULERS);
            return;
        }
    };
    draft.scheduler = context.choice(word, "scheduler", SCHEDULERS);
    let used = match draft.scheduler {
        Some(Scheduler::SourceHash) => "sh",
        _ => "wlc",
    };
    context.diagnostics.push(
        Diagnostic::warning(word.span.clone(), nearest)
            .found(&word.text)
            .action(format!("`{used}` is used")),
    );
}

fn forwarding(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let kinds = [("NAT", "NAT"), ("DR", "DR"), ("TUN", "TUN")];
    let word = node.arguments.first();
    let kind = word.and_then(|word| context.choice(word, "kind of forwarding", &kinds));
    draft.forwarding = kind.map(str::to_owned);
}

fn persistence(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.persistence = match node.arguments.first() {
        Some(_) => time(node, context),
        None => Some(DEFAULT_PERSISTENCE),
    };
}

/// An IPv4 netmask or the length of an IPv6 prefix.
fn granularity(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    let mask = word
        .text
        .parse::<std::net::Ipv4Addr>()
        .ok()
        .map(std::net::Ipv4Addr::to_bits);
    let of_mask = mask.filter(|mask| mask.leading_ones() + mask.trailing_zeros() >= 32);
    let length = match of_mask {
        Some(mask) => u8::try_from(mask.leading_ones()).ok(),
        None => word.text.parse::<u8>().ok().filter(|length| *length <= 128),
    };
    if length.is_none() {
        context.refuse(word, "netmask", "an IPv4 netmask or a prefix length");
    }
    draft.persistence_prefix = length;
}

fn protocol(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let protocols = [("TCP", true), ("UDP", false), ("SCTP", false)];
    let Some(word) = node.arguments.first() else {
        return;
    };
    if context.choice(word, "protocol", &protocols) == Some(false) {
        draft.other_protocol = Some(word.clone());
    }
}

fn sorry_server(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some((address, port)) = node.arguments.split_first() {
        draft.sorry_server = context.socket(address, port.first());
    }
}

fn real_server(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some((name, port)) = node.arguments.split_first() else {
        return;
    };
    let address = context.socket(name, port.first());
    let mut real = RealDraft {
        name: name.clone(),
        address: address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
        weight: 1,
        upper_threshold: None,
        check: None,
        retry: None,
        retry_delay: None,
        connect_timeout: None,
        delay_loop: None,
        virtual_host: None,
    };
    context.read(&mut real, inside(node), &REAL);
    if address.is_some() {
        draft.real_servers.push(real);
    }
}

fn weight(draft: &mut RealDraft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    if let Some(weight) = word.and_then(|word| context.number(word, 0..=256)) {
        draft.weight = weight;
    }
}
