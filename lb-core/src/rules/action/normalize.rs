//! `normalize-uri`: one kind of normalization of the request target each (RFC 3986 §6.2.2). Manual 4.2.

use std::borrow::Cow;

use super::{Action, spec::Context};
use crate::{
    expr::fetch::target::split,
    head::HeadMut,
    rules::{RuleError, words::Words},
};

/// What is normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Normalizer {
    FragmentEncode,
    FragmentStrip,
    StripDot,
    /// With `full` also what leads out of the root.
    StripDotDot {
        full: bool,
    },
    MergeSlashes,
    /// With `strict` a sequence that is none is an error.
    DecodeUnreserved {
        strict: bool,
    },
    ToUppercase {
        strict: bool,
    },
    SortQuery,
}

/// The target has a sequence that is not allowed in any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Invalid;

const NAMES: &[&str] = &[
    "fragment-encode",
    "fragment-strip",
    "path-strip-dot",
    "path-strip-dotdot",
    "path-merge-slashes",
    "percent-decode-unreserved",
    "percent-to-uppercase",
    "query-sort-by-name",
];

pub(super) fn read(words: &mut Words<'_>, _: &mut Context<'_>) -> Result<Action, RuleError> {
    let name = words.required("a normalizer")?;
    let mut option = |word| {
        let there = words.peek() == Some(word);
        if there {
            words.argument();
        }
        there
    };
    Ok(Action::Normalize(match name {
        "fragment-encode" => Normalizer::FragmentEncode,
        "fragment-strip" => Normalizer::FragmentStrip,
        "path-strip-dot" => Normalizer::StripDot,
        "path-strip-dotdot" => Normalizer::StripDotDot {
            full: option("full"),
        },
        "path-merge-slashes" => Normalizer::MergeSlashes,
        "percent-decode-unreserved" => Normalizer::DecodeUnreserved {
            strict: option("strict"),
        },
        "percent-to-uppercase" => Normalizer::ToUppercase {
            strict: option("strict"),
        },
        "query-sort-by-name" => Normalizer::SortQuery,
        other => {
            return Err(words
                .wrong(format!("unknown normalizer '{other}'"))
                .expecting(NAMES.join(", ")));
        }
    }))
}

impl Normalizer {
    /// Changes the target of `head`. What is not a path (`*`, a host and port) stays.
    pub(in crate::rules) fn apply(self, head: &mut HeadMut<'_>) -> Result<(), Invalid> {
        let new = self.normalized(head.as_ref().target())?;
        if let Some(new) = new.filter(|new| new != head.as_ref().target()) {
            head.set_target(&new);
        }
        Ok(())
    }

    fn normalized(self, target: &[u8]) -> Result<Option<Vec<u8>>, Invalid> {
        let parts = split(target);
        let rest = target.get(parts.origin.len()..).unwrap_or_default();
        if !parts.path.starts_with(b"/") {
            return Ok(None);
        }
        let after_path = rest.get(parts.path.len()..).unwrap_or_default();
        let mut new = parts.origin.to_vec();
        match self {
            Self::FragmentEncode => {
                for byte in rest {
                    match byte {
                        b'#' => new.extend_from_slice(b"%23"),
                        other => new.push(*other),
                    }
                }
            }
            Self::FragmentStrip => {
                new.extend_from_slice(rest.split(|b| *b == b'#').next().unwrap_or_default());
            }
            Self::StripDot => {
                join(without_dots(parts.path), &mut new);
                new.extend_from_slice(after_path);
            }
            Self::StripDotDot { full } => {
                join(without_parents(parts.path, full), &mut new);
                new.extend_from_slice(after_path);
            }
            Self::MergeSlashes => {
                let mut before = None;
                for byte in parts.path {
                    if (before, byte) != (Some(b'/'), &b'/') {
                        new.push(*byte);
                    }
                    before = Some(*byte);
                }
                new.extend_from_slice(after_path);
            }
            Self::DecodeUnreserved { strict } => {
                sequences(rest, strict, &mut new, |pair, decoded, new| {
                    if decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded) {
                        new.push(decoded);
                    } else {
                        new.extend_from_slice(pair);
                    }
                })?;
            }
            Self::ToUppercase { strict } => {
                sequences(rest, strict, &mut new, |pair, _, new| {
                    new.extend(pair.iter().map(u8::to_ascii_uppercase));
                })?;
            }
            Self::SortQuery => {
                new.extend_from_slice(parts.path);
                if let Some(query) = parts.query {
                    new.push(b'?');
                    new.extend_from_slice(&sorted(query));
                }
            }
        }
        Ok(Some(new))
    }
}

/// The path's segments, of which the first follows the first slash.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.get(1..).unwrap_or_default().split(|b| *b == b'/')
}

fn join(segments: Vec<&[u8]>, out: &mut Vec<u8>) {
    for segment in segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
}

