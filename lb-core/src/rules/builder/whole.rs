//! What can be said of a line only once every other line is known.

use std::sync::Arc;

use super::{ProxySide, RulesBuilder};
use crate::{
    request::{Origin, Side},
    rules::{Rule, RuleError, RuleWarning, action::Action},
};

/// Something about a line that was taken when it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where the line stands, as [`RulesBuilder::origin`] told.
    pub origin: Option<Arc<Origin>>,
    /// What is doubtful about it, or why it is wrong; the word is its first.
    pub what: Result<RuleWarning, RuleError>,
}

impl Remark {
    fn doubt(rule: &Rule, message: &str) -> Self {
        let message = message.to_owned();
        Self {
            origin: rule.origin.clone(),
            what: Ok(RuleWarning { word: 0, message }),
        }
    }
}

impl RulesBuilder<'_> {
    /// What is wrong or doubtful about lines now that there are no more, in the order in which they are carried out.
    /// `http` is whether the proxy speaks HTTP.
    pub fn remarks(&self, http: bool) -> Vec<Remark> {
        if self.side == ProxySide::Backend {
            // The slots are those of frontends, which also wait for what the client sends.
            return Vec::new();
        }
        let rules = &self.rules;
        let contents = rules.content.iter().filter_map(|r| self.unready(r, http));
        let (requests, slots) = (&rules.http_request, rules.slots.0);
        let of_requests = requests
            .iter()
            .filter_map(|r| unfound(r, Side::Request, slots));
        let responses = rules.http_response.iter().chain(&rules.http_after_response);
        let of_responses = responses.filter_map(|r| unfound(r, Side::Response, rules.slots.1));
        contents.chain(of_requests).chain(of_responses).collect()
    }

    /// A `tcp-request content` line that runs before what it looks at can have come, or that needs nothing of it.
    fn unready(&self, rule: &Rule, http: bool) -> Option<Remark> {
        let at_once = self.rules.inspect_delay.is_none_or(|delay| delay.is_zero());
        match &rule.action {
            Action::Capture(expr, ..) if at_once && expr.needs().is_of_request() => {
                Some(Remark::doubt(
                    rule,
                    "this capture depends on what clients send, and without 'tcp-request inspect-delay' nothing waits \
                     for that: it finds it by chance",
                ))
            }
            Action::Track(track) if track.key.needs().is_of_request() => {
                at_once.then(|| {
                    Remark::doubt(
                        rule,
                        "what is tracked depends on what clients send, and without 'tcp-request inspect-delay' \
                         nothing waits for that: it is found by chance",
                    )
                })
            }
            Action::Track(_) if http && !rule.condition.looks_at_contents(&self.acls) => {
                Some(Remark::doubt(
                    rule,
                    "in an HTTP frontend what does not depend on requests should be tracked by a 'tcp-request session' \
                     rule, which also counts requests that are not valid",
                ))
            }
            _ => None,
        }
    }
}

/// A capture in a slot that no line has made: of `side` there are `slots`.
fn unfound(rule: &Rule, side: Side, slots: usize) -> Option<Remark> {
    let Action::Capture(_, slot, _) = rule.action else {
        return None;
    };
    if slot < slots {
        return None;
    }
    let side = match side {
        Side::Request => "request",
        Side::Response => "response",
    };
    let message = format!("there is no {side} capture with the id {slot}");
    let error = RuleError::new(0, message);
    Some(Remark {
        origin: rule.origin.clone(),
        what: Err(error.expecting(format!(
            "a 'declare capture {side}' or 'capture {side}' line for it"
        ))),
    })
}
