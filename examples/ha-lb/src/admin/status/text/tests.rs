use super::{super::*, Text, layout::WIDTH};

fn troubled() -> Instance {
    let change = |from, to, reason: &str, at| LastTransition {
        from,
        to,
        reason: reason.to_owned(),
        at,
    };
    let last = change(
        State::Backup,
        State::Active,
        "no advert from 10.77.0.12 for 3.61 s",
        1.6e9,
    );
    let track = |name: &str, health: &str, weight, contribution| Track {
        kind: "script".to_owned(),
        name: name.to_owned(),
        health: health.to_owned(),
        weight,
        contribution,
        reverse: false,
        value: None,
    };
    Instance {
        name: "VI_1".to_owned(),
        state: State::Active,
        state_age: Some(11_530.0),
        priority: 150,
        effective_priority: 132,
        tracks: vec![
            track("check_nginx_with_a_long_name", "up", 2, 2),
            track("disk", "down", -20, -20),
            track("gateway", "up", 0, 0),
        ],
        interface: "eth0".to_owned(),
        vrid: 51,
        version: 2,
        interval: 1.0,
        own_address: Some("10.77.0.11".to_owned()),
        authentication: Some("hmac, permissive, key 2".to_owned()),
        vips: vec!["10.77.0.10/32".to_owned()],
        addresses: "failing".to_owned(),
        fence: "on".to_owned(),
        lease: Some(Lease {
            valid: 3.0,
            left: 2.4,
        }),
        retrying: Some(Failure {
            operation: "install".to_owned(),
            error: "No such device".to_owned(),
            age: 0.5,
            count: 3,
        }),
        last_transition: Some(last.clone()),
        transitions: vec![
            last,
            change(State::Initialize, State::Backup, "started", 1.5e9),
        ],
        peers: vec![Peer {
            address: "10.77.0.12".to_owned(),
            priority: 100,
            age: 0.4,
            interval: 1.0,
            adverts: 7,
        }],
        refused: vec![Refused {
            address: "10.77.0.66".to_owned(),
            cause: "authentication".to_owned(),
            reason: "its password is not ours".to_owned(),
            age: 4.0,
            count: 9,
        }],
        counters: Counters {
            sent: 11_520,
            received: 7,
            rivals: 7,
            unsigned_received: 3,
            send_lateness_max: 0.0004,
            rejected: vec![
                Rejected {
                    cause: "checksum".to_owned(),
                    count: 0,
                },
                Rejected {
                    cause: "authentication".to_owned(),
                    count: 9,
                },
            ],
            ..Counters::default()
        },
        ..Instance::default()
    }
}

fn broken_pair() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        router_id: Some("lb1".to_owned()),
        uptime: 273_600,
        supervisor: Process {
            pid: Some(4_194_301),
            ready: true,
            uptime: Some(273_600.0),
            uid: Some(0),
            capabilities: Some(vec!["all".to_owned()]),
            memory: Some(12_582_912),
            cpu: Some(61.0),
            descriptors: Some(31),
            descriptor_limit: Some(1024),
            ..Process::default()
        },
        balancer: Some(Process::default()),
        instances: vec![troubled()],
        scripts: vec![
            tracked("script", "gateway", "fails", None),
            tracked("file", "load", "value", Some(-12)),
            tracked("process", "lb", "passes", Some(3)),
        ],
        neighbours: vec![Neighbour {
            name: "uplink".to_owned(),
            address: "10.77.0.1".to_owned(),
            state: "down".to_owned(),
            state_age: 3.0,
            reason: Some("nothing was heard for the detection time".to_owned()),
            interval: Some(1.0),
            received: 12_000,
            losses: 2,
            failure: Some("packets cannot be heard: Address already in use".to_owned()),
            ..Neighbour::default()
        }],
        notify: vec![Notify {
            kind: "instance".to_owned(),
            name: "VI_1".to_owned(),
            waiting: 2,
            dropped: 0,
            running: Some("/etc/notify.sh INSTANCE VI_1 MASTER 132".to_owned()),
            running_for: Some(42.0),
            runs: 5,
            failures: 1,
            last: Some(failed()),
            last_failure: Some(failed()),
        }],
        mail: Some(Mail {
            server: "mail.example.org:25".to_owned(),
            queued: 3,
            sent: 40,
            dropped: 2,
            retries: 9,
            retry_in: Some(80.0),
            last_error: Some("Connection refused".to_owned()),
            last_error_at: Some(1.6e9),
            ..Mail::default()
        }),
        ..Status::default()
    }
}

