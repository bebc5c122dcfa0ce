//! One resolution of a name: questions to every name server of a section, the first good answer counts.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    task::Poll,
    time::Instant,
};

use rustix::net::{RecvFlags, recv};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, Question, RCODE, ResourceRecord, TYPE,
    rdata::{CNAME, OPT, RData, SRV},
};

use crate::{
    config::Resolvers,
    dataplane::{
        Balancer, clock,
        rt::{self, Direction},
    },
    server::ServiceRecord,
    stats::{Counter, NameServerCounters},
};

/// What became of a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dataplane) enum Answer {
    /// Addresses, and the number of the name server that gave them.
    Addresses(Vec<IpAddr>, usize),
    /// Where a service is.
    Services(Vec<Service>),
    /// There is no such name.
    NoSuchName,
    /// It has nothing of the kind that was asked for.
    Nothing,
    /// The name server will not say.
    Refused,
    /// Nobody answered.
    Timeout,
    /// Anything else.
    Other,
}

/// A record of a service, and what is told along with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dataplane) struct Service {
    /// It has the first of the addresses.
    pub(super) record: ServiceRecord,
    /// Those of its host, of the preferred family before the others, else in their order.
    pub(super) along: Vec<IpAddr>,
}

/// A section, and what is counted of its name servers, in their order.
#[derive(Debug)]
pub(in crate::dataplane) struct Section {
    pub(super) config: Resolvers,
    counters: Vec<Arc<NameServerCounters>>,
}

impl Section {
    pub(in crate::dataplane) fn new(config: &Resolvers, balancer: &Balancer) -> Self {
        let counters = |(server, _): &(Arc<str>, SocketAddr)| {
            let key = (Arc::clone(&config.name), Arc::clone(server));
            balancer.name_servers.get(&key).cloned().unwrap_or_default()
        };
        Self {
            config: config.clone(),
            counters: config.nameservers.iter().map(counters).collect(),
        }
    }

    /// What is counted of the name server at `place`.
    pub(super) fn counters(&self, place: usize) -> Option<&NameServerCounters> {
        self.counters.get(place).map(|counters| &**counters)
    }

    fn count(&self, place: usize, which: fn(&NameServerCounters) -> &Counter) {
        if let Some(counters) = self.counters(place) {
            which(counters).increment();
        }
    }

    /// Counts a packet of the name server at `place`, and what it said.
    fn note(&self, place: usize, (packet, said): (&[u8], Option<&Answer>), asked: Asked<'_>) {
        if packet.len() > usize::from(self.config.payload) {
            self.count(place, |c| &c.too_big);
        }
        let is_cut = packet.get(2).is_some_and(|flags| flags & 2 != 0);
        let is_of_number = packet.starts_with(&asked.number.to_be_bytes());
        self.count(
            place,
            match said {
                Some(Answer::Addresses(..) | Answer::Services(_)) => |c| &c.valid,
                Some(Answer::NoSuchName) => |c| &c.no_such_name,
                Some(Answer::Nothing) => |c| &c.empty,
                Some(Answer::Refused) => |c| &c.refused,
                Some(Answer::Timeout) => |c| &c.timeouts,
                Some(Answer::Other) if is_cut => |c| &c.truncated,
                Some(Answer::Other) => |c| &c.others,
                None if is_of_number => |c| &c.invalid,
                None => |c| &c.outdated,
            },
        );
    }
}

/// A question that is out.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    number: u16,
    host: &'a Name<'a>,
    /// Of what kind the records are.
    kind: TYPE,
    /// Which of the addresses count that are told along.
    prefer_v4: bool,
}

/// Asks for the addresses of `name`, first for those of the preferred family.
pub(in crate::dataplane) async fn ask(section: &Section, name: &str, prefer_v4: bool) -> Answer {
    let Ok(host) = Name::new(name) else {
        return Answer::Other;
    };
    let families = match prefer_v4 {
        true => [TYPE::A, TYPE::AAAA],
        false => [TYPE::AAAA, TYPE::A],
    };
    let mut worst = Answer::Timeout;
    for family in families {
        match ask_of(section, &host, (family, prefer_v4)).await {
            found @ Answer::Addresses(..) => return found,
            // A name is there if its addresses of the other family could not be told.
            Answer::NoSuchName if matches!(worst, Answer::Other | Answer::Nothing) => {}
            other => worst = other,
        }
    }
    worst
}

