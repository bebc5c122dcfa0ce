//! What a conversation ends with, in HAProxy's words.

use super::{Act, Connect, Expect, Report, Slot, Step};
use crate::health::CheckStatus;

/// The end of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub status: CheckStatus,
    /// The server's code.
    pub code: Option<u16>,
    /// What is said of it.
    pub detail: String,
}

impl Verdict {
    pub(super) fn new(status: CheckStatus, code: Option<u16>, detail: impl Into<String>) -> Self {
        use CheckStatus::{L7Ok, L7OkConditional, L7Status};
        let has_code = matches!(status, L7Ok | L7OkConditional | L7Status);
        Self {
            status,
            code: has_code.then_some(code.unwrap_or(0)),
            detail: detail.into(),
        }
    }

    /// The check ends well with `expect`.
    pub(super) fn met(expect: &Expect, answer: &[u8], usual: &str) -> Self {
        let (code, said) = expect.on_success.of(answer);
        let code = expect.code.or(code);
        Self::new(expect.ok, code, said.unwrap_or_else(|| usual.to_owned()))
    }

    /// The answer was wrong.
    pub(super) fn wrong(step: &Step, expect: &Expect, answer: &[u8]) -> Self {
        let (code, said) = expect.on_error.of(answer);
        let said = said.unwrap_or_else(|| {
            let how = match expect.negated {
                true => "matched unwanted content",
                false => "did not match content",
            };
            let number = step.number;
            let what = match live_pattern(step) {
                Some(kind) => format!("({kind})"),
                None => expect.pattern.in_mismatch(),
            };
            format!("TCPCHK {how} {what} at step {number}")
        });
        Self::new(expect.error, expect.code.or(code), said + &remark(step))
    }

    /// A message of HTTP was wrong; `usual` says how.
    pub(super) fn wrong_message(step: &Step, expect: &Expect, code: u16, usual: &str) -> Self {
        let said = match &expect.on_error {
            Report::Text(text) => text,
            _ => usual,
        };
        let code = expect.code.unwrap_or(code);
        Self::new(expect.error, Some(code), format!("{said}{}", remark(step)))
    }

    /// What came is no HTTP.
    pub(super) fn no_message(step: &Step, expect: &Expect) -> Self {
        let said = match &expect.on_error {
            Report::Text(text) => text,
            _ => "",
        };
        Self::new(
            CheckStatus::L7Response,
            None,
            format!("{said}{}", remark(step)),
        )
    }

    /// The server is up and wants no new streams.
    pub(super) fn conditional(code: u16) -> Self {
        Self::new(CheckStatus::L7OkConditional, Some(code), "")
    }

    /// The check ends well with a message of HTTP.
    pub(super) fn met_message(expect: &Expect, code: Option<u16>) -> Self {
        let said = match &expect.on_success {
            Report::Text(text) => text,
            _ => "",
        };
        Self::new(expect.ok, expect.code.or(code), said)
    }

    /// The server ended without a word.
    pub(super) fn silent(step: &Step, expect: &Expect) -> Self {
        let number = step.number;
        let said = format!(
            "TCPCHK got an empty response at step {number}{}",
            quoted(step)
        );
        Self::new(expect.error, None, said)
    }
}

/// What HAProxy calls a pattern with variables.
fn live_pattern(step: &Step) -> Option<&'static str> {
    if step.fills(Slot::Sought) {
        return Some("log-format string");
    }
    step.fills(Slot::SoughtHex).then_some("log-format binary")
}

fn remark(step: &Step) -> String {
    let comment = step.comment.as_deref();
    comment.map_or_else(String::new, |text| format!(" comment: {text}"))
}

fn quoted(step: &Step) -> String {
    let comment = step.comment.as_deref();
    comment.map_or_else(String::new, |text| format!(" comment: '{text}'"))
}

/// ` at step 2 of tcp-check (expect string '+OK')`.
pub(super) fn place(step: Option<&Step>) -> String {
    let Some(step) = step else {
        return " at initial connection step of tcp-check".to_owned();
    };
    let what = match &step.act {
        Act::Connect(Connect { port: Some(p), .. }) if !step.fills(Slot::Port) => {
            format!("connect port {p}")
        }
        Act::Connect(_) => "connect".to_owned(),
        Act::Send(_) | Act::Request(_) => "send".to_owned(),
        Act::Set(..) | Act::Unset(_) => "set-var".to_owned(),
        Act::Expect(expect) => {
            let usual = || expect.pattern.in_step();
            format!(
                "expect {}",
                live_pattern(step).map_or_else(usual, str::to_owned)
            )
        }
    };
    let number = step.number;
    format!(" at step {number} of tcp-check ({what}){}", quoted(step))
}

impl Report {
    fn of(&self, answer: &[u8]) -> (Option<u16>, Option<String>) {
        let line = |from: usize| {
            let bytes = answer.get(from..).unwrap_or_default();
            let end = memchr::memchr3(b'\r', b'\n', 0, bytes).unwrap_or(bytes.len());
            String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
        };
        match self {
            Self::Usual => (None, None),
            Self::Text(text) => (None, Some(text.clone())),
            Self::Line(from) => (None, Some(line(*from))),
            Self::MysqlVersion => {
                let version = answer
                    .get(5..)
                    .and_then(|rest| rest.split(|b| *b == 0).next());
                let version = String::from_utf8_lossy(version.unwrap_or_default());
                (None, Some(version.into_owned()))
            }
            Self::Reply => {
                let code = answer.get(..3).and_then(|c| std::str::from_utf8(c).ok());
                let text = line(4).trim_start_matches(' ').to_owned();
                (code.and_then(|c| c.parse().ok()), Some(text))
            }
        }
    }
}
