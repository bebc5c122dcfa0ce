//! What rules leave behind for later rules and for the log: variables, captures, the log level.

use std::{cell::Cell, fmt, sync::Arc, time::Duration};

use super::{Addresses, Captures, Failure, ServerSession, Side, World, captures::Capture};
use crate::{
    backend::Precedence,
    cache::Visit,
    compression::Algorithm,
    expr::{OwnedValue, Value},
    stick_table::Trackers,
};

/// State of one stream; kept with the connection, so that its memory is reused.
#[derive(Debug, Default)]
pub struct RuleState {
    /// Variables of `set-var`.
    pub variables: Variables,
    /// Captured headers and samples.
    pub captures: Captures,
    /// `http-request set-log-level`.
    pub log_level: Option<LogLevel>,
    /// What `track-sc` rules count on.
    pub trackers: Trackers,
    /// What the request is marked with; few are.
    pub marks: Option<Box<Marks>>,
    /// Name of the backend, once it is chosen.
    pub backend: Option<Arc<str>>,
    /// Name of the server, once it has answered.
    pub server: Option<Arc<str>>,
    /// TLS of the connection to it, where there is any.
    pub to_server: Option<Arc<ServerSession>>,
    /// What rules may ask about; without it their questions have no answer.
    pub world: Option<Arc<dyn World>>,
    /// Requests on the connection before this one.
    pub number: u32,
    /// The rule that ended the evaluation of its list last.
    pub last_rule: Option<Arc<Origin>>,
    /// The rule that waits for more bytes: those before it are not run again.
    pub(crate) awaiting: u32,
    /// Rewrites of the list of rules that is evaluated may fail (`strict-mode off`).
    pub(crate) lenient: bool,
    /// The request came with a content, whatever rules have made of its head since.
    pub(crate) has_content: bool,
    /// Memory for values that are being built.
    pub(crate) scratch: Vec<u8>,
}

impl RuleState {
    /// A new transaction begins on the same connection: what belongs to the old one goes, session variables
    /// stay.
    pub fn begin_transaction(&mut self) {
        self.variables.forget(Scope::Transaction);
        self.settle_captures();
        self.captures.clear();
        self.log_level = None;
        self.marks = None;
        self.backend = None;
        self.server = None;
        self.to_server = None;
        self.last_rule = None;
        self.trackers.end_stream();
        self.awaiting = 0;
        self.has_content = false;
    }

    /// The value of the variable `name`, its scope included.
    pub fn variable(&self, scope: Scope, name: &str) -> Option<Value<'_>> {
        match (scope, &self.world) {
            (Scope::Process, Some(world)) => world.variables().value(name),
            _ => self.variables.value(name),
        }
    }

    /// Sets or removes the variable `name` while an expression is evaluated, which sees no more than a view.
    pub(crate) fn note_variable(&self, scope: Scope, name: &Arc<str>, value: Option<OwnedValue>) {
        match (scope, &self.world, value) {
            (Scope::Process, Some(world), Some(value)) => world.variables().set(name, value),
            (Scope::Process, Some(world), None) => world.variables().unset(name),
            (_, _, value) => self.variables.note(scope, name, value),
        }
    }

    /// Captures a value while an expression is evaluated, which sees no more than a view: in a slot of `frontend`, if it
    /// has that one.
    pub(crate) fn note_capture(&self, frontend: &str, side: Side, slot: usize, value: &[u8]) {
        if let Some(length) = self.slot_length(frontend, side, slot) {
            let kept = value.get(..length).unwrap_or(value).to_vec();
            self.variables.note_capture((side, slot, kept));
        }
    }

    /// How much a slot of `frontend` keeps; `None` if it has no such slot.
    pub(crate) fn slot_length(&self, frontend: &str, side: Side, slot: usize) -> Option<usize> {
        match &self.world {
            Some(world) => world.capture_length(frontend, side, slot),
            None => Some(usize::MAX),
        }
    }

    /// The value that was captured in a slot.
    pub(crate) fn captured(&self, side: Side, slot: usize) -> Option<Value<'_>> {
        if let Some(noted) = self.variables.noted_capture(side, slot) {
            return Some(Value::String(noted.into()));
        }
        self.captures.value(side, slot).map(Value::text)
    }

    /// Captures a value in a slot, if there is one such.
    pub(crate) fn capture(&mut self, side: Side, slot: usize, value: Vec<u8>) {
        self.settle_captures();
        self.captures.put((side, slot, value));
    }

    /// Puts what expressions have captured into its slots.
    pub(crate) fn settle_captures(&mut self) {
        for capture in self.variables.take_captures() {
            self.captures.put(capture);
        }
    }

    /// Sets the variable `name`, its scope included.
    pub fn set_variable(&mut self, scope: Scope, name: &Arc<str>, value: OwnedValue) {
        match (scope, &self.world) {
            (Scope::Process, Some(world)) => world.variables().set(name, value),
            _ => self.variables.set(scope, name, value),
        }
    }

    /// Removes the variable `name`, its scope included.
    pub fn unset_variable(&mut self, scope: Scope, name: &str) {
        match (scope, &self.world) {
            (Scope::Process, Some(world)) => world.variables().unset(name),
            _ => self.variables.unset(name),
        }
    }

    /// The state of another stream of the same connection: it has the session's variables as they are now, and counts
    /// on what the connection counts on.
    pub fn of_connection(&self) -> Self {
        Self {
            variables: self.variables.of_session(),
            trackers: self.trackers.of_connection(),
            world: self.world.clone(),
            ..Self::default()
        }
    }
}

