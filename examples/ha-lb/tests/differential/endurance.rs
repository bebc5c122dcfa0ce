//! What is left after faults and load: no session, no place in a queue, no descriptor, no memory to speak of.
//!
//! `HA_LB_LOAD` multiplies the number of connections (10 gives 20,000 one after the other and 5,000 at once).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    aborts, case, client, heads,
    peer::{GLOBAL, Peer, Program},
    responses,
};

const PATIENCE: Duration = Duration::from_secs(20);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const KEEP: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn load() -> usize {
    let factor = std::env::var("HA_LB_LOAD").ok();
    factor.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A number of `show info`.
fn info(peer: &Peer, name: &str) -> u64 {
    let text = peer.ask("show info");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap().parse().unwrap()
}

/// The usual configuration with another limit of connections.
fn with_maxconn(limit: u32) -> String {
    let global = GLOBAL.replace("maxconn 200", &format!("maxconn {limit}"));
    heads::PLAIN.replace("{global}", &global)
}

/// Descriptors of the balancer, and its memory in kB.
fn resources(peer: &Peer) -> (usize, u64) {
    let process = format!("/proc/{}", info(peer, "Pid"));
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
    (descriptors, memory.unwrap())
}

/// Rows that still count a session, a waiting request or a connection.
fn busy(peer: &Peer) -> Vec<String> {
    let stat = peer.ask("show stat");
    let rows = stat.lines().skip(1).filter(|line| {
        let columns: Vec<&str> = line.split(',').collect();
        let counts = |index: usize| columns.get(index).is_some_and(|c| !matches!(*c, "" | "0"));
        counts(2) || counts(4)
    });
    rows.map(str::to_owned).collect()
}

/// Waits until nothing is under way and the descriptors are those of before, but for a few kept connections.
fn settles(peer: &Peer, before: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (busy, (descriptors, _)) = (busy(peer), resources(peer));
        if busy.is_empty() && descriptors <= before + 4 {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{busy:#?}, {descriptors} descriptors, {before} before"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn get(peer: &Peer) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(peer.fronts[0])?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(GET)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn faults_leave_nothing_behind() {
    let peer = Peer::start(Program::HaLb, aborts::ABORTS);
    let before = resources(&peer).0;
    for case in aborts::CASES.iter().chain(responses::BROKEN) {
        for origin in &peer.origins {
            origin.play(case.origin);
        }
        client::play(
            &case.front(0).silence(50),
            peer.fronts[0],
            &peer.origins[0],
            1,
        );
        client::play(
            &case.front(1).silence(50),
            peer.fronts[1],
            &peer.origins[0],
            1,
        );
    }
    settles(&peer, before);
}

#[test]
fn connections_come_and_go() {
    let peer = Peer::start(Program::HaLb, heads::PLAIN);
    peer.origins[0].play(case::ANSWERS);
    let round = |count: usize| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..count / 4 {
                        assert!(get(&peer).unwrap().ends_with("ok"));
                    }
                });
            }
        });
    };
    round(400);
    settles(&peer, 100);
    let (descriptors, memory) = resources(&peer);
    let began = Instant::now();
    round(2000 * load());
    let (open, _) = resources(&peer);
    assert!(
        open < descriptors + 64,
        "{open} descriptors after short connections"
    );
    println!("{:?} for {} connections", began.elapsed(), 2000 * load());
    settles(&peer, descriptors);
    let after = resources(&peer);
    println!("before: {descriptors} descriptors, {memory} kB; after: {after:?}");
    assert!(
        after.1 < memory + 4096,
        "{memory} kB before, {} after",
        after.1
    );
}

#[test]
fn idle_connections_cost_little_and_end() {
    let count = 500 * load();
    let config = with_maxconn(20_000)
        .replace("http-request 5s", "http-request 60s")
        .replace("client 5s", "client 60s");
    let peer = Peer::start(Program::HaLb, &config);
    assert!(get(&peer).unwrap().ends_with("ok"));
    let (descriptors, memory) = resources(&peer);
    let mut clients: Vec<TcpStream> = (0..count)
        .map(|_| {
            let mut stream = TcpStream::connect(peer.fronts[0]).unwrap();
            stream.write_all(KEEP).unwrap();
            let mut answer = [0; case::OK.len()];
            stream.read_exact(&mut answer).unwrap();
            stream
        })
        .collect();
    let held = resources(&peer);
    let each = held.1.saturating_sub(memory) * 1024 / count as u64;
    println!("{count} idle connections: {held:?}, {each} bytes each");
    assert!(each < 6000, "{each} bytes for an idle connection");
    assert!(get(&peer).unwrap().ends_with("ok"));
    let last = clients.last_mut().unwrap();
    last.write_all(KEEP).unwrap();
    let mut answer = [0; case::OK.len()];
    last.read_exact(&mut answer).unwrap();
    drop(clients);
    settles(&peer, descriptors);
}

/// What a request in progress holds as a rule (`lb_core::dataplane`), however much there is to be sent.
const AS_A_RULE: u64 = 90_000;

/// A connection in /proc/net/tcp.
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    /// Bytes that the kernel holds, sent and not confirmed.
    unsent: u64,
    /// Received and not read.
    unread: u64,
}

