//! `vrrp_script`: runs each one at its interval and judges its results (keepalived.conf(5), vrrp_script).
//!
//! [`Counter`] counts `rise` and `fall`. A run never overlaps the one before: a slow script is simply run less often.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use vrrp_fsm::track::{Counter, Health};

use super::command::{Command, Outcome};

/// A script as the runner needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Name in the file.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// Time between starts.
    pub interval: Duration,
    /// Longest run.
    pub timeout: Duration,
    /// Passes in a row that end a failure.
    pub rise: u32,
    /// Failures in a row that end passing.
    pub fall: u32,
    /// `init_fail`: counts as failed before its first run.
    pub init_fail: bool,
}

/// Runs a script for ever; `report` hears each turn of the verdict and the result that caused it.
pub async fn watch(script: Script, mut report: impl FnMut(bool, Option<&Outcome>)) {
    let mut counter = Counter::new(script.rise, script.fall);
    if script.init_fail {
        counter = counter.failed();
        report(false, None);
    }
    let mut ticks = interval(script.interval.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let outcome = script.command.run(script.timeout).await;
        if let Some(health) = counter.result(outcome.passed()) {
            report(health == Health::Up, Some(&outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc, time::Instant};

    use super::*;

    #[test]
    fn a_script_is_watched_and_a_slow_one_times_out_without_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let (flag, log) = (dir.path().join("flag"), dir.path().join("log"));
        std::fs::write(&flag, "").unwrap();
        let line = format!(
            "echo start >> {log}; test -e {flag} || sleep 60; echo end >> {log}",
            log = log.display(),
            flag = flag.display()
        );
        let script = Script {
            name: "check".to_owned(),
            command: Command {
                words: ["sh".to_owned(), "-c".to_owned(), line].into(),
                ..Command::default()
            },
            interval: Duration::from_millis(20),
            timeout: Duration::from_millis(400),
            rise: 1,
            fall: 1,
            init_fail: false,
        };
        let turns = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&turns);
        let removed = flag.clone();
        let watch = watch(script, move |passed, outcome| {
            if passed {
                std::fs::remove_file(&removed).unwrap();
            }
            seen.borrow_mut()
                .push((passed, outcome.map(ToString::to_string)));
        });
        let began = Instant::now();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                tokio::select! {
                    () = watch => {}
                    () = async {
                        while turns.borrow().len() < 2 {
                            assert!(began.elapsed() < Duration::from_secs(20));
                            tokio::task::yield_now().await;
                        }
                    } => {}
                }
            });
        assert_eq!(
            *turns.borrow(),
            [
                (true, Some("exit status 0".to_owned())),
                (false, Some("timed out".to_owned()))
            ]
        );
        let log = std::fs::read_to_string(log).unwrap();
        let mut running = 0;
        // The second run was killed and says no end; a third may have begun by now.
        for line in log.lines().take(3) {
            running += if line == "start" { 1 } else { -1 };
            assert!((0..=1).contains(&running), "{log}");
        }
    }
}
