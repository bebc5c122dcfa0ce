//! Arguments of fetches and converters.

use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use regex::bytes::{Regex, RegexBuilder};

use super::{
    Definitions, KeyFiles, LiveMap, ProxyFacts,
    convert::{
        fix,
        json::{self, Step},
    },
    jwt,
    map::MapMatch,
};
use crate::{
    request::{Assignment, Scope},
    rules::RuleError,
};

/// One argument in a table entry.
#[derive(Debug, Clone, Copy)]
pub struct ArgSpec {
    /// Name in messages and docs.
    pub name: &'static str,
    /// How it is read.
    pub kind: ArgKind,
    /// Whether it may be left out.
    pub optional: bool,
}

/// How an argument is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// Text.
    Text,
    /// Decimal integer.
    Int,
    /// Decimal integer between two.
    Within(i64, i64),
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// Bytes in base64, or the name of a variable.
    Key,
    /// Path to a value in JSON.
    JsonPath,
    /// Format of a date, as of strftime(3).
    Strftime,
    /// Decimal integer or the name of a variable.
    Number,
    /// IPv4 mask: bits or dotted.
    Mask4,
    /// IPv6 mask: bits or written as an address.
    Mask6,
    /// Regular expression. The flags are the third argument of `regsub`, so it is compiled there.
    Variable,
    /// Name of a `userlist`.
    Userlist,
    /// Name of a proxy with a `stick-table`; that of the proxy where the rule stands if left out.
    Table,
    /// Name of a proxy with a `stick-table`; that of what is tracked if left out.
    TrackedTable,
    /// Name of a proxy with servers; that of the proxy where the rule stands if left out.
    Backend,
    /// Name of a proxy that accepts; that of the proxy where the rule stands if left out.
    Frontend,
    /// `backend/server`, or a server of the proxy where the rule stands.
    Server,
    /// File of a map.
    Map(MapMatch),
    /// Number or name of a tag of FIX.
    FixTag,
    /// Name of a way to sign a token, or of a variable.
    JwtAlgorithm,
    /// Secret, file of a public key, or name of a variable.
    JwtKey,
    /// A variable to be set; conditions take the rest of the list.
    Assignment,
    /// Regular expression replacement: pattern, text and flags take the rest of the list.
    Regsub,
}

/// A compiled argument.
#[derive(Debug, Clone)]
pub enum Argument {
    /// Left out.
    Missing,
    /// Text.
    Text(Box<[u8]>),
    /// Number.
    Int(i64),
    /// Bits of an address that count.
    Mask(u128),
    /// Variable with its scope.
    Variable(Scope, Arc<str>),
    /// User list.
    Userlist(Arc<Userlist>),
    /// Name of a proxy.
    Proxy(Arc<str>),
    /// Name of a backend and of one of its servers.
    Server(Arc<str>, Arc<str>),
    /// A map.
    Map(Arc<LiveMap>),
    /// Place in the list of words.
    Choice(usize),
    /// Steps to a value in JSON.
    JsonPath(Box<[Step]>),
    /// Secret or file of a public key by its name, and the files that were read.
    JwtKey(Box<Self>, Arc<KeyFiles>),
    /// A variable to be set.
    Assignment(Assignment),
    /// Pattern, replacement, replace all.
    Regsub(Regex, Box<[u8]>, bool),
}

impl Argument {
    /// The bytes of a text argument.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of a proxy.
    pub fn proxy(&self) -> Option<&str> {
        match self {
            Self::Proxy(name) => Some(name),
            _ => None,
        }
    }

    /// Which of the words an argument is.
    pub fn choice(&self) -> Option<usize> {
        match self {
            Self::Choice(place) => Some(*place),
            _ => None,
        }
    }

    /// The bits of a mask.
    pub fn mask(&self) -> Option<u128> {
        match self {
            Self::Mask(bits) => Some(*bits),
            _ => None,
        }
    }

    /// The number of an integer argument.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            _ => None,
        }
    }
}

/// A required argument.
pub(crate) const fn need(name: &'static str, kind: ArgKind) -> ArgSpec {
    ArgSpec {
        name,
        kind,
        optional: false,
    }
}

