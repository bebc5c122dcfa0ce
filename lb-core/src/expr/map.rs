//! Maps: files of keys and values that converters look values up in. Manual 7.3.1 (`map`).

use std::{collections::HashMap, net::IpAddr, path::Path};

use ipnet::IpNet;
use regex::bytes::Regex;

use super::{args::regex, convert::expand, matcher::Method};
use crate::rules::RuleError;

/// How a value is compared with the keys of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapMatch {
    /// Equal.
    Exact,
    /// The longest key that it begins with.
    Beginning,
    /// The first key that it ends with.
    End,
    /// The first key that is in it.
    Within,
    /// The first key that is one or more of its parts between slashes.
    Directory,
    /// The first key that is one or more of its parts between dots.
    Domain,
    /// The first key, a regular expression, that matches.
    Regex,
    /// The smallest network that it is in.
    Network,
    /// The first number or range that it is in.
    Number,
}

impl MapMatch {
    /// The same comparison as an ACL's.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Exact => Method::Str,
            Self::Beginning => Method::Beg,
            Self::End => Method::End,
            Self::Within => Method::Sub,
            Self::Directory => Method::Dir,
            Self::Domain => Method::Dom,
            Self::Regex => Method::Reg,
            Self::Network => Method::Ip,
            Self::Number => Method::Int,
        }
    }
}

/// A map, made ready for one kind of comparison.
#[derive(Debug)]
pub struct Map {
    keys: Keys,
    values: Vec<Box<[u8]>>,
}

#[derive(Debug)]
enum Keys {
    /// By the key.
    Exact(HashMap<Box<[u8]>, usize>),
    /// Longest first.
    Beginning(Vec<Box<[u8]>>, Vec<usize>),
    /// In the order of the file.
    Text(MapMatch, Vec<Box<[u8]>>),
    Regex(Vec<Regex>),
    /// Smallest network first.
    Network(Vec<(IpNet, usize)>),
    Number(Vec<(i64, i64)>),
}

/// Keys and values of a file: `key value` lines; `#` begins a comment line.
pub(super) fn entries(text: &[u8]) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines.filter_map(|(index, line)| {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        let end = line.iter().position(u8::is_ascii_whitespace);
        let (key, value) = line.split_at(end.unwrap_or(line.len()));
        Some((index + 1, key, value.trim_ascii()))
    })
}

impl Map {
    /// The map of the file called `name`, whose contents are `text`.
    pub fn parse(name: &Path, text: &[u8], by: MapMatch) -> Result<Self, RuleError> {
        let lines = entries(text).map(|(line, key, value)| {
            let line = u64::try_from(line).unwrap_or(u64::MAX);
            (line, key, value)
        });
        Self::build(&name.to_string_lossy(), lines, by)
    }

