//! What all workers share under one configuration, and how the next configuration takes it over.

mod exchange;
mod fullconn;
mod name_servers;
mod tables;
mod tracking;

pub use exchange::Exchanged;
use fullconn::Reach;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use super::{
    StartError,
    gate::{Gate, Pass},
    gates::{self, FrontendGates, Gates},
    pace::Pace,
    tls::{Connector, Front, Loader, TicketKeys},
};
use crate::{
    backend::Backend,
    config::{Config, ProxyConfig, Timeouts},
    frontend::Frontend,
    peers::Group,
    request::{ProcessVariables, Side, World},
    server::{Server, ServerKey},
    stats::{FrontendCounters, ListenerCounters, NameServerCounters, ProcessCounters},
    stick_table::StickTable,
};

/// Everything that workers share, and that the stats page and the command line read. After a reload there is a new
/// one; what both know by the same name is shared.
#[derive(Debug)]
pub struct Balancer {
    /// The configuration that runs.
    pub config: Arc<Config>,
    /// Accepting halves in the order of the file.
    pub frontends: Vec<Arc<Frontend>>,
    /// Counters of the frontends, in the same order.
    pub frontend_counters: Vec<Arc<FrontendCounters>>,
    /// Counters of their listeners, in the order of the `bind` lines; of a frontend without `option socket-stats` none.
    pub listener_counters: Vec<Vec<Arc<ListenerCounters>>>,
    /// Serving halves in the order of the file.
    pub backends: Vec<Arc<Backend>>,
    /// Counters of the process.
    pub process: Arc<ProcessCounters>,
    /// When the data plane started.
    pub started: Instant,
    /// Seconds that local time is ahead of UTC, for log lines.
    pub utc_offset: i32,
    /// Limit of the connections of the process.
    gate: Arc<Gate>,
    /// Limits of the frontends' connections, in their order.
    gates: Vec<FrontendGates>,
    /// `stick-table`s by the name of their proxy.
    pub tables: BTreeMap<Arc<str>, Arc<StickTable>>,
    /// `peers` sections by their names.
    pub groups: BTreeMap<Arc<str>, Arc<Group>>,
    /// Counters of the name servers, by section and name.
    pub name_servers: BTreeMap<(Arc<str>, Arc<str>), Arc<NameServerCounters>>,
    /// Other hosts that are spoken to in TLS, by section and place.
    peer_connectors: BTreeMap<(Arc<str>, usize), Connector>,
    /// Limit of the connections in TLS (`maxsslconn`).
    secure_gate: Arc<Gate>,
    /// The rate of connections (`maxconnrate`, `maxsessrate`).
    pace: Pace,
    /// That of those in TLS (`maxsslrate`).
    secure_pace: Pace,
    /// What seals session tickets.
    ticket_keys: Arc<TicketKeys>,
    /// `bind ... ssl` lines, by the indices of proxy and bind.
    secured: BTreeMap<(usize, usize), Arc<Front>>,
    /// Servers that are spoken to in TLS.
    connectors: BTreeMap<ServerKey, Connector>,
    /// Servers that are checked in TLS.
    check_connectors: BTreeMap<ServerKey, Connector>,
    /// Held while one of the files of these is exchanged.
    exchanging: Mutex<()>,
    /// Places in [`Balancer::backends`].
    names: BTreeMap<Arc<str>, usize>,
    /// Places in [`Balancer::frontends`].
    fronts: BTreeMap<Arc<str>, usize>,
    /// Proxy of each backend.
    backend_proxies: Vec<usize>,
    /// Frontend and backend of each proxy.
    halves: Vec<(Option<usize>, Option<usize>)>,
    /// How many connections can come to each backend.
    reach: Reach,
}

