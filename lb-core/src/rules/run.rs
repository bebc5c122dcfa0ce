//! Running rules: one after the other, each over what the earlier ones left.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Lookup, Redirect, Reply, Rule, Service,
    action::{Action, AddressPart, Kind, PriorityPart, edit_headers, edit_target, sanitize, token},
};
use crate::{
    acl::Truth,
    backend::Precedence,
    expr::{OwnedValue, Value, Which},
    head::{HeadMut, HeadRef},
    log::LogFormat,
    request::{
        Addresses, Assignment, ConnectionInfo, LogLevel, RequestView, RuleState, Scope, Side,
        is_unix,
    },
    stick_table::{Level, Tracked},
};

/// How a list of rules ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing more to say.
    Continue,
    /// The body is waited for, so long at most and for so many bytes.
    Wait(Duration, usize),
    /// An address is asked for.
    Resolve(Box<Lookup>),
    Deny(u16, Option<Box<Reply>>),
    Tarpit(u16, Option<Box<Reply>>),
    Redirect(Box<Redirect>),
    Return(Box<Reply>),
    Serve(Service),
    Auth(Option<Arc<str>>),
    SilentDrop,
    Reject,
    /// No more of the server.
    Close,
    /// What follows is HTTP.
    SwitchMode,
    /// A rewrite failed that must not.
    Failed,
    /// A condition depends on bytes that are not there yet.
    Unknown,
}

/// A rewrite that was not carried out.
struct Failed;

/// What an action does to the run.
enum Step {
    Next,
    End(Ending),
}

/// Rules over a connection and its bytes; goes on where it had to wait.
pub(super) fn over_bytes(rules: &[Rule], view: &Bytes<'_>, state: &mut RuleState) -> Ending {
    let first = std::mem::take(&mut state.awaiting) as usize;
    for (index, rule) in rules.iter().enumerate().skip(first) {
        let place = number(index);
        match rule.condition.truth(&view.over(state)) {
            Truth::No => continue,
            Truth::Unknown => {
                state.awaiting = place;
                return Ending::Unknown;
            }
            Truth::Yes => {}
        }
        let ending = match &rule.action {
            Action::Allow => Ending::Continue,
            Action::Reject => Ending::Reject,
            Action::Close => Ending::Close,
            Action::SilentDrop(hops) => {
                state.marked().reset_hops = Some(*hops);
                Ending::SilentDrop
            }
            Action::SwitchMode => Ending::SwitchMode,
            Action::ExpectProxy => {
                state.marked().expects_proxy = true;
                continue;
            }
            // The key may still come.
            Action::Track(track) if track.key.is_awaited(&view.over(state)) => {
                state.awaiting = place;
                return Ending::Unknown;
            }
            Action::Resolve(resolve) if resolve.is_awaited(&view.over(state)) => {
                state.awaiting = place;
                return Ending::Unknown;
            }
            Action::Resolve(resolve) => match resolve.lookup(&view.over(state)) {
                Some(lookup) => {
                    state.awaiting = number(index + 1);
                    return Ending::Resolve(Box::new(lookup));
                }
                None => continue,
            },
            action => {
                if let Some(change) = Change::of(action, &view.over(state)) {
                    change.apply(state);
                }
                continue;
            }
        };
        if rule.origin.is_some() {
            state.last_rule.clone_from(&rule.origin);
        }
        return ending;
    }
    Ending::Continue
}

/// The rule of that index, as the state remembers it.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What is known before a message is parsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'b> {
    pub(super) now: Instant,
    pub(super) connection: &'b ConnectionInfo,
    pub(super) request: Option<HeadRef<'b>>,
    pub(super) peeked: bool,
    pub(super) awaits_request: bool,
    pub(super) payload: &'b [u8],
    pub(super) response: Option<HeadRef<'b>>,
    /// Bytes of the server.
    pub(super) answer: &'b [u8],
    pub(super) complete: bool,
}

