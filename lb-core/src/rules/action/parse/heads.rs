//! Actions that edit the head of a message.

use std::sync::Arc;

use regex::bytes::Regex;

use super::{
    super::{Action, HeaderEdit, TargetEdit, spec::Context},
    Read, format, header_name,
};
use crate::{
    expr::{
        args::regex,
        matcher::{Matcher, Method},
    },
    rules::{RuleError, words::Words},
};

fn pattern(words: &mut Words<'_>) -> Result<Regex, RuleError> {
    let at = words.at();
    regex(words.required("a regular expression")?, false).map_err(|e| e.shifted(at))
}

pub(in super::super) fn set_header(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let name = header_name(words)?;
    Ok(Action::Header(HeaderEdit::Set(
        name,
        format(words, context, "a value")?,
    )))
}

pub(in super::super) fn add_header(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let name = header_name(words)?;
    Ok(Action::Header(HeaderEdit::Add(
        name,
        format(words, context, "a value")?,
    )))
}

pub(in super::super) fn del_header(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let at = words.at();
    let pattern = words.required("a header name")?.to_string();
    let mut method = Method::Str;
    if words.peek() == Some("-m") {
        words.argument();
        let name = words.required("a matching method")?;
        method = match name {
            "str" => Method::Str,
            "beg" => Method::Beg,
            "end" => Method::End,
            "sub" => Method::Sub,
            "reg" => Method::Reg,
            other => {
                return Err(words
                    .wrong(format!("'{other}' cannot match header names"))
                    .expecting("str, beg, end, sub or reg"));
            }
        };
    }
    // Names compare without case (RFC 9110 §5.1).
    let matcher = Matcher::new(method, &[(at, pattern)], true)?;
    Ok(Action::Header(HeaderEdit::Delete(Box::new(matcher))))
}

pub(in super::super) fn replace_header(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let (name, regex) = (header_name(words)?, pattern(words)?);
    let with = format(words, context, "a replacement")?;
    Ok(Action::Header(HeaderEdit::ReplaceHeader(name, regex, with)))
}

pub(in super::super) fn replace_value(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let (name, regex) = (header_name(words)?, pattern(words)?);
    let with = format(words, context, "a replacement")?;
    Ok(Action::Header(HeaderEdit::ReplaceValue(name, regex, with)))
}

pub(in super::super) fn set_path(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetPath(format(
        words, context, "a path",
    )?)))
}

pub(in super::super) fn set_pathq(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetPathQuery(format(
        words,
        context,
        "a path and query",
    )?)))
}

pub(in super::super) fn set_query(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetQuery(format(
        words, context, "a query",
    )?)))
}

pub(in super::super) fn set_uri(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::Target(TargetEdit::SetUri(format(
        words,
        context,
        "a request target",
    )?)))
}

pub(in super::super) fn replace_path(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let regex = pattern(words)?;
    Ok(Action::Target(TargetEdit::ReplacePath(
        regex,
        format(words, context, "a replacement")?,
    )))
}

pub(in super::super) fn replace_pathq(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let regex = pattern(words)?;
    Ok(Action::Target(TargetEdit::ReplacePathQuery(
        regex,
        format(words, context, "a replacement")?,
    )))
}

pub(in super::super) fn replace_uri(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    let regex = pattern(words)?;
    Ok(Action::Target(TargetEdit::ReplaceUri(
        regex,
        format(words, context, "a replacement")?,
    )))
}

pub(in super::super) fn set_method(words: &mut Words<'_>, context: &mut Context<'_>) -> Read {
    Ok(Action::SetMethod(format(words, context, "a method")?))
}

pub(in super::super) fn set_status(words: &mut Words<'_>, _: &mut Context<'_>) -> Read {
    let status: u16 = words.number("a status")?;
    if !(100..=999).contains(&status) {
        return Err(words
            .wrong(format!("'{status}' is no status"))
            .expecting("100 to 999"));
    }
    let mut reason = None;
    if words.peek() == Some("reason") {
        words.argument();
        reason = Some(Arc::from(words.required("a reason")?));
    }
    Ok(Action::SetStatus(status, reason))
}