/// Where a rule stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Arc<str>,
    /// The line in it, from 1.
    pub line: u32,
}

/// How the log line of a stream is treated (`set-log-level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// No line.
    Silent,
    /// A line of this syslog level (0 emergency to 7 debug).
    Level(u8),
}

/// Life time of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `proc`: the process.
    Process,
    /// `sess`: the connection.
    Session,
    /// `txn`: request and response.
    Transaction,
    /// `req`: until the response begins.
    Request,
    /// `res`: from the response on.
    Response,
    /// `check`: a health check.
    Check,
}

impl Scope {
    /// The scope that `name` begins with (`txn.` and so on) and the rest of it.
    pub fn split(name: &str) -> Option<(Self, &str)> {
        let (scope, rest) = name.split_once('.')?;
        let scope = match scope {
            "proc" => Self::Process,
            "sess" => Self::Session,
            "txn" => Self::Transaction,
            "req" => Self::Request,
            "res" => Self::Response,
            "check" => Self::Check,
            _ => return None,
        };
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        (!rest.is_empty() && rest.chars().all(word)).then_some((scope, rest))
    }
}

/// Variables by their full name (`txn.x`). There are few of them: a search through a vector beats a map.
#[derive(Default)]
pub struct Variables {
    entries: Vec<Variable>,
    /// What expressions have set or removed since: newer than the entries.
    noted: Cell<Option<Box<Noted>>>,
}

type Variable = (Scope, Arc<str>, OwnedValue);

/// Changes that wait until the state may be changed.
#[derive(Debug, Default)]
struct Noted {
    /// Of variables: one for each name.
    changes: Vec<(Scope, Arc<str>, Option<OwnedValue>)>,
    captures: Vec<Capture>,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_noted(|noted| {
            let mut shown = f.debug_struct("Variables");
            shown.field("entries", &self.entries);
            shown.field("noted", noted).finish()
        })
    }
}

