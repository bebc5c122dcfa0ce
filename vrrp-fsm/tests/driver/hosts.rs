//! What a host could not do, and what it does late.

use std::{io, net::IpAddr, time::Duration};

use tokio::sync::mpsc;
use vrrp_fsm::{
    Attachment, FaultReason, RouterId, StateKind,
    driver::{Command, Control, HostEvent, Observation},
};
use vrrp_proto::Family;

use crate::{
    INTERVAL, PATIENCE, ROUTER,
    lan::{Lan, address, config, driver, node},
};

#[tokio::test]
async fn what_the_host_could_not_install_is_announced_when_it_could() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    lan.with(0, |port| port.refuses = true);
    node.becomes(StateKind::Active).await;
    let failed = async {
        loop {
            if let Some(Observation::HostFailed { command, error, .. }) = node.seen.recv().await {
                return (command, error.kind());
            }
        }
    };
    let failed = tokio::time::timeout(PATIENCE, failed).await.unwrap();
    assert_eq!(failed, (Command::Install, io::ErrorKind::PermissionDenied));
    // The host's own next try.
    lan.event(0, HostEvent::Installed { router: ROUTER });
    let again = async {
        let announced = |command: &&Command| matches!(command, Command::Announce { .. });
        while lan.commands(0).iter().filter(announced).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();

    // Another program's doing is undone; our own lease running out is not.
    let address = IpAddr::from([192, 0, 2, 100]);
    lan.event(
        0,
        HostEvent::AddressGone {
            router: ROUTER,
            address,
        },
    );
    let repaired = async {
        let installs = |command: &&Command| **command == Command::Install;
        while lan.commands(0).iter().filter(installs).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, repaired).await.unwrap();
    lan.event(0, HostEvent::LeaseExpired { router: ROUTER });
    let text = node.becomes(StateKind::Backup).await;
    assert!(
        text.contains("the lease of the addresses ran out"),
        "{text}"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_host_that_fails_again_and_again_is_told_of_at_powers_of_two() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    let failed = || HostEvent::Failed {
        router: ROUTER,
        command: Command::Install,
        error: io::ErrorKind::NotFound.into(),
    };
    (0..5).for_each(|_| lan.event(0, failed()));
    lan.event(0, HostEvent::Installed { router: ROUTER });
    lan.event(0, failed());
    let told = async {
        let mut counts = Vec::new();
        while counts.len() < 4 {
            if let Some(Observation::HostFailed { count, .. }) = node.seen.recv().await {
                counts.push(count);
            }
        }
        counts
    };
    assert_eq!(
        tokio::time::timeout(PATIENCE, told).await.unwrap(),
        [1, 2, 4, 1],
        "and anew once the addresses were in place"
    );
    node.stop().await;
}

#[tokio::test]
async fn one_that_joins_takes_no_part_before_the_host_hears_for_it() {
    let lan = Lan::default();
    let mut driver = driver(&lan, 100, vec![]);
    let (_control, mut commands) = mpsc::channel::<Control>(1);
    let silent = |_, _: Observation| {};
    // A good many intervals of the newcomer, in which it hears nobody.
    let time = INTERVAL * 6;
    let ran = tokio::time::timeout(time, driver.run_with(&mut commands, silent)).await;
    assert!(ran.is_err(), "it ended");
    let comer = RouterId::new(1);
    lan.with(0, |port| port.deaf = Some(comer));
    let id = driver.admit(Attachment::new(1, Family::Ipv4), config(52, 200), silent);
    assert_eq!(id.unwrap(), comer);
    let _ = tokio::time::timeout(time, driver.run_with(&mut commands, silent)).await;
    let status = driver.set().status(comer).unwrap();
    assert_eq!(
        (status.state, status.fault),
        (StateKind::Fault, Some(FaultReason::Deaf))
    );
    assert_eq!(status.statistics.adverts_sent, 0);

    // Its sockets are open: the host tells its address.
    lan.with(0, |port| port.deaf = None);
    let told = HostEvent::PrimaryAddress {
        router: comer,
        address: Some(address(0)),
    };
    lan.event(0, told);
    let mut seen = Vec::new();
    let observer = |id, observation| {
        if let (true, Observation::Transition(transition)) = (id == comer, observation) {
            seen.push(transition.to);
        }
    };
    let _ = tokio::time::timeout(time, driver.run_with(&mut commands, observer)).await;
    assert_eq!(
        seen,
        [StateKind::Backup, StateKind::Active],
        "a whole Active_Down_Interval"
    );
}

#[tokio::test]
async fn one_that_joins_on_another_link_is_in_no_fault_before_its_address_is_told() {
    let lan = Lan::default();
    let mut driver = driver(&lan, 100, vec![]);
    let (_control, mut commands) = mpsc::channel::<Control>(1);
    let silent = |_, _: Observation| {};
    let time = Duration::from_millis(100);
    let _ = tokio::time::timeout(time, driver.run_with(&mut commands, silent)).await;
    let comer = RouterId::new(1);
    lan.with(0, |port| port.deaf = Some(comer));
    let id = driver.admit(Attachment::new(2, Family::Ipv4), config(52, 200), silent);
    assert_eq!(id.unwrap(), comer);
    let status = driver.set().status(comer).unwrap();
    assert_eq!(status.fault, Some(FaultReason::Deaf));

    // It has none: that is one.
    lan.with(0, |port| port.deaf = None);
    let told = HostEvent::PrimaryAddress {
        router: comer,
        address: None,
    };
    lan.event(0, told);
    let _ = tokio::time::timeout(time, driver.run_with(&mut commands, silent)).await;
    let status = driver.set().status(comer).unwrap();
    assert_eq!(status.fault, Some(FaultReason::NoPrimaryAddress));
}
