//! What a router costs in memory, and that an advert that comes or goes costs none: counted by an allocator.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    reason = "tests; an allocator is unsafe to write"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::IpAddr,
    time::Duration,
};

use vrrp_fsm::{
    Action, Attachment, Authentication, Event, Instant, Object, Packet, RouterConfig, RouterId,
    RouterSet, StateKind, Transport,
    track::{Health, Track},
};
use vrrp_proto::{Envelope, Family, PROTOCOL, Password, Priority, Version, Vrid};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

// SAFETY: the system's allocator does the work; const-initialised thread-locals of types without destructors neither
// allocate nor run code of their own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        LIVE.with(|live| live.set(live.get() + signed(layout.size())));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.with(|live| live.set(live.get() - signed(layout.size())));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Instant = Instant::from_nanos(1_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const SCRIPT: Object = Object::Script(0);

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// One address, version 3, with the source given.
fn config(number: usize, source: u8, priority: u8) -> RouterConfig {
    let vrid = Vrid::new(u8::try_from(number % 255 + 1).unwrap()).unwrap();
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec![address(100)]);
    config.primary = Some(address(source));
    config.priority = Priority::new(priority);
    config.policy.spread_phases = true;
    config
}

/// On one of many interfaces, tracking one script.
fn attachment(number: usize) -> Attachment {
    let interface = u32::try_from(number / 255).unwrap() + 1;
    let mut attachment = Attachment::new(interface, Family::Ipv4);
    attachment.tracks = vec![Track {
        object: SCRIPT,
        weight: -20,
        reverse: false,
    }];
    attachment
}

fn set(
    routers: usize,
    attachment: impl Fn(usize) -> Attachment,
    source: u8,
    priority: u8,
) -> RouterSet {
    let mut set = RouterSet::with_capacity(routers);
    for number in 0..routers {
        set.insert(attachment(number), config(number, source, priority))
            .unwrap();
    }
    set.track(NOW, SCRIPT, Health::Up);
    drain(&mut set);
    for id in set.ids() {
        set.handle(NOW, id, Event::Startup);
        drain(&mut set);
    }
    set
}

fn drain(set: &mut RouterSet) {
    while set.poll_action().is_some() {}
}

/// Every router's advert, as it is on the wire.
fn adverts(set: &mut RouterSet) -> Vec<(u32, u8, Envelope, Vec<u8>)> {
    let ids: Vec<RouterId> = set.ids().collect();
    let mut all = Vec::new();
    for id in ids {
        let interface = set.attachment(id).unwrap().interface;
        let priority = set.router(id).unwrap().priority();
        let mut buffer = [0; 256];
        let mut outgoing = set.advert(id, priority).unwrap();
        while let Some(written) = outgoing.next(&mut buffer) {
            let written = written.unwrap();
            let bytes = buffer.get(..written.len).unwrap().to_vec();
            all.push((interface, written.protocol, written.envelope, bytes));
        }
    }
    all
}

fn hear(set: &mut RouterSet, now: Instant, adverts: &[(u32, u8, Envelope, Vec<u8>)]) {
    for (interface, protocol, envelope, bytes) in adverts {
        let packet = Packet {
            interface: *interface,
            protocol: *protocol,
            envelope: *envelope,
            bytes,
        };
        set.receive(now, &packet).unwrap();
        drain(set);
    }
}

/// Fires what is due and writes the adverts that are asked for; how many there were.
fn fire(set: &mut RouterSet, now: Instant, buffer: &mut [u8]) -> usize {
    set.timeout(now);
    let mut sent = 0;
    while let Some((id, action)) = set.poll_action() {
        if let Action::Send { priority } = action
            && let Some(mut outgoing) = set.advert(id, priority)
        {
            while let Some(written) = outgoing.next(buffer) {
                written.unwrap();
                sent += 1;
            }
        }
    }
    sent
}