impl<'b> Bytes<'b> {
    fn over<'v>(&self, state: &'v RuleState) -> RequestView<'v>
    where
        'b: 'v,
    {
        let mut view = RequestView::new(self.now, self.connection, state)
            .with_payload(self.payload, self.complete);
        view.request = self.request;
        view.peeked = self.peeked;
        view.awaits_request = self.awaits_request;
        view.response = self.response;
        view.answer = self.answer;
        view
    }
}

/// Rules over a message.
pub(super) struct Message<'m, 'h> {
    pub(super) now: Instant,
    pub(super) connection: &'m ConnectionInfo,
    /// The request, while a response is looked at.
    pub(super) request: Option<HeadRef<'m>>,
    pub(super) head: &'m mut HeadMut<'h>,
    pub(super) state: &'m mut RuleState,
    /// `head` is a response.
    pub(super) is_response: bool,
}

impl Message<'_, '_> {
    fn view(&self) -> RequestView<'_> {
        let mut view = RequestView::new(self.now, self.connection, self.state);
        if self.is_response {
            view.request = self.request;
            view.response = Some(self.head.as_ref());
        } else {
            view.request = Some(self.head.as_ref());
        }
        view
    }

    /// Runs `rules` in order, from that of index `first` on.
    pub(super) fn run(&mut self, rules: &[Rule], first: usize) -> Ending {
        if first == 0 {
            self.state.lenient = false;
        }
        for (index, rule) in rules.iter().enumerate().skip(first) {
            if !rule.condition.holds(&self.view()) {
                continue;
            }
            if let Step::End(ending) = self.step(&rule.action) {
                if matches!(ending, Ending::Wait(..) | Ending::Resolve(_)) {
                    self.state.awaiting = number(index + 1);
                } else if rule.origin.is_some() {
                    self.state.last_rule.clone_from(&rule.origin);
                }
                return ending;
            }
        }
        Ending::Continue
    }

    fn step(&mut self, action: &Action) -> Step {
        if let Action::SilentDrop(hops) = action {
            self.state.marked().reset_hops = Some(*hops);
            return Step::End(Ending::SilentDrop);
        }
        let view = self.view();
        let own = |template: &Option<Arc<super::action::ReplyTemplate>>| {
            template.as_ref().map(|t| Box::new(t.reply(&view)))
        };
        Step::End(match action {
            Action::Allow => Ending::Continue,
            Action::WaitForBody(time, at_least) => Ending::Wait(*time, *at_least),
            Action::Resolve(resolve) => match resolve.lookup(&view) {
                Some(lookup) => Ending::Resolve(Box::new(lookup)),
                None => return Step::Next,
            },
            Action::Deny(status, template) => Ending::Deny(*status, own(template)),
            Action::Tarpit(status, template) => Ending::Tarpit(*status, own(template)),
            Action::Return(template) => Ending::Return(Box::new(template.reply(&view))),
            Action::Auth(realm) => Ending::Auth(realm.clone()),
            Action::Serve(service) => Ending::Serve(*service),
            Action::Reject => Ending::Reject,
            Action::Redirect(template) => match template.redirect(&view) {
                Some(redirect) => Ending::Redirect(Box::new(redirect)),
                None => return Step::Next,
            },
            Action::CacheUse(cache) => {
                let visit = self.state.visit();
                visit.look(cache, self.now, self.head.as_ref());
                return Step::Next;
            }
            Action::CacheStore(cache) => {
                let date = view.date();
                let visit = self.state.visit();
                visit.store(cache, (self.now, date), self.head.as_ref());
                return Step::Next;
            }
            Action::Normalize(normalizer) => match normalizer.apply(self.head) {
                Ok(()) => return Step::Next,
                Err(_) => Ending::Deny(400, None),
            },
            Action::StrictMode(strict) => {
                self.state.lenient = !*strict;
                return Step::Next;
            }
            edit => match self.edit(edit) {
                Ok(()) => return Step::Next,
                Err(Failed) => {
                    let failed = &mut self.state.marked().failed_rewrites;
                    *failed = failed.saturating_add(1);
                    match self.state.lenient {
                        true => return Step::Next,
                        false => Ending::Failed,
                    }
                }
            },
        })
    }

    fn edit(&mut self, action: &Action) -> Result<(), Failed> {
        match action {
            Action::Header(edit) => {
                let mut text = match edit.format() {
                    Some(format) => self.render(format),
                    None => std::mem::take(&mut self.state.scratch),
                };
                let fits = self.head.has_room(text.len());
                if fits {
                    edit_headers(edit, &mut text, self.head);
                }
                self.state.scratch = text;
                fits.then_some(()).ok_or(Failed)
            }
            Action::Target(edit) => {
                let text = self.render(edit.format());
                let done = self.head.has_room(text.len()) && edit_target(edit, &text, self.head);
                self.state.scratch = text;
                done.then_some(()).ok_or(Failed)
            }
            Action::SetMethod(format) => {
                let text = self.render(format);
                let done = token(&text) && self.head.has_room(text.len());
                if done {
                    self.head.set_method(&text);
                }
                self.state.scratch = text;
                done.then_some(()).ok_or(Failed)
            }
            Action::SetStatus(status, reason) => {
                let reason = reason.as_deref();
                let reason = reason.unwrap_or_else(|| crate::http1::reason_phrase(*status));
                let mut reason = reason.as_bytes().to_vec();
                sanitize(&mut reason);
                self.head.set_status(*status, &reason);
                Ok(())
            }
            other => {
                if let Some(change) = Change::of(other, &self.view()) {
                    change.apply(self.state);
                }
                Ok(())
            }
        }
    }

    /// The value of `format` in the scratch memory, which the caller gives back.
    fn render(&mut self, format: &LogFormat) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.state.scratch);
        text.clear();
        format.write_value(&self.view(), &mut text);
        text
    }
}

