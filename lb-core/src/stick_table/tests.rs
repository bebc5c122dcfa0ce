use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Column, Event, Key, Level, StickTable, Trackers};
use crate::{
    config::{StickTableConfig, StoreKind, TableKey},
    expr::Value,
};

fn table(
    size: u64,
    expire: Option<u64>,
    nopurge: bool,
    store: &[StoreKind],
) -> (StickTable, Instant) {
    let now = crate::test_clock::now();
    let config = StickTableConfig {
        expire: expire.map(Duration::from_secs),
        nopurge,
        store: store.to_vec(),
        ..StickTableConfig::new(TableKey::Ip, size)
    };
    (StickTable::new(&config, now), now)
}

fn ip(last: u8) -> Key {
    Key::from_ip(IpAddr::from([10, 0, 0, last]))
}

#[test]
fn expiry_is_refreshed_by_access() {
    let (table, start) = table(10, Some(10), false, &[StoreKind::Gpc0]);
    let at = |s| start + Duration::from_secs(s);
    table.count(at(0), &ip(1), Event::Gpc0);
    table.count(at(0), &ip(2), Event::Gpc0);
    table.count(at(9), &ip(1), Event::Gpc0);
    assert_eq!(table.value(at(9), &ip(2), Column::Gpc0), Some(1));
    // Reading is no use of an entry.
    assert_eq!(table.value(at(12), &ip(2), Column::Gpc0), None);
    assert_eq!(table.left(at(12), &ip(1)), Some(Duration::from_secs(7)));
    assert_eq!(table.left(at(12), &ip(2)), None);
    assert_eq!(table.value(at(18), &ip(1), Column::Gpc0), Some(2));
    assert_eq!(table.len(at(40)), 0);
}

#[test]
fn a_full_table_purges_the_least_recently_used_or_refuses() {
    let (purging, now) = table(2, None, false, &[StoreKind::Gpc0]);
    for key in [1, 2, 1, 3] {
        purging.count(now, &ip(key), Event::Gpc0);
    }
    assert_eq!(purging.value(now, &ip(2), Column::Gpc0), None);
    assert_eq!(purging.value(now, &ip(1), Column::Gpc0), Some(2));
    assert_eq!(purging.value(now, &ip(3), Column::Gpc0), Some(1));

    let (refusing, now) = table(2, None, true, &[StoreKind::Gpc0]);
    for key in [1, 2, 3] {
        refusing.count(now, &ip(key), Event::Gpc0);
    }
    assert_eq!(refusing.value(now, &ip(3), Column::Gpc0), None);
    assert_eq!(refusing.len(now), 2);
}

#[test]
fn an_entry_with_connections_is_neither_purged_nor_expired() {
    let (table, start) = table(1, Some(1), false, &[StoreKind::ConnCur]);
    let table = Arc::new(table);
    let tracked = table.track(start, ip(1)).unwrap();
    assert!(table.track(start, ip(2)).is_none());
    let later = start + Duration::from_secs(5);
    assert_eq!(table.value(later, &ip(1), Column::ConnCur), Some(1));
    assert!(!table.remove(&ip(1)));
    table.clear();
    assert_eq!(table.holders(later, &ip(1)), Some(1));
    drop(tracked);
    assert_eq!(table.value(later, &ip(1), Column::ConnCur), Some(0));
    assert_eq!(table.len(later + Duration::from_secs(2)), 0);
}

#[test]
fn a_stream_counts_on_its_own_tracker_and_else_on_that_of_the_connection() {
    let (table, now) = table(9, None, false, &[StoreKind::HttpReqCnt, StoreKind::ConnCur]);
    let table = Arc::new(table);
    let mut trackers = Trackers::default();
    assert!(trackers.is_free(Level::Connection, 2) && !trackers.is_free(Level::Stream, 3));
    trackers.begin(Level::Connection, 0, table.track(now, ip(1)).unwrap());
    trackers.begin(Level::Stream, 0, table.track(now, ip(2)).unwrap());
    assert!(!trackers.is_free(Level::Stream, 0));
    trackers.count(now, Event::HttpRequest);
    trackers.end_stream();
    trackers.count(now, Event::HttpRequest);
    trackers.count(now, Event::HttpRequest);
    let counted = |last, column| table.value(now, &ip(last), column);
    assert_eq!(counted(1, Column::HttpReqCnt), Some(2));
    assert_eq!(counted(2, Column::HttpReqCnt), Some(1));
    assert_eq!(counted(1, Column::ConnCur), Some(1));
    assert_eq!(counted(2, Column::ConnCur), Some(0));
    drop(trackers);
    assert_eq!(counted(1, Column::ConnCur), Some(0));
}

