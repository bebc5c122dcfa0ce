//! What a virtual router is told: identity, priority, interval and policy. Plain data, checked once
//! by [`RouterConfig::validate`]; while the router runs it is replaced as a whole.

use alloc::vec::Vec;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Family, Priority, Version, Vrid};

/// Configuration of one virtual router on one interface.
///
/// [`RouterConfig::new`] gives the defaults of RFC 9568; the fields are public and may be changed
/// before the router is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterConfig {
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Address family of the virtual router.
    pub family: Family,
    /// Protocol version spoken; adverts of the other version are discarded.
    pub version: Version,
    /// Base priority, 1-255; 255 is the owner of the addresses, whom tracking never changes.
    pub priority: Priority,
    /// Advertisement_Interval: whole seconds 1-255 (v2), centiseconds up to 40.95 s (v3).
    pub interval: Duration,
    /// Preempt_Mode: whether a router of higher priority replaces an Active one of lower priority.
    pub preempt: bool,
    /// How long a router of higher priority waits, from the first advert of lower priority that it
    /// hears as Backup, until it preempts. Silence is answered without this delay.
    pub preempt_delay: Duration,
    /// Own primary address: the source of own adverts, which breaks ties. Without it the router
    /// stays in Initialize with the fault
    /// [`NoPrimaryAddress`](crate::FaultReason::NoPrimaryAddress).
    pub primary: Option<IpAddr>,
    /// Addresses advertised, in the order in which they go on the wire.
    pub addresses: Vec<IpAddr>,
    /// Accept_Mode: whether an Active router that is not the owner takes packets sent to the
    /// addresses.
    pub accept: bool,
    /// When addresses are announced by gratuitous ARP or unsolicited neighbour advertisement.
    pub announcements: Announcements,
    /// Where the behaviour departs from the RFC.
    pub policy: Policy,
}

/// The schedule of gratuitous announcements of an Active router. Beside it, while another router is Active too or has
/// just been, addresses are announced once more after times that double ([`Reassertion`](crate::Reassertion)), unless
/// [`lower_priority_repeat`](Self::lower_priority_repeat) is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcements {
    /// Announcements of each address in one go.
    pub repeat: u8,
    /// The same again this long after; zero for never.
    pub delay: Duration,
    /// Then for ever at this interval.
    pub refresh: Option<Duration>,
    /// Announcements of each address in one refresh.
    pub refresh_repeat: u8,
    /// An Active router that hears a lower priority announces that many times again: the other may
    /// have drawn the traffic. Zero for not at all.
    pub lower_priority_repeat: u8,
    /// The same again this long after that; zero for never.
    pub lower_priority_delay: Duration,
}

impl Default for Announcements {
    /// keepalived's: 5 at once, 5 after 5 s, no refresh; against a lower priority the same.
    fn default() -> Self {
        Self {
            repeat: 5,
            delay: Duration::from_secs(5),
            refresh: None,
            refresh_repeat: 1,
            lower_priority_repeat: 5,
            lower_priority_delay: Duration::from_secs(5),
        }
    }
}

