//! The keywords of `vrrp_instance` and of `authentication` in it.

use super::{
    AuthenticationDraft, Draft, addresses, authentication, down_timer_adverts, excluded_addresses,
    group, interval, peers, preempt_delay, priority, routes, rules, source, state, unicast_ttl,
    vrid,
};
use crate::config::keepalived::{
    announcements, auth_hmac,
    keyword::{Keyword, Table, Takes},
    tracked::track,
    vmac,
};

const FENCE: &str = "addresses are fenced by an nftables table of this program's own";
const NO_IPVLAN: &str =
    "the addresses go on the interface itself, whose hardware address an ipvlan would have too";

pub(super) const TABLE: Table<Draft> = Table {
    block: "vrrp_instance",
    keywords: &[&[
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
            Takes::FLAG_ALONE,
            |d, n, _| d.nopreempt = Some(n.keyword.span.clone()),
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
            "auth_hmac",
            Takes::BLOCK,
            |draft, node, context| draft.auth_hmac = Some(auth_hmac::read(node, context)),
            "Keys with which adverts of either version are authenticated (keepalived 2.4.1 and later).",
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
            "virtual_routes",
            Takes::BLOCK,
            routes,
            "Routes that are there while the addresses are, as `ip route` takes them.",
        ),
        Keyword::read(
            "virtual_rules",
            Takes::BLOCK,
            rules,
            "Rules that are there while the addresses are, as `ip rule` takes them.",
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
            |d, n, c| d.native_ipv6 = c.flag(n).then(|| n.keyword.span.clone()),
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
            |d, n, c| track(&mut d.tracks.scripts, n, c, 253),
            "Scripts, whose failure is a fault or changes the priority.",
        ),
        Keyword::read(
            "track_process",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.processes, n, c, 254),
            "Processes, whose absence is a fault or changes the priority.",
        ),
        Keyword::read(
            "track_file",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.files, n, c, 254),
            "Files, whose numbers change the priority or are a fault.",
        ),
        Keyword::read(
            "track_bfd",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.bfds, n, c, 253),
            "Neighbours, whose loss is a fault or changes the priority.",
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
            |d, n, c| d.check_unicast_source = Some((c.flag(n), n.keyword.span.clone())),
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
            "Run on becoming master (killed after 60 s).",
        ),
        Keyword::read(
            "notify_backup",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.backup = c.notify_command(n),
            "Run on becoming backup (killed after 60 s).",
        ),
        Keyword::read(
            "notify_fault",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.fault = c.notify_command(n),
            "Run on a fault (killed after 60 s).",
        ),
        Keyword::read(
            "notify_stop",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.stop = c.notify_command(n),
            "Run when the daemon stops (killed after 60 s).",
        ),
        Keyword::read(
            "notify_deleted",
            Takes::words(0, 3, "a command, perhaps user and group"),
            |d, n, c| {
                d.notify.says_deleted = true;
                d.notify.deleted = c.notify_command(n);
            },
            "Notify of DELETED instead of FAULT when a reload takes the instance away; run the command.",
        ),
        Keyword::read(
            "notify_master_rx_lower_pri",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.master_rx_lower_priority = c.notify_command(n),
            "Run once when a master hears another of lower priority.",
        ),
        Keyword::read(
            "notify",
            Takes::words(1, 3, "a command, perhaps user and group"),
            |d, n, c| d.notify.any = c.notify_command(n),
            "Run on each change, with `INSTANCE NAME STATE PRIORITY` (killed after 60 s).",
        ),
        Keyword::read(
            "smtp_alert",
            Takes::FLAG,
            |d, n, c| d.smtp_alert = Some(c.flag(n)),
            "Alerts by mail on each change of state.",
        ),
        Keyword::ignored(
            "skip_check_adv_addr",
            "the address list of adverts is never a reason to drop them",
        ),
        Keyword::ignored(
            "old_unicast_checksum",
            "the old checksum is accepted and never sent",
        ),
        Keyword::read(
            "unicast_fault_no_peer",
            Takes::FLAG_ALONE,
            |d, n, _| d.demands_peers = Some(n.keyword.span.clone()),
            "An instance without unicast peers is in fault; else its adverts go to the group.",
        ),
        Keyword::read(
            "use_vmac",
            Takes::words(0, 2, "perhaps a name of a device and a hardware address"),
            |d, n, c| vmac::use_vmac(&mut d.vmac, n, c),
            "The addresses live, and adverts come from, a device with the virtual MAC address.",
        ),
        Keyword::read(
            "use_vmac_addr",
            Takes::FLAG,
            |d, n, c| vmac::use_vmac_addr(&mut d.vmac, n, c),
            "Such devices also for addresses on other interfaces and of the other family.",
        ),
        Keyword::read(
            "vmac_xmit_base",
            Takes::FLAG,
            |d, n, c| vmac::xmit_base(&mut d.vmac, n, c),
            "Adverts come from the interface's own hardware address.",
        ),
        Keyword::ignored("use_ipvlan", NO_IPVLAN),
        Keyword::obsolete(
            "vmac_garp_intvl",
            Takes::words(1, 2, "seconds, perhaps with `all` before them"),
            |d, n, c| d.vmac.reminders = vmac::reminders(n, c),
            "garp_extra_if",
        ),
        Keyword::read(
            "garp_extra_if",
            Takes::words(1, 2, "seconds, perhaps with `all` before them"),
            |d, n, c| d.vmac.reminders = vmac::reminders(n, c),
            "Addresses on other interfaces are announced again so often (never).",
        ),
        Keyword::ignored("vrf", "adverts are sent on the interface itself"),
        Keyword::read(
            "track_src_ip",
            Takes::FLAG,
            |d, n, c| d.track_source = c.flag(n).then(|| n.keyword.span.clone()),
            "It is a fault when the source address is not on the interface.",
        ),
        Keyword::read(
            "promote_secondaries",
            Takes::FLAG,
            |d, n, c| d.promote_secondaries = c.flag(n),
            "Addresses of the interface stay when the first one of their subnet is removed.",
        ),
        Keyword::ignored("nftables", FENCE),
        Keyword::ignored("linkbeat_use_polling", "the kernel reports link changes"),
        Keyword::ignored("lvs_sync_daemon_interface", "the kernel's IPVS is not used"),
        Keyword::ignored("lvs_sync_daemon_inteface", "the kernel's IPVS is not used"),
        Keyword::ignored(
            "timer_expired_backup",
            "a master whose adverts were so late that another may have taken over always steps back",
        ),
        Keyword::ignored(
            "thread_timer_expired",
            "a master whose adverts were so late that another may have taken over always steps back",
        ),
        Keyword::read(
            "notify_priority_changes",
            Takes::FLAG,
            |d, n, c| d.notify_priority_changes = Some(c.flag(n)),
            "Fifos get a line when tracking changes the priority.",
        ),
        Keyword::ignored(
            "kernel_rx_buf_size",
            "receive buffers have room for 16 adverts of each router on the interface, and losses are told",
        ),
        Keyword::ignored("debug", "the log level is set on the command line"),
        Keyword::ignored("description", "it is a comment"),
    ]],
};

pub(super) const AUTHENTICATION: Table<AuthenticationDraft> = Table {
    block: "authentication",
    keywords: &[&[
        Keyword::read(
            "auth_type",
            Takes::one("PASS or AH"),
            |d, n, c| {
                d.header = n.arguments.first().and_then(|word| match &*word.text {
                    "PASS" => Some(false),
                    "AH" => Some(true),
                    _ => {
                        c.refuse(word, "type of authentication", "PASS or AH, in capitals");
                        None
                    }
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
    ]],
};
