//! What arrives at a receive socket: in batches, through the kernel's filter, of which group and interface; and what
//! becomes of what is sent to nobody.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::adverts::{ADVERT, AUTHENTIC, GROUP, GROUP6, HOST6, arrived, bytes, receiver, sender};
use crate::host::{ROUTER, advert, event, router, with_host, with_options};
use crate::support::{
    HOST, HOST_ADDRESS, PEER, PEER_ADDRESS, in_namespaces, interface_index, sh, until,
};
use vip_netlink::HostOptions;
use vip_netlink::advert_socket::{
    AdvertReceiver, AdvertSender, Batch, Fill, PROTOCOL_AH, PROTOCOL_VRRP,
};
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Host, HostEvent};
use vrrp_proto::{Envelope, Family, MULTICAST_V4};

const PATIENCE: Duration = Duration::from_secs(2);
/// Where the VRID stands in a packet with an Authentication Header.
const VRID_BEHIND_AH: usize = 20 + 24 + 1;

/// Everything that waits, once `last` has arrived; how many calls it took.
fn all(heard: &AdvertReceiver, last: &[u8]) -> (Vec<Vec<u8>>, u32) {
    let mut batch = Batch::default();
    let mut buffer = [0; 2048];
    let (mut found, mut calls) = (Vec::new(), 0);
    until(PATIENCE, "the last one", || {
        let fill = heard.receive_many(&mut batch).unwrap();
        calls += 1;
        while let Some(arrived) = batch.next(&mut buffer) {
            found.push(buffer[..arrived.length].to_vec());
        }
        assert!(batch.is_empty());
        fill == Fill::Drained && found.last().is_some_and(|one| one == last)
    });
    (found, calls)
}

fn advert_of(vrid: u8) -> Vec<u8> {
    let mut advert = bytes(ADVERT);
    advert[1] = vrid;
    advert
}

#[test]
fn a_burst_is_received_in_its_order_in_a_few_calls() {
    in_namespaces(
        "sockets::a_burst_is_received_in_its_order_in_a_few_calls",
        |peer| {
            // What a socket of the usual size has room for.
            const BURST: u8 = 120;
            sh(&format!("ip link set {HOST} mtu 9000"));
            peer.run(|| sh(&format!("ip link set {PEER} mtu 9000")));
            let cases: [(Family, IpAddr, IpAddr); 2] = [
                (Family::Ipv4, GROUP, HOST_ADDRESS.into()),
                (Family::Ipv6, GROUP6, HOST6.into()),
            ];
            for (family, group, source) in cases {
                let mut sender = sender(family);
                let heard = receiver(peer, family, PROTOCOL_VRRP, &[group]);
                let envelope = Envelope::multicast(source);
                for vrid in 1..=BURST {
                    sender.send(&envelope, &advert_of(vrid)).unwrap();
                    if vrid % 50 == 0 {
                        // No advert: longer than the room for one.
                        sender.send(&envelope, &[0; 8000]).unwrap();
                    }
                }
                let (found, calls) = all(&heard, &advert_of(BURST));
                println!("{} adverts in {calls} calls", found.len());
                let expected: Vec<_> = (1..=BURST).map(advert_of).collect();
                assert_eq!(found, expected);
                assert!(calls <= u32::from(BURST) / 16, "{calls}");
                let mut batch = Batch::default();
                assert_eq!(heard.receive_many(&mut batch).unwrap(), Fill::Drained);
                assert_eq!(batch.next(&mut [0; 64]), None);
            }
        },
    );
}