impl Balancer {
    pub(super) fn new(
        config: Arc<Config>,
        utc_offset: i32,
        now: Instant,
    ) -> Result<Self, StartError> {
        let fresh = Self {
            gate: Gate::new(config.global.maxconn),
            secure_gate: Gate::new(config.global.maxsslconn),
            pace: Pace::default(),
            secure_pace: Pace::default(),
            ticket_keys: Arc::default(),
            secured: BTreeMap::new(),
            process: Arc::new(ProcessCounters::new(now)),
            started: now,
            utc_offset,
            config: Arc::default(),
            frontends: Vec::new(),
            frontend_counters: Vec::new(),
            listener_counters: Vec::new(),
            backends: Vec::new(),
            gates: Vec::new(),
            tables: BTreeMap::new(),
            groups: BTreeMap::new(),
            name_servers: BTreeMap::new(),
            peer_connectors: BTreeMap::new(),
            connectors: BTreeMap::new(),
            check_connectors: BTreeMap::new(),
            exchanging: Mutex::default(),
            names: BTreeMap::new(),
            fronts: BTreeMap::new(),
            backend_proxies: Vec::new(),
            halves: Vec::new(),
            reach: Reach::default(),
        };
        fresh.renewed(config, now)
    }

    /// The balancer of another configuration, beside this one. Nothing changes here before
    /// [`Balancer::take_over`].
    pub(super) fn renewed(&self, config: Arc<Config>, now: Instant) -> Result<Self, StartError> {
        let mut new = Self {
            gate: Arc::clone(&self.gate),
            secure_gate: Arc::clone(&self.secure_gate),
            pace: self.pace.clone(),
            secure_pace: self.secure_pace.clone(),
            ticket_keys: Arc::clone(&self.ticket_keys),
            secured: BTreeMap::new(),
            process: Arc::clone(&self.process),
            started: self.started,
            utc_offset: self.utc_offset,
            frontends: Vec::new(),
            frontend_counters: Vec::new(),
            listener_counters: Vec::new(),
            backends: Vec::new(),
            gates: Vec::new(),
            tables: BTreeMap::new(),
            groups: BTreeMap::new(),
            name_servers: self.counted_of(&config),
            peer_connectors: BTreeMap::new(),
            connectors: BTreeMap::new(),
            check_connectors: BTreeMap::new(),
            exchanging: Mutex::default(),
            names: BTreeMap::new(),
            fronts: BTreeMap::new(),
            backend_proxies: Vec::new(),
            halves: vec![(None, None); config.proxies.len()],
            reach: Reach::new(&config),
            config: Arc::clone(&config),
        };
        new.share_tables(self, now)?;
        let mut names = BTreeMap::new();
        for (index, proxy) in config.proxies.iter().enumerate() {
            if proxy.backend.is_some() {
                let proxy = &*new.reach.completed(proxy);
                names.insert(Arc::clone(&proxy.name), new.backends.len());
                if let Some(half) = new.halves.get_mut(index) {
                    half.1 = Some(new.backends.len());
                }
                let backend = match self.backend_called(&proxy.name) {
                    Some(old) => old.renewed(proxy, now),
                    None => Backend::new(proxy, now),
                };
                for server in backend.servers() {
                    new.connect_in_tls(&proxy.name, server)?;
                }
                new.backends.push(backend);
                new.backend_proxies.push(index);
            }
        }
        let limit = config.global.maxconn.unwrap_or(u32::MAX);
        new.secure()?;
        for (index, proxy) in config.proxies.iter().enumerate() {
            if proxy.frontend.is_some() {
                if let Some(half) = new.halves.get_mut(index) {
                    half.0 = Some(new.frontends.len());
                }
                let name = Arc::clone(&proxy.name);
                new.fronts.insert(name, new.frontends.len());
                let (frontend, counters, gate) = match self.frontend_called(&proxy.name) {
                    Some((old, counters, gate)) => (
                        old.renewed(proxy, &names, limit)?,
                        Arc::clone(counters),
                        gate.renewed(proxy),
                    ),
                    None => {
                        let frontend = Frontend::new(proxy, &names, limit)?;
                        let gate = FrontendGates::new(&frontend, proxy);
                        (frontend, Arc::new(FrontendCounters::new(now)), gate)
                    }
                };
                new.listener_counters.push(self.listeners_of(proxy));
                new.frontends.push(frontend);
                new.frontend_counters.push(counters);
                new.gates.push(gate);
            }
        }
        new.names = names;
        Ok(new)
    }

