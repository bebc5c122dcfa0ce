//! `vrrp_instance`: its keywords. What they mean together is in `finish`.

use std::{net::IpAddr, time::Duration};

use vrrp_proto::Version;

use super::{
    announcements,
    config::{Announcements, InitialState, Notify, Peer, VirtualAddress},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    lexer::Word,
};
use crate::config::diagnostic::{Diagnostic, Severity, Span};

mod finish;
mod rules;

pub(super) use finish::finish;

/// An instance while it is read: what was written, nothing filled in.
pub(super) struct Draft {
    pub(super) name: Word,
    /// Scripts defined before the instance.
    scripts_before: usize,
    /// Something in the block was refused: what is missing may be what was refused.
    refused: bool,
    state: Option<InitialState>,
    interface: Option<Word>,
    vrid: Option<vrrp_proto::Vrid>,
    version: Option<(Version, Span)>,
    priority: Option<u8>,
    interval: Option<(Duration, Word)>,
    nopreempt: Option<Span>,
    preempt_delay: Option<(Duration, Span)>,
    authentication: Option<AuthenticationDraft>,
    addresses: Vec<VirtualAddress>,
    excluded_addresses: Vec<VirtualAddress>,
    no_addresses: bool,
    native_ipv6: bool,
    dont_track_primary: bool,
    track_interfaces: Vec<TrackLine>,
    track_scripts: Vec<TrackLine>,
    unicast: bool,
    peers: Vec<(Peer, Span)>,
    unicast_ttl: Option<u8>,
    check_unicast_source: Option<bool>,
    source: Option<(IpAddr, Span)>,
    group: Option<(IpAddr, Span)>,
    accept: Option<bool>,
    strict: Option<bool>,
    announcements: Announcements,
    checksum_as_v2: Option<bool>,
    lower_priority_no_advert: Option<bool>,
    higher_priority_send_advert: Option<bool>,
    owner_ignore_adverts: Option<bool>,
    down_timer_adverts: Option<u8>,
    notify: Notify,
    smtp_alert: Option<bool>,
}

/// `NAME [weight N] [reverse]`.
struct TrackLine {
    name: Word,
    weight: Option<i16>,
    reverse: bool,
}

/// `authentication { ... }` while it is read.
struct AuthenticationDraft {
    span: Span,
    header: Option<bool>,
    password: Option<Word>,
}

impl announcements::Holder for Draft {
    fn announcements(&mut self) -> &mut Announcements {
        &mut self.announcements
    }
}

const FENCE: &str = "addresses are fenced by an nftables table of this program's own";
const REAL_MAC: &str = "adverts and addresses keep the interface's own MAC address";
const NOT_TRACKED: &str = "it is not tracked";
const NOT_INSTALLED: &str = "it is not installed; use notify scripts";

