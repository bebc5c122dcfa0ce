//! The keywords of `global_defs`.

use super::{
    Draft, delay_after_boot, down_timer_adverts, edge_limit, fifo, first, group_v4, group_v6,
    include_check, min_garp, process, recipients, sender, smtp_connect_timeout, smtp_server,
    startup_delay, version,
};
use crate::config::keepalived::{
    announcements,
    command::user_of,
    garp_group,
    keyword::{Keyword, Table, Takes},
    vmac,
};

const NO_CHECKER_MAIL: &str = "changes of a server's state are logged, not mailed";
const NO_BFD: &str = "BFD is not spoken";
const NO_SNMP: &str = "there is no SNMP agent";
const ROOM: &str = "receive buffers have room for 16 adverts of each instance, whatever the policy";
const BUFFERS: &str = "receive buffers have sizes of this program's own choosing";
const SCHEDULING: &str = "how the process is scheduled is left to the service manager";
const NO_IPVS: &str = "the kernel's IPVS is not used";
const FENCE: &str = "addresses are fenced by an nftables table of this program's own";
const RELOAD: &str = "a reload checks the whole file first and keeps the old one if it is refused";
const RELOADED_BY: &str = "no file starts a reload: SIGHUP or a command does";
pub(in crate::config::keepalived) const NAMESPACE: &str =
    "it runs in the namespace in which it was started";
pub(in crate::config::keepalived) const STOPPING: &str =
    "the speaker has 3 s to resign, the balancer its `hard-stop-after`";
const NOT_SAVED: &str = "the configuration that runs is kept in memory and written nowhere; `ha-lb check --diff` compares with it";
const DUMPS: &str = "the files of SIGUSR1 and its kind are named without the instance";
const NAMES: &str =
    "the speaker is called `keepalived` and the balancer `haproxy`, by which tools find them";
const SERVERS_LOGGED: &str = "changes of a server's state are logged";

