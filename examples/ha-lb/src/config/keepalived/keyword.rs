//! Keyword tables: what a block may hold, how many words each keyword takes, what becomes of it.
//!
//! A table is the only place that knows a keyword. Reading, the errors for unknown words, "did you
//! mean" and the list of supported keywords all come from it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    command,
    document::{Block, Node},
    lexer::Word,
};
pub(super) use crate::config::spelling::closest;
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

mod takes;

pub(super) use takes::Takes;

/// The keywords of one kind of block, which is read into a `T`.
pub(super) struct Table<T: 'static> {
    /// Name of the block, for messages.
    pub(super) block: &'static str,
    /// Its keywords, in groups.
    pub(super) keywords: &'static [&'static [Keyword<T>]],
}

/// One keyword.
pub(super) struct Keyword<T> {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) does: Does<T>,
    /// May stand more than once in a block.
    pub(super) repeats: bool,
    /// One sentence for the list of keywords; for a keyword without effect, what is done instead.
    pub(super) help: &'static str,
}

/// How many findings there may be before an unknown word is no longer compared with the known ones.
const MAX_SUGGESTIONS: usize = 200;

const PLACEHOLDER: &str = "it looks like a placeholder of a template: put the real value there";

/// What becomes of a keyword.
pub(super) enum Does<T> {
    /// It is read.
    Read(Reader<T>),
    /// It is read, and there is a newer word.
    Obsolete {
        /// The newer word.
        instead: &'static str,
        read: Reader<T>,
    },
    /// It is read and kept, and has no effect.
    Kept(Reader<T>),
    /// It is accepted, and has no effect.
    Ignored,
}

/// Reads a statement into its place.
pub(super) type Reader<T> = fn(&mut T, &Node, &mut Context<'_>);

impl<T> Keyword<T> {
    /// A keyword that is read.
    pub(super) const fn read(
        name: &'static str,
        takes: Takes,
        read: Reader<T>,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            takes,
            does: Does::Read(read),
            repeats: false,
            help,
        }
    }

    /// A keyword that may stand more than once.
    pub(super) const fn repeated(
        name: &'static str,
        takes: Takes,
        read: Reader<T>,
        help: &'static str,
    ) -> Self {
        Self {
            repeats: true,
            ..Self::read(name, takes, read, help)
        }
    }

    /// An old word for `instead`.
    pub(super) const fn obsolete(
        name: &'static str,
        takes: Takes,
        read: Reader<T>,
        instead: &'static str,
    ) -> Self {
        Self {
            name,
            takes,
            does: Does::Obsolete { instead, read },
            repeats: false,
            help: "the older word",
        }
    }

    /// A keyword that is read, kept and has no effect; `help` says what is done instead.
    pub(super) const fn kept(
        name: &'static str,
        takes: Takes,
        read: Reader<T>,
        help: &'static str,
    ) -> Self {
        Self {
            does: Does::Kept(read),
            ..Self::read(name, takes, read, help)
        }
    }

    /// A keyword without effect; `help` says what is done instead.
    pub(super) const fn ignored(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            takes: Takes::ANYTHING,
            does: Does::Ignored,
            repeats: true,
            help,
        }
    }
}

/// What readers share.
pub(super) struct Context<'d> {
    pub(super) diagnostics: &'d mut Diagnostics,
    /// Where names of numbers are looked up, and files that a value names.
    pub(super) files: &'d dyn Files,
    /// Priorities of the next rules without one, IPv4 and IPv6.
    pub(super) priorities: (u32, u32),
}

