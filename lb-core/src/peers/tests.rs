use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{Broken, Group, Learning, Session, Shared, Status, group};
use crate::{
    config::{StickTableConfig, StoreKind, TableKey},
    stick_table::{Column, Event, Key, StickTable},
    test_clock,
};

const PERIOD: Duration = Duration::from_secs(10);

/// A host of the pair `a` and `b` with one table of each kind of column.
fn host(local: &str, now: Instant) -> Arc<Group> {
    let config = StickTableConfig {
        expire: Some(Duration::from_secs(60)),
        store: vec![
            StoreKind::ServerId,
            StoreKind::ServerKey,
            StoreKind::ConnCur,
            StoreKind::HttpReqRate(PERIOD),
            StoreKind::Gpc(3),
        ],
        peers: Some("pair".into()),
        ..StickTableConfig::new(TableKey::String(31), 1000)
    };
    let shared = Shared {
        name: "web".into(),
        table: Arc::new(StickTable::new(&config, now)),
    };
    let other = if local == "a" { "b" } else { "a" };
    let peers = vec![other.into()];
    Arc::new(Group::new(
        "pair".into(),
        local.into(),
        7,
        peers,
        vec![shared],
        now,
    ))
}

fn table(group: &Group) -> &Arc<StickTable> {
    &group.tables()[0].table
}

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes())
}

/// Both sides speak until neither has anything to say.
fn converse(one: &mut Session, other: &mut Session, now: Instant) {
    for _ in 0..1000 {
        one.fill(now);
        other.fill(now);
        let (from_one, from_other) = (one.output().to_vec(), other.output().to_vec());
        if from_one.is_empty() && from_other.is_empty() {
            return;
        }
        one.sent(from_one.len(), now);
        other.sent(from_other.len(), now);
        one.receive(&from_other, now);
        other.receive(&from_one, now);
    }
    panic!("they speak for ever");
}

fn connected(a: &Arc<Group>, b: &Arc<Group>, now: Instant) -> (Session, Session) {
    let mut one = Session::call(Arc::clone(a), 0, now);
    let mut other = Session::answer(Arc::clone(b), now);
    converse(&mut one, &mut other, now);
    assert_eq!((one.broken(), other.broken()), (None, None));
    assert_eq!((one.peer(), other.peer()), (Some(0), Some(0)));
    (one, other)
}

#[test]
fn what_one_learns_the_other_knows() {
    let now = test_clock::now();
    let (a, b) = (host("a", now), host("b", now));
    let (mut one, mut other) = connected(&a, &b, now);
    table(&a).set_server(now, &key("joe"), 3, Some(&"s3".into()));
    for _ in 0..5 {
        table(&a).count(now, &key("joe"), Event::HttpRequest);
        table(&a).count(now, &key("joe"), Event::Gpc(2));
    }
    let _held = table(&a).track(now, key("joe"));
    table(&b).set_server(now, &key("ann"), 1, Some(&"s3".into()));
    converse(&mut one, &mut other, now);
    let later = now + Duration::from_secs(1);
    let told = |column| table(&b).value(later, &key("joe"), column);
    assert_eq!(told(Column::ServerId), Some(3));
    assert_eq!(told(Column::HttpReqRate), Some(5));
    assert_eq!(told(Column::Gpc(2)), Some(5));
    // The connections of another host are its own.
    assert_eq!(told(Column::ConnCur), Some(0));
    let known_by = table(&b).server(later, &key("joe")).unwrap().key.unwrap().1;
    assert_eq!(&*known_by, "s3");
    assert_eq!(
        table(&a).value(later, &key("ann"), Column::ServerId),
        Some(1)
    );
    assert_eq!(table(&a).len(later), 2);
    // Looking the entry up on `b` is a use of it, which `a` hears of; nothing else comes back.
    converse(&mut one, &mut other, later);
    assert_eq!(a.link(0).unwrap().learned, 2);
}