#[test]
fn values_become_keys_of_the_tables_type() {
    let key = |of: TableKey, value: Value<'_>| {
        let config = StickTableConfig {
            ..StickTableConfig::new(of, 1)
        };
        let table = StickTable::new(&config, crate::test_clock::now());
        table.key_of(value).map(|key| key.to_string())
    };
    assert_eq!(
        key(TableKey::Ip, Value::text(b"10.0.0.1")).unwrap(),
        "10.0.0.1"
    );
    assert_eq!(key(TableKey::Ip, Value::text(b"2001:db8::1")), None);
    assert_eq!(
        key(TableKey::Ipv6, Value::text(b"2001:db8::1")).unwrap(),
        "2001:db8::1"
    );
    assert_eq!(key(TableKey::Integer, Value::Int(7)).unwrap(), "7");
    assert_eq!(
        key(TableKey::String(3), Value::text(b"abcdef")).unwrap(),
        "abc"
    );
    assert_eq!(key(TableKey::String(3), Value::text(b"")), None);
}

#[test]
fn rates_slide_over_two_periods() {
    let rate = StoreKind::HttpReqRate(Duration::from_secs(10));
    let (table, start) = table(10, None, false, &[StoreKind::HttpReqCnt, rate]);
    let at = |ms| start + Duration::from_millis(ms);
    for _ in 0..100 {
        table.count(at(0), &ip(1), Event::HttpRequest);
    }
    let read = |ms| table.value(at(ms), &ip(1), Column::HttpReqRate);
    assert_eq!(read(9_999), Some(100));
    assert_eq!(read(10_000), Some(100));
    assert_eq!(read(15_000), Some(50));
    assert_eq!(read(20_000), Some(0));
    assert_eq!(
        table.value(at(20_000), &ip(1), Column::HttpReqCnt),
        Some(100)
    );
    assert_eq!(table.value(at(20_000), &ip(1), Column::Gpc0), None);
}

#[test]
fn mapped_addresses_are_the_same_key_and_binary_keys_are_padded() {
    let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
    assert_eq!(Key::from_ip(mapped), ip(1));
    let now = crate::test_clock::now();
    let config = StickTableConfig {
        ..StickTableConfig::new(TableKey::Binary(4), 1)
    };
    let table = StickTable::new(&config, now);
    assert_eq!(table.key_of_bytes(b"ab"), table.key_of_bytes(b"ab\0\0"));
    assert_eq!(table.key_of_bytes(b"abcdef"), table.key_of_bytes(b"abcd"));
}

#[test]
fn keys_are_shown_as_one_word() {
    let key = Key::from_bytes(b"a b=\\c\t\n\r\x1b\x00\xabz");
    assert_eq!(key.to_string(), "a\\ b\\=\\\\c\\t\\n\\r\\e\\x00\\xABz");
}

#[test]
fn arrays_stand_for_the_columns_that_are_their_first_elements() {
    let period = Duration::from_secs(10);
    let store = [
        StoreKind::Gpc(2),
        StoreKind::GpcRate(2, period),
        StoreKind::Gpt(1),
    ];
    let (table, now) = table(10, None, false, &store);
    table.count(now, &ip(1), Event::Gpc1);
    table.count(now, &ip(1), Event::Gpc(1));
    table.count(now, &ip(1), Event::Gpc(7));
    table.set(now, &ip(1), Column::Gpt0, 5);
    let value = |column| table.value(now, &ip(1), column);
    assert_eq!(
        (value(Column::Gpc(1)), value(Column::Gpc1)),
        (Some(2), Some(2))
    );
    assert_eq!(
        (value(Column::Gpc0), value(Column::Gpc(7))),
        (Some(0), None)
    );
    assert_eq!(value(Column::Gpc1Rate), Some(2));
    assert_eq!(value(Column::Gpt(0)), Some(5));
    assert!(table.stores(Column::Gpc1) && !table.stores(Column::Gpc(2)));
    let names: Vec<_> = table.columns().map(|(column, _)| column.name()).collect();
    assert_eq!(names, ["gpt0", "gpc0", "gpc1", "gpc0_rate", "gpc1_rate"]);
    assert_eq!(Column::named("gpc12_rate"), Some(Column::GpcRate(12)));
}

#[test]
fn changes_are_told_in_their_order_and_each_once() {
    let now = crate::test_clock::now();
    let config = StickTableConfig {
        expire: Some(Duration::from_secs(60)),
        store: vec![StoreKind::Gpc0],
        peers: Some("pair".into()),
        ..StickTableConfig::new(TableKey::Ip, 10)
    };
    let table = StickTable::new(&config, now);
    for key in [1, 2, 1, 1] {
        table.count(now, &ip(key), Event::Gpc0);
    }
    table.learn(now, &ip(3), Some(Duration::from_secs(5)), &[]);
    let next = |after, only_local| {
        let change = table.next_change(now, after, only_local);
        change.map(|change| (change.number, change.key))
    };
    // What changed before anybody was told of it is one change.
    assert_eq!(next(0, true), Ok((1, ip(1))));
    assert_eq!(next(1, true), Ok((2, ip(2))));
    assert_eq!(next(2, true), Err(3));
    assert_eq!(next(2, false), Ok((3, ip(3))));
    table.count(now, &ip(1), Event::Gpc0);
    assert_eq!(next(2, true), Ok((4, ip(1))));
    assert_eq!(table.last_changes(), (4, 4));
    // What is learned goes when its own host forgets it, whatever is older here.
    assert_eq!(table.len(now + Duration::from_secs(6)), 2);
    assert_eq!(table.next_change(now, 4, false), Err(4));
}
