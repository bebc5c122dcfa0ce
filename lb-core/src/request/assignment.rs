//! What `set-var` writes to: a variable, and what must hold for it to be set. Manual 7.3.1 (`set-var`).

use std::sync::Arc;

use super::{RuleState, Scope};
use crate::{
    expr::{OwnedValue, Value, args::variable},
    rules::RuleError,
};

/// A variable, and what must hold for it to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// How long it lives.
    pub scope: Scope,
    /// Its name, the scope included.
    pub name: Arc<str>,
    conditions: Box<[When]>,
}

/// A condition behind the variable's name.
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
    /// Reads a name and the conditions behind it.
    pub(crate) fn read<'t>(mut words: impl Iterator<Item = &'t str>) -> Result<Self, RuleError> {
        let (scope, name) = variable(words.next().unwrap_or_default().trim())?;
        let wrong = |message: &str, expected: &str| {
            Err(RuleError::new(0, message.to_owned()).expecting(expected))
        };
        let mut conditions = Vec::new();
        for word in words.map(str::trim) {
            match CONDITIONS.iter().find(|(known, _)| *known == word) {
                Some((_, when)) => conditions.push(*when),
                None => {
                    let all: Vec<&str> = CONDITIONS.iter().map(|(known, _)| *known).collect();
                    let message = format!("'{word}' is no condition of 'set-var'");
                    return wrong(&message, &all.join(", "));
                }
            }
        }
        if conditions.len() > 4 {
            return wrong("too many conditions of 'set-var'", "four at most");
        }
        Ok(Self {
            scope,
            name,
            conditions: conditions.into(),
        })
    }

    /// Reads `NAME[,CONDITION...]`, the variable of a check's `set-var`.
    pub fn of_check(text: &str) -> Result<Self, RuleError> {
        let read = Self::read(text.split(','))?;
        match read.scope {
            Scope::Process | Scope::Session | Scope::Check => Ok(read),
            _ => Err(
                RuleError::new(0, format!("'{text}' is no variable of a check"))
                    .expecting("proc., sess. or check. and letters, digits, '_', '.', '-'"),
            ),
        }
    }

    /// Whether anything must hold.
    pub fn is_conditional(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether `value` is to be the variable's, every condition being true.
    pub fn holds(&self, value: &Value<'_>, state: &RuleState) -> bool {
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

    /// Sets the variable while an expression is evaluated, if the conditions hold.
    pub(crate) fn note(&self, value: &Value<'_>, state: &RuleState) {
        if self.holds(value, state) {
            let value: OwnedValue = value.clone().into_owned();
            state.note_variable(self.scope, &self.name, Some(value));
        }
    }
}

/// Only integers are compared; with anything else the condition holds.
fn compared(old: Option<&Value<'_>>, new: &Value<'_>, by: fn(i64, i64) -> bool) -> bool {
    match (old, new) {
        (Some(Value::Int(old)), Value::Int(new)) => by(*old, *new),
        _ => true,
    }
}
