//! `global_defs`: the process, mail, and the defaults of the instances.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

use vrrp_proto::Version;

use super::{
    announcements,
    command::user_of,
    config::{Announcements, Global},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
};

/// `global_defs` while it is read: what stays, and the defaults of the instances.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) global: Global,
    pub(super) defaults: Defaults,
}

/// What an instance takes over unless it says otherwise.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) version: Option<Version>,
    pub(super) strict: bool,
    pub(super) interface: Option<String>,
    pub(super) group_v4: Ipv4Addr,
    pub(super) group_v6: Ipv6Addr,
    pub(super) announcements: Announcements,
    pub(super) checksum_as_v2: bool,
    pub(super) lower_priority_no_advert: bool,
    pub(super) higher_priority_send_advert: bool,
    pub(super) owner_ignore_adverts: bool,
    pub(super) down_timer_adverts: u8,
    pub(super) smtp_alert: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            version: None,
            strict: false,
            interface: None,
            group_v4: vrrp_proto::MULTICAST_V4,
            group_v6: vrrp_proto::MULTICAST_V6,
            announcements: Announcements::default(),
            checksum_as_v2: false,
            lower_priority_no_advert: false,
            higher_priority_send_advert: false,
            owner_ignore_adverts: false,
            down_timer_adverts: 3,
            smtp_alert: false,
        }
    }
}

impl announcements::Holder for Draft {
    fn announcements(&mut self) -> &mut Announcements {
        &mut self.defaults.announcements
    }
}

const NO_MAIL: &str = "no mail is sent; use notify scripts";
const NO_SNMP: &str = "there is no SNMP agent";
const SCHEDULING: &str = "how the process is scheduled is left to the service manager";
const NO_IPVS: &str = "the kernel's IPVS is not used";
const FENCE: &str = "addresses are fenced by an nftables table of this program's own";
const RELOAD: &str = "a reload checks the whole file first and keeps the old one if it is refused";
const FILES: &str = "this program keeps its files elsewhere";
const PACING: &str = "announcements never delay adverts, and are not paced";
const FIFO_READER: &str = "it is not started; start it yourself, as a reader of the fifo";

