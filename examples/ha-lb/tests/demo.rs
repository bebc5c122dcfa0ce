//! The README's first command: every gap holds, and nothing stays behind, however it ends.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ha_lb::lab::enclosure;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// Whether this machine lets the demonstration run; with `CI` set it must.
fn possible(name: &str) -> bool {
    let permitted = enclosure::permitted(false).or_else(|_| enclosure::permitted(true));
    if let Err(error) = &permitted {
        assert!(std::env::var_os("CI").is_none(), "{name}: {error}");
        println!("{name}: skipped: {error}");
    }
    permitted.is_ok()
}

/// Process ids of the machine that run `program`.
fn processes(program: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program))
        .collect()
}

#[test]
fn every_gap_holds() {
    if !possible("every_gap_holds") {
        return;
    }
    let output = Command::new(HA_LB)
        .args(["demo", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let story: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(story["held"], true);
    let events = story["events"].as_array().unwrap();
    assert_eq!(events.len(), 4, "{text}");
    for event in events {
        let origins = event["by_origin"].as_object().unwrap();
        assert_eq!(origins.len(), 3, "requests go to every origin: {event}");
    }
}

#[test]
fn a_killed_demonstration_leaves_nothing_behind() {
    if !possible("a_killed_demonstration_leaves_nothing_behind") {
        return;
    }
    // A program file of its own tells its processes from those of other tests.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("demo-that-is-killed");
    fs::copy(HA_LB, &program).unwrap();
    let mut demo = Command::new(&program)
        .arg("demo")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("holds 10.77.0.10")),
        "it begins"
    );
    assert!(
        processes(&program).len() > 9,
        "three hosts run three processes each"
    );
    demo.kill().unwrap();
    demo.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while let left = processes(&program)
        && !left.is_empty()
    {
        assert!(Instant::now() < deadline, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
