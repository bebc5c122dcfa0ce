//! The machine that walks a script.

use std::borrow::Cow;

use super::{
    Act, Connect, Expect, HttpPattern, Pattern, Request, Script, Step, Verdict,
    http::{self, Answer, Judgement},
    protocols::{self, Judged},
    spop, verdict,
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
    Send(Cow<'s, [u8]>),
    /// Bytes of the server, or its end.
    Receive,
    /// Nothing: this is the result.
    Done(Verdict),
}

/// What is known of the server beforehand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'s> {
    /// It is spoken to in TLS.
    pub secure: bool,
    /// The checks have it down.
    pub is_down: bool,
    /// What it is told of itself by [`Script::send_state`].
    pub state: Option<&'s str>,
}

/// A check in progress.
#[derive(Debug, Clone)]
pub struct Conversation<'s> {
    script: &'s Script,
    /// The next step.
    at: usize,
    /// The step that was done last.
    last: Option<&'s Step>,
    /// The last request.
    request: Option<&'s Request>,
    /// The status of the last message of HTTP.
    code: Option<u16>,
    connected: bool,
    known: Known<'s>,
    answer: Vec<u8>,
    has_read: bool,
    ended: bool,
}

impl<'s> Conversation<'s> {
    /// A check that begins.
    pub fn new(script: &'s Script, known: Known<'s>) -> Self {
        Self {
            script,
            at: 0,
            last: None,
            request: None,
            code: None,
            connected: false,
            known,
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
                    self.known.secure &= connect.as_server;
                    self.known.secure |= connect.tls.is_some();
                    return Want::Connect(Some(connect));
                }
                Act::Send(bytes) => {
                    self.step_over(step);
                    self.forget();
                    return Want::Send(Cow::Borrowed(bytes));
                }
                Act::Request(request) => {
                    self.step_over(step);
                    self.forget();
                    self.request = Some(request);
                    return Want::Send(Cow::Owned(request.bytes(self.known.state)));
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
            Some(Act::Expect(expect)) if matches!(expect.pattern, Pattern::Http(_)) => {
                match self.code {
                    Some(code) if self.is_asked_for_no_more(code) => Verdict::conditional(code),
                    code => Verdict::met_message(expect, code),
                }
            }
            Some(Act::Expect(expect)) => Verdict::met(expect, &self.answer, usual),
            Some(Act::Send(_) | Act::Request(_)) => Verdict::new(CheckStatus::L7Ok, None, usual),
            _ if self.known.secure => Verdict::new(CheckStatus::L6Ok, None, usual),
            _ => Verdict::new(CheckStatus::L4Ok, None, usual),
        }
    }

    /// A 404 that only means that.
    fn is_asked_for_no_more(&self, code: u16) -> bool {
        self.script.disable_on_404 && code == 404 && !self.known.is_down
    }

    /// Met, failed, or not known yet.
    fn judge(&mut self, step: &Step, expect: &Expect) -> Option<Result<(), Verdict>> {
        if !self.has_read {
            return None;
        }
        if let Pattern::Http(pattern) = &expect.pattern {
            return self.judge_message(step, expect, pattern);
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
            Pattern::SmtpReply => protocols::smtp_reply(answer),
            Pattern::SpopHello => spop::hello(answer),
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

    fn judge_message(
        &mut self,
        step: &Step,
        expect: &Expect,
        pattern: &HttpPattern,
    ) -> Option<Result<(), Verdict>> {
        let message = match http::read(self.request, &self.answer, self.ended) {
            Answer::Partial => return None,
            Answer::Bad => return Some(Err(Verdict::no_message(step, expect))),
            Answer::Message(message) => message,
        };
        let code = message.status;
        self.code = Some(code);
        if self.is_asked_for_no_more(code) {
            return Some(Ok(()));
        }
        let wrong = |how: &str| Some(Err(Verdict::wrong_message(step, expect, code, how)));
        match pattern.judge(&message, expect.min_recv) {
            Judgement::Open => None,
            Judgement::Met(met) if met != expect.negated => Some(Ok(())),
            Judgement::Met(_) if pattern.is_of_head() => wrong(&message.reason),
            Judgement::Met(true) => wrong("HTTP check matched unwanted content"),
            Judgement::Met(false) => wrong("HTTP content check did not match"),
            Judgement::NoBody => wrong("HTTP content check could not find a response body"),
        }
    }
}
