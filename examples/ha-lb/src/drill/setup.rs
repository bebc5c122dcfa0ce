//! How the two hosts are configured, and the times that the protocol gives them.

use std::time::Duration;

use super::site::{ORIGINS, VIP};

/// What the instances know of the balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    None,
    /// `killall -0 haproxy` without a weight: a failure is a fault.
    Fault,
    /// The same with a weight that makes the other host preferred.
    Weight,
    /// The same, and the daemon resigns at once (`--resign-at-once`).
    WeightAtOnce,
}

/// One way to configure the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// What it is called.
    pub name: &'static str,
    /// Of VRRP.
    pub version: u8,
    /// Between advertisements.
    pub interval: Duration,
    /// What is done about a balancer that does not serve.
    pub check: Check,
    /// Whether every case is held in it, or only those of the balancer.
    pub every_case: bool,
}

/// The ways in which drills are held.
pub const SETUPS: &[Setup] = &[
    Setup {
        name: "v2-1s",
        version: 2,
        interval: Duration::from_secs(1),
        check: Check::None,
        every_case: true,
    },
    Setup {
        name: "v3-100ms-fault",
        version: 3,
        interval: Duration::from_millis(100),
        check: Check::Fault,
        every_case: true,
    },
    Setup {
        name: "v3-100ms-weight",
        version: 3,
        interval: Duration::from_millis(100),
        check: Check::Weight,
        every_case: false,
    },
    Setup {
        name: "v3-100ms-weight-at-once",
        version: 3,
        interval: Duration::from_millis(100),
        check: Check::WeightAtOnce,
        every_case: false,
    },
    Setup {
        name: "v2-1s-fault",
        version: 2,
        interval: Duration::from_secs(1),
        check: Check::Fault,
        every_case: false,
    },
];

/// Priorities of the preferred host and of the other.
pub(super) const PRIORITIES: [u8; 2] = [150, 100];
/// What a balancer that does not serve takes from the preferred host's priority in [`Check::Weight`].
const WEIGHT: i16 = -60;

impl Setup {
    /// One by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SETUPS.iter().find(|setup| setup.name == name)
    }

    /// The same, or what is there instead.
    pub fn named_or_not(name: &str) -> Result<&'static Self, String> {
        let names = || SETUPS.iter().map(|setup| setup.name).collect::<Vec<_>>();
        Self::named(name).ok_or_else(|| format!("there are {}", names().join("; ")))
    }

    /// Skew_Time of the second host (RFC 9568 §6.1, RFC 3768 §6.1).
    pub fn skew(&self) -> Duration {
        let [_, second] = PRIORITIES;
        let unit = match self.version {
            2 => Duration::from_secs(1),
            _ => self.interval,
        };
        unit * (256 - u32::from(second)) / 256
    }

    /// Active_Down_Interval of the second host.
    pub fn down(&self) -> Duration {
        self.interval * 3 + self.skew()
    }

    /// Arguments of the daemon beside its files.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        match self.check {
            Check::WeightAtOnce => &["--resign-at-once"],
            _ => &[],
        }
    }

    /// keepalived.conf of the host with that priority.
    pub(super) fn keepalived_conf(&self, priority: u8) -> String {
        let interval = self.interval.as_secs_f64();
        let version = self.version;
        let weight = match self.check {
            Check::Weight | Check::WeightAtOnce => format!(" weight {WEIGHT}\n"),
            Check::None | Check::Fault => String::new(),
        };
        let (script, track) = match self.check {
            Check::None => (String::new(), ""),
            _ => (
                format!(
                    "vrrp_script balancer {{\n script \"killall -0 haproxy\"\n interval 1\n{weight}}}\n\n"
                ),
                " track_script {\n  balancer\n }\n",
            ),
        };
        format!(
            "{script}vrrp_instance VI_1 {{\n version {version}\n state BACKUP\n interface eth0\n \
             virtual_router_id 51\n priority {priority}\n advert_int {interval}\n \
             virtual_ipaddress {{\n  {VIP}\n }}\n{track}}}\n"
        )
    }
}

/// haproxy.cfg of both hosts.
pub(super) fn haproxy_cfg() -> String {
    let servers = (1..).zip(ORIGINS);
    let servers = servers.map(|(number, origin)| format!(" server web{number} {origin} check\n"));
    format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 10s\n timeout server 10s\n\
         frontend www\n bind *:80\n default_backend web\n\
         backend web\n balance roundrobin\n{}",
        servers.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_times_are_those_of_the_rfcs() {
        let times = |name: &str| {
            let setup = Setup::named(name).unwrap();
            (setup.skew().as_micros(), setup.down().as_micros())
        };
        assert_eq!(times("v2-1s"), (609_375, 3_609_375));
        assert_eq!(times("v3-100ms-fault"), (60_937, 360_937));
    }
}