/// The value of `format` over `view`.
fn written(format: &LogFormat, view: &RequestView<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    format.write_value(view, &mut text);
    text
}

/// The addresses with another part. A port stays as long as the family does.
fn changed(part: AddressPart, value: Value<'_>, view: &RequestView<'_>) -> Option<Addresses> {
    let mut addresses = Addresses {
        source: view.source(),
        destination: view.destination(),
    };
    let place = match part {
        AddressPart::Source | AddressPart::SourcePort => &mut addresses.source,
        AddressPart::Destination | AddressPart::DestinationPort => &mut addresses.destination,
    };
    match part {
        AddressPart::Source | AddressPart::Destination => {
            let address = value.address()?;
            let is_kept =
                !is_unix(*place) && address.is_ipv4() == place.ip().to_canonical().is_ipv4();
            *place = SocketAddr::new(address, if is_kept { place.port() } else { 0 });
        }
        AddressPart::SourcePort | AddressPart::DestinationPort => {
            place.set_port(u16::try_from(value.integer()?).ok()?);
        }
    }
    Some(addresses)
}

/// The precedence with another part, within its bounds.
fn preferred(part: PriorityPart, value: i64, view: &RequestView<'_>) -> Precedence {
    let mut precedence = view.state.precedence();
    match part {
        PriorityPart::Class => {
            precedence.class = i16::try_from(value.clamp(-2047, 2047)).unwrap_or_default();
        }
        PriorityPart::Offset => {
            precedence.offset = i32::try_from(value.clamp(-524_287, 524_287)).unwrap_or_default();
        }
    }
    precedence
}

/// What an action changes in the state of the stream.
enum Change {
    Set(Scope, Arc<str>, OwnedValue),
    Unset(Scope, Arc<str>),
    Timeout(Kind, Duration),
    LogLevel(LogLevel),
    Tos(u8),
    Capture(usize, Vec<u8>, Side),
    Track(Level, usize, Tracked),
    Addresses(Addresses),
    Hint(Box<[u8]>, Vec<u8>),
    Precedence(Precedence),
    NoRetry,
}

