//! `set-var`, `set-var-fmt` and `unset-var`.

use std::sync::Arc;

use super::{
    Action,
    parse::{expression, format},
    table::Context,
};
use crate::{
    expr::{OwnedValue, Value, args::variable},
    request::{RuleState, Scope},
    rules::{RuleError, words::Words},
};

/// A variable, and what must hold for it to be set.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Assignment {
    pub(in crate::rules) scope: Scope,
    pub(in crate::rules) name: Arc<str>,
    conditions: Box<[When]>,
}

/// A condition behind the variable's name. Manual 7.3.1 (`set-var`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Exists,
    NotExists,
    Empty,
    NotEmpty,
    Set,
    NotSet,
    Greater,
    Less,
}

const CONDITIONS: &[(&str, When)] = &[
    ("ifexists", When::Exists),
    ("ifnotexists", When::NotExists),
    ("ifempty", When::Empty),
    ("ifnotempty", When::NotEmpty),
    ("ifset", When::Set),
    ("ifnotset", When::NotSet),
    ("ifgt", When::Greater),
    ("iflt", When::Less),
];

impl Assignment {
    /// Whether `value` is to be the variable's, every condition being true.
    pub(in crate::rules) fn holds(&self, value: &OwnedValue, state: &RuleState) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        let present = state.variable(self.scope, &self.name);
        self.conditions.iter().all(|when| match when {
            // Process-wide ones exist since the file was read.
            When::Exists => self.scope == Scope::Process || present.is_some(),
            When::NotExists => self.scope != Scope::Process && present.is_none(),
            When::Empty => value.bytes().is_some_and(<[u8]>::is_empty),
            When::NotEmpty => value.bytes().is_none_or(|bytes| !bytes.is_empty()),
            When::Set => present.is_some(),
            When::NotSet => present.is_none(),
            When::Greater => compared(present.as_ref(), value, |old, new| old > new),
            When::Less => compared(present.as_ref(), value, |old, new| old < new),
        })
    }
}

/// Only integers are compared; with anything else the condition holds.
fn compared(old: Option<&Value<'_>>, new: &OwnedValue, by: fn(i64, i64) -> bool) -> bool {
    match (old, new) {
        (Some(Value::Int(old)), Value::Int(new)) => by(*old, *new),
        _ => true,
    }
}

pub(super) fn set(words: &mut Words<'_>, context: &mut Context<'_>) -> Result<Action, RuleError> {
    let assignment = assignment(words)?;
    let expr = Box::new(expression(words, context)?);
    Ok(Action::SetVariable(assignment, expr))
}

pub(super) fn set_format(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
) -> Result<Action, RuleError> {
    let assignment = assignment(words)?;
    let format = format(words, context, "a value")?;
    Ok(Action::SetVariableFormat(assignment, format))
}

pub(super) fn unset(words: &mut Words<'_>, _: &mut Context<'_>) -> Result<Action, RuleError> {
    let assignment = assignment(words)?;
    if !assignment.conditions.is_empty() {
        return Err(words
            .wrong("'unset-var' takes no conditions")
            .expecting("a variable in parentheses"));
    }
    Ok(Action::UnsetVariable(assignment.scope, assignment.name))
}

/// `(NAME[,CONDITION...])` of the action word, which was read already.
fn assignment(words: &Words<'_>) -> Result<Assignment, RuleError> {
    let word = words.last().unwrap_or_default();
    let inside = word
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .ok_or_else(|| {
            words
                .wrong(format!("'{word}' misses its variable"))
                .expecting("a variable in parentheses")
        })?;
    let mut parts = inside.split(',').map(str::trim);
    let at = words.at().saturating_sub(1);
    let (scope, name) =
        variable(parts.next().unwrap_or_default()).map_err(|error| error.shifted(at))?;
    let conditions: Result<Vec<When>, RuleError> = parts
        .map(|part| {
            let known = CONDITIONS.iter().find(|(word, _)| *word == part);
            known.map(|(_, when)| *when).ok_or_else(|| {
                let all: Vec<&str> = CONDITIONS.iter().map(|(word, _)| *word).collect();
                words
                    .wrong(format!("'{part}' is no condition of 'set-var'"))
                    .expecting(all.join(", "))
            })
        })
        .collect();
    let conditions = conditions?;
    if conditions.len() > 4 {
        return Err(words
            .wrong("too many conditions of 'set-var'")
            .expecting("four at most"));
    }
    Ok(Assignment {
        scope,
        name,
        conditions: conditions.into(),
    })
}
