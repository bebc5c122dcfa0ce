//! An expression that knows how it was written, for settings that are compared when files are read again.

use std::{borrow::Cow, sync::Arc};

use super::{Definitions, Expr, Type, Value};
use crate::{request::RequestView, rules::RuleError};

/// An expression and its text.
#[derive(Debug, Clone)]
pub struct Written {
    text: Arc<str>,
    expr: Expr,
}

impl Written {
    /// Compiles the text.
    pub fn parse(text: &str, definitions: &Definitions) -> Result<Self, RuleError> {
        Ok(Self {
            text: text.into(),
            expr: Expr::parse(text, definitions)?,
        })
    }

    /// Its value as bytes.
    pub fn bytes<'a>(&'a self, view: &RequestView<'a>) -> Option<Cow<'a, [u8]>> {
        match self.expr.value(view)?.cast(Type::Binary)? {
            Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Its value as it is.
    pub(crate) fn value<'a>(&'a self, view: &RequestView<'a>) -> Option<Value<'a>> {
        self.expr.value(view)
    }

    /// Its value as a number.
    pub(crate) fn int(&self, view: &RequestView<'_>) -> Option<i64> {
        match self.expr.value(view)?.cast(Type::Int)? {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }
}

/// Written alike is the same.
impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Written {}
