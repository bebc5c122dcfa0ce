//! One resolution of a name: questions to every name server of a section, the first good answer counts.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    task::Poll,
    time::Instant,
};

use rustix::net::{RecvFlags, recv};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE, rdata::RData};

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
            other => worst = other,
        }
    }
    worst
}

async fn ask_family(resolvers: &Resolvers, host: &Name<'_>, family: TYPE) -> Answer {
    let mut last = Answer::Timeout;
    for attempt in 0..resolvers.retries.max(1) {
        let number = identifier(host, attempt);
        let mut query = Packet::new_query(number);
        query.set_flags(PacketFlag::RECURSION_DESIRED);
        let question = Question::new(host.clone(), family.into(), CLASS::IN.into(), false);
        query.questions.push(question);
        let Ok(bytes) = query.build_bytes_vec() else {
            return Answer::Other;
        };
        let deadline = clock::now() + resolvers.patience;
        match ask_all(resolvers, &bytes, (number, family), deadline).await {
            Answer::Timeout => {}
            answer @ (Answer::Addresses(..) | Answer::NoSuchName) => return answer,
            answer => last = answer,
        }
    }
    last
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
    expected: (u16, TYPE),
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
        let answered = rt::timeout_at(deadline, next(&sockets, expected)).await;
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
async fn next(sockets: &[(usize, rt::Socket)], expected: (u16, TYPE)) -> (usize, Answer) {
    let mut room = vec![0; 8192];
    std::future::poll_fn(|cx| {
        for (at, (_, socket)) in sockets.iter().enumerate() {
            while socket.poll_ready(Direction::Read, cx).is_ready() {
                let received = socket.attempt(Direction::Read, |fd| {
                    recv(fd, room.as_mut_slice(), RecvFlags::empty()).map(|(count, _)| count)
                });
                match received {
                    Ok(count) => {
                        let packet = room.get(..count).unwrap_or_default();
                        if let Some(answer) = read(packet, expected) {
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

/// What a packet says; `None` if it is no answer to the question.
fn read(packet: &[u8], (number, family): (u16, TYPE)) -> Option<Answer> {
    let packet = Packet::parse(packet).ok()?;
    let asked = packet.questions.first()?.qtype;
    if packet.id() != number || !packet.has_flags(PacketFlag::RESPONSE) || asked != family.into() {
        return None;
    }
    Some(match packet.rcode() {
        RCODE::NoError => {
            let addresses = packet
                .answers
                .iter()
                .filter_map(|record| match &record.rdata {
                    RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
                    RData::AAAA(a) => Some(IpAddr::from(a.address.to_be_bytes())),
                    _ => None,
                });
            let addresses: Vec<IpAddr> = addresses.collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{ResourceRecord, rdata::A};

    fn reply(number: u16, rcode: RCODE, addresses: &[u32]) -> Vec<u8> {
        let mut packet = Packet::new_reply(number);
        let name = Name::new_unchecked("web.example");
        let question = Question::new(name.clone(), TYPE::A.into(), CLASS::IN.into(), false);
        packet.questions.push(question);
        *packet.rcode_mut() = rcode;
        for address in addresses {
            let rdata = RData::A(A { address: *address });
            packet
                .answers
                .push(ResourceRecord::new(name.clone(), CLASS::IN, 5, rdata));
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn answers_are_told_apart() {
        let good = reply(7, RCODE::NoError, &[0x0a00_0001]);
        let found = Answer::Addresses(vec![IpAddr::from([10, 0, 0, 1])], 0);
        assert_eq!(read(&good, (7, TYPE::A)), Some(found));
        assert_eq!(read(&good, (8, TYPE::A)), None);
        assert_eq!(read(&good, (7, TYPE::AAAA)), None);
        let of = |rcode| read(&reply(7, rcode, &[]), (7, TYPE::A));
        assert_eq!(of(RCODE::NoError), Some(Answer::NoSuchName));
        assert_eq!(of(RCODE::NameError), Some(Answer::NoSuchName));
        assert_eq!(of(RCODE::Refused), Some(Answer::Refused));
        assert_eq!(of(RCODE::ServerFailure), Some(Answer::Other));
        assert_eq!(read(b"nonsense", (7, TYPE::A)), None);
    }
}
