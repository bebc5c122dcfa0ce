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
