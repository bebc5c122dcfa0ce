//! keepalived's configuration in types: what a file says after its rules were applied, with the
//! defaults of keepalived.conf(5) filled in. Nothing here can be half right: what cannot be run
//! was refused while reading.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use vip_netlink::route::{Route, Rule};
use vrrp_proto::{ChecksumMode, Family, Password, Priority, Version, Vrid};

use super::{AuthHmac, vmac::Vmac};
use crate::config::diagnostic::Span;

mod service;

pub use service::{Check, CheckKind, RealServer, Scheduler, VirtualServer};

mod mail;
mod scripts;
mod tracking;

pub use mail::Mail;
pub use scripts::{Command, Edge, Notify, NotifyFifo, User};
pub use tracking::{Bfd, InitFile, Parameters, Tracked, TrackedFile, TrackedProcess};

/// A whole file and what it includes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_script`, in the order of the file.
    pub scripts: Vec<Script>,
    /// `track_file`, in the order of the file.
    pub files: Vec<TrackedFile>,
    /// `vrrp_track_process`, in the order of the file.
    pub processes: Vec<TrackedProcess>,
    /// `bfd_instance`, in the order of the file.
    pub bfds: Vec<Bfd>,
    /// `vrrp_instance`, in the order of the file.
    pub instances: Vec<Instance>,
    /// `vrrp_sync_group`, in the order of the file.
    pub sync_groups: Vec<SyncGroup>,
    /// `virtual_server` with an address, in the order of the file.
    pub virtual_servers: Vec<VirtualServer>,
    /// What stands whoever is master.
    pub fixed: Fixed,
}

/// `static_ipaddress`, `static_routes` and `static_rules`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Addresses, each with its device.
    pub addresses: Vec<VirtualAddress>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Rules.
    pub rules: Vec<Rule>,
}

impl Fixed {
    /// Whether there is nothing of the kind.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.routes.is_empty() && self.rules.is_empty()
    }
}

/// What of `global_defs` outlives the reading; the rest are defaults that went into the instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Global {
    /// `router_id`; the host name by default.
    pub router_id: Option<String>,
    /// `notification_email`, `smtp_server` and what belongs to them.
    pub mail: Mail,
    /// `script_user`: who runs scripts that name no user.
    pub script_user: Option<User>,
    /// `enable_script_security`: a script is refused when someone other than root can change it.
    pub script_security: bool,
    /// `vrrp_startup_delay`.
    pub startup_delay: Duration,
    /// `vrrp_delay_after_boot`.
    pub delay_after_boot: Duration,
    /// `notify_fifo` and `vrrp_notify_fifo`.
    pub notify_fifos: Vec<NotifyFifo>,
    /// `fifo_write_vrrp_states_on_reload`: after a reload the fifos get the states that go on, too.
    pub states_on_reload: bool,
    /// `dynamic_interfaces`: the file may name interfaces that are not there.
    pub dynamic_interfaces: bool,
    /// `log_unknown_vrids`: adverts for none of the instances are told of.
    pub log_unknown_vrids: bool,
    /// `interface_up_down_delays`.
    pub link_delays: Vec<LinkDelay>,
    /// `vrrp_garp_interval`, `vrrp_gna_interval` and `garp_group`.
    pub pacing: Pacing,
    /// `reload_time_file` and what belongs to it.
    pub reloads: Reloads,
    /// Where and how the processes run; looked at when they start.
    pub process: Process,
    /// `startup_script`, run before anything else starts.
    pub startup: Edge,
    /// `shutdown_script`, run when everything else has ended.
    pub shutdown: Edge,
}

/// How reloads begin, and how others know of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloads {
    /// `reload_time_file`: says when there is to be one.
    pub time_file: Option<PathBuf>,
    /// `reload_repeat`: it is not removed then.
    pub repeat: bool,
    /// `reload_file`: is there while files are read.
    pub mark: Option<PathBuf>,
    /// `config_save_dir`: configuration and state are written there before and after each.
    pub saved: Option<PathBuf>,
}

