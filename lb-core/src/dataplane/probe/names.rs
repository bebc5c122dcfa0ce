//! Names of servers (`resolvers`): asked again and again, the servers follow the answers.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    question::{self, Answer, Section},
    services,
    shared::Shared,
};
use crate::{
    backend::{Backend, Unresolved},
    config::{Hold, Resolution},
    dataplane::{Balancer, clock, rt},
    server::{Server, ServerKey},
};

/// A name that servers have, and how it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) host: Arc<str>,
    resolvers: Arc<str>,
    pub(super) prefer_v4: bool,
    /// It has no addresses itself, but records that say where its servers are.
    of_service: bool,
}

/// A name that is asked for.
pub(super) struct Followed {
    section: Rc<Section>,
    task: rt::Task,
    settled: Rc<RefCell<Settled>>,
}

/// Servers that have got what the answers say: where an operator has put one since, it stays until they change, as with
/// HAProxy.
type Settled = BTreeSet<ServerKey>;

impl Name {
    fn new(host: Arc<str>, resolution: &Resolution, of_service: bool) -> Self {
        Self {
            host,
            resolvers: Arc::clone(&resolution.resolvers),
            prefer_v4: resolution.prefer_v4,
            of_service,
        }
    }

    /// That whose addresses a server has; `None` if its address was told along with its record.
    fn of_host(server: &Server) -> Option<Self> {
        let resolution = server.config().resolution.as_ref()?;
        let is_told = server
            .record()
            .is_some_and(|record| record.address.is_some());
        let host = server.host().filter(|_| !is_told)?;
        Some(Self::new(host, resolution, false))
    }

    /// That of its service.
    pub(super) fn of_service(server: &Server) -> Option<Self> {
        let resolution = server.config().resolution.as_ref()?;
        Some(Self::new(server.service()?.into(), resolution, true))
    }
}

/// Goes over to the names of another configuration.
pub(super) fn rearrange(
    shared: &Rc<Shared>,
    mut before: BTreeMap<Name, Followed>,
    balancer: &Balancer,
) -> BTreeMap<Name, Followed> {
    let servers = balancer.backends.iter().flat_map(|b| b.servers());
    let mut names: BTreeMap<Name, BTreeSet<ServerKey>> = BTreeMap::new();
    for server in servers {
        let own = [Name::of_host(server), Name::of_service(server)];
        for name in own.into_iter().flatten() {
            names.entry(name).or_default().insert(server.key());
        }
    }
    let mut followed = BTreeMap::new();
    for (name, servers) in names {
        let mut sections = balancer.config.resolvers.iter();
        let Some(resolvers) = sections.find(|section| section.name == name.resolvers) else {
            continue;
        };
        if let Some(old) = before.remove(&name) {
            if old.section.config == *resolvers {
                // The key of one that is gone may be that of another some time.
                old.settled.borrow_mut().retain(|key| servers.contains(key));
                followed.insert(name, old);
                continue;
            }
            old.task.abort();
        }
        let section = Rc::new(Section::new(resolvers, balancer));
        let (own, its, asked) = (Rc::clone(shared), name.clone(), Rc::clone(&section));
        let settled = Rc::default();
        let task = match name.of_service {
            true => rt::spawn(services::follow(own, its, asked)),
            false => rt::spawn(follow(own, its, asked, Rc::clone(&settled))),
        };
        let known = Followed {
            section,
            task,
            settled,
        };
        followed.insert(name, known);
    }
    for (_, gone) in before {
        gone.task.abort();
    }
    followed
}

/// What is known of a name.
struct Known {
    /// When there was a good answer; the beginning counts as one.
    good_at: Instant,
    /// When each address was in an answer.
    seen: BTreeMap<IpAddr, Instant>,
}

async fn follow(
    shared: Rc<Shared>,
    name: Name,
    section: Rc<Section>,
    settled: Rc<RefCell<Settled>>,
) {
    let mut known = Known {
        good_at: clock::now(),
        seen: BTreeMap::new(),
    };
    loop {
        let answer = question::ask(&section, &name.host, name.prefer_v4).await;
        let own = (&mut known, &*settled);
        apply(&shared, &name, &section, own, answer);
        rt::sleep(section.config.interval.max(Duration::from_millis(10))).await;
    }
}

/// The servers of this name follow an answer.
fn apply(
    shared: &Shared,
    name: &Name,
    section: &Section,
    (known, settled): (&mut Known, &RefCell<Settled>),
    answer: Answer,
) {
    let now = clock::now();
    let resolvers = &section.config;
    if let Answer::Addresses(addresses, place) = answer {
        known.good_at = now;
        let before: Vec<IpAddr> = known.seen.keys().copied().collect();
        known.seen.extend(addresses.iter().map(|ip| (*ip, now)));
        let obsolete = resolvers.hold.obsolete;
        known
            .seen
            .retain(|_, seen| now.saturating_duration_since(*seen) <= obsolete);
        let of = |(server, _): &(Arc<str>, SocketAddr)| Arc::clone(server);
        let by = resolvers.nameservers.get(place).map(of).unwrap_or_default();
        let by = format!("{}/{by}", resolvers.name);
        let present: Vec<IpAddr> = known.seen.keys().copied().collect();
        if present != before {
            settled.borrow_mut().clear();
        }
        let answer = (addresses.as_slice(), present.as_slice());
        let (all, moved) = settle(shared, name, answer, &by, &settled.borrow());
        settled.replace(all);
        if let (Some(counters), true) = (section.counters(place), moved) {
            counters.updates.increment();
        }
        return;
    }
    let (reason, hold) = held(&answer, &resolvers.hold);
    if now.saturating_duration_since(known.good_at) < hold {
        return;
    }
    let balancer = Arc::clone(&shared.balancer.borrow());
    for backend in &balancer.backends {
        for server in backend.servers().iter().filter(|s| has(s, name)) {
            lose(shared, backend, server, reason);
        }
    }
}

