//! Every keyword of HAProxy 2.6, by name: where it may stand, how many arguments it takes, what is done with it.
//!
//! From these tables come the refusals of unknown words, "did you mean", the warnings about words that are
//! accepted without effect, and [`reference()`]. A word that would change behaviour or security and is not built is
//! an error by name; harmless tuning is a warning by name; nothing is skipped in silence.

/// A slice of entries. Written as a macro so that rustfmt keeps one keyword to a line.
macro_rules! table {
    ($($entry:expr),* $(,)?) => { &[$($entry),*] };
}

mod bind;
mod global;
mod options;
mod proxy;
mod sections;
mod server;

use std::fmt::Write as _;

pub(super) use crate::config::spelling::closest;

pub(super) use bind::BIND;
pub(super) use global::{GLOBAL, STATS_SOCKET};
pub(super) use options::OPTIONS;
pub(super) use proxy::{PROXY, STATS, TIMEOUTS};
pub(super) use sections::{CACHE, HTTP_ERRORS, PEERS, RESOLVERS, SECTIONS, USERLIST};
pub(super) use server::SERVER;

/// Sections in which a keyword may stand, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places(u8);

impl Places {
    /// `frontend` and `listen`.
    pub const FRONTEND: Self = Self(1);
    /// `backend` and `listen`.
    pub const BACKEND: Self = Self(2);
    /// Any `defaults`.
    pub const DEFAULTS: Self = Self(4);
    /// A `defaults` section that has a name.
    pub const NAMED_DEFAULTS: Self = Self(8);
    /// `listen`.
    pub const LISTEN: Self = Self(3);
    /// A `defaults` section with a name: what may stand in any, and in such.
    pub const ANY_DEFAULTS: Self = Self(12);
    /// Only one kind of place: the table says which.
    pub const HERE: Self = Self(0);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `other`'s places is among these.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

const F: Places = Places::FRONTEND;
const B: Places = Places::BACKEND;
const FB: Places = F.and(B);
const DF: Places = Places::DEFAULTS.and(F);
const DB: Places = Places::DEFAULTS.and(B);
const DFB: Places = Places::DEFAULTS.and(FB);
const NFB: Places = Places::NAMED_DEFAULTS.and(FB);
const HERE: Places = Places::HERE;

/// What is done with a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has its effect.
    Supported,
    /// Accepted without a word: what it asks for is so in any case.
    Needless,
    /// Accepted without effect, with a warning.
    Ignored,
    /// Removed from HAProxy or on its way out; accepted with a warning where it has a plain meaning.
    Obsolete,
    /// Known, not built: an error, because leaving it out would change what the service does.
    Refused,
}

/// Keywords that share their rules.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The keywords.
    pub names: &'static [&'static str],
    /// Where they may stand.
    pub places: Places,
    /// Fewest and most words behind the keyword (255: any number).
    pub arity: (u8, u8),
    /// The words behind the keyword, as a manual writes them.
    pub usage: &'static str,
    /// What is done with them.
    pub status: Status,
    /// Supported: what it does. Ignored, obsolete: what is done instead. Refused: why, or what to write.
    pub text: &'static str,
}

const MANY: u8 = 255;

const fn supported(
    names: &'static [&'static str],
    places: Places,
    arity: (u8, u8),
    usage: &'static str,
    text: &'static str,
) -> Entry {
    Entry {
        names,
        places,
        arity,
        usage,
        status: Status::Supported,
        text,
    }
}

const fn other(
    status: Status,
    names: &'static [&'static str],
    places: Places,
    arity: (u8, u8),
    text: &'static str,
) -> Entry {
    Entry {
        names,
        places,
        arity,
        usage: "",
        status,
        text,
    }
}

const fn ignored(
    names: &'static [&'static str],
    places: Places,
    arity: (u8, u8),
    text: &'static str,
) -> Entry {
    other(Status::Ignored, names, places, arity, text)
}

const fn needless(
    names: &'static [&'static str],
    places: Places,
    arity: (u8, u8),
    text: &'static str,
) -> Entry {
    other(Status::Needless, names, places, arity, text)
}

