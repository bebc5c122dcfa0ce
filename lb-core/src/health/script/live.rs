//! What is written anew for each check: texts with variables in them, and the variables (`set-var`).
//!
//! A step is read with what is constant in it; each [`Live`] says which part of it is filled in before the step is taken,
//! and from what. Expressions see the check as they see a request: its variables (`check.`, `sess.`, `proc.`), the
//! server's name and its backend's, and what the server has answered.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Act, FieldMatch, HttpPattern, Pattern, Report, Step, TextMatch};
use crate::{
    expr::{Definitions, Value, Written},
    log::LogFormat,
    request::{Assignment, ConnectionInfo, RequestView, RuleState, Scope, ServerSession, World},
    rules::RuleError,
};

/// A log format that knows how it was written.
#[derive(Debug, Clone)]
pub struct Formatted {
    text: Arc<str>,
    format: LogFormat,
}

impl Formatted {
    /// Reads the text of a format.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        Ok(Self {
            text: text.into(),
            format: LogFormat::value(text, &Definitions::default())?,
        })
    }
}

/// Written alike is the same.
impl PartialEq for Formatted {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Formatted {}

/// What a part is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A log format.
    Format(Formatted),
    /// An expression.
    Expr(Written),
}

impl Source {
    fn bytes<'a>(&'a self, view: &RequestView<'a>) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Expr(expr) => expr.bytes(view),
            Self::Format(format) => {
                let mut out = Vec::new();
                format.format.write_value(view, &mut out);
                Some(out.into())
            }
        }
    }

    fn number(&self, view: &RequestView<'_>) -> Option<i64> {
        match self {
            Self::Expr(expr) => expr.int(view),
            Self::Format(_) => None,
        }
    }
}

/// A part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The port that is connected to.
    Port,
    /// What is sent.
    Sent,
    /// What is sent, in hexadecimal digits.
    SentHex,
    /// The target of a request.
    Target,
    /// The value of a field of it.
    Field(usize),
    /// Its content.
    Body,
    /// What is looked for in an answer.
    Sought,
    /// The same in hexadecimal digits.
    SoughtHex,
    /// The name of a field that an answer must have.
    FieldName,
    /// The value of that field.
    FieldValue,
    /// What is said of success.
    OnSuccess,
    /// What is said of a wrong answer.
    OnError,
    /// The code of the result.
    Code,
}

/// A part of a step that is filled in when the step is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Which part.
    pub slot: Slot,
    /// From what.
    pub source: Source,
}

/// Where and when a check takes place.
#[derive(Debug, Clone, Copy)]
pub struct Around<'s> {
    /// The time.
    pub now: Instant,
    /// The same on the wall clock.
    pub date: SystemTime,
    /// Name of the backend.
    pub backend: &'s str,
    /// Name of the server.
    pub server: &'s str,
    /// What expressions may ask about.
    pub world: Option<&'s Arc<dyn World>>,
}

/// The variables of a check.
#[derive(Debug)]
pub(super) struct Memory<'s> {
    around: Around<'s>,
    connection: ConnectionInfo,
    state: RuleState,
}

