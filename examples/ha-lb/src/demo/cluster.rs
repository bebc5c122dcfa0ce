//! The hosts of the demonstration: their files, their daemons, their state.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::DemoError;
use crate::lab::{Host, Lab, Origin, Traffic};

/// Advertisement interval of the demonstration.
const ADVERTISEMENT_INTERVAL: Duration = Duration::from_millis(500);
/// What a running balancer adds to a host's priority.
const SCRIPT_WEIGHT: u16 = 10;
/// Folder for files, on a file system that vanishes with the enclosure.
const FOLDER: &str = "/run/ha-lb-demo";

/// One host that runs the daemon.
pub(super) struct Node {
    pub(super) host: Host,
    /// Configured priority.
    priority: u16,
    folder: PathBuf,
    daemon: Option<Child>,
}

/// Three hosts, three origins, one client.
pub(super) struct Cluster {
    pub(super) lab: Lab,
    pub(super) nodes: Vec<Node>,
    _origins: Vec<Origin>,
    _origin_hosts: Vec<Host>,
    pub(super) traffic: Traffic,
    _client: Host,
}

impl Cluster {
    /// Wires everything up and starts the daemons and the client.
    pub(super) fn start() -> Result<Self, DemoError> {
        prepare_folder().map_err(|source| DemoError::Io {
            what: "scratch folder",
            source,
        })?;
        let lab = Lab::new()?;
        let mut nodes = Vec::new();
        for (number, priority) in [(1_u8, 100), (2, 99), (3, 98)] {
            let address = address(10 + number);
            let host = lab.host(&format!("lb{number}"), "eth0", &[address])?;
            nodes.push(Node {
                host,
                priority,
                folder: PathBuf::from(format!("{FOLDER}/lb{number}")),
                daemon: None,
            });
        }
        let (mut origins, mut origin_hosts) = (Vec::new(), Vec::new());
        for number in 1..=3_u8 {
            let address = address(20 + number);
            let host = lab.host(&format!("web{number}"), "eth0", &[address])?;
            origins.push(Origin::start(
                &host,
                SocketAddr::new(address.addr(), 8080),
                &format!("web{number}"),
            )?);
            origin_hosts.push(host);
        }
        for node in &mut nodes {
            node.write_files().map_err(|source| DemoError::Io {
                what: "configuration files",
                source,
            })?;
            node.start()?;
        }
        let client = lab.host("client", "eth0", &[address(100)])?;
        let virtual_address = SocketAddr::new(address(10).addr(), 80);
        let traffic = Traffic::start(&client, virtual_address, Duration::from_millis(5))?;
        Ok(Self {
            lab,
            nodes,
            _origins: origins,
            _origin_hosts: origin_hosts,
            traffic,
            _client: client,
        })
    }

    /// States of all hosts by name; `down` where no daemon answers.
    pub(super) fn states(&self) -> BTreeMap<String, String> {
        self.nodes
            .iter()
            .map(|node| (node.host.name().to_owned(), node.state()))
            .collect()
    }

    /// The host that holds the address, when it is exactly one.
    pub(super) fn active(&self) -> Option<usize> {
        let mut holders = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.state() == "Active");
        let (index, _) = holders.next()?;
        holders.next().is_none().then_some(index)
    }

    /// Waits until exactly one host is Active, it is not `not`, and the client gets answers again after `since`.
    pub(super) fn settle(&self, not: Option<usize>, since: Instant) -> Result<usize, DemoError> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(active) = self.active()
                && Some(active) != not
                && self.traffic.latest().is_some_and(|at| at > since)
            {
                return Ok(active);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(DemoError::TooLate(format!(
            "one Active host (states: {:?})",
            self.states()
        )))
    }

    /// Active_Down_Interval of the most preferred host other than `gone` (RFC 9568 §6.1).
    pub(super) fn down_interval(&self, gone: usize) -> Duration {
        ADVERTISEMENT_INTERVAL * 3 + self.skew(gone)
    }

    /// Skew_Time of the most preferred host other than `gone`.
    pub(super) fn skew(&self, gone: usize) -> Duration {
        let best = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != gone)
            .map(|(_, node)| node.priority)
            .max();
        let effective = u32::from(best.unwrap_or(1) + SCRIPT_WEIGHT);
        ADVERTISEMENT_INTERVAL * (256 - effective) / 256
    }

    /// The last lines that each daemon wrote.
    pub(super) fn logs(&self) -> String {
        self.nodes
            .iter()
            .map(|node| {
                format!(
                    "--- {}\n{}",
                    node.host.name(),
                    tail(&node.folder.join("log"))
                )
            })
            .collect()
    }
}

