//! The machine that walks a script.

use super::{
    Act, Connect, Expect, Pattern, Script, Step, Verdict,
    protocols::{self, Judged},
    verdict,
};
use crate::health::CheckStatus;

/// Most bytes of an answer that are looked at (`tune.bufsize`).
const ANSWER: usize = 16_384;

/// What a conversation wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Want<'s> {
    /// A connection; `None` as the server's line says. The one before is closed.
    Connect(Option<&'s Connect>),
    /// These bytes sent.
    Send(&'s [u8]),
    /// Bytes of the server, or its end.
    Receive,
    /// Nothing: this is the result.
    Done(Verdict),
}

/// A check in progress.
#[derive(Debug, Clone)]
pub struct Conversation<'s> {
    script: &'s Script,
    /// The next step.
    at: usize,
    /// The step that was done last.
    last: Option<&'s Step>,
    connected: bool,
    secure: bool,
    answer: Vec<u8>,
    has_read: bool,
    ended: bool,
}

impl<'s> Conversation<'s> {
    /// A check that begins. `secure` if servers are spoken to in TLS.
    pub fn new(script: &'s Script, secure: bool) -> Self {
        Self {
            script,
            at: 0,
            last: None,
            connected: false,
            secure,
            answer: Vec::new(),
            has_read: false,
            ended: false,
        }
    }

    /// What to do now. Whatever it is, is taken for done with the next call.
    pub fn poll(&mut self) -> Want<'s> {
        loop {
            let step = self.script.steps.get(self.at);
            if !self.connected && !matches!(step.map(|s| &s.act), Some(Act::Connect(_))) {
                self.connected = true;
                return Want::Connect(None);
            }
            let Some(step) = step else {
                return Want::Done(self.success());
            };
            match &step.act {
                Act::Connect(connect) => {
                    self.step_over(step);
                    self.forget();
                    self.connected = true;
                    self.secure &= connect.as_server;
                    return Want::Connect(Some(connect));
                }
                Act::Send(bytes) => {
                    self.step_over(step);
                    self.forget();
                    return Want::Send(bytes);
                }
                Act::Expect(expect) => match self.judge(step, expect) {
                    Some(Ok(())) => self.step_over(step),
                    Some(Err(verdict)) => return Want::Done(verdict),
                    None => return Want::Receive,
                },
            }
        }
    }

    /// The server said something.
    pub fn received(&mut self, bytes: &[u8]) {
        self.has_read = true;
        let room = ANSWER.saturating_sub(self.answer.len());
        self.answer
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.ended |= self.answer.len() >= ANSWER;
    }

    /// The server ended.
    pub fn ended(&mut self) {
        self.has_read = true;
        self.ended = true;
    }

    /// What was wanted took too long. `connecting` if that was a connection.
    pub fn timed_out(&self, connecting: Option<CheckStatus>) -> Verdict {
        let step = self.step(connecting.is_some());
        let status = connecting.unwrap_or(match step.map(|step| &step.act) {
            Some(Act::Expect(expect)) => expect.timeout,
            _ => CheckStatus::L7Timeout,
        });
        Verdict::new(status, None, self.place(step))
    }

    /// What was wanted failed. `connecting` if that was a connection.
    pub fn failed(&self, status: CheckStatus, words: &str, connecting: bool) -> Verdict {
        let place = self.place(self.step(connecting));
        Verdict::new(status, None, format!("{words}{place}"))
    }

    fn place(&self, step: Option<&Step>) -> String {
        match self.script.is_written {
            true => verdict::place(step),
            false => String::new(),
        }
    }

    /// The step that is in progress: an expectation is not stepped over before it is met.
    fn step(&self, was_polled: bool) -> Option<&'s Step> {
        if was_polled {
            return self.last;
        }
        let next = self.script.steps.get(self.at);
        match next.map(|step| &step.act) {
            Some(Act::Expect(_)) => next,
            _ => self.last,
        }
    }

    fn step_over(&mut self, step: &'s Step) {
        self.at += 1;
        self.last = Some(step);
    }

    fn forget(&mut self) {
        self.answer.clear();
        self.has_read = false;
        self.ended = false;
    }

    fn success(&self) -> Verdict {
        let usual = match self.last {
            Some(_) if self.script.is_written => "(tcp-check)",
            _ => "",
        };
        match self.last.map(|step| &step.act) {
            Some(Act::Expect(expect)) => Verdict::met(expect, &self.answer, usual),
            Some(Act::Send(_)) => Verdict::new(CheckStatus::L7Ok, None, usual),
            _ if self.secure => Verdict::new(CheckStatus::L6Ok, None, usual),
            _ => Verdict::new(CheckStatus::L4Ok, None, usual),
        }
    }

    /// Met, failed, or not known yet.
    fn judge(&self, step: &Step, expect: &Expect) -> Option<Result<(), Verdict>> {
        if !self.has_read {
            return None;
        }
        if self.ended && self.answer.is_empty() {
            return Some(Err(Verdict::silent(step, expect)));
        }
        let least = expect.min_recv.unwrap_or(0).max(expect.pattern.least());
        if !self.ended && self.answer.len() < least {
            return None;
        }
        let answer = self.answer.as_slice();
        let judged = match &expect.pattern {
            Pattern::MysqlGreeting => protocols::mysql_packet(answer, 0),
            Pattern::MysqlLogin => protocols::mysql_login(answer),
            Pattern::LdapBind => protocols::ldap_bind(answer),
            pattern => {
                let found = pattern.is_found(answer).unwrap_or(false);
                // Enough was asked for, so that what is there decides; otherwise the rest is awaited.
                if !found && !self.ended && expect.min_recv.is_none() {
                    return None;
                }
                return Some(match found == expect.negated {
                    true => Err(Verdict::wrong(step, expect, answer)),
                    false => Ok(()),
                });
            }
        };
        match judged {
            Judged::Good => Some(Ok(())),
            Judged::Bad { code, text } => {
                let (status, code) = match code {
                    Some(code) => (CheckStatus::L7Status, Some(code)),
                    None => (expect.error, None),
                };
                Some(Err(Verdict::new(status, code, text)))
            }
            Judged::Partial if self.ended => Some(Err(Verdict::new(expect.error, None, ""))),
            Judged::Partial => None,
        }
    }
}
