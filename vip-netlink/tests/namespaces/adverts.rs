//! Adverts and announcements on a real wire, seen from the other end.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::support::{
    HOST, HOST_ADDRESS, HOST_MAC, PEER, PEER_ADDRESS, Peer, VIP, in_namespaces, interface_index,
    until,
};
use vip_netlink::advert_socket::{
    AdvertReceiver, AdvertSender, Arrived, PROTOCOL_AH, PROTOCOL_VRRP, SKIPPED,
};
use vip_netlink::announce::gratuitous_arp;
use vip_netlink::packet_socket::PacketSocket;
use vrrp_proto::{Envelope, MULTICAST_V4};

const PATIENCE: Duration = Duration::from_secs(2);
/// keepalived's v2 advert of VRID 51, priority 100, 10.99.0.100, and its header.
const ADVERT: &str = "21336401000170030a6300640000000000000000";
const HEADER: &str = "45c0002800010000ff70d02e0a630001e0000012";
/// keepalived's whole packet with AH, multicast.
const AUTHENTIC: &str = "45c0004000010000ff33d0530a630001e0000012700400000a63000100000001691a6d6c6f6008c36f0c3a9d213d640102016df90a6300640000000000000000";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn receiver(peer: &Peer, protocol: u8, groups: &[Ipv4Addr]) -> AdvertReceiver {
    peer.run(|| AdvertReceiver::new(PEER, peer.index, protocol, groups).unwrap())
}

fn arrived(receiver: &AdvertReceiver, own: &[IpAddr]) -> (Arrived, Vec<u8>) {
    let mut buffer = [0; 2048];
    let mut got = None;
    until(PATIENCE, "an advert", || {
        got = receiver.receive(&mut buffer, own).unwrap();
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
            let mut sender = AdvertSender::new(HOST, interface_index(HOST)).unwrap();
            let heard = receiver(peer, PROTOCOL_VRRP, &[MULTICAST_V4]);
            let sniffer = peer.sniffer();
            let envelope = Envelope::multicast(HOST_ADDRESS.into());
            sender.send(&envelope, &bytes(ADVERT)).unwrap();
            let (advert, message) = arrived(&heard, &[]);
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
            let sender = AdvertSender::new(HOST, interface_index(HOST)).unwrap();
            let plain = receiver(peer, PROTOCOL_VRRP, &[MULTICAST_V4]);
            let authentic = receiver(peer, PROTOCOL_AH, &[MULTICAST_V4]);
            sender.send_packet(&bytes(AUTHENTIC)).unwrap();
            let (advert, packet) = arrived(&authentic, &[]);
            assert_eq!(advert.envelope, Envelope::multicast(HOST_ADDRESS.into()));
            assert_eq!(packet, bytes(AUTHENTIC));
            assert_eq!(plain.receive(&mut [0; 2048], &[]).unwrap(), None);
        },
    );
}

#[test]
fn a_unicast_advert_arrives_without_a_group_and_an_own_one_does_not() {
    in_namespaces(
        "adverts::a_unicast_advert_arrives_without_a_group_and_an_own_one_does_not",
        |peer| {
            let mut sender = AdvertSender::new(HOST, interface_index(HOST)).unwrap();
            let heard = receiver(peer, PROTOCOL_VRRP, &[]);
            let multicast = Envelope::multicast(HOST_ADDRESS.into());
            let unicast = |source: Ipv4Addr, hop_limit| Envelope {
                source: source.into(),
                destination: PEER_ADDRESS.into(),
                hop_limit,
            };
            sender.send(&multicast, &bytes(ADVERT)).unwrap();
            let own: IpAddr = Ipv4Addr::new(10, 99, 0, 7).into();
            sender
                .send(&unicast(Ipv4Addr::new(10, 99, 0, 7), 255), &bytes(ADVERT))
                .unwrap();
            sender
                .send(&unicast(HOST_ADDRESS, 64), &bytes(ADVERT))
                .unwrap();
            // The group was not joined, and 10.99.0.7 is said to be ours: only the third arrives.
            let (advert, _) = arrived(&heard, &[own]);
            assert_eq!(advert.envelope, unicast(HOST_ADDRESS, 64));
            assert_eq!(heard.receive(&mut [0; 2048], &[]).unwrap(), None);
        },
    );
}

#[test]
fn packets_to_skip_do_not_hide_what_waits_behind_them() {
    in_namespaces(
        "adverts::packets_to_skip_do_not_hide_what_waits_behind_them",
        |peer| {
            let mut sender = AdvertSender::new(HOST, interface_index(HOST)).unwrap();
            let heard = receiver(peer, PROTOCOL_VRRP, &[MULTICAST_V4]);
            let own = IpAddr::from([10, 99, 0, 7]);
            for _ in 0..SKIPPED {
                sender
                    .send(&Envelope::multicast(own), &bytes(ADVERT))
                    .unwrap();
            }
            let envelope = Envelope::multicast(HOST_ADDRESS.into());
            sender.send(&envelope, &bytes(ADVERT)).unwrap();
            let error = heard.receive(&mut [0; 2048], &[own]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
            assert_eq!(arrived(&heard, &[own]).0.envelope, envelope);
        },
    );
}

#[test]
fn our_own_multicast_does_not_come_back() {
    in_namespaces("adverts::our_own_multicast_does_not_come_back", |peer| {
        let index = interface_index(HOST);
        let mut sender = AdvertSender::new(HOST, index).unwrap();
        let own = AdvertReceiver::new(HOST, index, PROTOCOL_VRRP, &[MULTICAST_V4]).unwrap();
        let heard = receiver(peer, PROTOCOL_VRRP, &[MULTICAST_V4]);
        sender
            .send(&Envelope::multicast(HOST_ADDRESS.into()), &bytes(ADVERT))
            .unwrap();
        arrived(&heard, &[]);
        assert_eq!(own.receive(&mut [0; 2048], &[]).unwrap(), None);
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
        let error = AdvertSender::new("eth77", 77).unwrap_err();
        assert_eq!(error.to_string(), "interface eth77 does not exist");
        let error = AdvertReceiver::new("eth77", 77, PROTOCOL_VRRP, &[MULTICAST_V4]).unwrap_err();
        assert_eq!(error.to_string(), "interface eth77 does not exist");
    });
}