const TABLE: Table<Draft> = Table {
    block: "vrrp_instance",
    keywords: &[
        Keyword::read(
            "state",
            Takes::one("MASTER or BACKUP"),
            state,
            "What the instance begins as; only the owner really begins as master.",
        ),
        Keyword::read(
            "interface",
            Takes::one("an interface"),
            |d, n, _| d.interface = n.arguments.first().cloned(),
            "Where adverts are sent and addresses installed.",
        ),
        Keyword::read(
            "virtual_router_id",
            Takes::one("1 to 255"),
            vrid,
            "Number of the virtual router, one per interface and family.",
        ),
        Keyword::read(
            "priority",
            Takes::one("1 to 255"),
            priority,
            "Who becomes master; 255 is the owner (100).",
        ),
        Keyword::read(
            "advert_int",
            Takes::one("seconds"),
            interval,
            "Time between adverts (1 s).",
        ),
        Keyword::read(
            "version",
            Takes::one("2 or 3"),
            |d, n, c| d.version = c.version(n).map(|v| (v, n.keyword.span.clone())),
            "Version of VRRP (that of vrrp_version).",
        ),
        Keyword::read(
            "nopreempt",
            Takes::FLAG,
            |d, n, c| d.nopreempt = c.flag(n).then(|| n.keyword.span.clone()),
            "A router of lower priority that is master stays so.",
        ),
        Keyword::read(
            "preempt",
            Takes::FLAG,
            |d, n, c| {
                if c.flag(n) {
                    d.nopreempt = None
                }
            },
            "The opposite of nopreempt, and the default.",
        ),
        Keyword::read(
            "preempt_delay",
            Takes::one("seconds"),
            preempt_delay,
            "How long to wait before taking over from a lower priority (0).",
        ),
        Keyword::read(
            "authentication",
            Takes::BLOCK,
            authentication,
            "Password of VRRPv2.",
        ),
        Keyword::read(
            "virtual_ipaddress",
            Takes::BLOCK,
            addresses,
            "Addresses that are installed and advertised.",
        ),
        Keyword::read(
            "virtual_ipaddress_excluded",
            Takes::BLOCK,
            excluded_addresses,
            "Addresses that are installed but not advertised.",
        ),
        Keyword::read(
            "no_virtual_ipaddress",
            Takes::FLAG,
            |d, n, c| d.no_addresses = c.flag(n),
            "The instance has no addresses, on purpose.",
        ),
        Keyword::read(
            "native_ipv6",
            Takes::FLAG,
            |d, n, c| d.native_ipv6 = c.flag(n),
            "IPv6, without an address that says so.",
        ),
        Keyword::read(
            "dont_track_primary",
            Takes::FLAG,
            |d, n, c| d.dont_track_primary = c.flag(n),
            "Loss of the interface is no fault.",
        ),
        Keyword::read(
            "track_interface",
            Takes::BLOCK,
            |d, n, c| track(&mut d.track_interfaces, n, c, 254),
            "Other interfaces, whose loss is a fault or lowers the priority.",
        ),
        Keyword::read(
            "track_script",
            Takes::BLOCK,
            |d, n, c| track(&mut d.track_scripts, n, c, 253),
            "Scripts, whose failure is a fault or changes the priority.",
        ),
        Keyword::read(
            "mcast_src_ip",
            Takes::one("an address"),
            source,
            "Source of adverts.",
        ),
        Keyword::read(
            "mcast_dst_ip",
            Takes::one("a group"),
            group,
            "Where adverts go.",
        ),
        Keyword::read(
            "unicast_src_ip",
            Takes::one("an address"),
            source,
            "Source of adverts to unicast peers.",
        ),
        Keyword::read(
            "unicast_peer",
            Takes::BLOCK,
            peers,
            "Adverts go to these addresses instead of the group.",
        ),
        Keyword::read(
            "unicast_ttl",
            Takes::one("0 to 255"),
            unicast_ttl,
            "TTL of adverts to unicast peers (255).",
        ),
        Keyword::read(
            "check_unicast_src",
            Takes::FLAG,
            |d, n, c| d.check_unicast_source = Some(c.flag(n)),
            "Adverts of others than the peers are dropped (on).",
        ),
        Keyword::read(
            "accept",
            Takes::FLAG,
            |d, n, c| d.accept = Some(c.flag(n)),
            "Packets to the addresses are accepted (on).",
        ),
        Keyword::read(
            "no_accept",
            Takes::FLAG,
            |d, n, c| d.accept = Some(!c.flag(n)),
            "Packets to the addresses are dropped.",
        ),
        Keyword::read(
            "strict_mode",
            Takes::FLAG,
            |d, n, c| d.strict = Some(c.flag(n)),
            "As vrrp_strict, for this instance.",
        ),
        Keyword::read(
            "garp_master_delay",
            Takes::one("seconds"),
            announcements::delay,
            "The second announcement follows the first after this (5 s).",
        ),
        Keyword::read(
            "garp_master_repeat",
            Takes::one("a number"),
            announcements::repeat,
            "Packets of one announcement (5).",
        ),
        Keyword::read(
            "garp_master_refresh",
            Takes::one("seconds"),
            announcements::refresh,
            "Announces again at this interval (never).",
        ),
        Keyword::read(
            "garp_master_refresh_repeat",
            Takes::one("a number"),
            announcements::refresh_repeat,
            "Packets of one such announcement (1).",
        ),
        Keyword::read(
            "garp_lower_prio_delay",
            Takes::one("seconds"),
            announcements::lower_priority_delay,
            "As garp_master_delay, after an advert of lower priority.",
        ),
        Keyword::read(
            "garp_lower_prio_repeat",
            Takes::one("a number"),
            announcements::lower_priority_repeat,
            "As garp_master_repeat, after an advert of lower priority.",
        ),
        Keyword::read(
            "v3_checksum_as_v2",
            Takes::FLAG,
            |d, n, c| d.checksum_as_v2 = Some(c.flag(n)),
            "Checksum of VRRPv3 over IPv4 without pseudo-header, as RFC 9568 has it.",
        ),
        Keyword::read(
            "lower_prio_no_advert",
            Takes::FLAG,
            |d, n, c| d.lower_priority_no_advert = Some(c.flag(n)),
            "A lower priority is not answered by an advert at once.",
        ),
        Keyword::read(
            "higher_prio_send_advert",
            Takes::FLAG,
            |d, n, c| d.higher_priority_send_advert = Some(c.flag(n)),
            "One last advert when a higher priority is heard.",
        ),
        Keyword::read(
            "owner_ignore_adverts",
            Takes::FLAG,
            |d, n, c| d.owner_ignore_adverts = Some(c.flag(n)),
            "The owner hears no adverts.",
        ),
        Keyword::read(
            "down_timer_adverts",
            Takes::one("1 to 100"),
            down_timer_adverts,
            "Adverts that may be missed before a backup takes over (3).",
        ),
        Keyword::read(
            "notify_master",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.master = c.notify_command(n),
            "Run on becoming master.",
        ),
        Keyword::read(
            "notify_backup",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.backup = c.notify_command(n),
            "Run on becoming backup.",
        ),
        Keyword::read(
            "notify_fault",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.fault = c.notify_command(n),
            "Run on a fault.",
        ),
        Keyword::read(
            "notify_stop",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.stop = c.notify_command(n),
            "Run when the daemon stops.",
        ),
        Keyword::read(
            "notify_deleted",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.deleted = c.notify_command(n),
            "Run when a reload removes the instance.",
        ),
        Keyword::read(
            "notify_master_rx_lower_pri",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.master_rx_lower_priority = c.notify_command(n),
            "Run when a master hears a lower priority.",
        ),
        Keyword::read(
            "notify",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.any = c.notify_command(n),
            "Run on each change, with `INSTANCE NAME STATE PRIORITY`.",
        ),
        Keyword::kept(
            "smtp_alert",
            Takes::FLAG,
            |d, n, c| d.smtp_alert = Some(c.flag(n)),
            "no mail is sent; use notify scripts",
        ),
        Keyword::ignored(
            "skip_check_adv_addr",
            "the address list of adverts is never a reason to drop them",
        ),
        Keyword::ignored(
            "old_unicast_checksum",
            "the old checksum is accepted and never sent",
        ),
        Keyword::ignored("use_vmac", REAL_MAC),
        Keyword::ignored("use_vmac_addr", REAL_MAC),
        Keyword::ignored("vmac_xmit_base", REAL_MAC),
        Keyword::ignored("use_ipvlan", REAL_MAC),
        Keyword::ignored("vmac_garp_intvl", REAL_MAC),
        Keyword::ignored(
            "garp_extra_if",
            "announcements go out of the address's interface only",
        ),
        Keyword::ignored("vrf", "adverts are sent on the interface itself"),
        Keyword::ignored(
            "track_src_ip",
            "the instance waits for its source address in any case",
        ),
        Keyword::ignored("track_file", NOT_TRACKED),
        Keyword::ignored("track_process", NOT_TRACKED),
        Keyword::ignored("track_bfd", NOT_TRACKED),
        Keyword::ignored("virtual_routes", NOT_INSTALLED),
        Keyword::ignored("virtual_rules", NOT_INSTALLED),
        Keyword::ignored(
            "promote_secondaries",
            "virtual addresses are never primary addresses of a subnet",
        ),
        Keyword::ignored("nftables", FENCE),
        Keyword::ignored("linkbeat_use_polling", "the kernel reports link changes"),
        Keyword::ignored("lvs_sync_daemon_interface", "the kernel's IPVS is not used"),
        Keyword::ignored("lvs_sync_daemon_inteface", "the kernel's IPVS is not used"),
        Keyword::ignored(
            "timer_expired_backup",
            "a router whose lease on the addresses ran out always re-elects",
        ),
        Keyword::ignored(
            "thread_timer_expired",
            "a router whose lease on the addresses ran out always re-elects",
        ),
        Keyword::ignored(
            "notify_priority_changes",
            "use vrrp_notify_priority_changes in global_defs",
        ),
        Keyword::ignored(
            "kernel_rx_buf_size",
            "receive buffers are as large as the kernel allows",
        ),
        Keyword::ignored("debug", "the log level is set on the command line"),
        Keyword::ignored("description", "it is a comment"),
    ],
};

