//! Another program takes away what we put up, each time that it hears of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use vip_netlink::plan::Vip;
use vip_netlink::{Fixtures, HostOptions, LinuxHost};
use vrrp_fsm::driver::{Command, Host, HostEvent};

use crate::host::{PATIENCE, VIP_32, install, router, with_options};
use crate::support::{HOST, VIP, configured, in_namespaces, until};

const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const MSG_DONTWAIT: i32 = 0x40;

fn listener() -> Socket {
    let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket
        .bind(&SocketAddr::new(0, RTMGRP_IPV4_IFADDR))
        .unwrap();
    socket
}

/// Removes the address whenever the kernel tells that it is there, until it is told to stop.
fn fight(socket: &Socket, address: IpAddr, stop: &AtomicBool, removed: &AtomicU32) {
    let local = AddressAttribute::Local(address);
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let Ok(length) = socket.recv(&mut &mut buffer[..], MSG_DONTWAIT) else {
            std::thread::yield_now();
            continue;
        };
        let message =
            NetlinkMessage::<RouteNetlinkMessage>::deserialize(&buffer[..length]).unwrap();
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(found)) = message.payload
        else {
            continue;
        };
        if !found.attributes.contains(&local) {
            continue;
        }
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::DelAddress(found));
        request.header.flags = NLM_F_REQUEST;
        request.finalize();
        let mut datagram = vec![0; request.buffer_len()];
        request.serialize(&mut datagram);
        socket
            .send_to(&datagram, &SocketAddr::new(0, 0), 0)
            .unwrap();
        removed.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a driver would do for that long; the failures that were told, and how often an address had gone.
async fn drive(host: &mut LinuxHost, time: Duration) -> (Vec<String>, usize) {
    let start = Instant::now();
    let (mut failures, mut gone) = (Vec::new(), 0);
    while start.elapsed() < time {
        while let Some(event) = host.poll_event() {
            match event {
                HostEvent::AddressGone { router, .. } => {
                    gone += 1;
                    host.enqueue(router, Command::Install);
                }
                HostEvent::FixtureGone { .. } => gone += 1,
                HostEvent::Failed { error, .. }
                | HostEvent::Fixtures {
                    outcome: Err(error),
                } => failures.push(error.to_string()),
                _ => {}
            }
        }
        let ready = std::future::poll_fn(|cx| host.poll_ready(cx));
        let _ = tokio::time::timeout(Duration::from_millis(20), ready).await;
        while host.recv(&mut [0; 2048]).unwrap().is_some() {}
    }
    (failures, gone)
}

#[test]
fn an_address_that_is_removed_each_time_is_put_back_with_pauses_and_told_once() {
    in_namespaces(
        "contested::an_address_that_is_removed_each_time_is_put_back_with_pauses_and_told_once",
        |_| {
            let fixed = IpAddr::from([10, 96, 0, 1]);
            let options = HostOptions {
                fixtures: Fixtures {
                    addresses: vec![Vip::host(fixed).on(HOST)],
                    ..Fixtures::default()
                },
                ..HostOptions::default()
            };
            with_options(
                router(Some(Duration::from_secs(30))),
                options,
                async |host| {
                    install(host).await;
                    until(PATIENCE, "what is static", || {
                        configured(HOST, "10.96.0.1/32")
                    });
                    let stop = Arc::new(AtomicBool::new(false));
                    let counts = [VIP.into(), fixed].map(|address| {
                        let (stop, removed) = (stop.clone(), Arc::new(AtomicU32::new(0)));
                        let (count, socket) = (removed.clone(), listener());
                        let work = move || fight(&socket, address, &stop, &removed);
                        (count, std::thread::spawn(work))
                    });
                    // It begins with one more.
                    for address in [VIP_32, "10.96.0.1/32"] {
                        crate::support::sh(&format!("ip addr del {address} dev {HOST}"));
                    }
                    let (failures, gone) = drive(host, Duration::from_secs(2)).await;
                    stop.store(true, Ordering::Relaxed);
                    let counts = counts.map(|(count, thread)| {
                        thread.join().unwrap();
                        count.load(Ordering::Relaxed)
                    });
                    println!("removed {counts:?} times, told of {gone}: {failures:#?}");
                    // 5 times at once, then after 0.1, 0.2, 0.4, 0.8 s; what is static 20 times at once.
                    assert!((5..=12).contains(&counts[0]), "{counts:?}");
                    assert!((20..=30).contains(&counts[1]), "{counts:?}");
                    assert!(gone <= 5 + 20, "{gone}");
                    let contested = |failure: &&String| failure.contains("again and again");
                    assert_eq!(
                        failures.iter().filter(contested).count(),
                        2,
                        "{failures:#?}"
                    );
                    assert!(failures.iter().any(|one| one.contains("10.99.0.100")));
                    // Left alone, both are back with the pause that lasts.
                    let left_alone = Instant::now();
                    while !(configured(HOST, VIP_32) && configured(HOST, "10.96.0.1/32")) {
                        assert!(left_alone.elapsed() < PATIENCE, "not back");
                        drive(host, Duration::from_millis(50)).await;
                    }
                },
            );
        },
    );
}
