//! `option httpchk` and `http-check` (configuration manual §4.2).

use std::ops::RangeInclusive;

use lb_core::config::CheckKind;
use regex::Regex;

use super::{
    args::{Arg, Args, Context, Parsed},
    draft::HttpCheck,
};

impl HttpCheck {
    /// `option httpchk [<uri> | <method> <uri> [<version>]]`. The version may carry headers behind `\r\n`, as
    /// older files have them.
    pub(super) fn option(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        self.enabled = true;
        let words: Vec<Arg<'_>> = std::iter::from_fn(|| args.take()).collect();
        match words.as_slice() {
            [] => {}
            [uri] => self.uri = Some(uri.text.to_owned()),
            [method, uri, rest @ ..] => {
                self.method = Some(method.text.to_owned());
                self.uri = Some(uri.text.to_owned());
                if let Some(version) = rest.first() {
                    self.version_and_headers(version)?;
                }
                // `HTTP/1.1\r\nHost:` and the name behind an unescaped space.
                if let (Some(more), Some((_, value))) = (rest.get(1), self.headers.last_mut()) {
                    if !value.is_empty() {
                        return Err(more.refuse(
                            "'option httpchk' takes no further argument",
                            "the end of the line",
                        ));
                    }
                    more.text.clone_into(value);
                }
            }
        }
        Ok(())
    }

    fn version_and_headers(&mut self, arg: &Arg<'_>) -> Parsed<()> {
        let mut parts = arg.text.split("\r\n");
        self.version = parts.next().map(str::to_owned);
        self.headers.clear();
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once(':')
                .ok_or_else(|| arg.refuse("not a header", "HTTP/1.1\\r\\nHost:\\ name"))?;
            self.headers
                .push((name.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(())
    }

    /// `http-check send ...` and `http-check expect status ...`.
    pub(super) fn rule(&mut self, args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<()> {
        self.rule_at.get_or_insert_with(|| args.line().span(0));
        let word = args.need("http-check", "send or expect")?;
        match word.text {
            "send" => self.send(args),
            "expect" => self.expectation(args),
            "comment" | "send-state" => {
                context.warn(
                    word.span,
                    format!("'http-check {}' is ignored", word.text),
                    "the check itself is the same",
                );
                Ok(())
            }
            "connect" if args.left() == 0 => Ok(()),
            "disable-on-404" => {
                context.warn(
                    word.span,
                    "'http-check disable-on-404' is ignored",
                    "a server that answers 404 is down, not drained",
                );
                Ok(())
            }
            _ => Err(word.refuse(
                "this kind of 'http-check' is not supported",
                "send or expect status",
            )),
        }
    }

    fn send(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        self.headers.clear();
        while let Some(word) = args.take() {
            let value = args.need(word.text, "its value")?.text.to_owned();
            match word.text {
                "meth" => self.method = Some(value),
                "uri" => self.uri = Some(value),
                "ver" => self.version = Some(value),
                "hdr" => {
                    let field = args.need("hdr", "a name and a value")?;
                    self.headers.push((value, field.text.to_owned()));
                }
                "comment" => {}
                _ => {
                    return Err(word.refuse(
                        "this word of 'http-check send' is not supported",
                        "meth, uri, ver or hdr",
                    ));
                }
            }
        }
        Ok(())
    }

    fn expectation(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        const EXPECTED: &str = "status followed by codes and ranges such as 200,300-310";
        while matches!(args.peek(), "comment" | "min-recv") {
            args.take();
            args.need("http-check expect", "its value")?;
        }
        let negated = args.skip("!");
        let word = args.need("http-check expect", EXPECTED)?;
        let codes = match word.text {
            "status" | "rstatus" => args.need("http-check expect", EXPECTED)?,
            _ => return Err(word.refuse("this kind of expectation is not supported", EXPECTED)),
        };
        let accepted: Vec<RangeInclusive<u16>> = if word.text == "status" {
            let ranges: Option<_> = codes.text.split(',').map(range).collect();
            ranges.ok_or_else(|| codes.refuse("not a list of status codes", EXPECTED))?
        } else {
            let pattern = Regex::new(codes.text)
                .map_err(|_| codes.refuse("not a regular expression", "such as ^2[0-9][0-9]$"))?;
            ranges_of(|code| pattern.is_match(&code.to_string()))
        };
        self.expect = match negated {
            true => ranges_of(|code| !accepted.iter().any(|range| range.contains(&code))),
            false => accepted,
        };
        if self.expect.is_empty() {
            return Err(codes.refuse("no status code is accepted", EXPECTED));
        }
        args.end("http-check expect")
    }

    /// The check of a finished backend.
    pub(super) fn finish(self) -> CheckKind {
        if !self.enabled {
            return CheckKind::Tcp;
        }
        CheckKind::Http {
            method: self.method.unwrap_or_else(|| "OPTIONS".to_owned()),
            uri: self.uri.unwrap_or_else(|| "/".to_owned()),
            version: self.version.unwrap_or_else(|| "HTTP/1.0".to_owned()),
            headers: self.headers,
            expect_status: self.expect,
        }
    }
}

/// The codes that `accepts` takes, as ranges.
fn ranges_of(accepts: impl Fn(u16) -> bool) -> Vec<RangeInclusive<u16>> {
    let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
    for code in (100..=999).filter(|code| accepts(*code)) {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 == code => *last = *last.start()..=code,
            _ => ranges.push(code..=code),
        }
    }
    ranges
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let code = |text: &str| text.parse().ok().filter(|code| (100..=999).contains(code));
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (code(low)?, code(high)?),
        None => (code(text)?, code(text)?),
    };
    (low <= high).then_some(low..=high)
}
