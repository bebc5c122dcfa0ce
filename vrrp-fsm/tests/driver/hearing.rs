//! When packets count, and which are told of.

use std::time::Duration;

use vrrp_fsm::{
    StateKind,
    driver::{Command, Datagram, Observation, now},
};
use vrrp_proto::Envelope;

use crate::{
    PATIENCE,
    lan::{Lan, address, driver, node, run},
};

#[tokio::test]
async fn an_advert_that_waited_at_the_host_counts_from_when_it_came() {
    let waited = Duration::from_millis(150);
    let lan = Lan::default();
    let (low, mut high) = (node(&lan, 100, vec![]), node(&lan, 200, vec![]));
    lan.with(0, |port| port.waited = waited);
    high.becomes(StateKind::Active).await;
    let heard = async {
        loop {
            let status = low.status().await;
            let at = now();
            if let Some(peer) = status.peers.first().filter(|peer| peer.adverts > 1) {
                break at.since(peer.heard_at);
            }
        }
    };
    let ago = tokio::time::timeout(PATIENCE, heard).await.unwrap();
    assert!(ago >= waited, "heard {ago:?} ago");
    high.stop().await;
    low.stop().await;
}

#[tokio::test]
async fn when_packets_came_matters_while_nobody_is_active() {
    let lan = Lan::default();
    let mut low = node(&lan, 100, vec![]);
    low.becomes(StateKind::Active).await;
    let mut high = node(&lan, 200, vec![]);
    low.becomes(StateKind::Backup).await;
    high.becomes(StateKind::Active).await;
    // Whoever answers has told the host before.
    low.status().await;
    high.status().await;
    let told = |number| lan.with(number, |port| port.stamps.clone());
    assert_eq!(told(0), [true, false, true]);
    assert_eq!(told(1), [true, false]);
    high.stop().await;
    low.stop().await;
}

#[tokio::test]
async fn whoever_is_heard_at_the_last_moment_is_not_taken_over_from() {
    let lan = Lan::default();
    let low = driver(&lan, 100, vec![]);
    let far = now() + PATIENCE;
    lan.with(0, |port| port.appear = Some(far));
    let owner = node(&lan, 255, vec![]);
    let has_sent = async {
        while lan.with(0, |port| port.inbox.is_empty()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, has_sent).await.unwrap();
    let mut low = run(low);
    low.becomes(StateKind::Backup).await;
    let deadline = low.status().await.deadline.unwrap();
    // The driver is awake by then, and has found nothing.
    let moment = deadline.before(Duration::from_micros(20));
    lan.with(0, |port| port.appear = Some(moment));
    let heard = async {
        while low.status().await.peers.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
    let status = low.status().await;
    assert_eq!(status.state, StateKind::Backup);
    assert_eq!(lan.holders(), [1], "it took over meanwhile");
    assert!(!lan.commands(0).contains(&Command::Install));
    owner.stop().await;
    low.stop().await;
}

/// Right VRID, wrong checksum.
fn broken() -> (Datagram, Vec<u8>) {
    let datagram = Datagram {
        interface: 1,
        protocol: 112,
        envelope: Envelope::multicast(address(8)),
        len: 8,
        waited: Duration::ZERO,
    };
    (datagram, vec![0x31, 51, 100, 1, 0, 1, 0, 0])
}

#[tokio::test]
async fn what_waits_behind_errors_is_heard_before_anything_is_decided() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    lan.with(0, |port| {
        port.errors = 3;
        port.inbox.push_back(broken());
    });
    let first = tokio::time::timeout(PATIENCE, node.seen.recv()).await;
    let first = first.unwrap().unwrap();
    assert!(matches!(first, Observation::Rejected { .. }), "{first:?}");
    node.stop().await;
}

#[tokio::test]
async fn rejected_packets_are_told_at_powers_of_two() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    for _ in 0..5 {
        lan.with(0, |port| port.inbox.push_back(broken()));
    }
    let told = async {
        let mut counts = Vec::new();
        while counts.len() < 3 {
            if let Some(Observation::Rejected { count, .. }) = node.seen.recv().await {
                counts.push(count);
            }
        }
        counts
    };
    assert_eq!(
        tokio::time::timeout(PATIENCE, told).await.unwrap(),
        [1, 2, 4]
    );
    node.stop().await;
}
