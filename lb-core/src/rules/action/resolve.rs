//! `do-resolve`: a name out of the request becomes an address in a variable.

use std::sync::Arc;

use super::{Action, assign::variable, parse::expression, spec::Context};
use crate::{
    expr::Expr,
    request::{Assignment, RequestView},
    rules::{Lookup, RuleError, words::Words},
};

/// What is asked for, whom, and where the answer goes.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Resolve {
    to: Assignment,
    resolvers: Arc<str>,
    prefers_v4: bool,
    name: Expr,
}

impl Resolve {
    /// Whether the name may still come.
    pub(in crate::rules) fn is_awaited(&self, view: &RequestView<'_>) -> bool {
        self.name.is_awaited(view)
    }

    /// The question; `None` if there is no name.
    pub(in crate::rules) fn lookup(&self, view: &RequestView<'_>) -> Option<Lookup> {
        let mut host = String::from_utf8(self.name.value(view)?.into_text().into_owned()).ok()?;
        host.make_ascii_lowercase();
        (!host.is_empty()).then(|| Lookup {
            resolvers: Arc::clone(&self.resolvers),
            host,
            prefers_v4: self.prefers_v4,
            scope: self.to.scope,
            variable: Arc::clone(&self.to.name),
        })
    }
}

/// `do-resolve(VARIABLE,RESOLVERS[,ipv4|ipv6]) EXPRESSION`.
pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Result<Action, RuleError> {
    let at = words.at().saturating_sub(1);
    let wrong = |message: String, expected: &str| {
        Err(RuleError::new(at, message).expecting(expected.to_owned()))
    };
    let word = words.last().unwrap_or_default();
    let inside = word
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    let mut parts = inside.unwrap_or_default().split(',').map(str::trim);
    let (Some(to), Some(resolvers)) = (parts.next(), parts.next()) else {
        let message = format!("'{word}' misses its variable and its resolvers");
        return wrong(message, "do-resolve(VARIABLE,RESOLVERS[,ipv4|ipv6])");
    };
    let to = variable([to].into_iter(), at)?;
    if let Some(known) = &context.site.definitions.resolvers
        && !known.contains(resolvers)
    {
        let message = format!("can't find resolvers section '{resolvers}' for do-resolve action");
        return wrong(message, "the name of a resolvers section");
    }
    let prefers_v4 = match parts.next() {
        None | Some("ipv6") => false,
        Some("ipv4") => true,
        Some(other) => {
            return wrong(format!("'{other}' is no kind of address"), "ipv4 or ipv6");
        }
    };
    if let Some(more) = parts.next() {
        return wrong(format!("unexpected '{more}'"), "nothing more");
    }
    Ok(Action::Resolve(Box::new(Resolve {
        to,
        resolvers: resolvers.into(),
        prefers_v4,
        name: expression(words, context)?,
    })))
}
