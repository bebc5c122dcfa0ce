//! Applying edits to a head. Whatever a value is built from, nothing here writes a line end, a NUL or a blank
//! where it would change the message's structure.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::{HeaderEdit, TargetEdit};
use crate::{
    expr::{
        Value,
        convert::expand,
        fetch::target::{authority, between_commas, host_port, split},
        value::push_hex,
    },
    head::HeadMut,
    http1::is_authority,
};

/// Whether `text` is a token (RFC 9110 §5.6.2).
pub(crate) fn token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// RFC 9110 §5.5: control characters, which no value may hold, are percent-encoded, as HAProxy does.
pub(crate) fn sanitize(value: &mut Vec<u8>) {
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if !value.iter().any(is_control) {
        return;
    }
    for byte in std::mem::take(value) {
        if is_control(&byte) {
            value.push(b'%');
            push_hex(byte, value);
        } else {
            value.push(byte);
        }
    }
}

/// Percent-encodes what must not stand in a target or location: controls, blanks, and bytes beyond ASCII.
pub(crate) fn escape_target(target: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(target.len());
    for byte in target {
        if matches!(byte, 0x21..0x7f) {
            out.push(*byte);
        } else {
            out.push(b'%');
            push_hex(*byte, &mut out);
        }
    }
    out
}

/// Applies a header edit with its evaluated text.
pub(crate) fn edit_headers(edit: &HeaderEdit, text: &mut Vec<u8>, head: &mut HeadMut<'_>) {
    sanitize(text);
    let name = match edit {
        HeaderEdit::Set(name, _) => {
            head.set(name, text);
            name
        }
        HeaderEdit::Add(name, _) => {
            head.add(name, text);
            name
        }
        HeaderEdit::Delete(matcher) => {
            head.remove_if(|name, _| matcher.matches(&Value::String(Cow::Borrowed(name))));
            return;
        }
        HeaderEdit::ReplaceHeader(name, regex, _) => {
            *text = replace_values(name, head, |value| replaced(regex, value, text));
            name
        }
        HeaderEdit::ReplaceValue(name, regex, _) => {
            *text = replace_values(name, head, |value| replaced_members(regex, value, text));
            name
        }
    };
    if **name == *b"host" {
        follow_host(text, head);
    }
}

/// RFC 9112 §3.2.2: the authority of a target that has one is to be the same as `Host`, and wins over it. What is none is
/// not written there.
fn follow_host(host: &[u8], head: &mut HeadMut<'_>) {
    let view = head.as_ref();
    // What has no method is a response: it has no target.
    if view.method().is_empty() || !is_authority(host) {
        return;
    }
    let target = view.target();
    let new = match authority(target) {
        Some(old) => {
            let end = split(target).origin.len();
            let scheme = target.get(..end - old.len()).unwrap_or_default();
            [scheme, host, target.get(end..).unwrap_or_default()].concat()
        }
        // RFC 9110 §9.3.6: CONNECT names a port.
        None if view.method() == b"CONNECT" && host_port(host).1.is_some() => host.to_vec(),
        None => return,
    };
    head.set_target(&new);
}

/// The value with each member that matches replaced, without the blanks around it; `None` if none does. The others stay
/// as they are.
fn replaced_members(regex: &Regex, value: &[u8], template: &[u8]) -> Option<Vec<u8>> {
    let mut changed = false;
    let mut out = Vec::with_capacity(value.len());
    for (index, member) in between_commas(value).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match replaced(regex, member.trim_ascii(), template) {
            Some(new) => {
                changed = true;
                out.extend_from_slice(&new);
            }
            None => out.extend_from_slice(member),
        }
    }
    changed.then_some(out)
}

