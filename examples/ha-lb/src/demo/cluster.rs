//! Three hosts, four origins and a client on one bridge, and everything that can happen to them.

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    DemoError,
    client::Client,
    files::{ADVERTISEMENT_INTERVAL, SCRIPT_WEIGHT},
    node::Node,
    teller::Teller,
    watch::{Look, Sights, Watch},
};
use crate::{
    admin::status::State,
    lab::{Host, Lab, Origin},
};

/// Folder for files, on a file system that vanishes with the enclosure.
const FOLDER: &str = "/run/ha-lb-demo";
/// The virtual address.
pub(super) const VIP: &str = "10.77.0.10";
/// Origins that run, and how many of them the files name at first.
pub(super) const ORIGINS: usize = 4;
pub(super) const NAMED_AT_FIRST: usize = 3;
/// Nothing in the demonstration takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) origins: Vec<OriginHost>,
    pub(super) client: Client,
    /// Origins that the files name now.
    pub(super) named: usize,
    lab: Lab,
    watch: Watch,
    _client_host: Host,
}

/// A host with an origin.
pub(super) struct OriginHost {
    pub(super) facts: Arc<OriginFacts>,
    host: Host,
    address: SocketAddr,
    running: Option<Origin>,
}

/// What is known of an origin.
#[derive(Debug)]
pub(super) struct OriginFacts {
    pub(super) name: String,
    alive: AtomicBool,
}

impl OriginFacts {
    /// Whether it runs.
    pub(super) fn alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

impl OriginHost {
    fn new(host: Host, address: SocketAddr) -> Self {
        let facts = OriginFacts {
            name: host.name().to_owned(),
            alive: AtomicBool::new(false),
        };
        Self {
            facts: Arc::new(facts),
            host,
            address,
            running: None,
        }
    }

