//! Whose a device with a virtual MAC address is: taken over from the dead, left to the living, made again when it goes.

use std::time::Duration;

use crate::host::{PATIENCE, ROUTER, event, install, with_host};
use crate::macvlan::{
    DEVICE, VMAC, answers, details, exists, is_up, mark, on_device, removed, setting,
};
use crate::support::{HOST, VIP, in_namespaces, interface_index, sh, until};
use vip_netlink::advert_socket::{AdvertReceiver, PROTOCOL_VRRP};
use vip_netlink::fence::{Fence, Options};
use vrrp_fsm::driver::{Command, Host, HostEvent};
use vrrp_proto::{Family, MULTICAST_V4};

#[test]
fn what_a_dead_process_left_is_taken_over_or_swept_and_others_are_left_alone() {
    in_namespaces(
        "macvlan_holders::what_a_dead_process_left_is_taken_over_or_swept_and_others_are_left_alone",
        |_| {
            let make = |name: &str, mac: &str, mode: &str| {
                sh(&format!(
                    "ip link add {name} link {HOST} address {mac} type macvlan mode {mode}"
                ));
            };
            // As keepalived leaves it, with an address that no file names any more.
            make(DEVICE, "00:00:5e:00:01:33", "private");
            sh(&format!("ip addr add 10.99.0.99/32 dev {DEVICE}"));
            sh(&format!("ip link set {DEVICE} up"));
            let index = interface_index(DEVICE);
            // Of a process that is dead, of one that lives, of nobody.
            let living = Fence::new(Options::default()).unwrap();
            for (name, mac, holder) in [
                ("vrrp.60", "00:00:5e:00:01:3c", 4_000_000_000),
                ("vrrp.61", "00:00:5e:00:01:3d", living.number()),
            ] {
                make(name, mac, "bridge");
                mark(name, holder);
            }
            make("vrrp.62", "00:00:5e:00:01:3e", "bridge");
            with_host(on_device(), async |host| {
                assert_eq!(interface_index(DEVICE), index, "the same device goes on");
                let found = details(DEVICE);
                assert!(found.contains("macvlan mode bridge"), "{found}");
                assert!(!found.contains("10.99.0.99") && !is_up(DEVICE), "{found}");
                let left = ["vrrp.60", "vrrp.61", "vrrp.62"].map(exists);
                assert_eq!(left, [false, true, true]);
                install(host).await;
            });
            let left = [DEVICE, "vrrp.61", "vrrp.62"].map(exists);
            assert_eq!(left, [true; 3], "what others made stays");
            let found = details(DEVICE);
            assert!(!found.contains("10.99.0.100") && !is_up(DEVICE), "{found}");
            assert!(!found.contains("vip-netlink"), "{found}");
            // It was the last one of its parent: what was changed for it is put back.
            sh("ip link del vrrp.61");
            std::fs::write("/proc/sys/net/ipv4/conf/vip0/arp_announce", "0").unwrap();
            with_host(on_device(), async |host| install(host).await);
            assert_eq!(setting(HOST, "ipv4/conf/{}/arp_announce"), "0");
            assert!(exists(DEVICE));
            // The same where it was never up, and of one that was made.
            with_host(on_device(), async |_| {});
            assert!(exists(DEVICE));
            sh(&format!("ip link del {DEVICE}"));
            with_host(on_device(), async |_| assert!(exists(DEVICE)));
            assert!(!exists(DEVICE));
            assert_eq!(setting(HOST, "ipv4/conf/{}/arp_announce"), "0");
        },
    );
}

