//! The README's first command: everything holds, the screen shows it, and nothing stays behind, however it ends.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "demo/terminal.rs"]
mod terminal;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use ha_lb::lab::enclosure;
use rustix::process::{Pid, Signal, kill_process};
use terminal::Terminal;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// Two that measure what clients wait would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

/// Whether this machine lets the demonstration run; with `CI` set it must.
fn possible(name: &str) -> bool {
    let permitted = enclosure::permitted(false).or_else(|_| enclosure::permitted(true));
    if let Err(error) = &permitted {
        assert!(std::env::var_os("CI").is_none(), "{name}: {error}");
        println!("{name}: skipped: {error}");
    }
    permitted.is_ok()
}

/// A program file of its own, which tells its processes from those of other tests.
struct Program {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo-of-one-test");
        // By another process: a child that this one forks for another test meanwhile would hold the copy open for
        // writing, and it could not be executed.
        let copied = Command::new("cp").arg(HA_LB).arg(&path).status();
        assert!(copied.unwrap().success());
        Self {
            path,
            _folder: folder,
        }
    }

    /// Process ids of the machine that run it.
    fn processes(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let runs = |path: &Path| fs::read_link(path.join("exe")).is_ok_and(|exe| exe == self.path);
        entries
            .map(|entry| entry.path())
            .filter(|path| runs(path))
            .collect()
    }

    fn nothing_stays_behind(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while let left = self.processes()
            && !left.is_empty()
        {
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn every_step_of_the_story_holds() {
    if !possible("every_step_of_the_story_holds") {
        return;
    }
    let _alone = ALONE.lock();
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
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["kind"].as_str().unwrap(),
                event["active"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("nothing", "lb1"),
            ("origin_killed", "lb1"),
            ("origin_started", "lb1"),
            ("balancer_killed", "lb1"),
            ("reloaded", "lb1"),
            ("cable_cut", "lb2"),
            ("cable_mended", "lb1"),
            ("host_killed", "lb2"),
            ("host_started", "lb1"),
            ("host_stopped", "lb2"),
            ("host_failed", "lb3"),
            ("healed", "lb1"),
        ]
    );
    for event in events {
        println!(
            "{}: waited {} ms, allowed {} ms, failed {}",
            event["what"], event["gap_ms"], event["allowed_ms"], event["failed"]
        );
    }
    // An outage that the client did not see would mean that the client sees nothing.
    for silent in ["cable_cut", "host_killed", "host_failed"] {
        let event = events.iter().find(|event| event["kind"] == silent).unwrap();
        assert!(event["gap_ms"].as_u64().unwrap() > 700, "{event}");
        assert!(
            event["failures"]["silent"].as_u64().unwrap() > 10,
            "{event}"
        );
    }
    let origins = |kind: &str| {
        let event = events.iter().find(|event| event["kind"] == kind).unwrap();
        let by_origin = event["by_origin"].as_object().unwrap();
        by_origin.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(origins("nothing"), ["web1", "web2", "web3"]);
    assert_eq!(origins("reloaded"), ["web1", "web2", "web3", "web4"]);
}

#[test]
fn a_killed_demonstration_leaves_nothing_behind() {
    if !possible("a_killed_demonstration_leaves_nothing_behind") {
        return;
    }
    let program = Program::new();
    let mut demo = Command::new(&program.path)
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
        program.processes().len() > 9,
        "three hosts run three processes each"
    );
    demo.kill().unwrap();
    demo.wait().unwrap();
    program.nothing_stays_behind();
}

#[test]
fn a_person_breaks_and_heals_it_on_a_screen_that_is_given_back() {
    if !possible("a_person_breaks_and_heals_it_on_a_screen_that_is_given_back") {
        return;
    }
    let _alone = ALONE.lock();
    let program = Program::new();
    let mut terminal = Terminal::run(&program.path, &["demo", "--interactive"]);
    terminal.wait_for("lb1 holds it");
    terminal.wait_for("everything is in your hands");
    assert!(terminal.alternate(), "it has a screen of its own");
    let screen = terminal.wait_for("none failed");
    for host in [
        "lb1",
        "lb2",
        "lb3",
        "● Active 10.77.0.10",
        "○ Backup",
        "web1 ●",
        "c cut cable",
    ] {
        assert!(screen.contains(host), "{host} is missing:\n{screen}");
    }

    terminal.press("c");
    terminal.wait_for("╳ cable cut");
    terminal.wait_for("lb2 holds it");
    terminal.wait_for("✓ lb1's cable is cut");
    terminal.press("s");
    terminal.wait_for("web1 ✕");
    terminal.wait_for("✓ web1 dies");
    terminal.resize(40, 10);
    terminal.wait_for("too small");
    terminal.resize(120, 40);
    terminal.wait_for("lb2 holds it");
    terminal.press("h");
    terminal.wait_for("lb1 holds it");
    terminal.wait_for("✓ all are brought back");

    terminal.press("q");
    assert_eq!(
        terminal.end(),
        Some(0),
        "everything held:\n{}",
        terminal.screen()
    );
    assert!(terminal.restored(), "{}", terminal.screen());
    let screen = terminal.screen();
    for row in [
        "lb1's cable is cut",
        "web1 dies",
        "all are brought back",
        "Everything held.",
    ] {
        assert!(screen.contains(row), "the table lacks {row}:\n{screen}");
    }
    program.nothing_stays_behind();
}

#[test]
fn what_does_not_hold_is_shown_and_is_the_exit_code() {
    if !possible("what_does_not_hold_is_shown_and_is_the_exit_code") {
        return;
    }
    let _alone = ALONE.lock();
    let program = Program::new();
    let mut terminal = Terminal::run(&program.path, &["demo"]);
    terminal.wait_for("step 1 of 12");
    // Nothing is announced to fail in the first step, so this is the cluster's fault as far as the story knows.
    let balancers: Vec<_> = program
        .processes()
        .iter()
        .filter(|path| {
            fs::read(path.join("cmdline")).is_ok_and(|line| line.ends_with(b"balancer\0"))
        })
        .filter_map(|path| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?))
        .collect();
    assert_eq!(balancers.len(), 3);
    for balancer in &balancers {
        kill_process(*balancer, Signal::STOP).unwrap();
    }
    terminal.wait_until("a failed request", |screen| {
        let words: Vec<_> = screen.split_whitespace().collect();
        let mut pairs = words.iter().zip(words.iter().skip(1));
        pairs.any(|(count, word)| *word == "failed" && count.parse().is_ok_and(|n: u64| n > 0))
    });
    for balancer in &balancers {
        // The daemon may have ended it as hung by now.
        let _ = kill_process(*balancer, Signal::CONT);
    }
    terminal.wait_for("✕ nothing fails");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(1));
    let screen = terminal.screen();
    assert!(screen.contains("NOT HELD"), "{screen}");
    assert!(screen.contains("Not everything held."), "{screen}");
    program.nothing_stays_behind();
}