/// Replaces the values of `name` for which `change` has another, and tells the last of these.
fn replace_values(
    name: &[u8],
    head: &mut HeadMut<'_>,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let changes: Vec<(usize, Vec<u8>)> = head
        .as_ref()
        .fields()
        .enumerate()
        .filter(|(_, (n, _))| n.eq_ignore_ascii_case(name))
        .filter_map(|(index, (_, value))| Some((index, change(value)?)))
        .collect();
    let mut last = Vec::new();
    for (index, mut value) in changes {
        sanitize(&mut value);
        head.set_value_at(index, &value);
        last = value;
    }
    last
}

/// The whole text replaced by `template` with its groups, if `regex` matches.
fn replaced(regex: &Regex, text: &[u8], template: &[u8]) -> Option<Vec<u8>> {
    let captures = regex.captures(text)?;
    let mut out = Vec::new();
    expand(template, &captures, &mut out);
    Some(out)
}

/// The host and port that a target without a scheme begins with: everything up to the first slash.
fn bare_authority(target: &[u8]) -> Option<&[u8]> {
    let bare = !matches!(target.first(), Some(b'/' | b'*') | None) && authority(target).is_none();
    bare.then(|| target.split(|byte| *byte == b'/').next())?
}

/// Applies an edit of the target with its evaluated text; false if it comes to an empty target, which is never written.
pub(crate) fn edit_target(edit: &TargetEdit, text: &[u8], head: &mut HeadMut<'_>) -> bool {
    let new = {
        let target = head.as_ref().target();
        let mut parts = split(target);
        if parts.path.is_empty() && !parts.has_scheme() {
            // A host and port, or an asterisk, has no place for a path: the path takes its place.
            parts.origin = &[];
        }
        let mut new = Vec::with_capacity(target.len() + text.len());
        let path_and_query = match parts.path.is_empty() && parts.query.is_none() {
            true => &[],
            false => target.get(parts.origin.len()..).unwrap_or_default(),
        };
        let query = |new: &mut Vec<u8>| {
            if let Some(query) = parts.query {
                new.push(b'?');
                new.extend_from_slice(query);
            }
        };
        match edit {
            TargetEdit::SetPath(_) => {
                new.extend_from_slice(parts.origin);
                new.extend_from_slice(text);
                query(&mut new);
            }
            TargetEdit::SetPathQuery(_) => {
                new.extend_from_slice(parts.origin);
                new.extend_from_slice(text);
            }
            TargetEdit::SetQuery(_) => {
                new.extend_from_slice(split(target).origin);
                new.extend_from_slice(parts.path);
                if !text.is_empty() {
                    new.push(b'?');
                    new.extend_from_slice(text.strip_prefix(b"?").unwrap_or(text));
                }
            }
            TargetEdit::SetUri(_) => new.extend_from_slice(text),
            TargetEdit::ReplacePath(regex, _) => {
                let Some(path) = replaced(regex, parts.path, text) else {
                    return true;
                };
                new.extend_from_slice(parts.origin);
                new.extend_from_slice(&path);
                query(&mut new);
            }
            TargetEdit::ReplacePathQuery(regex, _) => {
                let Some(rest) = replaced(regex, path_and_query, text) else {
                    return true;
                };
                new.extend_from_slice(parts.origin);
                new.extend_from_slice(&rest);
            }
            TargetEdit::ReplaceUri(regex, _) => {
                let Some(uri) = replaced(regex, target, text) else {
                    return true;
                };
                new = uri;
            }
        }
        escape_target(&new)
    };
    if new.is_empty() {
        return false;
    }
    head.set_target(&new);
    // RFC 9112 §3.2.2: the authority of an absolute target wins over Host, so that both must say the same.
    let named = match edit {
        TargetEdit::SetUri(_) | TargetEdit::ReplaceUri(..) => bare_authority(&new),
        _ => None,
    };
    if let Some(authority) = authority(&new).or(named).filter(|a| !a.is_empty()) {
        let host = head
            .as_ref()
            .fields()
            .position(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        if let Some(index) = host {
            head.set_value_at(index, authority);
        }
    }
    true
}