#[test]
fn the_kernel_lets_our_vrids_through_and_no_others() {
    in_namespaces(
        "sockets::the_kernel_lets_our_vrids_through_and_no_others",
        |peer| {
            const OURS: [u8; 3] = [7, 51, 254];
            let cases: [(Family, u8, IpAddr, IpAddr); 3] = [
                (Family::Ipv4, PROTOCOL_VRRP, GROUP, HOST_ADDRESS.into()),
                (Family::Ipv4, PROTOCOL_AH, GROUP, HOST_ADDRESS.into()),
                (Family::Ipv6, PROTOCOL_VRRP, GROUP6, HOST6.into()),
            ];
            for (family, protocol, group, source) in cases {
                let mut sender = sender(family);
                let heard = receiver(peer, family, protocol, &[group]);
                let of = |vrid: u8| match protocol {
                    PROTOCOL_AH => {
                        let mut packet = bytes(AUTHENTIC);
                        packet[VRID_BEHIND_AH] = vrid;
                        packet
                    }
                    _ => advert_of(vrid),
                };
                let vrid = |packet: &Vec<u8>| match protocol {
                    PROTOCOL_AH => packet[VRID_BEHIND_AH],
                    _ => packet[1],
                };
                let mut send_all = || {
                    for number in 1..=254 {
                        match protocol {
                            PROTOCOL_AH => sender.send_packet(&of(number)),
                            _ => sender.send(&Envelope::multicast(source), &of(number)),
                        }
                        .unwrap();
                    }
                };
                heard.admit_only(Some(&OURS)).unwrap();
                send_all();
                let (found, _) = all(&heard, &of(254));
                assert_eq!(found.iter().map(vrid).collect::<Vec<_>>(), OURS);
                heard.admit_only(None).unwrap();
                // Without a filter that is no failure.
                heard.admit_only(None).unwrap();
                send_all();
                let (found, _) = all(&heard, &of(254));
                assert_eq!(found.len(), 254);
                // All that there can be: the longest program.
                let every: Vec<u8> = (1..=255).collect();
                heard.admit_only(Some(&every)).unwrap();
                send_all();
                let (found, _) = all(&heard, &of(254));
                assert_eq!(found.len(), 254);
            }
        },
    );
}

#[test]
fn a_socket_hears_its_own_group_on_its_own_interface_whatever_others_have_joined() {
    in_namespaces(
        "sockets::a_socket_hears_its_own_group_on_its_own_interface_whatever_others_have_joined",
        |peer| {
            let other_group = Ipv4Addr::new(224, 0, 0, 77);
            peer.run(|| {
                sh("ip link add second0 type veth peer name second1");
                sh("ip link set second0 up");
                sh("ip link set second1 up");
            });
            let heard = receiver(peer, Family::Ipv4, PROTOCOL_VRRP, &[GROUP]);
            // On the same interface another group, on another interface the same one.
            let other = receiver(peer, Family::Ipv4, PROTOCOL_VRRP, &[other_group.into()]);
            let elsewhere = peer.run(|| {
                let index = interface_index("second0");
                AdvertReceiver::new("second0", index, Family::Ipv4, PROTOCOL_VRRP, &[GROUP])
                    .unwrap()
            });
            let mut sender = sender(Family::Ipv4);
            let to = |destination: IpAddr| Envelope {
                destination,
                ..Envelope::multicast(HOST_ADDRESS.into())
            };
            sender
                .send(&to(other_group.into()), &advert_of(77))
                .unwrap();
            sender.send(&to(GROUP), &advert_of(18)).unwrap();
            assert_eq!(arrived(&other).1, advert_of(77));
            assert_eq!(arrived(&heard).1, advert_of(18));
            for socket in [&heard, &other, &elsewhere] {
                assert_eq!(socket.receive(&mut [0; 2048]).unwrap(), None);
            }
        },
    );
}

