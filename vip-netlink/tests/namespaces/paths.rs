//! Routes and rules that go with a router's addresses, as `ip` shows them.

use std::net::IpAddr;
use std::time::Instant;

use crate::host::{PATIENCE, ROUTER, event, install, router, with_host};
use crate::support::{HOST, HOST_ADDRESS, VIP, in_namespaces, output, sh, until};
use vip_netlink::HostRouter;
use vip_netlink::route::{Action, Hop, Kind, Prefix, Route, Rule, Setting, What};
use vrrp_fsm::driver::{Command, Host, HostEvent};
use vrrp_proto::Family;

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix {
        address: address.parse().unwrap(),
        length: length.parse().unwrap(),
    }
}

fn via(gateway: &str) -> Hop {
    Hop {
        gateway: Some(gateway.parse().unwrap()),
        device: Some(HOST.into()),
        ..Hop::default()
    }
}

/// One route that needs the virtual address, one that needs nothing, and a rule.
fn with_paths() -> HostRouter {
    let mut router = router(None);
    let mut sourced = Route::new(prefix("192.168.1.0/24"), vec![via("10.99.0.2")]);
    sourced.preferred_source = Some(VIP.into());
    sourced.settings.push(Setting {
        what: What::Mtu,
        value: 1400,
        locked: true,
    });
    let mut dead = Route::new(prefix("192.168.2.0/24"), Vec::new());
    dead.kind = Kind::Blackhole;
    dead.table = 700;
    let mut sixth = Route::new(prefix("2001:db8:1::/48"), vec![via("fe80::9")]);
    sixth.metric = Some(7);
    router.routes = vec![sourced, dead, sixth];
    let mut rule = Rule::new(Family::Ipv4, 1000, Action::Table(700));
    rule.from = Some(prefix("192.168.3.0/24"));
    router.rules = vec![rule, Rule::new(Family::Ipv6, 1000, Action::Table(700))];
    router
}

/// All routes and rules of ours, as `ip` prints them.
fn ours() -> String {
    [
        "ip -d route show table all",
        "ip -6 -d route show table all",
        "ip -d rule show",
        "ip -6 -d rule show",
    ]
    .map(output)
    .concat()
    .lines()
    .filter(|line| line.contains("keepalived"))
    .map(|line| line.trim_end().to_owned() + "\n")
    // `ip route show table all` shows those of both families.
    .collect::<std::collections::BTreeSet<_>>()
    .into_iter()
    .collect()
}

const ALL: &str = "\
blackhole 192.168.2.0/24 table 700 proto keepalived scope global
unicast 192.168.1.0/24 via 10.99.0.2 dev vip0 table main proto keepalived scope global src 10.99.0.100 mtu lock 1400
unicast 2001:db8:1::/48 via fe80::9 dev vip0 table main proto keepalived scope global metric 7 pref medium
1000:\tfrom 192.168.3.0/24 lookup 700 proto keepalived
1000:\tfrom all lookup 700 proto keepalived
";

fn all_up() {
    let mut all: Vec<_> = ALL.lines().collect();
    all.sort_unstable();
    until(PATIENCE, "routes and rules", || {
        ours().lines().eq(all.iter().copied())
    });
}

#[test]
fn routes_and_rules_come_and_go_with_the_addresses() {
    in_namespaces(
        "paths::routes_and_rules_come_and_go_with_the_addresses",
        |_| {
            // A predecessor's, and those of others that look alike.
            sh("ip route add blackhole 192.168.2.0/24 table 700 proto 18");
            sh("ip route add blackhole 192.168.2.0/24 table 700 metric 9");
            sh("ip rule add from 192.168.3.0/24 priority 1000 lookup 700 proto 18");
            let foreign = "blackhole 192.168.2.0/24 proto boot scope global metric 9";
            with_host(with_paths(), async |host| {
                assert_eq!(ours(), "", "swept");
                install(host).await;
                all_up();
                // Again is no failure, and makes none twice.
                install(host).await;
                all_up();
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert_eq!(ours(), "");
                install(host).await;
                all_up();
            });
            assert_eq!(ours(), "", "the end of the host removes them");
            assert!(output("ip -d route show table 700").contains(foreign));
        },
    );
}

#[test]
fn what_another_program_removes_is_put_back_at_once() {
    in_namespaces(
        "paths::what_another_program_removes_is_put_back_at_once",
        |_| {
            let mut router = with_paths();
            router.routes[1].untracked = true;
            with_host(router, async |host| {
                install(host).await;
                all_up();
                for (command, expected) in [
                    ("ip route del 192.168.1.0/24", "route 192.168.1.0/24 via"),
                    (
                        "ip -6 route del 2001:db8:1::/48",
                        "route 2001:db8:1::/48 via",
                    ),
                    (
                        "ip rule del priority 1000",
                        "rule priority 1000 from 192.168.3.0/24",
                    ),
                    (
                        "ip -6 rule del priority 1000",
                        "rule priority 1000 from all",
                    ),
                ] {
                    sh(command);
                    let told = event(host, expected, |event| {
                    matches!(event, HostEvent::PathGone { what, .. } if what.starts_with(expected))
                })
                .await;
                    println!("{told:?}");
                    all_up();
                }
                // The kernel drops the routes of a link that goes down, and of an address that goes.
                sh(&format!("ip link set {HOST} down"));
                sh(&format!("ip link set {HOST} up"));
                event(host, "a route of the link", |event| {
                matches!(event, HostEvent::PathGone { what, .. } if what.contains("192.168.1.0/24"))
            })
            .await;
                all_up();
                // Nobody minds the one that is not tracked.
                sh("ip route del blackhole 192.168.2.0/24 table 700");
                sh("ip route del 192.168.1.0/24");
                event(host, "the other one", |event| {
                matches!(event, HostEvent::PathGone { what, .. } if what.contains("192.168.1.0/24"))
            })
            .await;
                assert_eq!(output("ip route show table 700").trim(), "");
            });
        },
    );
}

