//! Maps: files of keys and values that converters look values up in. Manual 7.3.1 (`map`).

use std::{cmp::Reverse, collections::HashMap, net::IpAddr, path::Path};

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

/// Keys, each with the place of its value.
#[derive(Debug)]
enum Keys {
    /// By the key.
    Exact(HashMap<Box<[u8]>, usize>),
    /// Longest first.
    Beginning(Vec<(Box<[u8]>, usize)>),
    /// In the order of the file.
    Text(MapMatch, Vec<(Box<[u8]>, usize)>),
    Regex(Vec<(Regex, usize)>),
    /// Smallest network first.
    Network(Vec<(IpNet, usize)>),
    Number(Vec<((i64, i64), usize)>),
}

/// A key, made ready.
#[derive(Debug)]
pub(super) enum Key {
    Text(Box<[u8]>),
    Regex(Regex),
    Network(IpNet),
    Number((i64, i64)),
}

impl Key {
    /// That of a line; else why it is none.
    pub(super) fn read(by: MapMatch, key: &[u8]) -> Result<Self, String> {
        let shown = || String::from_utf8_lossy(key).into_owned();
        match by {
            MapMatch::Network => network(&shown())
                .map(Self::Network)
                .ok_or_else(|| String::from("the key is no network")),
            MapMatch::Number => range(&shown())
                .map(Self::Number)
                .ok_or_else(|| String::from("the key is no number")),
            MapMatch::Regex => regex(&shown(), false)
                .map(Self::Regex)
                .map_err(|error| error.message),
            _ => Ok(Self::Text(key.into())),
        }
    }
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
        let mut map = Self {
            keys: Keys::new(by),
            values: Vec::new(),
        };
        for (line, key, value) in entries {
            let key = Key::read(by, key);
            let key = key.map_err(|what| RuleError::new(0, format!("{name}:{line}: {what}")))?;
            map.keys.append(key, map.values.len());
            map.values.push(value.into());
        }
        map.keys.sort();
        Ok(map)
    }

    /// Adds a key behind the others.
    pub(super) fn push(&mut self, key: Key, value: &[u8]) {
        self.keys.insert(key, self.values.len());
        self.values.push(value.into());
    }

    /// Sets the value at a place.
    pub(super) fn set(&mut self, place: usize, value: &[u8]) {
        if let Some(kept) = self.values.get_mut(place) {
            *kept = value.into();
        }
    }

    /// Takes `key` away, which is at these places and at no others. The places of others stay what they are.
    pub(super) fn remove(&mut self, key: &[u8], places: &[usize]) {
        self.keys.remove(key, places);
        for place in places {
            self.set(*place, b"");
        }
    }

    /// The value of the key that fits `text`.
    pub(crate) fn of_text(&self, text: &[u8]) -> Option<&[u8]> {
        let index = match &self.keys {
            Keys::Exact(keys) => *keys.get(text)?,
            Keys::Beginning(keys) => first(keys, |key| text.starts_with(key))?,
            Keys::Text(by, keys) => first(keys, |key| fits(*by, text, key))?,
            Keys::Regex(expressions) => first(expressions, |e| e.is_match(text))?,
            Keys::Network(_) | Keys::Number(_) => return None,
        };
        self.value(index)
    }

    /// The value of the expression that matches `text`, in which `\1` and its kind stand for groups.
    pub(crate) fn expanded(&self, text: &[u8]) -> Option<Vec<u8>> {
        let Keys::Regex(expressions) = &self.keys else {
            return None;
        };
        let mut found = expressions.iter();
        let (index, groups) = found.find_map(|(e, index)| Some((*index, e.captures(text)?)))?;
        let mut out = Vec::new();
        expand(self.value(index)?, &groups, &mut out);
        Some(out)
    }

    /// The value of the network that `address` is in.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<&[u8]> {
        let Keys::Network(networks) = &self.keys else {
            return None;
        };
        self.value(first(networks, |network| network.contains(&address))?)
    }

    /// The value of the range that `number` is in.
    pub(crate) fn of_number(&self, number: i64) -> Option<&[u8]> {
        let Keys::Number(ranges) = &self.keys else {
            return None;
        };
        self.value(first(ranges, |(low, high)| {
            (*low..=*high).contains(&number)
        })?)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.values.get(index).map(|value| &**value)
    }
}

/// The place of the first key that fits.
fn first<K>(keys: &[(K, usize)], fits: impl Fn(&K) -> bool) -> Option<usize> {
    let found = keys.iter().find(|(key, _)| fits(key))?;
    Some(found.1)
}

/// Behind those that come before it, and those that are alike.
fn insert<K>(keys: &mut Vec<(K, usize)>, key: K, place: usize, before: impl Fn(&K, &K) -> bool) {
    let at = keys.partition_point(|(other, _)| !before(&key, other));
    keys.insert(at, (key, place));
}

impl Keys {
    fn new(by: MapMatch) -> Self {
        match by {
            MapMatch::Exact => Self::Exact(HashMap::new()),
            MapMatch::Beginning => Self::Beginning(Vec::new()),
            MapMatch::Regex => Self::Regex(Vec::new()),
            MapMatch::Network => Self::Network(Vec::new()),
            MapMatch::Number => Self::Number(Vec::new()),
            text => Self::Text(text, Vec::new()),
        }
    }

    /// Adds a key behind all others, whatever the order; see [`Keys::sort`].
    fn append(&mut self, key: Key, place: usize) {
        match (self, key) {
            (Self::Exact(keys), Key::Text(key)) => {
                keys.entry(key).or_insert(place);
            }
            (Self::Beginning(keys) | Self::Text(_, keys), Key::Text(key)) => {
                keys.push((key, place));
            }
            (Self::Regex(keys), Key::Regex(key)) => keys.push((key, place)),
            (Self::Network(keys), Key::Network(key)) => keys.push((key, place)),
            (Self::Number(keys), Key::Number(key)) => keys.push((key, place)),
            // Keys are read for the comparison that they are for.
            _ => {}
        }
    }

    fn sort(&mut self) {
        match self {
            Self::Beginning(keys) => keys.sort_by_key(|(key, _)| Reverse(key.len())),
            Self::Network(keys) => keys.sort_by_key(|(network, _)| Reverse(network.prefix_len())),
            _ => {}
        }
    }

    /// Adds a key where it belongs.
    fn insert(&mut self, key: Key, place: usize) {
        match (self, key) {
            (Self::Beginning(keys), Key::Text(key)) => {
                insert(keys, key, place, |a, b| a.len() > b.len());
            }
            (Self::Network(keys), Key::Network(key)) => {
                insert(keys, key, place, |a, b| a.prefix_len() > b.prefix_len());
            }
            (keys, key) => keys.append(key, place),
        }
    }

    fn remove(&mut self, key: &[u8], places: &[usize]) {
        match self {
            Self::Exact(keys) => {
                keys.remove(key);
            }
            Self::Beginning(keys) | Self::Text(_, keys) => {
                keys.retain(|(_, place)| !places.contains(place));
            }
            Self::Regex(keys) => keys.retain(|(_, place)| !places.contains(place)),
            Self::Network(keys) => keys.retain(|(_, place)| !places.contains(place)),
            Self::Number(keys) => keys.retain(|(_, place)| !places.contains(place)),
        }
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
