//! Replays the fuzz corpus of the repository on the bodies of the fuzz targets, those of the library crates included.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs, path::PathBuf};

type Body = fn(&[u8]);

/// Every fuzz target and its body.
const TARGETS: [(&str, Body); 13] = [
    ("advert_parse", vrrp_proto::fuzzing::advertisement),
    ("ah_open", vrrp_proto::fuzzing::authentication_header),
    ("auth_hmac", vrrp_proto::fuzzing::auth_hmac),
    ("bfd", ha_lb::bfd::fuzzing::packets),
    ("dns", lb_core::fuzzing::dns),
    ("event_lists", vrrp_fsm::fuzzing::event_lists),
    ("haproxy_conf", ha_lb::config::fuzzing::haproxy),
    ("http1", lb_core::fuzzing::http1),
    ("http2", lb_core::fuzzing::http2),
    ("keepalived_conf", ha_lb::config::fuzzing::keepalived),
    ("peers", lb_core::fuzzing::peers),
    ("proxy_protocol", lb_core::fuzzing::proxy_header),
    ("rules", lb_core::fuzzing::rules),
];

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"))
}

fn replay(target: &str, body: Body) {
    let mut count = 0;
    for entry in fs::read_dir(corpus().join(target)).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        body(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{target} is empty");
}

#[test]
fn every_target_is_replayed() {
    let folders: BTreeSet<String> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(folders, targets);
}

#[test]
fn every_target_holds_for_its_corpus() {
    for (target, body) in TARGETS {
        replay(target, body);
    }
}