/// `net_namespace`, `instance`, `vrrp_priority` and their kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// `net_namespace`: the network namespace to run in.
    pub namespace: Option<String>,
    /// `instance`: a part of the names of pid files.
    pub instance: Option<String>,
    /// `use_pid_dir`: pid files lie in `/run/keepalived`.
    pub pid_folder: bool,
    /// `umask` of the files that are made.
    pub umask: Option<u32>,
    /// `vrrp_priority`, -20 to 19, of the speaker.
    pub nice: Option<i32>,
    /// `vrrp_rt_priority`, 1 to 99: the speaker is scheduled in real time.
    pub real_time: Option<u8>,
    /// `vrrp_rlimit_rttime`: most microseconds of processor time in one go, in real time.
    pub real_time_limit: Option<u64>,
    /// `max_auto_priority` 0 or -1: the speaker is scheduled as other processes are.
    pub never_in_advance: bool,
    /// `vrrp_cpu_affinity`: the processors that the speaker may run on; all if empty.
    pub processors: Vec<usize>,
    /// `vrrp_no_swap`: the speaker's memory stays where it is.
    pub no_swap: bool,
}

/// A line of `interface_up_down_delays`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkDelay {
    /// The interface.
    pub interface: String,
    /// How long its loss must last until it counts.
    pub down: Duration,
    /// How long its return must last.
    pub up: Duration,
    /// Where it was written.
    pub span: Span,
}

/// A `vrrp_script`: a check that is run again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is defined.
    pub span: Span,
    /// `script` and `user`.
    pub command: Command,
    /// `interval` (1 s).
    pub interval: Duration,
    /// `timeout`; the interval by default.
    pub timeout: Duration,
    /// `weight`, -253 to 253; 0 means that failing is a fault.
    pub weight: i16,
    /// `weight N reverse`: the weight counts when the check fails, or succeeds, instead.
    pub reverse: bool,
    /// `rise` (1): successes in a row until the check counts as passed.
    pub rise: u32,
    /// `fall` (1): failures in a row until it counts as failed.
    pub fall: u32,
    /// `init_fail`: counts as failed until it first succeeds.
    pub init_fail: bool,
}

/// A `vrrp_instance`: a virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is defined.
    pub span: Span,
    /// `interface`.
    pub interface: String,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// `version`, or `vrrp_version`, or 3 for IPv6.
    pub version: Version,
    /// Family of the addresses.
    pub family: Family,
    /// `state`. A router that is not the owner starts as Backup all the same, as keepalived's.
    pub state: InitialState,
    /// `priority`, 1 to 255 (owner).
    pub priority: Priority,
    /// `advert_int`, in what the version can say.
    pub interval: Duration,
    /// False for `nopreempt`.
    pub preempt: bool,
    /// `preempt_delay`.
    pub preempt_delay: Duration,
    /// `authentication`; VRRPv2 only.
    pub authentication: Option<Authentication>,
    /// `auth_hmac`, instead of it.
    pub auth_hmac: Option<AuthHmac>,
    /// `virtual_ipaddress`, advertised, all of the instance's family.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded` and what did not fit the packet: installed, not advertised.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// `promote_secondaries`.
    pub promote_secondaries: bool,
    /// Strict mode, by `strict_mode` or `vrrp_strict`.
    pub strict: bool,
    /// `virtual_routes`.
    pub routes: Vec<Route>,
    /// `virtual_rules`.
    pub rules: Vec<Rule>,
    /// False for `dont_track_primary`: loss of the interface is no fault.
    pub track_primary: bool,
    /// `track_interface`, without the instance's own interface.
    pub track_interfaces: Vec<TrackInterface>,
    /// `track_script`.
    pub track_scripts: Vec<Tracked>,
    /// `track_file`.
    pub track_files: Vec<Tracked>,
    /// `track_process`.
    pub track_processes: Vec<Tracked>,
    /// `track_bfd`.
    pub track_bfds: Vec<Tracked>,
    /// `unicast_peer`; `None` sends to the group.
    pub unicast: Option<Unicast>,
    /// `mcast_src_ip` or `unicast_src_ip`: source of adverts instead of the primary address.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: it is a fault when `source` is not on the interface.
    pub track_source: bool,
    /// `mcast_dst_ip`, or `vrrp_mcast_group4` and `6`.
    pub group: IpAddr,
    /// `accept` (true) and `no_accept`: whether packets to the addresses are taken.
    pub accept: bool,
    /// `use_vmac` and its kind.
    pub vmac: Vmac,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    pub announcements: Announcements,
    /// What the checksum of VRRPv3 over IPv4 covers (`v3_checksum_as_v2`).
    pub checksum: ChecksumMode,
    /// `lower_prio_no_advert`.
    pub lower_priority_no_advert: bool,
    /// `higher_prio_send_advert`.
    pub higher_priority_send_advert: bool,
    /// `owner_ignore_adverts`.
    pub owner_ignore_adverts: bool,
    /// Resigns when tracking takes from its priority: an option of the command line, no keyword.
    pub resign_at_once: bool,
    /// `down_timer_adverts` (3).
    pub down_timer_adverts: u8,
    /// `notify_*`.
    pub notify: Notify,
    /// `notify_priority_changes`: fifos hear of changes of the effective priority.
    pub notify_priority_changes: bool,
    /// `smtp_alert`.
    pub smtp_alert: bool,
}

