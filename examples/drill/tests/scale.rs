//! Short forms of the drills with many virtual routers. The bounds are for a machine with all of its processors busy
//! and a build for tests; the long forms and their figures are in the README.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;

use std::sync::{Mutex, PoisonError};

use common::drill;
use serde_json::Value;

/// Floods of one drill are no business of another, whose routers would wait for a processor.
static ALONE: Mutex<()> = Mutex::new(());

fn longest(times: &Value) -> f64 {
    let times = times.as_array().unwrap().iter();
    times.map(seconds).fold(0.0, f64::max)
}

fn seconds(time: &Value) -> f64 {
    time["secs"].as_f64().unwrap() + time["nanos"].as_f64().unwrap() / 1e9
}

#[test]
fn a_silent_death_is_followed_at_once_by_an_advert_and_an_announcement() {
    let arguments = [
        "race",
        "--json",
        "--rounds",
        "2",
        "--instances",
        "1",
        "--interval",
        "100",
        "--speaker",
        "ha-lb",
    ];
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(document) = drill(&arguments) else {
        return;
    };
    let deaths = &document["deaths"][0];
    assert_eq!(deaths["missing"], serde_json::json!([0, 0]), "{document:#}");
    assert_eq!(deaths["early"], 0, "{document:#}");
    // 0.3 and 1 ms are the bars where nothing else runs; a processor's queue is what is allowed for here. Later than an
    // interval would be what another Backup of a lower priority takes for a death.
    assert!(longest(&deaths["takeover"]) < 0.1, "{document:#}");
    assert!(longest(&deaths["announcement"]) < 0.1, "{document:#}");
}

/// A run in which the machine itself stood still for an interval says nothing of the routers: it is held once more.
const ATTEMPTS: usize = 3;
/// Seconds between two adverts of a router.
const INTERVAL: f64 = 0.2;

#[test]
fn hundreds_of_routers_stay_where_they_are() {
    let arguments = [
        "instances",
        "--json",
        "--seconds",
        "3",
        "--interval",
        "200",
        "--quiet",
        "--speaker",
        "ha-lb",
    ];
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let held = (0..ATTEMPTS).find_map(|attempt| {
        let document = drill(&arguments)?;
        let stood_still = seconds(&document["runs"][0]["stood_still"]) > INTERVAL;
        (!stood_still || attempt + 1 == ATTEMPTS).then_some(document)
    });
    let Some(document) = held else {
        return;
    };
    let run = &document["runs"][0];
    assert_eq!(run["plan"]["instances"], 250);
    assert_eq!(run["settled"], true, "{document:#}");
    assert_eq!(run["spurious"], 0, "{document:#}");
    // 250 adverts every 200 ms for three seconds.
    assert!(run["adverts"].as_u64().unwrap() > 3500, "{document:#}");
}

#[test]
fn garbage_is_rejected_and_accounted_for_and_nobody_flips() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(document) = drill(&["garbage", "--json", "--count", "120000"]) else {
        return;
    };
    let outcomes = document.as_array().unwrap();
    assert_eq!(outcomes.len(), 6, "each kind of advert: {document:#}");
    nothing_was_missed(outcomes);
}

#[test]
fn strangers_are_accounted_for_and_nobody_flips() {
    let arguments = [
        "garbage",
        "--json",
        "--wire",
        "v3",
        "--count",
        "60000",
        "--strangers",
        "50",
    ];
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(document) = drill(&arguments) else {
        return;
    };
    nothing_was_missed(document.as_array().unwrap());
}

fn nothing_was_missed(outcomes: &[Value]) {
    for outcome in outcomes {
        let missed = outcome["missed"].as_array().unwrap();
        assert!(missed.is_empty(), "{outcome:#}");
    }
}
