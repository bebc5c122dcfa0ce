//! What may stand behind the page's address: HAProxy's `;csv`, `;up`, `;scope=` and so on, and how they are handed on.

use std::fmt::Write as _;

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A page.
    #[default]
    Html,
    /// `;csv`.
    Csv,
    /// `;json`.
    Json,
    /// `;typed`.
    Typed,
    /// `;json-schema`.
    Schema,
}

/// Everything that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The form.
    pub form: Form,
    /// `;up`.
    pub hide_down: bool,
    /// `;no-maint`.
    pub hide_maintenance: bool,
    /// `;norefresh`.
    pub no_refresh: bool,
    /// `scope=`: what the names of proxies contain.
    pub scope: Option<String>,
    /// `;st=`: what came of an action.
    pub notice: Option<Notice>,
    /// `;confirm`: the form that was sent is to be shown, not carried out.
    pub confirm: bool,
}

impl Options {
    /// What follows the page's own address. As in HAProxy a word counts wherever it stands.
    pub fn parse(rest: &str) -> Self {
        let form = [
            (";json-schema", Form::Schema),
            (";typed", Form::Typed),
            (";json", Form::Json),
            (";csv", Form::Csv),
        ];
        let form = form.into_iter().find(|(word, _)| rest.contains(word));
        let scope = rest.split_once("scope=").map(|(_, value)| {
            let end = value.find(['&', ';', '?']).unwrap_or(value.len());
            decode(value.get(..end).unwrap_or_default())
        });
        let notice = rest.split_once(";st=").map(|(_, value)| value);
        Self {
            form: form.map_or(Form::Html, |(_, form)| form),
            hide_down: rest.contains(";up"),
            hide_maintenance: rest.contains(";no-maint"),
            no_refresh: rest.contains(";norefresh"),
            scope: scope
                .map(|scope| scope.chars().take(64).collect())
                .filter(|scope: &String| !scope.is_empty()),
            notice: notice.and_then(Notice::parse),
            confirm: rest.contains(";confirm"),
        }
    }

    /// What is shown, as it stands behind an address.
    pub fn suffix(&self) -> String {
        let mut suffix = String::new();
        for (word, on) in [
            (";up", self.hide_down),
            (";no-maint", self.hide_maintenance),
            (";norefresh", self.no_refresh),
        ] {
            suffix.push_str(if on { word } else { "" });
        }
        if let Some(scope) = &self.scope {
            suffix.push_str("?scope=");
            for byte in scope.bytes() {
                let _ = match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        write!(suffix, "{}", char::from(byte))
                    }
                    _ => write!(suffix, "%{byte:02X}"),
                };
            }
        }
        suffix
    }
}

/// What came of an action, as HAProxy tells it behind `;st=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Carried out.
    Done,
    /// Nothing to carry out.
    None,
    /// Some of it.
    Part,
    /// Not understood.
    Error,
    /// Too long.
    TooLong,
    /// Not allowed.
    Denied,
}

impl Notice {
    /// All, with HAProxy's code.
    const CODES: [(Self, &'static str); 6] = [
        (Self::Done, "DONE"),
        (Self::None, "NONE"),
        (Self::Part, "PART"),
        (Self::Error, "ERRP"),
        (Self::TooLong, "EXCD"),
        (Self::Denied, "DENY"),
    ];

    fn parse(text: &str) -> Option<Self> {
        let mut codes = Self::CODES.into_iter();
        codes
            .find(|(_, code)| text.starts_with(code))
            .map(|(notice, _)| notice)
    }

    /// HAProxy's code.
    pub fn code(self) -> &'static str {
        let mut codes = Self::CODES.into_iter();
        codes
            .find(|(notice, _)| *notice == self)
            .map_or("", |(_, code)| code)
    }

    /// How good that is, and a sentence.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("good", "Done."),
            Self::None => ("", "Nothing was changed."),
            Self::Part => (
                "",
                "Only a part of it was done: some servers are not known.",
            ),
            Self::Error => (
                "bad",
                "Nothing was changed: the action, the backend or the servers are not known.",
            ),
            Self::TooLong => ("bad", "Nothing was changed: too many servers at once."),
            Self::Denied => (
                "bad",
                "Nothing was changed: changes are not allowed from here (<code>stats admin</code>).",
            ),
        }
    }
}

/// `application/x-www-form-urlencoded`.
pub(super) fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let code = digit(high)
                    .zip(digit(low))
                    .map(|(high, low)| high * 16 + low);
                match code.and_then(|code| u8::try_from(code).ok()) {
                    Some(code) => {
                        decoded.push(code);
                        rest = after;
                    }
                    None => decoded.push(b'%'),
                }
            }
            (byte, _) => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_wherever_they_stand() {
        let options = Options::parse(";st=DONE;up;norefresh?scope=a%3Cb&x");
        assert_eq!(options.notice, Some(Notice::Done));
        assert!(options.hide_down && options.no_refresh && !options.hide_maintenance);
        assert_eq!(options.scope.as_deref(), Some("a<b"));
        assert_eq!(options.suffix(), ";up;norefresh?scope=a%3Cb");
        assert_eq!(Options::parse(&options.suffix()).scope, options.scope);
        for (rest, form) in [
            ("", Form::Html),
            (";csv;json", Form::Json),
            (";json;csv", Form::Json),
            (";json-schema", Form::Schema),
            (";typed", Form::Typed),
            ("?x;csv;norefresh", Form::Csv),
            ("csv", Form::Html),
        ] {
            assert_eq!(Options::parse(rest).form, form, "{rest}");
        }
    }

    #[test]
    fn form_fields_are_decoded() {
        assert_eq!(decode("a+b%2Fc%23%zz%4"), "a b/c#%zz%4");
    }
}
