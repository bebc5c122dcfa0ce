//! `LinuxHost` with adverts over IPv6: which address they leave from, what neighbours are told, and
//! addresses of both families beside each other.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::host::{PATIENCE, ROUTER, event, install, with_host};
use crate::support::{
    HOST, HOST_ADDRESS, Peer, Sniffer, configured, in_namespaces, is_advertisement, sh, until,
};
use vip_netlink::advert_socket::PROTOCOL_VRRP;
use vip_netlink::link::Interface;
use vip_netlink::plan::Vip;
use vip_netlink::{HostOptions, HostRouter, LinuxHost};
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, Host, HostEvent};
use vrrp_proto::Envelope;

/// The link-local address that the kernel gives to [`HOST`], after a detection of duplicates.
const AUTOMATIC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0xa);
const LINK_LOCAL_VIP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x52);
pub(crate) const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);
pub(crate) const VIP_128: &str = "2001:db8::100/128";
/// keepalived's, VRID 52, priority 100.
pub(crate) const ADVERT: [u8; 40] = [
    0x31, 0x34, 0x64, 0x02, 0x00, 0x64, 0x3f, 0xa1, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0x52, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
];

pub(crate) fn envelope() -> Envelope {
    Envelope::multicast(AUTOMATIC.into())
}

pub(crate) fn router(lifetime: Option<Duration>) -> HostRouter {
    let interface = Interface::lookup(HOST).unwrap();
    let addresses = [LINK_LOCAL_VIP, VIP].map(|address| Vip::host(address.into()));
    let mut router = HostRouter::new(ROUTER, interface, addresses.into(), Duration::from_secs(1));
    router.lifetime = lifetime;
    router
}

/// Waits until that is told to be the address to send from. The kernel tells of a new IPv6 address
/// later than of one that goes, so there may be none in between.
async fn primary(host: &mut LinuxHost, expected: Option<&str>) {
    let expected = expected.map(|address| address.parse().unwrap());
    event(
        host,
        "PrimaryAddress",
        |event| matches!(event, HostEvent::PrimaryAddress { address, .. } if *address == expected),
    )
    .await;
}

#[test]
fn adverts_leave_from_a_link_local_address_once_it_is_known_to_be_unique() {
    in_namespaces(
        "ipv6::adverts_leave_from_a_link_local_address_once_it_is_known_to_be_unique",
        |_| {
            // What a predecessor left behind is no address to send from.
            sh(&format!(
                "ip -6 addr add {LINK_LOCAL_VIP}/64 dev {HOST} nodad"
            ));
            with_host(router(None), async |host| {
                primary(host, Some("fe80::ff:fe00:a")).await;
                sh(&format!("ip -6 addr add fe80::7/64 dev {HOST} nodad"));
                sh(&format!("ip -6 addr del {AUTOMATIC}/64 dev {HOST}"));
                primary(host, Some("fe80::7")).await;
                sh(&format!("ip -6 addr del fe80::7/64 dev {HOST}"));
                primary(host, None).await;
                // Detection begins, and ends well.
                sh(&format!("ip -6 addr add fe80::8/64 dev {HOST}"));
                primary(host, Some("fe80::8")).await;
            });
        },
    );
}

/// The kernel joins the group of an address's solicitations a moment after it has added the address.
fn until_answered(peer: &Peer, address: Ipv6Addr) {
    until(PATIENCE, "an answer", || {
        peer.arp_answers(address, Duration::from_millis(20))
    });
}

/// The flags of the next advertisement of `address`, whose form is checked.
fn advertised(sniffer: &Sniffer, address: Ipv6Addr) -> u8 {
    let frame = sniffer
        .next(PATIENCE, |frame| is_advertisement(frame, address))
        .unwrap();
    assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(frame[21], 255, "hop limit");
    assert_eq!(frame[22..38], address.octets(), "source");
    frame[58]
}

