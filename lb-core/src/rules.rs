//! Rules of a proxy: `tcp-request`, `http-request`, `http-response`, `http-after-response`, `use_backend`,
//! `use-server`, in HAProxy's order.
//!
//! Lines become actions with conditions in a [`RulesBuilder`]; [`ProxyRules`] runs them. Running cannot fail,
//! and nothing that a client sent can leave a rule as a line end or a NUL in a header. Manual 4.2.

mod action;
mod answer;
mod builder;
mod choose;
mod error;
mod lookup;
mod mark;
mod run;
mod stick;
mod user;
mod verdict;
mod words;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub use action::{ACTIONS, ActionSpec, Place};
pub use builder::{Loader, Parsed, ProxySide, Remark, RulesBuilder};
pub use error::{RuleError, RuleWarning};
pub use lookup::Lookup;
pub use stick::Stores;
pub use user::{Password, User};
pub use verdict::{
    AnswerVerdict, ConnectionVerdict, ContentVerdict, Persist, Redirect, Reply, RequestVerdict,
    ResponseVerdict, Service,
};

use crate::{
    acl::Condition,
    expr::Asked,
    head::{HeadMut, HeadRef},
    request::{ConnectionInfo, Origin, Peeked, RequestView, RuleState, Side},
    stick_table::Event,
};
use action::{Action, ReplyTemplate};
use choose::Choice;
use mark::{HeaderCapture, capture_headers};
use run::{Bytes, Ending, Message};
use stick::Stick;

/// Every rule of one proxy, compiled. Cloning shares the rules.
#[derive(Debug, Clone, Default)]
pub struct ProxyRules {
    rules: Arc<Rules>,
}

/// The rules in the order in which they run.
#[derive(Debug, Default)]
struct Rules {
    connection: Vec<Rule>,
    session: Vec<Rule>,
    content: Vec<Rule>,
    inspect_delay: Option<Duration>,
    /// `tcp-response content`.
    answers: Vec<Rule>,
    /// `tcp-response inspect-delay`.
    answer_delay: Option<Duration>,
    http_request: Vec<Rule>,
    /// Old `redirect` lines: after `http-request`, whatever that allowed.
    redirects: Vec<Rule>,
    http_response: Vec<Rule>,
    http_after_response: Vec<Rule>,
    backends: Vec<Choice>,
    servers: Vec<Choice>,
    sticks: Vec<Stick>,
    /// `stick store-response`.
    learned: Vec<Stick>,
    monitor_fail: Vec<Condition>,
    /// `force-persist` and `ignore-persist`.
    persist: Vec<(Persist, Condition)>,
    /// `http-error` by status.
    errors: BTreeMap<u16, ReplyTemplate>,
    request_headers: Vec<HeaderCapture>,
    response_headers: Vec<HeaderCapture>,
    cookie: Option<mark::CookieCapture>,
    unique_id: mark::UniqueId,
    /// Number of capture slots of requests and responses.
    slots: (usize, usize),
    /// Lengths of those that were declared.
    lengths: (Vec<usize>, Vec<usize>),
    /// Servers that expressions ask about, with their backends.
    asked: Vec<Asked>,
    /// An expression looks at the bodies of requests.
    reads_bodies: bool,
}

/// An action and when it is taken.
#[derive(Clone)]
struct Rule {
    action: Action,
    condition: Condition,
    /// Where it stands, if that is to be remembered when it ends the evaluation.
    origin: Option<Arc<Origin>>,
}

/// Rules that do the same read the same, wherever they stand: configurations are compared by it.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("action", &self.action)
            .field("condition", &self.condition)
            .finish_non_exhaustive()
    }
}

impl ProxyRules {
    /// `tcp-request connection`, right after acceptance.
    pub fn on_connection(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        state: &mut RuleState,
    ) -> ConnectionVerdict {
        over_connection(&self.rules.connection, now, connection, state)
    }

    /// `tcp-request session`, once the addresses of a PROXY header and the parameters of TLS are known.
    pub fn on_session(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        state: &mut RuleState,
    ) -> ConnectionVerdict {
        let verdict = over_connection(&self.rules.session, now, connection, state);
        if verdict == ConnectionVerdict::Accept {
            state.trackers.count(now, Event::Session);
        }
        verdict
    }

    /// `tcp-request content` over the bytes received so far (`complete`: no more will come, or the time is
    /// over); in HTTP mode with the parsed request, in TCP mode with one that they are found to be.
    pub fn on_content(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: Option<HeadRef<'_>>,
        payload: &[u8],
        complete: bool,
        state: &mut RuleState,
    ) -> ContentVerdict {
        if self.rules.content.is_empty() {
            return ContentVerdict::Accept;
        }
        let peeked = match request {
            Some(_) => Peeked::default(),
            None => Peeked::of(payload),
        };
        let bytes = Bytes {
            now,
            connection,
            request: request.or_else(|| peeked.head(payload)),
            peeked: request.is_none(),
            awaits_request: peeked.is_awaited(),
            payload,
            response: None,
            answer: &[],
            // Without an inspection time nothing is waited for.
            complete: complete || self.rules.inspect_delay.is_none(),
        };
        match run::over_bytes(&self.rules.content, &bytes, state) {
            Ending::Reject => ContentVerdict::Reject,
            Ending::SilentDrop => ContentVerdict::SilentDrop,
            Ending::SwitchMode => ContentVerdict::SwitchMode,
            Ending::Resolve(lookup) => ContentVerdict::Resolve {
                lookup,
                within: self.rules.inspect_delay,
            },
            Ending::Unknown => ContentVerdict::NeedMore {
                within: self.rules.inspect_delay.unwrap_or_default(),
            },
            _ => ContentVerdict::Accept,
        }
    }

