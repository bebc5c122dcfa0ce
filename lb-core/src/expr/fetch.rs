//! The table of sample fetches.

mod auth;
mod connection;
mod failure;
mod headers;
mod http;
mod internal;
mod payload;
mod process;
pub(super) mod servers;
pub(super) mod tables;
pub(crate) mod target;
mod tls;

use std::fmt;

use super::{
    Needs, Settled, Type, Wanted,
    args::{ArgSpec, Argument},
    value::Value,
};
use crate::request::RequestView;

/// Receives the values of a fetch; returns false when it wants no more.
pub(crate) type Sink<'s, 'a> = &'s mut dyn FnMut(Value<'a>) -> bool;

/// Gives one value or none.
type One = for<'a> fn(&'a [Argument], &RequestView<'a>) -> Option<Value<'a>>;

/// How a fetch is evaluated.
#[derive(Clone, Copy)]
pub(crate) enum Eval {
    /// One value or none.
    One(One),
    /// Any number of values, or the one that stands for them.
    Many(for<'a> fn(&'a [Argument], &RequestView<'a>, Wanted, Sink<'_, 'a>)),
    /// One value or none, which may change when more bytes arrive.
    Growing(for<'a> fn(&'a [Argument], &RequestView<'a>) -> (Option<Value<'a>>, Settled)),
    /// Any number of values, which may change when more bytes arrive; the first stands for them.
    GrowingMany(for<'a> fn(&RequestView<'a>, Sink<'_, 'a>) -> Settled),
}

/// One entry of the table.
pub struct Fetch {
    /// Name in the manual.
    pub name: &'static str,
    /// Older names of the same thing.
    pub aliases: &'static [&'static str],
    /// Arguments.
    pub args: &'static [ArgSpec],
    /// Type of its values.
    pub result: Type,
    /// What it needs to find anything.
    pub needs: Needs,
    /// One sentence.
    pub doc: &'static str,
    pub(crate) eval: Eval,
}

impl Fetch {
    /// A row of the tables: name, aliases, arguments, result, needs, docs, function.
    const fn row(
        name: &'static str,
        aliases: &'static [&'static str],
        args: &'static [ArgSpec],
        result: Type,
        needs: Needs,
        doc: &'static str,
        eval: Eval,
    ) -> Self {
        Self {
            name,
            aliases,
            args,
            result,
            needs,
            doc,
            eval,
        }
    }

    /// A row without arguments, of one value that the connection has at most.
    const fn of_connection(
        name: &'static str,
        aliases: &'static [&'static str],
        result: Type,
        doc: &'static str,
        eval: One,
    ) -> Self {
        let needs = Needs::Connection;
        Self::row(name, aliases, &[], result, needs, doc, Eval::One(eval))
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every sample fetch.
pub fn all() -> impl Iterator<Item = &'static Fetch> {
    internal::TABLE
        .iter()
        .chain(process::TABLE)
        .chain(connection::TABLE)
        .chain(failure::TABLE)
        .chain(tls::SESSION)
        .chain(tls::CLIENT)
        .chain(tls::OWN)
        .chain(tls::SERVER)
        .chain(tls::TO_SERVER)
        .chain(payload::TABLE)
        .chain(http::TABLE)
        .chain(headers::TABLE)
        .chain(auth::TABLE)
        .chain(tables::COUNTERS)
        .chain(tables::SOURCES)
        .chain(tables::ELEMENTS)
        .chain(tables::OTHERS)
        .chain(servers::TABLE)
}

/// The sample fetch of that name.
pub fn find(name: &str) -> Option<&'static Fetch> {
    all().find(|f| f.name == name || f.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_and_has_a_sentence() {
        let mut names: Vec<&str> = all()
            .flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for fetch in all() {
            assert!(fetch.doc.ends_with('.'), "{}", fetch.name);
            let optional: Vec<bool> = fetch.args.iter().map(|a| a.optional).collect();
            assert!(
                optional.is_sorted(),
                "{}: required after optional",
                fetch.name
            );
        }
    }
}
