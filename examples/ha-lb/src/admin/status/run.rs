//! How a script ended: of track scripts and of notify scripts.

use std::{
    os::unix::process::ExitStatusExt as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::supervisor::command::Outcome;

/// One run of a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Program and arguments.
    pub command: String,
    /// When it ended, in seconds since the UNIX epoch.
    pub at: f64,
    /// How long it took.
    pub took: f64,
    /// Whether it ended with exit status 0.
    pub passed: bool,
    /// How it ended, in words.
    pub outcome: String,
    /// Its exit status.
    #[serde(default)]
    pub exit: Option<i32>,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Whether it was ended because it took too long.
    #[serde(default)]
    pub timed_out: bool,
}

/// The notify scripts of an instance or sync group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notify {
    /// `instance` or `group`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Scripts that wait for the one that runs.
    pub waiting: usize,
    /// Scripts that were not run, since too many waited or the instance ended.
    #[serde(default)]
    pub dropped: u64,
    /// The script that runs.
    #[serde(default)]
    pub running: Option<String>,
    /// How long it has been running.
    #[serde(default)]
    pub running_for: Option<f64>,
    /// Scripts that have ended.
    pub runs: u64,
    /// Of these, with anything but exit status 0.
    pub failures: u64,
    /// The last one.
    #[serde(default)]
    pub last: Option<Run>,
    /// The last one that failed.
    #[serde(default)]
    pub last_failure: Option<Run>,
}

/// Alerts by mail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The mail server.
    pub server: String,
    /// Letters that wait.
    pub queued: usize,
    /// Letters that the server took.
    pub sent: u64,
    /// Letters that the server will never take.
    pub refused: u64,
    /// Letters that were given up because too many waited.
    pub dropped: u64,
    /// Attempts that failed and were to be repeated.
    pub retries: u64,
    /// Whether an attempt is under way.
    pub sending: bool,
    /// When the next attempt is made after one that failed.
    #[serde(default)]
    pub retry_in: Option<f64>,
    /// When the server last took one, in seconds since the UNIX epoch.
    #[serde(default)]
    pub last_sent_at: Option<f64>,
    /// Why the last attempt failed that did.
    #[serde(default)]
    pub last_error: Option<String>,
    /// When that was.
    #[serde(default)]
    pub last_error_at: Option<f64>,
}

impl Run {
    /// A run that ends now.
    pub fn of(words: &[String], outcome: &Outcome, took: Duration) -> Self {
        let status = match outcome {
            Outcome::Exited(status) => Some(status),
            Outcome::TimedOut | Outcome::Stuck | Outcome::NotStarted(_) => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            command: words.join(" "),
            at: now.unwrap_or_default().as_secs_f64(),
            took: took.as_secs_f64(),
            passed: outcome.passed(),
            outcome: outcome.to_string(),
            exit: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            timed_out: outcome.is_timeout(),
        }
    }
}
