//! Adverts and announcements on a real wire, seen from the other end.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::support::{
    HOST, HOST_ADDRESS, HOST_MAC, PEER, PEER_ADDRESS, Peer, VIP, in_namespaces, interface_index,
    sh, until,
};
use vip_netlink::advert_socket::{
    AdvertReceiver, AdvertSender, Arrived, PROTOCOL_AH, PROTOCOL_VRRP, SKIPPED,
};
use vip_netlink::announce::gratuitous_arp;
use vip_netlink::packet_socket::PacketSocket;
use vrrp_proto::{Advertisement, Envelope, Family, MULTICAST_V4, MULTICAST_V6};

const PATIENCE: Duration = Duration::from_secs(2);
pub(crate) const GROUP: IpAddr = IpAddr::V4(MULTICAST_V4);
pub(crate) const GROUP6: IpAddr = IpAddr::V6(MULTICAST_V6);
/// keepalived's v2 advert of VRID 51, priority 100, 10.99.0.100, and its header.
pub(crate) const ADVERT: &str = "21336401000170030a6300640000000000000000";
const HEADER: &str = "45c0002800010000ff70d02e0a630001e0000012";
/// keepalived's whole packet with AH, multicast.
pub(crate) const AUTHENTIC: &str = "45c0004000010000ff33d0530a630001e0000012700400000a63000100000001691a6d6c6f6008c36f0c3a9d213d640102016df90a6300640000000000000000";

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn receiver(
    peer: &Peer,
    family: Family,
    protocol: u8,
    groups: &[IpAddr],
) -> AdvertReceiver {
    peer.run(|| AdvertReceiver::new(PEER, peer.index, family, protocol, groups).unwrap())
}

pub(crate) fn sender(family: Family) -> AdvertSender {
    if family == Family::Ipv6 {
        // Whatever source the header names, the kernel sends only where the interface has one that
        // is no longer under detection of duplicates.
        sh("ip -6 addr replace fe80::a/64 dev vip0 nodad");
    }
    AdvertSender::new(HOST, interface_index(HOST), family).unwrap()
}

pub(crate) fn arrived(receiver: &AdvertReceiver) -> (Arrived, Vec<u8>) {
    let mut buffer = [0; 2048];
    let mut got = None;
    until(PATIENCE, "an advert", || {
        got = receiver.receive(&mut buffer).unwrap();
        got.is_some()
    });
    let arrived = got.unwrap();
    (arrived, buffer[..arrived.length].to_vec())
}

#[test]
fn a_multicast_advert_is_keepalived_s_to_the_last_byte() {
    in_namespaces(
        "adverts::a_multicast_advert_is_keepalived_s_to_the_last_byte",
        |peer| {
            let mut sender = sender(Family::Ipv4);
            let heard = receiver(peer, Family::Ipv4, PROTOCOL_VRRP, &[GROUP]);
            let sniffer = peer.sniffer();
            let envelope = Envelope::multicast(HOST_ADDRESS.into());
            sender.send(&envelope, &bytes(ADVERT)).unwrap();
            let (advert, message) = arrived(&heard);
            assert_eq!(advert.envelope, envelope);
            assert_eq!(message, bytes(ADVERT));
            let frame = sniffer
                .next(PATIENCE, |frame| frame.get(23) == Some(&112))
                .unwrap();
            assert_eq!(frame[..6], [1, 0, 0x5e, 0, 0, 0x12]);
            assert_eq!(frame[14..], [bytes(HEADER), bytes(ADVERT)].concat());
        },
    );
}

