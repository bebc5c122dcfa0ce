//! Leases of addresses: how long they last with adverts, without, and without their speaker.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use crate::host::{ADVERT, PATIENCE, ROUTER, VIP_32, advert, event, install, router, with_host};
use crate::support::{HOST, HOST_ADDRESS, VIP, configured, in_namespaces, sh, until};
use crate::{ipv6, macvlan};
use vip_netlink::advert_socket::PROTOCOL_VRRP;
use vip_netlink::lease::Lease;
use vip_netlink::plan::Vip;
use vip_netlink::{HostOptions, HostRouter, LinuxHost};
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, Host, HostEvent};
use vrrp_proto::Envelope;

const HOLDER: &str = "VIP_NETLINK_TEST_SPEAKER";

#[test]
fn a_lease_lasts_as_long_as_adverts_are_sent() {
    in_namespaces("leases::a_lease_lasts_as_long_as_adverts_are_sent", |_| {
        with_host(router(Some(Duration::from_secs(2))), async |host| {
            install(host).await;
            let start = Instant::now();
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            while start.elapsed() < Duration::from_secs(4) {
                ticks.tick().await;
                advert(host, &ADVERT).unwrap();
                assert!(configured(HOST, VIP_32), "gone after {:?}", start.elapsed());
            }
            let last = Instant::now();
            let gone = event(host, "LeaseExpired", |event| {
                matches!(event, HostEvent::LeaseExpired { .. })
            })
            .await;
            assert!(matches!(gone, HostEvent::LeaseExpired { router: ROUTER }));
            println!(
                "lease of 2 s: gone {:?} after the last advert",
                last.elapsed()
            );
            // The kernel looks after lifetimes once a second, and a lease has whole seconds.
            assert!(last.elapsed() < PATIENCE);
            assert!(!configured(HOST, VIP_32));
            // A late advert brings nothing back; a new election does.
            advert(host, &ADVERT).unwrap();
            assert!(!configured(HOST, VIP_32));
            install(host).await;
            assert!(configured(HOST, VIP_32));
        });
    });
}

/// A reload of other intervals: the next advert may come later than the old lease would end.
#[test]
fn another_lifetime_begins_when_it_is_asked_for() {
    in_namespaces(
        "leases::another_lifetime_begins_when_it_is_asked_for",
        |_| {
            with_host(router(Some(Duration::from_secs(2))), async |host| {
                install(host).await;
                let slow = Duration::from_secs(5);
                let times = (Some(Lease::lifetime(slow)), Lease::hold(slow, 3));
                host.readdress(ROUTER, router(None).addresses, times, 1);
                let gone = event(host, "the old lease's end", |event| {
                    matches!(
                        event,
                        HostEvent::LeaseExpired { .. } | HostEvent::AddressLapsed { .. }
                    )
                });
                let old = Duration::from_millis(3500);
                assert!(tokio::time::timeout(old, gone).await.is_err());
                advert(host, &ADVERT).unwrap();
                assert!(configured(HOST, VIP_32));
            });
        },
    );
}

#[test]
fn a_renewal_that_came_after_that_of_a_router_which_goes_is_not_lost() {
    const STAYS: RouterId = RouterId::new(1);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 101);
    in_namespaces(
        "leases::a_renewal_that_came_after_that_of_a_router_which_goes_is_not_lost",
        |_| {
            let goes = router(Some(Duration::from_secs(2)));
            let stays = HostRouter {
                id: STAYS,
                addresses: vec![Vip::host(ADDRESS.into())],
                ..router(goes.lifetime)
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut host = LinuxHost::new(vec![goes, stays], HostOptions::default()).unwrap();
                host.enqueue(STAYS, Command::Install);
                let start = Instant::now();
                let mut ticks = tokio::time::interval(Duration::from_millis(480));
                while start.elapsed() < Duration::from_secs(5) {
                    install(&mut host).await;
                    ticks.tick().await;
                    // The first of the two is not there any more when the worker gets to its renewal.
                    let envelope = Envelope::multicast(HOST_ADDRESS.into());
                    for router in [ROUTER, STAYS] {
                        host.send(router, PROTOCOL_VRRP, &envelope, &ADVERT)
                            .unwrap();
                    }
                    host.flush();
                    host.enqueue(ROUTER, Command::Remove);
                    event(&mut host, "Removed", |event| {
                        assert!(!matches!(event, HostEvent::LeaseExpired { router: STAYS }));
                        matches!(event, HostEvent::Removed { .. })
                    })
                    .await;
                    assert!(
                        configured(HOST, "10.99.0.101/32"),
                        "gone after {:?}",
                        start.elapsed()
                    );
                }
            });
        },
    );
}