impl Change {
    /// The change that `action` makes over `view`; an expression without a value changes nothing.
    fn of(action: &Action, view: &RequestView<'_>) -> Option<Self> {
        match action {
            Action::SetVariable(to, expr) => Self::set(to, expr.value(view)?.into_owned(), view),
            Action::SetVariableFormat(to, format) => {
                let text = written(format, view);
                Self::set(to, Value::String(text.into()), view)
            }
            Action::SetAddress(part, expr) => {
                Some(Self::Addresses(changed(*part, expr.value(view)?, view)?))
            }
            Action::SetPriority(part, expr) => {
                let value = expr.value(view)?.integer()?;
                Some(Self::Precedence(preferred(*part, value, view)))
            }
            Action::SetTimeout(which, span) => Some(Self::Timeout(*which, span.length(view)?)),
            Action::UnsetVariable(scope, name) => Some(Self::Unset(*scope, Arc::clone(name))),
            Action::SetLogLevel(level) => Some(Self::LogLevel(*level)),
            Action::SetTos(tos) => Some(Self::Tos(*tos)),
            Action::DisableRetry => Some(Self::NoRetry),
            Action::Capture(expr, slot, length) => {
                let side = match view.response {
                    None => Side::Request,
                    Some(_) => Side::Response,
                };
                let frontend = &view.connection.frontend;
                let length = length.or_else(|| view.state.slot_length(frontend, side, *slot))?;
                let mut text = expr.value(view)?.into_text().into_owned();
                text.truncate(length);
                Some(Self::Capture(*slot, text, side))
            }
            Action::Track(track) => {
                let tracked = track.begin(view)?;
                Some(Self::Track(track.level, track.counter, tracked))
            }
            Action::Increment(counter, event) => {
                let tracked = view.state.trackers.tracked(*counter)?;
                tracked.count(view.now, *event);
                None
            }
            Action::SetTag(counter, column, expr) => {
                let tracked = view.state.trackers.tracked(*counter)?;
                let value = u64::try_from(expr.value(view)?.integer()?).ok()?;
                let (table, key) = (tracked.table(), tracked.key());
                if table.stores(*column) {
                    table.set(view.now, key, *column, value);
                }
                None
            }
            Action::SetMap(file, key, value) => {
                file.put(&written(key, view), &written(value, view));
                None
            }
            Action::AddPattern(file, key) => {
                file.put(&written(key, view), b"");
                None
            }
            Action::Hint(name, format) => {
                let mut value = written(format, view);
                sanitize(&mut value);
                Some(Self::Hint(name.clone(), value))
            }
            Action::DeleteKey(file, key) => {
                file.remove(Which::Key(&written(key, view)));
                None
            }
            _ => None,
        }
    }

    /// A variable that is to be set, if its conditions hold.
    fn set(to: &Assignment, value: OwnedValue, view: &RequestView<'_>) -> Option<Self> {
        let holds = to.holds(&value, view.state);
        holds.then(|| Self::Set(to.scope, Arc::clone(&to.name), value))
    }

    fn apply(self, state: &mut RuleState) {
        match self {
            Self::Set(scope, name, value) => state.set_variable(scope, &name, value),
            Self::Unset(scope, name) => state.unset_variable(scope, &name),
            Self::Timeout(Kind::Server, span) => state.marked().server_timeout = Some(span),
            Self::Timeout(Kind::Tunnel, span) => state.marked().tunnel_timeout = Some(span),
            Self::Addresses(addresses) => state.marked().addresses = Some(addresses),
            Self::Track(level, counter, tracked) => state.trackers.begin(level, counter, tracked),
            Self::Precedence(precedence) => state.marked().precedence = precedence,
            Self::NoRetry => state.marked().no_retry = true,
            Self::LogLevel(level) => state.log_level = Some(level),
            Self::Tos(tos) => state.marked().tos = Some(tos),
            Self::Hint(name, value) => {
                let hints = &mut state.marked().hints;
                for part in [&*name, b": ", value.as_slice(), b"\r\n"] {
                    hints.extend_from_slice(part);
                }
            }
            Self::Capture(slot, text, side) => state.capture(side, slot, text),
        }
    }
}