/// An argument that may be left out.
pub(crate) const fn may(name: &'static str, kind: ArgKind) -> ArgSpec {
    ArgSpec {
        name,
        kind,
        optional: true,
    }
}

/// Users of one `userlist`, for `http_auth`.
#[derive(Debug, Clone, Default)]
pub struct Userlist {
    /// (name, clear password, groups).
    pub users: Vec<(String, String, Vec<String>)>,
}

impl Userlist {
    /// The groups of the user whose `Authorization: Basic` value this is; `None` unless the password is right.
    pub fn authenticate(&self, authorization: &[u8]) -> Option<&[String]> {
        let (name, password) = basic_credentials(authorization)?;
        self.users
            .iter()
            .find(|(n, p, _)| n.as_bytes() == name && same_bytes(p.as_bytes(), &password))
            .map(|(_, _, groups)| groups.as_slice())
    }
}

/// User and password of an `Authorization: Basic` value.
pub fn basic_credentials(authorization: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut plain = base64::engine::general_purpose::STANDARD
        .decode(rest.trim_ascii())
        .ok()?;
    let colon = memchr::memchr(b':', &plain)?;
    let password = plain.split_off(colon + 1);
    plain.truncate(colon);
    Some((plain, password))
}

/// Compares without telling by its duration where the difference is.
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

/// Compiles a regular expression over bytes. Neither look-around nor back references exist in it.
pub(crate) fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, RuleError> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .unicode(false)
        .build()
        .map_err(|e| regex_error(pattern, &e))
}

/// The message for a pattern that does not compile.
pub(crate) fn regex_error(pattern: &str, error: &regex::Error) -> RuleError {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    RuleError::new(0, format!("regular expression '{pattern}': {reason}"))
}

/// Reads the variable `name`.
pub(crate) fn variable(name: &str) -> Result<(Scope, Arc<str>), RuleError> {
    Scope::split(name)
        .map(|(scope, _)| (scope, Arc::from(name)))
        .ok_or_else(|| {
            RuleError::new(0, format!("invalid variable name '{name}'"))
                .expecting("proc., sess., txn., req. or res. and letters, digits, '_', '.', '-'")
        })
}

/// Types the argument texts of `what` by its specification.
pub(crate) fn compile(
    what: &str,
    specs: &[ArgSpec],
    texts: &[String],
    definitions: &Definitions,
) -> Result<Box<[Argument]>, RuleError> {
    let mut out = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let Some(text) = texts.get(index).filter(|t| !t.is_empty() || !spec.optional) else {
            if !spec.optional {
                return Err(RuleError::new(
                    0,
                    format!("'{what}' misses its argument '{}'", spec.name),
                )
                .expecting(usage(what, specs)));
            }
            if spec.kind == ArgKind::Table && definitions.in_defaults {
                let message = format!("'{what}' in a defaults section names no table");
                return Err(RuleError::new(0, message).expecting("the name of a table"));
            }
            out.push(match (spec.kind, &definitions.proxy) {
                (ArgKind::Table | ArgKind::Backend | ArgKind::Frontend, Some(own)) => {
                    proxy(what, spec.kind, own, definitions)?
                }
                _ => Argument::Missing,
            });
            continue;
        };
        match spec.kind {
            ArgKind::Regsub => {
                out.push(regsub(text, texts)?);
                return Ok(out.into());
            }
            ArgKind::Assignment => {
                let assignment = Assignment::read(texts.iter().map(String::as_str))?;
                out.push(Argument::Assignment(assignment));
                return Ok(out.into());
            }
            _ => {}
        }
        out.push(one(what, spec, text, definitions)?);
    }
    if let Some(extra) = texts.get(specs.len()) {
        return Err(
            RuleError::new(0, format!("'{what}' has an argument too many: '{extra}'"))
                .expecting(usage(what, specs)),
        );
    }
    Ok(out.into())
}

/// `name(a,[b])`.
fn usage(what: &str, specs: &[ArgSpec]) -> String {
    if specs.is_empty() {
        return format!("{what} without arguments");
    }
    let words: Vec<String> = specs
        .iter()
        .map(|s| {
            if s.optional {
                format!("[{}]", s.name)
            } else {
                s.name.to_string()
            }
        })
        .collect();
    format!("{what}({})", words.join(","))
}

