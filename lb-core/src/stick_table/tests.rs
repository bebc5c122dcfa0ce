use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Column, Event, Key, StickTable};
use crate::config::{StickTableConfig, StoreKind, TableKey};

fn table(
    size: u64,
    expire: Option<u64>,
    nopurge: bool,
    store: &[StoreKind],
) -> (StickTable, Instant) {
    let now = crate::test_clock::now();
    let config = StickTableConfig {
        key: TableKey::Ip,
        size,
        expire: expire.map(Duration::from_secs),
        nopurge,
        store: store.to_vec(),
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
    assert_eq!(table.value(at(9), &ip(1), Column::Gpc0), Some(1));
    assert_eq!(table.value(at(12), &ip(2), Column::Gpc0), None);
    assert_eq!(table.value(at(18), &ip(1), Column::Gpc0), Some(1));
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
    table.count(start, &ip(1), Event::Connection);
    table.count(start, &ip(2), Event::Connection);
    assert_eq!(table.value(start, &ip(2), Column::ConnCur), None);
    let later = start + Duration::from_secs(5);
    assert_eq!(table.value(later, &ip(1), Column::ConnCur), Some(1));
    table.count(later, &ip(1), Event::ConnectionEnd);
    assert_eq!(table.len(later + Duration::from_secs(2)), 0);
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
        key: TableKey::Binary(4),
        size: 1,
        expire: None,
        nopurge: false,
        store: vec![],
    };
    let table = StickTable::new(&config, now);
    assert_eq!(table.key_of_bytes(b"ab"), table.key_of_bytes(b"ab\0\0"));
    assert_eq!(table.key_of_bytes(b"abcdef"), table.key_of_bytes(b"abcd"));
    assert_eq!(Key::from_bytes(&[0, 0xab]).to_string(), "00AB");
}
