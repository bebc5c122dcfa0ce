//! The cluster: two hosts that share an address, two origins, a client, and a host that watches who answers.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    DrillError, Setup,
    node::Node,
    setup::{PRIORITIES, haproxy_cfg},
};
use crate::{
    admin::status::{State, Status},
    lab::{Habits, Host, Lab, Origin, Prober, Traffic},
    supervisor::backoff::PROVEN,
};

/// The address that is shared.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);
/// Where the origins are.
pub(super) const ORIGINS: [SocketAddrV4; 2] = [
    SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 21), 8080),
    SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 22), 8080),
];
/// The prober's own address.
const PROBER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);
const POLL: Duration = Duration::from_millis(10);
/// How long one host must have answered alone to be called the holder.
const STEADY: Duration = Duration::from_millis(250);

/// A running cluster. The first host is the preferred one: it holds the address whenever it can.
#[derive(Debug)]
pub struct Site {
    /// How it is configured.
    pub setup: Setup,
    /// The preferred host.
    pub first: Node,
    /// The other one.
    pub second: Node,
    /// Who answers.
    pub prober: Prober,
    /// A client with a new connection for each request.
    pub traffic: Traffic,
    pub(super) lab: Lab,
    /// When the first host's balancer failed: another failure would be a second one in a row.
    pub(super) scarred: Option<Instant>,
    others: Vec<Host>,
    _origins: Vec<Origin>,
}

impl Site {
    /// Wires everything up, starts both daemons (`program run ...`) and waits until the first host serves.
    pub fn start(setup: Setup, program: &Path, folder: &Path) -> Result<Self, DrillError> {
        let lab = Lab::new()?;
        let mut others = Vec::new();
        let mut origins = Vec::new();
        for (number, origin) in (1..).zip(ORIGINS) {
            let name = format!("web{number}");
            let host = lab.host(&name, "eth0", &[address(*origin.ip())])?;
            origins.push(Origin::start(&host, origin.into(), &name)?);
            others.push(host);
        }
        let node = |name: &str, last: u8, priority: u8| {
            let host = lab.host(name, "eth0", &[address(Ipv4Addr::new(10, 77, 0, last))])?;
            let mut node = Node::new(host, priority, &setup, folder, program)?;
            node.write("keepalived.conf", &node.keepalived_conf(&setup))?;
            node.write("haproxy.cfg", &haproxy_cfg())?;
            node.start()?;
            Ok::<_, DrillError>(node)
        };
        let [preferred, other] = PRIORITIES;
        let (first, second) = (node("h1", 11, preferred)?, node("h2", 12, other)?);
        let watcher = lab.host("prober", "eth0", &[])?;
        let service = SocketAddrV4::new(VIP, 80);
        let prober = Prober::start(&watcher, PROBER, service, &[&first.host, &second.host])?;
        let client = lab.host("client", "eth0", &[address(Ipv4Addr::new(10, 77, 0, 100))])?;
        let habits = Habits {
            pace: Duration::from_millis(5),
            // Longer than the bar for a balancer that is started again.
            patience: Duration::from_millis(300),
            keep_alive: false,
        };
        let traffic = Traffic::with(&client, SocketAddr::V4(service), habits)?;
        others.extend([watcher, client]);
        let mut site = Self {
            setup,
            first,
            second,
            prober,
            traffic,
            lab,
            scarred: None,
            others,
            _origins: origins,
        };
        site.calm()?;
        Ok(site)
    }

    /// The host that clients are on.
    pub fn client(&self) -> Option<&Host> {
        self.others.last()
    }

    /// A daemon whose balancer failed lately would take the next failure for a second one in a row: it is replaced.
    pub(super) fn heal(&mut self) {
        if self.scarred.take().is_some_and(|at| at.elapsed() < PROVEN) {
            self.first.terminate();
        }
    }

    /// Starts what does not run and waits until the first host serves and holds the address alone.
    pub fn calm(&mut self) -> Result<(), DrillError> {
        for node in [&mut self.first, &mut self.second] {
            if !node.runs() {
                node.start()?;
            }
        }
        let patience = self.setup.down() * 3 + Duration::from_secs(20);
        self.wait("the first host serves alone", patience, Self::is_calm)
    }

    fn is_calm(&self) -> bool {
        let ready = |status: &Status| status.balancer.as_ref().is_some_and(|b| b.ready);
        let is = |node: &Node, state| {
            node.status().is_some_and(|status| {
                ready(&status) && status.instances.iter().all(|one| one.state == state)
            })
        };
        let now = Instant::now();
        self.prober.look(|history| history.steady(now, STEADY)) == [0]
            && self.is_answered(now)
            && is(&self.first, State::Active)
            && is(&self.second, State::Backup)
    }

    /// Whether the client got something lately.
    fn is_answered(&self, now: Instant) -> bool {
        let latest = self.traffic.latest();
        latest.is_some_and(|at| now.saturating_duration_since(at) < STEADY)
    }

    /// Whether exactly one host answers, whichever, and the client is served.
    pub(super) fn is_served(&self) -> bool {
        let now = Instant::now();
        self.prober
            .look(|history| history.steady(now, STEADY))
            .len()
            == 1
            && self.is_answered(now)
    }

    /// Polls until `condition` holds; how things are if it does not in time.
    pub fn wait(
        &self,
        what: &str,
        patience: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<(), DrillError> {
        let deadline = Instant::now() + patience;
        while !condition(self) {
            if Instant::now() > deadline {
                let what = what.to_owned();
                let how = self.describe();
                return Err(DrillError::Late { what, how });
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Only looks on.
    pub fn watch(&self, until: Instant) {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }

    /// States, answers and the ends of the logs, for a person who asks why.
    pub fn describe(&self) -> String {
        let steady = self
            .prober
            .look(|history| history.steady(Instant::now(), STEADY));
        let mut text = format!("hosts that answer: {steady:?}\n");
        for node in [&self.first, &self.second] {
            let state = node.status().map(|status| {
                let states: Vec<State> = status.instances.iter().map(|one| one.state).collect();
                (states, status.balancer.map(|balancer| balancer.ready))
            });
            let log = node.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines
                .get(lines.len().saturating_sub(30)..)
                .unwrap_or_default();
            text += &format!("--- {} {state:?}\n{}\n", node.host.name(), last.join("\n"));
        }
        text
    }
}

fn address(address: Ipv4Addr) -> ipnet::IpNet {
    ipnet::Ipv4Net::new(address, 24)
        .map_or_else(|_| std::net::IpAddr::V4(address).into(), Into::into)
}