    /// The map of entries with their numbers, which errors name behind `name`.
    pub(super) fn build<'e>(
        name: &str,
        entries: impl Iterator<Item = (u64, &'e [u8], &'e [u8])>,
        by: MapMatch,
    ) -> Result<Self, RuleError> {
        let wrong = |line: u64, what: &str| RuleError::new(0, format!("{name}:{line}: {what}"));
        let mut keys = Vec::new();
        let mut values: Vec<Box<[u8]>> = Vec::new();
        let mut networks = Vec::new();
        let mut numbers = Vec::new();
        let mut expressions = Vec::new();
        for (line, key, value) in entries {
            let shown = || String::from_utf8_lossy(key).into_owned();
            match by {
                MapMatch::Network => {
                    let network = network(&shown());
                    let network = network.ok_or_else(|| wrong(line, "the key is no network"))?;
                    networks.push((network, values.len()));
                }
                MapMatch::Number => {
                    let range = range(&shown());
                    numbers.push(range.ok_or_else(|| wrong(line, "the key is no number"))?);
                }
                MapMatch::Regex => {
                    let compiled = regex(&shown(), false);
                    expressions.push(compiled.map_err(|error| wrong(line, &error.message))?);
                }
                _ => keys.push(Box::from(key)),
            }
            values.push(value.into());
        }
        let keys = match by {
            MapMatch::Exact => {
                let mut by_key = HashMap::new();
                for (index, key) in keys.into_iter().enumerate() {
                    by_key.entry(key).or_insert(index);
                }
                Keys::Exact(by_key)
            }
            MapMatch::Beginning => {
                let mut order: Vec<usize> = (0..keys.len()).collect();
                order.sort_by_key(|index| std::cmp::Reverse(keys.get(*index).map(|k| k.len())));
                Keys::Beginning(keys, order)
            }
            MapMatch::Regex => Keys::Regex(expressions),
            MapMatch::Network => {
                networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
                Keys::Network(networks)
            }
            MapMatch::Number => Keys::Number(numbers),
            text => Keys::Text(text, keys),
        };
        Ok(Self { keys, values })
    }

    /// The value of the key that fits `text`.
    pub(crate) fn of_text(&self, text: &[u8]) -> Option<&[u8]> {
        let index = match &self.keys {
            Keys::Exact(keys) => *keys.get(text)?,
            Keys::Beginning(keys, order) => {
                let fits = |index: &&usize| keys.get(**index).is_some_and(|k| text.starts_with(k));
                *order.iter().find(fits)?
            }
            Keys::Text(by, keys) => keys.iter().position(|key| fits(*by, text, key))?,
            Keys::Regex(expressions) => expressions.iter().position(|e| e.is_match(text))?,
            Keys::Network(_) | Keys::Number(_) => return None,
        };
        self.value(index)
    }

    /// The value of the expression that matches `text`, in which `\1` and its kind stand for groups.
    pub(crate) fn expanded(&self, text: &[u8]) -> Option<Vec<u8>> {
        let Keys::Regex(expressions) = &self.keys else {
            return None;
        };
        let mut found = expressions.iter().enumerate();
        let (index, groups) = found.find_map(|(i, e)| Some((i, e.captures(text)?)))?;
        let mut out = Vec::new();
        expand(self.value(index)?, &groups, &mut out);
        Some(out)
    }

    /// The value of the network that `address` is in.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<&[u8]> {
        let Keys::Network(networks) = &self.keys else {
            return None;
        };
        let found = networks.iter().find(|(n, _)| n.contains(&address))?;
        self.value(found.1)
    }

    /// The value of the range that `number` is in.
    pub(crate) fn of_number(&self, number: i64) -> Option<&[u8]> {
        let Keys::Number(ranges) = &self.keys else {
            return None;
        };
        let within = |(low, high): &(i64, i64)| (*low..=*high).contains(&number);
        self.value(ranges.iter().position(within)?)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.values.get(index).map(|value| &**value)
    }
}

fn fits(by: MapMatch, text: &[u8], key: &[u8]) -> bool {
    match by {
        MapMatch::End => text.ends_with(key),
        MapMatch::Within => memchr::memmem::find(text, key).is_some(),
        MapMatch::Directory => parts(text, key, b"/?"),
        _ => parts(text, key, b"/?.:"),
    }
}

/// Whether `key` stands in `text` between two of the `separators`, or at an end.
fn parts(text: &[u8], key: &[u8], separators: &[u8]) -> bool {
    let outer = |byte: Option<&u8>| byte.is_none_or(|byte| separators.contains(byte));
    let mut trimmed = key;
    while let [first, rest @ ..] = trimmed
        && separators.contains(first)
    {
        trimmed = rest;
    }
    while let [rest @ .., last] = trimmed
        && separators.contains(last)
    {
        trimmed = rest;
    }
    memchr::memmem::find_iter(text, trimmed).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        outer(before) && outer(text.get(at + trimmed.len()))
    })
}

fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// `5`, `5:9`, `:9` or `5:`.
fn range(text: &str) -> Option<(i64, i64)> {
    let number = |text: &str, open: i64| match text {
        "" => Some(open),
        text => text.parse().ok(),
    };
    match text.split_once(':') {
        Some((low, high)) => Some((number(low, i64::MIN)?, number(high, i64::MAX)?)),
        None => text.parse().ok().map(|one| (one, one)),
    }
}