const AUTHENTICATION: Table<AuthenticationDraft> = Table {
    block: "authentication",
    keywords: &[
        Keyword::read(
            "auth_type",
            Takes::one("PASS or AH"),
            |d, n, c| {
                d.header = n.arguments.first().and_then(|word| {
                    c.choice(
                        word,
                        "type of authentication",
                        &[("PASS", false), ("AH", true)],
                    )
                })
            },
            "PASS: the password in the packet; AH: an Authentication Header.",
        ),
        Keyword::read(
            "auth_pass",
            Takes::one("a password"),
            |d, n, _| d.password = n.arguments.first().cloned(),
            "The password, up to 8 characters.",
        ),
    ],
};

/// The keywords of the block and of `authentication` in it.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list().chain(AUTHENTICATION.list())
}

/// Reads `vrrp_instance NAME { ... }`. `announcements` are the defaults of `global_defs`;
/// `scripts_before` is how many scripts were defined before.
pub(super) fn read(
    node: &Node,
    announcements: Announcements,
    scripts_before: usize,
    context: &mut Context<'_>,
) -> Option<Draft> {
    let name = node.arguments.first()?.clone();
    let mut draft = Draft {
        name,
        scripts_before,
        refused: false,
        state: None,
        interface: None,
        vrid: None,
        version: None,
        priority: None,
        interval: None,
        nopreempt: None,
        preempt_delay: None,
        authentication: None,
        addresses: Vec::new(),
        excluded_addresses: Vec::new(),
        no_addresses: false,
        native_ipv6: false,
        dont_track_primary: false,
        track_interfaces: Vec::new(),
        track_scripts: Vec::new(),
        unicast: false,
        peers: Vec::new(),
        unicast_ttl: None,
        check_unicast_source: None,
        source: None,
        group: None,
        accept: None,
        strict: None,
        announcements,
        checksum_as_v2: None,
        lower_priority_no_advert: None,
        higher_priority_send_advert: None,
        owner_ignore_adverts: None,
        down_timer_adverts: None,
        notify: Notify::default(),
        smtp_alert: None,
    };
    let errors = context.diagnostics.count(Severity::Error);
    context.read(&mut draft, inside(node), &TABLE);
    draft.refused = context.diagnostics.count(Severity::Error) > errors;
    Some(draft)
}