impl Context<'_> {
    /// Reads a block's statements into `target`.
    pub(super) fn read<T>(&mut self, target: &mut T, nodes: &[Node], table: &Table<T>) {
        let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
        for node in nodes {
            let name = node.keyword.text.as_str();
            let Some(keyword) = table.keywords().find(|k| k.name == name) else {
                self.unknown(node, table);
                continue;
            };
            let first = *seen.entry(keyword.name).or_insert(&node.keyword.span);
            // Blocks add up.
            if *first != node.keyword.span && !keyword.repeats && !keyword.takes.block {
                let first_counts = first_counts(name);
                let (counts, not) = match first_counts {
                    true => ("the first one counts, of line", "not this one"),
                    false => ("this one counts, not the one of line", "as for keepalived"),
                };
                self.diagnostics.push(
                    Diagnostic::warning(node.keyword.span.clone(), "given twice")
                        .found(name)
                        .action(format!("{counts} {}, {not}", first.line)),
                );
                if first_counts {
                    continue;
                }
            }
            if let Some(word) = node.arguments.iter().find(|word| is_template(&word.text)) {
                match holds_a_secret(name) {
                    true => self.diagnostics.push(
                        Diagnostic::error(word.span.clone(), "this is no value")
                            .expected(keyword.takes.what)
                            .action(PLACEHOLDER),
                    ),
                    false => self.refuse(word, "value", keyword.takes.what),
                }
                continue;
            }
            let reread = command::reread(node);
            let node = reread.as_ref().unwrap_or(node);
            if self.fits(node, keyword.takes) {
                self.apply(target, node, keyword);
            }
        }
    }

    fn apply<T>(&mut self, target: &mut T, node: &Node, keyword: &Keyword<T>) {
        match &keyword.does {
            Does::Read(read) => read(target, node, self),
            Does::Obsolete { instead, read } => {
                self.diagnostics.push_once(
                    &format!("obsolete {}", keyword.name),
                    counted_if_refused(
                        Diagnostic::warning(node.keyword.span.clone(), "obsolete keyword"),
                        keyword.name,
                    )
                    .found(keyword.name)
                    .expected(format!("`{instead}`"))
                    .action(format!("read as `{instead}`")),
                );
                read(target, node, self);
            }
            Does::Kept(read) => {
                self.without_effect(node, keyword.help);
                read(target, node, self);
            }
            Does::Ignored => self.without_effect(node, keyword.help),
        }
    }

    /// One warning for each keyword, wherever it stands.
    pub(super) fn without_effect(&mut self, node: &Node, instead: &str) {
        self.diagnostics.push_once(
            &format!("without effect {}", node.keyword.text),
            counted_if_refused(
                Diagnostic::warning(node.keyword.span.clone(), "this keyword has no effect here"),
                &node.keyword.text,
            )
            .found(&node.keyword.text)
            .action(instead),
        );
    }

    fn unknown<T>(&mut self, node: &Node, table: &Table<T>) {
        let found = &node.keyword;
        let names = table.keywords().map(|k| k.name);
        // A file of nothing but unknown words needs no advice on each.
        let names = names.filter(|_| self.diagnostics.len() < MAX_SUGGESTIONS);
        let mut diagnostic = Diagnostic::error(found.span.clone(), "unknown keyword")
            .found(&found.text)
            .expected(format!("a keyword of {}", table.block))
            .suggestion(closest(&found.text, names));
        if node.block.is_some() {
            diagnostic = diagnostic.action(
                "its block is skipped; keepalived would read the lines of the block as if they stood around it, and \
                 end the block around it with this one's `}`",
            );
        }
        self.diagnostics.push(diagnostic);
    }

    /// Whether a statement has the words and the block that its keyword takes.
    fn fits(&mut self, node: &Node, takes: Takes) -> bool {
        if takes.max == usize::MAX {
            return true;
        }
        let keyword = &node.keyword;
        match (&node.block, takes.block) {
            (None, true) => {
                self.diagnostics.push(
                    Diagnostic::error(keyword.span.clone(), "a block is missing")
                        .found(&keyword.text)
                        .expected("`{` and a block after it"),
                );
                return false;
            }
            (Some(block), false) => {
                self.diagnostics.push(
                    Diagnostic::error(
                        block.span.clone(),
                        format!("`{}` has no block", keyword.text),
                    )
                    .found("{")
                    .expected(takes.what),
                );
                return false;
            }
            _ => {}
        }
        if node.arguments.len() < takes.min {
            self.diagnostics.push(
                Diagnostic::error(keyword.span.clone(), "a value is missing")
                    .found(&keyword.text)
                    .expected(format!("{} after it", takes.what)),
            );
            return false;
        }
        if let Some(surplus) = node.arguments.get(takes.max).filter(|_| takes.exact) {
            self.diagnostics.push(
                Diagnostic::error(surplus.span.clone(), "a name is one word")
                    .found(&surplus.text)
                    .expected(format!("`{{` behind the name of the {}", keyword.text))
                    .action("keepalived leaves the whole block out; a name with blanks stands in double quotes"),
            );
            return false;
        }
        self.surplus(node, takes.max);
        true
    }

    /// keepalived ignores words after a complete value without a word; we say so.
    pub(super) fn surplus(&mut self, node: &Node, max: usize) {
        if let Some(surplus) = node.arguments.get(max) {
            let action = match surplus.glued {
                true => {
                    "it is ignored to the end of the line, as by keepalived: a double quote inside a word ends the \
                     word"
                }
                false => "it is ignored to the end of the line, as by keepalived",
            };
            let mut diagnostic = Diagnostic::warning(
                surplus.span.clone(),
                format!("text after the value of `{}`", node.keyword.text),
            )
            .action(action);
            // It may be the rest of a secret.
            if !holds_a_secret(&node.keyword.text) {
                diagnostic = diagnostic.found(&surplus.text);
            }
            self.diagnostics.push(diagnostic);
        }
    }

    /// A value that is not what it should be.
    pub(super) fn refuse(&mut self, word: &Word, what: &str, expected: impl fmt::Display) {
        let mut diagnostic = Diagnostic::error(word.span.clone(), format!("this is no {what}"))
            .found(&word.text)
            .expected(expected.to_string());
        if is_placeholder(&word.text) {
            diagnostic = diagnostic.action(PLACEHOLDER);
        }
        self.diagnostics.push(diagnostic);
    }
}

