//! The rows of the matrix: each way of speaking VRRP, the files for it, and what its timers must be.

use std::{net::IpAddr, time::Duration};

/// How adverts travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Multicast,
    Unicast,
}

/// One way of speaking VRRP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) name: &'static str,
    pub(crate) version: u8,
    /// `auth_type` and `auth_pass`.
    pub(crate) auth: Option<(&'static str, &'static str)>,
    pub(crate) transport: Transport,
    pub(crate) ipv6: bool,
}

/// Preferred over [`LOW`].
pub(crate) const HIGH: u8 = 150;
pub(crate) const LOW: u8 = 100;
pub(crate) const VRID: u8 = 51;
/// The interface of every host.
pub(crate) const INTERFACE: &str = "eth0";

/// One `vrrp_instance`, as far as cells differ.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) priority: u8,
    /// Takes the place of the row's own interval.
    pub(crate) interval: Option<Duration>,
    /// More lines of the instance.
    pub(crate) lines: String,
    /// Blocks before the instance.
    pub(crate) before: String,
    /// Added to the row's own addresses.
    pub(crate) more_addresses: Vec<&'static str>,
    /// Words after each `unicast_peer`.
    pub(crate) of_peers: &'static str,
}

impl Instance {
    pub(crate) fn of(priority: u8) -> Self {
        Self {
            priority,
            interval: None,
            lines: String::new(),
            before: String::new(),
            more_addresses: Vec::new(),
            of_peers: "",
        }
    }

    /// With another line.
    pub(crate) fn with(mut self, line: impl AsRef<str>) -> Self {
        self.lines.push_str(line.as_ref());
        self.lines.push('\n');
        self
    }

    pub(crate) fn every(self, interval: Duration) -> Self {
        Self {
            interval: Some(interval),
            ..self
        }
    }
}

impl Protocol {
    pub(crate) fn is_unicast(&self) -> bool {
        self.transport == Transport::Unicast
    }

    /// The shortest interval that the version allows; in version 3 one that a busy machine keeps.
    pub(crate) fn interval(&self) -> Duration {
        match self.version {
            2 => Duration::from_secs(1),
            _ => Duration::from_millis(100),
        }
    }

    /// RFC 3768 §6.1, RFC 9568 §6.1.
    pub(crate) fn skew(&self, priority: u8) -> Duration {
        self.skew_at(priority, self.interval())
    }

    /// The same where the Active router advertises at another interval; version 2 knows seconds only.
    pub(crate) fn skew_at(&self, priority: u8, interval: Duration) -> Duration {
        let unit = if self.version == 2 {
            Duration::from_secs(1)
        } else {
            interval
        };
        unit * (256 - u32::from(priority)) / 256
    }

    /// Active_Down_Interval.
    pub(crate) fn down(&self, priority: u8) -> Duration {
        self.down_at(priority, self.interval())
    }

    pub(crate) fn down_at(&self, priority: u8, interval: Duration) -> Duration {
        interval * 3 + self.skew_at(priority, interval)
    }

    pub(crate) fn vips(&self) -> &'static [&'static str] {
        if self.ipv6 {
            &["fe80::52", "2001:db8::100"]
        } else {
            &["10.77.0.100"]
        }
    }

    /// The address that the witness asks for.
    pub(crate) fn probed(&self) -> IpAddr {
        let last = self.vips().last();
        last.and_then(|vip| vip.parse().ok()).unwrap()
    }

    /// Real addresses of a host.
    pub(crate) fn addresses(&self, number: u8) -> Vec<String> {
        if self.ipv6 {
            vec![
                format!("fe80::{number}/64"),
                format!("fd00:10::{number}/64"),
            ]
        } else {
            vec![format!("10.77.0.{number}/24")]
        }
    }

    /// Where unicast adverts of a host come from.
    pub(crate) fn source(&self, number: u8) -> String {
        if self.ipv6 {
            format!("fd00:10::{number}")
        } else {
            format!("10.77.0.{number}")
        }
    }

    /// keepalived.conf of host `number` among `others`.
    pub(crate) fn file(&self, number: u8, others: &[u8], instance: &Instance) -> String {
        let Instance {
            priority,
            lines,
            before,
            ..
        } = instance;
        let interval = instance.interval.unwrap_or(self.interval()).as_secs_f64();
        let version = self.version;
        let vips = [self.vips(), &instance.more_addresses].concat().join("\n");
        let auth = self.auth.map_or_else(String::new, |(kind, password)| {
            format!("authentication {{\nauth_type {kind}\nauth_pass {password}\n}}\n")
        });
        let transport = match self.transport {
            Transport::Multicast => String::new(),
            Transport::Unicast => {
                let peer = |other: &u8| format!("{} {}", self.source(*other), instance.of_peers);
                let peers: Vec<String> = others.iter().map(peer).collect();
                format!(
                    "unicast_src_ip {}\nunicast_peer {{\n{}\n}}\n",
                    self.source(number),
                    peers.join("\n")
                )
            }
        };
        format!(
            "{before}vrrp_instance V {{\nversion {version}\nstate BACKUP\ninterface {INTERFACE}\n\
             virtual_router_id {VRID}\npriority {priority}\nadvert_int {interval}\n{auth}{transport}{lines}\
             virtual_ipaddress {{\n{vips}\n}}\n}}\n"
        )
    }

    /// RFC 9568 §7.3.
    pub(crate) fn virtual_mac(&self) -> [u8; 6] {
        [0, 0, 0x5e, 0, if self.ipv6 { 2 } else { 1 }, VRID]
    }

    /// FRRouting finds its virtual router by a macvlan with the virtual hardware address and the virtual addresses.
    pub(crate) fn frr_links(&self) -> String {
        let mac = self
            .virtual_mac()
            .map(|octet| format!("{octet:02x}"))
            .join(":");
        let mut batch = format!(
            "link add link {INTERFACE} name vrrp address {mac} type macvlan mode bridge\n\
             link set vrrp addrgenmode none\n"
        );
        for vip in self.vips() {
            let (length, nodad) = if self.ipv6 { (64, "nodad") } else { (32, "") };
            batch += &format!("address add {vip}/{length} dev vrrp {nodad}\n");
        }
        batch + "link set vrrp up\n"
    }

    /// frr.conf.
    pub(crate) fn frr_file(&self, instance: &Instance) -> String {
        let (version, priority) = (self.version, instance.priority);
        let interval = instance.interval.unwrap_or(self.interval()).as_millis();
        let family = if self.ipv6 { "ipv6" } else { "ip" };
        let vips = self.vips().iter();
        let vips: String = vips
            .map(|vip| format!(" vrrp {VRID} {family} {vip}\n"))
            .collect();
        format!(
            "interface {INTERFACE}\n vrrp {VRID} version {version}\n vrrp {VRID} priority {priority}\n \
             vrrp {VRID} advertisement-interval {interval}\n{vips}"
        )
    }
}
