//! `hard-stop-after`, and that nothing piles up over reloads that long connections outlive.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{Daemon, PATIENCE, config, connect, free_address, is_cut, kill};

/// Sends back what comes.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut room = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut room) {
                    if stream.write_all(&room[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

pub(crate) fn talk(stream: &mut TcpStream) {
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

/// Threads and open descriptors of a process.
fn size(pid: i64) -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    (count("task"), count("fd"))
}

pub(crate) fn log_socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// The next log line of a session.
pub(crate) fn session_line(socket: &UdpSocket, proxy: &str) -> String {
    line_with(socket, &format!(" {proxy} {proxy}/s "))
}

/// The next log line with these words.
fn line_with(socket: &UdpSocket, words: &str) -> String {
    let mut packet = [0; 2048];
    loop {
        let count = socket.recv(&mut packet).expect("a log line");
        let line = String::from_utf8_lossy(&packet[..count]).into_owned();
        if line.contains(words) {
            return line;
        }
    }
}

/// Two `listen` sections, of which only the first is there when `both` is false.
fn sections(
    (kept, gone): (SocketAddr, SocketAddr),
    (server, log): (SocketAddr, SocketAddr),
    both: bool,
    turn: usize,
) -> String {
    let listen = |name: &str, address: SocketAddr| {
        format!(
            "listen {name}\n    mode tcp\n    option tcplog\n    log {log} local0\n    bind {address}\n    \
             server s {server} weight {}\n",
            1 + turn
        )
    };
    let gone = if both {
        listen("gone", gone)
    } else {
        String::new()
    };
    format!("{}{gone}", listen("kept", kept))
}

#[test]
fn thirty_reloads_under_long_connections_pile_nothing_up_and_hard_stop_after_cuts_what_is_gone() {
    const RELOADS: usize = 30;
    let addresses = (free_address(), free_address());
    let (log, log_address) = log_socket();
    let peers = (echo(), log_address);
    let text = |folder: &str, both: bool, turn: usize| {
        let text = config(
            folder,
            1 + turn % 3,
            &sections(addresses, peers, both, turn),
        );
        text.replace("nbthread", "hard-stop-after 1500ms\n    nbthread")
    };
    let mut daemon = Daemon::start(|folder| text(folder, true, 0));
    let balancer = daemon.balancer();
    let mut held: Vec<TcpStream> = Vec::new();
    let mut after_three = (0, 0);
    for turn in 1..=RELOADS {
        for address in [addresses.0, addresses.1] {
            let mut session = connect(address);
            talk(&mut session);
            held.push(session);
        }
        daemon.write(|folder| text(folder, true, turn));
        assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
        if turn == 3 {
            after_three = size(balancer);
        }
    }
    // A session is a descriptor on either side; nothing else grows.
    let (threads, descriptors) = size(balancer);
    assert_eq!(threads, after_three.0, "threads");
    let sessions = 2 * 2 * (RELOADS - 3);
    assert!(
        descriptors <= after_three.1 + sessions + 8,
        "{descriptors} descriptors, {} after three reloads",
        after_three.1
    );
    held.iter_mut().for_each(talk);

    daemon.write(|folder| text(folder, false, RELOADS));
    let began = Instant::now();
    assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
    for (number, session) in held.iter_mut().enumerate() {
        if number % 2 == 1 {
            assert!(is_cut(session));
        }
    }
    let took = began.elapsed();
    println!("cut after {took:?}");
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    assert!(took < Duration::from_millis(8000), "{took:?}");
    let line = session_line(&log, "gone");
    assert!(line.contains(" K- "), "{line}");
    for session in held.iter_mut().step_by(2) {
        talk(session);
    }
    assert_eq!(daemon.balancer(), balancer, "the same process all the time");
}

#[test]
fn what_outlives_hard_stop_after_at_sigterm_is_cut_and_logged() {
    let addresses = (free_address(), free_address());
    let (log, log_address) = log_socket();
    let peers = (echo(), log_address);
    let mut daemon = Daemon::start(|folder| {
        let text = config(folder, 1, &sections(addresses, peers, false, 0));
        let more = format!("log {log_address} local0\n    hard-stop-after 2500ms\n    nbthread");
        text.replace("nbthread", &more)
    });
    let mut session = connect(addresses.0);
    talk(&mut session);
    let began = Instant::now();
    kill(i64::from(daemon.child.id()), Signal::TERM);
    // It goes on after the listener is closed.
    while TcpStream::connect(addresses.0).is_ok() {
        assert!(began.elapsed() < PATIENCE, "{}", daemon.log());
        thread::yield_now();
    }
    talk(&mut session);
    assert!(is_cut(&mut session));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2500), "{took:?}");
    line_with(
        &log,
        "soft-stop running for too long, performing a hard-stop.",
    );
    line_with(&log, "Proxy kept hard-stopped (");
    let mut line = session_line(&log, "kept");
    while !line.contains(" K- ") {
        line = session_line(&log, "kept");
    }
    assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
}
