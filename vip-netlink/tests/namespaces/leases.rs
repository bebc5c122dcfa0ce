//! Leases of addresses: how long they last with adverts, without, and without their speaker.

use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use crate::host::{ADVERT, PATIENCE, ROUTER, VIP_32, advert, event, install, router, with_host};
use crate::support::{HOST, VIP, configured, in_namespaces, sh, until};
use vrrp_fsm::driver::{Host, HostEvent};

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
            assert!(last.elapsed() < Duration::from_millis(2600));
            assert!(!configured(HOST, VIP_32));
            // A late advert brings nothing back; a new election does.
            advert(host, &ADVERT).unwrap();
            assert!(!configured(HOST, VIP_32));
            install(host).await;
            assert!(configured(HOST, VIP_32));
        });
    });
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
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    with_host(router(Some(Duration::from_secs(2))), async |host| {
        install(host).await;
        println!("\nspeaking");
        loop {
            advert(host, &ADVERT).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

fn start_speaker() -> Child {
    Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "leases::speaker", "--nocapture"])
        .env(HOLDER, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_speaker_is_silent_at_once_and_a_stopped_one_when_its_lease_ends() {
    in_namespaces(
        "leases::a_killed_speaker_is_silent_at_once_and_a_stopped_one_when_its_lease_ends",
        |peer| {
            let mut speaker = start_speaker();
            until(PATIENCE, "the address", || {
                peer.arp_answers(VIP, Duration::from_millis(20))
            });
            let prober = peer.prober(VIP);
            let killed = Instant::now();
            speaker.kill().unwrap();
            let last = prober.last_answer(Duration::from_millis(200));
            println!("kill -9 of the speaker: last ARP answer after {last:?}");
            // By the fence: the lease takes 2 s. A dying process may wait long for a busy processor.
            assert!(last < Duration::from_millis(500), "{last:?}");
            assert!(
                configured(HOST, VIP_32),
                "silenced by the fence, not by the lease"
            );
            speaker.wait().unwrap();
            until(PATIENCE, "the lease takes the address too", || {
                !configured(HOST, VIP_32)
            });
            println!("kill -9: address gone after {:?}", killed.elapsed());

            let mut speaker = start_speaker();
            until(PATIENCE, "the address", || {
                peer.arp_answers(VIP, Duration::from_millis(20))
            });
            sh(&format!("kill -STOP {}", speaker.id()));
            let last = prober.last_answer(Duration::from_millis(3500));
            println!("SIGSTOP of the speaker: last ARP answer after {last:?}");
            assert!(last < Duration::from_millis(2600), "{last:?}");
            speaker.kill().unwrap();
            speaker.wait().unwrap();
        },
    );
}