fn failed() -> Run {
    Run {
        command: "/etc/notify.sh a-long-argument and-another-long-argument and-more".to_owned(),
        at: 1.6e9,
        took: 60.004,
        outcome: "timed out, and SIGKILL does not end it".to_owned(),
        timed_out: true,
        ..Run::default()
    }
}

fn tracked(kind: &str, name: &str, result: &str, value: Option<i64>) -> Script {
    Script {
        kind: kind.to_owned(),
        name: name.to_owned(),
        result: result.to_owned(),
        value,
        answered_by: "/usr/bin/thing".to_owned(),
        last_run: (kind == "script").then(failed),
        next_run_in: None,
    }
}

#[test]
fn what_is_wrong_stands_out_and_every_line_fits() {
    let text = Text(&broken_pair()).to_string();
    for expected in [
        "VI_1: Active for 3 h 12 min: VRID 51 on eth0, VRRPv2 (hmac, permissive, key 2), adverts",
        "because     no advert from 10.77.0.12 for 3.61 s",
        "132 = 150 of the file + 2 script check_nginx_with_a_long_name up - 20 script disk DOWN",
        "script gateway up (a failure is a fault)",
        "10.77.0.10/32: NOT ALL UP, fence on, lease 2.4 of 3 s",
        "RETRYING    install the addresses: No such device (failed 3 times, 500 ms ago)",
        "10.77.0.12: priority 100, last advert 400 ms ago, every 1 s, 7 heard",
        "TWO ACTIVES 10.77.0.12 sends adverts too, 7 by now",
        "11520 sent (at most 0.4 ms late), 7 received, REJECTED: authentication 9",
        "3 received unsigned: `mode enforce` would reject such",
        "rejected from 10.77.0.66: 9, the last 4.0 s ago: its password is not ours",
        "Initialize -> Backup: started",
        "RESTARTING",
        "script gateway FAILS",
        "file load -12 /usr/bin/thing",
        "process lb passes, 3 run",
        "uplink 10.77.0.1 LOST 3.0 s 1.0 s - 12000 2",
        "uplink: nothing was heard for the detection time",
        "uplink: RETRYING packets cannot be heard: Address already in use",
        "instance VI_1 5 1 3 runs for 42",
        "LAST RUN gateway: 2020-09-13 12:26:40.000, 60004.0 ms: timed out",
        "LAST FAILURE /etc/notify.sh a-long-argument",
        "mail to mail.example.org:25: 40 sent, 3 waiting, 2 GIVEN UP because too many waited, 9 attempts failed; last error",
        "Connection refused; next attempt in 1 min 20 s",
    ] {
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(&wanted), "{expected}\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{line}\n{text}");
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn the_document_keeps_its_shape() {
    let document = serde_json::to_value(broken_pair()).unwrap();
    let names = |pointer: &str| {
        let object = document.pointer(pointer).unwrap().as_object().unwrap();
        object.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    // Programs read these names: they may be added to, and never changed.
    assert_eq!(
        names(""),
        "at backends balancer frontends instances instances_age mail neighbours notify reload retrying_static router_id scripts \
         strangers stray supervisor traffic_age upgrade uptime version vrrp"
    );
    assert_eq!(
        names("/instances/0"),
        "active_address addresses authentication changes counters effective_priority fence held_by interface interval \
         last_transition lease name own_address peers priority refused retrying retrying_paths routes rules state state_age \
         sync_group takeover_in tracks transitions version vips virtual_macs vrid"
    );
    assert_eq!(
        names("/instances/0/peers/0"),
        "address adverts age interval priority"
    );
    assert_eq!(
        names("/supervisor"),
        "capabilities cpu descriptor_limit descriptors gid hangs memory no_new_privs pid ready restarts root threads \
         uid uptime"
    );
}