#[test]
fn the_terminal_is_given_back_on_signals_and_when_the_cluster_dies() {
    if !possible("the_terminal_is_given_back_on_signals_and_when_the_cluster_dies") {
        return;
    }
    let begun = || {
        let program = Program::new();
        let mut terminal = Terminal::run(&program.path, &["demo"]);
        terminal.wait_for("step 1 of 12");
        (program, terminal)
    };
    let (program, mut terminal) = begun();
    kill_process(terminal.pid(), Signal::TERM).unwrap();
    assert_eq!(terminal.end(), Some(128 + 15));
    assert!(terminal.restored(), "after SIGTERM");
    program.nothing_stays_behind();

    let (program, mut terminal) = begun();
    terminal.press("\u{3}");
    assert_eq!(terminal.end(), Some(0), "Ctrl-C is a way to leave");
    assert!(terminal.restored(), "after Ctrl-C");
    program.nothing_stays_behind();

    let (program, mut terminal) = begun();
    let unshare = terminal.children().first().copied().unwrap();
    kill_process(unshare, Signal::KILL).unwrap();
    assert_eq!(terminal.end(), Some(1), "the story was not told to its end");
    assert!(terminal.restored(), "after the cluster died");
    let screen = terminal.screen();
    assert!(screen.contains("the inner process ended early"), "{screen}");
    program.nothing_stays_behind();
}

#[test]
fn without_a_terminal_there_are_lines_and_no_keys() {
    let output = Command::new(HA_LB)
        .args(["demo", "--interactive"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("needs a terminal"), "{told}");
}