impl Node {
    fn write_files(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        fs::write(
            self.folder.join("keepalived.conf"),
            keepalived_conf(self.priority),
        )?;
        fs::write(self.folder.join("haproxy.cfg"), HAPROXY_CFG)
    }

    /// Starts the daemon.
    pub(super) fn start(&mut self) -> Result<(), DemoError> {
        let file = |name: &str| self.folder.join(name);
        let daemon = self
            .host
            .command("/proc/self/exe")
            .arg("run")
            .arg("-k")
            .arg(file("keepalived.conf"))
            .arg("-x")
            .arg(file("haproxy.cfg"))
            .arg("--control")
            .arg(file("control"))
            .output(file("log"))
            .spawn()?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Ends every process of the daemon at once, as a power cut does.
    pub(super) fn kill(&mut self) {
        let status = self.status().unwrap_or_default();
        let pids = ["supervisor", "vrrp", "balancer"]
            .map(|role| status.pointer(&format!("/{role}/pid")).cloned());
        for pid in pids.into_iter().flatten().filter_map(|pid| pid.as_i64()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // A process that is gone already is as dead as it should be.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        self.reap();
    }

    /// Asks the daemon to end in order.
    pub(super) fn terminate(&mut self) {
        if let Some(daemon) = &self.daemon {
            let _ = kill_process(Pid::from_child(daemon), Signal::TERM);
        }
        self.reap();
    }

    fn reap(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.wait());
        }
    }

    fn state(&self) -> String {
        let status = self.status();
        let state = status
            .as_ref()
            .and_then(|status| status.pointer("/instances/0/state")?.as_str());
        state.unwrap_or("down").to_owned()
    }

    fn status(&self) -> Option<serde_json::Value> {
        self.daemon.as_ref()?;
        let control = self.folder.join("control");
        let output = Command::new("/proc/self/exe")
            .args(["status", "--json", "--control"])
            .arg(control)
            .output()
            .ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }
}

fn prepare_folder() -> io::Result<()> {
    rustix::mount::mount(
        "tmpfs",
        "/run",
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        None,
    )?;
    fs::create_dir_all(FOLDER)
}

fn address(host: u8) -> ipnet::IpNet {
    let address = std::net::Ipv4Addr::new(10, 77, 0, host);
    ipnet::Ipv4Net::new(address, 24)
        .map(ipnet::IpNet::from)
        .unwrap_or_else(|_| std::net::IpAddr::from(address).into())
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(20);
    lines
        .iter()
        .skip(from)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn keepalived_conf(priority: u16) -> String {
    format!(
        "vrrp_script balancer {{
    script \"killall -0 haproxy\"
    interval 1
    weight {SCRIPT_WEIGHT}
}}

vrrp_instance VI_1 {{
    version 3
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {}
    virtual_ipaddress {{
        10.77.0.10
    }}
    track_script {{
        balancer
    }}
}}
",
        ADVERTISEMENT_INTERVAL.as_secs_f64()
    )
}

const HAPROXY_CFG: &str = "defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    option forwardfor

frontend www
    bind *:80
    default_backend web

backend web
    balance roundrobin
    server web1 10.77.0.21:8080 check
    server web2 10.77.0.22:8080 check
    server web3 10.77.0.23:8080 check
";
