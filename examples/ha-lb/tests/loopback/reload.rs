//! SIGHUP to a daemon on loopback, without root: requests go on, counters and states stay, a broken file changes
//! nothing.

use std::{
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use crate::support::{Daemon, PATIENCE, config, connect, free_address, get, origin};

/// Requests with keep-alive, and as many without.
const REQUESTS: usize = 10_000;

/// Ends the clients when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn none_of_twenty_thousand_requests_fails_over_twenty_reloads() {
    let origins = [origin("a"), origin("b"), origin("c")];
    let (front, extra) = (free_address(), free_address());
    let sections = |turn: usize| {
        let mut servers: Vec<String> = ["a", "b", "c"]
            .into_iter()
            .zip(origins)
            .map(|(name, address)| format!("    server {name} {address} check inter 200ms\n"))
            .collect();
        servers.rotate_left(turn % 3);
        servers.truncate(1 + turn % 3);
        let web = format!("frontend web\n    bind {front}\n    default_backend app\n");
        let other = format!(
            "listen extra\n    bind {extra}\n    server x {}\n",
            origins[0]
        );
        let app = format!("backend app\n{}", servers.concat());
        match turn % 3 {
            0 => web + &app,
            1 => other + &app + &web,
            _ => app + &web + &other,
        }
    };
    let mut daemon = Daemon::start(|folder| config(folder, 2, &sections(0)));
    let over = AtomicBool::new(false);
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let connections = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (over, done, connections) = (&over, &done, &connections);
        // Also after a failure, so that it is told.
        let _ends = Ends(over);
        for (keep_alive, done) in [true, false].into_iter().zip(done) {
            scope.spawn(move || {
                let fresh = || {
                    connections.fetch_add(1, Ordering::SeqCst);
                    connect(front)
                };
                let mut kept = keep_alive.then(fresh);
                while !over.load(Ordering::SeqCst) {
                    let mut client = kept.take().unwrap_or_else(fresh);
                    get(&mut client);
                    done.fetch_add(1, Ordering::SeqCst);
                    kept = Some(client).filter(|_| keep_alive);
                }
            });
        }
        for turn in 1..=20 {
            let enough = REQUESTS * turn / 20;
            let deadline = Instant::now() + PATIENCE;
            while done.iter().any(|d| d.load(Ordering::SeqCst) < enough) {
                assert!(Instant::now() < deadline, "{}", daemon.log());
                thread::yield_now();
            }
            daemon.write(|folder| config(folder, 1 + turn % 4, &sections(turn)));
            let reload = daemon.reload();
            assert_eq!(reload["applied"], true, "{reload}\n{}", daemon.log());
        }
    });
    let done: usize = done.iter().map(|d| d.load(Ordering::SeqCst)).sum();
    // Counters have gone through all of it; nothing was counted as an error.
    let number =
        |proxy, server, column| daemon.stat(proxy, server, column).parse::<usize>().unwrap();
    assert_eq!(number("web", "FRONTEND", "req_tot"), done);
    assert_eq!(
        number("web", "FRONTEND", "conn_tot"),
        connections.load(Ordering::SeqCst)
    );
    assert_eq!(number("app", "BACKEND", "stot"), done);
    for column in ["econ", "eresp", "wretr", "wredis", "hrsp_5xx"] {
        assert_eq!(number("app", "BACKEND", column), 0, "{column}");
    }
    assert!(!daemon.log().contains(" is DOWN"), "{}", daemon.log());
    assert_eq!(daemon.status().unwrap()["balancer"]["restarts"], 0);
}

#[test]
fn a_broken_file_changes_nothing_and_the_plan_is_shown_before() {
    let front = free_address();
    let a = origin("a");
    let good = |folder: &str, weight: u8| {
        config(
            folder,
            1,
            &format!("listen web\n    bind {front}\n    server a {a} weight {weight}\n"),
        )
    };
    let mut daemon = Daemon::start(|folder| good(folder, 1));
    let mut client = connect(front);
    get(&mut client);

    daemon.write(|folder| good(folder, 1) + "    balance nonsense\n");
    let (applies, text) = daemon.diff(&[]);
    assert!(!applies && text.contains("nonsense"), "{text}");
    let reload = daemon.reload();
    assert_eq!(reload["applied"], false);
    assert!(daemon.log().contains("nonsense"), "{}", daemon.log());
    get(&mut client);

    // An address that cannot be had: refused as well, and what could be had is given back.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = free_address();
    daemon.write(|folder| {
        let more = format!(
            "    bind {free}\n    bind {}\n",
            taken.local_addr().unwrap()
        );
        good(folder, 9) + &more
    });
    let reload = daemon.reload();
    assert!(
        reload["outcome"]
            .as_str()
            .unwrap()
            .contains("another program listens there"),
        "{reload}"
    );
    assert!(TcpStream::connect(free).is_err());
    assert_eq!(daemon.stat("web", "a", "weight"), "1");

    // A daemon without anything to do is no configuration.
    daemon.write(|folder| config(folder, 1, ""));
    let (applies, text) = daemon.diff(&[]);
    assert!(!applies);
    assert!(text.contains("refused: the files name neither"), "{text}");

    daemon.write(|folder| good(folder, 7));
    let (applies, text) = daemon.diff(&[]);
    assert!(applies);
    assert_eq!(text, "listen web, server a changed: weight 1 -> 7\n");
    assert_eq!(daemon.stat("web", "a", "weight"), "1", "only shown");
    let reload = daemon.reload();
    assert_eq!(reload["applied"], true, "{reload}");
    assert_eq!(
        reload["changes"][0],
        "listen web, server a changed: weight 1 -> 7"
    );
    assert_eq!(daemon.stat("web", "a", "weight"), "7");
    assert_eq!(daemon.stat("web", "a", "stot"), "2");
    get(&mut client);
    assert_eq!(daemon.diff(&[]).1, "nothing changes\n");
}

#[test]
fn states_of_servers_and_orders_of_operators_stay() {
    let (front, dead) = (free_address(), free_address());
    let a = origin("a");
    let sections = |servers: &str| format!("listen web\n    bind {front}\n{servers}");
    let dead = format!("    server dead {dead} check inter 100ms fall 1\n");
    let live = format!("    server live {a}\n    server spare {a}\n");
    let mut daemon = Daemon::start(|folder| config(folder, 1, &sections(&format!("{dead}{live}"))));
    let deadline = Instant::now() + PATIENCE;
    while daemon.stat("web", "dead", "status") != "DOWN" {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    daemon.ask("set server web/spare state maint");
    daemon.ask(&format!("add server web/late {a}"));
    daemon.write(|folder| config(folder, 1, &sections(&format!("{live}{dead}"))));
    assert_eq!(daemon.reload()["applied"], true);
    assert_eq!(daemon.stat("web", "dead", "status"), "DOWN");
    assert_eq!(daemon.stat("web", "dead", "chkdown"), "1");
    assert_eq!(daemon.stat("web", "spare", "status"), "MAINT");
    let log = daemon.log();
    assert_eq!(log.matches("is DOWN").count(), 1, "{log}");
    assert_eq!(log.matches("is UP").count(), 0, "{log}");
    let told = "server web/late was added at run time and is not in the new configuration";
    assert!(log.contains(told), "{log}");
}
