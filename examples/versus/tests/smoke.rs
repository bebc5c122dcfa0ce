//! The race and the endurance run, briefly: every answer is verified by the program itself, so success says much.

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