#[test]
fn whoever_comes_later_is_told_everything_once() {
    let now = test_clock::now();
    let (a, b) = (host("a", now), host("b", now));
    for number in 0..700 {
        let name = format!("client-{number}");
        table(&a).set_server(now, &key(&name), 1 + number % 3, Some(&"server".into()));
    }
    // Learned from somebody else: `a` does not pass it on by itself.
    table(&a).learn(now, &key("heard"), Some(Duration::from_secs(9)), &[]);
    assert!(matches!(b.learning(), Learning::Until(_)));
    let (one, other) = connected(&a, &b, now);
    assert_eq!(table(&b).len(now), 701);
    assert_eq!(
        (a.learning(), b.learning()),
        (Learning::Done, Learning::Done)
    );
    // The time that is left comes with it.
    assert_eq!(table(&b).len(now + Duration::from_secs(10)), 700);
    drop((one, other));
    assert_eq!(a.link(0).unwrap().session, None);
    // What the peer has confirmed is not told again.
    let told = a.link(0).unwrap().told;
    table(&a).count(now, &key("client-1"), Event::HttpRequest);
    drop(connected(&a, &b, now));
    assert_eq!(a.link(0).unwrap().told, told + 1);
}

#[test]
fn a_host_that_nobody_can_teach_gives_up_looking() {
    let now = test_clock::now();
    let (a, b) = (host("a", now), host("b", now));
    assert!(matches!(a.learning(), Learning::Until(_)));
    drop(connected(&a, &b, now + Duration::from_secs(6)));
    assert_eq!(
        (a.learning(), b.learning()),
        (Learning::Done, Learning::Done)
    );
}

#[test]
fn strangers_are_told_why_they_are_refused() {
    let now = test_clock::now();
    for (hello, status) in [
        ("HAProxyS 2.1\na\nb 1 1\n", None),
        ("HAProxyS 2.0\na\nb 1 1\n", None),
        ("HAProxyS 3.0\na\nb 1 1\n", Some(Status::BadVersion)),
        ("GET / HTTP/1.1\r\n\r\n\n", Some(Status::ProtocolError)),
        ("HAProxyS 2.1\nz\nb 1 1\n", Some(Status::NotMe)),
        ("HAProxyS 2.1\na\nz 1 1\n", Some(Status::Unknown)),
    ] {
        let mut session = Session::answer(host("a", now), now);
        session.receive(hello.as_bytes(), now);
        assert_eq!(session.broken(), status.map(Broken::BadHello), "{hello}");
        let line = status.unwrap_or(Status::Welcome).line();
        assert!(session.output().starts_with(line), "{hello}");
    }
    let mut session = Session::answer(host("a", now), now);
    session.receive(&[b'x'; 2000], now);
    assert_eq!(
        session.broken(),
        Some(Broken::BadHello(Status::ProtocolError))
    );
    let mut caller = Session::call(host("a", now), 0, now);
    caller.receive(b"504\n", now);
    assert_eq!(caller.broken(), Some(Broken::Refused(Status::Unknown)));
}

#[test]
fn silence_ends_a_connection_and_heartbeats_prevent_it() {
    let now = test_clock::now();
    let (a, b) = (host("a", now), host("b", now));
    let (mut one, mut other) = connected(&a, &b, now);
    let mut at = now;
    for _ in 0..5 {
        at = one.deadline();
        assert_eq!(at.saturating_duration_since(now).as_secs() % 3, 0);
        converse(&mut one, &mut other, at);
    }
    other.receive(&[], at);
    one.fill(at + Duration::from_secs(5));
    assert_eq!(one.broken(), Some(Broken::Silent));
}

#[test]
fn the_newest_connection_is_the_one_that_holds() {
    let now = test_clock::now();
    let (a, b) = (host("a", now), host("b", now));
    let (mut one, _other) = connected(&a, &b, now);
    let (mut newer, _) = connected(&a, &b, now);
    one.fill(now);
    newer.fill(now);
    assert_eq!(
        (one.broken(), newer.broken()),
        (Some(Broken::Replaced), None)
    );
    drop(one);
    assert!(a.link(0).unwrap().session.is_some());
}

#[test]
fn another_process_of_the_same_host_is_told_everything_and_left() {
    let now = test_clock::now();
    let (old, new) = (host("a", now), host("a", now));
    for number in 0..50 {
        let name = format!("client-{number}");
        table(&old).set_server(now, &key(&name), 2, None);
    }
    let mut teacher = Session::call(Arc::clone(&old), 1, now);
    let mut pupil = Session::answer(Arc::clone(&new), now);
    converse(&mut teacher, &mut pupil, now);
    assert_eq!(teacher.broken(), Some(Broken::Told));
    assert_eq!(table(&new).len(now), 50);
}

