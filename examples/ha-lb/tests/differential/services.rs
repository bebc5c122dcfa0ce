//! Servers that follow a service: its records (SRV) lead both to the same hosts, ports and weights.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    admin::agree,
    compare::Pair,
    peer::{Peer, Program, haproxy_is_installed},
    resolution::{changes, following},
};

const BACKEND: &str = "backend service
    server-template s 3 _http._tcp.web.example resolvers dns resolve-prefer ipv4 init-addr none
";

/// A weight, a port and a host.
type Record = (u16, u16, &'static str);
type Hosts = &'static [(&'static str, [u8; 4])];

/// What a name server knows.
#[derive(Debug, Clone, Copy)]
struct Zone {
    /// What it says to a question for the service.
    status: u8,
    services: &'static [Record],
    hosts: Hosts,
    /// What is told along with the service.
    along: Hosts,
}

/// A zone, and how often each name was asked for.
type Asked = Arc<Mutex<(Zone, BTreeMap<Vec<u8>, usize>)>>;

const SERVICE: &str = "_http._tcp.web.example";

fn name_server() -> (SocketAddr, Asked) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let asked: Asked = Arc::new(Mutex::new((STEPS[0], BTreeMap::new())));
    let known = Arc::clone(&asked);
    thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            let mut known = known.lock().unwrap();
            let (name, answer) = answer(&room[..length], &known.0);
            *known.1.entry(name).or_default() += 1;
            let _ = socket.send_to(&answer, from);
        }
    });
    (address, asked)
}

/// A name as messages have it (RFC 1035 section 3.1).
fn labels(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    let mut bytes: Vec<u8> = name.split('.').flat_map(label).collect();
    bytes.push(0);
    bytes
}

/// A record of that kind for a name, or for what is written at that place.
fn record(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let fields = [
        0,
        kind,
        0,
        1,
        0,
        0,
        0,
        5,
        0,
        u8::try_from(content.len()).unwrap(),
    ];
    [name, &fields, content].concat()
}

/// The name of a question, and what is answered: the question comes back, records point to its name (RFC 1035 section 4.1).
fn answer(query: &[u8], zone: &Zone) -> (Vec<u8>, Vec<u8>) {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let name = query[12..name_end].to_ascii_lowercase();
    let its_name = [0xc0, 12];
    let (mut status, mut records, mut along) = (0, Vec::new(), Vec::new());
    match query[name_end..name_end + 2] {
        [0, 1] => {
            let hosts = zone.hosts.iter().filter(|(host, _)| labels(host) == name);
            records.extend(hosts.map(|(_, ip)| record(&its_name, 1, ip)));
        }
        [0, 33] => {
            status = zone.status;
            let service = |(weight, port, host): &Record| {
                let numbers = [1, *weight, *port].map(u16::to_be_bytes).concat();
                record(&its_name, 33, &[numbers, labels(host)].concat())
            };
            records.extend(zone.services.iter().map(service));
            let host = |(host, ip): &(&str, [u8; 4])| record(&labels(host), 1, ip);
            along.extend(zone.along.iter().map(host));
        }
        _ => {}
    }
    let count = |records: &Vec<Vec<u8>>| u8::try_from(records.len()).unwrap();
    let head = [
        0x81,
        0x80 | status,
        0,
        1,
        0,
        count(&records),
        0,
        0,
        0,
        count(&along),
    ];
    let question = &query[12..name_end + 4];
    let answer = [
        &query[..2],
        &head,
        question,
        &records.concat(),
        &along.concat(),
    ]
    .concat();
    (name, answer)
}

/// Addresses, states, weights, hosts and ports of the servers.
fn states(peer: &Peer) -> String {
    let text = peer.ask("show servers state");
    let lines = text.lines().filter(|line| line.contains(SERVICE));
    let columns = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        [1, 3, 4, 5, 6, 7, 8, 17, 18, 19]
            .map(|at| words[at])
            .join(" ")
            + "\n"
    };
    lines.map(columns).collect()
}

const A: (&str, [u8; 4]) = ("a.example", [192, 0, 2, 1]);
const B: (&str, [u8; 4]) = ("b.example", [192, 0, 2, 2]);
const C: (&str, [u8; 4]) = ("c.example", [192, 0, 2, 3]);
const ALSO: (&str, [u8; 4]) = ("a.example", [192, 0, 2, 5]);
const MOVED: (&str, [u8; 4]) = ("c.example", [192, 0, 2, 4]);

const fn zone(services: &'static [Record], hosts: Hosts, along: Hosts) -> Zone {
    Zone {
        status: 0,
        services,
        hosts,
        along,
    }
}

