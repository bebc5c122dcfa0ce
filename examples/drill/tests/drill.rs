//! Both drills in their short form. Their bars are for a machine that does little else: what is judged here is that a
//! cluster is built, struck and measured, and that nothing is lost that can never be.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;

use common::drill;

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