#[test]
fn a_router_with_one_address_one_script_and_a_peer_takes_at_most_a_kibibyte() {
    for routers in [1_usize, 250, 5000] {
        let mut other = set(routers, attachment, 2, 200);
        let adverts = adverts(&mut other);
        let before = LIVE.get();
        let mut set = set(routers, attachment, 1, 100);
        hear(&mut set, NOW, &adverts);
        let backup = LIVE.get() - before;
        while set.timeout_next(NOW + SECOND * 4) {
            drain(&mut set);
        }
        let state = |id| set.router(id).unwrap().state().kind();
        assert!(set.ids().all(|id| state(id) == StateKind::Active));
        let active = LIVE.get() - before;
        for (state, bytes) in [("Backup", backup), ("Active", active)] {
            let each = usize::try_from(bytes).unwrap() / routers;
            println!("{routers} routers, {state}: {each} bytes each");
            // One alone pays for the queues of all.
            assert!(
                each <= if routers == 1 { 2048 } else { 1024 },
                "{each} bytes each"
            );
        }
    }
}

/// Backups hear, Actives send; with each kind of transport. Each kind of authentication is below.
#[test]
fn an_advert_that_comes_or_goes_allocates_nothing() {
    let unicast = |number| Attachment {
        transport: Transport::unicast(vec![address(1), address(2)]),
        ..attachment(number)
    };
    let kinds: [&dyn Fn(usize) -> Attachment; 2] = [&attachment, &unicast];
    for kind in kinds {
        let mut other = set(250, kind, 2, 200);
        let adverts: Vec<_> = adverts(&mut other);
        let adverts: Vec<_> = adverts
            .into_iter()
            .filter(|(_, _, to, _)| to.destination != address(2))
            .collect();
        let mut set = set(250, kind, 1, 100);
        let mut now = NOW;
        let round = |set: &mut RouterSet, now: Instant| hear(set, now, &adverts);
        // The first time peers are remembered.
        round(&mut set, now);
        let before = ALLOCATIONS.get();
        for _ in 0..20 {
            now += SECOND;
            round(&mut set, now);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "received");

        let mut buffer = vec![0; 2048];
        now += SECOND * 4;
        fire(&mut set, now, &mut buffer);
        let before = ALLOCATIONS.get();
        let mut sent = 0;
        for _ in 0..20 * 255 {
            now += SECOND / 255;
            sent += fire(&mut set, now, &mut buffer);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "sent");
        assert!(sent >= 19 * 250, "{sent}");
    }
}

