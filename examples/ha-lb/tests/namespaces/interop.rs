//! The matrix beside Debian's keepalived: each way of speaking VRRP x everything that can happen; and some of it beside
//! FRRouting's vrrpd.
//!
//! A test is a row, a cell is one row and one column, and all cells of a row are played at once, each in a lab of its
//! own. In every cell a third host listens, and asks all the time who has the address. What is asserted: who holds the
//! addresses (in the kernels of all hosts, and as the third host hears it by ARP or neighbour discovery), when (not
//! before the protocol's time, and not later than [`LATE`](site::LATE) and what the [`gauge`] saw of the machine's load
//! after it), that nobody logged or counted a bogus packet, and that Wireshark's decoder finds nothing wrong with what
//! we sent.
//!
//! `INTEROP_CELL=words cargo test -p ha-lb --test namespaces interop -- --nocapture` plays only cells whose names have
//! those words in them.

mod cells;
mod decoder;
mod frames;
mod frr;
mod gauge;
mod midlife;
mod options;
mod permits;
mod protocol;
mod site;
mod three;
mod timeline;
mod witness;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Needs, enclosed};
use cells::Story;
use gauge::Gauge;
use protocol::{Protocol, Transport};
use site::{OURS, Outcome, Setting, THEIRS};

const KEEPALIVED: &str = "keepalived";

/// A cell that failed among all others is played again alone: beside dozens of programs the peer, whose punctuality is
/// not what is judged, may be kept from a processor for longer than the protocol waits. Those that failed while the
/// machine stood still are played again, too. So often in all.
const ROUNDS: usize = 5;
/// Where more fail at once, it is not for want of a processor. After a standstill of the machine they are played at
/// once.
const FEW: usize = 4;

/// The rows.
const V2: Protocol = Protocol {
    name: "v2",
    version: 2,
    auth: None,
    transport: Transport::Multicast,
    ipv6: false,
};
const V2_PASS: Protocol = Protocol {
    name: "v2 PASS",
    auth: Some(("PASS", "serviceA")),
    ..V2
};
const V2_AH: Protocol = Protocol {
    name: "v2 AH",
    auth: Some(("AH", "viettq")),
    ..V2
};
const V2_AH_UNICAST: Protocol = Protocol {
    name: "v2 AH unicast",
    transport: Transport::Unicast,
    ..V2_AH
};
const V3: Protocol = Protocol {
    name: "v3",
    version: 3,
    ..V2
};
const V3_UNICAST: Protocol = Protocol {
    name: "v3 unicast",
    transport: Transport::Unicast,
    ..V3
};
const V3_IPV6: Protocol = Protocol {
    name: "v3 IPv6",
    ipv6: true,
    ..V3
};
const V3_IPV6_UNICAST: Protocol = Protocol {
    name: "v3 IPv6 unicast",
    transport: Transport::Unicast,
    ..V3_IPV6
};

/// The columns, for every row.
const COLUMNS: [(&str, Story); 8] = [
    ("Active", cells::active),
    ("orderly stop", cells::orderly_stop),
    ("silent death", cells::silent_death),
    ("carrier loss", cells::carrier_loss),
    ("preempt", cells::preempt),
    ("nopreempt", cells::nopreempt),
    ("equal priority tie", cells::tie),
    ("two masters meet", cells::heal),
];
/// More for rows with sequence numbers.
const AH_COLUMNS: [(&str, Story); 3] = [
    ("restart", cells::restart),
    ("restart of the Backup", cells::restart_of_the_backup),
    ("restart while parted", cells::restart_while_parted),
];