    /// Certificates and authorities stay those that were given at run time.
    pub(super) fn keep_tls_of(&mut self, present: &Self) {
        self.secured = present.secured.clone();
        self.peer_connectors.clone_from(&present.peer_connectors);
        for (own, known) in [
            (&mut self.connectors, &present.connectors),
            (&mut self.check_connectors, &present.check_connectors),
        ] {
            for (server, connector) in own {
                if let Some(known) = known.get(server) {
                    connector.clone_from(known);
                }
            }
        }
    }

    /// From now on this one runs instead of `old`, out of which [`Balancer::renewed`] made it.
    pub(super) fn take_over(&self, old: &Self, now: Instant) {
        self.gate.set_limit(self.config.global.maxconn);
        self.secure_gate.set_limit(self.config.global.maxsslconn);
        for (frontend, gate) in self.frontends.iter().zip(&self.gates) {
            gate.set_limits(frontend);
        }
        for (index, backend) in self.backends.iter().enumerate() {
            let before = old.backend_called(backend.name());
            if let (Some(before), Some(proxy)) = (before, self.backend_proxy(index)) {
                backend.take_over(before, proxy, now);
            }
        }
    }

    /// The limits that a connection of a frontend's bind has to pass.
    pub(super) fn gates(&self, frontend: usize, bind: usize) -> Option<Gates> {
        self.gates.get(frontend)?.of_bind(&self.gate, bind)
    }

    /// Speaks TLS to a server, if it has `ssl`.
    pub(super) fn connector(&self, server: ServerKey) -> Option<&Connector> {
        self.connectors.get(&server)
    }

    /// Speaks TLS for checks of a server, if they do.
    pub(super) fn check_connector(&self, server: ServerKey) -> Option<&Connector> {
        self.check_connectors.get(&server)
    }

    /// What a `bind ... ssl` line offers.
    pub(super) fn secured(&self, proxy: usize, bind: usize) -> Option<Arc<Front>> {
        self.secured.get(&(proxy, bind)).cloned()
    }

    /// A place among the connections in TLS; `None` if there is none left.
    pub(super) fn enter_secure(&self) -> Option<Pass> {
        self.secure_gate.enter()
    }

    /// Counts one more connection; when to try again if there were enough in this second.
    pub(super) fn pace(&self, now: Instant) -> Result<(), Instant> {
        let global = &self.config.global;
        // Each connection is a session.
        let limits = [global.maxconnrate, global.maxsessrate];
        self.pace.step(limits.into_iter().flatten().min(), now)
    }

    /// The same for one in TLS.
    pub(super) fn pace_secure(&self, now: Instant) -> Result<(), Instant> {
        self.secure_pace.step(self.config.global.maxsslrate, now)
    }

    /// Makes ready what `bind ... ssl` lines offer.
    fn secure(&mut self) -> Result<(), StartError> {
        let mut loader = Loader::default();
        let config = Arc::clone(&self.config);
        for (index, proxy) in config.proxies.iter().enumerate() {
            let binds = proxy.frontend.iter().flat_map(|frontend| &frontend.binds);
            for (place, bind) in binds.enumerate() {
                if let Some(tls) = &bind.tls {
                    let front = Front::new(&proxy.name, tls, &self.ticket_keys, &mut loader)
                        .map_err(|wrong| wrong.in_line(bind.origin.as_ref()))?;
                    self.secured.insert((index, place), Arc::new(front));
                }
            }
        }
        Ok(())
    }

    fn connect_in_tls(&mut self, proxy: &str, server: &Server) -> Result<(), StartError> {
        let (key, config) = (server.key(), server.config());
        let connector = |tls| {
            let made = Connector::new(proxy, tls);
            made.map_err(|wrong| wrong.in_line(config.origin.as_ref()))
        };
        let own = match &config.tls {
            Some(tls) => Some(connector(tls)?),
            None => None,
        };
        let check = config.check.as_ref();
        let of_check = check.and_then(|check| check.tls.as_ref().or(check.step_tls.as_ref()));
        if let Some(tls) = of_check {
            // Checks that speak as requests do share the memory of sessions.
            let connector = match &own {
                Some(own) if config.tls.as_ref() == Some(tls) => own.clone(),
                _ => connector(tls)?,
            };
            self.check_connectors.insert(key, connector);
        }
        self.connectors.extend(own.map(|own| (key, own)));
        Ok(())
    }

