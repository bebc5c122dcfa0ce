//! Conditions: named, predefined and anonymous ACLs combined by `if` and `unless`. Manual 7.1, 7.2, 7.4.
//!
//! A condition is a list of alternatives (`or`), each a list of terms that must all hold. The answer has three
//! values while received bytes are being inspected: yes, no, and not known yet.

mod parse;
mod predefined;

pub use predefined::PREDEFINED;

use std::sync::Arc;

pub(crate) use parse::{AclSet, Site};

use crate::{
    expr::{Expr, LiveMatcher, Settled, Value, matcher::Matcher},
    request::RequestView,
};

/// A condition over ACLs, compiled. The default one always holds.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// `unless`.
    negated: bool,
    /// Alternatives; without any the condition holds.
    alternatives: Vec<Vec<Term>>,
}

/// One ACL in a condition.
#[derive(Debug, Clone)]
struct Term {
    /// `!` before it.
    negated: bool,
    /// Its name; anonymous ones have none.
    name: Option<Arc<str>>,
    /// Its lines, of which one must match.
    tests: Arc<[Test]>,
}

/// One line of an ACL: an expression and what its values are compared with.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    expr: Expr,
    patterns: Patterns,
}

/// What the values of an expression are compared with.
#[derive(Debug, Clone)]
enum Patterns {
    /// Nothing that could change.
    Fixed(Matcher),
    /// Those of files, and those of the line itself.
    Live(Box<[Arc<LiveMatcher>]>),
}

impl Patterns {
    fn match_with(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Fixed(matcher) => matcher.matches(value),
            Self::Live(all) => all.iter().any(|one| one.matches(value)),
        }
    }
}

/// The answer of a condition. The order makes "and" the lesser and "or" the greater of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    No,
    /// It depends on bytes that are not there yet.
    Unknown,
    /// It holds.
    Yes,
}

impl Truth {
    fn negated_if(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (same, _) => same,
        }
    }
}

impl Condition {
    /// Whether the condition holds over `view`; what is not known counts as no.
    pub fn holds(&self, view: &RequestView<'_>) -> bool {
        self.truth(view) == Truth::Yes
    }

    /// Whether the condition holds over `view`.
    pub fn truth(&self, view: &RequestView<'_>) -> Truth {
        if self.alternatives.is_empty() {
            return Truth::Yes.negated_if(self.negated);
        }
        let mut best = Truth::No;
        for terms in &self.alternatives {
            let mut all = Truth::Yes;
            for term in terms {
                all = all.min(term.truth(view));
                if all == Truth::No {
                    break;
                }
            }
            best = best.max(all);
            if best == Truth::Yes {
                break;
            }
        }
        best.negated_if(self.negated)
    }

    /// Whether any expression in it, of the lines that named ACLs have so far, looks at what the client sends.
    pub(crate) fn looks_at_contents(&self, acls: &AclSet) -> bool {
        self.alternatives.iter().flatten().any(|term| {
            let completed = term.name.as_deref().and_then(|name| acls.tests(name));
            let tests = completed.as_ref().unwrap_or(&term.tests);
            tests.iter().any(|test| test.expr.needs().is_of_request())
        })
    }

    /// Takes the lines that named ACLs have in the end: an ACL may get lines after its first use.
    pub(crate) fn complete(&mut self, acls: &AclSet) {
        for term in self.alternatives.iter_mut().flatten() {
            if let Some(tests) = term.name.as_deref().and_then(|name| acls.tests(name)) {
                term.tests = tests;
            }
        }
    }
}

impl Term {
    fn truth(&self, view: &RequestView<'_>) -> Truth {
        let mut best = Truth::No;
        for test in self.tests.iter() {
            best = best.max(test.truth(view));
            if best == Truth::Yes {
                break;
            }
        }
        best.negated_if(self.negated)
    }
}

impl Test {
    fn truth(&self, view: &RequestView<'_>) -> Truth {
        let mut matched = false;
        let settled = self.expr.each(view, &mut |value| {
            matched = self.patterns.match_with(&value);
            !matched
        });
        match (matched, settled) {
            (true, _) => Truth::Yes,
            (false, Settled::No) => Truth::Unknown,
            (false, Settled::Yes) => Truth::No,
        }
    }
}

#[cfg(test)]
mod tests;
