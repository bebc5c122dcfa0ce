//! Checks that talk: what is sent to a server and what it must answer, step by step (`tcp-check` and the checks that
//! speak a protocol of their own).
//!
//! A [`Script`] is the list of steps, [`Conversation`] the machine that walks it: `poll` says what is wanted next,
//! `received` and `ended` take what the server says.

mod conversation;
mod pattern;
mod protocols;
mod verdict;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use conversation::{Conversation, Want};
pub use pattern::{BadPattern, Pattern};
pub use protocols::MysqlLogin;
pub use verdict::Verdict;

use super::CheckStatus;

/// The steps of a check in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The steps. Without a leading [`Act::Connect`] the server is connected to as its line says.
    pub steps: Vec<Step>,
    /// A file's own `tcp-check` lines: failures name the step.
    pub is_written: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Number in messages, from 1.
    pub number: u32,
    /// What messages add when it fails.
    pub comment: Option<String>,
    /// What is done.
    pub act: Act,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Opens a connection; an earlier one is closed.
    Connect(Connect),
    /// Sends bytes. What was received before is forgotten.
    Send(Vec<u8>),
    /// Waits for an answer.
    Expect(Expect),
}

/// How a connection is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// Another port than that of the server's check.
    pub port: Option<u16>,
    /// Another address.
    pub addr: Option<IpAddr>,
    /// With the options of the server's line (TLS).
    pub as_server: bool,
    /// Closes in order instead of by a reset.
    pub linger: bool,
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// What is looked for.
    pub pattern: Pattern,
    /// It must not be there (`!`).
    pub negated: bool,
    /// Bytes to wait for first; the answer is then judged as it is, and not awaited further.
    pub min_recv: Option<usize>,
    /// Status when the check ends well here.
    pub ok: CheckStatus,
    /// Status when the answer is wrong.
    pub error: CheckStatus,
    /// Status when the answer takes too long.
    pub timeout: CheckStatus,
    /// What a check that ends well here says.
    pub on_success: Report,
    /// What a wrong answer is reported by.
    pub on_error: Report,
}

impl Expect {
    /// A pattern with the usual statuses.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            negated: false,
            min_recv: None,
            ok: CheckStatus::L7Ok,
            error: CheckStatus::L7Response,
            timeout: CheckStatus::L7Timeout,
            on_success: Report::Usual,
            on_error: Report::Usual,
        }
    }
}

/// The words of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// What the step looked for.
    Usual,
    /// These words.
    Text(String),
    /// The answer from this byte on, to the end of its first line.
    Line(usize),
    /// `250 text`: the number as code, the text behind it.
    Reply,
}