#[test]
fn the_device_of_another_process_that_lives_is_left_as_it_is_until_that_dies() {
    in_namespaces(
        "macvlan_holders::the_device_of_another_process_that_lives_is_left_as_it_is_until_that_dies",
        |_| {
            let living = Fence::new(Options::default()).unwrap();
            sh(&format!(
                "ip link add {DEVICE} link {HOST} address 00:00:5e:00:01:33 type macvlan mode bridge"
            ));
            mark(DEVICE, living.number());
            for address in ["10.99.0.99/32", "10.99.0.100/32"] {
                sh(&format!("ip addr add {address} dev {DEVICE}"));
            }
            // An address of the kernel's own would be another one when the detection of duplicates is over.
            sh(&format!("ip link set {DEVICE} addrgenmode none"));
            sh(&format!("ip link set {DEVICE} up"));
            let before = details(DEVICE);
            with_host(on_device(), async |host| {
                host.enqueue(ROUTER, Command::Install);
                for _ in 0..2 {
                    let failed = |event: &HostEvent| matches!(event, HostEvent::Failed { .. });
                    let HostEvent::Failed { error, .. } = event(host, "Failed", failed).await
                    else {
                        unreachable!()
                    };
                    let said = error.to_string();
                    assert!(said.contains("of another process that runs"), "{said}");
                }
                removed(host).await;
            });
            assert_eq!(before, details(DEVICE));
            with_host(on_device(), async |host| {
                drop(living);
                let some = |event: &HostEvent| {
                    matches!(
                        event,
                        HostEvent::PrimaryAddress {
                            address: Some(_),
                            ..
                        }
                    )
                };
                event(host, "an address to send from", some).await;
                assert!(!is_up(DEVICE), "{}", details(DEVICE));
                install(host).await;
                assert!(is_up(DEVICE) && !details(DEVICE).contains("10.99.0.99"));
            });
            assert!(!exists(DEVICE));
        },
    );
}

#[test]
fn a_name_that_is_taken_keeps_the_router_out_until_it_is_free() {
    in_namespaces(
        "macvlan_holders::a_name_that_is_taken_keeps_the_router_out_until_it_is_free",
        |_| {
            sh(&format!("ip link add {DEVICE} type bridge"));
            with_host(on_device(), async |host| {
                let failed = event(host, "Failed", |event| {
                    matches!(event, HostEvent::Failed { .. })
                })
                .await;
                let HostEvent::Failed { error, .. } = failed else {
                    unreachable!()
                };
                let said = error.to_string();
                assert!(
                    said.contains("no macvlan of 00:00:5e:00:01:33 on vip0"),
                    "{said}"
                );
                let none = |event: &HostEvent| {
                    matches!(event, HostEvent::PrimaryAddress { address: None, .. })
                };
                event(host, "nothing to send from", none).await;
                assert!(details(DEVICE).contains("bridge"), "left alone");
                sh(&format!("ip link del {DEVICE}"));
                let some = |event: &HostEvent| {
                    matches!(
                        event,
                        HostEvent::PrimaryAddress {
                            address: Some(_),
                            ..
                        }
                    )
                };
                event(host, "an address to send from", some).await;
                install(host).await;
            });
        },
    );
}