fn one(
    what: &str,
    spec: &ArgSpec,
    text: &str,
    definitions: &Definitions,
) -> Result<Argument, RuleError> {
    let wrong = |expected: &str| {
        RuleError::new(
            0,
            format!("'{what}': '{text}' is no good as '{}'", spec.name),
        )
        .expecting(expected)
    };
    Ok(match spec.kind {
        ArgKind::Text | ArgKind::Regsub | ArgKind::Assignment => {
            Argument::Text(text.as_bytes().into())
        }
        ArgKind::Map(by) => {
            let file = definitions.files.named(text);
            let file = file.ok_or_else(|| wrong("a file that can be read"))?;
            Argument::Map(file.view(by)?)
        }
        ArgKind::Int => Argument::Int(text.parse().map_err(|_| wrong("an integer"))?),
        ArgKind::Within(least, most) => {
            let number = text.parse().ok();
            let number = number.filter(|number| (least..=most).contains(number));
            Argument::Int(number.ok_or_else(|| wrong(&format!("{least} to {most}")))?)
        }
        ArgKind::OneOf(words) => {
            let place = words.iter().position(|one| one.eq_ignore_ascii_case(text));
            Argument::Choice(place.ok_or_else(|| wrong(&words.join(", ")))?)
        }
        ArgKind::FixTag => {
            let tag = fix::tag(text).ok_or_else(|| wrong("a number above 0 or a known name"))?;
            Argument::Int(tag.into())
        }
        ArgKind::JwtAlgorithm => match variable(text) {
            Ok((scope, name)) => Argument::Variable(scope, name),
            Err(_) => {
                jwt::Algorithm::named(text.as_bytes())
                    .map_err(|_| wrong("HS, RS or ES and 256, 384 or 512, or a variable"))?;
                Argument::Text(text.as_bytes().into())
            }
        },
        ArgKind::JwtKey => {
            let key = match variable(text) {
                Ok((scope, name)) => Argument::Variable(scope, name),
                Err(_) => Argument::Text(text.as_bytes().into()),
            };
            Argument::JwtKey(Box::new(key), Arc::clone(&definitions.keys))
        }
        ArgKind::Key => match variable(text) {
            Ok((scope, name)) => Argument::Variable(scope, name),
            Err(_) => {
                let key = base64::engine::general_purpose::STANDARD.decode(text);
                Argument::Text(key.map_err(|_| wrong("base64 or a variable"))?.into())
            }
        },
        ArgKind::JsonPath => {
            let path = json::path(text).ok_or_else(|| wrong("a path as $.member[0]"))?;
            Argument::JsonPath(path)
        }
        ArgKind::Strftime => {
            let mut items = chrono::format::StrftimeItems::new(text);
            if items.any(|item| item == chrono::format::Item::Error) {
                return Err(wrong("a format of strftime(3)"));
            }
            Argument::Text(text.as_bytes().into())
        }
        ArgKind::Number => match text.parse() {
            Ok(number) => Argument::Int(number),
            Err(_) => {
                let (scope, name) =
                    variable(text).map_err(|_| wrong("an integer or a variable"))?;
                Argument::Variable(scope, name)
            }
        },
        ArgKind::Mask4 => {
            Argument::Mask(mask4(text).ok_or_else(|| wrong("a mask as 255.255.255.0 or 0-32"))?)
        }
        ArgKind::Mask6 => {
            Argument::Mask(mask6(text).ok_or_else(|| wrong("a mask as ffff:ffff:: or 0-128"))?)
        }
        ArgKind::Variable => {
            let (scope, name) = variable(text)?;
            Argument::Variable(scope, name)
        }
        ArgKind::Table | ArgKind::TrackedTable | ArgKind::Backend | ArgKind::Frontend => {
            proxy(what, spec.kind, text, definitions)?
        }
        ArgKind::Server => server(what, text, definitions)?,
        ArgKind::Userlist => {
            let list = definitions
                .userlists
                .get(text)
                .ok_or_else(|| wrong("the name of a userlist"))?;
            Argument::Userlist(Arc::clone(list))
        }
    })
}

