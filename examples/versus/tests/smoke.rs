//! The race, the endurance run and the slow readers, briefly: every answer is verified by the program itself, so success says much.

use std::{path::Path, process::Command};

use serde_json::Value;

/// What cannot be raced here fails in CI and is skipped elsewhere.
fn obstacle() -> Option<&'static str> {
    let beside = Path::new(env!("CARGO_BIN_EXE_versus")).with_file_name("ha-lb");
    if !Path::new("/usr/sbin/haproxy").exists() {
        Some("haproxy is not installed")
    } else if !beside.exists() {
        Some("ha-lb is not built")
    } else {
        None
    }
}

#[test]
fn every_contender_answers_every_request() {
    if let Some(obstacle) = obstacle() {
        assert!(std::env::var_os("CI").is_none(), "{obstacle}");
        println!("skipped: {obstacle}");
        return;
    }
    let mut versus = Command::new(env!("CARGO_BIN_EXE_versus"));
    versus.args(["--seconds", "0.2", "--rounds", "1", "--json"]);
    let scenarios = ["h1-128", "h1-close", "tcp-1m", "tls-128", "servers-100"];
    for scenario in scenarios {
        versus.args(["--scenario", scenario]);
    }
    let output = versus.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcomes = report["scenarios"].as_array().unwrap();
    assert_eq!(outcomes.len(), scenarios.len());
    for outcome in outcomes {
        for lane in outcome["lanes"].as_array().unwrap() {
            let (name, rounds) = (&lane["contender"], &lane["rounds"]);
            if lane["absent"].is_string() {
                assert!(name == "floor" || name == "nginx", "{lane}");
                continue;
            }
            assert!(rounds[0]["requests"].as_u64() > Some(0), "{outcome}");
            assert!(
                rounds[0]["cpu_per_request"].as_f64() > Some(0.0),
                "{outcome}"
            );
        }
    }
}

#[test]
fn five_thousand_connections_of_every_kind_leave_nothing_behind() {
    let beside = Path::new(env!("CARGO_BIN_EXE_versus")).with_file_name("ha-lb");
    if !beside.exists() {
        assert!(std::env::var_os("CI").is_none(), "ha-lb is not built");
        println!("skipped: ha-lb is not built");
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_versus"))
        .args(["endurance", "--connections", "5000", "--at-once", "300"])
        .args(["--requests", "20000", "--alone"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{why}");
    assert_eq!(told.matches(" held ").count(), 12, "{told}");
}

/// What a request in progress holds as a rule (`lb_core::dataplane`), and what TLS adds, in bytes.
const AS_A_RULE: f64 = 90e3;
const OF_TLS: f64 = 40e3;
/// What a stream does whose client leaves it no window: next to nothing of its answer is taken from the server.
const WITHOUT_WINDOW: f64 = 50e3;

#[test]
fn slow_readers_cost_others_no_answer_and_end_by_their_timeout() {
    let beside = Path::new(env!("CARGO_BIN_EXE_versus")).with_file_name("ha-lb");
    if !beside.exists() {
        assert!(std::env::var_os("CI").is_none(), "ha-lb is not built");
        println!("skipped: ha-lb is not built");
        return;
    }
    let kinds = [
        ("h1-stuck", AS_A_RULE),
        ("tls-stuck", AS_A_RULE + OF_TLS),
        ("h2-stuck", WITHOUT_WINDOW),
        ("h2-wide-stuck", AS_A_RULE),
    ];
    let mut versus = Command::new(env!("CARGO_BIN_EXE_versus"));
    versus.args(["slow-readers", "--readers", "300", "--alone", "--json"]);
    versus.args(["--seconds", "0.5", "--timeout", "4", "--pace", "300"]);
    for (kind, _) in kinds {
        versus.args(["--kind", kind]);
    }
    let output = versus.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    // No ordinary request failed, each reader was ended by its timeout, no session is left.
    assert!(output.status.success(), "{told}{why}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (outcome, (kind, most)) in report.as_array().unwrap().iter().zip(kinds) {
        let lane = &outcome["lanes"][0];
        assert_eq!(outcome["kind"], kind);
        assert_eq!(lane["ended"]["states"]["cD--"], 300, "{lane}");
        let each = lane["bytes_per_reader"].as_f64().unwrap();
        println!("{kind}: {each:.0} bytes a reader");
        assert!(each < most, "{lane}");
    }
}