    /// Every server there is.
    pub(super) fn server_keys(&self) -> BTreeSet<ServerKey> {
        let servers = self.backends.iter().flat_map(|b| b.servers());
        servers.map(Server::key).collect()
    }

    /// Counters for the listeners of `proxy`; those that there are by the same address go on.
    fn listeners_of(&self, proxy: &ProxyConfig) -> Vec<Arc<ListenerCounters>> {
        if !proxy.socket_stats {
            return Vec::new();
        }
        let named = |old: &Arc<Frontend>| old.config().name == proxy.name;
        let old = self.frontends.iter().zip(&self.listener_counters);
        let old = old.filter(|(old, _)| named(old)).flat_map(|(old, all)| {
            let addresses = gates::binds(old.config()).map(|bind| &bind.address);
            addresses.zip(all.iter().map(Arc::clone))
        });
        let before = gates::of_the_same_address(gates::binds(proxy), old);
        before.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// The load at which servers of `backend` with a `minconn` reach their `maxconn`: `fullconn`, or what stands for it.
    /// `None` if they do at any load.
    pub fn fullconn(&self, backend: &Backend) -> Option<u32> {
        let told = backend.config().fullconn;
        told.or_else(|| self.reach.fullconn(backend.name()))
    }

    fn backend_called(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backends.get(*self.names.get(name)?)
    }

    fn frontend_called(
        &self,
        name: &str,
    ) -> Option<(&Arc<Frontend>, &Arc<FrontendCounters>, &FrontendGates)> {
        let index = *self.fronts.get(name)?;
        Some((
            self.frontends.get(index)?,
            self.frontend_counters.get(index)?,
            self.gates.get(index)?,
        ))
    }

    /// The section of a backend, by its place in [`Balancer::backends`].
    pub fn backend_proxy(&self, backend: usize) -> Option<&ProxyConfig> {
        self.config.proxies.get(*self.backend_proxies.get(backend)?)
    }

    /// The frontend of a section, by its place in [`Config::proxies`].
    pub fn frontend_of(&self, proxy: usize) -> Option<(usize, &Arc<Frontend>)> {
        let index = self.halves.get(proxy)?.0?;
        Some((index, self.frontends.get(index)?))
    }

    /// The backend of a section, by its place in [`Config::proxies`].
    pub fn backend_of(&self, proxy: usize) -> Option<(usize, &Arc<Backend>)> {
        let index = self.halves.get(proxy)?.1?;
        Some((index, self.backends.get(index)?))
    }

    /// Place in [`Balancer::backends`] of the one called `name`.
    pub fn backend_named(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// `node`, else the host's name.
    pub fn node(&self) -> String {
        self.config.global.node.clone().unwrap_or_else(host_name)
    }

    /// Place in [`Config::proxies`] of a backend.
    pub fn proxy_of_backend(&self, backend: usize) -> Option<usize> {
        self.backend_proxies.get(backend).copied()
    }
}

fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

impl World for Balancer {
    fn table(&self, proxy: &str) -> Option<&Arc<StickTable>> {
        self.tables.get(proxy)
    }

    fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backend_called(name)
    }

    fn frontend(&self, name: &str) -> Option<&FrontendCounters> {
        let (_, counters, _) = self.frontend_called(name)?;
        Some(counters)
    }

    fn section(&self, frontend: &str) -> Option<&ProxyConfig> {
        let (frontend, ..) = self.frontend_called(frontend)?;
        Some(frontend.config())
    }

    fn host_name(&self) -> Option<String> {
        Some(host_name())
    }

    fn timeouts(&self, backend: &str) -> Option<&Timeouts> {
        let index = self.backend_named(backend)?;
        Some(&self.backend_proxy(index)?.timeouts)
    }

    fn number(&self, proxy: &str) -> Option<u32> {
        let mut proxies = self.config.proxies.iter();
        proxies.find(|one| *one.name == *proxy).map(|one| one.id)
    }

    fn capture_length(&self, frontend: &str, side: Side, slot: usize) -> Option<usize> {
        let (frontend, ..) = self.frontend_called(frontend)?;
        frontend.config().rules.capture_length(side, slot)
    }

    fn variables(&self) -> &ProcessVariables {
        &self.config.variables
    }
}
