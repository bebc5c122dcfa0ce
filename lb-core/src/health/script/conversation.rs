//! The machine that walks a script.

use std::borrow::Cow;

use super::{
    Act, Around, Connect, Expect, HttpPattern, Pattern, Request, Script, Step, Verdict,
    http::{self, Answer, Judgement},
    live::{Memory, Seen},
    protocols::{self, Judged},
    spop, verdict,
};
use crate::{health::CheckStatus, request::ServerSession};

/// Most bytes of an answer that are looked at (`tune.bufsize`).
const ANSWER: usize = 16_384;

/// What a conversation wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Want {
    /// A connection; `None` as the server's line says. The one before is closed.
    Connect(Option<Connect>),
    /// These bytes sent.
    Send(Vec<u8>),
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
    /// Where and when it is checked; without it variables are empty.
    pub around: Option<Around<'s>>,
}

/// A check in progress.
#[derive(Debug)]
pub struct Conversation<'s> {
    script: &'s Script,
    /// The next step.
    at: usize,
    /// The step that was done last.
    last: Option<Cow<'s, Step>>,
    /// The last request.
    request: Option<Request>,
    /// The status of the last message of HTTP.
    code: Option<u16>,
    connected: bool,
    known: Known<'s>,
    answer: Vec<u8>,
    has_read: bool,
    ended: bool,
    /// Where the script has variables.
    memory: Option<Box<Memory<'s>>>,
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
            memory: known
                .around
                .filter(|_| script.is_live())
                .map(|around| Box::new(Memory::new(around))),
        }
    }

    /// What to do now. Whatever it is, is taken for done with the next call.
    pub fn poll(&mut self) -> Want {
        loop {
            let step = self.script.steps.get(self.at);
            let begins = |step: &Step| step.act.is_of_variables() || step.act.is_connect();
            if !self.connected && !step.is_some_and(begins) {
                self.connected = true;
                return Want::Connect(None);
            }
            let Some(step) = step else {
                return Want::Done(self.success());
            };
            let step = self.written(step);
            match &step.act {
                Act::Connect(connect) => {
                    let connect = connect.clone();
                    self.step_over(step);
                    self.forget();
                    self.connected = true;
                    self.known.secure &= connect.as_server;
                    self.known.secure |= connect.tls.is_some();
                    return Want::Connect(Some(connect));
                }
                Act::Send(bytes) => {
                    let bytes = bytes.clone();
                    self.step_over(step);
                    self.forget();
                    return Want::Send(bytes);
                }
                Act::Request(request) => {
                    let request = request.clone();
                    self.step_over(step);
                    self.forget();
                    let bytes = request.bytes(self.known.state);
                    self.request = Some(request);
                    return Want::Send(bytes);
                }
                Act::Expect(expect) => match self.judge(&step, expect) {
                    Some(Ok(())) => self.step_over(step),
                    Some(Err(verdict)) => return Want::Done(verdict),
                    None => return Want::Receive,
                },
                Act::Set(to, source) => {
                    if let Some(mut memory) = self.memory.take() {
                        self.seen(&mut memory, |memory, seen| memory.set(to, source, seen));
                        self.memory = Some(memory);
                    }
                    self.at += 1;
                }
                Act::Unset(which) => {
                    if let Some(memory) = &mut self.memory {
                        memory.unset(which.scope, &which.name);
                    }
                    self.at += 1;
                }
            }
        }
    }

    /// `step` as it is now.
    fn written(&mut self, step: &'s Step) -> Cow<'s, Step> {
        if step.live.is_empty() {
            return Cow::Borrowed(step);
        }
        let Some(mut memory) = self.memory.take() else {
            return Cow::Borrowed(step);
        };
        let mut written = step.clone();
        self.seen(&mut memory, |memory, seen| memory.fill(&mut written, seen));
        self.memory = Some(memory);
        Cow::Owned(written)
    }

    /// Shows what the server has answered so far.
    fn seen(&self, memory: &mut Memory<'s>, act: impl FnOnce(&mut Memory<'s>, &Seen<'_>)) {
        let message = match &self.request {
            Some(_) => http::read(self.request.as_ref(), &self.answer, true),
            None => Answer::Partial,
        };
        let head = match &message {
            Answer::Message(message) => {
                memory.note_body(message.body());
                Some(message.head())
            }
            Answer::Partial | Answer::Bad => None,
        };
        let answer = &self.answer;
        act(memory, &Seen { answer, head });
    }

    /// The connection that was wanted stands, with this session of TLS.
    pub fn secured(&mut self, session: Option<ServerSession>) {
        if let Some(memory) = &mut self.memory {
            memory.secured(session);
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
    fn step(&self, was_polled: bool) -> Option<&Step> {
        let next = self.script.steps.get(self.at);
        let expects = |step: &&Step| matches!(step.act, Act::Expect(_)) && !was_polled;
        next.filter(expects).or(self.last.as_deref())
    }

    fn step_over(&mut self, step: Cow<'s, Step>) {
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
        match self.last.as_ref().map(|step| &step.act) {
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
        let message = match http::read(self.request.as_ref(), &self.answer, self.ended) {
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