/// Each changes something; the host of a record that goes stays a while, or whichever is asked for first decides why a server
/// goes. Never more than one new record at once: which server takes which is HAProxy's secret.
const STEPS: [Zone; 18] = [
    zone(&[(1, 8001, A.0)], &[A], &[]),
    zone(&[(1, 8001, A.0), (256, 8002, B.0)], &[A, B], &[]),
    zone(&[(65535, 8001, A.0), (0, 8002, B.0)], &[A, B], &[]),
    zone(&[(512, 8001, A.0), (1024, 8002, B.0)], &[A, B], &[]),
    zone(&[(256, 8002, B.0)], &[A, B], &[]),
    zone(&[], &[B], &[]),
    zone(&[(255, 8003, C.0)], &[C], &[]),
    zone(&[(255, 8003, C.0)], &[MOVED], &[]),
    // The host is not there.
    zone(&[(255, 8003, C.0)], &[], &[]),
    zone(&[(255, 8003, C.0)], &[C], &[]),
    Zone {
        status: 3,
        ..zone(&[], &[C], &[])
    },
    zone(&[(257, 8003, C.0)], &[C], &[]),
    zone(&[(257, 8004, C.0)], &[C], &[]),
    zone(&[(257, 8004, C.0), (1, 8001, A.0)], &[C], &[A]),
    // The one that is told along first moves nobody who has the other.
    zone(&[(257, 8004, C.0), (257, 8001, A.0)], &[C], &[ALSO, A]),
    zone(&[(257, 8004, C.0), (513, 8001, A.0)], &[C], &[A, ALSO]),
    zone(&[(257, 8004, C.0), (1, 8001, A.0)], &[C], &[A, MOVED]),
    zone(&[(257, 8004, C.0), (1, 8001, A.0)], &[C, A], &[]),
];

/// How often each name is asked for in a step, at the least: what was said before is in force then, hold times are over.
const OFTEN: usize = 5;

fn is_heard(asked: &Asked) -> bool {
    let (zone, asked) = &*asked.lock().unwrap();
    let told = |host: &str| zone.along.iter().any(|(other, _)| *other == host);
    let hosts = zone.services.iter().map(|(_, _, host)| *host);
    let mut names = hosts.filter(|host| !told(host)).chain([SERVICE]);
    let often = |name: &str| {
        asked
            .get(&labels(name))
            .is_some_and(|count| *count >= OFTEN)
    };
    names.all(often)
}

#[test]
fn servers_follow_a_service() {
    if !haproxy_is_installed("servers_follow_a_service") {
        return;
    }
    let start = |program| {
        let (address, asked) = name_server();
        let peer = Peer::start(program, &following(address, "", BACKEND));
        (peer, asked)
    };
    let ((haproxy, theirs), (ha_lb, ours)) = (start(Program::HaProxy), start(Program::HaLb));
    let pair = Pair { haproxy, ha_lb };
    let mut before = String::new();
    let say = |zone: Zone| {
        for asked in [&theirs, &ours] {
            *asked.lock().unwrap() = (zone, BTreeMap::new());
        }
    };
    for (number, zone) in STEPS.iter().enumerate() {
        say(*zone);
        let deadline = Instant::now() + Duration::from_secs(20);
        let has_changed = || states(&pair.haproxy) != before;
        while !is_heard(&theirs) || !is_heard(&ours) || !has_changed() {
            assert!(Instant::now() < deadline, "step {number}: nothing happens");
            thread::sleep(Duration::from_millis(5));
        }
        let what = format!("step {number}: {zone:?}");
        agree(&pair, &what, states);
        agree(&pair, &what, changes);
        before = states(&pair.haproxy);
    }
    let refused = "set server service/s1 fqdn a.example";
    agree(&pair, refused, |peer| peer.ask(refused));
    // A server that is put elsewhere comes back to where its record says it is: to its port, and to its address if that is
    // told along, else not before its host has another one.
    let led = before.lines().find(|line| line.contains(A.0)).unwrap();
    let name = led.split(' ').nth(1).unwrap();
    for along in [&[][..], &[A]] {
        let last = Zone {
            along,
            ..STEPS[STEPS.len() - 1]
        };
        let put = format!("set server service/{name} addr 192.0.2.9 port 99");
        let told = [&pair.haproxy, &pair.ha_lb].map(|peer| peer.ask(&put));
        assert_eq!(told[0], told[1]);
        say(last);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_heard(&theirs) || !is_heard(&ours) {
            assert!(Instant::now() < deadline, "{along:?}: nothing happens");
            thread::sleep(Duration::from_millis(5));
        }
        agree(&pair, &put, states);
        let stays = states(&pair.haproxy).contains("192.0.2.9");
        assert_eq!(stays, along.is_empty(), "{}", states(&pair.haproxy));
    }
}
