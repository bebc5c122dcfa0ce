//! One example for each keyword that does something, and for each that needs a value.

mod global;
mod instance;
mod service;
mod top;
mod tracked;

/// What an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// With the keyword something else is run.
    Runs,
    /// With the keyword something else is said.
    Says,
}
use Shows::{Runs, Says};

/// The lines to be shown begin with `+`; those before and after make them mean something.
pub(super) struct Example {
    pub(super) block: &'static str,
    pub(super) keyword: &'static str,
    pub(super) shows: Shows,
    pub(super) lines: &'static str,
}

const fn example(
    block: &'static str,
    keyword: &'static str,
    shows: Shows,
    lines: &'static str,
) -> Example {
    Example {
        block,
        keyword,
        shows,
        lines,
    }
}

pub(super) const FILE: &str = "the file's top level";
pub(super) const GLOBAL: &str = "global_defs";
pub(super) const SCRIPT: &str = "vrrp_script";
pub(super) const PROCESS: &str = "vrrp_track_process";
pub(super) const TRACKED_FILE: &str = "track_file";
pub(super) const NEIGHBOUR: &str = "bfd_instance";
pub(super) const INSTANCE: &str = "vrrp_instance";
pub(super) const SYNC: &str = "vrrp_sync_group";
pub(super) const PACED: &str = "garp_group";
pub(super) const GROUP: &str = "track_group";
pub(super) const AUTHENTICATION: &str = "authentication";
pub(super) const HMAC: &str = "auth_hmac";
pub(super) const SERVICE: &str = "virtual_server";
pub(super) const REAL: &str = "real_server";
pub(super) const CHECK: &str = "TCP_CHECK or HTTP_GET";
pub(super) const URL: &str = "url";

/// All of them.
pub(super) fn examples() -> impl Iterator<Item = &'static Example> {
    let groups = [
        top::EXAMPLES,
        global::EXAMPLES,
        tracked::EXAMPLES,
        instance::EXAMPLES,
        service::EXAMPLES,
    ];
    groups.into_iter().flatten()
}

/// Options of an address, which stand in no table.
pub(super) const ADDRESSES: &[Example] = &[
    example(INSTANCE, "dev", Runs, "10.0.0.9 dev eth1"),
    example(INSTANCE, "brd", Runs, "10.0.0.9/24 brd +"),
    example(INSTANCE, "broadcast", Runs, "10.0.0.9/24 broadcast +"),
    example(INSTANCE, "scope", Runs, "10.0.0.9 scope link"),
    example(INSTANCE, "label", Runs, "10.0.0.9 label eth0:1"),
    example(INSTANCE, "peer", Runs, "10.0.0.9 peer 10.0.0.8"),
    example(INSTANCE, "home", Runs, "2001:db8::9/64 home"),
    example(INSTANCE, "-nodad", Runs, "2001:db8::9/64 -nodad"),
    example(INSTANCE, "mngtmpaddr", Runs, "2001:db8::9/64 mngtmpaddr"),
    example(INSTANCE, "noprefixroute", Runs, "10.0.0.9 noprefixroute"),
    example(INSTANCE, "autojoin", Runs, "10.0.0.9 autojoin"),
    example(INSTANCE, "no_track", Runs, "10.0.0.9 no_track"),
    example(
        INSTANCE,
        "preferred_lft",
        Runs,
        "2001:db8::9/64 preferred_lft 0",
    ),
    example(INSTANCE, "use_vmac", Runs, "10.0.0.9 dev eth7 use_vmac"),
    example(INSTANCE, "track_group", Says, "10.0.0.9 track_group G"),
    example(INSTANCE, "via", Says, "10.0.0.9 via 10.0.0.8"),
];