/// The name of a proxy that has what `kind` asks for.
fn proxy(
    what: &str,
    kind: ArgKind,
    name: &str,
    definitions: &Definitions,
) -> Result<Argument, RuleError> {
    let Some(proxies) = &definitions.proxies else {
        return Ok(Argument::Proxy(name.into()));
    };
    let (thing, has): (&str, fn(&ProxyFacts) -> bool) = match kind {
        ArgKind::Table | ArgKind::TrackedTable => ("table", |proxy| proxy.table.is_some()),
        ArgKind::Frontend => ("frontend", |proxy| proxy.accepts),
        _ => ("backend", |proxy| proxy.servers.is_some()),
    };
    match proxies.get(name) {
        Some(proxy) if has(proxy) => Ok(Argument::Proxy(name.into())),
        _ => Err(
            RuleError::new(0, format!("'{what}': unable to find {thing} '{name}'")).expecting(
                match kind {
                    ArgKind::Table | ArgKind::TrackedTable => {
                        "a proxy with a stick-table".to_owned()
                    }
                    _ => format!("the name of a {thing}"),
                },
            ),
        ),
    }
}

/// `backend/server` or `server`.
fn server(what: &str, text: &str, definitions: &Definitions) -> Result<Argument, RuleError> {
    let own = definitions.proxy.as_deref().unwrap_or_default();
    let parts = text.split_once('/');
    if parts.is_none() && definitions.in_defaults {
        let message = format!("'{what}' in a defaults section: server '{text}' of which backend");
        return Err(RuleError::new(0, message).expecting("backend/server"));
    }
    let (backend, server) = parts.unwrap_or((own, text));
    let known = definitions.proxies.as_ref().is_none_or(|proxies| {
        let servers = proxies.get(backend).and_then(|p| p.servers.as_ref());
        servers.is_some_and(|servers| servers.iter().any(|name| **name == *server))
    });
    if !known {
        let message = format!("'{what}': unable to find server '{text}'");
        return Err(RuleError::new(0, message).expecting("backend/server"));
    }
    let named: (Arc<str>, Arc<str>) = (backend.into(), server.into());
    let mut asked = definitions
        .asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    asked.push(named.clone());
    Ok(Argument::Server(named.0, named.1))
}

/// An IPv4 mask, which may have holes.
fn mask4(text: &str) -> Option<u128> {
    if let Ok(bits) = text.parse::<u32>() {
        let empty = 32_u32.checked_sub(bits)?;
        return Some(u32::MAX.checked_shl(empty).unwrap_or(0).into());
    }
    let mask: std::net::Ipv4Addr = text.parse().ok()?;
    Some(u32::from(mask).into())
}

/// An IPv6 mask, which may have holes.
fn mask6(text: &str) -> Option<u128> {
    if let Ok(bits) = text.parse::<u32>() {
        let empty = 128_u32.checked_sub(bits)?;
        return Some(u128::MAX.checked_shl(empty).unwrap_or(0));
    }
    let mask: std::net::Ipv6Addr = text.parse().ok()?;
    Some(mask.into())
}

/// `regsub(pattern,replacement[,flags])`; flags `g` (all) and `i` (without case).
fn regsub(pattern: &str, texts: &[String]) -> Result<Argument, RuleError> {
    let text = texts.get(1).map(String::as_str).unwrap_or_default();
    let flags = texts.get(2).map(String::as_str).unwrap_or_default();
    if let Some(flag) = flags.chars().find(|c| !matches!(c, 'g' | 'i')) {
        return Err(
            RuleError::new(0, format!("'regsub': unknown flag '{flag}'"))
                .expecting("'g', 'i' or both"),
        );
    }
    if let Some(extra) = texts.get(3) {
        return Err(
            RuleError::new(0, format!("'regsub' has an argument too many: '{extra}'"))
                .expecting("regsub(pattern,replacement,[flags])"),
        );
    }
    let regex = regex(pattern, flags.contains('i'))?;
    Ok(Argument::Regsub(
        regex,
        text.as_bytes().into(),
        flags.contains('g'),
    ))
}
