//! Servers that follow a service (RFC 2782): its records say on which hosts and ports they are, and with which weights.
//!
//! A server keeps its record as long as that is told of. The addresses of its host are [`names`]' business, unless they
//! are told along with the record.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    names::{self, Name},
    question::{self, Answer, Section, Service},
    shared::Shared,
};
use crate::{
    backend::{Backend, Unresolved},
    config::Hold,
    dataplane::{Event, clock, rt},
    server::{Server, ServerKey, ServiceRecord},
};

/// What is known of a service.
struct Known {
    /// When there was a good answer; the beginning counts as one.
    good_at: Instant,
    /// When each host with its port was in an answer.
    seen: BTreeMap<(Arc<str>, u16), Instant>,
    /// When each address was told along with one of these.
    along: BTreeMap<((Arc<str>, u16), IpAddr), Instant>,
    /// Servers whose record has gone: who has waited longest comes first, behind those that never had one.
    freed: Vec<ServerKey>,
}

pub(super) async fn follow(shared: Rc<Shared>, name: Name, section: Rc<Section>) {
    let mut known = Known::new();
    loop {
        let answer = question::ask_services(&section, &name.host, name.prefer_v4).await;
        if let Some(records) = known.learn(answer, &section.config.hold) {
            known.settle(&shared, &name, &records);
        }
        rt::sleep(section.config.interval.max(Duration::from_millis(10))).await;
    }
}

impl Known {
    fn new() -> Self {
        Self {
            good_at: clock::now(),
            seen: BTreeMap::new(),
            along: BTreeMap::new(),
            freed: Vec::new(),
        }
    }

    /// The records that are in force now; `None` while those from before stay so.
    fn learn(&mut self, answer: Answer, hold: &Hold) -> Option<Vec<ServiceRecord>> {
        let now = clock::now();
        let services = if let Answer::Services(services) = answer {
            self.good_at = now;
            services
        } else {
            let (_, hold) = names::held(&answer, hold);
            if now.saturating_duration_since(self.good_at) < hold {
                return None;
            }
            self.seen.clear();
            self.along.clear();
            Vec::new()
        };
        for Service { record, along } in &services {
            let place = record.place();
            let told = along.iter().map(|ip| ((place.clone(), *ip), now));
            self.along.extend(told);
            self.seen.insert(place, now);
        }
        let holds = |seen: &Instant| now.saturating_duration_since(*seen) <= hold.obsolete;
        self.seen.retain(|_, seen| holds(seen));
        self.along.retain(|_, seen| holds(seen));
        Some(services.into_iter().map(|one| one.record).collect())
    }

    /// Each server keeps its record while that is known; those without one take the new ones.
    fn settle(&mut self, shared: &Shared, name: &Name, records: &[ServiceRecord]) {
        let balancer = Arc::clone(&shared.balancer.borrow());
        let follows = |server: &&Server| Name::of_service(server).as_ref() == Some(name);
        let servers = balancer.backends.iter().flat_map(|b| b.servers());
        let present: BTreeSet<ServerKey> = servers.filter(follows).map(Server::key).collect();
        self.freed.retain(|key| present.contains(key));
        let mut changed = false;
        for backend in &balancer.backends {
            let followers = backend.servers().iter().filter(follows);
            changed |= self.keep(shared, backend, followers.clone(), records);
            changed |= self.fill(shared, backend, followers, records);
        }
        if changed {
            shared.look_again();
        }
    }

    /// Records that are told of still, or anew with another weight or address, and those that are not; whether anything
    /// is different.
    fn keep<'s>(
        &mut self,
        shared: &Shared,
        backend: &Arc<Backend>,
        followers: impl Iterator<Item = &'s Server>,
        records: &[ServiceRecord],
    ) -> bool {
        let mut changed = false;
        for server in followers {
            let Some(own) = server.record() else {
                continue;
            };
            let place = own.place();
            if let Some(record) = records.iter().find(|record| record.place() == place) {
                changed |= take(shared, backend, server, &self.renewed(&own, record));
            } else if !self.seen.contains_key(&place) {
                backend.set_record(clock::now(), server.index(), None);
                names::lose(shared, backend, server, Unresolved::NoRecord);
                self.freed.push(server.key());
                changed = true;
            }
        }
        changed
    }

    /// A server's record as it is told of now: of several addresses others may be told along each time, and it keeps its
    /// own as long as that is known.
    fn renewed(&self, own: &ServiceRecord, told: &ServiceRecord) -> ServiceRecord {
        let stays = |ip: &IpAddr| self.along.contains_key(&(own.place(), *ip));
        ServiceRecord {
            address: own.address.filter(stays).or(told.address),
            ..told.clone()
        }
    }

    /// New records for servers without one; whether there are any.
    fn fill<'s>(
        &mut self,
        shared: &Shared,
        backend: &Arc<Backend>,
        followers: impl Iterator<Item = &'s Server>,
        records: &[ServiceRecord],
    ) -> bool {
        let mut taken = BTreeSet::new();
        let mut free = Vec::new();
        for server in followers {
            match server.record() {
                Some(record) => drop(taken.insert(record.place())),
                None => free.push(server),
            }
        }
        let waits = |server: &&Server| self.freed.iter().position(|key| *key == server.key());
        free.sort_by_key(waits);
        let mut changed = false;
        for record in records {
            if free.is_empty() || !taken.insert(record.place()) {
                continue;
            }
            let server = free.remove(fitting(&free, record));
            self.freed.retain(|key| *key != server.key());
            changed |= take(shared, backend, server, record);
        }
        // Where records from before this process have led, none leads any more.
        for server in free
            .into_iter()
            .filter(|server| server.moved_to().is_some())
        {
            names::lose(shared, backend, server, Unresolved::NoRecord);
        }
        changed
    }
}

