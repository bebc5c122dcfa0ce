//! What rules do: the typed actions and the table of their names.

mod assign;
mod edit;
mod normalize;
mod parse;
mod reply;
mod resolve;
mod spec;
mod table;

use std::{sync::Arc, time::Duration};

pub(super) use edit::{edit_headers, edit_target, sanitize, token};
pub(super) use normalize::Normalizer;
pub(super) use parse::{expression, tables::table_of};
pub(super) use reply::{RedirectTemplate, ReplyTemplate, error, redirect};
pub(super) use resolve::Resolve;
pub(super) use spec::Context;
pub use spec::{ActionSpec, Place};
pub use table::ACTIONS;
pub(super) use table::find;

use regex::bytes::Regex;

use crate::{
    cache::Cache,
    expr::{Expr, PatternFile, matcher::Matcher},
    log::LogFormat,
    request::{Assignment, LogLevel, RequestView, Scope},
    rules::Service,
    stick_table::{Column, Event, Level, Tracked},
};

/// A compiled action.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// No further rule of this kind is looked at.
    Allow,
    /// Refuse with a status, perhaps with an own answer.
    Deny(u16, Option<Arc<ReplyTemplate>>),
    /// Refuse after a while.
    Tarpit(u16, Option<Arc<ReplyTemplate>>),
    /// Send elsewhere.
    Redirect(Arc<RedirectTemplate>),
    /// Answer at once.
    Return(Arc<ReplyTemplate>),
    /// Let the embedder answer.
    Serve(Service),
    /// Ask for a password.
    Auth(Option<Arc<str>>),
    /// Forget the connection; the reset that tells of it passes so many routers less one.
    SilentDrop(u8),
    /// Close the connection.
    Reject,
    /// Close the connection with the server.
    Close,
    /// Change header fields.
    Header(HeaderEdit),
    /// Change the request target.
    Target(TargetEdit),
    /// Bring the request target into one of its normal forms.
    Normalize(Normalizer),
    /// Change the method.
    SetMethod(LogFormat),
    /// Change the status and the reason of a response.
    SetStatus(u16, Option<Arc<str>>),
    /// Set a variable from an expression.
    SetVariable(Assignment, Box<Expr>),
    /// Set a variable from a log format.
    SetVariableFormat(Assignment, LogFormat),
    /// Remove a variable.
    UnsetVariable(Scope, Arc<str>),
    /// Change the patience with the server, or that of both sides of a tunnel.
    SetTimeout(Kind, Span),
    /// Change how the stream is logged.
    SetLogLevel(LogLevel),
    /// Change the type of service of what is sent to the client.
    SetTos(u8),
    /// Keep a value for the log: the slot, and the length that it is cut to; without one it is the slot's.
    Capture(Box<Expr>, usize, Option<usize>),
    /// Count on an entry of a stick table from now on.
    Track(Box<Track>),
    /// Add 1 to a column of what a counter tracks.
    Increment(usize, Event),
    /// Set a tag of what a counter tracks.
    SetTag(usize, Column, Box<Expr>),
    /// Set the value of a key in the file of a map.
    SetMap(Arc<PatternFile>, LogFormat, LogFormat),
    /// Take a key out of the file of a map, or of patterns.
    DeleteKey(Arc<PatternFile>, LogFormat),
    /// Make another of an address.
    SetAddress(AddressPart, Box<Expr>),
    /// Answer with what a cache has.
    CacheUse(Arc<Cache>),
    /// Have a cache keep the response.
    CacheStore(Arc<Cache>),
    /// Go over to HTTP.
    SwitchMode,
    /// A PROXY header comes first.
    ExpectProxy,
    /// What has been sent is not sent again.
    DisableRetry,
    /// Wait for the body, so long at most and for so many bytes.
    WaitForBody(Duration, usize),
    /// Ask for the address of a name.
    Resolve(Box<Resolve>),
    /// Whom the stream goes before if it has to wait for a server.
    SetPriority(PriorityPart, Box<Expr>),
    /// Whether a rewrite that fails ends the request, for the rules that follow.
    StrictMode(bool),
    /// Add a key to a file of patterns.
    AddPattern(Arc<PatternFile>, LogFormat),
    /// Add a field to the early hints.
    Hint(Box<[u8]>, LogFormat),
    /// Accepted for compatibility.
    Nothing,
}

