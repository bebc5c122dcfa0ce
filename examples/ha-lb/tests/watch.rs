//! `ha-lb status --watch` on a terminal that is smaller than the status: keys, sizes, and the terminal afterwards.
#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "the demonstration's terminal can do more")]
#[path = "demo/terminal.rs"]
mod terminal;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ha_lb::admin::status::{Backend, Server, Status};
use rustix::process::{Signal, kill_process};
use terminal::Terminal;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
/// Far more than a terminal has rows.
const SERVERS: usize = 50;

/// Answers every question with a backend of many servers; the number of answers stands in its name.
fn daemon(folder: &Path) -> PathBuf {
    let path = folder.join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let answers = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut asked = BufReader::new(stream);
            asked.read_line(&mut line).unwrap();
            let number = answers.fetch_add(1, Ordering::Relaxed);
            let server = |number| Server {
                name: format!("server{number:02}"),
                ..Server::default()
            };
            let status = Status {
                version: "1".to_owned(),
                backends: vec![Backend {
                    name: format!("answer{number}"),
                    servers: (0..SERVERS).map(server).collect(),
                    ..Backend::default()
                }],
                ..Status::default()
            };
            let document = serde_json::to_string(&status).unwrap();
            let _ = asked.into_inner().write_all(document.as_bytes());
        }
    });
    path
}

fn watch(control: &Path) -> Terminal {
    let control = control.to_str().unwrap();
    let arguments = ["status", "--watch=0.1", "--control", control];
    Terminal::run(Path::new(HA_LB), &arguments)
}

#[test]
fn a_status_larger_than_the_terminal_can_be_read_by_keys_while_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = watch(&daemon(folder.path()));
    let screen = terminal.wait_for("lines 1-23 of");
    assert!(screen.starts_with("ha-lb 1"), "{screen}");
    assert!(!screen.contains("server49"), "{screen}");
    terminal.press("j");
    let screen = terminal.wait_for("lines 2-24 of");
    assert!(!screen.contains("ha-lb 1"), "{screen}");
    terminal.press("\x1b[A");
    terminal.wait_for("lines 1-23 of");
    terminal.press("\x1b[6~");
    terminal.wait_for("lines 24-46 of");
    terminal.press("G");
    terminal.wait_for("server49");
    // It stays there while answers come.
    terminal.press("kkkkk");
    terminal.wait_until("line before the end", |screen| !screen.contains("server49"));
    let before = terminal.screen();
    terminal.press("g");
    let number = |screen: &str| {
        let words = screen.split("answer").nth(1)?;
        words.split(':').next()?.parse::<usize>().ok()
    };
    let first = terminal.wait_until("an answer", |screen| number(screen).is_some());
    terminal.wait_until("another answer", |screen| number(screen) > number(&first));
    assert!(before.contains("server44"), "{before}");

    // Higher: everything fits; lower again: it does not.
    terminal.resize(120, 80);
    let all = |screen: &str| {
        screen.contains("ha-lb 1") && screen.contains("server49") && !screen.contains("q: end")
    };
    terminal.wait_until("all of it", all);
    terminal.resize(80, 10);
    terminal.wait_for("lines 1-9 of");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.restored(), "{}", terminal.screen());
}

#[test]
fn the_terminal_is_as_it_was_after_a_signal_and_after_control_c() {
    let folder = tempfile::tempdir().unwrap();
    let control = daemon(folder.path());
    for how in ["SIGTERM", "\x03"] {
        let mut terminal = watch(&control);
        terminal.wait_for("lines 1-23 of");
        match how {
            "SIGTERM" => kill_process(terminal.pid(), Signal::TERM).unwrap(),
            key => terminal.press(key),
        }
        assert_eq!(terminal.end(), Some(0), "{how:?}");
        assert!(terminal.restored(), "{how:?}: {}", terminal.screen());
    }
}

#[test]
fn a_daemon_that_is_gone_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let control = daemon(folder.path());
    let mut terminal = watch(&control);
    terminal.wait_for("lines 1-23 of");
    std::fs::remove_file(&control).unwrap();
    terminal.wait_for("waiting for it");
    let again = tempfile::tempdir().unwrap();
    std::fs::rename(daemon(again.path()), &control).unwrap();
    terminal.wait_for("lines 1-23 of");
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.restored());
}