/// The place of the server that is where the record leads, as far as that is known; else of the first.
fn fitting(free: &[&Server], record: &ServiceRecord) -> usize {
    let is_there = |server: &&Server| {
        let at = server.address();
        at.is_some_and(|at| {
            at.port() == record.port && record.address.is_none_or(|ip| ip == at.ip())
        })
    };
    free.iter().position(is_there).unwrap_or(0)
}

/// A record leads to a server; whether it is another one than before.
fn take(shared: &Shared, backend: &Arc<Backend>, server: &Server, record: &ServiceRecord) -> bool {
    let before = server.record();
    let is_named = before.is_none();
    if before.as_ref() == Some(record) && is_where_told(server, record) {
        return false;
    }
    let change = backend.set_record(clock::now(), server.index(), Some(record.clone()));
    if let Some(change) = change {
        shared.tell(backend, &change);
    }
    let known = server
        .address()
        .filter(|_| !is_named && server.is_resolved());
    let elsewhere = known.filter(|at| at.port() != record.port);
    if let Some(ip) = record.address {
        arrive(shared, backend, server, (ip, record.port), is_named);
    } else if is_named {
        tell_named(shared, backend, server);
    } else if let Some(at) = elsewhere {
        // The address is that of the host, which is asked for; the port is not.
        arrive(shared, backend, server, (at.ip(), record.port), false);
    }
    true
}

/// Whether a server is where its record says, as far as that says it: an operator may have put it elsewhere meanwhile, and
/// it comes back.
fn is_where_told(server: &Server, record: &ServiceRecord) -> bool {
    let at = server.address().filter(|_| server.is_resolved());
    at.is_none_or(|at| at.port() == record.port && record.address.is_none_or(|ip| ip == at.ip()))
}

/// A server is at the address that was told along with its record.
fn arrive(
    shared: &Shared,
    backend: &Arc<Backend>,
    server: &Server,
    to: (IpAddr, u16),
    is_named: bool,
) {
    let to = SocketAddr::from(to);
    names::tell_moved(shared, backend, server, to, "DNS additional record");
    if is_named {
        tell_named(shared, backend, server);
    }
    if let Some(change) = backend.set_address(clock::now(), server.index(), to) {
        shared.tell(backend, &change);
        shared.lead(backend, server);
    }
}

/// Tells which host a server has now; it had none.
fn tell_named(shared: &Shared, backend: &Backend, server: &Server) {
    let host = server.host().unwrap_or_default();
    let (backend_name, name) = (backend.name(), server.name());
    let text =
        format!("{backend_name}/{name} changed its FQDN from (null) to {host} by 'SRV record'");
    shared.notice(backend, &text);
    shared.events.event(Event::Notice { text });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Resolvers;

    #[test]
    fn an_address_stays_while_it_is_told_along_or_its_hold_lasts() {
        let mut hold = Resolvers::new("dns").hold;
        let mut known = Known::new();
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut own: Option<ServiceRecord> = None;
        let mut hears = |obsolete, along: &[u8]| {
            hold.obsolete = obsolete;
            let along: Vec<IpAddr> = along.iter().map(|last| ip(*last)).collect();
            let record = ServiceRecord {
                host: "a.example".into(),
                port: 80,
                weight: 1,
                address: along.first().copied(),
            };
            let answer = Answer::Services(vec![Service { record, along }]);
            let told = known.learn(answer, &hold).unwrap().remove(0);
            let record = match &own {
                Some(own) => known.renewed(own, &told),
                None => told,
            };
            own = Some(record);
            own.as_ref().unwrap().address
        };
        let (none, long) = (Duration::ZERO, Duration::from_secs(3600));
        assert_eq!(hears(none, &[2, 3]), Some(ip(2)));
        assert_eq!(hears(none, &[1, 2]), Some(ip(2)), "told of still");
        assert_eq!(hears(none, &[1, 3]), Some(ip(1)), "gone");
        assert_eq!(hears(long, &[3]), Some(ip(1)), "held");
        assert_eq!(hears(long, &[]), Some(ip(1)), "held");
        assert_eq!(hears(none, &[]), None, "the host is asked for");
    }
}
