//! Argument texts become arguments, each by its specification.

use std::sync::{Arc, PoisonError};

use base64::Engine as _;

use super::{ArgKind, ArgSpec, Argument, regex, variable};
use crate::{
    expr::{
        Definitions, ProxyFacts,
        convert::{fix, json, protobuf},
        jwt,
    },
    request::Assignment,
    rules::RuleError,
};

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
                    .map_err(|_| wrong("HS, RS, PS or ES and 256, 384 or 512, or a variable"))?;
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
        ArgKind::FieldPath => {
            let path = protobuf::path(text).ok_or_else(|| wrong("numbers of fields as 1.2"))?;
            Argument::FieldPath(path)
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
