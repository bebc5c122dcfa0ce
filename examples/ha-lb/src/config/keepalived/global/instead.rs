//! The keywords of `global_defs` that have no effect, and what is done instead.

use super::Draft;
use crate::config::keepalived::keyword::Keyword;

pub(super) const KEYWORDS: &[Keyword<Draft>] = &[
    Keyword::ignored("lvs_notify_fifo", SERVERS_LOGGED),
    Keyword::ignored("lvs_notify_fifo_script", SERVERS_LOGGED),
    Keyword::ignored("smtp_alert_checker", NO_CHECKER_MAIL),
    Keyword::ignored("enable_traps", NO_SNMP),
    Keyword::ignored("snmp_socket", NO_SNMP),
    Keyword::ignored("enable_snmp_vrrp", NO_SNMP),
    Keyword::ignored("enable_snmp_checker", NO_SNMP),
    Keyword::ignored("enable_snmp_rfc", NO_SNMP),
    Keyword::ignored("enable_snmp_rfcv2", NO_SNMP),
    Keyword::ignored("enable_snmp_rfcv3", NO_SNMP),
    Keyword::ignored("bfd_process_name", NO_BFD),
    // keepalived 2.2 knows these by either spelling.
    Keyword::ignored("bfd_rlimit_rtime", NO_BFD),
    Keyword::ignored("bfd_rlimit_rttime", NO_BFD),
    Keyword::ignored("checker_rlimit_rtime", SCHEDULING),
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
    Keyword::ignored("vrrp_skip_check_adv_addr", ADDRESS_LISTS),
    Keyword::ignored("vrrp_check_unicast_src", SOURCES),
    Keyword::ignored("linkbeat_use_polling", "the kernel reports link changes"),
    Keyword::ignored("min_auto_priority_delay", FROM_THE_START),
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
    Keyword::ignored("lvs_process_name", NAMES),
    Keyword::ignored("vrrp_rx_bufs_policy", ROOM),
    Keyword::ignored("vrrp_rx_bufs_multiplier", ROOM),
    Keyword::ignored("vrrp_netlink_cmd_rcv_bufs", BUFFERS),
    Keyword::ignored("vrrp_netlink_monitor_rcv_bufs", BUFFERS),
    Keyword::ignored("lvs_sync_daemon", NO_IPVS),
    Keyword::ignored("lvs_flush", NO_IPVS),
    Keyword::ignored("lvs_flush_onstop", NO_IPVS),
    Keyword::ignored("lvs_timeouts", NO_IPVS),
    Keyword::ignored("lvs_flush_on_stop", NO_IPVS),
    Keyword::ignored("checker_log_all_failures", SERVERS_LOGGED),
    Keyword::ignored("reload_check_config", RELOAD),
    Keyword::ignored("keep_script_fds", "scripts inherit no descriptors"),
    Keyword::ignored("net_namespace_ipvs", NO_IPVS),
    Keyword::ignored("namespace_with_ipsets", FENCE),
    Keyword::ignored("tmp_config_directory", NOT_SAVED),
    Keyword::ignored("use_symlink_paths", PATHS),
    Keyword::ignored("json_version", "`ha-lb status --json` has one format"),
    Keyword::ignored("disable_local_igmp", MEMBERSHIP),
];

const NO_CHECKER_MAIL: &str = "changes of a server's state are logged, not mailed";
const NO_BFD: &str =
    "BFD is spoken by the speaker, whose priority, memory and processors are those of VRRP";
const NO_SNMP: &str = "there is no SNMP agent";
const ROOM: &str = "receive buffers have room for 16 adverts of each instance, whatever the policy";
const BUFFERS: &str = "receive buffers have sizes of this program's own choosing";
const SCHEDULING: &str = "how the process is scheduled is left to the service manager";
const FROM_THE_START: &str = "the speaker is scheduled in real time from the start; `max_auto_priority 0` keeps it from that";
const NO_IPVS: &str = "the kernel's IPVS is not used";
const FENCE: &str = "addresses are fenced by an nftables table of this program's own";
const RELOAD: &str = "a reload checks the whole file first and keeps the old one if it is refused";
pub(in crate::config::keepalived) const NAMESPACE: &str =
    "it runs in the namespace in which it was started";
pub(in crate::config::keepalived) const STOPPING: &str =
    "the speaker has 3 s to resign, the balancer its `hard-stop-after`";
const NOT_SAVED: &str = "the files are read once, and what they said is kept in memory";
const DUMPS: &str = "the files of SIGUSR1 and its kind are named without the instance";
const NAMES: &str =
    "the speaker is called `keepalived` and the balancer `haproxy`, by which tools find them";
const SERVERS_LOGGED: &str = "changes of a server's state are logged";
const ADDRESS_LISTS: &str = "the address list of adverts is never a reason to drop them";
const SOURCES: &str = "sources are always checked unless `check_unicast_src no`";
const PATHS: &str = "scripts are run under the path that is written";
const MEMBERSHIP: &str = "the kernel's group membership is used";
