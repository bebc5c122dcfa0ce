//! Virtual MAC addresses against a real kernel: who answers with which address, what is made, taken over and left.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::host::{ADVERT, PATIENCE, ROUTER, advert, event, install, router, with_host};
use crate::leases::start_speaker;
use crate::support::{
    HOST, HOST_ADDRESS, HOST_MAC, PEER_ADDRESS, Peer, VIP, in_namespaces, interface_index, output,
    sh, until,
};
use vip_netlink::advert_socket::FrameSender;
use vip_netlink::announce::{Mac, arp_request};
use vip_netlink::fence::Access;
use vip_netlink::link::{ArpSettings, Interface};
use vip_netlink::macvlan::{VirtualMac, alias, virtual_mac};
use vip_netlink::plan::Vip;
use vip_netlink::{HostRouter, Reminders};
use vrrp_fsm::driver::{Command, Host, HostEvent};
use vrrp_proto::{Envelope, Family, Vrid};

pub(crate) const DEVICE: &str = "vrrp.51";
const DEVICE_6: &str = "vrrp6.51";
pub(crate) const VMAC: Mac = [0, 0, 0x5e, 0, 1, 51];
const VMAC_6: Mac = [0, 0, 0x5e, 0, 2, 51];
const VIP_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100);

fn device(family: Family) -> VirtualMac {
    VirtualMac {
        name: match family {
            Family::Ipv4 => DEVICE,
            Family::Ipv6 => DEVICE_6,
        }
        .into(),
        parent: HOST.into(),
        mac: virtual_mac(Vrid::new(51).unwrap(), family),
    }
}

/// One router of IPv4 with a device, on which its address goes.
pub(crate) fn on_device() -> HostRouter {
    let mut router = router(Some(Duration::from_secs(3)));
    router.devices = vec![device(Family::Ipv4)];
    router.mac = Some(VMAC);
    for vip in &mut router.addresses {
        vip.device = Some(DEVICE.into());
    }
    router
}

/// The same for IPv6.
fn on_device_6() -> HostRouter {
    let vips = ["fe80::51".parse().unwrap(), IpAddr::from(VIP_6)];
    let vips = vips.map(|address| Vip::host(address).on(DEVICE_6));
    let interface = Interface::lookup(HOST).unwrap();
    let mut router = HostRouter::new(ROUTER, interface, vips.to_vec(), Duration::from_secs(1));
    router.family = Family::Ipv6;
    router.devices = vec![device(Family::Ipv6)];
    router.mac = Some(VMAC_6);
    router
}

pub(crate) fn details(device: &str) -> String {
    let [link, addresses] = ["link", "addr"].map(|what| format!("ip -d {what} show dev {device}"));
    output(&link) + &output(&addresses)
}

pub(crate) fn is_up(device: &str) -> bool {
    details(device).contains(",UP")
}

pub(crate) fn exists(device: &str) -> bool {
    !details(device).is_empty()
}

