//! `set-var`, `set-var-fmt` and `unset-var`.

use super::{
    Action,
    parse::{expression, format},
    spec::Context,
};
use crate::{
    request::{Assignment, Scope},
    rules::{RuleError, words::Words},
};

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
    if assignment.is_conditional() {
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
    variable(inside.split(','), words.at().saturating_sub(1))
}

/// A variable that rules set, and conditions behind its name, out of the word at `at`.
pub(super) fn variable<'t>(
    parts: impl Iterator<Item = &'t str>,
    at: usize,
) -> Result<Assignment, RuleError> {
    let read = Assignment::read(parts).map_err(|error| error.shifted(at))?;
    match read.scope {
        Scope::Check => Err(
            RuleError::new(at, "variables of checks are set by checks alone")
                .expecting("proc., sess., txn., req. or res. and a name"),
        ),
        _ => Ok(read),
    }
}
