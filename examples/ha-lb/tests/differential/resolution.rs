//! Servers whose addresses follow a name: the same answers of a name server lead both to the same addresses.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    admin::agree,
    compare::Pair,
    peer::{Peer, Program, haproxy_is_installed},
};

/// What asks the name server `{dns}` often, and a front of the backend `{backend}`.
const ASKING: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
resolvers dns
    nameserver ns1 {dns}
    resolve_retries 2
    timeout resolve 100ms
    timeout retry 700ms
    hold valid 100ms
    hold nx 100ms
    hold other 100ms
    accepted_payload_size 4096
{more}frontend front
    bind {front}
    default_backend {backend}
";

/// A file whose `backends`, of which the front has the first, follow what the name server says; `more` is said of that.
pub(crate) fn following(dns: SocketAddr, more: &str, backends: &str) -> String {
    let words = backends.split_whitespace();
    let first = words.skip_while(|word| *word != "backend").nth(1).unwrap();
    let asking = ASKING.replace("{dns}", &dns.to_string());
    let asking = asking.replace("{more}", more);
    asking.replace("{backend}", first) + backends
}

const IMPATIENT: &str = "    hold refused 100ms\n    hold timeout 100ms\n";
const NAMED: &str = "backend alone
    server one web.example:8080 resolvers dns resolve-prefer ipv4 init-addr none
backend pool
    server-template web 2 web.example:80 resolvers dns resolve-prefer ipv4 init-addr none
backend shared
    server-template all 2 web.example:80 resolvers dns resolve-opts allow-dup-ip init-addr 192.0.2.9
";

/// What a name server says: addresses to questions for those of their family.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    Addresses(&'static [Ipv4Addr]),
    Address(IpAddr),
    Status(u8),
    Nothing,
}

/// What is said to a peer, and how often it has asked since.
type Mood = Arc<Mutex<(Says, usize)>>;

/// Before each answer come two that are none: another number's, and one that somebody else sends.
fn name_server(mood: &Mood) -> SocketAddr {
    let mood = Arc::clone(mood);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            let mut mood = mood.lock().unwrap();
            mood.1 += 1;
            if let Some(mut lie) = answer(&room[..length], Says::Addresses(&[LIE])) {
                let _ = other.send_to(&lie, from);
                lie[1] ^= 1;
                let _ = socket.send_to(&lie, from);
            }
            if let Some(answer) = answer(&room[..length], mood.0) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// RFC 1035 section 4.1: the question comes back, records point to its name.
pub(crate) fn answer(query: &[u8], says: Says) -> Option<Vec<u8>> {
    let name_end = 12 + query.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(12..name_end + 4)?;
    let kind = *question.get(question.len() - 3)?;
    let (status, addresses) = match says {
        Says::Nothing => return None,
        Says::Status(status) => (status, Vec::new()),
        Says::Address(address) => (0, vec![address]),
        Says::Addresses(addresses) => (0, addresses.iter().map(|ip| IpAddr::V4(*ip)).collect()),
    };
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter(|address| {
            kind == if address.is_ipv4() {
                A_RECORD
            } else {
                AAAA_RECORD
            }
        })
        .map(|address| match address {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        })
        .collect();
    let count = u8::try_from(records.len()).ok()?;
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | status, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    for record in records {
        let length = u8::try_from(record.len()).ok()?;
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 5, 0, length]);
        answer.extend(record);
    }
    Some(answer)
}

const A_RECORD: u8 = 1;
const AAAA_RECORD: u8 = 28;

/// The log lines about servers.
pub(crate) fn changes(peer: &Peer) -> String {
    let lines = peer.log().into_iter();
    let told = lines.filter(|line| {
        ["Server ", "changed its ", "backend "]
            .iter()
            .any(|part| line.contains(part))
    });
    let mut told: Vec<String> = told.map(|line| line + "\n").collect();
    // Two servers of a name may be told of in either order.
    told.sort();
    told.concat()
}

