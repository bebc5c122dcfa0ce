//! `capture`, `declare capture`, `unique-id-format`: what is kept of a request for the log.

use super::{Parsed, ProxySide, RulesBuilder};
use crate::{
    log::LogFormat,
    rules::{
        RuleError, RuleWarning,
        mark::{CookieCapture, HeaderCapture},
        words::Words,
    },
};

impl RulesBuilder<'_> {
    /// `capture request header NAME len N`, `capture response header ...`, `capture cookie NAME len N`.
    pub fn capture(&mut self, words: &[&str]) -> Parsed {
        let mut cursor = Words::new(words);
        let of_response = match cursor.required("'request', 'response' or 'cookie'")? {
            "request" => false,
            "response" => true,
            "cookie" => {
                let beginning = cursor.required("the name of a cookie")?;
                let beginning = beginning.as_bytes().into();
                let length = length(&mut cursor)?;
                let mut warnings = Vec::new();
                if self
                    .rules
                    .cookie
                    .replace(CookieCapture { beginning, length })
                    .is_some()
                {
                    warnings.push(RuleWarning {
                        word: 0,
                        message: "one cookie can be captured: this line replaces the one before"
                            .into(),
                    });
                }
                return Ok(warnings);
            }
            other => {
                return Err(RuleError::new(0, format!("unexpected '{other}'"))
                    .expecting("request, response or cookie"));
            }
        };
        if cursor.required("'header'")? != "header" {
            return Err(cursor
                .wrong("only headers are captured")
                .expecting("header NAME len N"));
        }
        let name = cursor.required("a header name")?.as_bytes().into();
        let length = length(&mut cursor)?;
        let slot = self.new_slot(of_response, length);
        let list = match of_response {
            true => &mut self.rules.response_headers,
            false => &mut self.rules.request_headers,
        };
        list.push(HeaderCapture { name, length, slot });
        Ok(Vec::new())
    }

    /// `declare capture request|response len N`: a slot for `http-request capture ... id`.
    pub fn declare(&mut self, words: &[&str]) -> Parsed {
        let mut cursor = Words::new(words);
        if cursor.required("'capture'")? != "capture" {
            return Err(cursor
                .wrong("only captures are declared")
                .expecting("capture request|response len N"));
        }
        let of_response = match cursor.required("'request' or 'response'")? {
            "request" => false,
            "response" => true,
            other => {
                return Err(cursor
                    .wrong(format!("unexpected '{other}'"))
                    .expecting("request or response"));
            }
        };
        if self.side == ProxySide::Backend {
            return Err(RuleError::new(0, "a backend has no slots of its own")
                .expecting("'declare capture' in a frontend"));
        }
        let length = length(&mut cursor)?;
        self.new_slot(of_response, length);
        Ok(Vec::new())
    }

    /// `unique-id-format FORMAT`.
    pub fn unique_id_format(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let mut cursor = Words::new(words);
        let text = cursor.required("a format")?;
        cursor.finish()?;
        self.rules.unique_id.format = Some(LogFormat::identifier(text, &self.definitions)?);
        Ok(Vec::new())
    }

    /// `unique-id-header NAME`.
    pub fn unique_id_header(&mut self, words: &[&str]) -> Parsed {
        let mut cursor = Words::new(words);
        let name = cursor.required("a header name")?.to_ascii_lowercase();
        cursor.finish()?;
        if !super::action::token(name.as_bytes()) {
            return Err(RuleError::new(0, format!("'{name}' is no header name"))
                .expecting("letters, digits and !#$%&'*+-.^_`|~"));
        }
        self.rules.unique_id.header = Some(name.into_bytes().into());
        Ok(Vec::new())
    }

    fn new_slot(&mut self, of_response: bool, length: usize) -> usize {
        let (slots, lengths) = match of_response {
            true => (&mut self.rules.slots.1, &mut self.lengths.1),
            false => (&mut self.rules.slots.0, &mut self.lengths.0),
        };
        let slot = *slots;
        *slots += 1;
        lengths.resize(slot, usize::MAX);
        lengths.push(length);
        slot
    }
}

/// `len N` and nothing more.
fn length(cursor: &mut Words<'_>) -> Result<usize, RuleError> {
    if cursor.required("'len'")? != "len" {
        return Err(cursor
            .wrong("the length of a capture must be given")
            .expecting("len N"));
    }
    let length = cursor.number("a length")?;
    cursor.finish()?;
    Ok(length)
}
