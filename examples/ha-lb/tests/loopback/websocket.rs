//! WebSockets whose both ends others wrote (the tungstenite crate), through the daemon.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use tungstenite::{
    Message, WebSocket, accept, client,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::support::{Daemon, PATIENCE, config, connect, free_address};

/// Longer than any buffer between the ends.
const BIG: usize = 6 << 20;

/// Sends back texts and binaries; `ping` is answered with a ping and its pong, `bye` with the close.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut socket = accept(stream).unwrap();
                // A tunnel that is cut ends in an error, which the client's side asserts.
                while let Ok(message) = socket.read() {
                    if answer(&mut socket, message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn answer(socket: &mut WebSocket<TcpStream>, message: Message) -> tungstenite::Result<()> {
    match message {
        Message::Text(text) if text == "ping" => socket.send(Message::Ping("how now".into())),
        Message::Text(text) if text == "bye" => socket.close(Some(CloseFrame {
            code: CloseCode::Away,
            reason: "gone".into(),
        })),
        Message::Text(_) | Message::Binary(_) => socket.send(message),
        Message::Pong(words) => socket.send(Message::Text(
            String::from_utf8_lossy(&words).into_owned().into(),
        )),
        Message::Ping(_) | Message::Close(_) | Message::Frame(_) => Ok(()),
    }
}

fn open(address: SocketAddr) -> WebSocket<TcpStream> {
    let (socket, response) = client(format!("ws://{address}/chat"), connect(address)).unwrap();
    assert_eq!(response.status(), 101);
    socket
}

fn say(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::text(text)).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text(text));
}

/// The next message, or what comes instead.
fn hear(socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<Message> {
    loop {
        match socket.read() {
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            heard => return heard,
        }
    }
}

/// Reads until the end of the connection, then closes it; what the peer's close frame said, if one came.
fn end(mut socket: WebSocket<TcpStream>) -> Option<CloseFrame> {
    let mut told = None;
    loop {
        match hear(&mut socket) {
            Ok(Message::Close(frame)) => told = frame,
            Ok(other) => unreachable!("{other:?}"),
            Err(tungstenite::Error::ConnectionClosed) => return told,
            Err(tungstenite::Error::Io(error)) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "not cut");
                return told;
            }
            Err(tungstenite::Error::Protocol(_)) => return told,
            Err(other) => unreachable!("{other}"),
        }
    }
}

fn listen(front: SocketAddr, server: SocketAddr) -> String {
    format!("listen web\n    bind {front}\n    timeout tunnel 30s\n    server s {server}\n")
}

#[test]
fn texts_binaries_pings_and_closes_pass_both_ways() {
    let (front, server) = (free_address(), server());
    let mut daemon = Daemon::start(|folder| config(folder, 1, &listen(front, server)));
    let mut socket = open(front);
    say(&mut socket, "grüße");
    let big: Vec<u8> = (0..=250).cycle().take(BIG).collect();
    socket.send(Message::binary(big.clone())).unwrap();
    assert!(
        socket.read().unwrap() == Message::binary(big),
        "another message"
    );

    // Pings of either side are answered by the other.
    socket.send(Message::Ping("you there".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("you there".into()));
    socket.send(Message::text("ping")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Ping("how now".into()));
    assert_eq!(socket.read().unwrap(), Message::text("how now"));

    // The client closes ...
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "done".into(),
    };
    socket.close(Some(normal.clone())).unwrap();
    assert_eq!(end(socket), Some(normal));
    // ... and the server.
    let mut socket = open(front);
    socket.send(Message::text("bye")).unwrap();
    let told = end(socket).unwrap();
    assert_eq!((told.code, told.reason.as_str()), (CloseCode::Away, "gone"));
    gone(&daemon, "web");
    assert_eq!(daemon.stat("web", "s", "econ"), "0");
    assert_eq!(daemon.terminate(), Some(0));
}

/// Waits until a proxy has no sessions any more.
fn gone(daemon: &Daemon, proxy: &str) {
    let deadline = Instant::now() + PATIENCE;
    while daemon.stat(proxy, "BACKEND", "scur") != "0"
        || daemon.stat(proxy, "FRONTEND", "scur") != "0"
    {
        assert!(Instant::now() < deadline, "{}", daemon.ask("show sess"));
        thread::yield_now();
    }
}

#[test]
fn the_timeout_of_tunnels_takes_the_place_of_the_others_and_cuts_who_is_silent() {
    let (front, server) = (free_address(), server());
    let text =
        "listen web\n    timeout client 1500ms\n    timeout server 1500ms\n    timeout tunnel 4s\n";
    let daemon = Daemon::start(|folder| {
        let rest = format!("    bind {front}\n    server s {server}\n");
        config(folder, 1, &format!("{text}{rest}"))
    });
    let mut socket = open(front);
    // Silent for longer than the timeouts of client and server: nothing comes, and it is still there.
    socket
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(2000)))
        .unwrap();
    let silence = hear(&mut socket);
    assert!(
        matches!(&silence, Err(tungstenite::Error::Io(e)) if e.kind() == ErrorKind::WouldBlock),
        "{silence:?}"
    );
    socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let silent = Instant::now();
    say(&mut socket, "still here");
    assert_eq!(end(socket), None);
    let took = silent.elapsed();
    println!("cut after {took:?}");
    assert!(took >= Duration::from_secs(4), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    gone(&daemon, "web");
}

