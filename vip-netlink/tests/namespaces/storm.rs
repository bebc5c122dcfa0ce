//! Others change routes, links and addresses by thousands: our own work goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vip_netlink::HostOptions;
use vip_netlink::watch::{Change, Kernel, Notice, Watcher};
use vrrp_fsm::driver::{Command, Host, HostEvent};

use crate::burst::Changer;
use crate::host::{ROUTER, event, install, router, with_options};
use crate::support::{in_namespaces, sh};

/// A file for `ip -batch`.
struct Script(std::path::PathBuf);

impl Script {
    fn new(name: &str, lines: impl Iterator<Item = String>) -> Self {
        let file = format!("vip-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        Self(path)
    }

    fn run(&self) {
        sh(&format!("ip -batch {}", self.0.display()));
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn routes_of_others_are_not_even_heard_of() {
    in_namespaces("storm::routes_of_others_are_not_even_heard_of", |_| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        // Room for a handful of notifications.
        let mut watcher = Watcher::with_room(8192).unwrap();
        watcher.follow_paths(&[18, 77]).unwrap();
        let foreign = |action: &'static str| {
            (0..20_000).map(move |number| {
                let (high, low) = (number / 256, number % 256);
                format!("route {action} blackhole 10.{high}.{low}.0/24 proto bird\n")
            })
        };
        Script::new("foreign", foreign("add").chain(foreign("del"))).run();
        for proto in [18, 77] {
            sh(&format!(
                "ip route add blackhole 192.0.2.{proto}/32 proto {proto}"
            ));
            sh(&format!(
                "ip route del blackhole 192.0.2.{proto}/32 proto {proto}"
            ));
        }
        sh("ip rule add priority 999 table 9");
        sh("ip rule del priority 999");
        let mut kernel = Kernel::default();
        let mut heard = Vec::new();
        while let Some(notice) = watcher.read() {
            let Notice::Messages(messages) = notice else {
                panic!("lost");
            };
            let changes = messages.iter().filter_map(|one| kernel.apply(one));
            let paths = changes.filter(|change| matches!(change, Change::PathGone(_)));
            heard.extend(paths.map(|change| format!("{change:?}")));
            assert!(!messages.is_empty());
        }
        println!("{heard:#?}");
        assert_eq!(heard.len(), 3, "two routes and a rule");
        assert!(heard[0].contains("192.0.2.18") && heard[1].contains("192.0.2.77"));
        assert!(heard[2].contains("999"));
    });
}

#[test]
fn notifications_by_the_thousand_hold_no_takeover_up() {
    in_namespaces(
        "storm::notifications_by_the_thousand_hold_no_takeover_up",
        |_| {
            // What there is to look at each time.
            let many = (0..4000).map(|number| {
                format!(
                    "addr add 10.7.{}.{}/32 dev lo\n",
                    number / 250,
                    number % 250
                )
            });
            Script::new("many", many).run();
            let options = HostOptions {
                room: 2304,
                ..HostOptions::default()
            };
            with_options(router(None), options, async |host| {
                install(host).await;
                let stop = Arc::new(AtomicBool::new(false));
                let stopped = stop.clone();
                let storm = std::thread::spawn(move || {
                    let mut changer = Changer::new();
                    while !stopped.load(Ordering::Relaxed) {
                        changer.noise(100).send();
                        std::thread::sleep(Duration::from_millis(2));
                    }
                });
                let mut waits = Vec::new();
                for _ in 0..10 {
                    host.enqueue(ROUTER, Command::Remove);
                    event(host, "Removed", |event| {
                        matches!(event, HostEvent::Removed { .. })
                    })
                    .await;
                    let start = Instant::now();
                    install(host).await;
                    waits.push(start.elapsed());
                }
                stop.store(true, Ordering::Relaxed);
                storm.join().unwrap();
                println!("installed after {waits:?}");
                waits.sort();
                // The storm takes the kernel's lock for addresses as well.
                assert!(waits[5] < Duration::from_millis(100), "{waits:?}");
            });
        },
    );
}

#[test]
fn lost_notifications_are_noticed() {
    in_namespaces("storm::lost_notifications_are_noticed", |_| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let mut watcher = Watcher::new().unwrap();
        let both = "addr add 10.1.0.1/32 dev lo\naddr del 10.1.0.1/32 dev lo\n".to_owned();
        Script::new("both", std::iter::repeat_n(both, 10_000)).run();
        let mut lost = 0;
        while let Some(notice) = watcher.read() {
            lost += u32::from(matches!(notice, Notice::Lost));
        }
        assert_eq!(lost, 1);
        sh("ip addr add 10.1.0.2/32 dev lo");
        assert!(
            matches!(watcher.read(), Some(Notice::Messages(_))),
            "and it goes on"
        );
    });
}