const TABLE: Table<Draft> = Table {
    block: "global_defs",
    keywords: &[
        Keyword::read(
            "router_id",
            Takes::one("a name"),
            |d, n, _| d.global.router_id = first(n),
            "Name of this host in messages.",
        ),
        Keyword::obsolete(
            "lvs_id",
            Takes::one("a name"),
            |d, n, _| d.global.router_id = first(n),
            "router_id",
        ),
        Keyword::read(
            "vrrp_version",
            Takes::one("2 or 3"),
            version,
            "Version of instances that name none (2).",
        ),
        Keyword::read(
            "vrrp_strict",
            Takes::FLAG,
            |d, n, c| d.defaults.strict = c.flag(n),
            "Nothing beyond the RFC: no authentication, no unicast, packets to the addresses are not accepted.",
        ),
        Keyword::read(
            "default_interface",
            Takes::one("an interface"),
            |d, n, _| d.defaults.interface = first(n),
            "Interface of instances that name none.",
        ),
        Keyword::read(
            "vrrp_mcast_group4",
            Takes::one("an IPv4 group"),
            group_v4,
            "Where IPv4 adverts go (224.0.0.18).",
        ),
        Keyword::kept(
            "vrrp_mcast_group6",
            Takes::one("an IPv6 group"),
            group_v6,
            "adverts over IPv6 are not supported",
        ),
        Keyword::read(
            "vrrp_startup_delay",
            Takes::one("seconds"),
            startup_delay,
            "Routers begin so long after the start (0).",
        ),
        Keyword::read(
            "vrrp_garp_master_delay",
            Takes::one("seconds"),
            announcements::delay,
            "Default of garp_master_delay.",
        ),
        Keyword::read(
            "vrrp_garp_master_repeat",
            Takes::one("a number"),
            announcements::repeat,
            "Default of garp_master_repeat.",
        ),
        Keyword::read(
            "vrrp_garp_master_refresh",
            Takes::one("seconds"),
            announcements::refresh,
            "Default of garp_master_refresh.",
        ),
        Keyword::read(
            "vrrp_garp_master_refresh_repeat",
            Takes::one("a number"),
            announcements::refresh_repeat,
            "Default of garp_master_refresh_repeat.",
        ),
        Keyword::read(
            "vrrp_garp_lower_prio_delay",
            Takes::one("seconds"),
            announcements::lower_priority_delay,
            "Default of garp_lower_prio_delay.",
        ),
        Keyword::read(
            "vrrp_garp_lower_prio_repeat",
            Takes::one("a number"),
            announcements::lower_priority_repeat,
            "Default of garp_lower_prio_repeat.",
        ),
        Keyword::read(
            "vrrp_min_garp",
            Takes::FLAG,
            min_garp,
            "One announcement instead of five and five.",
        ),
        Keyword::read(
            "vrrp_lower_prio_no_advert",
            Takes::FLAG,
            |d, n, c| d.defaults.lower_priority_no_advert = c.flag(n),
            "Default of lower_prio_no_advert.",
        ),
        Keyword::read(
            "vrrp_higher_prio_send_advert",
            Takes::FLAG,
            |d, n, c| d.defaults.higher_priority_send_advert = c.flag(n),
            "Default of higher_prio_send_advert.",
        ),
        Keyword::read(
            "vrrp_owner_ignore_adverts",
            Takes::FLAG,
            |d, n, c| d.defaults.owner_ignore_adverts = c.flag(n),
            "Default of owner_ignore_adverts.",
        ),
        Keyword::read(
            "vrrp_down_timer_adverts",
            Takes::one("1 to 100"),
            down_timer_adverts,
            "Default of down_timer_adverts.",
        ),
        Keyword::read(
            "v3_checksum_as_v2",
            Takes::FLAG,
            |d, n, c| d.defaults.checksum_as_v2 = c.flag(n),
            "Checksum of VRRPv3 over IPv4 without pseudo-header, as RFC 9568 has it.",
        ),
        Keyword::read(
            "script_user",
            Takes::words(1, 2, "a user, perhaps a group"),
            |d, n, _| d.global.script_user = user_of(&n.arguments),
            "Who runs scripts that name no user.",
        ),
        Keyword::read(
            "enable_script_security",
            Takes::FLAG,
            |d, n, c| d.global.script_security = c.flag(n),
            "Scripts that root runs and that others can change are refused at the start.",
        ),
        Keyword::kept(
            "vrrp_notify_priority_changes",
            Takes::FLAG,
            |d, n, c| d.global.notify_priority_changes = c.flag(n),
            "the fifo and notify scripts hear of changes of state only",
        ),
        Keyword::kept("notification_email", Takes::BLOCK, recipients, NO_MAIL),
        Keyword::kept(
            "notification_email_from",
            Takes::one("an address"),
            |d, n, _| d.global.notification_email_from = first(n),
            NO_MAIL,
        ),
        Keyword::kept(
            "smtp_server",
            Takes::words(1, 2, "a host, perhaps a port"),
            smtp_server,
            NO_MAIL,
        ),
        Keyword::kept(
            "smtp_connect_timeout",
            Takes::one("seconds"),
            smtp_connect_timeout,
            NO_MAIL,
        ),
        Keyword::kept(
            "smtp_alert",
            Takes::FLAG,
            |d, n, c| d.defaults.smtp_alert = c.flag(n),
            NO_MAIL,
        ),
        Keyword::read(
            "notify_fifo",
            Takes::one("a path"),
            notify_fifo,
            "As vrrp_notify_fifo.",
        ),
        Keyword::read(
            "vrrp_notify_fifo",
            Takes::one("a path"),
            notify_fifo,
            "A fifo that gets a line for each change of state.",
        ),
        Keyword::ignored("vrrp_notify_fifo_script", FIFO_READER),
        Keyword::ignored("notify_fifo_script", FIFO_READER),
        Keyword::ignored("lvs_notify_fifo", "changes of a server's state are logged"),
        Keyword::ignored(
            "lvs_notify_fifo_script",
            "changes of a server's state are logged",
        ),
        Keyword::ignored(
            "fifo_write_vrrp_states_on_reload",
            "this version cannot reload",
        ),
        Keyword::ignored("smtp_helo_name", NO_MAIL),
        Keyword::ignored("smtp_alert_vrrp", NO_MAIL),
        Keyword::ignored("smtp_alert_checker", NO_MAIL),
        Keyword::ignored("email_faults", NO_MAIL),
        Keyword::ignored("no_email_faults", NO_MAIL),
        Keyword::ignored("enable_traps", NO_SNMP),
        Keyword::ignored("snmp_socket", NO_SNMP),
        Keyword::ignored("enable_snmp_vrrp", NO_SNMP),
        Keyword::ignored("enable_snmp_checker", NO_SNMP),
        Keyword::ignored("enable_snmp_rfc", NO_SNMP),
        Keyword::ignored("enable_snmp_rfcv2", NO_SNMP),
        Keyword::ignored("enable_snmp_rfcv3", NO_SNMP),
        Keyword::ignored("enable_dbus", "there is no D-Bus interface"),
        Keyword::ignored("vrrp_iptables", FENCE),
        Keyword::ignored("vrrp_ipsets", FENCE),
        Keyword::ignored("nftables", FENCE),
        Keyword::ignored("nftables_priority", FENCE),
        Keyword::ignored("nftables_counters", FENCE),
        Keyword::ignored("nftables_ifindex", FENCE),
        Keyword::ignored(
            "vrrp_skip_check_adv_addr",
            "the address list of adverts is never a reason to drop them",
        ),
        Keyword::ignored(
            "vrrp_check_unicast_src",
            "sources are always checked unless `check_unicast_src no`",
        ),
        Keyword::ignored("vrrp_garp_interval", PACING),
        Keyword::ignored("vrrp_gna_interval", PACING),
        Keyword::ignored(
            "vrrp_garp_extra_if",
            "announcements go out of the address's interface only",
        ),
        Keyword::ignored("dynamic_interfaces", "interfaces may always come and go"),
        Keyword::ignored("linkbeat_use_polling", "the kernel reports link changes"),
        Keyword::ignored("vrrp_priority", SCHEDULING),
        Keyword::ignored("vrrp_rt_priority", SCHEDULING),
        Keyword::ignored("vrrp_rlimit_rttime", SCHEDULING),
        Keyword::ignored("vrrp_rlimit_rtime", SCHEDULING),
        Keyword::ignored("vrrp_no_swap", SCHEDULING),
        Keyword::ignored("vrrp_cpu_affinity", SCHEDULING),
        Keyword::ignored("max_auto_priority", SCHEDULING),
        Keyword::ignored("min_auto_priority_delay", SCHEDULING),
        Keyword::ignored("checker_priority", SCHEDULING),
        Keyword::ignored("checker_rt_priority", SCHEDULING),
        Keyword::ignored("checker_no_swap", SCHEDULING),
        Keyword::ignored("checker_cpu_affinity", SCHEDULING),
        Keyword::ignored("bfd_priority", SCHEDULING),
        Keyword::ignored("bfd_rt_priority", SCHEDULING),
        Keyword::ignored("bfd_no_swap", SCHEDULING),
        Keyword::ignored("bfd_cpu_affinity", SCHEDULING),
        Keyword::ignored("process_names", SCHEDULING),
        Keyword::ignored("process_name", SCHEDULING),
        Keyword::ignored("vrrp_process_name", SCHEDULING),
        Keyword::ignored("checker_process_name", SCHEDULING),
        Keyword::ignored(
            "vrrp_rx_bufs_policy",
            "receive buffers are as large as the kernel allows",
        ),
        Keyword::ignored(
            "vrrp_rx_bufs_multiplier",
            "receive buffers are as large as the kernel allows",
        ),
        Keyword::ignored(
            "vrrp_netlink_cmd_rcv_bufs",
            "receive buffers are as large as the kernel allows",
        ),
        Keyword::ignored(
            "vrrp_netlink_monitor_rcv_bufs",
            "receive buffers are as large as the kernel allows",
        ),
        Keyword::ignored("lvs_sync_daemon", NO_IPVS),
        Keyword::ignored("lvs_flush", NO_IPVS),
        Keyword::ignored("lvs_flush_onstop", NO_IPVS),
        Keyword::ignored("lvs_timeouts", NO_IPVS),
        Keyword::ignored("lvs_flush_on_stop", NO_IPVS),
        Keyword::ignored(
            "checker_log_all_failures",
            "changes of a server's state are logged",
        ),
        Keyword::ignored(
            "startup_script",
            "it is not run; let the service manager run it",
        ),
        Keyword::ignored(
            "startup_script_timeout",
            "it is not run; let the service manager run it",
        ),
        Keyword::ignored(
            "shutdown_script",
            "it is not run; let the service manager run it",
        ),
        Keyword::ignored(
            "shutdown_script_timeout",
            "it is not run; let the service manager run it",
        ),
        Keyword::ignored("reload_check_config", RELOAD),
        Keyword::ignored("reload_repeat", RELOAD),
        Keyword::ignored("reload_time_file", RELOAD),
        Keyword::ignored("reload_file", RELOAD),
        Keyword::ignored("keep_script_fds", "scripts inherit no descriptors"),
        Keyword::ignored("instance", "one file, one daemon"),
        Keyword::ignored(
            "net_namespace",
            "it runs in the namespace in which it was started",
        ),
        Keyword::ignored("net_namespace_ipvs", NO_IPVS),
        Keyword::ignored("namespace_with_ipsets", FENCE),
        Keyword::ignored("use_pid_dir", FILES),
        Keyword::ignored("config_save_dir", FILES),
        Keyword::ignored("tmp_config_directory", FILES),
        Keyword::ignored("umask", FILES),
        Keyword::ignored(
            "use_symlink_paths",
            "scripts are run under the path that is written",
        ),
        Keyword::ignored(
            "vmac_prefix",
            "adverts carry the interface's own MAC address",
        ),
        Keyword::ignored(
            "vmac_addr_prefix",
            "adverts carry the interface's own MAC address",
        ),
        Keyword::ignored(
            "log_unknown_vrids",
            "adverts of unknown routers are counted",
        ),
        Keyword::ignored("json_version", "`ha-lb status --json` has one format"),
        Keyword::ignored("random_seed", "nothing is drawn at random"),
        Keyword::ignored("vrrp_delay_after_boot", "use vrrp_startup_delay"),
        Keyword::ignored(
            "disable_local_igmp",
            "the kernel's group membership is used",
        ),
    ],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list()
}

