//! One resolution of a name: questions to every name server of a section, the first good answer counts.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    task::Poll,
    time::Instant,
};

use rustix::net::{RecvFlags, recv};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, Question, RCODE, ResourceRecord, TYPE,
    rdata::{CNAME, OPT, RData},
};

use crate::{
    config::Resolvers,
    dataplane::{
        clock,
        rt::{self, Direction},
    },
};

/// What became of a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Addresses, and the number of the name server that gave them.
    Addresses(Vec<IpAddr>, usize),
    /// There is no such name, or it has no address.
    NoSuchName,
    /// The name server will not say.
    Refused,
    /// Nobody answered.
    Timeout,
    /// Anything else.
    Other,
}

/// A question that is out.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    number: u16,
    host: &'a Name<'a>,
    family: TYPE,
}

/// Asks for the addresses of `name`, first for those of the preferred family.
pub(super) async fn ask(resolvers: &Resolvers, name: &str, prefer_v4: bool) -> Answer {
    let Ok(host) = Name::new(name) else {
        return Answer::Other;
    };
    let families = match prefer_v4 {
        true => [TYPE::A, TYPE::AAAA],
        false => [TYPE::AAAA, TYPE::A],
    };
    let mut worst = Answer::Timeout;
    for family in families {
        match ask_family(resolvers, &host, family).await {
            found @ Answer::Addresses(..) => return found,
            // A name is there if its addresses of the other family could not be told.
            Answer::NoSuchName if worst == Answer::Other => {}
            other => worst = other,
        }
    }
    worst
}

async fn ask_family(resolvers: &Resolvers, host: &Name<'_>, family: TYPE) -> Answer {
    let mut last = Answer::Timeout;
    for attempt in 0..resolvers.retries.max(1) {
        let asked = Asked {
            number: identifier(host, attempt),
            host,
            family,
        };
        let Some(bytes) = question(asked, resolvers.payload) else {
            return Answer::Other;
        };
        let deadline = clock::now() + resolvers.patience;
        match ask_all(resolvers, &bytes, asked, deadline).await {
            Answer::Timeout => {}
            answer @ (Answer::Addresses(..) | Answer::NoSuchName) => return answer,
            answer => last = answer,
        }
    }
    last
}