#[test]
fn an_authenticated_packet_arrives_with_its_header_and_only_where_it_should() {
    in_namespaces(
        "adverts::an_authenticated_packet_arrives_with_its_header_and_only_where_it_should",
        |peer| {
            let sender = sender(Family::Ipv4);
            let plain = receiver(peer, Family::Ipv4, PROTOCOL_VRRP, &[GROUP]);
            let authentic = receiver(peer, Family::Ipv4, PROTOCOL_AH, &[GROUP]);
            sender.send_packet(&bytes(AUTHENTIC)).unwrap();
            let (advert, packet) = arrived(&authentic);
            assert_eq!(advert.envelope, Envelope::multicast(HOST_ADDRESS.into()));
            assert_eq!(packet, bytes(AUTHENTIC));
            assert_eq!(plain.receive(&mut [0; 2048]).unwrap(), None);
        },
    );
}

/// keepalived's v3 advert over IPv6: VRID 52, priority 100, fe80::52 and 2001:db8::100.
const ADVERT6: &str =
    "3134640200643fa1fe80000000000000000000000000005220010db8000000000000000000000100";
/// Where it came from.
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0xa);

#[test]
fn an_advert_over_ipv6_arrives_with_all_that_its_header_said() {
    in_namespaces(
        "adverts::an_advert_over_ipv6_arrives_with_all_that_its_header_said",
        |peer| {
            let mut sender = sender(Family::Ipv6);
            let heard = receiver(peer, Family::Ipv6, PROTOCOL_VRRP, &[GROUP6]);
            let sniffer = peer.sniffer();
            let envelope = Envelope::multicast(HOST6.into());
            sender.send(&envelope, &bytes(ADVERT6)).unwrap();
            let (advert, message) = arrived(&heard);
            assert_eq!(advert.envelope, envelope);
            assert_eq!(message, bytes(ADVERT6));
            Advertisement::parse(&message, &advert.envelope).unwrap();
            let frame = sniffer
                .next(PATIENCE, |frame| frame.get(20) == Some(&112))
                .unwrap();
            assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 0x12]);
            assert_eq!(frame[14..22], [0x6c, 0, 0, 0, 0, 40, 112, 255]);
            assert_eq!(frame[54..], bytes(ADVERT6));
        },
    );
}

#[test]
fn a_unicast_advert_arrives_without_a_group() {
    in_namespaces(
        "adverts::a_unicast_advert_arrives_without_a_group",
        |peer| {
            let peer6: Ipv6Addr = "fe80::b".parse().unwrap();
            peer.run(|| sh("ip -6 addr add fe80::b/64 dev peer0 nodad"));
            // The kernel asks for the peer's hardware address from an address of the interface.
            sh("ip -6 addr add fe80::a/64 dev vip0 nodad");
            let cases: [(Family, IpAddr, IpAddr); 2] = [
                (Family::Ipv4, HOST_ADDRESS.into(), PEER_ADDRESS.into()),
                (Family::Ipv6, HOST6.into(), peer6.into()),
            ];
            for (family, source, destination) in cases {
                let mut sender = sender(family);
                let heard = receiver(peer, family, PROTOCOL_VRRP, &[]);
                let unicast = Envelope {
                    source,
                    destination,
                    hop_limit: 64,
                };
                // The group was not joined: only the second arrives.
                sender
                    .send(&Envelope::multicast(source), &bytes(ADVERT))
                    .unwrap();
                sender.send(&unicast, &bytes(ADVERT)).unwrap();
                assert_eq!(arrived(&heard).0.envelope, unicast);
                assert_eq!(heard.receive(&mut [0; 2048]).unwrap(), None);
            }
        },
    );
}

#[test]
fn packets_to_skip_do_not_hide_what_waits_behind_them() {
    in_namespaces(
        "adverts::packets_to_skip_do_not_hide_what_waits_behind_them",
        |peer| {
            let cases: [(Family, IpAddr, IpAddr); 2] = [
                (Family::Ipv4, GROUP, HOST_ADDRESS.into()),
                (Family::Ipv6, GROUP6, HOST6.into()),
            ];
            for (family, group, source) in cases {
                let mut sender = sender(family);
                let heard = receiver(peer, family, PROTOCOL_VRRP, &[group]);
                let envelope = Envelope::multicast(source);
                // Longer than the buffer below.
                for _ in 0..SKIPPED {
                    sender.send(&envelope, &[0; 100]).unwrap();
                }
                sender.send(&envelope, &bytes(ADVERT)).unwrap();
                let mut buffer = [0; 64];
                let error = heard.receive(&mut buffer).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
                assert_eq!(arrived(&heard).0.envelope, envelope);
            }
        },
    );
}