/// A `vrrp_sync_group`: instances that change their state together. What it tracks is in its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is defined.
    pub span: Span,
    /// Names of the instances, in the order of the file; at least one, and none is in another group.
    pub members: Vec<Arc<str>>,
    /// `notify_*`.
    pub notify: Notify,
    /// `smtp_alert`.
    pub smtp_alert: bool,
}

/// `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialState {
    /// `MASTER`.
    Master,
    /// `BACKUP`.
    Backup,
}

/// `authentication`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// `PASS`: the password travels in the packet.
    Password(Password),
    /// `AH`: an Authentication Header with this key.
    Header(Password),
}

/// One line of `virtual_ipaddress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix (32 or 128).
    pub prefix: u8,
    /// `dev`, or the device with a virtual MAC address that it goes to; the instance's interface by default.
    pub device: Option<String>,
    /// `brd`.
    pub broadcast: Option<Ipv4Addr>,
    /// `scope`, as the kernel numbers it.
    pub scope: Option<u8>,
    /// `label`.
    pub label: Option<String>,
    /// `peer`: address of the other end and its prefix.
    pub peer: Option<(IpAddr, u8)>,
    /// `home`: the IPv6 home address.
    pub home: bool,
    /// `-nodad`: duplicate address detection is done.
    pub detect_duplicates: bool,
    /// `mngtmpaddr`.
    pub manage_temporary: bool,
    /// `noprefixroute`.
    pub no_prefix_route: bool,
    /// `autojoin`.
    pub auto_join: bool,
    /// `preferred_lft`, `u32::MAX` for ever: `Some(0)` keeps the kernel from choosing the address as
    /// a source, and so does `None` with an IPv6 /128.
    pub preferred_lifetime: Option<u32>,
    /// `use_vmac`: it goes to a device with the virtual MAC address.
    pub vmac: bool,
    /// `no_track`: someone else may delete it.
    pub no_track: bool,
    /// Where it was written.
    pub span: Span,
}

/// One line of `track_interface`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackInterface {
    /// The interface.
    pub name: String,
    /// `weight`, -254 to 254; 0 means that its loss is a fault.
    pub weight: i16,
    /// `reverse`.
    pub reverse: bool,
    /// Not written: it carries an address, a route or a rule of the instance, or is in a track group.
    pub implied: bool,
}

/// `unicast_peer` and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unicast {
    /// The peers, of the family of the adverts.
    pub peers: Vec<Peer>,
    /// `unicast_ttl` (255).
    pub ttl: u8,
    /// Whether adverts of other sources are dropped. On unless `check_unicast_src no` is written:
    /// keepalived's default is off, which lets anyone who can reach the host take the addresses.
    pub check_source: bool,
}

/// One line of `unicast_peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// `min_ttl`: adverts with less are dropped.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: adverts with more are dropped.
    pub max_ttl: Option<u8>,
}

/// `garp_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcements {
    /// `garp_master_repeat` (5).
    pub repeat: u8,
    /// `garp_master_delay` (5 s).
    pub delay: Duration,
    /// `garp_master_refresh` (never).
    pub refresh: Option<Duration>,
    /// `garp_master_refresh_repeat` (1).
    pub refresh_repeat: u8,
    /// `garp_lower_prio_repeat`; the `repeat` by default, 0 for not at all.
    pub lower_priority_repeat: Option<u8>,
    /// `garp_lower_prio_delay`; the `delay` by default.
    pub lower_priority_delay: Option<Duration>,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            repeat: 5,
            delay: Duration::from_secs(5),
            refresh: None,
            refresh_repeat: 1,
            lower_priority_repeat: None,
            lower_priority_delay: None,
        }
    }
}

/// Times between announcements on an interface; zero for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pacing {
    /// `vrrp_garp_interval`: between gratuitous ARPs.
    pub arp: Duration,
    /// `vrrp_gna_interval`: between unsolicited neighbour advertisements.
    pub neighbour: Duration,
    /// `garp_group`, in the order of the file.
    pub groups: Vec<PacedInterfaces>,
}

/// A `garp_group`: interfaces on which announcements wait for each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PacedInterfaces {
    /// `garp_interval`.
    pub arp: Duration,
    /// `gna_interval`.
    pub neighbour: Duration,
    /// `interface` and `interfaces`.
    pub interfaces: Vec<String>,
}