/// What is not for every row: protocol, what happens, and whom it is about.
const MORE: &[(Protocol, &str, Story, &[usize])] = {
    const BOTH: &[usize] = &[OURS, THEIRS];
    const ONE: &[usize] = &[OURS];
    &[
        (
            V3,
            "two keepalived follow us",
            three::two_keepalived_follow,
            ONE,
        ),
        (
            V3,
            "we between two keepalived",
            three::between_two_keepalived,
            ONE,
        ),
        (
            V3,
            "two of us follow keepalived",
            three::two_of_us_follow,
            ONE,
        ),
        (
            V2_AH,
            "two keepalived follow us",
            three::two_keepalived_follow,
            ONE,
        ),
        (
            V2_AH,
            "we between two keepalived",
            three::between_two_keepalived,
            ONE,
        ),
        (
            V3_UNICAST,
            "two of us follow keepalived",
            three::two_of_us_follow,
            ONE,
        ),
        (V2_AH, "reload", midlife::reload, BOTH),
        (V3, "reload", midlife::reload, BOTH),
        (V2, "a check with a weight", midlife::weight, BOTH),
        (V3, "a check with a weight", midlife::weight, BOTH),
        (V3, "--dont-release-vrrp", midlife::dont_release, &[THEIRS]),
        (V3, "mixed intervals", options::mixed_intervals, BOTH),
        (V3, "v3_checksum_as_v2", options::other_checksums, ONE),
        (
            V3,
            "v3_checksum_as_v2, preferred",
            options::dropped_checksums,
            ONE,
        ),
        (V3, "skip_check_adv_addr", options::skip_check, BOTH),
        (
            V3,
            "keepalived has fewer addresses",
            options::fewer_addresses,
            ONE,
        ),
        (
            V3,
            "keepalived has fewer addresses, and follows",
            options::more_addresses,
            ONE,
        ),
        (
            V3_UNICAST,
            "a TTL that is wanted",
            options::wanted_ttl,
            BOTH,
        ),
        (
            V3_UNICAST,
            "a TTL that is not wanted",
            options::unwanted_ttl,
            ONE,
        ),
        (V3, "preempt_delay", options::preempt_delay, BOTH),
    ]
};

/// One cell: `who` is whom it is about.
#[derive(Clone)]
struct Cell {
    name: String,
    protocol: Protocol,
    story: Story,
    who: usize,
}

/// Plays all cells of a row.
fn row(test: &str, protocol: Protocol) {
    let columns = match protocol.auth {
        Some(("AH", _)) => [&COLUMNS[..], &AH_COLUMNS[..]].concat(),
        _ => COLUMNS.to_vec(),
    };
    let cells = columns.into_iter().flat_map(|(column, story)| {
        [OURS, THEIRS].map(|who| Cell::new(protocol, column, story, who))
    });
    play(test, KEEPALIVED, cells.collect());
}

impl Cell {
    fn new(protocol: Protocol, column: &str, story: Story, who: usize) -> Self {
        let whose = if who == OURS { "ours" } else { "keepalived's" };
        Self {
            name: format!("{}: {column}, {whose}", protocol.name),
            protocol,
            story,
            who,
        }
    }
}

fn play(test: &str, peer: &str, cells: Vec<Cell>) {
    let programs = ["unshare", "ip", "sysctl", "tshark", peer];
    let name = format!("interop::{test}");
    enclosed(&name, Needs::Namespaces, &programs, || {
        let wanted = std::env::var("INTEROP_CELL").unwrap_or_default();
        let mut cells = cells;
        cells.retain(|cell| cell.name.contains(&wanted));
        let scratch = tempfile::tempdir().unwrap();
        for round in 0..ROUNDS {
            let folder = scratch.path().join(round.to_string());
            let (failed, stood_still) = match round == 0 || cells.len() > FEW {
                true => play_at_once(&cells, &folder),
                false => play_one_by_one(&cells, &folder),
            };
            if failed.is_empty() {
                return;
            }
            let names: Vec<_> = failed.iter().map(|cell| &cell.name).collect();
            println!("failed: {names:#?}; the machine stood still for {stood_still:?}");
            let excused = stood_still > site::LATE || round == 0 && failed.len() <= FEW;
            let again = excused && round + 1 < ROUNDS;
            assert!(again, "these cells failed: {names:#?}");
            cells = failed;
        }
    });
}