fn state(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let states = [
        ("MASTER", InitialState::Master),
        ("BACKUP", InitialState::Backup),
    ];
    let word = node.arguments.first();
    draft.state = word.and_then(|word| context.choice(word, "state", &states));
}

fn vrid(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    let number = word.and_then(|word| context.number(word, 1..=u8::MAX));
    draft.vrid = number.and_then(vrrp_proto::Vrid::new);
}

fn priority(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.priority = word.and_then(|word| context.number(word, 1..=u8::MAX));
}

fn interval(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    // What the version can say is checked when the version is known.
    let range = Duration::from_millis(1)..=Duration::from_secs(255);
    draft.interval = context
        .seconds(word, range)
        .map(|interval| (interval, word.clone()));
}

fn preempt_delay(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let range = Duration::ZERO..=Duration::from_secs(1000);
    let delay = node
        .arguments
        .first()
        .and_then(|word| context.seconds(word, range));
    draft.preempt_delay = delay.map(|delay| (delay, node.keyword.span.clone()));
}

fn authentication(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let mut authentication = AuthenticationDraft {
        span: node.keyword.span.clone(),
        header: None,
        password: None,
    };
    context.read(&mut authentication, inside(node), &AUTHENTICATION);
    draft.authentication = Some(authentication);
}