impl<'s> Memory<'s> {
    pub(super) fn new(around: Around<'s>) -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            connection: ConnectionInfo {
                source: nowhere,
                destination: nowhere,
                fronted: None,
                tls: None,
                frontend: Arc::from(around.backend),
                bind: None,
                accepted_at: around.now,
                accepted_date: around.date,
            },
            state: RuleState {
                world: around.world.cloned(),
                ..RuleState::default()
            },
            around,
        }
    }

    fn view<'a>(&'a self, answer: &'a [u8]) -> RequestView<'a> {
        let mut view = RequestView::new(self.around.now, &self.connection, &self.state)
            .with_backend(self.around.backend)
            .with_answer(answer, true);
        view.server = Some(self.around.server);
        view
    }

    /// TLS of the connection.
    pub(super) fn secured(&mut self, session: Option<ServerSession>) {
        self.state.to_server = session.map(Arc::new);
    }

    /// The content of an answer in HTTP, for expressions to see.
    pub(super) fn note_body(&mut self, body: &[u8]) {
        self.state.marked().bodies.response = body.to_vec();
    }

    /// Sets a variable, if there is a value for it and what it is set by holds.
    pub(super) fn set(&mut self, to: &Assignment, source: &Source, seen: &Seen<'_>) {
        let view = seen.over(self.view(seen.answer));
        let value = match source {
            Source::Expr(expr) => expr.value(&view).map(Value::into_owned),
            Source::Format(_) => source
                .bytes(&view)
                .map(|text| Value::String(text.into_owned().into())),
        };
        let Some(value) = value.filter(|value| to.holds(value, &self.state)) else {
            return;
        };
        self.state.set_variable(to.scope, &to.name, value);
    }

    /// Removes a variable.
    pub(super) fn unset(&mut self, scope: Scope, name: &str) {
        self.state.unset_variable(scope, name);
    }

    /// `step` with everything filled in.
    pub(super) fn fill(&self, step: &mut Step, seen: &Seen<'_>) {
        let view = seen.over(self.view(seen.answer));
        for Live { slot, source } in &step.live {
            match (*slot, &mut step.act) {
                (Slot::Port, Act::Connect(connect)) => {
                    let port = source.number(&view);
                    connect.port = port.and_then(|port| u16::try_from(port).ok());
                }
                (Slot::Code, Act::Expect(expect)) => {
                    let code = source.number(&view);
                    expect.code = code.and_then(|code| u16::try_from(code).ok());
                }
                (slot, act) => {
                    let text = source.bytes(&view).unwrap_or_default();
                    put(slot, act, &text);
                }
            }
        }
    }
}

/// What a server has answered so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) answer: &'a [u8],
    /// The head of a response.
    pub(super) head: Option<crate::head::HeadRef<'a>>,
}

impl<'a> Seen<'a> {
    fn over<'v>(&self, view: RequestView<'v>) -> RequestView<'v>
    where
        'a: 'v,
    {
        match self.head {
            Some(head) => view.with_response(head),
            None => view,
        }
    }
}

/// Puts a text into its place.
fn put(slot: Slot, act: &mut Act, text: &[u8]) {
    let words = || String::from_utf8_lossy(text).into_owned();
    match (slot, act) {
        (Slot::Sent, Act::Send(bytes)) => *bytes = text.to_vec(),
        (Slot::SentHex, Act::Send(bytes)) => *bytes = from_hex(text),
        (Slot::Target, Act::Request(request)) if !text.is_empty() => request.target = words(),
        (Slot::Field(index), Act::Request(request)) => {
            if let Some((_, value)) = request.headers.get_mut(index) {
                *value = words();
            }
        }
        (Slot::Body, Act::Request(request)) => request.body = text.to_vec(),
        (slot, Act::Expect(expect)) => match (slot, &mut expect.pattern) {
            (Slot::OnSuccess, _) => expect.on_success = Report::Text(words()),
            (Slot::OnError, _) => expect.on_error = Report::Text(words()),
            (Slot::Sought, Pattern::Text(bytes) | Pattern::Http(HttpPattern::Body(bytes))) => {
                *bytes = text.to_vec()
            }
            (Slot::SoughtHex, Pattern::Binary(bytes)) => *bytes = from_hex(text),
            (Slot::FieldName, Pattern::Http(HttpPattern::Field(FieldMatch { name, .. }))) => {
                name.compare_with(words().to_ascii_lowercase());
            }
            (
                Slot::FieldValue,
                Pattern::Http(HttpPattern::Field(FieldMatch {
                    value: Some(value), ..
                })),
            ) => value.compare_with(words()),
            _ => {}
        },
        _ => {}
    }
}

impl TextMatch {
    fn compare_with(&mut self, text: String) {
        match self {
            Self::Whole(wanted)
            | Self::Begins(wanted)
            | Self::Ends(wanted)
            | Self::Contains(wanted) => *wanted = text,
            Self::Regex(_) => {}
        }
    }
}

/// Pairs of hexadecimal digits; nothing if there is anything else among them.
fn from_hex(digits: &[u8]) -> Vec<u8> {
    let pairs = digits.chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|t| t.len() == 2)?;
        u8::from_str_radix(text, 16).ok()
    });
    pairs.collect::<Option<_>>().unwrap_or_default()
}
