//! The words of a line of `virtual_routes` or `virtual_rules`, one after the other.

use std::net::IpAddr;

use vip_netlink::route::Prefix;
use vrrp_proto::Family;

use super::{
    document::Node,
    keyword::Context,
    lexer::Word,
    names::{Names, number},
    value::prefix_max,
};
use crate::config::diagnostic::Diagnostic;

/// The words that are left.
pub(super) struct Line<'w> {
    /// The line's first word, for what is said of all of it.
    pub(super) first: &'w Word,
    words: Vec<&'w Word>,
    at: usize,
}

impl<'w> Line<'w> {
    pub(super) fn of(node: &'w Node) -> Self {
        let words = std::iter::once(&node.keyword).chain(&node.arguments);
        Self {
            first: &node.keyword,
            words: words.collect(),
            at: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&'w Word> {
        self.words.get(self.at).copied()
    }

    /// Takes the next word if it is that one.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        let is_it = self.peek().is_some_and(|word| word.text == text);
        self.at += usize::from(is_it);
        is_it
    }
}

impl<'w> Iterator for Line<'w> {
    type Item = &'w Word;

    fn next(&mut self) -> Option<&'w Word> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }
}

impl Context<'_> {
    /// The word after an option.
    pub(super) fn value<'w>(
        &mut self,
        option: &Word,
        words: &mut impl Iterator<Item = &'w Word>,
        what: &str,
    ) -> Option<&'w Word> {
        let word = words.next();
        if word.is_none() {
            self.diagnostics.push(
                Diagnostic::error(option.span.clone(), "a value is missing")
                    .found(&option.text)
                    .expected(format!("{what} after it")),
            );
        }
        word
    }

    /// A whole number after an option.
    pub(super) fn value_in<N>(
        &mut self,
        option: &Word,
        line: &mut Line<'_>,
        range: std::ops::RangeInclusive<N>,
    ) -> Option<N>
    where
        N: TryFrom<u32> + PartialOrd + std::fmt::Display,
    {
        let word = self.value(option, line, "a number")?;
        let value = number(&word.text).and_then(|number| N::try_from(number).ok());
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.refuse(word, &format!("value of `{}`", option.text), expected);
        }
        value
    }

    /// A number that may have a name.
    pub(super) fn named(&mut self, word: &Word, names: Names, max: u32) -> Option<u32> {
        let number = names
            .number(&word.text, self.files)
            .filter(|number| *number <= max);
        if number.is_none() {
            let expected = format!("a number up to {max}, or a name that iproute2 knows");
            self.refuse(word, names.what(), expected);
        }
        number
    }

    /// The same after an option.
    pub(super) fn value_named(
        &mut self,
        option: &Word,
        line: &mut Line<'_>,
        names: Names,
        max: u32,
    ) -> Option<u32> {
        let word = self.value(option, line, names.what())?;
        self.named(word, names, max)
    }

    /// A prefix after an option; `default`, `any` or `all` stands for everything of `family`.
    pub(super) fn prefix(&mut self, word: &Word, family: Family) -> Option<Prefix> {
        if matches!(word.text.as_str(), "default" | "any" | "all") {
            return Some(Prefix::all(family));
        }
        let (address, length) = self.prefixed(word)?;
        Some(Prefix {
            address,
            length: length.unwrap_or(prefix_max(address)),
        })
    }

    /// An address after an option, with the family before it if one stands there.
    pub(super) fn value_address(
        &mut self,
        option: &Word,
        line: &mut Line<'_>,
    ) -> Option<(IpAddr, Word)> {
        let told = line.takes("inet6").then_some(Family::Ipv6);
        let told = told.or_else(|| line.takes("inet").then_some(Family::Ipv4));
        let word = self.value(option, line, "an address")?;
        let address = self.address(word)?;
        if told.is_some_and(|told| told != Family::of(address)) {
            self.refuse(word, "address of that family", "an address of the other");
            return None;
        }
        Some((address, word.clone()))
    }

    /// `SOURCE/DESTINATION` or `DESTINATION`.
    pub(super) fn realms(&mut self, option: &Word, line: &mut Line<'_>) -> Option<(u16, u16)> {
        let word = self.value(option, line, "realms")?;
        let one = |text: &str| {
            let number = Names::Realms.number(text, self.files)?;
            u16::try_from(number).ok()
        };
        let realms = match word.text.split_once('/') {
            Some((source, destination)) => one(source).zip(one(destination)),
            None => one(&word.text).map(|destination| (0, destination)),
        };
        if realms.is_none() {
            self.refuse(
                word,
                "realm",
                "one or two numbers or names, with `/` between",
            );
        }
        realms
    }

    /// The line is refused for what it says as a whole.
    pub(super) fn refuse_line(&mut self, line: &Line<'_>, what: &str, expected: &str) {
        self.diagnostics.push(
            Diagnostic::error(line.first.span.clone(), what.to_owned())
                .found(&line.first.text)
                .expected(expected.to_owned()),
        );
    }

    /// Tracking groups are for what is static.
    pub(super) fn without_group<T>(&mut self, read: Option<(T, Option<Word>)>) -> Option<T> {
        let (read, group) = read?;
        if let Some(group) = group {
            self.diagnostics.push(
                Diagnostic::warning(group.span.clone(), "`track_group` of what is not static")
                    .found(&group.text)
                    .action(
                        "it is ignored, as by keepalived: what goes with an instance is its own",
                    ),
            );
        }
        Some(read)
    }

    /// An older word that does the same.
    pub(super) fn older_word(&mut self, word: &Word, instead: &str) {
        self.diagnostics.push_once(
            &format!("older {}", word.text),
            Diagnostic::warning(word.span.clone(), "obsolete word")
                .found(&word.text)
                .expected(format!("`{instead}`"))
                .action(format!("read as `{instead}`"))
                .counted(),
        );
    }
}
