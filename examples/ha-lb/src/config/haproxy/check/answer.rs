//! What `http-check expect` looks for.

use std::ops::RangeInclusive;

use lb_core::{
    expr::perl,
    health::script::{FieldMatch, HttpPattern, Pattern, Slot, TextMatch},
};
use regex::bytes::{Regex, RegexBuilder};

use crate::config::haproxy::{
    args::{Arg, Args, Parsed},
    script_check::steps::Aside,
};

/// What may be looked for.
pub(super) const MATCHES: &str =
    "status, rstatus, string, string-lf, rstring, hdr or fhdr and a pattern";
const CODES: &str = "codes and ranges such as 200,300-310";

/// The match that begins with `word`.
pub(super) fn pattern<'l>(
    word: &Arg<'l>,
    args: &mut Args<'l>,
    aside: &mut Aside,
) -> Parsed<Pattern> {
    let mut value = || args.need(word.text, "a pattern");
    let http = match word.text {
        "status" => HttpPattern::Status(codes(&value()?)?),
        "rstatus" => HttpPattern::StatusRegex(regex(&value()?)?),
        "string" => HttpPattern::Body(value()?.text.as_bytes().to_vec()),
        "string-lf" => {
            let text = aside.text(&value()?, Slot::Sought)?;
            HttpPattern::Body(text.as_bytes().to_vec())
        }
        "rstring" => HttpPattern::BodyRegex(regex(&value()?)?),
        "hdr" | "fhdr" => HttpPattern::Field(field(word, args, aside)?),
        _ => return Err(word.refuse("this kind of expectation is not supported", MATCHES)),
    };
    Ok(Pattern::Http(http))
}

/// `name [-m <method>] <name> [value [-m <method>] <value>]`.
fn field<'l>(word: &Arg<'l>, args: &mut Args<'l>, aside: &mut Aside) -> Parsed<FieldMatch> {
    const FORM: &str = "name [-m <method>] <name> [value [-m <method>] <value>]";
    let begin = args.need(word.text, FORM)?;
    if !matches!(begin.text, "name" | "name-lf") {
        return Err(begin.refuse("a header is looked for by its name", FORM));
    }
    let name = lower(text(&begin, args, aside, Slot::FieldName)?);
    let value = match args.peek() {
        "value" | "value-lf" => {
            let begin = args.need(word.text, FORM)?;
            Some(text(&begin, args, aside, Slot::FieldValue)?)
        }
        _ => None,
    };
    Ok(FieldMatch {
        name,
        value,
        whole: word.text == "fhdr",
    })
}

/// `[-m <method>] <text>` behind `word`.
fn text<'l>(
    word: &Arg<'l>,
    args: &mut Args<'l>,
    aside: &mut Aside,
    slot: Slot,
) -> Parsed<TextMatch> {
    const METHODS: &str = "str, beg, end, sub or reg";
    let method = match args.skip("-m") {
        true => Some(args.need("-m", METHODS)?),
        false => None,
    };
    let arg = args.need(word.text, "a text")?;
    if word.text.ends_with("-lf") {
        if method.as_ref().is_some_and(|method| method.text == "reg") {
            let message = "a regular expression has no variables";
            return Err(arg.refuse(message, "str, beg, end or sub as method"));
        }
        aside.text(&arg, slot)?;
    }
    let wanted = arg.text.to_owned();
    Ok(match method.as_ref().map_or("str", |method| method.text) {
        "str" => TextMatch::Whole(wanted),
        "beg" => TextMatch::Begins(wanted),
        "end" => TextMatch::Ends(wanted),
        "sub" => TextMatch::Contains(wanted),
        "reg" => TextMatch::Regex(regex(&arg)?),
        _ => {
            let unknown = method.unwrap_or(arg);
            return Err(unknown.refuse("unknown method of comparing", METHODS));
        }
    })
}

/// Names are compared in lower case, by expressions in either case.
fn lower(name: TextMatch) -> TextMatch {
    match name {
        TextMatch::Whole(text) => TextMatch::Whole(text.to_ascii_lowercase()),
        TextMatch::Begins(text) => TextMatch::Begins(text.to_ascii_lowercase()),
        TextMatch::Ends(text) => TextMatch::Ends(text.to_ascii_lowercase()),
        TextMatch::Contains(text) => TextMatch::Contains(text.to_ascii_lowercase()),
        TextMatch::Regex(regex) => {
            let either = RegexBuilder::new(regex.as_str())
                .case_insensitive(true)
                .unicode(false)
                .build();
            TextMatch::Regex(either.unwrap_or(regex))
        }
    }
}

fn regex(arg: &Arg<'_>) -> Parsed<Regex> {
    perl::regex(arg.text, false)
        .map_err(|_| arg.refuse("not a regular expression", "such as ^2[0-9][0-9]$"))
}

fn codes(arg: &Arg<'_>) -> Parsed<Vec<RangeInclusive<u16>>> {
    let ranges: Option<Vec<_>> = arg.text.split(',').map(range).collect();
    ranges.ok_or_else(|| arg.refuse("not a list of status codes", CODES))
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let code = |text: &str| text.parse().ok().filter(|code| (100..=999).contains(code));
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (code(low)?, code(high)?),
        None => (code(text)?, code(text)?),
    };
    (low <= high).then_some(low..=high)
}