fn addresses(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let lines = inside(node).iter();
    draft.addresses = lines
        .filter_map(|line| context.virtual_address(line))
        .collect();
}

fn excluded_addresses(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let lines = inside(node).iter();
    draft.excluded_addresses = lines
        .filter_map(|line| context.virtual_address(line))
        .collect();
}

fn source(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let address = node
        .arguments
        .first()
        .and_then(|word| context.address(word));
    draft.source = address.map(|address| (address, node.keyword.span.clone()));
}

fn group(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    match word.text.parse::<IpAddr>() {
        Ok(group) if group.is_multicast() => draft.group = Some((group, word.span.clone())),
        _ => context.refuse(word, "group", "a multicast address"),
    }
}

fn unicast_ttl(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.unicast_ttl = word.and_then(|word| context.number(word, 1..=u8::MAX));
}

fn down_timer_adverts(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.down_timer_adverts = word.and_then(|word| context.number(word, 1..=100));
}

/// Lines `ADDRESS [min_ttl N] [max_ttl N]`.
fn peers(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.unicast = true;
    for line in inside(node) {
        let Some(address) = context.address(&line.keyword) else {
            continue;
        };
        let mut peer = Peer {
            address,
            min_ttl: None,
            max_ttl: None,
        };
        for pair in line.arguments.chunks(2) {
            match pair {
                [word, value] if word.text == "min_ttl" => {
                    peer.min_ttl = context.number(value, 0..=u8::MAX);
                }
                [word, value] if word.text == "max_ttl" => {
                    peer.max_ttl = context.number(value, 0..=u8::MAX);
                }
                [word, ..] => {
                    context.refuse(word, "option of a peer", "`min_ttl N` or `max_ttl N`")
                }
                [] => {}
            }
        }
        draft.peers.push((peer, line.keyword.span.clone()));
    }
}

/// Lines `NAME [weight N] [reverse]`.
fn track(lines: &mut Vec<TrackLine>, node: &Node, context: &mut Context<'_>, max: i16) {
    for line in inside(node) {
        let mut read = TrackLine {
            name: line.keyword.clone(),
            weight: None,
            reverse: false,
        };
        let mut words = line.arguments.iter();
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "weight" => match words.next() {
                    Some(number) => read.weight = context.number(number, -max..=max),
                    None => context.refuse(word, "complete weight", "a number after it"),
                },
                "reverse" => read.reverse = true,
                _ => context.refuse(
                    word,
                    "option of what is tracked",
                    "`weight N`, `reverse`, or the end of the line",
                ),
            }
        }
        if lines.iter().any(|known| known.name.text == read.name.text) {
            context.diagnostics.push(
                Diagnostic::warning(read.name.span.clone(), "tracked twice")
                    .found(&read.name.text)
                    .action("the first line counts"),
            );
            continue;
        }
        lines.push(read);
    }
}