/// Reads `global_defs { ... }`.
pub(super) fn read(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    context.read(draft, inside(node), &TABLE);
}

fn first(node: &Node) -> Option<String> {
    node.arguments.first().map(|word| word.text.clone())
}

fn version(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.defaults.version = context.version(node);
}

fn group_v4(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    match word.text.parse() {
        Ok(IpAddr::V4(group)) if group.is_multicast() => draft.defaults.group_v4 = group,
        _ => context.refuse(word, "group", "an IPv4 multicast address"),
    }
}

fn group_v6(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    match word.text.parse() {
        Ok(IpAddr::V6(group)) if group.is_multicast() => draft.defaults.group_v6 = group,
        _ => context.refuse(word, "group", "an IPv6 multicast address"),
    }
}

fn startup_delay(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let range = Duration::ZERO..=Duration::from_secs(86_400);
    let delay = node
        .arguments
        .first()
        .and_then(|word| context.seconds(word, range));
    draft.global.startup_delay = delay.unwrap_or_default();
}

fn notify_fifo(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    if word.text.starts_with('/') {
        draft.global.notify_fifos.push(PathBuf::from(&word.text));
    } else {
        context.refuse(word, "path of a fifo", "a path from the root");
    }
}

fn min_garp(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if context.flag(node) {
        draft.defaults.announcements.repeat = 1;
        draft.defaults.announcements.delay = Duration::ZERO;
    }
}

fn down_timer_adverts(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some(count) = node
        .arguments
        .first()
        .and_then(|word| context.number(word, 1..=100))
    {
        draft.defaults.down_timer_adverts = count;
    }
}

fn recipients(draft: &mut Draft, node: &Node, _: &mut Context<'_>) {
    let recipients = inside(node).iter().map(|line| line.keyword.text.clone());
    draft.global.notification_email.extend(recipients);
}

fn smtp_server(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some((host, port)) = node.arguments.split_first() else {
        return;
    };
    let port = match port.first() {
        Some(word) => context.number(word, 1..=u16::MAX),
        None => Some(25),
    };
    draft.global.smtp_server = port.map(|port| (host.text.clone(), port));
}

fn smtp_connect_timeout(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    draft.global.smtp_connect_timeout = node
        .arguments
        .first()
        .and_then(|word| context.seconds(word, range));
}

impl Context<'_> {
    /// `2` or `3`.
    pub(super) fn version(&mut self, node: &Node) -> Option<Version> {
        let word = node.arguments.first()?;
        self.choice(
            word,
            "version of VRRP",
            &[("2", Version::V2), ("3", Version::V3)],
        )
    }
}
