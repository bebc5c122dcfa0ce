//! The HTTP half of scripts: requests, and answers judged as messages (`option httpchk` and `http-check`,
//! configuration manual §4.2).

use std::ops::RangeInclusive;

use memchr::memmem;
use regex::bytes::Regex;

use crate::{
    head::{Head, HeadRef},
    http1::{self, Body, Leniency, Limits, Method, Progress, ResponseDecoder},
};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Request target.
    pub target: String,
    /// Version text. `HTTP/1.0` closes by itself; with others `connection: close` is added unless `Connection` fields say
    /// something else.
    pub version: String,
    /// Fields, in lower case as HAProxy sends them.
    pub headers: Vec<(String, String)>,
    /// Content; its length is added to the fields.
    pub body: Vec<u8>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "OPTIONS".to_owned(),
            target: "/".to_owned(),
            version: "HTTP/1.0".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

impl Request {
    /// As it goes to the server, which is told its `state`.
    pub(super) fn bytes(&self, state: Option<&str>) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        let mut field = |name: &str, value: &str| {
            head.push_str(&name.to_ascii_lowercase());
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        };
        for (name, value) in &self.headers {
            if !is_connection(name) {
                field(name, value);
            }
        }
        if let Some(state) = state {
            field("x-haproxy-server-state", state);
        }
        // Servers may ask for the length of what is posted, be it nothing.
        let bodiless = matches!(&*self.method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
        if !bodiless || !self.body.is_empty() {
            field("content-length", &self.body.len().to_string());
        }
        if let Some(options) = self.connection() {
            field("connection", &options);
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// What the server hears of the connection. As HAProxy does: `close` and `keep-alive` give way to any other option.
    fn connection(&self) -> Option<String> {
        let fields = self.headers.iter().filter(|(name, _)| is_connection(name));
        let options = fields.flat_map(|(_, value)| value.split(',').map(str::trim));
        let is = |word: &'static str| move |option: &&str| option.eq_ignore_ascii_case(word);
        let (ends, others): (Vec<&str>, Vec<&str>) = options
            .filter(|option| !option.is_empty())
            .partition(|option| is("close")(option) || is("keep-alive")(option));
        let (closes, stays) = (
            ends.iter().any(is("close")),
            ends.iter().any(is("keep-alive")),
        );
        match &*self.version {
            _ if !others.is_empty() => Some(others.join(", ")),
            "HTTP/1.0" => (stays && !closes).then(|| "keep-alive".to_owned()),
            _ => (closes || !stays).then(|| "close".to_owned()),
        }
    }

    fn asks_for_upgrade(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("upgrade"))
    }

    fn kind(&self) -> Method {
        match self.method.as_str() {
            "HEAD" => Method::Head,
            "CONNECT" => Method::Connect,
            _ => Method::default(),
        }
    }
}

fn is_connection(name: &str) -> bool {
    name.eq_ignore_ascii_case("connection")
}

/// How a text is compared (`-m`).
#[derive(Debug, Clone)]
pub enum TextMatch {
    /// The whole (`str`).
    Whole(String),
    /// Its beginning (`beg`).
    Begins(String),
    /// Its end (`end`).
    Ends(String),
    /// Somewhere in it (`sub`).
    Contains(String),
    /// By a regular expression (`reg`).
    Regex(Regex),
}

impl PartialEq for TextMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b))
            | (Self::Begins(a), Self::Begins(b))
            | (Self::Ends(a), Self::Ends(b))
            | (Self::Contains(a), Self::Contains(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Eq for TextMatch {}

impl TextMatch {
    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Whole(wanted) => text == wanted.as_bytes(),
            Self::Begins(wanted) => text.starts_with(wanted.as_bytes()),
            Self::Ends(wanted) => text.ends_with(wanted.as_bytes()),
            Self::Contains(wanted) => memmem::find(text, wanted.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A field that an answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMatch {
    /// Its name, which is compared in lower case.
    pub name: TextMatch,
    /// Its value; `None` for any.
    pub value: Option<TextMatch>,
    /// The value is the whole line (`fhdr`), not one of the values between commas (`hdr`).
    pub whole: bool,
}

impl FieldMatch {
    fn is_in(&self, head: HeadRef<'_>) -> bool {
        head.fields().any(|(name, value)| {
            if !self.name.matches(&name.to_ascii_lowercase()) {
                return false;
            }
            let Some(wanted) = &self.value else {
                return true;
            };
            if self.whole {
                return wanted.matches(value);
            }
            let mut parts = value.split(|byte| *byte == b',');
            parts.any(|part| wanted.matches(part.trim_ascii()))
        })
    }
}

/// What an answer must be.
#[derive(Debug, Clone)]
pub enum HttpPattern {
    /// One of these statuses.
    Status(Vec<RangeInclusive<u16>>),
    /// A status of which the digits match.
    StatusRegex(Regex),
    /// Some field.
    Field(FieldMatch),
    /// Content with these bytes in it.
    Body(Vec<u8>),
    /// Content that matches.
    BodyRegex(Regex),
}

impl PartialEq for HttpPattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Status(a), Self::Status(b)) => a == b,
            (Self::Field(a), Self::Field(b)) => a == b,
            (Self::Body(a), Self::Body(b)) => a == b,
            (Self::StatusRegex(a), Self::StatusRegex(b))
            | (Self::BodyRegex(a), Self::BodyRegex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Eq for HttpPattern {}

/// An answer as far as it is known.
pub(super) enum Answer {
    /// The head is not complete.
    Partial,
    /// It is no HTTP.
    Bad,
    /// The head and some content.
    Message(Message),
}

/// A status, whether the pattern is met, and how much of the content it was looked for in.
pub(super) struct Message {
    pub(super) status: u16,
    pub(super) reason: String,
    head: Head,
    head_bytes: Vec<u8>,
    body: Vec<u8>,
    /// All of the content is there.
    pub(super) complete: bool,
}

impl Message {
    pub(super) fn head(&self) -> HeadRef<'_> {
        HeadRef::new(&self.head, &self.head_bytes)
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Reads what came on `request`; `ended` when there is no more.
pub(super) fn read(request: Option<&Request>, bytes: &[u8], ended: bool) -> Answer {
    let leniency = Leniency {
        conflicting_framing: true,
        loose_syntax: true,
        ..Leniency::STRICT
    };
    let method = request.map_or_else(Method::default, Request::kind);
    let mut decoder = ResponseDecoder::new(Limits::default(), leniency, method);
    decoder.reset(method, request.is_some_and(Request::asks_for_upgrade));
    let mut head = Head::default();
    let mut rest = bytes;
    let summary = loop {
        match decoder.decode(rest, &mut head) {
            // The protocol that 101 switches to is not spoken: it is the answer.
            Ok(Progress::Complete(summary)) if summary.is_interim() && summary.status != 101 => {
                rest = rest.get(summary.head_len..).unwrap_or_default();
                decoder.next();
            }
            Ok(Progress::Complete(summary)) => break summary,
            Ok(Progress::Partial) if !ended => return Answer::Partial,
            Ok(Progress::Partial) | Err(_) => return Answer::Bad,
        }
    };
    let (head_bytes, content) = rest.split_at(summary.head_len.min(rest.len()));
    let Ok((body, done)) = content_of(Body::new(summary.framing, leniency), content) else {
        return Answer::Bad;
    };
    let reason = String::from_utf8_lossy(HeadRef::new(&head, head_bytes).reason()).into_owned();
    Answer::Message(Message {
        status: summary.status,
        reason,
        head,
        head_bytes: head_bytes.to_vec(),
        body,
        complete: done || ended,
    })
}

/// The content without its framing, and whether that is all.
fn content_of(mut body: Body, bytes: &[u8]) -> Result<(Vec<u8>, bool), http1::Error> {
    let Body::Chunked(decoder) = &mut body else {
        let progress = body.pass(bytes)?;
        let content = bytes.get(..progress.consumed).unwrap_or_default();
        return Ok((content.to_vec(), progress.done));
    };
    let mut content = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && !decoder.is_done() {
        let piece = decoder.next_piece(rest)?;
        content.extend_from_slice(rest.get(piece.data).unwrap_or_default());
        rest = rest.get(piece.consumed..).unwrap_or_default();
    }
    Ok((content, decoder.is_done()))
}

/// Whether a pattern is met.
pub(super) enum Judgement {
    Met(bool),
    /// More of the content may tell.
    Open,
    /// There is no content, and will be none.
    NoBody,
}

impl HttpPattern {
    /// Whether what is missing is a property of the head: its failure is a wrong status.
    pub(super) fn is_of_head(&self) -> bool {
        !matches!(self, Self::Body(_) | Self::BodyRegex(_))
    }

    /// Judges `message`, of which content of at least `least` bytes has to be there if that was asked for.
    pub(super) fn judge(&self, message: &Message, least: Option<usize>) -> Judgement {
        let body = message.body.as_slice();
        let found = match self {
            Self::Status(ranges) => {
                return Judgement::Met(ranges.iter().any(|range| range.contains(&message.status)));
            }
            Self::StatusRegex(regex) => {
                return Judgement::Met(regex.is_match(message.status.to_string().as_bytes()));
            }
            Self::Field(field) => {
                return Judgement::Met(field.is_in(message.head()));
            }
            _ if body.is_empty() => {
                return match message.complete {
                    true => Judgement::NoBody,
                    false => Judgement::Open,
                };
            }
            _ if !message.complete && body.len() < least.unwrap_or(0) => return Judgement::Open,
            Self::Body(wanted) => memmem::find(body, wanted).is_some(),
            Self::BodyRegex(regex) => regex.is_match(body),
        };
        match found || message.complete || least.is_some() {
            true => Judgement::Met(found),
            false => Judgement::Open,
        }
    }
}
