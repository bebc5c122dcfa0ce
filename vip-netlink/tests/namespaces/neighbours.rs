//! Neighbours that were asked for while the link was away.

use std::net::UdpSocket;

use vrrp_fsm::driver::HostEvent;

use crate::host::{PATIENCE, event, router, with_host};
use crate::support::{HOST, PEER, PEER_ADDRESS, in_namespaces, output, sh, until};

#[test]
fn who_was_asked_for_without_a_link_is_asked_for_again_when_it_returns() {
    let name = "neighbours::who_was_asked_for_without_a_link_is_asked_for_again_when_it_returns";
    in_namespaces(name, |peer| {
        // The kernel itself would ask again in a minute.
        sh(&format!(
            "ip ntable change name arp_cache dev {HOST} retrans 60000"
        ));
        with_host(router(None), async |host| {
            event(host, "first LinkUp", |event| {
                matches!(event, HostEvent::LinkUp { .. })
            })
            .await;
            peer.run(|| sh(&format!("ip link set {PEER} down")));
            event(host, "LinkDown", |event| {
                matches!(event, HostEvent::LinkDown { .. })
            })
            .await;
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"lost", (PEER_ADDRESS, 9)).unwrap();
            let neighbour = || output(&format!("ip neigh show dev {HOST} to {PEER_ADDRESS}"));
            until(PATIENCE, "a question without an answer", || {
                neighbour().contains("INCOMPLETE")
            });
            peer.run(|| sh(&format!("ip link set {PEER} up")));
            event(host, "LinkUp", |event| {
                matches!(event, HostEvent::LinkUp { .. })
            })
            .await;
            until(PATIENCE, "an answer", || neighbour().contains("REACHABLE"));
        });
    });
}