/// What `set-src` and its kin change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressPart {
    Source,
    SourcePort,
    Destination,
    DestinationPort,
}

/// What `set-priority-class` and `set-priority-offset` change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PriorityPart {
    Class,
    Offset,
}

/// Whose patience `set-timeout` changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Tunnel,
}

/// A duration, written or to be found, in milliseconds.
#[derive(Debug, Clone)]
pub(super) enum Span {
    Fixed(Duration),
    Found(Box<Expr>),
}

impl Span {
    /// How long it is; an expression without a value, or that gives 0 or less, is none.
    pub(super) fn length(&self, view: &RequestView<'_>) -> Option<Duration> {
        match self {
            Self::Fixed(duration) => Some(*duration),
            Self::Found(expr) => {
                let millis = u64::try_from(expr.value(view)?.integer()?).ok()?;
                (millis > 0).then(|| Duration::from_millis(millis))
            }
        }
    }
}

/// `track-sc0` to `track-sc2`.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// Number of the counter.
    pub(super) counter: usize,
    /// How long it counts.
    pub(super) level: Level,
    /// A request is counted as well: it was before.
    pub(super) request: bool,
    /// The key.
    pub(super) key: Expr,
    /// The proxy whose table it is; `None` for the frontend.
    pub(super) table: Option<Arc<str>>,
}

impl Track {
    /// What is tracked from now on; `None` if the counter is taken, there is no key or no place.
    pub(super) fn begin(&self, view: &RequestView<'_>) -> Option<Tracked> {
        if !view.state.trackers.is_free(self.level, self.counter) {
            return None;
        }
        let name = self.table.as_deref().unwrap_or(&view.connection.frontend);
        let table = view.state.world.as_deref()?.table(name)?;
        let key = table.key_of(self.key.value(view)?)?;
        let tracked = table.track(view.now, key)?;
        if self.request {
            tracked.count(view.now, Event::HttpRequest);
        }
        Some(tracked)
    }
}

/// Changes of header fields. Names are in lower case.
#[derive(Debug, Clone)]
pub(super) enum HeaderEdit {
    /// Remove all of the name, add one.
    Set(Box<[u8]>, LogFormat),
    /// Add one.
    Add(Box<[u8]>, LogFormat),
    /// Remove those whose name matches.
    Delete(Box<Matcher>),
    /// Replace whole values that match.
    ReplaceHeader(Box<[u8]>, Regex, LogFormat),
    /// Replace members of comma-separated values that match.
    ReplaceValue(Box<[u8]>, Regex, LogFormat),
}

/// Changes of the request target.
#[derive(Debug, Clone)]
pub(super) enum TargetEdit {
    /// The path; the query stays.
    SetPath(LogFormat),
    /// Path and query.
    SetPathQuery(LogFormat),
    /// The query; the path stays.
    SetQuery(LogFormat),
    /// All of it.
    SetUri(LogFormat),
    /// The path, if it matches.
    ReplacePath(Regex, LogFormat),
    /// Path and query, if they match.
    ReplacePathQuery(Regex, LogFormat),
    /// All of it, if it matches.
    ReplaceUri(Regex, LogFormat),
}

impl HeaderEdit {
    /// The format of its value.
    pub(super) fn format(&self) -> Option<&LogFormat> {
        match self {
            Self::Set(_, format)
            | Self::Add(_, format)
            | Self::ReplaceHeader(_, _, format)
            | Self::ReplaceValue(_, _, format) => Some(format),
            Self::Delete(_) => None,
        }
    }
}

impl TargetEdit {
    /// The format of its value.
    pub(super) fn format(&self) -> &LogFormat {
        match self {
            Self::SetPath(format)
            | Self::SetPathQuery(format)
            | Self::SetQuery(format)
            | Self::SetUri(format)
            | Self::ReplacePath(_, format)
            | Self::ReplacePathQuery(_, format)
            | Self::ReplaceUri(_, format) => format,
        }
    }
}