/// Keywords of which keepalived keeps the first, and says that it ignores the second.
fn first_counts(keyword: &str) -> bool {
    keyword.starts_with("notify")
        || keyword.contains("_fifo")
        || matches!(keyword, "startup_script" | "shutdown_script")
}

/// Keywords of whose words no finding shows one.
fn holds_a_secret(keyword: &str) -> bool {
    matches!(keyword, "auth_pass" | "key")
}

/// What the lexer made of `{{ NAME }}`.
fn is_template(text: &str) -> bool {
    text.starts_with("{{") || text.starts_with("{%")
}

/// `<value>`, `ONE|OTHER`, `@IP`, `X.X.X.Y/32`: what documentation writes for a value.
fn is_placeholder(text: &str) -> bool {
    let bracketed = text.starts_with('<') && text.ends_with('>');
    let address = text.split('/').next().unwrap_or_default();
    let letters = address.contains('.')
        && address
            .split('.')
            .all(|part| matches!(part, "x" | "y" | "z" | "X" | "Y" | "Z"));
    bracketed || letters || is_template(text) || text.contains('|') || text.starts_with('@')
}

/// The statements of a node's block.
pub(super) fn inside(node: &Node) -> &[Node] {
    let block: Option<&Block> = node.block.as_ref();
    block.map_or(&[], |block| block.nodes.as_slice())
}

/// What is known about a keyword, for the list of supported ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeywordInfo {
    /// The block it belongs to.
    pub block: &'static str,
    /// The keyword.
    pub name: &'static str,
    /// What becomes of it.
    pub support: Support,
    /// What stands after it.
    pub takes: &'static str,
    /// What it means; without effect, what is done instead; of an obsolete word, the newer one.
    pub help: &'static str,
}

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// It does what keepalived's manual says.
    Supported,
    /// It does, and there is a newer word.
    Obsolete,
    /// It is accepted with a warning that says what is done instead.
    WithoutEffect,
}

impl<T> Table<T> {
    fn keywords(&self) -> impl Iterator<Item = &'static Keyword<T>> {
        self.keywords.iter().copied().flatten()
    }

    /// The table as a list.
    pub(super) fn list(&self) -> impl Iterator<Item = KeywordInfo> {
        self.keywords().map(|keyword| {
            let (support, help) = match &keyword.does {
                Does::Read(_) => (Support::Supported, keyword.help),
                Does::Obsolete { instead, .. } => (Support::Obsolete, *instead),
                Does::Kept(_) | Does::Ignored => (Support::WithoutEffect, keyword.help),
            };
            KeywordInfo {
                block: self.block,
                name: keyword.name,
                support,
                takes: keyword.takes.what,
                help,
            }
        })
    }
}

/// Keywords that `keepalived -t` 2.2 calls unknown, deprecated or not built.
const REFUSED_BY_PEER: &[&str] = &[
    "global_tracking",
    "json_version",
    "lvs_id",
    "lvs_sync_daemon_inteface",
    "lvs_sync_daemon_interface",
    "nat_mask",
    "nb_get_retry",
    "use_pid_dir",
    "use_symlink_paths",
    "vrf",
    "vrrp_ipsets",
    "vrrp_iptables",
];

fn counted_if_refused(finding: Diagnostic, keyword: &str) -> Diagnostic {
    match REFUSED_BY_PEER.contains(&keyword) {
        true => finding.counted(),
        false => finding,
    }
}