impl Variables {
    /// The value of `name`.
    pub fn value(&self, name: &str) -> Option<Value<'_>> {
        let noted = self.with_noted(|noted| {
            let mut changes = noted.as_deref()?.changes.iter();
            let (_, _, value) = changes.find(|(_, n, _)| &**n == name)?;
            Some(value.clone())
        });
        if let Some(value) = noted {
            return value;
        }
        let entry = self.entries.iter().find(|(_, n, _)| &**n == name);
        entry.map(|(_, _, value)| value.borrowed())
    }

    /// Sets `name` (scope included in the name, as in `txn.x`).
    pub fn set(&mut self, scope: Scope, name: &Arc<str>, value: OwnedValue) {
        self.settle();
        self.put(scope, name, value);
    }

    /// Removes `name`.
    pub fn unset(&mut self, name: &str) {
        self.settle();
        self.entries.retain(|(_, n, _)| &**n != name);
    }

    /// Notes that `name` is set, or removed.
    fn note(&self, scope: Scope, name: &Arc<str>, value: Option<OwnedValue>) {
        self.with_noted(|noted| {
            let changes = &mut noted.get_or_insert_default().changes;
            changes.retain(|(_, n, _)| n != name);
            changes.push((scope, Arc::clone(name), value));
        });
    }

    fn note_capture(&self, capture: Capture) {
        self.with_noted(|noted| noted.get_or_insert_default().captures.push(capture));
    }

    fn noted_capture(&self, side: Side, slot: usize) -> Option<Vec<u8>> {
        self.with_noted(|noted| {
            let mut newest = noted.as_deref()?.captures.iter().rev();
            let (.., value) = newest.find(|(of, at, _)| (*of, *at) == (side, slot))?;
            Some(value.clone())
        })
    }

    fn take_captures(&mut self) -> Vec<Capture> {
        let noted = self.noted.get_mut();
        noted
            .as_mut()
            .map(|noted| std::mem::take(&mut noted.captures))
            .unwrap_or_default()
    }

    /// What `act` makes of the changes that were noted. Nothing that it does comes back here.
    fn with_noted<T>(&self, act: impl FnOnce(&mut Option<Box<Noted>>) -> T) -> T {
        let mut noted = self.noted.take();
        let result = act(&mut noted);
        self.noted.set(noted);
        result
    }

    /// Carries out what was noted.
    fn settle(&mut self) {
        let Some(mut noted) = self.noted.get_mut().take() else {
            return;
        };
        for (scope, name, value) in noted.changes.drain(..) {
            match value {
                Some(value) => self.put(scope, &name, value),
                None => self.entries.retain(|(_, n, _)| *n != name),
            }
        }
        if !noted.captures.is_empty() {
            self.noted.set(Some(noted));
        }
    }

    fn put(&mut self, scope: Scope, name: &Arc<str>, value: OwnedValue) {
        match self.entries.iter_mut().find(|(_, n, _)| n == name) {
            Some(entry) => entry.2 = value,
            None => self.entries.push((scope, Arc::clone(name), value)),
        }
    }

    /// Those that outlive a request.
    fn of_session(&self) -> Self {
        let lasting = |scope: Scope| scope <= Scope::Session;
        let entries = self.entries.iter();
        let mut copy = Self {
            entries: entries.filter(|(s, ..)| lasting(*s)).cloned().collect(),
            noted: Cell::default(),
        };
        self.with_noted(|noted| {
            let changes = noted.iter().flat_map(|noted| &noted.changes);
            for (scope, name, value) in changes.filter(|(s, ..)| lasting(*s)) {
                match value {
                    Some(value) => copy.put(*scope, name, value.clone()),
                    None => copy.entries.retain(|(_, n, _)| n != name),
                }
            }
        });
        copy
    }

    /// Removes what does not outlive `scope` (`Transaction` also ends request and response variables).
    pub fn forget(&mut self, scope: Scope) {
        self.settle();
        self.entries.retain(|(s, _, _)| *s < scope);
    }
}

