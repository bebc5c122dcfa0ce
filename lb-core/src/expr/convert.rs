//! The table of converters.

mod binary;
mod bits;
mod coding;
mod digest;
pub(crate) mod fix;
pub(crate) mod json;
mod jwt;
mod map;
mod mqtt;
mod net;
mod number;
pub(crate) mod protobuf;
mod table;
mod text;
mod variable;

pub(crate) use text::expand;

use std::fmt;

use super::{
    Type,
    args::{ArgSpec, Argument},
    value::Value,
};
use crate::request::RequestView;

/// Changes a value, already cast to the converter's input type; `None` ends the expression without a value.
pub(crate) type Apply =
    for<'a> fn(Value<'a>, &'a [Argument], &RequestView<'a>) -> Option<Value<'a>>;

/// One entry of the table.
pub struct Converter {
    /// Name in the manual.
    pub name: &'static str,
    /// Arguments.
    pub args: &'static [ArgSpec],
    /// Type it works on.
    pub input: Type,
    /// Type of its result.
    pub output: Type,
    /// One sentence.
    pub doc: &'static str,
    pub(crate) apply: Apply,
}

impl Converter {
    /// A row of the tables: name, arguments, input, output, docs, function.
    const fn row(
        name: &'static str,
        args: &'static [ArgSpec],
        input: Type,
        output: Type,
        doc: &'static str,
        apply: Apply,
    ) -> Self {
        Self {
            name,
            args,
            input,
            output,
            doc,
            apply,
        }
    }
}

impl fmt::Debug for Converter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every converter.
pub fn all() -> impl Iterator<Item = &'static Converter> {
    text::TABLE
        .iter()
        .chain(coding::TABLE)
        .chain(number::TABLE)
        .chain(bits::TABLE)
        .chain(binary::TABLE)
        .chain(digest::TABLE)
        .chain(json::TABLE)
        .chain(net::TABLE)
        .chain(map::TABLE)
        .chain(map::GROUPS)
        .chain(table::COLUMNS)
        .chain(table::ELEMENTS)
        .chain(table::TABLE)
        .chain(variable::TABLE)
        .chain(fix::TABLE)
        .chain(mqtt::TABLE)
        .chain(jwt::TABLE)
        .chain(protobuf::TABLE)
}

/// The converter of that name.
pub fn find(name: &str) -> Option<&'static Converter> {
    all().find(|c| c.name == name)
}

#[cfg(test)]
mod tests;