/// As [`play_at_once`] does.
fn play_one_by_one(cells: &[Cell], scratch: &Path) -> (Vec<Cell>, Duration) {
    let mut failed = Vec::new();
    let mut longest = Duration::ZERO;
    for (number, cell) in cells.iter().enumerate() {
        let folder = scratch.join(number.to_string());
        let (again, stood_still) = play_at_once(std::slice::from_ref(cell), &folder);
        failed.extend(again);
        longest = longest.max(stood_still);
    }
    (failed, longest)
}

/// Returns those that failed, and how long the machine stood still at most.
fn play_at_once(cells: &[Cell], scratch: &Path) -> (Vec<Cell>, Duration) {
    let began = Instant::now();
    let unbuilt = Arc::new(AtomicUsize::new(cells.len()));
    site::ip(&["link", "set", "lo", "up"]);
    let gauge = Arc::new(Gauge::start());
    let start = |(number, cell): (usize, &Cell)| {
        let setting = Setting {
            protocol: cell.protocol,
            scratch: scratch.join(number.to_string()),
            unbuilt: Arc::clone(&unbuilt),
            gauge: Arc::clone(&gauge),
        };
        let (story, who) = (cell.story, cell.who);
        let thread = thread::Builder::new().name(cell.name.clone());
        thread.spawn(move || story(&setting, who)).unwrap()
    };
    let running: Vec<_> = cells.iter().enumerate().map(start).collect();
    // Namespaces go when nothing is measured any more.
    let ended: Vec<_> = running.into_iter().map(thread::JoinHandle::join).collect();
    let mut failed = Vec::new();
    for (cell, outcome) in cells.iter().zip(&ended) {
        match outcome {
            Ok(outcome) => held(cell, outcome, scratch),
            Err(_) => failed.push(cell.clone()),
        }
    }
    (failed, gauge.lock(began))
}

/// Prints what was measured; the frames of the row's first cell go to another decoder.
fn held(cell: &Cell, outcome: &Outcome, scratch: &Path) {
    for figure in &outcome.figures {
        let late = figure.took.as_secs_f64() - figure.theory.as_secs_f64();
        let (what, took) = (&figure.what, figure.took);
        println!("{}: {what}: {took:.3?}, {:+.1} ms", cell.name, late * 1e3);
    }
    if cell.name.ends_with(": Active, ours") {
        decoder::finds_nothing_wrong(&cell.protocol, &outcome.frames, scratch);
    }
}

#[test]
fn v2() {
    row("v2", V2);
}

#[test]
fn v2_pass() {
    row("v2_pass", V2_PASS);
}

#[test]
fn v2_ah() {
    row("v2_ah", V2_AH);
}

#[test]
fn v2_ah_unicast() {
    row("v2_ah_unicast", V2_AH_UNICAST);
}

#[test]
fn v3() {
    row("v3", V3);
}

#[test]
fn v3_unicast() {
    row("v3_unicast", V3_UNICAST);
}

#[test]
fn v3_ipv6() {
    row("v3_ipv6", V3_IPV6);
}

#[test]
fn v3_ipv6_unicast() {
    row("v3_ipv6_unicast", V3_IPV6_UNICAST);
}

/// Plays cells beside FRRouting's vrrpd.
#[test]
fn frr() {
    let rows = [V2, V3, V3_IPV6];
    let cells = rows.into_iter().flat_map(|protocol| {
        [
            ("FRRouting follows us", frr::follows_us as Story),
            ("FRRouting leads", frr::leads),
        ]
        .map(|(column, story)| Cell::new(protocol, column, story, OURS))
    });
    play("frr", "/usr/lib/frr/vrrpd", cells.collect());
}

#[test]
fn more() {
    let cells = MORE.iter().flat_map(|(protocol, column, story, whose)| {
        let cell = |who: &usize| Cell::new(*protocol, column, *story, *who);
        whose.iter().map(cell)
    });
    play("more", KEEPALIVED, cells.collect());
}