/// Asks where the service `name` is.
pub(super) async fn ask_services(section: &Section, name: &str, prefer_v4: bool) -> Answer {
    match Name::new(name) {
        Ok(name) => ask_of(section, &name, (TYPE::SRV, prefer_v4)).await,
        Err(_) => Answer::Other,
    }
}

async fn ask_of(section: &Section, host: &Name<'_>, (kind, prefer_v4): (TYPE, bool)) -> Answer {
    let resolvers = &section.config;
    let mut last = Answer::Timeout;
    for attempt in 0..resolvers.retries.max(1) {
        let asked = Asked {
            number: identifier(host, attempt),
            host,
            kind,
            prefer_v4,
        };
        let Some(bytes) = question(asked, resolvers.payload) else {
            return Answer::Other;
        };
        let deadline = clock::now() + resolvers.patience;
        match ask_all(section, &bytes, asked, deadline).await {
            Answer::Timeout => {}
            answer @ (Answer::Addresses(..)
            | Answer::Services(..)
            | Answer::NoSuchName
            | Answer::Nothing) => return answer,
            answer => last = answer,
        }
    }
    last
}

/// The packet that asks, and announces how long an answer may be (RFC 6891).
fn question(asked: Asked<'_>, payload: u16) -> Option<Vec<u8>> {
    let mut query = Packet::new_query(asked.number);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    let (kind, class) = (asked.kind.into(), CLASS::IN.into());
    let question = Question::new(asked.host.clone(), kind, class, false);
    query.questions.push(question);
    *query.opt_mut() = Some(OPT {
        opt_codes: Vec::new(),
        udp_packet_size: payload,
        version: 0,
    });
    query.build_bytes_vec().ok()
}

/// Unlike the last one's, and not to be guessed from outside.
fn identifier(host: &Name<'_>, attempt: u32) -> u16 {
    use std::hash::{BuildHasher as _, RandomState};
    let hash = RandomState::new().hash_one((host.to_string(), attempt));
    let [low, high, ..] = hash.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// Asks every name server at once; a name server's "no" counts when nobody says yes.
async fn ask_all(section: &Section, query: &[u8], asked: Asked<'_>, deadline: Instant) -> Answer {
    let mut sockets = Vec::new();
    for (place, (_, server)) in section.config.nameservers.iter().enumerate() {
        match send(*server, query) {
            Ok(socket) => {
                section.count(place, |c| &c.sent);
                sockets.push((place, socket));
            }
            Err(_) => section.count(place, |c| &c.send_errors),
        }
    }
    let mut verdict = Answer::Timeout;
    while !sockets.is_empty() {
        let answered = next(&sockets, asked, section);
        let answered = rt::timeout_at(deadline, answered).await;
        let Some((at, answer)) = answered else {
            for (place, _) in &sockets {
                section.count(*place, |c| &c.timeouts);
            }
            return verdict;
        };
        let (place, _) = sockets.swap_remove(at);
        match answer {
            Answer::Addresses(found, _) => return Answer::Addresses(found, place),
            services @ Answer::Services(..) => return services,
            other => verdict = other,
        }
    }
    verdict
}

fn send(server: SocketAddr, query: &[u8]) -> std::io::Result<rt::Socket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    // Only what comes from there is received.
    socket.connect(server)?;
    socket.send(query)?;
    rt::Socket::connected(socket.into())
}

