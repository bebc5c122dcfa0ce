//! A rule: which table is asked for which packets.

use vrrp_proto::Family;

use super::{OURS, Prefix};

/// A rule (ip-rule(8)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Of which packets.
    pub family: Family,
    /// `not`: for packets that do not match.
    pub inverted: bool,
    /// `from`.
    pub from: Option<Prefix>,
    /// `to`.
    pub to: Option<Prefix>,
    /// `priority`: the least is asked first.
    pub priority: u32,
    /// What to do with those that match.
    pub action: Action,
    /// `tos`.
    pub tos: u8,
    /// `fwmark`: value and perhaps mask.
    pub mark: Option<(u32, Option<u32>)>,
    /// `iif`: the interface that they came in on; `lo` for the host's own.
    pub input: Option<String>,
    /// `oif`: the interface that their socket is bound to.
    pub output: Option<String>,
    /// `realms`: source and destination, IPv4 only.
    pub realms: Option<(u16, u16)>,
    /// `suppress_prefixlength`: routes of this length or less do not count.
    pub suppress_length: Option<u32>,
    /// `suppress_ifgroup`: routes out of this group of interfaces do not count.
    pub suppress_group: Option<u32>,
    /// `tunnel-id`.
    pub tunnel: Option<u64>,
    /// `uidrange`: first and last.
    pub users: Option<(u32, u32)>,
    /// `ipproto`.
    pub ip_protocol: Option<u8>,
    /// `sport`: first and last.
    pub source_ports: Option<(u16, u16)>,
    /// `dport`: first and last.
    pub destination_ports: Option<(u16, u16)>,
    /// Who put it there ([`OURS`]).
    pub protocol: u8,
    /// It is nobody's loss when another program removes it.
    pub untracked: bool,
}

impl Rule {
    /// A rule for all packets of a family.
    #[must_use]
    pub const fn new(family: Family, priority: u32, action: Action) -> Self {
        Self {
            family,
            inverted: false,
            from: None,
            to: None,
            priority,
            action,
            tos: 0,
            mark: None,
            input: None,
            output: None,
            realms: None,
            suppress_length: None,
            suppress_group: None,
            tunnel: None,
            users: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            protocol: OURS,
            untracked: false,
        }
    }
}

/// What a rule does (`FR_ACT_*` of rtnetlink(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `lookup`: asks a table.
    Table(u32),
    /// `l3mdev`: asks the table of the interface's VRF.
    MasterDevice,
    /// `goto`: goes on at that priority.
    Goto(u32),
    /// `nop`: nothing.
    Nothing,
    /// `blackhole`: drops.
    Blackhole,
    /// `unreachable`: tells the sender that there is no way.
    Unreachable,
    /// `prohibit`: tells the sender that it is not allowed.
    Prohibit,
}