    /// Starts it, unless it runs.
    pub(super) fn start(&mut self) -> Result<(), DemoError> {
        if self.running.is_none() {
            self.running = Some(Origin::start(&self.host, self.address, &self.facts.name)?);
            self.facts.alive.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Ends it: its connections break, new ones are refused.
    pub(super) fn kill(&mut self) {
        self.facts.alive.store(false, Ordering::Relaxed);
        self.running = None;
    }
}

impl Cluster {
    /// Wires everything up and starts the daemons and the client.
    pub(super) fn start(teller: &Teller) -> Result<Self, DemoError> {
        prepare_folder().map_err(DemoError::io("scratch folder"))?;
        let lab = Lab::new()?;
        let mut nodes = Vec::new();
        for (number, priority) in [(1_u8, 100), (2, 99), (3, 98)] {
            let host = lab.host(&format!("lb{number}"), "eth0", &[address(10 + number)])?;
            let mut node = Node::new(host, priority, Path::new(FOLDER), NAMED_AT_FIRST)?;
            node.start()?;
            nodes.push(node);
        }
        let mut origins = Vec::new();
        for number in (1_u8..).take(ORIGINS) {
            let address = address(20 + number);
            let host = lab.host(&format!("web{number}"), "eth0", &[address])?;
            let mut origin = OriginHost::new(host, SocketAddr::new(address.addr(), 8080));
            origin.start()?;
            origins.push(origin);
        }
        let client_host = lab.host("client", "eth0", &[address(100)])?;
        let client = Client::start(&client_host, SocketAddr::new(address(10).addr(), 80))?;
        let sights = Sights {
            nodes: nodes.iter().map(|node| Arc::clone(&node.facts)).collect(),
            origins: origins.iter().map(|o| Arc::clone(&o.facts)).collect(),
            client: client.clone(),
        };
        Ok(Self {
            nodes,
            origins,
            client,
            named: NAMED_AT_FIRST,
            lab,
            watch: Watch::start(sights, teller.clone()),
            _client_host: client_host,
        })
    }

    /// Host `node`.
    pub(super) fn node(&mut self, node: usize) -> Result<&mut Node, DemoError> {
        self.nodes.get_mut(node).ok_or(DemoError::NoHost(node))
    }

    /// Origin `origin`.
    pub(super) fn origin(&mut self, origin: usize) -> Result<&mut OriginHost, DemoError> {
        let found = self.origins.get_mut(origin);
        found.ok_or(DemoError::NoHost(origin))
    }

    /// Whether it answered a client since `since`.
    pub(super) fn has_answered(&self, origin: usize, since: Instant) -> bool {
        let seen = self.client.seen(since).by_origin;
        let facts = self.origins.get(origin).map(|origin| &origin.facts);
        facts.is_some_and(|facts| seen.contains_key(&facts.name))
    }

    /// A host's name.
    pub(super) fn name(&self, node: usize) -> String {
        let node = self.nodes.get(node);
        node.map(|node| node.name().to_owned()).unwrap_or_default()
    }

    /// Pulls a host's cable out, or puts it back.
    pub(super) fn plug(&mut self, node: usize, plugged: bool) -> Result<(), DemoError> {
        let Some(node) = self.nodes.get(node) else {
            return Err(DemoError::NoHost(node));
        };
        if plugged {
            self.lab.mend_cable(&node.host)?;
        } else {
            self.lab.cut_cable(&node.host)?;
        }
        node.set_cable(plugged);
        Ok(())
    }

    /// Names the first `servers` origins in every host's file and reloads every daemon.
    pub(super) fn reload(&mut self, servers: usize) -> Result<(), DemoError> {
        self.named = servers;
        self.nodes.iter().try_for_each(|node| node.reload(servers))
    }

    /// The one host that says it is Active and answers the client, both after `since`.
    pub(super) fn active(&self, look: &Look, since: Instant) -> Option<usize> {
        let answered_by = self.client.answered_by(since)?;
        let holder = self.holder(look)?;
        (self.name(holder) == answered_by).then_some(holder)
    }

    /// The one host that says it is Active and can be heard.
    fn holder(&self, look: &Look) -> Option<usize> {
        let mut holders = (0..self.nodes.len()).filter(|node| {
            let facts = self.nodes.get(*node).map(|node| &node.facts);
            let heard = facts.is_some_and(|facts| facts.running() && facts.cable());
            heard && look.state(*node) == Some(State::Active)
        });
        let holder = holders.next()?;
        holders.next().is_none().then_some(holder)
    }

    /// The host that holds the address now, as far as is known.
    pub(super) fn active_now(&self) -> Option<usize> {
        self.holder(&self.watch.latest())
    }

    /// The host that is preferred among those that run with their cable in.
    pub(super) fn preferred(&self) -> Option<usize> {
        self.best(|node| node.facts.running() && node.facts.cable())
    }

    /// Waits until `done` holds of a look at everything that was begun after `since`.
    pub(super) fn wait(
        &self,
        what: &str,
        since: Instant,
        mut done: impl FnMut(&Self, &Look) -> bool,
    ) -> Result<(), DemoError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.watch.look(since).is_some_and(|look| done(self, &look)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(DemoError::TooLate(what.to_owned()))
    }

    /// Waits until the preferred host is Active and answers, and returns it.
    pub(super) fn settle(&self, since: Instant) -> Result<usize, DemoError> {
        let best = self.preferred().ok_or(DemoError::NobodyLeft)?;
        let what = format!("{} as the one Active host", self.name(best));
        self.wait(&what, since, |cluster, look| {
            cluster.active(look, since) == Some(best)
        })?;
        Ok(best)
    }

    /// Active_Down_Interval of the host that follows `gone` (RFC 9568 §6.1); none if no host is left.
    pub(super) fn down_interval(&self, gone: usize) -> Option<Duration> {
        Some(ADVERTISEMENT_INTERVAL * 3 + self.skew(gone)?)
    }

    /// Skew_Time of the host that follows `gone`.
    pub(super) fn skew(&self, gone: usize) -> Option<Duration> {
        let gone = self.nodes.get(gone).map(|node| node.priority);
        let next = self.best(|node| {
            node.facts.running() && node.facts.cable() && Some(node.priority) != gone
        })?;
        let priority = self.nodes.get(next)?.priority + SCRIPT_WEIGHT;
        Some(ADVERTISEMENT_INTERVAL * (256 - u32::from(priority)) / 256)
    }

    fn best(&self, among: impl Fn(&Node) -> bool) -> Option<usize> {
        let nodes = self.nodes.iter().enumerate();
        let among = nodes.filter(|(_, node)| among(node));
        among
            .max_by_key(|(_, node)| node.priority)
            .map(|(index, _)| index)
    }

    /// The last lines that each daemon wrote.
    pub(super) fn logs(&self) -> String {
        self.nodes.iter().map(Node::log).collect()
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