/// Addresses and states of the servers.
fn states(peer: &Peer) -> String {
    let text = peer.ask("show servers state");
    let lines = text.lines().filter(|line| line.contains("web.example"));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            format!(
                "{} {} {} {} {}\n",
                words[1], words[3], words[4], words[5], words[6]
            )
        })
        .collect()
}

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const C: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const LIE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

#[test]
fn servers_follow_their_names() {
    if !haproxy_is_installed("servers_follow_their_names") {
        return;
    }
    let moods = [(); 2].map(|()| Arc::new(Mutex::new((Says::Addresses(&[A]), 0))));
    let start = |program, mood| {
        let address = name_server(mood);
        Peer::start(program, &following(address, IMPATIENT, NAMED))
    };
    let pair = Pair {
        haproxy: start(Program::HaProxy, &moods[0]),
        ha_lb: start(Program::HaLb, &moods[1]),
    };
    let mut before = String::new();
    // Never more than one address that a server without one may take: which it takes is HAProxy's secret.
    for says in [
        Says::Addresses(&[A]),
        Says::Addresses(&[A, B]),
        Says::Addresses(&[B]),
        Says::Addresses(&[B, C]),
        Says::Status(3),
        Says::Addresses(&[C]),
        Says::Status(5),
        Says::Addresses(&[C]),
        Says::Status(2),
        Says::Addresses(&[B]),
        Says::Nothing,
        Says::Addresses(&[B]),
    ] {
        hear(&moods, says, || {
            [&pair.haproxy, &pair.ha_lb]
                .iter()
                .all(|peer| states(peer) != before)
        });
        let what = format!("{says:?}");
        agree(&pair, &what, states);
        agree(&pair, &what, changes);
        before = states(&pair.haproxy);
    }
    agree(&pair, "show resolvers", counted);
    agree(&pair, "show resolvers nope", |peer| {
        peer.ask("show resolvers nope")
    });
    // Where an operator has put a server it stays, until the answer is another one.
    let put = "set server alone/one addr 192.0.2.9";
    let told = [&pair.haproxy, &pair.ha_lb].map(|peer| peer.ask(put));
    assert_eq!(told[0], told[1]);
    for (says, at) in [
        (Says::Addresses(&[B]), "192.0.2.9"),
        (Says::Addresses(&[C]), "192.0.2.3"),
    ] {
        hear(&moods, says, || true);
        agree(&pair, put, states);
        let states = states(&pair.haproxy);
        assert!(
            states.contains(&format!("alone one {at} ")),
            "{says:?}: {states}"
        );
    }
}

/// What is shown of the section, with `n` for whatever has been counted: each asks as often as it likes. HAProxy 2.6 counts
/// no questions that nobody answers.
fn counted(peer: &Peer) -> String {
    let text = peer.ask("show resolvers dns");
    let lines = text.lines().filter(|line| !line.contains("timeout:"));
    let lines = lines.map(|line| match line.rsplit_once(' ') {
        Some((name, number)) if number.parse::<u64>().is_ok_and(|n| n > 0) => format!("{name} n"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// How often each peer asks before all that follows from the answers has followed: one that fails asks for another family,
/// and three times.
const OFTEN: usize = 8;
/// The same where nobody answers: when it asks anew, it has given up.
const OFTEN_IN_VAIN: usize = 4;

/// From now on the name servers say so; until both have heard it, and show it.
fn hear(moods: &[Mood; 2], says: Says, is_shown: impl Fn() -> bool) {
    for mood in moods {
        *mood.lock().unwrap() = (says, 0);
    }
    let often = match says {
        Says::Nothing => OFTEN_IN_VAIN,
        _ => OFTEN,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while moods.iter().any(|mood| mood.lock().unwrap().1 < often) || !is_shown() {
        assert!(Instant::now() < deadline, "{says:?}: nothing happens");
        thread::sleep(Duration::from_millis(5));
    }
}