#[test]
fn a_device_that_somebody_removes_comes_back_and_so_does_its_parent() {
    in_namespaces(
        "macvlan_holders::a_device_that_somebody_removes_comes_back_and_so_does_its_parent",
        |peer| {
            with_host(on_device(), async |host| {
                sh(&format!("ip link del {DEVICE}"));
                until(PATIENCE, "the device of a Backup", || exists(DEVICE));
                install(host).await;
                sh(&format!("ip link del {DEVICE}"));
                event(host, "AddressGone", |event| {
                    matches!(event, HostEvent::AddressGone { .. })
                })
                .await;
                install(host).await;
                assert_eq!(answers(peer, VIP), [VMAC], "bound to the new device");

                sh(&format!("ip link del {HOST}"));
                event(host, "LinkGone", |event| {
                    matches!(event, HostEvent::LinkGone { .. })
                })
                .await;
                removed(host).await;
                assert!(!exists(DEVICE));
                peer.plug();
                event(host, "LinkUp", |event| {
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                install(host).await;
                assert!(details(DEVICE).contains("10.99.0.100/32"));
            });
        },
    );
}

#[test]
fn the_device_of_a_keepalived_that_runs_is_left_as_it_is_until_that_has_gone() {
    in_namespaces(
        "macvlan_holders::the_device_of_a_keepalived_that_runs_is_left_as_it_is_until_that_has_gone",
        |_| {
            // As keepalived has it: no mark, up as a Backup too, adverts heard on the device itself.
            sh(&format!(
                "ip link add {DEVICE} link {HOST} address 00:00:5e:00:01:33 type macvlan mode private"
            ));
            sh(&format!("ip link set {DEVICE} up"));
            sh(&format!("ip addr add 10.99.0.100/32 dev {DEVICE}"));
            let index = interface_index(DEVICE);
            let group = &[MULTICAST_V4.into()];
            let listens =
                AdvertReceiver::new(DEVICE, index, Family::Ipv4, PROTOCOL_VRRP, group).unwrap();
            let before = details(DEVICE);
            with_host(on_device(), async |host| {
                host.enqueue(ROUTER, Command::Install);
                let failed = |event: &HostEvent| matches!(event, HostEvent::Failed { .. });
                let HostEvent::Failed { error, .. } = event(host, "Failed", failed).await else {
                    unreachable!()
                };
                let said = error.to_string();
                assert!(said.contains("of another process that runs"), "{said}");
                removed(host).await;
                assert_eq!(before, details(DEVICE));
                drop(listens);
                let some = |event: &HostEvent| {
                    matches!(
                        event,
                        HostEvent::PrimaryAddress {
                            address: Some(_),
                            ..
                        }
                    )
                };
                event(host, "an address to send from", some).await;
                assert!(!is_up(DEVICE), "{}", details(DEVICE));
                install(host).await;
                assert!(is_up(DEVICE));
            });
        },
    );
}

#[test]
fn a_router_that_leaves_while_it_lacks_its_device_keeps_nobody_busy() {
    in_namespaces(
        "macvlan_holders::a_router_that_leaves_while_it_lacks_its_device_keeps_nobody_busy",
        |_| {
            // Another device has the name.
            sh(&format!("ip link add {DEVICE} type veth peer name other0"));
            with_host(on_device(), async |host| {
                let failed = |event: &HostEvent| matches!(event, HostEvent::Failed { .. });
                event(host, "Failed", failed).await;
                host.dismiss(ROUTER);
                event(host, "Dismissed", |event| {
                    matches!(event, HostEvent::Dismissed { .. })
                })
                .await;
                let used = || {
                    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
                    Duration::try_from(time).unwrap()
                };
                // Longer than until the next try.
                let before = used();
                tokio::time::sleep(Duration::from_millis(1500)).await;
                let busy = used() - before;
                println!("{busy:?} of work in 1.5 s");
                assert!(busy < Duration::from_millis(100), "{busy:?}");
            });
        },
    );
}

#[test]
fn a_device_that_is_removed_each_time_is_made_with_pauses_and_told() {
    in_namespaces(
        "macvlan_holders::a_device_that_is_removed_each_time_is_made_with_pauses_and_told",
        |_| {
            with_host(on_device(), async |host| {
                let mut removed = 0;
                let start = std::time::Instant::now();
                let mut told = Vec::new();
                while start.elapsed() < Duration::from_millis(2500) {
                    if exists(DEVICE) {
                        sh(&format!("ip link del {DEVICE}"));
                        removed += 1;
                    }
                    while let Some(event) = host.poll_event() {
                        if let HostEvent::Failed { error, .. } = event {
                            told.push(error.to_string());
                        }
                    }
                }
                println!("removed {removed} times: {told:#?}");
                assert!((5..=8).contains(&removed), "{removed}");
                let said = |error: &String| error.contains("removes vrrp.51 again and again");
                assert!(told.iter().any(said), "{told:#?}");
                // Left alone, it is there again with the next turn.
                until(PATIENCE * 2, "the device", || exists(DEVICE));
            });
        },
    );
}