pub(crate) fn setting(device: &str, name: &str) -> String {
    let path = format!("/proc/sys/net/{}", name.replace("{}", device));
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// The hardware addresses that answer an ARP request for `address`, one for each answer.
pub(crate) fn answers(peer: &Peer, address: std::net::Ipv4Addr) -> Vec<Mac> {
    let sniffer = peer.sniffer();
    let request = arp_request(crate::support::PEER_MAC, PEER_ADDRESS, address);
    peer.run(|| {
        let socket = vip_netlink::packet_socket::PacketSocket::new().unwrap();
        socket.send(peer.index, &request).unwrap();
    });
    let mut found = Vec::new();
    let mut patience = PATIENCE;
    let is_answer = |frame: &[u8]| {
        frame[12..14] == [8, 6] && frame[20..22] == [0, 2] && frame[28..32] == address.octets()
    };
    while let Some(frame) = sniffer.next(patience, is_answer) {
        found.push(frame[22..28].try_into().unwrap());
        // A second answer follows the first at once, or not at all.
        patience = Duration::from_millis(100);
    }
    found
}

/// What a process with that number would have written on a device.
pub(crate) fn mark(name: &str, holder: u32) {
    let alias = alias(holder, ArpSettings::default());
    let mut ip = std::process::Command::new("ip");
    let status = ip.args(["link", "set", name, "alias", &alias]).status();
    assert!(status.unwrap().success());
}

pub(crate) async fn removed(host: &mut vip_netlink::LinuxHost) {
    host.enqueue(ROUTER, Command::Remove);
    event(host, "Removed", |event| {
        matches!(event, HostEvent::Removed { .. })
    })
    .await;
}

#[test]
fn an_address_lives_at_its_virtual_mac_and_nowhere_else() {
    in_namespaces(
        "macvlan::an_address_lives_at_its_virtual_mac_and_nowhere_else",
        |peer| {
            // The strictest that a host may have: replies leave by the parent all the same.
            std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv4/conf/default/arp_filter", "1").unwrap();
            let before: Vec<String> = ["arp_ignore", "arp_filter", "arp_announce"]
                .iter()
                .map(|name| setting(HOST, &format!("ipv4/conf/{{}}/{name}")))
                .collect();
            with_host(on_device(), async |host| {
                let found = details(DEVICE);
                assert!(found.contains("link/ether 00:00:5e:00:01:33"), "{found}");
                assert!(found.contains("macvlan mode bridge"), "{found}");
                assert!(found.contains("addrgenmode none"), "{found}");
                assert!(!is_up(DEVICE), "a Backup takes no frames: {found}");
                for (name, value) in [
                    ("ipv4/conf/{}/arp_ignore", "1"),
                    ("ipv4/conf/{}/arp_filter", "0"),
                    ("ipv4/conf/{}/rp_filter", "2"),
                    ("ipv4/conf/{}/promote_secondaries", "1"),
                    ("ipv6/conf/{}/accept_ra", "0"),
                    ("ipv6/conf/{}/autoconf", "0"),
                ] {
                    assert_eq!(setting(DEVICE, name), value, "{name}");
                }
                // The advert comes first, whatever the device is like.
                let sniffer = peer.sniffer();
                advert(host, &ADVERT).unwrap();
                let is_advert = |frame: &[u8]| frame[12..14] == [8, 0] && frame[23] == 112;
                let frame = sniffer.next(PATIENCE, is_advert).unwrap();
                assert_eq!(frame[..6], [0x01, 0, 0x5e, 0, 0, 18]);
                assert_eq!(frame[6..12], VMAC);
                assert_eq!(frame[26..30], HOST_ADDRESS.octets());

                install(host).await;
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                let arp = |frame: &[u8]| frame[12..14] == [8, 6] && frame[38..42] == VIP.octets();
                let announced = sniffer.next(PATIENCE, arp).unwrap();
                assert_eq!(
                    (&announced[6..12], &announced[22..28]),
                    (&VMAC[..], &VMAC[..])
                );
                assert!(is_up(DEVICE) && details(DEVICE).contains("10.99.0.100/32"));
                assert_eq!(answers(peer, VIP), [VMAC]);
                assert_eq!(answers(peer, HOST_ADDRESS), [HOST_MAC]);
                assert!(peer.ping(VIP.into(), PATIENCE));
                let lines = output("ip -o -6 addr show");
                assert!(!lines.contains(DEVICE), "no address of its own: {lines}");

                removed(host).await;
                assert!(!is_up(DEVICE), "{}", details(DEVICE));
                assert!(!details(DEVICE).contains("10.99.0.100"));
                install(host).await;
                assert_eq!(answers(peer, VIP), [VMAC]);
            });
            assert!(!exists(DEVICE), "{}", details(DEVICE));
            let after: Vec<String> = ["arp_ignore", "arp_filter", "arp_announce"]
                .iter()
                .map(|name| setting(HOST, &format!("ipv4/conf/{{}}/{name}")))
                .collect();
            assert_eq!(before, after, "the parent has what it had");
        },
    );
}

#[test]
fn over_ipv6_adverts_and_answers_come_from_the_virtual_mac() {
    in_namespaces(
        "macvlan::over_ipv6_adverts_and_answers_come_from_the_virtual_mac",
        |peer| {
            peer.run(|| sh("ip -6 addr add fd00::2/64 dev peer0 nodad"));
            sh(&format!("ip -6 addr add fd00::1/64 dev {HOST} nodad"));
            with_host(on_device_6(), async |host| {
                let found = event(host, "the address to send from", |event| {
                    matches!(
                        event,
                        HostEvent::PrimaryAddress {
                            address: Some(_),
                            ..
                        }
                    )
                })
                .await;
                let HostEvent::PrimaryAddress {
                    address: Some(source),
                    ..
                } = found
                else {
                    unreachable!()
                };
                assert_eq!(source.to_string(), "fe80::ff:fe00:a", "that of the parent");
                let sniffer = peer.sniffer();
                let envelope = Envelope::multicast(source);
                host.send(ROUTER, 112, &envelope, &[0x31, 51, 100, 1])
                    .unwrap();
                let is_advert = |frame: &[u8]| frame[12..14] == [0x86, 0xdd] && frame[20] == 112;
                let frame = sniffer.next(PATIENCE, is_advert).unwrap();
                assert_eq!(frame[..12], [[0x33, 0x33, 0, 0, 0, 18], VMAC_6].concat());
                install(host).await;
                assert!(peer.ping(VIP_6.into(), PATIENCE));
                let neighbours = peer.run(|| output("ip -6 neigh show"));
                assert!(
                    neighbours.contains("fd00::100 dev peer0 lladdr 00:00:5e:00:02:33"),
                    "{neighbours}"
                );
                removed(host).await;
                assert!(!is_up(DEVICE_6));
            });
        },
    );
}

#[test]
fn adverts_of_another_active_come_in_although_they_have_our_own_mac() {
    in_namespaces(
        "macvlan::adverts_of_another_active_come_in_although_they_have_our_own_mac",
        |peer| {
            with_host(on_device(), async |host| {
                install(host).await;
                peer.run(|| {
                    let mut rival = FrameSender::new(peer.index).unwrap();
                    for mac in [VMAC, crate::support::PEER_MAC] {
                        let envelope = Envelope::multicast(PEER_ADDRESS.into());
                        rival.send(mac, &envelope, &ADVERT).unwrap();
                    }
                });
                let mut heard = 0;
                until(PATIENCE, "both adverts", || {
                    heard += usize::from(host.recv(&mut [0; 2048]).unwrap().is_some());
                    heard == 2
                });
                // Our own are not heard, and each of the others once.
                advert(host, &ADVERT).unwrap();
                assert!(peer.ping(VIP.into(), PATIENCE));
                assert_eq!(host.recv(&mut [0; 2048]).unwrap(), None);
            });
        },
    );
}

#[test]
fn the_fence_closes_on_the_device_too_and_a_successor_takes_it_over() {
    in_namespaces(
        "macvlan::the_fence_closes_on_the_device_too_and_a_successor_takes_it_over",
        |peer| {
            let mut speaker = start_speaker("device");
            until(PATIENCE, "the address answers", || {
                peer.arp_answers(VIP, Duration::from_millis(20))
            });
            assert!(peer.ping(VIP.into(), PATIENCE));
            let index = interface_index(DEVICE);
            let prober = peer.prober(VIP);
            speaker.kill().unwrap();
            let last = prober.last_answer(Duration::from_millis(300));
            println!("kill -9 of the speaker: last answer after {last:?}");
            // How long it takes to die is a matter of what else the machine does.
            speaker.wait().unwrap();
            let prober = peer.prober(VIP);
            assert_eq!(
                prober.last_answer(Duration::from_millis(100)),
                Duration::ZERO
            );
            assert!(is_up(DEVICE), "the device is there, and silent");
            assert!(!peer.ping(VIP.into(), Duration::from_millis(100)));
            with_host(on_device(), async |host| {
                assert_eq!(interface_index(DEVICE), index);
                assert!(!is_up(DEVICE) && !details(DEVICE).contains("10.99.0.100"));
                install(host).await;
                assert_eq!(answers(peer, VIP), [VMAC]);
            });
        },
    );
}

#[test]
fn an_address_of_a_device_that_takes_no_packets_is_found_all_the_same() {
    in_namespaces(
        "macvlan::an_address_of_a_device_that_takes_no_packets_is_found_all_the_same",
        |peer| {
            let mut router = on_device();
            router.access = Access::Neighbours;
            with_host(router, async |host| {
                install(host).await;
                assert_eq!(answers(peer, VIP), [VMAC]);
                assert!(!peer.ping(VIP.into(), Duration::from_millis(200)));
            });
        },
    );
}

#[test]
fn a_device_that_adverts_do_not_come_from_reminds_its_neighbours() {
    in_namespaces(
        "macvlan::a_device_that_adverts_do_not_come_from_reminds_its_neighbours",
        |peer| {
            const OFTEN: Duration = Duration::from_millis(100);
            let announced = |sniffer: &crate::support::Sniffer, patience| {
                let arp = |frame: &[u8]| frame[12..14] == [8, 6] && frame[28..32] == VIP.octets();
                sniffer.next(patience, arp)
            };
            let mut router = on_device();
            router.reminders = Some(Reminders {
                interval: OFTEN,
                all: false,
            });
            with_host(router.clone(), async |host| {
                let sniffer = peer.sniffer();
                install(host).await;
                assert!(announced(&sniffer, OFTEN * 3).is_none(), "adverts do");
            });
            router.mac = None;
            with_host(router, async |host| {
                let sniffer = peer.sniffer();
                install(host).await;
                for _ in 0..3 {
                    let frame = announced(&sniffer, PATIENCE).unwrap();
                    assert_eq!(frame[6..12], VMAC);
                }
            });
        },
    );
}

#[test]
fn the_host_asks_for_neighbours_under_its_own_address_and_a_crash_leaves_no_setting() {
    in_namespaces(
        "macvlan::the_host_asks_for_neighbours_under_its_own_address_and_a_crash_leaves_no_setting",
        |peer| {
            const ANNOUNCE: &str = "ipv4/conf/{}/arp_announce";
            // As after a crash: a device that nobody wants any more, and its parent's setting.
            sh(&format!(
                "ip link add vrrp.60 link {HOST} address 00:00:5e:00:01:3c type macvlan mode bridge"
            ));
            mark("vrrp.60", 4_000_000_000);
            std::fs::write("/proc/sys/net/ipv4/conf/vip0/arp_announce", "2").unwrap();
            with_host(router(None), async |_| {
                assert_eq!(setting(HOST, ANNOUNCE), "0");
            });
            with_host(on_device(), async |host| {
                install(host).await;
                assert_eq!(setting(HOST, ANNOUNCE), "2");
                let sniffer = peer.sniffer();
                // To answer this the host has to ask who the peer is.
                sh("ip neigh flush all");
                peer.run(|| {
                    sh(&format!(
                        "ip neigh replace {VIP} lladdr 00:00:5e:00:01:33 dev peer0 nud permanent"
                    ));
                });
                assert!(peer.ping(VIP.into(), PATIENCE));
                let asks = |frame: &[u8]| {
                    frame[12..14] == [8, 6] && frame[38..42] == PEER_ADDRESS.octets()
                };
                let question = sniffer.next(PATIENCE, asks).unwrap();
                assert_eq!(question[22..28], HOST_MAC);
                assert_eq!(question[28..32], HOST_ADDRESS.octets());
            });
            assert_eq!(setting(HOST, ANNOUNCE), "0");
        },
    );
}