/// The packet that asks, and announces how long an answer may be (RFC 6891).
fn question(asked: Asked<'_>, payload: u16) -> Option<Vec<u8>> {
    let mut query = Packet::new_query(asked.number);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    let (family, class) = (asked.family.into(), CLASS::IN.into());
    let question = Question::new(asked.host.clone(), family, class, false);
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
async fn ask_all(
    resolvers: &Resolvers,
    query: &[u8],
    asked: Asked<'_>,
    deadline: Instant,
) -> Answer {
    let mut sockets = Vec::new();
    for (place, (_, server)) in resolvers.nameservers.iter().enumerate() {
        if let Ok(socket) = send(*server, query) {
            sockets.push((place, socket));
        }
    }
    let mut verdict = Answer::Timeout;
    while !sockets.is_empty() {
        let answered = next(&sockets, asked, resolvers.payload);
        let answered = rt::timeout_at(deadline, answered).await;
        let Some((at, answer)) = answered else {
            return verdict;
        };
        let (place, _) = sockets.swap_remove(at);
        match answer {
            Answer::Addresses(found, _) => return Answer::Addresses(found, place),
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
async fn next(sockets: &[(usize, rt::Socket)], asked: Asked<'_>, payload: u16) -> (usize, Answer) {
    // Who sends more than was announced is understood, too.
    let mut room = vec![0; usize::from(payload).max(8192)];
    std::future::poll_fn(|cx| {
        for (at, (_, socket)) in sockets.iter().enumerate() {
            while socket.poll_ready(Direction::Read, cx).is_ready() {
                let received = socket.attempt(Direction::Read, |fd| {
                    recv(fd, room.as_mut_slice(), RecvFlags::empty()).map(|(count, _)| count)
                });
                match received {
                    Ok(count) => {
                        let packet = room.get(..count).unwrap_or_default();
                        if let Some(answer) = read(packet, asked) {
                            return Poll::Ready((at, answer));
                        }
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    // Nobody listens there.
                    Err(_) => return Poll::Ready((at, Answer::Timeout)),
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
        && question.qtype == asked.family.into()
        && question.qclass == CLASS::IN.into();
    is_answer.then(|| match packet.rcode() {
        // Records that are missing are not gone: servers must not lose their addresses by it.
        _ if packet.has_flags(PacketFlag::TRUNCATION) => Answer::Other,
        RCODE::NoError => {
            let addresses = addresses(&packet.answers, asked);
            match addresses.is_empty() {
                true => Answer::NoSuchName,
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
    of(name)
        .filter_map(|record| match (&record.rdata, asked.family) {
            (RData::A(a), TYPE::A) => Some(IpAddr::from(a.address.to_be_bytes())),
            (RData::AAAA(a), TYPE::AAAA) => Some(IpAddr::from(a.address.to_be_bytes())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{A, AAAA};

    const NAME: &str = "web.example";

    fn named(name: &str) -> Name<'_> {
        Name::new_unchecked(name)
    }

    fn a(name: &'static str, last: u8) -> ResourceRecord<'static> {
        let address = u32::from_be_bytes([10, 0, 0, last]);
        ResourceRecord::new(named(name), CLASS::IN, 5, RData::A(A { address }))
    }

    fn alias(name: &'static str, target: &'static str) -> ResourceRecord<'static> {
        let rdata = RData::CNAME(CNAME(named(target)));
        ResourceRecord::new(named(name), CLASS::IN, 5, rdata)
    }

    fn reply(adjust: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        let question = Question::new(named(NAME), TYPE::A.into(), CLASS::IN.into(), false);
        packet.questions.push(question);
        adjust(&mut packet);
        packet.build_bytes_vec().unwrap()
    }

    fn read_for(number: u16, name: &str, family: TYPE, packet: &[u8]) -> Option<Answer> {
        let host = &Name::new(name).unwrap();
        let asked = Asked {
            number,
            host,
            family,
        };
        read(packet, asked)
    }

    fn read_it(packet: &[u8]) -> Option<Answer> {
        read_for(7, NAME, TYPE::A, packet)
    }

    fn found(last: &[u8]) -> Option<Answer> {
        let addresses = last.iter().map(|last| [10, 0, 0, *last].into());
        Some(Answer::Addresses(addresses.collect(), 0))
    }

    #[test]
    fn answers_are_told_apart() {
        let good = reply(|packet| packet.answers.push(a(NAME, 1)));
        assert_eq!(read_it(&good), found(&[1]));
        let of = |rcode| read_it(&reply(|packet| *packet.rcode_mut() = rcode));
        assert_eq!(of(RCODE::NoError), Some(Answer::NoSuchName));
        assert_eq!(of(RCODE::NameError), Some(Answer::NoSuchName));
        assert_eq!(of(RCODE::Refused), Some(Answer::Refused));
        assert_eq!(of(RCODE::ServerFailure), Some(Answer::Other));
        assert_eq!(read_it(b"nonsense"), None);
    }

    #[test]
    fn an_answer_that_was_cut_is_not_taken_for_all_there_is() {
        let cut = |adjust: fn(&mut Packet<'_>)| {
            read_it(&reply(|packet| {
                packet.set_flags(PacketFlag::TRUNCATION);
                adjust(packet);
            }))
        };
        assert_eq!(cut(|_| {}), Some(Answer::Other));
        let some = cut(|packet| packet.answers.extend([a(NAME, 1), a(NAME, 2)]));
        assert_eq!(some, Some(Answer::Other));
    }

    #[test]
    fn a_question_announces_how_long_an_answer_may_be() {
        let host = &Name::new(NAME).unwrap();
        let asked = Asked {
            number: 7,
            host,
            family: TYPE::A,
        };
        for payload in [512, 4096, 65535] {
            let bytes = question(asked, payload).unwrap();
            // The root, type 41, the size, version 0 and no flags, no options.
            let [high, low] = payload.to_be_bytes();
            let end = [0, 0, 41, high, low, 0, 0, 0, 0, 0, 0];
            assert!(bytes.ends_with(&end), "{bytes:?}");
            assert_eq!(bytes[4..12], [0, 1, 0, 0, 0, 0, 0, 1]);
            // An answer may have such a record, too.
            let answer = reply(|packet| {
                packet.answers.push(a(NAME, 1));
                let query = Packet::parse(&bytes).unwrap();
                *packet.opt_mut() = query.opt().map(|opt| opt.clone().into_owned());
            });
            assert_eq!(read_it(&answer), found(&[1]));
        }
    }

    #[test]
    fn what_answers_another_question_is_none() {
        let good = reply(|packet| packet.answers.push(a(NAME, 1)));
        // Name servers may change the case of a name (RFC 4343), and a final dot is no part of it.
        for name in ["WEB.Example", "web.example."] {
            assert_eq!(read_for(7, name, TYPE::A, &good), found(&[1]), "{name}");
        }
        assert_eq!(read_for(8, NAME, TYPE::A, &good), None);
        assert_eq!(read_for(7, NAME, TYPE::AAAA, &good), None);
        for name in ["web.example.net", "example", "ebb.example"] {
            assert_eq!(read_for(7, name, TYPE::A, &good), None, "{name}");
        }
        let of = |adjust: fn(&mut Packet<'_>)| {
            read_it(&reply(|packet| {
                packet.answers.push(a(NAME, 1));
                adjust(packet);
            }))
        };
        assert_eq!(of(|p| p.questions[0].qclass = CLASS::CH.into()), None);
        assert_eq!(of(|p| p.questions.clear()), None);
        assert_eq!(of(|p| p.questions.push(p.questions[0].clone())), None);
        assert_eq!(of(|p| p.remove_flags(PacketFlag::RESPONSE)), None);
    }

    #[test]
    fn records_count_for_the_name_and_what_it_is_an_alias_of() {
        let of = |records: Vec<ResourceRecord<'static>>| {
            read_it(&reply(|packet| packet.answers = records))
        };
        let aliases = || {
            vec![
                alias("cdn.example", "a.example"),
                alias(NAME, "cdn.example"),
            ]
        };
        let with = |mut records: Vec<_>, more: ResourceRecord<'static>| {
            records.push(more);
            records
        };
        assert_eq!(of(with(aliases(), a("a.EXAMPLE", 1))), found(&[1]));
        let none = Some(Answer::NoSuchName);
        assert_eq!(of(with(aliases(), a("other.example", 1))), none);
        assert_eq!(of(with(aliases(), alias("a.example", NAME))), none);
        // A name server that wishes to keep us busy is not followed for long.
        let chain = |length: usize| {
            let name = |at| match at {
                0 => NAME,
                _ => &*format!("a{at}.example").leak(),
            };
            let aliases = (0..length).map(|at| alias(name(at), name(at + 1)));
            of(aliases.chain([a(name(length), 1)]).collect())
        };
        assert_eq!(chain(ALIASES), found(&[1]));
        assert_eq!(chain(ALIASES + 1), none);
        assert_eq!(
            of(vec![a("other.example", 1), a(NAME, 2), a(NAME, 3)]),
            found(&[2, 3])
        );
        let v6 = RData::AAAA(AAAA { address: 1 });
        let v6 = ResourceRecord::new(named(NAME), CLASS::IN, 5, v6);
        assert_eq!(of(vec![v6]), none);
        let mut chaos = a(NAME, 1);
        chaos.class = CLASS::CH;
        assert_eq!(of(vec![chaos]), none);
    }
}