/// Departures from the RFCs, most of them named after keepalived's word. [`RouterConfig::new`] takes those of the RFC
/// of the version ([`Policy::rfc`]), a reader of keepalived's file begins with [`Policy::keepalived`].
///
/// | keepalived.conf | here | RFC 9568 | RFC 3768 | keepalived |
/// |---|---|---|---|---|
/// | `lower_prio_no_advert` | [`lower_priority_no_advert`](Self::lower_priority_no_advert) | off | on | off |
/// | `higher_prio_send_advert` | [`higher_priority_send_advert`](Self::higher_priority_send_advert) | off | off | off |
/// | `owner_ignore_adverts` | [`owner_ignore_adverts`](Self::owner_ignore_adverts) | off | on | off |
/// | two owners | [`contested_owner_yields`](Self::contested_owner_yields) | off | off | on |
/// | `down_timer_adverts` | [`down_timer_adverts`](Self::down_timer_adverts) | 3 | 3 | 3 |
/// | `vrrp_startup_delay` | [`startup_delay`](Self::startup_delay) | none | none | none |
/// | `preempt_delay` | [`RouterConfig::preempt_delay`] | none | none | none |
/// | `nopreempt` | [`RouterConfig::preempt`] | off | off | off |
/// | `no_accept` | [`RouterConfig::accept`] | off | off | off |
/// | `timer_expired_backup` | always ([`Reason::Late`](crate::Reason::Late)) | | | off |
/// | same address | always a warning ([`Warning::SameAddress`](crate::Warning::SameAddress)) | | | the same |
/// | a script without a result | always held out ([`FaultReason::Waiting`](crate::FaultReason::Waiting)) | | | the same |
/// | `vrrp_script`, `weight`, `reverse`, `init_fail` | [`track`](crate::track) | | | |
/// | `vrrp_sync_group` | [`sync_group`](crate::sync_group) | | | |
/// | `vrrp_strict` | the values of the column RFC 9568, and `lower_priority_no_advert` | | | off |
/// | none | [`spread_phases`](Self::spread_phases), [`resign_at_once`](Self::resign_at_once) | off | off | off |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Active does not answer an advert of lower priority by one of its own
    /// (`lower_prio_no_advert`). This is what RFC 3768 and RFC 5798 did; RFC 9568 §6.4.3 answers.
    pub lower_priority_no_advert: bool,
    /// Active sends one advert more before it gives way to a higher priority, so that the winner
    /// announces its addresses again (`higher_prio_send_advert`).
    pub higher_priority_send_advert: bool,
    /// An owner ignores all adverts (`owner_ignore_adverts`; RFC 3768 §7.1 demands it). Off, two
    /// owners on a link are noticed, warned of, and the tie is broken by address.
    pub owner_ignore_adverts: bool,
    /// Two owners: the one with the lower address gives way, as RFC 9568 §6.4.3 has it for equal
    /// priorities. If it does not, because it is deaf, the other gives way to it after two adverts of
    /// its own and 1.2 times the longer interval; it has priority 254 until the other resigns, is no
    /// owner any more, or falls silent. Off, both stay Active for as long as they live.
    pub contested_owner_yields: bool,
    /// The first interval after becoming Active is shortened, by VRID, so that the many routers of
    /// one host that became Active at once do not advertise at once for ever. The advert that takes
    /// over is never delayed.
    pub spread_phases: bool,
    /// Active whose effective priority falls by tracking calls an election at once: it sends priority 0, lets go of the
    /// addresses and waits for Skew_Time like everybody else. Else a peer that is better now waits until its
    /// Active_Down_Interval ends, and one that does not preempt never takes over.
    pub resign_at_once: bool,
    /// How many intervals of silence a Backup bears (`down_timer_adverts`, 1-100); the RFC says 3.
    pub down_timer_adverts: u8,
    /// So long after [`Event::Startup`](crate::Event::Startup) it stays in Initialize and hears no
    /// adverts (`vrrp_startup_delay`): the ports of a switch may pass nothing for a while after boot.
    pub startup_delay: Duration,
}

impl Policy {
    /// What the RFC of that version says: RFC 9568, or RFC 3768, where nobody answers a lower
    /// priority (§6.4.3) and an owner hears nobody (§7.1).
    pub const fn rfc(version: Version) -> Self {
        let old = matches!(version, Version::V2);
        Self {
            lower_priority_no_advert: old,
            higher_priority_send_advert: false,
            owner_ignore_adverts: old,
            contested_owner_yields: false,
            spread_phases: false,
            resign_at_once: false,
            down_timer_adverts: 3,
            startup_delay: Duration::ZERO,
        }
    }

    /// What keepalived does, in both versions, when its file says nothing.
    pub const fn keepalived() -> Self {
        Self {
            contested_owner_yields: true,
            ..Self::rfc(Version::V3)
        }
    }
}

impl Default for Policy {
    /// RFC 9568.
    fn default() -> Self {
        Self::rfc(Version::V3)
    }
}

