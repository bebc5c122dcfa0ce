//! Checks that talk: what is sent to a server and what it must answer, step by step (`tcp-check`, `http-check` and the
//! checks that speak a protocol of their own).
//!
//! A [`Script`] is the list of steps, [`Conversation`] the machine that walks it: `poll` says what is wanted next,
//! `received` and `ended` take what the server says.

mod conversation;
mod http;
mod live;
mod pattern;
mod protocols;
mod spop;
mod verdict;

#[cfg(test)]
mod tests;

use std::{net::IpAddr, ops::RangeInclusive};

pub use conversation::{Conversation, Known, Want};
pub use http::{FieldMatch, HttpPattern, Request, TextMatch};
pub use live::{Around, Formatted, Live, Slot, Source};
pub use pattern::{BadPattern, Pattern};
pub use protocols::MysqlLogin;
pub use verdict::Verdict;

use super::CheckStatus;
use crate::{config::Protocol, request::Assignment};

/// The steps of a check in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The steps. Without a leading [`Act::Connect`] the server is connected to as its line says.
    pub steps: Vec<Step>,
    /// A file's own `tcp-check` lines: failures name the step.
    pub is_written: bool,
    /// A server that is up and answers 404 wants no new streams: it passed, conditionally (`http-check disable-on-404`).
    pub disable_on_404: bool,
    /// Requests tell the server its state (`http-check send-state`).
    pub send_state: bool,
}

impl Script {
    /// Whether a step asks for TLS itself.
    pub fn asks_for_tls(&self) -> bool {
        let asks = |step: &Step| matches!(&step.act, Act::Connect(one) if one.tls.is_some());
        self.steps.iter().any(asks)
    }

    /// Whether variables matter to it.
    fn is_live(&self) -> bool {
        let live = |step: &Step| step.act.is_of_variables() || !step.live.is_empty();
        self.steps.iter().any(live)
    }

    /// The steps of a protocol's check.
    pub fn new(steps: Vec<Step>) -> Self {
        Self {
            steps,
            is_written: false,
            disable_on_404: false,
            send_state: false,
        }
    }

    /// A request and the statuses that are good.
    pub fn http(request: Request, good: Vec<RangeInclusive<u16>>) -> Self {
        let expect = Expect::new(Pattern::Http(HttpPattern::Status(good)));
        Self::of([Act::Request(request), Act::Expect(expect)])
    }

    fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        let steps = (1..).zip(acts).map(|(number, act)| Step {
            number,
            comment: None,
            act,
            live: Vec::new(),
        });
        Self::new(steps.collect())
    }
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
    /// Parts of it that are filled in when it is done.
    pub live: Vec<Live>,
}

impl Step {
    /// Whether that part of it is filled in.
    fn fills(&self, slot: Slot) -> bool {
        self.live.iter().any(|live| live.slot == slot)
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Opens a connection; an earlier one is closed.
    Connect(Connect),
    /// Sends bytes. What was received before is forgotten.
    Send(Vec<u8>),
    /// Sends a request. What was received before is forgotten.
    Request(Request),
    /// Waits for an answer.
    Expect(Expect),
    /// Sets a variable (`set-var`, `set-var-fmt`).
    Set(Assignment, Source),
    /// Removes a variable (`unset-var`).
    Unset(Assignment),
}

impl Act {
    /// Whether it opens a connection.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// Whether it is about variables alone.
    pub fn is_of_variables(&self) -> bool {
        matches!(self, Self::Set(..) | Self::Unset(_))
    }
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
    /// In this protocol, whatever the server's line says (`proto`).
    pub protocol: Option<Protocol>,
    /// Begins with a PROXY header.
    pub send_proxy: bool,
    /// Closes in order instead of by a reset.
    pub linger: bool,
    /// In TLS, whatever the server's line says of checks.
    pub tls: Option<StepTls>,
}

/// TLS of a step that asks for it (`connect ssl`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepTls {
    /// The name that is asked for.
    pub sni: Option<String>,
    /// Protocols that are offered, in order of preference.
    pub alpn: Vec<String>,
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
    /// The code of the result, in place of the server's (`status-code`).
    pub code: Option<u16>,
}

impl Expect {
    /// A pattern with the usual statuses.
    pub fn new(pattern: Pattern) -> Self {
        let is_of_head = matches!(&pattern, Pattern::Http(http) if http.is_of_head());
        Self {
            pattern,
            negated: false,
            min_recv: None,
            ok: CheckStatus::L7Ok,
            error: match is_of_head {
                true => CheckStatus::L7Status,
                false => CheckStatus::L7Response,
            },
            timeout: CheckStatus::L7Timeout,
            on_success: Report::Usual,
            on_error: Report::Usual,
            code: None,
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
    /// The version in the greeting of a MySQL server.
    MysqlVersion,
}