    /// `http-request`, in order; edits the head.
    pub fn on_request(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: &mut HeadMut<'_>,
        state: &mut RuleState,
    ) -> RequestVerdict {
        let rules = &*self.rules;
        let first = std::mem::take(&mut state.awaiting) as usize;
        if first == 0 {
            rules.begin_request(now, connection, request.as_ref(), state);
        }
        if rules.http_request.is_empty() && rules.redirects.is_empty() {
            return RequestVerdict::Continue;
        }
        let mut message = Message {
            now,
            connection,
            request: None,
            head: request,
            state,
            is_response: false,
        };
        let mut ending = message.run(&rules.http_request, first);
        if matches!(ending, Ending::Continue) {
            ending = message.run(&rules.redirects, 0);
        }
        match ending {
            Ending::Continue | Ending::Unknown | Ending::SwitchMode | Ending::Close => {
                RequestVerdict::Continue
            }
            Ending::Wait(time, at_least) => RequestVerdict::WaitForBody { time, at_least },
            Ending::Resolve(lookup) => RequestVerdict::Resolve(lookup),
            Ending::Deny(status, reply) => RequestVerdict::Deny { status, reply },
            Ending::Tarpit(status, reply) => RequestVerdict::Tarpit { status, reply },
            Ending::Redirect(redirect) => RequestVerdict::Redirect(redirect),
            Ending::Return(reply) => RequestVerdict::Return(reply),
            Ending::Auth(realm) => RequestVerdict::Auth {
                realm: realm.unwrap_or_else(|| Arc::clone(&connection.frontend)),
            },
            Ending::Serve(service) => RequestVerdict::Serve(service),
            Ending::SilentDrop => RequestVerdict::SilentDrop,
            Ending::Reject => RequestVerdict::Reject,
            Ending::Failed => RequestVerdict::Fail,
        }
    }

    /// Whether nothing is to be done about a request: no rule, no capture, no number of its own.
    #[cfg(feature = "tokio")]
    pub(crate) fn pass_every_request(&self) -> bool {
        let rules = &*self.rules;
        rules.content.is_empty()
            && rules.http_request.is_empty()
            && rules.redirects.is_empty()
            && rules.request_headers.is_empty()
            && rules.slots == (0, 0)
            && rules.unique_id.format.is_none()
            && !rules.reads_bodies
    }

    /// Whether there are `tcp-request content` rules.
    #[cfg(feature = "tokio")]
    pub(crate) fn inspect(&self) -> bool {
        !self.rules.content.is_empty()
    }

    /// Whether anything looks at the bodies of requests, as far as they have come.
    #[cfg(feature = "tokio")]
    pub(crate) fn read_bodies(&self) -> bool {
        self.rules.reads_bodies
    }

    /// The id of a connection that is no request (`unique-id-format`).
    #[cfg(feature = "tokio")]
    pub(crate) fn identify(&self, view: &RequestView<'_>) -> Option<Vec<u8>> {
        self.rules.unique_id.of(view)
    }

    /// Every rule has run and the request goes to a server: `capture cookie`, `unique-id-header`.
    pub fn on_departure(&self, request: &mut HeadMut<'_>, state: &mut RuleState) {
        if let Some(cookie) = &self.rules.cookie {
            state.marked().request_cookie = cookie.of_request(request.as_ref());
        }
        let header = self.rules.unique_id.header.as_ref();
        if let Some((name, id)) = header.zip(state.unique_id()) {
            request.add(name, id);
        }
    }

    /// `http-error`: what is answered in place of the error page for `status`.
    pub fn error_reply(&self, status: u16, view: &RequestView<'_>) -> Option<Reply> {
        self.rules
            .errors
            .get(&status)
            .map(|error| error.reply(view))
    }

    /// `monitor fail`: whether `monitor-uri` is to be answered with an error.
    pub fn monitor_fails(&self, view: &RequestView<'_>) -> bool {
        let conditions = &self.rules.monitor_fail;
        conditions.iter().any(|condition| condition.holds(view))
    }

    /// Whether the persistence of some requests is special.
    #[cfg(feature = "tokio")]
    pub(crate) fn treats_persistence(&self) -> bool {
        !self.rules.persist.is_empty()
    }

