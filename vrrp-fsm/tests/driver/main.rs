//! The tokio driver over hosts in memory, with real timers.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod hearing;
mod hosts;
mod lan;

use std::time::Duration;

use vrrp_fsm::{
    FaultReason, Object, RouterId, StateKind,
    driver::{Command, Control, HostEvent},
    track::{Health, Track},
};

use lan::{Lan, address, node};

const ROUTER: RouterId = RouterId::new(0);
const SCRIPT: Object = Object::Script(1);
/// Whoever stands still for less than three of them is still Active, and nobody takes over from it.
const INTERVAL: Duration = Duration::from_millis(300);
/// Nothing here takes a tenth of it unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_hosts_elect_and_an_orderly_stop_hands_over() {
    let lan = Lan::default();
    let (mut low, mut high) = (node(&lan, 100, vec![]), node(&lan, 200, vec![]));
    high.becomes(StateKind::Active).await;
    assert_eq!(lan.holders(), [1]);
    low.becomes(StateKind::Backup).await;

    high.stop().await;
    let text = low.becomes(StateKind::Active).await;
    // On a busy machine the timer may have been quicker than the advert of priority 0.
    assert!(text.starts_with("Backup -> Active: "), "{text}");
    assert_eq!(lan.holders(), [0], "removed before `run` returned");
    let status = low.status().await;
    assert_eq!(status.state, StateKind::Active);
    assert_eq!(status.active, Some(address(0)));
    assert_eq!(status.peers[0].source, address(1));
    assert!(status.statistics.adverts_sent > 0);
    low.stop().await;
    assert_eq!(lan.holders(), [0; 0]);
}

#[tokio::test]
async fn a_silent_death_is_noticed_by_a_real_timer() {
    let lan = Lan::default();
    let (mut low, mut high) = (node(&lan, 100, vec![]), node(&lan, 200, vec![]));
    high.becomes(StateKind::Active).await;
    high.task.abort();
    let text = low.becomes(StateKind::Active).await;
    assert!(text.contains("no advert from 192.0.2.2 for "), "{text}");
    low.stop().await;
}

#[tokio::test]
async fn a_script_without_result_holds_out_and_its_failure_faults() {
    let lan = Lan::default();
    let track = Track {
        object: SCRIPT,
        weight: 0,
        reverse: false,
    };
    let mut node = node(&lan, 100, vec![track]);
    assert_eq!(
        node.becomes(StateKind::Fault).await,
        "Initialize -> Fault: no result of script 1 yet"
    );
    let health = |health| Control::Track {
        object: SCRIPT,
        health,
    };
    node.tell(health(Health::Up)).await;
    assert_eq!(
        node.becomes(StateKind::Backup).await,
        "Fault -> Backup: the fault is gone"
    );
    node.becomes(StateKind::Active).await;
    node.tell(health(Health::Down)).await;
    assert_eq!(
        node.becomes(StateKind::Fault).await,
        "Active -> Fault: script 1 failed"
    );
    let status = node.status().await;
    assert_eq!(status.fault, Some(FaultReason::Tracked(SCRIPT)));
    assert_eq!(status.statistics.priority_zero_sent, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_router_can_be_held_by_hand_and_links_and_addresses_are_followed() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    for hold in [true, false] {
        node.tell(Control::Hold {
            router: ROUTER,
            hold,
        })
        .await;
    }
    node.becomes(StateKind::Fault).await;
    node.becomes(StateKind::Active).await;
    lan.event(0, HostEvent::LinkDown { interface: 1 });
    assert_eq!(
        node.becomes(StateKind::Fault).await,
        "Active -> Fault: the interface is down"
    );
    lan.event(0, HostEvent::LinkUp { interface: 1 });
    node.becomes(StateKind::Active).await;
    let gone = HostEvent::PrimaryAddress {
        router: ROUTER,
        address: None,
    };
    lan.event(0, gone);
    node.becomes(StateKind::Fault).await;
    node.stop().await;
}

#[tokio::test]
async fn dropping_every_sender_stops_in_order() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    drop(node.control);
    let ended = tokio::time::timeout(PATIENCE, node.task).await.unwrap();
    ended.unwrap().unwrap();
    assert_eq!(lan.commands(0).last(), Some(&Command::Remove));
}