#[test]
fn an_idle_tunnel_outlives_reloads_and_hard_stop_after_ends_it_where_its_proxy_is_gone() {
    let (front, other, server) = (free_address(), free_address(), server());
    let text = |folder: &str, weight: u8, both: bool| {
        let first = if both {
            listen(front, server)
        } else {
            String::new()
        };
        let second =
            format!("listen other\n    bind {other}\n    server s {server} weight {weight}\n");
        config(folder, 1, &format!("{first}{second}"))
            .replace("nbthread", "hard-stop-after 3s\n    nbthread")
    };
    let mut daemon = Daemon::start(|folder| text(folder, 1, true));
    let (mut idle, mut kept) = (open(front), open(other));
    for weight in 2..5 {
        daemon.write(|folder| text(folder, weight, true));
        assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
    }
    say(&mut idle, "three reloads later");
    daemon.write(|folder| text(folder, 9, false));
    let reloaded = Instant::now();
    assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
    say(&mut idle, "its section is gone");
    assert_eq!(end(idle), None);
    let took = reloaded.elapsed();
    println!("cut after {took:?}");
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert!(took < Duration::from_secs(9), "{took:?}");
    say(&mut kept, "the other goes on");
    assert_eq!(daemon.status().unwrap()["balancer"]["restarts"], 0);
}

#[test]
fn a_hundred_talk_at_once() {
    const SOCKETS: usize = 100;
    let (front, server) = (free_address(), server());
    let daemon = Daemon::start(|folder| config(folder, 2, &listen(front, server)));
    let meeting = Barrier::new(SOCKETS + 1);
    thread::scope(|scope| {
        for number in 0..SOCKETS {
            let meeting = &meeting;
            scope.spawn(move || {
                let mut socket = open(front);
                for turn in 0..20 {
                    say(
                        &mut socket,
                        &format!("{number}: {turn} {}", "x".repeat(turn * 100)),
                    );
                }
                meeting.wait();
                meeting.wait();
                socket.close(None).unwrap();
                end(socket);
            });
        }
        meeting.wait();
        assert_eq!(daemon.stat("web", "FRONTEND", "scur"), SOCKETS.to_string());
        assert_eq!(daemon.stat("web", "s", "scur"), SOCKETS.to_string());
        meeting.wait();
    });
    gone(&daemon, "web");
    assert_eq!(daemon.stat("web", "BACKEND", "stot"), SOCKETS.to_string());
    assert_eq!(daemon.stat("web", "s", "econ"), "0");
}

/// The same over HTTP/2 to a server that takes WebSockets (RFC 8441): the second proxy, which goes back to HTTP/1.1.
#[test]
fn a_websocket_goes_to_a_server_in_http_2_and_its_checks_too() {
    let (front, middle, server) = (free_address(), free_address(), server());
    let mut daemon = Daemon::start(|folder| {
        let text = format!(
            "frontend one\n    bind {front}\n    timeout tunnel 30s\n    default_backend h2\n\
             backend h2\n    timeout tunnel 30s\n    option httpchk GET /up\n    http-check send hdr host check.test\n    \
             http-check expect string well\n    server s {middle} proto h2 check inter 100ms rise 1 fall 1\n\
             frontend two\n    bind {middle} proto h2\n    timeout tunnel 30s\n    \
             http-request return status 200 content-type text/plain string well if {{ path /up }} {{ req.ver 2.0 }} \
             {{ hdr(host) check.test }}\n    default_backend back\n\
             backend back\n    timeout tunnel 30s\n    server s {server}\n"
        );
        config(folder, 1, &text)
    });
    let deadline = Instant::now() + PATIENCE;
    while daemon.stat("h2", "s", "check_status") != "L7OK" {
        assert!(
            Instant::now() < deadline,
            "{}",
            daemon.stat("h2", "s", "check_status")
        );
        thread::sleep(Duration::from_millis(10));
    }
    let mut socket = open(front);
    say(&mut socket, "grüße");
    let big: Vec<u8> = (0..=250).cycle().take(BIG).collect();
    socket.send(Message::binary(big.clone())).unwrap();
    assert!(
        socket.read().unwrap() == Message::binary(big),
        "another message"
    );
    socket.send(Message::text("bye")).unwrap();
    let told = end(socket).unwrap();
    assert_eq!((told.code, told.reason.as_str()), (CloseCode::Away, "gone"));
    let running = [("one", "FRONTEND"), ("h2", "BACKEND"), ("back", "BACKEND")];
    while running
        .iter()
        .any(|(proxy, half)| daemon.stat(proxy, half, "scur") != "0")
    {
        assert!(Instant::now() < deadline, "sessions stay");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(daemon.stat("h2", "s", "econ"), "0");
    assert_eq!(daemon.terminate(), Some(0));
}
