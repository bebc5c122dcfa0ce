//! `vrrp_script`: runs each one at its interval and judges its results (keepalived.conf(5), vrrp_script).
//!
//! [`Counter`] counts `rise` and `fall`. A run never overlaps the one before: a slow script is simply run less often.
//! A run that takes too long counts as a failure at that moment, however long it takes to die.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use vrrp_fsm::track::{Counter, Health};

use super::{
    command::{Command, Outcome},
    tracks::News,
};
use crate::{admin::status, ipc::watched::Finding};

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

/// What has become of the runs so far, and who hears of it.
struct Judge<R> {
    counter: Counter,
    report: R,
}

impl<R: FnMut(News)> Judge<R> {
    fn take(&mut self, outcome: &Outcome) {
        if let Some(health) = self.counter.result(outcome.passed()) {
            let finding = Finding::from(health == Health::Up);
            (self.report)(News::Found(finding, outcome.to_string()));
        }
    }
}

/// Runs a script for ever; `report` hears of each run, and of each turn of the verdict with the result that caused it.
pub async fn watch(script: Script, report: impl FnMut(News)) {
    let counter = Counter::new(script.rise, script.fall);
    let mut judge = Judge { counter, report };
    if script.init_fail {
        judge.counter = counter.failed();
        (judge.report)(News::Found(Finding::Fails, "init_fail".to_owned()));
    }
    let mut ticks = interval(script.interval.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let began = Instant::now();
        let late = || judge.take(&Outcome::TimedOut);
        let (outcome, remains) = script.command.run_noting(script.timeout, late).await;
        if !outcome.is_timeout() {
            judge.take(&outcome);
        }
        let words = &script.command.words;
        let run = status::Run::of(words, &outcome, began.elapsed());
        (judge.report)(News::Ran(run, began + script.interval));
        // A process that cannot die is not joined by a second one.
        if let Some(mut process) = remains {
            let _ = process.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

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
            // Enough for the first run, wherever the machine stands still.
            timeout: Duration::from_secs(2),
            rise: 1,
            fall: 1,
            init_fail: false,
        };
        let turns = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&turns);
        let removed = flag.clone();
        let watch = watch(script, move |news| {
            if let News::Found(finding, how) = news {
                if finding == Finding::Passes {
                    std::fs::remove_file(&removed).unwrap();
                }
                seen.borrow_mut().push((finding, how));
            }
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
                (Finding::Passes, "exit status 0".to_owned()),
                (Finding::Fails, "timed out".to_owned())
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