/// The connections of this machine.
fn connections() -> Vec<Row> {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    let address = |text: &str| {
        let (ip, port) = text.split_once(':').unwrap();
        // As it is in memory.
        let ip = u32::from_str_radix(ip, 16).unwrap().to_ne_bytes();
        SocketAddr::from((ip, u16::from_str_radix(port, 16).unwrap()))
    };
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let (unsent, unread) = columns[4].split_once(':').unwrap();
        Row {
            local: address(columns[1]),
            remote: address(columns[2]),
            unsent: number(unsent),
            unread: number(unread),
        }
    });
    rows.collect()
}

/// Connections to an origin in which the kernel holds more than half of its smallest buffer: the balancer, which reads
/// all that there is while it has room, has none.
fn unread(origin: SocketAddr) -> usize {
    let held = |row: &Row| row.remote == origin && row.unread > 32 * 1024;
    connections().into_iter().filter(held).count()
}

/// An answer of 8 MB in chunks, after which nothing happens.
fn long_answer() -> &'static [case::Act] {
    const CHUNK: &[u8] = b"400\r\n";
    let answer = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        &[CHUNK, &[b'x'; 1024], b"\r\n"].concat().repeat(8 * 1024)[..],
    ];
    let acts = vec![
        case::Act::Head,
        case::Act::Send(answer.concat().leak()),
        case::Act::Stall,
    ];
    acts.leak()
}

#[test]
fn what_the_kernel_holds_is_limited_as_configured() {
    // The kernel doubles what it is told, for its own use, and looks before it takes a write, not behind it.
    const MOST: u64 = 4 * 32_768;
    let config = with_maxconn(200)
        .replace("client 5s", "client 60s")
        .replace("server 5s", "server 60s")
        .replacen(
            "global\n",
            "global\n    tune.sndbuf.client 32768\n    tune.rcvbuf.server 32768\n",
            1,
        );
    assert!(config.contains("tune.sndbuf"), "{config}");
    for program in [Program::HaProxy, Program::HaLb] {
        let peer = Peer::start(program, &config);
        peer.origins[0].play(long_answer());
        let mut client = TcpStream::connect(peer.fronts[0]).unwrap();
        client.write_all(GET).unwrap();
        let mut begin = [0; 15];
        client.read_exact(&mut begin).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (mut to_client, mut from_server, mut at_origin) = (0, 0, 0);
            for row in connections() {
                if row.local == peer.fronts[0] {
                    to_client += row.unsent;
                } else if row.remote == peer.origins[0].address {
                    from_server += row.unread;
                } else if row.local == peer.origins[0].address {
                    at_origin += row.unsent;
                }
            }
            let seen = format!("{program:?}: {to_client}, {from_server}, {at_origin}");
            assert!(to_client <= MOST && from_server <= MOST, "{seen}");
            // The rest waits where it came from.
            if at_origin > 1_000_000 {
                break println!("{seen}");
            }
            assert!(Instant::now() < deadline, "{seen}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn answers_that_nobody_takes_cost_no_more_than_their_buffers() {
    let origin = long_answer();
    let count = 60 * load();
    let config = with_maxconn(20_000)
        .replace("client 5s", "client 60s")
        .replace("server 5s", "server 60s");
    let peer = Peer::start(Program::HaLb, &config);
    assert!(get(&peer).unwrap().ends_with("ok"));
    let (descriptors, memory) = resources(&peer);
    peer.origins[0].play(origin);
    let clients: Vec<TcpStream> = (0..count)
        .map(|_| {
            let mut stream = TcpStream::connect(peer.fronts[0]).unwrap();
            stream.write_all(GET).unwrap();
            let mut begin = [0; 15];
            stream.read_exact(&mut begin).unwrap();
            stream
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waiting = unread(peer.origins[0].address);
        if waiting >= count {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "answers are read on and on: {waiting} of {count} wait"
        );
        thread::sleep(Duration::from_millis(20));
    }
    let held = resources(&peer).1;
    let each = held.saturating_sub(memory) * 1024 / count as u64;
    println!("{count} answers that nobody takes: {each} bytes each");
    assert!(each <= AS_A_RULE, "{each} bytes for each of them");
    drop(clients);
    settles(&peer, descriptors);
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let config = with_maxconn(2000).replace("http-request 5s", "http-request 1s");
    let peer = Peer::start(Program::HaLb, &config);
    assert!(get(&peer).unwrap().ends_with("ok"));
    let pid = i32::try_from(info(&peer, "Pid")).unwrap();
    let before = resources(&peer).0;
    let limit = rustix::process::Rlimit {
        current: Some(before as u64 + 20),
        maximum: Some(before as u64 + 20),
    };
    let process = rustix::process::Pid::from_raw(pid);
    rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).unwrap();
    let clients: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(peer.fronts[0]).unwrap();
            stream.write_all(KEEP).unwrap();
            stream
        })
        .collect();
    let time = cpu_time(pid);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        thread::sleep(Duration::from_millis(50));
    }
    let spent = cpu_time(pid) - time;
    assert!(spent < 25, "{spent} clock ticks spent in half a second");
    drop(clients);
    let deadline = Instant::now() + PATIENCE;
    while !get(&peer).is_ok_and(|answer| answer.ends_with("ok")) {
        assert!(Instant::now() < deadline, "{}", peer.output());
    }
    settles(&peer, before);
}

/// Clock ticks that the balancer has run for.
fn cpu_time(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit_once(") ").unwrap().1;
    let words: Vec<&str> = rest.split(' ').collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}