/// What is wrong with an answer that tells of nothing, and for how long what was told before stays in force.
pub(super) fn held(answer: &Answer, hold: &Hold) -> (Unresolved, Duration) {
    match answer {
        Answer::NoSuchName => (Unresolved::NoSuchName, hold.nx),
        Answer::Refused => (Unresolved::Refused, hold.refused),
        Answer::Timeout => (Unresolved::Timeout, hold.timeout),
        _ => (Unresolved::Other, hold.other),
    }
}

fn has(server: &Server, name: &Name) -> bool {
    Name::of_host(server).as_ref() == Some(name)
}

pub(super) fn lose(shared: &Shared, backend: &Arc<Backend>, server: &Server, reason: Unresolved) {
    if let Some(change) = backend.lose_address(clock::now(), server.index(), reason) {
        shared.tell(backend, &change);
        shared.lead(backend, server);
    }
}

/// Each server keeps its address while that is among the `present` ones, else takes one of the `fresh` ones that no other
/// server of its backend has, unless it has had what they say: it is among the `settled`. Those who have it now, and
/// whether anybody has moved.
fn settle(
    shared: &Shared,
    name: &Name,
    (fresh, present): (&[IpAddr], &[IpAddr]),
    by: &str,
    settled: &BTreeSet<ServerKey>,
) -> (BTreeSet<ServerKey>, bool) {
    let mut all = BTreeSet::new();
    let balancer = Arc::clone(&shared.balancer.borrow());
    let mut moved = false;
    // What one server has asked for, the others find known.
    let mut by = Some(by);
    for backend in &balancer.backends {
        let followers = || backend.servers().iter().filter(|s| has(s, name));
        let resolved = |server: &&Server| server.is_resolved();
        let own = |server: &Server| server.address().map(|address| address.ip());
        // A new record may say another port.
        let stays = |server: &Server| {
            let port = server.record().map(|record| record.port);
            let at = server.address();
            port.is_none() || port == at.map(|at| at.port())
        };
        let kept =
            |server: &Server| stays(server) && own(server).is_some_and(|ip| present.contains(&ip));
        let mut taken: BTreeSet<(IpAddr, u16)> = followers()
            .filter(resolved)
            .filter(|server| kept(server))
            .filter_map(|server| Some((own(server)?, server.port())))
            .collect();
        for server in followers() {
            let by = by.take().unwrap_or("DNS cache");
            let has_had_it = settled.contains(&server.key());
            all.insert(server.key());
            if server.is_resolved() && (kept(server) || has_had_it) {
                continue;
            }
            let config = server.config();
            let Some(resolution) = &config.resolution else {
                continue;
            };
            let port = server.port();
            let free = |ip: &&IpAddr| resolution.shares || !taken.contains(&(**ip, port));
            let Some(ip) = best(resolution, fresh.iter().filter(free)) else {
                lose(shared, backend, server, Unresolved::NoAddress);
                continue;
            };
            taken.insert((ip, port));
            move_to(shared, backend, server, ip, by);
            moved = true;
        }
    }
    if moved {
        shared.look_again();
    }
    (all, moved)
}

/// One of a preferred network, else of the preferred family, else any.
fn best<'i>(
    resolution: &Resolution,
    candidates: impl Iterator<Item = &'i IpAddr>,
) -> Option<IpAddr> {
    candidates
        .min_by_key(|ip| {
            let networks = &resolution.networks;
            let near = networks.is_empty() || networks.iter().any(|net| net.contains(*ip));
            (!near, ip.is_ipv4() != resolution.prefer_v4)
        })
        .copied()
}

fn move_to(shared: &Shared, backend: &Arc<Backend>, server: &Server, ip: IpAddr, by: &str) {
    let of_line = || {
        server
            .address()
            .map_or(server.config().port, |at| at.port())
    };
    let port = server.record().map_or_else(of_line, |record| record.port);
    let to = SocketAddr::new(ip, port);
    tell_moved(shared, backend, server, to, by);
    if let Some(change) = backend.set_address(clock::now(), server.index(), to) {
        shared.tell(backend, &change);
        let name = format!("{}/{}", backend.name(), server.name());
        let text = format!("Server {name} administratively READY thanks to valid DNS answer.");
        shared.notice(backend, &text);
        shared.lead(backend, server);
    }
}

/// Tells of a server that is about to be somewhere else.
pub(super) fn tell_moved(
    shared: &Shared,
    backend: &Backend,
    server: &Server,
    to: SocketAddr,
    by: &str,
) {
    let before = server.address();
    if before.map(|before| before.ip()) != Some(to.ip()) {
        let from = before.map_or_else(|| "(none)".to_owned(), |before| before.ip().to_string());
        shared.tell_moved(backend, server, &from, to.ip(), by);
    }
}