    /// `force-persist` and `ignore-persist`: the first one whose condition holds.
    pub fn persistence(&self, view: &RequestView<'_>) -> Persist {
        let mut rules = self.rules.persist.iter();
        let found = rules.find(|(_, condition)| condition.holds(view));
        found.map_or(Persist::Usual, |(persist, _)| *persist)
    }

    /// What a frontend keeps of a response for the log (`capture response header`, `capture cookie`), before any rule of a
    /// backend or of its own.
    pub fn note_response(&self, response: HeadRef<'_>, state: &mut RuleState) {
        let rules = &*self.rules;
        let (headers, slots) = (&rules.response_headers, rules.slots.1);
        capture_headers(headers, slots, response, &mut state.captures.response);
        if let Some(cookie) = &rules.cookie {
            state.marked().response_cookie = cookie.of_response(response);
        }
    }

    /// `http-response`, in order; edits the head.
    pub fn on_response(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: Option<HeadRef<'_>>,
        response: &mut HeadMut<'_>,
        state: &mut RuleState,
    ) -> ResponseVerdict {
        let rules = &self.rules.http_response;
        over_response(rules, now, connection, request, response, state)
    }

    /// `http-after-response`: over every response that is sent, our own included.
    pub fn on_after_response(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: Option<HeadRef<'_>>,
        response: &mut HeadMut<'_>,
        state: &mut RuleState,
    ) -> ResponseVerdict {
        let rules = &self.rules.http_after_response;
        over_response(rules, now, connection, request, response, state)
    }

    /// How much is kept in a slot for captures; `None` if there is no such slot.
    pub fn capture_length(&self, side: Side, slot: usize) -> Option<usize> {
        let (slots, lengths) = match side {
            Side::Request => (self.rules.slots.0, &self.rules.lengths.0),
            Side::Response => (self.rules.slots.1, &self.rules.lengths.1),
        };
        (slot < slots).then(|| lengths.get(slot).copied().unwrap_or(usize::MAX))
    }

    /// Whether nothing is to be done about a response: no rule and no capture.
    #[cfg(feature = "tokio")]
    pub(crate) fn pass_every_response(&self) -> bool {
        let rules = &*self.rules;
        !self.edits_responses()
            && rules.response_headers.is_empty()
            && rules.slots.1 == 0
            && rules.cookie.is_none()
    }

    /// Whether there is any `http-response` or `http-after-response` line.
    pub fn edits_responses(&self) -> bool {
        !self.rules.http_response.is_empty() || !self.rules.http_after_response.is_empty()
    }
}

impl Rules {
    /// What is noted of a request before the first rule.
    fn begin_request(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        request: HeadRef<'_>,
        state: &mut RuleState,
    ) {
        capture_headers(
            &self.request_headers,
            self.slots.0,
            request,
            &mut state.captures.request,
        );
        if self.unique_id.format.is_some() {
            let view = RequestView::new(now, connection, state).with_request(request);
            let id = self.unique_id.of(&view);
            state.marked().unique_id = id;
        }
        if self.slots.1 > 0 {
            // Also an answer of our own is logged with its captures, which are then empty.
            state.captures.response.resize(self.slots.1, None);
        }
    }
}

/// Rules that see no more than a connection.
fn over_connection(
    rules: &[Rule],
    now: Instant,
    connection: &ConnectionInfo,
    state: &mut RuleState,
) -> ConnectionVerdict {
    let bytes = Bytes {
        now,
        connection,
        request: None,
        peeked: true,
        awaits_request: false,
        payload: &[],
        response: None,
        answer: &[],
        complete: true,
    };
    match run::over_bytes(rules, &bytes, state) {
        Ending::Reject => ConnectionVerdict::Reject,
        Ending::SilentDrop => ConnectionVerdict::SilentDrop,
        _ => ConnectionVerdict::Accept,
    }
}

fn over_response(
    rules: &[Rule],
    now: Instant,
    connection: &ConnectionInfo,
    request: Option<HeadRef<'_>>,
    response: &mut HeadMut<'_>,
    state: &mut RuleState,
) -> ResponseVerdict {
    if rules.is_empty() {
        return ResponseVerdict::Continue;
    }
    let mut message = Message {
        now,
        connection,
        request,
        head: response,
        state,
        is_response: true,
    };
    let first = std::mem::take(&mut message.state.awaiting) as usize;
    match message.run(rules, first) {
        Ending::Wait(time, at_least) => ResponseVerdict::WaitForBody { time, at_least },
        Ending::Deny(status, reply) | Ending::Tarpit(status, reply) => {
            ResponseVerdict::Deny { status, reply }
        }
        Ending::Redirect(redirect) => ResponseVerdict::Redirect(redirect),
        Ending::Return(reply) => ResponseVerdict::Return(reply),
        Ending::SilentDrop | Ending::Reject => ResponseVerdict::SilentDrop,
        Ending::Failed => ResponseVerdict::Fail,
        Ending::Continue
        | Ending::Auth(_)
        | Ending::Serve(_)
        | Ending::Resolve(_)
        | Ending::SwitchMode
        | Ending::Close
        | Ending::Unknown => ResponseVerdict::Continue,
    }
}

#[cfg(test)]
mod tests;