/// A dot at the end leaves its slash.
fn without_dots(path: &[u8]) -> Vec<&[u8]> {
    let mut kept: Vec<&[u8]> = segments(path).filter(|s| *s != b".").collect();
    if path.ends_with(b"/.") {
        kept.push(b"");
    }
    kept
}

fn without_parents(path: &[u8], full: bool) -> Vec<&[u8]> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments(path) {
        if segment != b".." {
            kept.push(segment);
        } else if kept.last().is_some_and(|last| *last != b"..") {
            kept.pop();
        } else if !full {
            kept.push(segment);
        }
    }
    if path.ends_with(b"/..") || kept.is_empty() {
        kept.push(b"");
    }
    kept
}

/// Hands every `%XX` with the byte that it stands for to `each`; everything else is copied.
fn sequences(
    text: &[u8],
    strict: bool,
    out: &mut Vec<u8>,
    each: impl Fn(&[u8; 3], u8, &mut Vec<u8>),
) -> Result<(), Invalid> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let decoded = rest.first_chunk::<3>().and_then(|pair| {
                let [_, high, low] = *pair;
                let decoded = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
                Some((pair, decoded))
            });
            match decoded {
                Some((pair, decoded)) => {
                    each(pair, decoded, out);
                    rest = rest.get(3..).unwrap_or_default();
                    continue;
                }
                None if strict => return Err(Invalid),
                None => {}
            }
        }
        out.push(*byte);
        rest = after;
    }
    Ok(())
}

/// Parameters by name; those of one name stay in their order.
fn sorted(query: &[u8]) -> Cow<'_, [u8]> {
    let mut parameters: Vec<&[u8]> = query.split(|b| *b == b'&').collect();
    if parameters.len() == 1 {
        return Cow::Borrowed(query);
    }
    parameters.sort_by_key(|parameter| parameter.split(|b| *b == b'=').next());
    Cow::Owned(parameters.join(&b'&'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(normalizer: Normalizer, target: &str) -> Option<String> {
        let new = normalizer.normalized(target.as_bytes()).ok()?;
        let text = new.unwrap_or_else(|| target.as_bytes().to_vec());
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn dots_slashes_and_fragments() {
        let up = Normalizer::StripDotDot { full: false };
        let full = Normalizer::StripDotDot { full: true };
        for (normalizer, target, expected) in [
            (up, "/a/b/../../c?x=/../", "/c?x=/../"),
            (up, "/../a/../..", "/../../"),
            (full, "/../a/../..", "/"),
            (full, "/a//../b", "/a/b"),
            (up, "/..", "/../"),
            (up, "/a/%2e%2e/", "/a/%2e%2e/"),
            (up, "http://h/a/../b", "http://h/b"),
            (up, "http://h", "http://h"),
            (full, "*", "*"),
            (Normalizer::StripDot, "/./a/./.b/c./.", "/a/.b/c./"),
            (Normalizer::StripDot, "/.?q=/./", "/?q=/./"),
            (Normalizer::StripDot, "/a/../b", "/a/../b"),
            (Normalizer::MergeSlashes, "///a//b/?u=//", "/a/b/?u=//"),
            (Normalizer::MergeSlashes, "*", "*"),
            (Normalizer::FragmentStrip, "/a#b?c#d", "/a"),
            (Normalizer::FragmentStrip, "/a%23b", "/a%23b"),
            (Normalizer::FragmentEncode, "/a#b?c#d", "/a%23b?c%23d"),
        ] {
            let new = normalized(normalizer, target);
            assert_eq!(new.as_deref(), Some(expected), "{normalizer:?} {target}");
        }
    }

    #[test]
    fn sequences_are_decoded_once_and_wrong_ones_refused_if_asked() {
        for (target, decoded, upper, strict) in [
            ("/%7euser%2fx", "/~user%2fx", "/%7Euser%2Fx", true),
            ("/%%37%65", "/%7e", "/%%37%65", false),
            ("/%zz%4", "/%zz%4", "/%zz%4", false),
            ("/a?b=%41", "/a?b=A", "/a?b=%41", true),
        ] {
            let of = |strict| normalized(Normalizer::DecodeUnreserved { strict }, target);
            assert_eq!(of(false).as_deref(), Some(decoded));
            assert_eq!(of(true).is_some(), strict, "{target}");
            let of = |strict| normalized(Normalizer::ToUppercase { strict }, target);
            assert_eq!(of(false).as_deref(), Some(upper));
            assert_eq!(of(true).is_some(), strict, "{target}");
        }
    }

    #[test]
    fn parameters_are_sorted_by_name_alone() {
        for (target, expected) in [
            ("/?b=1&a=2&b=0&a=1", "/?a=2&a=1&b=1&b=0"),
            ("/?aa=1&a=2&b", "/?a=2&aa=1&b"),
            ("/?", "/?"),
            ("/", "/"),
        ] {
            let new = normalized(Normalizer::SortQuery, target);
            assert_eq!(new.as_deref(), Some(expected));
        }
    }
}