/// The next answer that belongs to the question, and the place of its socket.
async fn next(
    sockets: &[(usize, rt::Socket)],
    asked: Asked<'_>,
    section: &Section,
) -> (usize, Answer) {
    // Who sends more than was announced is understood, too.
    let mut room = vec![0; usize::from(section.config.payload).max(8192)];
    std::future::poll_fn(|cx| {
        for (at, (place, socket)) in sockets.iter().enumerate() {
            while socket.poll_ready(Direction::Read, cx).is_ready() {
                let received = socket.attempt(Direction::Read, |fd| {
                    recv(fd, room.as_mut_slice(), RecvFlags::empty()).map(|(count, _)| count)
                });
                match received {
                    Ok(count) => {
                        let packet = room.get(..count).unwrap_or_default();
                        let answer = read(packet, asked);
                        section.note(*place, (packet, answer.as_ref()), asked);
                        if let Some(answer) = answer {
                            return Poll::Ready((at, answer));
                        }
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    // Nobody listens there.
                    Err(_) => {
                        section.count(*place, |c| &c.send_errors);
                        return Poll::Ready((at, Answer::Timeout));
                    }
                }
            }
        }
        Poll::Pending
    })
    .await
}

/// What a packet says; `None` if it is no answer to the question: whoever wishes to give another one has to guess more
/// than its number.
fn read(packet: &[u8], asked: Asked<'_>) -> Option<Answer> {
    let packet = Packet::parse(packet).ok()?;
    let [question] = packet.questions.as_slice() else {
        return None;
    };
    let is_answer = packet.id() == asked.number
        && packet.has_flags(PacketFlag::RESPONSE)
        && question.qname == *asked.host
        && question.qtype == asked.kind.into()
        && question.qclass == CLASS::IN.into();
    is_answer.then(|| match packet.rcode() {
        // Records that are missing are not gone: servers must not lose their addresses by it.
        _ if packet.has_flags(PacketFlag::TRUNCATION) => Answer::Other,
        RCODE::NoError if asked.kind == TYPE::SRV => {
            services(&packet, asked).map_or(Answer::Nothing, Answer::Services)
        }
        RCODE::NoError => {
            let addresses = addresses(&packet.answers, asked);
            match addresses.is_empty() {
                true => Answer::Nothing,
                false => Answer::Addresses(addresses, 0),
            }
        }
        RCODE::NameError => Answer::NoSuchName,
        RCODE::Refused => Answer::Refused,
        _ => Answer::Other,
    })
}

/// Longest chain of aliases: those of name servers end sooner, and each step looks at every record.
const ALIASES: usize = 16;

/// The addresses of the name that was asked for, or of the one that it is an alias of.
fn addresses<'r>(records: &'r [ResourceRecord<'r>], asked: Asked<'r>) -> Vec<IpAddr> {
    let found = of_name(records, asked).into_iter().filter_map(address);
    found
        .filter(|ip| ip.is_ipv4() == (asked.kind == TYPE::A))
        .collect()
}

fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    match &record.rdata {
        RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        RData::AAAA(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        _ => None,
    }
}

/// Where the service is whose name was asked for; `None` if there is not a word of it. A host that is the root says that
/// it is decidedly nowhere (RFC 2782).
fn services<'r>(packet: &'r Packet<'r>, asked: Asked<'r>) -> Option<Vec<Service>> {
    let told_along = |host: &Name<'_>| -> Vec<IpAddr> {
        let of_host = packet.additional_records.iter();
        let of_host = of_host.filter(|record| record.class == CLASS::IN && record.name == *host);
        let mut all: Vec<IpAddr> = of_host.filter_map(address).collect();
        // The same one first whatever their order, which name servers change from answer to answer.
        all.sort_by_key(|ip| (ip.is_ipv4() != asked.prefer_v4, *ip));
        all
    };
    let mut records = of_name(&packet.answers, asked)
        .into_iter()
        .filter_map(|record| match &record.rdata {
            RData::SRV(record) => Some(record),
            _ => None,
        })
        .peekable();
    records.peek()?;
    let somewhere = records.filter(|SRV { target, .. }| is_host(target));
    let service = |record: &SRV<'_>| {
        let along = told_along(&record.target);
        let record = ServiceRecord {
            host: record.target.to_string().to_ascii_lowercase().into(),
            port: record.port,
            weight: record.weight,
            address: along.first().copied(),
        };
        Service { record, along }
    };
    Some(somewhere.map(service).collect())
}

/// Whether a name can be that of a host: it is written to logs and state files, where a blank or the end of a line within it
/// would forge what follows.
fn is_host(name: &Name<'_>) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut labels = name.as_bytes().peekable();
    labels.peek().is_some() && labels.all(|label| label.iter().all(is_plain))
}

/// The records of the name that was asked for, or of the one that it is an alias of.
fn of_name<'r>(records: &'r [ResourceRecord<'r>], asked: Asked<'r>) -> Vec<&'r ResourceRecord<'r>> {
    let of = |name: &'r Name<'r>| {
        let all = records.iter();
        all.filter(move |record| record.class == CLASS::IN && record.name == *name)
    };
    let mut name = asked.host;
    for _ in 0..ALIASES {
        let alias = of(name).find_map(|record| match &record.rdata {
            RData::CNAME(CNAME(target)) => Some(target),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None => break,
        }
    }
    of(name).collect()
}

pub(crate) use fuzzing::fuzz;

mod fuzzing;
#[cfg(test)]
mod tests;
