//! What a set of routers costs with one, 250 and 5,000 of them: an advert that a Backup hears, a timer that an Active
//! fires, and the advert that it writes. `cargo bench -p vrrp-fsm`
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "benchmarks")]

use std::{hint::black_box, net::IpAddr, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use vrrp_fsm::{
    Action, Attachment, Event, Instant, Packet, RouterConfig, RouterId, RouterSet, StateKind,
};
use vrrp_proto::{Envelope, Family, PROTOCOL, Priority, Version, Vrid};

const SIZES: [usize; 3] = [1, 250, 5000];
const SECOND: Duration = Duration::from_secs(1);

fn main() {
    divan::main();
}

/// So many routers on interfaces of 255 each, one address each.
fn set(routers: usize, source: u8, priority: u8) -> RouterSet {
    let mut set = RouterSet::with_capacity(routers);
    for number in 0..routers {
        let vrid = Vrid::new(u8::try_from(number % 255 + 1).unwrap()).unwrap();
        let addresses = vec![IpAddr::from([192, 0, 2, 100])];
        let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, addresses);
        config.primary = Some(IpAddr::from([192, 0, 2, source]));
        config.priority = Priority::new(priority);
        config.policy.spread_phases = true;
        let interface = u32::try_from(number / 255).unwrap() + 1;
        set.insert(Attachment::new(interface, Family::Ipv4), config)
            .unwrap();
    }
    set.handle_all(Instant::ZERO, Event::Startup);
    while set.poll_action().is_some() {}
    set
}

/// Every router of another host says that it is Active.
fn adverts(routers: usize) -> Vec<(u32, Envelope, Vec<u8>)> {
    let mut set = set(routers, 2, 200);
    let ids: Vec<RouterId> = set.ids().collect();
    let mut all = Vec::new();
    for id in ids {
        let interface = set.attachment(id).unwrap().interface;
        let mut buffer = [0; 64];
        let written = set
            .advert(id, Priority::new(200))
            .unwrap()
            .next(&mut buffer)
            .unwrap()
            .unwrap();
        all.push((interface, written.envelope, buffer[..written.len].to_vec()));
    }
    all
}

/// Dispatch, parse, the machine, its new deadline: each router in turn.
#[divan::bench(args = SIZES)]
fn an_advert_is_heard(bencher: Bencher, routers: usize) {
    let adverts = adverts(routers);
    let mut set = set(routers, 1, 100);
    let mut now = Instant::ZERO;
    let mut turn = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let (interface, envelope, bytes) = &adverts[turn % routers];
        turn += 1;
        now += Duration::from_micros(1);
        let packet = Packet {
            interface: *interface,
            protocol: PROTOCOL,
            envelope: *envelope,
            bytes,
        };
        black_box(set.receive(now, &packet)).unwrap();
        while set.poll_action().is_some() {}
    });
}

/// The earliest timer fires, and the advert that it asks for is written.
#[divan::bench(args = SIZES)]
fn a_timer_fires_and_its_advert_is_written(bencher: Bencher, routers: usize) {
    let mut set = set(routers, 1, 100);
    set.timeout(Instant::ZERO + SECOND * 4);
    while set.poll_action().is_some() {}
    let mut ids = set.ids();
    assert!(ids.all(|id| set.router(id).unwrap().state().kind() == StateKind::Active));
    let mut buffer = [0; 64];
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let now = set.next_deadline().unwrap();
        set.timeout_next(now);
        while let Some((id, action)) = set.poll_action() {
            if let Action::Send { priority } = action
                && let Some(mut advert) = set.advert(id, priority)
            {
                black_box(advert.next(&mut buffer));
            }
        }
    });
}