pub(super) const TABLE: Table<Draft> = Table {
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
        Keyword::read(
            "vrrp_mcast_group6",
            Takes::one("an IPv6 group"),
            group_v6,
            "Where IPv6 adverts go (ff02::12).",
        ),
        Keyword::read(
            "vrrp_startup_delay",
            Takes::one("seconds"),
            startup_delay,
            "Routers begin so long after the start (0).",
        ),
        Keyword::read(
            "vrrp_delay_after_boot",
            Takes::one("seconds"),
            delay_after_boot,
            "Routers begin no sooner than so long after the host's boot (0).",
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
        Keyword::read(
            "vrrp_notify_priority_changes",
            Takes::FLAG,
            |d, n, c| d.defaults.notify_priority_changes = c.flag(n),
            "Fifos get a line when tracking changes a priority.",
        ),
        Keyword::read(
            "notification_email",
            Takes::BLOCK,
            recipients,
            "Who gets alerts by mail.",
        ),
        Keyword::read(
            "notification_email_from",
            Takes::one("an address"),
            sender,
            "Sender of alerts (keepalived@ this host).",
        ),
        Keyword::read(
            "smtp_server",
            Takes::words(1, 2, "a host, perhaps a port"),
            smtp_server,
            "Who takes alerts (port 25).",
        ),
        Keyword::read(
            "smtp_helo_name",
            Takes::one("a name"),
            |d, n, _| d.global.mail.helo = first(n),
            "This host's name for the mail server (the host name).",
        ),
        Keyword::read(
            "smtp_connect_timeout",
            Takes::one("seconds"),
            smtp_connect_timeout,
            "How long the mail server may take for each answer (30 s).",
        ),
        Keyword::read(
            "smtp_alert",
            Takes::FLAG,
            |d, n, c| d.defaults.smtp_alert = Some(c.flag(n)),
            "Alerts by mail for everything that does not say otherwise.",
        ),
        Keyword::read(
            "smtp_alert_vrrp",
            Takes::FLAG,
            |d, n, c| d.defaults.smtp_alert_vrrp = Some(c.flag(n)),
            "Alerts by mail for instances and sync groups that do not say otherwise.",
        ),
        Keyword::read(
            "no_email_faults",
            Takes::FLAG,
            |d, n, c| d.global.mail.no_faults = c.flag(n),
            "No alerts about faults.",
        ),
        Keyword::read(
            "email_faults",
            Takes::FLAG,
            |d, n, c| d.global.mail.no_faults = !c.flag(n),
            "Alerts about faults, too (on).",
        ),
        Keyword::read(
            "notify_fifo",
            Takes::words(1, 3, "a path, perhaps user and group"),
            fifo::every,
            "As vrrp_notify_fifo.",
        ),
        Keyword::read(
            "vrrp_notify_fifo",
            Takes::words(1, 3, "a path, perhaps user and group"),
            fifo::vrrp,
            "A fifo that gets a line for each change of state.",
        ),
        Keyword::read(
            "vrrp_notify_fifo_script",
            Takes::words(1, 3, "a command, perhaps user and group"),
            fifo::vrrp_reader,
            "Reads vrrp_notify_fifo, whose path is its last argument; started with the daemon and anew at each reload.",
        ),
        Keyword::read(
            "notify_fifo_script",
            Takes::words(1, 3, "a command, perhaps user and group"),
            fifo::every_reader,
            "The same for notify_fifo.",
        ),
        Keyword::ignored("lvs_notify_fifo", SERVERS_LOGGED),
        Keyword::ignored("lvs_notify_fifo_script", SERVERS_LOGGED),
        Keyword::read(
            "fifo_write_vrrp_states_on_reload",
            Takes::FLAG,
            |d, n, c| d.global.states_on_reload = c.flag(n),
            "After a reload the fifos get every state, not only those that change.",
        ),
        Keyword::ignored("smtp_alert_checker", NO_CHECKER_MAIL),
        Keyword::ignored("enable_traps", NO_SNMP),
        Keyword::ignored("snmp_socket", NO_SNMP),
        Keyword::ignored("enable_snmp_vrrp", NO_SNMP),
        Keyword::ignored("enable_snmp_checker", NO_SNMP),
        Keyword::ignored("enable_snmp_rfc", NO_SNMP),
        Keyword::ignored("enable_snmp_rfcv2", NO_SNMP),
        Keyword::ignored("enable_snmp_rfcv3", NO_SNMP),
        Keyword::ignored("bfd_process_name", NO_BFD),
        Keyword::ignored("bfd_rlimit_rttime", NO_BFD),
        Keyword::ignored("checker_rlimit_rttime", SCHEDULING),
        Keyword::ignored("child_wait_time", STOPPING),
        Keyword::ignored("data_use_instance", DUMPS),
        Keyword::ignored("dbus_service_name", "there is no D-Bus interface"),
        Keyword::ignored("enable_snmp_keepalived", NO_SNMP),
        Keyword::ignored("lvs_netlink_cmd_rcv_bufs", BUFFERS),
        Keyword::ignored("lvs_netlink_cmd_rcv_bufs_force", BUFFERS),
        Keyword::ignored("lvs_netlink_monitor_rcv_bufs", BUFFERS),
        Keyword::ignored("lvs_netlink_monitor_rcv_bufs_force", BUFFERS),
        Keyword::ignored("vrrp_netlink_cmd_rcv_bufs_force", BUFFERS),
        Keyword::ignored("vrrp_netlink_monitor_rcv_bufs_force", BUFFERS),
        Keyword::ignored("process_monitor_rcv_bufs", BUFFERS),
        Keyword::ignored("process_monitor_rcv_bufs_force", BUFFERS),
        Keyword::ignored("nftables_ipvs", NO_IPVS),
        Keyword::ignored("nftables_ipvs_priority", NO_IPVS),
        Keyword::ignored("nftables_ipvs_start_fwmark", NO_IPVS),
        Keyword::ignored("no_checker_emails", NO_CHECKER_MAIL),
        Keyword::ignored("rs_init_notifies", SERVERS_LOGGED),
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
        Keyword::read(
            "vrrp_garp_interval",
            Takes::one("seconds"),
            |d, n, c| d.global.pacing.arp = garp_group::interval(n, c),
            "Time between gratuitous ARPs on an interface (0).",
        ),
        Keyword::read(
            "vrrp_gna_interval",
            Takes::one("seconds"),
            |d, n, c| d.global.pacing.neighbour = garp_group::interval(n, c),
            "Time between unsolicited neighbour advertisements on an interface (0).",
        ),
        Keyword::read(
            "vrrp_garp_extra_if",
            Takes::words(1, 2, "seconds, perhaps with `all` before them"),
            |d, n, c| d.defaults.reminders = vmac::reminders(n, c),
            "Default of garp_extra_if.",
        ),
        Keyword::obsolete(
            "vrrp_vmac_garp_intvl",
            Takes::words(1, 2, "seconds, perhaps with `all` before them"),
            |d, n, c| d.defaults.reminders = vmac::reminders(n, c),
            "vrrp_garp_extra_if",
        ),
        Keyword::read(
            "dynamic_interfaces",
            Takes::words(0, 1, "nothing, or allow_if_changes"),
            |d, _, _| d.global.dynamic_interfaces = true,
            "`keepalived -t` accepts interfaces that are not there, which may always come and go.",
        ),
        Keyword::ignored("linkbeat_use_polling", "the kernel reports link changes"),
        Keyword::read(
            "vrrp_priority",
            Takes::one("-20 to 19"),
            process::nice,
            "Priority of the speaker (nice), from the start.",
        ),
        Keyword::read(
            "vrrp_rt_priority",
            Takes::one("1 to 99"),
            process::real_time,
            "The speaker is scheduled in real time (SCHED_RR), from the start.",
        ),
        Keyword::read(
            "vrrp_rlimit_rttime",
            Takes::one("microseconds"),
            process::real_time_limit,
            "Most processor time of the speaker in one go, in real time (no limit).",
        ),
        Keyword::read(
            "vrrp_rlimit_rtime",
            Takes::one("microseconds"),
            process::real_time_limit,
            "As vrrp_rlimit_rttime.",
        ),
        Keyword::ignored(
            "vrrp_no_swap",
            "nothing is locked in memory: what adverts need is touched several times a second",
        ),
        Keyword::read(
            "vrrp_cpu_affinity",
            Takes::words(1, 1024, "numbers of processors"),
            process::processors,
            "Processors that the speaker runs on, from the start.",
        ),
        Keyword::ignored("max_auto_priority", SCHEDULING),
        Keyword::ignored("min_auto_priority_delay", SCHEDULING),
        Keyword::ignored("checker_priority", SCHEDULING),
        Keyword::ignored("checker_rt_priority", SCHEDULING),
        Keyword::ignored("checker_no_swap", SCHEDULING),
        Keyword::ignored("checker_cpu_affinity", SCHEDULING),
        Keyword::ignored("bfd_priority", NO_BFD),
        Keyword::ignored("bfd_rt_priority", NO_BFD),
        Keyword::ignored("bfd_no_swap", NO_BFD),
        Keyword::ignored("bfd_cpu_affinity", NO_BFD),
        Keyword::ignored("process_names", NAMES),
        Keyword::ignored("process_name", NAMES),
        Keyword::ignored("vrrp_process_name", NAMES),
        Keyword::ignored("checker_process_name", NAMES),
        Keyword::ignored("vrrp_rx_bufs_policy", ROOM),
        Keyword::ignored("vrrp_rx_bufs_multiplier", ROOM),
        Keyword::ignored("vrrp_netlink_cmd_rcv_bufs", BUFFERS),
        Keyword::ignored("vrrp_netlink_monitor_rcv_bufs", BUFFERS),
        Keyword::ignored("lvs_sync_daemon", NO_IPVS),
        Keyword::ignored("lvs_flush", NO_IPVS),
        Keyword::ignored("lvs_flush_onstop", NO_IPVS),
        Keyword::ignored("lvs_timeouts", NO_IPVS),
        Keyword::ignored("lvs_flush_on_stop", NO_IPVS),
        Keyword::ignored(
            "checker_log_all_failures",
            "changes of a server's state are logged",
        ),
        Keyword::read(
            "startup_script",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.global.startup.command = c.notify_command(n),
            "Run once, before anything starts.",
        ),
        Keyword::read(
            "startup_script_timeout",
            Takes::one("1 to 1000 seconds"),
            |d, n, c| d.global.startup.limit = edge_limit(n, c),
            "How long startup_script may take (10 s).",
        ),
        Keyword::read(
            "shutdown_script",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.global.shutdown.command = c.notify_command(n),
            "Run once, when everything has ended.",
        ),
        Keyword::read(
            "shutdown_script_timeout",
            Takes::one("1 to 1000 seconds"),
            |d, n, c| d.global.shutdown.limit = edge_limit(n, c),
            "How long shutdown_script may take (10 s).",
        ),
        Keyword::ignored("reload_check_config", RELOAD),
        Keyword::ignored("reload_repeat", RELOAD),
        Keyword::ignored("reload_time_file", RELOADED_BY),
        Keyword::ignored("reload_file", RELOADED_BY),
        Keyword::ignored("keep_script_fds", "scripts inherit no descriptors"),
        Keyword::read(
            "instance",
            Takes::one("a name"),
            process::instance,
            "A part of the names of pid files, which lie in /run/keepalived.",
        ),
        Keyword::read(
            "net_namespace",
            Takes::one("a network namespace"),
            process::namespace,
            "The daemon runs in this network namespace, from the start.",
        ),
        Keyword::ignored("net_namespace_ipvs", NO_IPVS),
        Keyword::ignored("namespace_with_ipsets", FENCE),
        Keyword::read(
            "use_pid_dir",
            Takes::FLAG,
            process::pid_folder,
            "Pid files lie in /run/keepalived.",
        ),
        Keyword::ignored("config_save_dir", NOT_SAVED),
        Keyword::ignored("tmp_config_directory", NOT_SAVED),
        Keyword::read(
            "umask",
            Takes::words(1, 32, "a number, or bits as in IWGRP|IWOTH"),
            process::umask,
            "umask of the files that are made, unless -u gives it.",
        ),
        Keyword::ignored(
            "use_symlink_paths",
            "scripts are run under the path that is written",
        ),
        Keyword::read(
            "vmac_prefix",
            Takes::one("a name"),
            |d, n, c| d.defaults.vmac.instances = vmac::prefix(n, c),
            "What names of devices with virtual MAC addresses begin with (vrrp).",
        ),
        Keyword::read(
            "vmac_addr_prefix",
            Takes::one("a name"),
            |d, n, c| d.defaults.vmac.addresses = vmac::prefix(n, c),
            "The same for those of addresses on other interfaces (that of vmac_prefix).",
        ),
        Keyword::ignored(
            "log_unknown_vrids",
            "adverts of unknown routers are counted",
        ),
        Keyword::ignored("json_version", "`ha-lb status --json` has one format"),
        Keyword::read(
            "random_seed",
            Takes::one("a number"),
            |_, n, c| {
                let _ = n
                    .arguments
                    .first()
                    .and_then(|word| c.number(word, 0..=u32::MAX));
            },
            "The numbers of ${_RANDOM} are the same each time (other ones than keepalived's).",
        ),
        Keyword::repeated(
            "include_check",
            Takes::words(0, 8, "readable, match, wildcard_match, brace_match"),
            include_check,
            "What of a missing file in the includes that follow is a mistake.",
        ),
        Keyword::ignored(
            "disable_local_igmp",
            "the kernel's group membership is used",
        ),
    ],
};
