//! Both drills in their short form. Their bars are for a machine that does little else: what is judged here is that a
//! cluster is built, struck and measured, and that nothing is lost that can never be.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::process::Command;

use ha_lb::lab::enclosure;
use serde_json::Value;

fn drill(arguments: &[&str]) -> Option<Value> {
    let permitted = enclosure::permitted(false).or_else(|_| enclosure::permitted(true));
    if let Err(error) = permitted {
        assert!(std::env::var_os("CI").is_none(), "{error}");
        println!("skipped: {error}");
        return None;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_drill"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let document = serde_json::from_str(&text);
    let told = String::from_utf8_lossy(&output.stderr);
    Some(document.unwrap_or_else(|error| panic!("{error}: {text}\n{told}")))
}

#[test]
fn a_killed_speaker_is_measured() {
    let arguments = [
        "kill",
        "--json",
        "--setup",
        "v3-100ms-fault",
        "--case",
        "kill speaker",
    ];
    let Some(document) = drill(&arguments) else {
        return;
    };
    let case = &document["cases"][0];
    assert_eq!(case["name"], "kill speaker");
    let round = &case["rounds"][0];
    assert_eq!(
        round["doubles"].as_array().unwrap().len(),
        0,
        "{document:#}"
    );
    assert!(round["last_answer"].is_object(), "{document:#}");
    assert!(round["silence"]["nanos"].as_u64().unwrap() > 0);
}

#[test]
fn no_request_is_lost_by_a_reload() {
    let Some(document) = drill(&["reload", "--json", "--rounds", "3"]) else {
        return;
    };
    let clients = document["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 3);
    for client in clients {
        assert_eq!(client["failed"], 0, "{document:#}");
        assert_eq!(client["refused"], 0, "{document:#}");
        assert!(client["answers"].as_u64().unwrap() >= 1500, "{document:#}");
    }
}
