//! What else happens to addresses and interfaces, and is followed: duplicates, lost notifications, other names, late
//! addresses.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use vip_netlink::fence::{Fence, Options};
use vip_netlink::pace::Pacing;
use vip_netlink::plan::Vip;
use vip_netlink::{HostOptions, HostRouter, LinuxHost};
use vrrp_fsm::driver::{Command, Host, HostEvent};

use crate::burst::{Changer, starving};
use crate::host::{ADVERT, PATIENCE, ROUTER, VIP_32, advert, event, install, router, with_host};
use crate::support::{
    HOST, HOST_ADDRESS, HOST_MAC, PEER, PEER_ADDRESS, VIP, configured, in_namespaces,
    interface_index, is_advertisement, output, sh, until,
};

/// All addresses as the kernel dumps them; Debian's `ip` does not show their marks.
fn addresses() -> Vec<AddressMessage> {
    let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut request = NetlinkMessage::from(request);
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.finalize();
    let mut datagram = vec![0; request.buffer_len()];
    request.serialize(&mut datagram);
    socket.send(&datagram, 0).unwrap();
    let mut found = Vec::new();
    loop {
        let mut buffer = vec![0; 65_536];
        let length = socket.recv(&mut &mut buffer[..], 0).unwrap();
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).unwrap();
            let taken = usize::try_from(message.header.length).unwrap();
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => {
                    found.push(address);
                }
                _ => return found,
            }
            rest = rest.get(taken.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Whose address that is.
fn mark(address: impl Into<IpAddr>) -> Option<AddressProtocol> {
    let local = AddressAttribute::Local(address.into());
    let all = addresses();
    let mut all = all.iter();
    let found = all.find(|one| one.attributes.contains(&local))?;
    found.attributes.iter().find_map(|one| match one {
        AddressAttribute::Protocol(mark) => Some(*mark),
        _ => None,
    })
}

#[test]
fn our_addresses_carry_our_mark_and_never_become_a_source() {
    in_namespaces(
        "followed::our_addresses_carry_our_mark_and_never_become_a_source",
        |_| {
            const OURS: Option<AddressProtocol> = Some(AddressProtocol::Other(18));
            with_host(router(Some(Duration::from_secs(3))), async |host| {
                install(host).await;
                assert_eq!(mark(VIP), OURS);
                assert_ne!(mark(HOST_ADDRESS), OURS);
                let way = output(&format!("ip route get {PEER_ADDRESS}"));
                assert!(way.contains(&format!("src {HOST_ADDRESS}")), "{way}");
                // Another program's word on it lasts until the next refresh.
                sh(&format!(
                    "ip addr change {VIP_32} dev {HOST} valid_lft forever preferred_lft forever"
                ));
                let leased = || {
                    let shown = output(&format!("ip addr show dev {HOST} to {VIP_32}"));
                    !shown.contains("valid_lft forever")
                };
                assert!(!leased());
                until(PATIENCE, "the lease, and the mark", || {
                    advert(host, &ADVERT).unwrap();
                    leased() && mark(VIP) == OURS
                });
            });
        },
    );
}

const SIXTH: &str = "2001:db8::100";

/// A router with an IPv6 address that looks for others of its kind.
fn careful(lifetime: Option<Duration>) -> HostRouter {
    let mut router = router(lifetime);
    let mut vip = Vip::host(SIXTH.parse().unwrap());
    vip.flags.detect_duplicates = true;
    router.addresses.push(vip);
    router
}

#[test]
fn an_address_that_another_host_has_is_told_and_tried_until_it_is_free() {
    in_namespaces(
        "followed::an_address_that_another_host_has_is_told_and_tried_until_it_is_free",
        |peer| {
            for lifetime in [Some(Duration::from_secs(30)), None] {
                sh("sysctl -qw net.ipv6.neigh.vip0.retrans_time_ms=100");
                peer.run(|| sh(&format!("ip addr add {SIXTH}/128 dev {PEER} nodad")));
                with_host(careful(lifetime), async |host| {
                    let sniffer = peer.sniffer();
                    let announced = |patience| {
                        let ours = |frame: &[u8]| {
                            frame[6..12] == HOST_MAC
                                && is_advertisement(frame, SIXTH.parse().unwrap())
                        };
                        sniffer.next(patience, ours).is_some()
                    };
                    host.enqueue(ROUTER, Command::Install);
                    host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                    for _ in 0..2 {
                        let failed = event(host, "a duplicate", |event| {
                            matches!(event, HostEvent::Failed { .. })
                        })
                        .await;
                        let HostEvent::Failed { error, .. } = failed else {
                            unreachable!()
                        };
                        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
                        assert!(error.to_string().contains(SIXTH), "{error}");
                    }
                    // The other address is not held back.
                    assert!(configured(HOST, VIP_32));
                    assert!(
                        !announced(Duration::from_millis(50)),
                        "it is the other host's"
                    );
                    peer.run(|| sh(&format!("ip addr del {SIXTH}/128 dev {PEER}")));
                    event(host, "Installed", |event| {
                        assert!(!matches!(event, HostEvent::AddressGone { .. }));
                        matches!(event, HostEvent::Installed { .. })
                    })
                    .await;
                    let shown = output(&format!("ip -6 addr show dev {HOST}"));
                    assert!(shown.contains(SIXTH), "{shown}");
                    assert!(!shown.contains("tentative"), "{shown}");
                    assert!(announced(PATIENCE), "only now it is announced");
                });
            }
        },
    );
}

#[test]
fn lost_notifications_make_the_host_look_anew() {
    in_namespaces(
        "followed::lost_notifications_make_the_host_look_anew",
        |_| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let options = HostOptions {
                    room: 2304,
                    ..HostOptions::default()
                };
                let mut host = LinuxHost::new(vec![router(None)], options).unwrap();
                install(&mut host).await;
                // A burst of changes of others', with the loss of ours among them.
                let mut changer = Changer::new();
                let mut losses = 0;
                for round in 0..5 {
                    changer.noise(200).remove(interface_index(HOST), VIP);
                    changer.noise(200);
                    starving(|| changer.send());
                    let start = Instant::now();
                    event(&mut host, "AddressGone", |event| {
                        losses += u32::from(matches!(event, HostEvent::NotificationsLost { .. }));
                        matches!(event, HostEvent::AddressGone { .. })
                    })
                    .await;
                    install(&mut host).await;
                    assert!(configured(HOST, VIP_32));
                    println!("round {round}: back {:?} after the burst", start.elapsed());
                }
                assert!(losses > 0, "nothing was lost");
            });
        },
    );
}

