use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{CheckReport, CheckStatus, Event, Monitor, Pace, ProbeResult};
use crate::config::CheckConfig;

fn config() -> CheckConfig {
    CheckConfig::default()
}

fn result(status: CheckStatus) -> ProbeResult {
    ProbeResult {
        status,
        code: None,
        duration: Duration::from_millis(1),
        detail: Arc::from(""),
    }
}

const OK: CheckStatus = CheckStatus::L4Ok;
const BAD: CheckStatus = CheckStatus::L4Connection;

/// Runs one probe at its time; returns that time.
fn probe(monitor: &mut Monitor, status: CheckStatus) -> Instant {
    let at = monitor.next_deadline().expect("waiting");
    monitor.handle(at, Event::Timeout);
    assert!(monitor.poll_probe().is_some());
    assert_eq!(monitor.poll_probe(), None);
    assert_eq!(monitor.next_deadline(), None);
    monitor.handle(at, Event::ProbeDone(result(status)));
    at
}

#[test]
fn health_rises_and_falls_as_counted() {
    let start = crate::test_clock::now();
    let mut monitor = Monitor::new(config(), Pace::default(), start);
    assert_eq!(monitor.report().health, 2);
    assert!(monitor.report().is_up());
    // The first result counts as it is; then three failures bring down and two successes up.
    for (status, health, up) in [
        (OK, 4, true),
        (BAD, 3, true),
        (BAD, 2, true),
        (OK, 4, true),
        (BAD, 3, true),
        (BAD, 2, true),
        (BAD, 0, false),
        (OK, 1, false),
        (BAD, 0, false),
        (OK, 1, false),
        (OK, 4, true),
    ] {
        probe(&mut monitor, status);
        let report = monitor.report();
        assert_eq!((report.health, report.is_up()), (health, up));
    }
    let mut dead = Monitor::new(config(), Pace::default(), start);
    probe(&mut dead, BAD);
    assert!(!dead.report().is_up());
}

#[test]
fn a_probe_that_says_nothing_leaves_the_last_result_as_it_was() {
    let start = crate::test_clock::now();
    let mut monitor = Monitor::new(config(), Pace::default(), start);
    probe(&mut monitor, BAD);
    let before = monitor.report().clone();
    let at = probe(&mut monitor, CheckStatus::Unknown);
    assert_eq!(*monitor.report(), before);
    assert!(monitor.next_deadline() > Some(at));
}

#[test]
fn the_interval_follows_the_state() {
    let start = crate::test_clock::now();
    let timing = CheckConfig {
        fastinter: Some(Duration::from_secs(1)),
        downinter: Some(Duration::from_secs(10)),
        ..config()
    };
    let mut monitor = Monitor::new(timing, Pace::default(), start);
    let mut waits = Vec::new();
    for status in [OK, BAD, BAD, BAD, OK, OK, OK] {
        let at = probe(&mut monitor, status);
        waits.push((monitor.next_deadline().unwrap() - at).as_secs());
    }
    assert_eq!(waits, [2, 1, 1, 10, 1, 2, 2]);
}

#[test]
fn a_slow_probe_is_followed_at_once_and_a_pause_drops_its_result() {
    let start = crate::test_clock::now();
    let mut monitor = Monitor::new(config(), Pace::default(), start);
    monitor.handle(start, Event::Timeout);
    assert!(monitor.poll_probe().is_some());
    let late = start + Duration::from_secs(5);
    monitor.handle(late, Event::ProbeDone(result(OK)));
    assert_eq!(
        monitor.next_deadline(),
        Some(late + Duration::from_millis(1))
    );

    monitor.handle(late + Duration::from_secs(1), Event::Timeout);
    assert!(monitor.poll_probe().is_some());
    monitor.handle(late, Event::Pause);
    assert_eq!(monitor.next_deadline(), None);
    monitor.handle(late, Event::ProbeDone(result(BAD)));
    assert_eq!(monitor.report().health, 4);
    monitor.handle(late, Event::Resume);
    assert!(monitor.poll_probe().is_some());
}

#[test]
fn timeouts_are_those_of_the_backend() {
    let start = crate::test_clock::now();
    let mut plain = Monitor::new(config(), Pace::default(), start);
    plain.handle(start, Event::Timeout);
    let probe = plain.poll_probe().unwrap();
    assert_eq!(probe.connect_timeout, Duration::from_secs(2));
    let pace = Pace {
        connect_timeout: Some(Duration::from_secs(1)),
        check_timeout: Some(Duration::from_secs(10)),
        ..Pace::default()
    };
    let mut paced = Monitor::new(config(), pace, start);
    paced.handle(start, Event::Timeout);
    let probe = paced.poll_probe().unwrap();
    assert_eq!(probe.connect_timeout, Duration::from_secs(1));
    assert_eq!(probe.read_timeout, Duration::from_secs(10));
}

#[test]
fn first_probes_are_spread_over_the_interval() {
    let start = crate::test_clock::now();
    let shortest = Duration::from_secs(2);
    let at = |n| Monitor::first_probe(start, shortest, n, 4) - start;
    assert_eq!([at(0), at(1), at(3)].map(|d| d.as_millis()), [0, 500, 1500]);
}

#[test]
fn words_and_numbers_are_those_of_statistics() {
    let report = CheckReport::initial(&config());
    assert_eq!(report.result.status.word(), "INI");
    assert_eq!(report.result.status as u8, 1);
    for (status, number, word, result) in [
        (CheckStatus::L4Ok, 6, "L4OK", 3),
        (CheckStatus::L4Connection, 8, "L4CON", 2),
        (CheckStatus::L7Timeout, 12, "L7TOUT", 2),
        (CheckStatus::L7Ok, 15, "L7OK", 3),
        (CheckStatus::L7OkConditional, 16, "L7OKC", 4),
        (CheckStatus::L7Status, 17, "L7STS", 2),
        (CheckStatus::ProgramError, 18, "PROCERR", 2),
        (CheckStatus::ProgramTimeout, 19, "PROCTOUT", 2),
        (CheckStatus::ProgramOk, 20, "PROCOK", 3),
        (CheckStatus::Initializing, 1, "INI", 0),
    ] {
        assert_eq!(
            (status as u8, status.word(), status.result_number()),
            (number, word, result)
        );
    }
}

#[test]
fn what_a_server_says_of_itself_ends_no_line_of_the_log() {
    let mut said = result(BAD);
    said.detail = Arc::from("a \"b\"\r\n\u{1}\u{e9}");
    assert!(
        said.to_string()
            .contains(", info: \"a <22>b<22><0D><0A><01><C3><A9>\", ")
    );
}

proptest! {
    #[test]
    fn deadlines_advance_and_health_stays_in_range(
        steps in prop::collection::vec((0u8..5, 0u64..4000), 1..100),
        spread in 0u8..60,
    ) {
        let mut now = crate::test_clock::now();
        let pace = Pace { spread_percent: spread, seed: 3, ..Pace::default() };
        let mut monitor = Monitor::new(config(), pace, now);
        for (step, ms) in steps {
            now += Duration::from_millis(ms);
            let event = match step {
                0 => Event::ProbeDone(result(OK)),
                1 => Event::ProbeDone(result(BAD)),
                2 => Event::Pause,
                3 => Event::Resume,
                _ => Event::Timeout,
            };
            let fired = event == Event::Timeout;
            monitor.handle(now, event);
            if fired {
                let _ = monitor.poll_probe();
                prop_assert!(monitor.next_deadline().is_none_or(|at| at > now));
            }
            prop_assert!(monitor.report().health <= 4);
        }
    }
}