/// Why a [`RouterConfig`] cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Priority 0 is what a resigning router sends.
    #[error("priority 0 is reserved for a router that resigns: use 1-255")]
    PriorityZero,
    /// VRRPv2 carries whole seconds, 1-255.
    #[error("VRRPv2 carries whole seconds from 1 to 255, not {0:?}")]
    IntervalV2(Duration),
    /// VRRPv3 carries centiseconds, 1-4095.
    #[error("VRRPv3 carries centiseconds from 10 ms to 40.95 s, not {0:?}")]
    IntervalV3(Duration),
    /// VRRPv2 is IPv4 only.
    #[error("VRRPv2 is for IPv4 only")]
    V2OverIpv6,
    /// An advert of version 3 carries at least one address (RFC 9568 §5.2.5).
    #[error("a virtual router of version 3 needs at least one address")]
    NoAddress,
    /// The count is one byte.
    #[error("an advert carries at most 255 addresses, not {0}")]
    TooManyAddresses(usize),
    /// An address of the other family.
    #[error("{0} is not of the family of the virtual router")]
    AddressFamily(IpAddr),
    /// A Backup must bear at least one interval of silence.
    #[error("down_timer_adverts must be 1 to 100, not {0}")]
    DownTimerAdverts(u8),
    /// A running router stays who it is.
    #[error("VRID, family, version, ownership and protocol of a running router cannot be changed")]
    Identity,
    /// Two routers of a set have the same interface, family and VRID.
    #[error("VRID {vrid} is used twice on interface {interface}")]
    Duplicate {
        /// Interface index.
        interface: u32,
        /// The VRID.
        vrid: Vrid,
    },
}

impl RouterConfig {
    /// A router with the defaults of the RFC of that version: priority 100, interval 1 s, preempting,
    /// tie address unknown. Only announcements are keepalived's: an RFC's single one is easily lost.
    /// Accept_Mode is on, for most who embed this serve the addresses themselves.
    pub fn new(vrid: Vrid, family: Family, version: Version, addresses: Vec<IpAddr>) -> Self {
        Self {
            vrid,
            family,
            version,
            priority: Priority::DEFAULT,
            interval: Duration::from_secs(1),
            preempt: true,
            preempt_delay: Duration::ZERO,
            primary: None,
            addresses,
            accept: true,
            announcements: Announcements::default(),
            policy: Policy::rfc(version),
        }
    }

    /// Whether this router owns the addresses (RFC 9568 §1.6: priority 255).
    pub fn is_owner(&self) -> bool {
        self.priority == Priority::OWNER
    }

    /// Checks everything that the machine relies on.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.priority == Priority::RESIGN {
            return Err(ConfigError::PriorityZero);
        }
        if self.version == Version::V2 && self.family == Family::Ipv6 {
            return Err(ConfigError::V2OverIpv6);
        }
        let nanos = self.interval.as_nanos();
        match self.version {
            Version::V2
                if !nanos.is_multiple_of(1_000_000_000)
                    || !(1..=255).contains(&self.interval.as_secs()) =>
            {
                return Err(ConfigError::IntervalV2(self.interval));
            }
            Version::V3
                if !nanos.is_multiple_of(10_000_000)
                    || !(1..=4095).contains(&(nanos / 10_000_000)) =>
            {
                return Err(ConfigError::IntervalV3(self.interval));
            }
            Version::V2 | Version::V3 => {}
        }
        if !(1..=100).contains(&self.policy.down_timer_adverts) {
            return Err(ConfigError::DownTimerAdverts(
                self.policy.down_timer_adverts,
            ));
        }
        match self.addresses.len() {
            // keepalived runs an instance of version 2 without addresses, and sends its adverts.
            0 if self.version == Version::V3 => return Err(ConfigError::NoAddress),
            0..=255 => {}
            many => return Err(ConfigError::TooManyAddresses(many)),
        }
        let other = |address: &&IpAddr| address.is_ipv4() != (self.family == Family::Ipv4);
        match self.addresses.iter().chain(&self.primary).find(other) {
            Some(address) => Err(ConfigError::AddressFamily(*address)),
            None => Ok(()),
        }
    }
}