#[test]
fn neighbours_are_told_of_addresses_that_answer_at_once() {
    in_namespaces(
        "ipv6::neighbours_are_told_of_addresses_that_answer_at_once",
        |peer| {
            with_host(router(Some(Duration::from_secs(3))), async |host| {
                let sniffer = peer.sniffer();
                host.enqueue(ROUTER, Command::Install);
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                event(host, "Installed", |event| {
                    matches!(event, HostEvent::Installed { .. })
                })
                .await;
                assert!(configured(HOST, "fe80::52/128") && configured(HOST, VIP_128));
                // No detection of duplicates that would hold them back.
                until_answered(peer, VIP);
                until_answered(peer, LINK_LOCAL_VIP);
                let sniffed = |address| advertised(&sniffer, address);
                assert_eq!([LINK_LOCAL_VIP, VIP].map(sniffed), [0x20, 0x20], "O");
                sh(&format!("sysctl -qw net.ipv6.conf.{HOST}.forwarding=1"));
                let sniffer = peer.sniffer();
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                assert_eq!(advertised(&sniffer, VIP), 0xa0, "R and O");

                host.send(ROUTER, PROTOCOL_VRRP, &envelope(), &ADVERT)
                    .unwrap();
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert!(!configured(HOST, "fe80::52/128") && !configured(HOST, VIP_128));
                assert!(!peer.arp_answers(VIP, Duration::from_millis(50)));
            });
        },
    );
}

#[test]
fn a_router_that_lives_through_the_loss_of_its_link_gets_its_addresses_back() {
    in_namespaces(
        "ipv6::a_router_that_lives_through_the_loss_of_its_link_gets_its_addresses_back",
        |_| {
            with_host(router(None), async |host| {
                install(host).await;
                sh(&format!("ip link set {HOST} down"));
                assert!(!configured(HOST, VIP_128), "the kernel takes them");
                sh(&format!("ip link set {HOST} up"));
                for _ in 0..2 {
                    event(host, "AddressGone", |event| {
                        matches!(event, HostEvent::AddressGone { .. })
                    })
                    .await;
                }
                install(host).await;
                assert!(configured(HOST, VIP_128) && configured(HOST, "fe80::52/128"));
            });
        },
    );
}

/// Two routers on a runtime as a driver's, both up.
fn with_both(second: HostRouter, body: impl AsyncFnOnce(&mut LinuxHost)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let routers = vec![router(None), second];
        let mut host = LinuxHost::new(routers, HostOptions::default()).unwrap();
        for id in [ROUTER, SECOND] {
            host.enqueue(id, Command::Install);
            event(
                &mut host,
                "Installed",
                |event| matches!(event, HostEvent::Installed { router } if *router == id),
            )
            .await;
        }
        body(&mut host).await;
    });
}

const SECOND: RouterId = RouterId::new(1);

#[test]
fn routers_of_both_families_speak_on_one_interface() {
    in_namespaces(
        "ipv6::routers_of_both_families_speak_on_one_interface",
        |peer| {
            let mut fourth = crate::host::router(None);
            fourth.id = SECOND;
            // Installed and not advertised, so it may be of the other family.
            let excluded: Ipv6Addr = "2001:db8::200".parse().unwrap();
            fourth.addresses.push(Vip::host(excluded.into()));
            with_both(fourth, async |host| {
                let sniffer = peer.sniffer();
                host.send(ROUTER, PROTOCOL_VRRP, &envelope(), &ADVERT)
                    .unwrap();
                let fourth = Envelope::multicast(HOST_ADDRESS.into());
                host.send(SECOND, PROTOCOL_VRRP, &fourth, &crate::host::ADVERT)
                    .unwrap();
                let next = |at: usize| sniffer.next(PATIENCE, |frame| frame.get(at) == Some(&112));
                assert_eq!(next(20).unwrap()[54..], ADVERT);
                assert_eq!(next(23).unwrap()[34..46], crate::host::ADVERT);
                until_answered(peer, excluded);
            });
        },
    );
}

#[test]
fn an_address_on_two_links_stays_open_on_one_when_it_leaves_the_other() {
    in_namespaces(
        "ipv6::an_address_on_two_links_stays_open_on_one_when_it_leaves_the_other",
        |peer| {
            sh("ip link add vip8 type veth peer name vip9");
            let mut second = router(None);
            second.id = SECOND;
            second.interface = Interface::lookup("vip8").unwrap();
            second.addresses.truncate(1);
            with_both(second, async |host| {
                assert!(configured("vip8", "fe80::52/128"));
                host.enqueue(SECOND, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert!(!configured("vip8", "fe80::52/128"));
                until_answered(peer, LINK_LOCAL_VIP);
            });
        },
    );
}