#[test]
fn unicast_peers_that_are_not_there_keep_nothing_from_the_others() {
    in_namespaces(
        "sockets::unicast_peers_that_are_not_there_keep_nothing_from_the_others",
        |peer| {
            // A question for a neighbour fails after some milliseconds.
            for setting in ["mcast_solicit=1", "retrans_time_ms=5", "app_solicit=0"] {
                sh(&format!("sysctl -qw net.ipv4.neigh.{HOST}.{setting}"));
            }
            let mut sender = AdvertSender::new(HOST, interface_index(HOST), Family::Ipv4).unwrap();
            let to = |destination: IpAddr| Envelope {
                source: HOST_ADDRESS.into(),
                destination,
                hop_limit: 64,
            };
            // A host that hears no VRRP, one that does not exist, and one far away to which there is no route.
            let absent = [[10, 99, 0, 2], [10, 99, 0, 66], [203, 0, 113, 9]];
            let mut refused = 0;
            for _ in 0..50 {
                for peer in absent {
                    refused += u32::from(sender.send(&to(peer.into()), &advert_of(51)).is_err());
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            println!("{refused} of 150 refused");
            let heard = receiver(peer, Family::Ipv4, PROTOCOL_VRRP, &[GROUP]);
            sender
                .send(&to(PEER_ADDRESS.into()), &advert_of(52))
                .unwrap();
            assert_eq!(arrived(&heard).1, advert_of(52));
            sender
                .send(&Envelope::multicast(HOST_ADDRESS.into()), &advert_of(53))
                .unwrap();
            assert_eq!(arrived(&heard).1, advert_of(53));
        },
    );
}

#[test]
fn sockets_are_opened_and_closed_beside_the_driver() {
    in_namespaces(
        "sockets::sockets_are_opened_and_closed_beside_the_driver",
        |peer| {
            use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
            let mut other = router(None);
            other.id = RouterId::new(1);
            other.addresses.clear();
            other.authenticated = true;
            with_host(router(None), async |host| {
                event(host, "LinkUp", |event| {
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                // From now on this thread, and none but this, can open no raw socket.
                let mut held = capabilities(None).unwrap();
                held.effective.remove(CapabilitySet::NET_RAW);
                set_capabilities(None, held).unwrap();
                AdvertSender::new(HOST, interface_index(HOST), Family::Ipv4).unwrap_err();
                sh(&format!("ip link del {HOST}"));
                event(host, "LinkGone", |event| {
                    matches!(event, HostEvent::LinkGone { .. })
                })
                .await;
                peer.plug();
                event(host, "LinkUp", |event| {
                    assert!(!matches!(event, HostEvent::Failed { .. }), "{event:?}");
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                advert(host, &bytes(ADVERT)).unwrap();
                // Another protocol takes another socket; the last router takes all of them along.
                let open = || {
                    let raw = std::fs::read_to_string("/proc/self/net/raw").unwrap();
                    raw.lines().count() - 1
                };
                assert_eq!(open(), 2, "one hears and one speaks");
                host.admit(other);
                let open_soon = async |host: &mut vip_netlink::LinuxHost, expected: usize| {
                    let start = std::time::Instant::now();
                    while open() != expected {
                        assert!(start.elapsed() < PATIENCE, "{} sockets", open());
                        while host.poll_event().is_some() {}
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                open_soon(host, 3).await;
                host.dismiss(RouterId::new(1));
                host.dismiss(ROUTER);
                open_soon(host, 0).await;
            });
        },
    );
}

#[test]
fn adverts_for_which_there_was_no_room_are_told_with_the_interface() {
    in_namespaces(
        "sockets::adverts_for_which_there_was_no_room_are_told_with_the_interface",
        |peer| {
            with_options(router(None), HostOptions::default(), async |host| {
                event(host, "LinkUp", |event| {
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                let mut sender = peer
                    .run(|| AdvertSender::new(PEER, peer.index, Family::Ipv4))
                    .unwrap();
                let envelope = Envelope {
                    destination: MULTICAST_V4.into(),
                    ..Envelope::multicast(PEER_ADDRESS.into())
                };
                let mut flood = || {
                    for vrid in 1..=250 {
                        for _ in 0..10 {
                            sender.send(&envelope, &advert_of(vrid)).unwrap();
                        }
                    }
                };
                // What is lost is told with what comes after it.
                flood();
                while host.recv(&mut [0; 2048]).unwrap().is_some() {}
                flood();
                let told = event(host, "Overflowed", |event| {
                    matches!(event, HostEvent::Overflowed { .. })
                })
                .await;
                let HostEvent::Overflowed {
                    interface,
                    count,
                    room,
                } = told
                else {
                    unreachable!()
                };
                println!("{count} lost, {room} bytes of room");
                assert_eq!(interface, HOST);
                assert!(count > 100, "{count}");
                assert!((64 << 10..=4 << 20).contains(&room), "{room}");
                assert_eq!(host.overflows(), count);
            });
        },
    );
}