#[test]
fn members_of_a_sync_group_allocate_nothing_for_an_advert_either() {
    let mut other = set(100, attachment, 2, 200);
    let adverts = adverts(&mut other);
    let mut set = set(100, attachment, 1, 100);
    let members = set.ids().collect();
    set.form_group(NOW, members);
    drain(&mut set);
    hear(&mut set, NOW, &adverts);
    let before = ALLOCATIONS.get();
    for second in 1..20 {
        hear(&mut set, NOW + SECOND * second, &adverts);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

/// One router of version 2.
fn version_2(source: u8, authentication: Authentication) -> RouterSet {
    let mut attachment = attachment(0);
    attachment.authentication = authentication;
    let mut config = config(0, source, 150);
    config.version = Version::V2;
    let mut set = RouterSet::new();
    set.insert(attachment, config).unwrap();
    set.track(NOW, SCRIPT, Health::Up);
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    set
}

#[cfg(feature = "auth")]
#[test]
fn an_authentication_header_and_a_trailer_allocate_nothing_either() {
    use vrrp_proto::{ah, auth_hmac};
    let header = || {
        let key = Password::truncated(b"secret");
        Authentication::Header(ah::Authenticator::new(key))
    };
    let trailer = || {
        let settings = auth_hmac::Settings {
            mode: auth_hmac::Mode::Enforce,
            active_key: 1,
            anti_replay: auth_hmac::AntiReplay::Monotonic,
        };
        let keys = vec![auth_hmac::Key::new(1, &[7; 32]).unwrap()];
        let authenticator = auth_hmac::Authenticator::new(keys, settings).unwrap();
        Authentication::Hmac(Box::new(authenticator))
    };
    let kinds: [&dyn Fn() -> Authentication; 2] = [&header, &trailer];
    for kind in kinds {
        let mut other = version_2(2, kind());
        let heard: Vec<_> = (0..20).map(|_| adverts(&mut other)).collect();
        let mut set = version_2(1, kind());
        let (first, others) = heard.split_first().unwrap();
        hear(&mut set, NOW, first);
        let before = ALLOCATIONS.get();
        let mut now = NOW;
        for adverts in others {
            now += SECOND;
            hear(&mut set, now, adverts);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "received");

        let mut buffer = vec![0; 2048];
        now += SECOND * 4;
        fire(&mut set, now, &mut buffer);
        let before = ALLOCATIONS.get();
        let mut sent = 0;
        for _ in 0..20 {
            now += SECOND;
            sent += fire(&mut set, now, &mut buffer);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "sent");
        assert!(sent >= 19, "{sent}");
    }
}

#[test]
fn a_password_and_a_rejection_allocate_nothing_either() {
    let password = |text| Authentication::Password(Password::truncated(text));
    let right = adverts(&mut version_2(2, password(b"secret")));
    let wrong = adverts(&mut version_2(3, password(b"another")));
    let mut set = version_2(1, password(b"secret"));
    let both = |set: &mut RouterSet, now| {
        hear(set, now, &right);
        for (interface, _, envelope, bytes) in &wrong {
            let packet = Packet {
                interface: *interface,
                protocol: PROTOCOL,
                envelope: *envelope,
                bytes,
            };
            set.receive(now, &packet).unwrap_err();
            drain(set);
        }
    };
    both(&mut set, NOW);
    let before = ALLOCATIONS.get();
    for second in 1..20 {
        both(&mut set, NOW + SECOND * second);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

/// Whoever sends adverts, or what looks like them, under thousands of addresses.
#[test]
fn a_router_whose_tables_are_full_takes_at_most_four_kibibytes() {
    let senders: Vec<_> = (2..=250)
        .flat_map(|source| adverts(&mut set(1, attachment, source, 50)))
        .collect();
    let before = LIVE.get();
    let mut set = set(1, attachment, 1, 100);
    let mut full = Vec::new();
    for (sender, (interface, _, envelope, bytes)) in senders.iter().cycle().take(2000).enumerate() {
        for hop_limit in [255, 254] {
            let envelope = Envelope {
                hop_limit,
                ..*envelope
            };
            let packet = Packet {
                interface: *interface,
                protocol: PROTOCOL,
                envelope,
                bytes,
            };
            let taken = set.receive(NOW + SECOND * u32::try_from(sender).unwrap(), &packet);
            assert_eq!(taken.is_ok(), hop_limit == 255);
            drain(&mut set);
        }
        if sender == 100 {
            full.push(LIVE.get() - before);
        }
    }
    full.push(LIVE.get() - before);
    let status = set.status(RouterId::new(0)).unwrap();
    println!(
        "{} peers, {} refused: {full:?} bytes",
        status.peers.len(),
        status.refused.len()
    );
    assert_eq!((status.peers.len(), status.refused.len()), (16, 16));
    assert!(full.iter().all(|bytes| *bytes <= 4096), "{full:?}");
}

/// Routers and groups that come and go with each of a thousand reloads.
#[test]
fn a_thousand_reloads_leave_nothing_behind() {
    let mut set = set(10, attachment, 1, 100);
    let mut known = 0;
    let mut last = RouterId::new(0);
    for round in 0..1000_usize {
        let comers: Vec<RouterId> = (0..3)
            .map(|one| {
                let expected = set.next_ids().next();
                let number = 20 + (round * 3 + one) % 200;
                let id = set.insert(attachment(number), config(number, 1, 100));
                assert_eq!(id.as_ref().ok().copied(), expected);
                id.unwrap()
            })
            .collect();
        for id in &comers {
            set.handle(NOW, *id, Event::Startup);
            drain(&mut set);
        }
        let group = set.form_group(NOW, comers.clone());
        drain(&mut set);
        assert_eq!(set.group(group), comers);
        while set.timeout_next(NOW + SECOND * 4) {
            drain(&mut set);
        }
        for id in comers {
            assert!(set.status(id).is_some());
            set.retire(NOW + SECOND * 5, id);
            assert!(
                std::iter::from_fn(|| set.poll_action()).any(|(of, _)| of == id),
                "it resigns and lets its addresses go"
            );
            set.release(id);
            assert!(set.status(id).is_none());
            last = last.max(id);
        }
        if round == 100 {
            known = LIVE.get();
        }
    }
    assert_eq!(LIVE.get() - known, 0);
    assert_eq!(last.number(), 12, "numbers are used again");
    // Those that stayed are still there.
    assert_eq!(set.ids().filter(|id| set.status(*id).is_some()).count(), 10);
}
