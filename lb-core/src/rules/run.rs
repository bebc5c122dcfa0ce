//! Running rules: one after the other, each over what the earlier ones left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Redirect, Reply, Rule, Service,
    action::{Action, AddressPart, Kind, edit_headers, edit_target, sanitize, token},
};
use crate::{
    acl::Truth,
    expr::{OwnedValue, Value, Which},
    head::{HeadMut, HeadRef},
    log::LogFormat,
    request::{Addresses, Assignment, ConnectionInfo, LogLevel, RequestView, RuleState, Scope},
    stick_table::{Level, Tracked},
};

/// How a list of rules ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing more to say.
    Continue,
    /// The body is waited for, so long at most and for so many bytes.
    Wait(Duration, usize),
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
    /// A condition depends on bytes that are not there yet.
    Unknown,
}

/// What an action does to the run.
enum Step {
    Next,
    End(Ending),
}

/// Rules over a connection and its bytes; goes on where it had to wait.
pub(super) fn over_bytes(rules: &[Rule], view: &Bytes<'_>, state: &mut RuleState) -> Ending {
    let first = std::mem::take(&mut state.awaiting) as usize;
    for (index, rule) in rules.iter().enumerate().skip(first) {
        let place = u32::try_from(index).unwrap_or(u32::MAX);
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
            // The key may still come.
            Action::Track(track) if track.key.is_awaited(&view.over(state)) => {
                state.awaiting = place;
                return Ending::Unknown;
            }
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

/// What is known before a message is parsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'b> {
    pub(super) now: Instant,
    pub(super) connection: &'b ConnectionInfo,
    pub(super) request: Option<HeadRef<'b>>,
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
        for (index, rule) in rules.iter().enumerate().skip(first) {
            if !rule.condition.holds(&self.view()) {
                continue;
            }
            if let Step::End(ending) = self.step(&rule.action) {
                if matches!(ending, Ending::Wait(..)) {
                    self.state.awaiting = u32::try_from(index + 1).unwrap_or(u32::MAX);
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
            Action::Normalize(normalizer) => match normalizer.apply(self.head) {
                Ok(()) => return Step::Next,
                Err(_) => Ending::Deny(400, None),
            },
            edit => {
                self.edit(edit);
                return Step::Next;
            }
        })
    }

    fn edit(&mut self, action: &Action) {
        match action {
            Action::Header(edit) => {
                let mut text = match edit.format() {
                    Some(format) => self.render(format),
                    None => std::mem::take(&mut self.state.scratch),
                };
                edit_headers(edit, &mut text, self.head);
                self.state.scratch = text;
            }
            Action::Target(edit) => {
                let text = self.render(edit.format());
                edit_target(edit, &text, self.head);
                self.state.scratch = text;
            }
            Action::SetMethod(format) => {
                let text = self.render(format);
                if token(&text) {
                    self.head.set_method(&text);
                }
                self.state.scratch = text;
            }
            Action::SetStatus(status, reason) => {
                let mut reason = reason.as_deref().unwrap_or_default().as_bytes().to_vec();
                sanitize(&mut reason);
                self.head.set_status(*status, &reason);
            }
            other => {
                if let Some(change) = Change::of(other, &self.view()) {
                    change.apply(self.state);
                }
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
            if address.is_ipv4() != place.ip().to_canonical().is_ipv4() {
                place.set_port(0);
            }
            place.set_ip(address);
        }
        AddressPart::SourcePort | AddressPart::DestinationPort => {
            place.set_port(u16::try_from(value.integer()?).ok()?);
        }
    }
    Some(addresses)
}

/// What an action changes in the state of the stream.
enum Change {
    Set(Scope, Arc<str>, OwnedValue),
    Unset(Scope, Arc<str>),
    Timeout(Kind, Duration),
    LogLevel(LogLevel),
    Capture(usize, Vec<u8>, bool),
    Track(Level, usize, Tracked),
    Addresses(Addresses),
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
            Action::SetTimeout(which, span) => Some(Self::Timeout(*which, span.length(view)?)),
            Action::UnsetVariable(scope, name) => Some(Self::Unset(*scope, Arc::clone(name))),
            Action::SetLogLevel(level) => Some(Self::LogLevel(*level)),
            Action::Capture(expr, slot, length) => {
                let mut text = expr.value(view)?.into_text().into_owned();
                text.truncate(*length);
                Some(Self::Capture(*slot, text, view.response.is_some()))
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
            Action::DeleteFromMap(file, key) => {
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
            Self::LogLevel(level) => state.log_level = Some(level),
            Self::Capture(slot, text, of_response) => {
                let captures = if of_response {
                    &mut state.captures.response
                } else {
                    &mut state.captures.request
                };
                // A slot that was never declared is no slot.
                if let Some(place) = captures.get_mut(slot) {
                    *place = Some(text);
                }
            }
        }
    }
}