/// The first arguments of the `map` converters in a word.
pub(crate) fn files_in(word: &str) -> impl Iterator<Item = &str> {
    word.match_indices("map").filter_map(|(at, _)| {
        let follows_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = word.get(..at)?.chars().next_back();
        let (name, rest) = word.get(at..)?.split_once('(')?;
        if before.is_some_and(follows_name) || !name.chars().all(follows_name) {
            return None;
        }
        super::convert::find(name)?;
        let file = rest.split([',', ')']).next()?;
        Some(file.trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(by: MapMatch, file: &str, text: &str) -> Option<String> {
        let map = Map::parse(Path::new("m"), file.as_bytes(), by).unwrap();
        let found = match by {
            MapMatch::Network => map.of_address(text.parse().unwrap()),
            MapMatch::Number => map.of_number(text.parse().unwrap()),
            _ => map.of_text(text.as_bytes()),
        };
        found.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn keys_are_compared_as_the_name_says() {
        let file =
            "# comment\n\n a.example  one \nb.example two words\n.example rest\na.example late\n";
        let found = |by, text| find(by, file, text);
        assert_eq!(found(MapMatch::Exact, "a.example").as_deref(), Some("one"));
        assert_eq!(
            found(MapMatch::Exact, "b.example").as_deref(),
            Some("two words")
        );
        assert_eq!(found(MapMatch::Exact, "c.example"), None);
        assert_eq!(found(MapMatch::End, "c.example").as_deref(), Some("rest"));
        assert_eq!(
            found(MapMatch::Domain, "www.b.example").as_deref(),
            Some("two words")
        );
        assert_eq!(
            found(MapMatch::Domain, "xb.example").as_deref(),
            Some("rest")
        );
        assert_eq!(
            found(MapMatch::Within, "xb.example.org").as_deref(),
            Some("two words")
        );
        let paths = "/a short\n/a/b long\n";
        assert_eq!(
            find(MapMatch::Beginning, paths, "/a/b/c").as_deref(),
            Some("long")
        );
        assert_eq!(
            find(MapMatch::Beginning, paths, "/ab").as_deref(),
            Some("short")
        );
        assert_eq!(
            find(MapMatch::Directory, paths, "/x/a/y").as_deref(),
            Some("short")
        );
        assert_eq!(
            find(MapMatch::Regex, "^/v[0-9]+/ api\n", "/v2/x").as_deref(),
            Some("api")
        );
        let networks = "10.0.0.0/8 big\n10.1.0.0/16 small\n10.1.2.3 one\n";
        assert_eq!(
            find(MapMatch::Network, networks, "10.9.9.9").as_deref(),
            Some("big")
        );
        assert_eq!(
            find(MapMatch::Network, networks, "10.1.9.9").as_deref(),
            Some("small")
        );
        assert_eq!(
            find(MapMatch::Network, networks, "10.1.2.3").as_deref(),
            Some("one")
        );
        assert_eq!(
            find(MapMatch::Number, "1:5 low\n7 seven\n", "7").as_deref(),
            Some("seven")
        );
        assert_eq!(find(MapMatch::Number, "1:5 low\n7 seven\n", "6"), None);
    }

    #[test]
    fn files_are_found_in_words() {
        let found = |word| files_in(word).collect::<Vec<_>>();
        assert_eq!(
            found("%[path,map_beg(/a.map,x)] %[src,map_ip(/b)]"),
            ["/a.map", "/b"]
        );
        assert_eq!(found("map(c.map)"), ["c.map"]);
        assert_eq!(found("xmap(c) map x map_none(d) var(txn.map)"), [""; 0]);
    }

    #[test]
    fn a_bad_key_is_named_with_its_line() {
        let error = Map::parse(Path::new("m"), b"\n1.2.3.4 a\nx b\n", MapMatch::Network);
        assert_eq!(error.unwrap_err().message, "m:3: the key is no network");
    }
}