#[test]
fn a_route_that_cannot_go_up_yet_is_tried_again_and_told() {
    in_namespaces(
        "paths::a_route_that_cannot_go_up_yet_is_tried_again_and_told",
        |_| {
            let mut router = router(None);
            let far = "10.50.0.1";
            let early = Route::new(prefix("192.168.7.0/24"), vec![via(far)]);
            let sound = Route::new(prefix("192.168.8.0/24"), vec![via("10.99.0.2")]);
            let mut later = Route::new(prefix("192.168.9.0/24"), vec![via("10.51.0.1")]);
            later.hops[0].device = Some("later0".into());
            router.routes = vec![early, later, sound];
            with_host(router, async |host| {
                install(host).await;
                let failed = event(host, "a failure", |event| {
                    matches!(
                        event,
                        HostEvent::Paths {
                            outcome: Err(_),
                            ..
                        }
                    )
                })
                .await;
                let HostEvent::Paths {
                    outcome: Err(error),
                    ..
                } = failed
                else {
                    unreachable!()
                };
                println!("{error}");
                assert!(
                    error.to_string().contains("later0 does not exist"),
                    "the last failure: {error}"
                );
                // The one that can go up does, whatever stands before it.
                assert!(output("ip route show 192.168.8.0/24").contains("via 10.99.0.2"));
                sh("ip link add later0 type veth peer name later1");
                sh("ip addr add 10.51.0.2/24 dev later0");
                sh("ip link set later0 up");
                sh("ip link set later1 up");
                event(host, "the other failure", |event| {
                matches!(event, HostEvent::Paths { outcome: Err(error), .. }
                    if error.to_string().contains("cannot add route 192.168.7.0/24 via 10.50.0.1 dev vip0"))
            })
            .await;
                sh(&format!("ip addr add 10.50.0.2/24 dev {HOST}"));
                event(host, "success", |event| {
                    matches!(
                        event,
                        HostEvent::Paths {
                            outcome: Ok(()),
                            ..
                        }
                    )
                })
                .await;
                assert!(output("ip route show 192.168.7.0/24").contains(far));
                assert!(output("ip route show 192.168.9.0/24").contains("later0"));
            });
        },
    );
}

#[test]
fn a_reload_touches_only_what_differs_and_shared_routes_stay() {
    in_namespaces(
        "paths::a_reload_touches_only_what_differs_and_shared_routes_stay",
        |_| {
            with_host(with_paths(), async |host| {
                let mut other = with_paths();
                other.id = vrrp_fsm::RouterId::new(1);
                other.addresses =
                    vec![vip_netlink::plan::Vip::host(IpAddr::from([10, 99, 0, 101]))];
                other.routes.truncate(2);
                other.routes.remove(0);
                other.rules.clear();
                host.admit(other);
                install(host).await;
                host.enqueue(vrrp_fsm::RouterId::new(1), Command::Install);
                all_up();
                let mut new = with_paths();
                new.routes.remove(1);
                let more = Route::new(prefix("192.168.5.0/24"), vec![via("10.99.0.2")]);
                new.routes.push(more);
                new.rules.clear();
                host.reroute(ROUTER, new.routes, new.rules);
                until(PATIENCE, "the new route, and the rules gone", || {
                    let ours = ours();
                    ours.contains("192.168.5.0/24") && !ours.contains("1000:")
                });
                // The other router holds it still.
                assert!(ours().contains("blackhole 192.168.2.0/24 table 700"));
                host.enqueue(vrrp_fsm::RouterId::new(1), Command::Remove);
                event(host, "Removed", |event| {
                matches!(event, HostEvent::Removed { router } if *router == vrrp_fsm::RouterId::new(1))
            })
            .await;
                assert!(!ours().contains("blackhole"));
                assert!(ours().contains("src 10.99.0.100"));
            });
        },
    );
}

#[test]
fn no_route_delays_the_announcement() {
    in_namespaces("paths::no_route_delays_the_announcement", |peer| {
        const ROUTES: usize = 8 * 256;
        let mut router = router(None);
        let route = |number: usize| {
            let to = format!("192.{}.{}.0/24", 168 + number / 256, number % 256);
            Route::new(prefix(&to), vec![via("10.99.0.2")])
        };
        router.routes = (0..ROUTES).map(route).collect();
        with_host(router, async |host| {
            let mut sniffer = peer.sniffer();
            let mut before = 0;
            for round in 0..3 {
                let start = Instant::now();
                host.enqueue(ROUTER, Command::Install);
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                let garp = |frame: &[u8]| frame[12..14] == [8, 6] && frame[28..32] == VIP.octets();
                assert!(sniffer.next(PATIENCE, garp).is_some());
                let announced = start.elapsed();
                let count = || output("ip route show proto keepalived").lines().count();
                until(PATIENCE, "all routes", || count() == ROUTES);
                println!(
                    "round {round}: announced after {announced:?}, all routes after {:?}",
                    start.elapsed()
                );
                before += u32::from(announced < start.elapsed() / 2);
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert_eq!(count(), 0);
                sniffer = peer.sniffer();
            }
            // This test may be held up, the announcement may not.
            assert!(before > 0);
            assert!(
                output(&format!("ip addr show dev {HOST}")).contains(&HOST_ADDRESS.to_string())
            );
        });
    });
}