#[test]
fn our_own_multicast_does_not_come_back() {
    in_namespaces("adverts::our_own_multicast_does_not_come_back", |peer| {
        let index = interface_index(HOST);
        let cases: [(Family, IpAddr, IpAddr); 2] = [
            (Family::Ipv4, GROUP, HOST_ADDRESS.into()),
            (Family::Ipv6, GROUP6, HOST6.into()),
        ];
        for (family, group, source) in cases {
            let own = AdvertReceiver::new(HOST, index, family, PROTOCOL_VRRP, &[group]).unwrap();
            let heard = receiver(peer, family, PROTOCOL_VRRP, &[group]);
            sender(family)
                .send(&Envelope::multicast(source), &bytes(ADVERT))
                .unwrap();
            arrived(&heard);
            assert_eq!(own.receive(&mut [0; 2048]).unwrap(), None);
        }
    });
}

#[test]
fn a_gratuitous_arp_is_golden_on_the_wire() {
    in_namespaces("adverts::a_gratuitous_arp_is_golden_on_the_wire", |peer| {
        let sniffer = peer.sniffer();
        let socket = PacketSocket::new().unwrap();
        socket
            .send(interface_index(HOST), &gratuitous_arp(HOST_MAC, VIP))
            .unwrap();
        let frame = sniffer
            .next(PATIENCE, |frame| frame[12..14] == [8, 6])
            .unwrap();
        assert_eq!(
            frame,
            bytes(
                "ffffffffffff02000000000a0806000108000604000102000000000a0a630064ffffffffffff0a630064"
            )
        );
    });
}

#[test]
fn a_missing_interface_is_named() {
    in_namespaces("adverts::a_missing_interface_is_named", |_| {
        for family in [Family::Ipv4, Family::Ipv6] {
            let error = AdvertSender::new("eth77", 77, family).unwrap_err();
            assert_eq!(error.to_string(), "interface eth77 does not exist");
            let error = AdvertReceiver::new("eth77", 77, family, PROTOCOL_VRRP, &[]).unwrap_err();
            assert_eq!(error.to_string(), "interface eth77 does not exist");
        }
    });
}

#[test]
fn what_a_full_socket_lost_last_is_known_although_nothing_came_after_it() {
    in_namespaces(
        "adverts::what_a_full_socket_lost_last_is_known_although_nothing_came_after_it",
        |peer| {
            let receiver = receiver(peer, Family::Ipv4, PROTOCOL_VRRP, &[GROUP]);
            let mut sender = sender(Family::Ipv4);
            let envelope = Envelope {
                source: HOST_ADDRESS.into(),
                destination: GROUP,
                hop_limit: 255,
            };
            let mut send = || sender.send(&envelope, &bytes(ADVERT)).unwrap();
            send();
            arrived(&receiver);
            assert!(receiver.lost_nothing().unwrap());
            // More than there is room for.
            receiver.make_room(4096).unwrap();
            (0..200).for_each(|_| send());
            until(PATIENCE, "a loss", || !receiver.lost_nothing().unwrap());
            let mut buffer = [0; 2048];
            while receiver.receive(&mut buffer).unwrap().is_some() {}
            assert!(
                !receiver.lost_nothing().unwrap(),
                "nobody was told of it yet"
            );
            send();
            arrived(&receiver);
            // The kernel tells of it with what comes next, to who receives many.
            let mut batch = vip_netlink::advert_socket::Batch::default();
            until(PATIENCE, "the kernel tells", || {
                send();
                receiver.receive_many(&mut batch).unwrap();
                receiver.overflows() > 0 && receiver.lost_nothing().unwrap()
            });
        },
    );
}