#[test]
fn a_session_that_is_over_is_not_woken_by_tables_any_more() {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let now = test_clock::now();
    let (a, b) = (host("a", now), host("b", now));
    let nobody = Arc::new(Nobody);
    for _ in 0..5 {
        let (one, _other) = connected(&a, &b, now);
        let waker = std::task::Waker::from(Arc::clone(&nobody));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(one.poll_news(&mut cx).is_pending());
        drop(waker);
        assert!(Arc::strong_count(&nobody) > 1);
        drop(one);
        assert_eq!(Arc::strong_count(&nobody), 1);
    }
}

#[test]
fn tables_and_columns_that_differ_are_passed_over() {
    let now = test_clock::now();
    let a = host("a", now);
    let store = vec![StoreKind::HttpReqRate(PERIOD * 2), StoreKind::Gpc(1)];
    let config = StickTableConfig {
        store: store.clone(),
        peers: Some("pair".into()),
        ..StickTableConfig::new(TableKey::String(31), 10)
    };
    let other = StickTableConfig {
        store,
        peers: Some("pair".into()),
        ..StickTableConfig::new(TableKey::String(20), 10)
    };
    let join = |config: &StickTableConfig| {
        let table = Arc::new(StickTable::new(config, now));
        let shared = Shared {
            name: "web".into(),
            table,
        };
        let peers = vec!["a".into()];
        Arc::new(Group::new(
            "pair".into(),
            "b".into(),
            7,
            peers,
            vec![shared],
            now,
        ))
    };
    table(&a).count(now, &key("x"), Event::HttpRequest);
    table(&a).count(now, &key("x"), Event::Gpc(0));
    let b = join(&config);
    drop(connected(&a, &b, now));
    assert_eq!(table(&b).value(now, &key("x"), Column::Gpc(0)), Some(1));
    assert_eq!(
        table(&b).value(now, &key("x"), Column::HttpReqRate),
        Some(0)
    );
    let b = join(&other);
    drop(connected(&a, &b, now));
    assert_eq!(table(&b).len(now), 0);
}

/// What a peer of the fuzzed group would send: a hello and everything it knows.
fn sent_by_a_peer(now: Instant, entries: u32) -> Vec<u8> {
    let mine = group::for_fuzzing(now);
    for (place, shared) in mine.tables().iter().enumerate() {
        for number in 0..entries {
            let text = match place {
                0 => format!("10.0.0.{number}"),
                1 => format!("2001:db8::{number}"),
                2 => number.to_string(),
                _ => format!("k{number}"),
            };
            let key = shared.table.key_of_bytes(text.as_bytes()).unwrap();
            shared
                .table
                .set_server(now, &key, number, Some(&text.into()));
            shared.table.count(now, &key, Event::Connection);
        }
    }
    let mut bytes = b"HAProxyS 2.1\nhere\nthere 1 1\n".to_vec();
    let mut caller = Session::call(mine, 0, now);
    caller.sent(caller.output().len(), now);
    caller.receive(b"200\n", now);
    caller.receive(&[0, 0, 0, 1], now);
    caller.fill(now);
    bytes.extend_from_slice(caller.output());
    bytes
}

proptest! {
    #[test]
    fn messages_mean_the_same_however_they_are_cut(
        cut in 0_usize..2000,
        flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..3),
    ) {
        let now = test_clock::now();
        let mut bytes = sent_by_a_peer(now, 6);
        for (at, byte) in flips {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        super::fuzz_session(&bytes, cut, now);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let now = test_clock::now();
        let mut all = b"HAProxyS 2.1\nhere\nthere 1 1\n".to_vec();
        all.extend(bytes);
        super::fuzz_session(&all, 40, now);
    }
}

#[test]
fn a_seed_for_the_fuzzer_is_a_whole_conversation() {
    let now = test_clock::now();
    let bytes = sent_by_a_peer(now, 6);
    let group = group::for_fuzzing(now);
    let mut session = Session::answer(Arc::clone(&group), now);
    session.receive(&bytes, now);
    assert_eq!(session.broken(), None);
    for shared in group.tables() {
        assert_eq!(shared.table.len(now), 6, "{}", shared.name);
    }
}