#[test]
fn another_name_and_a_late_address_are_followed() {
    in_namespaces(
        "followed::another_name_and_a_late_address_are_followed",
        |_| {
            sh(&format!("ip addr del {HOST_ADDRESS}/24 dev {HOST}"));
            with_host(router(None), async |host| {
                let told = async |host: &mut LinuxHost, wanted: Option<IpAddr>| {
                    event(host, "the primary address", |event| {
                    matches!(event, HostEvent::PrimaryAddress { address, .. } if *address == wanted)
                })
                .await;
                };
                let gone = async |host: &mut LinuxHost| {
                    event(host, "LinkGone", |event| {
                        matches!(event, HostEvent::LinkGone { .. })
                    })
                    .await;
                };
                told(host, None).await;
                // As a DHCP client's.
                sh(&format!("ip addr add {HOST_ADDRESS}/24 dev {HOST}"));
                told(host, Some(HOST_ADDRESS.into())).await;
                install(host).await;
                advert(host, &ADVERT).unwrap();
                sh(&format!("ip link set {HOST} down"));
                sh(&format!("ip link set {HOST} name other0"));
                gone(host).await;
                assert!(
                    advert(host, &ADVERT).is_err(),
                    "no socket on another's interface"
                );
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                // A card of its own takes the name, then the first one gets it back.
                sh(&format!("ip link add {HOST} type veth peer name spare0"));
                sh(&format!("ip link del {HOST}"));
                sh(&format!("ip link set other0 name {HOST}"));
                sh(&format!("ip link set {HOST} up"));
                event(host, "LinkUp", |event| {
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                install(host).await;
                assert!(configured(HOST, VIP_32));
                advert(host, &ADVERT).unwrap();
            });
        },
    );
}

#[test]
fn other_addresses_survive_a_virtual_one_that_was_the_first_of_its_subnet() {
    in_namespaces(
        "followed::other_addresses_survive_a_virtual_one_that_was_the_first_of_its_subnet",
        |_| {
            const SETTING: &str = "sysctl -n net.ipv4.conf.vip0.promote_secondaries";
            sh("sysctl -qw net.ipv4.conf.vip0.promote_secondaries=0");
            let mut router = router(None);
            router.promote_secondaries = true;
            router.addresses = vec![Vip::host("10.60.0.100".parse().unwrap()).with_prefix(24)];
            with_host(router, async |host| {
                install(host).await;
                assert_eq!(output(SETTING), "1\n");
                sh(&format!("ip addr add 10.60.0.5/24 dev {HOST}"));
                host.enqueue(ROUTER, Command::Remove);
                event(host, "Removed", |event| {
                    matches!(event, HostEvent::Removed { .. })
                })
                .await;
                assert!(!configured(HOST, "10.60.0.100/24"));
                assert!(configured(HOST, "10.60.0.5/24"));
                for (on, setting) in [(false, "0\n"), (true, "1\n")] {
                    host.promote_secondaries(ROUTER, on);
                    until(PATIENCE, "the setting", || output(SETTING) == setting);
                }
            });
            assert_eq!(output(SETTING), "0\n", "as it was before");
            assert!(!output("ip link show dev vip0").contains("altname"));
        },
    );
}

#[test]
fn a_setting_that_a_dead_process_changed_is_put_back_by_the_next_start() {
    in_namespaces(
        "followed::a_setting_that_a_dead_process_changed_is_put_back_by_the_next_start",
        |_| {
            const SETTING: &str = "sysctl -n net.ipv4.conf.vip0.promote_secondaries";
            let noted = || output("ip link show dev vip0").contains("altname vip-netlink");
            let set = |on: bool| {
                let value = u8::from(on);
                sh(&format!(
                    "sysctl -qw net.ipv4.conf.vip0.promote_secondaries={value}"
                ));
            };
            let mut promoting = router(None);
            promoting.promote_secondaries = true;
            for (living, asks) in [(false, true), (false, false), (true, true), (true, false)] {
                let fence = living.then(|| Fence::new(Options::default()).unwrap());
                let holder = fence.as_ref().map_or(4_000_000_000, Fence::number);
                set(true);
                let name = format!("vip-netlink.promote_secondaries.{holder}");
                sh(&format!("ip link property add dev vip0 altname {name}"));
                let mine = if asks {
                    promoting.clone()
                } else {
                    router(None)
                };
                with_host(mine, async |host| {
                    install(host).await;
                    let expected = if living || asks { "1\n" } else { "0\n" };
                    assert_eq!(output(SETTING), expected, "{living} {asks}");
                    assert_eq!(noted(), living || asks);
                });
                // The living one puts it back itself.
                let expected = if living { "1\n" } else { "0\n" };
                assert_eq!(output(SETTING), expected, "{living} {asks}");
                assert_eq!(noted(), living);
                if living {
                    sh(&format!("ip link property del dev vip0 altname {name}"));
                }
            }
            // What was so before, and is noted by nobody, stays.
            set(true);
            with_host(promoting, async |host| {
                install(host).await;
                assert!(!noted());
            });
            assert_eq!(output(SETTING), "1\n");
        },
    );
}

#[test]
fn what_waits_for_its_turn_is_not_announced_once_more_for_each_reminder() {
    in_namespaces(
        "followed::what_waits_for_its_turn_is_not_announced_once_more_for_each_reminder",
        |peer| {
            const PACE: Duration = Duration::from_millis(50);
            with_host(router(None), async |host| {
                host.pace(Pacing {
                    arp: PACE,
                    ..Pacing::default()
                });
                let sniffer = peer.sniffer();
                install(host).await;
                host.enqueue(ROUTER, Command::Announce { repeat: 4 });
                (0..50).for_each(|_| host.enqueue(ROUTER, Command::Announce { repeat: 1 }));
                let arp = |frame: &[u8]| frame[12..14] == [8, 6];
                sniffer.next(PATIENCE, arp).unwrap();
                let more = std::iter::from_fn(|| sniffer.next(PACE * 3, arp)).count();
                // Should the four be over before the last reminder comes, that one counts.
                assert!(more < 10, "{more} more");
            });
        },
    );
}

#[test]
fn addresses_are_announced_again_when_the_carrier_returns() {
    in_namespaces(
        "followed::addresses_are_announced_again_when_the_carrier_returns",
        |peer| {
            with_host(router(None), async |host| {
                install(host).await;
                host.enqueue(ROUTER, Command::Announce { repeat: 3 });
                // A reminder is no new count.
                host.enqueue(ROUTER, Command::Announce { repeat: 1 });
                for _ in 0..2 {
                    peer.run(|| sh(&format!("ip link set {PEER} down")));
                    event(host, "LinkDown", |event| {
                        matches!(event, HostEvent::LinkDown { .. })
                    })
                    .await;
                    let sniffer = peer.sniffer();
                    peer.run(|| sh(&format!("ip link set {PEER} up")));
                    let garp =
                        |frame: &[u8]| frame[12..14] == [8, 6] && frame[28..32] == VIP.octets();
                    for _ in 0..3 {
                        assert!(sniffer.next(PATIENCE, garp).is_some());
                    }
                }
            });
        },
    );
}

#[test]
fn an_interface_without_sockets_stays_down_until_they_can_be_opened() {
    in_namespaces(
        "followed::an_interface_without_sockets_stays_down_until_they_can_be_opened",
        |peer| {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            with_host(router(None), async |host| {
                event(host, "LinkUp", |event| {
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                sh(&format!("ip link del {HOST}"));
                event(host, "LinkGone", |event| {
                    matches!(event, HostEvent::LinkGone { .. })
                })
                .await;
                let mut plugger = peer.plugger();
                let before = getrlimit(Resource::Nofile);
                let none = Rlimit {
                    current: Some(3),
                    ..before
                };
                setrlimit(Resource::Nofile, none).unwrap();
                std::io::Write::write_all(plugger.stdin.as_mut().unwrap(), b"\n").unwrap();
                assert!(plugger.wait().unwrap().success());
                for _ in 0..2 {
                    let failed = event(host, "a socket that is refused", |event| {
                        assert!(!matches!(event, HostEvent::LinkUp { .. }), "deaf");
                        matches!(event, HostEvent::Failed { .. })
                    })
                    .await;
                    let HostEvent::Failed { error, .. } = failed else {
                        unreachable!()
                    };
                    assert!(error.to_string().contains("socket"), "{error}");
                    event(host, "LinkDown", |event| {
                        assert!(!matches!(event, HostEvent::LinkUp { .. }), "deaf");
                        matches!(event, HostEvent::LinkDown { .. })
                    })
                    .await;
                }
                setrlimit(Resource::Nofile, before).unwrap();
                peer.run(|| sh(&format!("ip link set {PEER} up")));
                event(host, "the primary address", |event| {
                    matches!(event, HostEvent::PrimaryAddress { address, .. } if address.is_some())
                })
                .await;
                event(host, "LinkUp", |event| {
                    matches!(event, HostEvent::LinkUp { .. })
                })
                .await;
                advert(host, &ADVERT).unwrap();
            });
        },
    );
}