#[test]
fn a_speaker_that_stood_still_sends_nothing_before_it_knows() {
    in_namespaces(
        "leases::a_speaker_that_stood_still_sends_nothing_before_it_knows",
        |peer| {
            with_host(router(Some(Duration::from_secs(2))), async |host| {
                install(host).await;
                while host.poll_event().is_some() {}
                // Standing still: the runtime is not polled until the kernel took the address away.
                until(PATIENCE, "the kernel ends the lease", || {
                    !configured(HOST, VIP_32)
                });
                let sniffer = peer.sniffer();
                assert_eq!(
                    advert(host, &ADVERT).unwrap_err().kind(),
                    std::io::ErrorKind::TimedOut
                );
                assert!(matches!(
                    host.poll_event(),
                    Some(HostEvent::LeaseExpired { router: ROUTER })
                ));
                assert!(
                    sniffer
                        .next(Duration::from_millis(50), |frame| frame.get(23)
                            == Some(&112))
                        .is_none()
                );
                // Told once.
                install(host).await;
                while let Some(event) = host.poll_event() {
                    assert!(!matches!(event, HostEvent::LeaseExpired { .. }));
                }
            });
        },
    );
}

/// Not a test: the speaker that the next one kills.
#[test]
fn speaker() {
    let Ok(family) = std::env::var(HOLDER) else {
        return;
    };
    let mut router = router(Some(Duration::from_secs(2)));
    let (message, envelope): (&[u8], _) = if family == "IPv6" {
        router = ipv6::router(router.lifetime);
        (&ipv6::ADVERT, ipv6::envelope())
    } else {
        if family == "device" {
            router = macvlan::on_device();
        }
        (&ADVERT, Envelope::multicast(HOST_ADDRESS.into()))
    };
    with_host(router, async |host| {
        install(host).await;
        loop {
            host.send(ROUTER, PROTOCOL_VRRP, &envelope, message)
                .unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

pub(crate) fn start_speaker(family: &str) -> Child {
    Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "leases::speaker", "--nocapture"])
        .env(HOLDER, family)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn an_advert_that_waited_while_its_speaker_stood_still_is_never_sent() {
    in_namespaces(
        "leases::an_advert_that_waited_while_its_speaker_stood_still_is_never_sent",
        |peer| {
            with_host(router(Some(Duration::from_secs(2))), async |host| {
                install(host).await;
                while host.poll_event().is_some() {}
                let sniffer = peer.sniffer();
                let said = |patience| {
                    let is_advert = |frame: &[u8]| frame.get(23) == Some(&112);
                    sniffer.next(patience, is_advert).is_some()
                };
                queue(host);
                host.flush();
                assert!(said(PATIENCE));
                // It stands still between this advert and the end of its round.
                queue(host);
                until(PATIENCE, "the kernel ends the lease", || {
                    !configured(HOST, VIP_32)
                });
                host.flush();
                assert!(!said(Duration::from_millis(50)));
            });
        },
    );
}

/// An advert that waits for the end of the driver's round.
fn queue(host: &mut LinuxHost) {
    let envelope = Envelope::multicast(HOST_ADDRESS.into());
    host.send(ROUTER, PROTOCOL_VRRP, &envelope, &ADVERT)
        .unwrap();
}

#[test]
fn a_killed_speaker_is_silent_at_once_and_a_stopped_one_when_its_lease_ends() {
    in_namespaces(
        "leases::a_killed_speaker_is_silent_at_once_and_a_stopped_one_when_its_lease_ends",
        |peer| {
            for (family, address, configured_as) in [
                ("IPv4", IpAddr::from(VIP), VIP_32),
                ("IPv6", IpAddr::from(ipv6::VIP), ipv6::VIP_128),
            ] {
                let mut speaker = start_speaker(family);
                until(PATIENCE, "the address", || {
                    peer.arp_answers(address, Duration::from_millis(20))
                });
                let prober = peer.prober(address);
                let killed = Instant::now();
                speaker.kill().unwrap();
                let last = prober.last_answer(Duration::from_millis(200));
                println!("{family}, kill -9 of the speaker: last answer after {last:?}");
                // By the fence: the lease takes 2 s. A dying process may wait long for a busy processor.
                assert!(last < Duration::from_millis(500), "{last:?}");
                assert!(
                    configured(HOST, configured_as),
                    "silenced by the fence, not by the lease"
                );
                speaker.wait().unwrap();
                until(PATIENCE, "the lease takes the address too", || {
                    !configured(HOST, configured_as)
                });
                println!(
                    "{family}, kill -9: address gone after {:?}",
                    killed.elapsed()
                );

                let mut speaker = start_speaker(family);
                until(PATIENCE, "the address", || {
                    peer.arp_answers(address, Duration::from_millis(20))
                });
                sh(&format!("kill -STOP {}", speaker.id()));
                let last = prober.last_answer(Duration::from_millis(3500));
                println!("{family}, SIGSTOP of the speaker: last answer after {last:?}");
                assert!(last < Duration::from_millis(2600), "{last:?}");
                speaker.kill().unwrap();
                speaker.wait().unwrap();
            }
        },
    );
}