/// What a request is marked with for the log and for servers.
#[derive(Debug, Default)]
pub struct Marks {
    /// `unique-id-format` over it.
    pub unique_id: Option<Vec<u8>>,
    /// `capture cookie` in it.
    pub request_cookie: Option<Vec<u8>>,
    /// `capture cookie` in its response.
    pub response_cookie: Option<Vec<u8>>,
    /// `set-timeout server`.
    pub server_timeout: Option<Duration>,
    /// `set-timeout tunnel`.
    pub tunnel_timeout: Option<Duration>,
    /// What `set-src` and its kin made of the addresses.
    pub addresses: Option<Addresses>,
    /// `expect-proxy`: a PROXY header comes first.
    pub expects_proxy: bool,
    /// `disable-l7-retry`: what has been sent is not sent again.
    pub no_retry: bool,
    /// `silent-drop`: how far the reset may go that ends the connection.
    pub reset_hops: Option<u8>,
    /// `set-tos`: how packets to the client are marked, until that is done.
    pub tos: Option<u8>,
    /// What caches have to do with it.
    pub cache: Option<Box<Visit>>,
    /// What the content of the response is compressed by.
    pub compressed: Option<Algorithm>,
    /// `set-priority-class` and `set-priority-offset`.
    pub precedence: Precedence,
    /// Rewrites that failed.
    pub failed_rewrites: u32,
    /// Lines of early hints that wait to be sent.
    pub hints: Vec<u8>,
    /// Bodies that were waited for, as far as they came.
    pub bodies: Bodies,
    /// Why the client's connection failed.
    pub client_failure: Option<Failure>,
    /// Why the last connection to a server failed.
    pub server_failure: Option<Failure>,
}

/// What was waited for of the bodies of a request and its response, without chunks around it.
#[derive(Debug, Default)]
pub struct Bodies {
    /// Of the request.
    pub request: Vec<u8>,
    /// Of the response.
    pub response: Vec<u8>,
}

impl RuleState {
    #[cfg(feature = "tokio")]
    /// The bodies, to be filled in.
    pub(crate) fn bodies(&mut self) -> &mut Bodies {
        &mut self.marked().bodies
    }

    #[cfg(feature = "tokio")]
    /// Whether early hints wait to be sent.
    pub(crate) fn has_hints(&self) -> bool {
        let marks = self.marks.as_ref();
        marks.is_some_and(|marks| !marks.hints.is_empty())
    }

    /// What caches have to do with the request, to be added to.
    pub(crate) fn visit(&mut self) -> &mut Visit {
        let has_content = self.has_content;
        let visit = self.marked().cache.get_or_insert_default();
        visit.note_content(has_content);
        visit
    }

    #[cfg(feature = "tokio")]
    /// The same, if a rule has named a cache.
    pub(crate) fn visited(&mut self) -> Option<&mut Visit> {
        self.marks.as_mut()?.cache.as_deref_mut()
    }

    #[cfg(feature = "tokio")]
    /// Whether a rule wants a PROXY header.
    pub(crate) fn expects_proxy(&self) -> bool {
        let marks = self.marks.as_ref();
        marks.is_some_and(|marks| marks.expects_proxy)
    }

    #[cfg(feature = "tokio")]
    /// Whether a rule forbids to send again what has been sent.
    pub(crate) fn forbids_retries(&self) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.no_retry)
    }

    /// What rules made of the addresses.
    pub(crate) fn addresses(&self) -> Option<Addresses> {
        self.marks.as_ref()?.addresses
    }

    /// The marks, to be added to.
    pub(crate) fn marked(&mut self) -> &mut Marks {
        self.marks.get_or_insert_default()
    }

    /// `set-priority-class` and `set-priority-offset`.
    pub(crate) fn precedence(&self) -> Precedence {
        let marks = self.marks.as_ref();
        marks.map_or(Precedence::default(), |marks| marks.precedence)
    }

    /// `set-timeout`: those of server and tunnel.
    pub fn own_timeouts(&self) -> (Option<Duration>, Option<Duration>) {
        let marks = self.marks.as_ref();
        marks.map_or((None, None), |m| (m.server_timeout, m.tunnel_timeout))
    }

    /// How far the reset may go that ends the connection, if a rule has dropped it in silence.
    #[cfg(feature = "tokio")]
    pub(crate) fn reset_hops(&self) -> Option<u8> {
        self.marks.as_ref()?.reset_hops
    }

    /// How packets to the client are to be marked from now on, if a rule has said so since this was asked last.
    #[cfg(feature = "tokio")]
    pub(crate) fn take_tos(&mut self) -> Option<u8> {
        self.marks.as_mut()?.tos.take()
    }

    /// The unique id of the request.
    pub fn unique_id(&self) -> Option<&[u8]> {
        self.marks.as_ref()?.unique_id.as_deref()
    }
}