const fn obsolete(
    names: &'static [&'static str],
    places: Places,
    arity: (u8, u8),
    text: &'static str,
) -> Entry {
    other(Status::Obsolete, names, places, arity, text)
}

const fn refused(names: &'static [&'static str], places: Places, text: &'static str) -> Entry {
    other(Status::Refused, names, places, (0, MANY), text)
}

/// The entry of a word.
pub(super) fn find(table: &'static [Entry], word: &str) -> Option<&'static Entry> {
    table.iter().find(|entry| entry.names.contains(&word))
}

/// The keyword of a table that a mistyped word resembles most.
pub(super) fn resembling(table: &'static [Entry], word: &str) -> Option<&'static str> {
    let names = table
        .iter()
        .filter(|entry| entry.status != Status::Refused)
        .flat_map(|entry| entry.names);
    closest(word, names.copied())
}

/// What could stand in the place of an unknown word: the words themselves where they are few.
pub(super) fn choices(table: &'static [Entry]) -> String {
    let supported = table
        .iter()
        .filter(|entry| entry.status == Status::Supported);
    let names: Vec<&str> = supported.flat_map(|entry| entry.names).copied().collect();
    if names.len() > 12 {
        return "a word of HAProxy 2.6 that may stand here".to_owned();
    }
    names.join(", ")
}

/// All tables with their headings.
pub const TABLES: &[(&str, &[Entry])] = &[
    ("global", GLOBAL),
    ("defaults, frontend, backend, listen", PROXY),
    ("option", OPTIONS),
    ("timeout", TIMEOUTS),
    ("stats", STATS),
    ("bind", BIND),
    ("server, default-server, server-template", SERVER),
    ("stats socket", STATS_SOCKET),
    ("userlist", USERLIST),
    ("resolvers", RESOLVERS),
    ("http-errors", HTTP_ERRORS),
    ("cache", CACHE),
    ("peers", PEERS),
];

/// The supported-keyword list as Markdown tables.
pub fn reference() -> String {
    let mut out = String::new();
    for (title, entries) in TABLES {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "\n### {title}\n\n| keyword | what is done |\n|---|---|"
        );
        for entry in *entries {
            let state = match entry.status {
                Status::Supported => "",
                Status::Needless => "nothing to do: ",
                Status::Ignored => "accepted without effect: ",
                Status::Obsolete => "obsolete: ",
                Status::Refused => "refused: ",
            };
            let names = entry.names.join("`, `");
            let usage = entry.usage.replace('|', "\\|");
            let _ = writeln!(out, "| `{names}` {usage} | {state}{} |", entry.text);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_stands_twice_in_a_table() {
        for (title, table) in TABLES {
            let mut seen = BTreeSet::new();
            for name in table.iter().flat_map(|entry| entry.names) {
                assert!(seen.insert(name), "{title}: {name}");
            }
        }
    }

    #[test]
    fn every_entry_says_something_and_has_a_sane_arity() {
        for (title, table) in TABLES {
            for entry in *table {
                assert!(!entry.text.is_empty(), "{title}: {:?}", entry.names);
                assert!(entry.arity.0 <= entry.arity.1, "{title}: {:?}", entry.names);
                assert!(!entry.text.ends_with('.'), "{title}: {:?}", entry.names);
            }
        }
    }

    #[test]
    fn a_mistyped_word_finds_its_neighbour() {
        assert_eq!(resembling(PROXY, "blance"), Some("balance"));
        assert_eq!(
            resembling(PROXY, "defualt_backend"),
            Some("default_backend")
        );
        assert_eq!(resembling(SERVER, "chekc"), Some("check"));
        assert_eq!(resembling(GLOBAL, "maxcon"), Some("maxconn"));
        assert_eq!(resembling(GLOBAL, "something-else"), None);
        assert_eq!(resembling(GLOBAL, "x"), None);
    }

    #[test]
    fn the_reference_names_every_keyword() {
        let text = reference();
        for name in TABLES
            .iter()
            .flat_map(|(_, table)| *table)
            .flat_map(|entry| entry.names)
        {
            assert!(text.contains(name), "{name}");
        }
    }
}
