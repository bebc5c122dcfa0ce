//! Regular expressions as HAProxy's library (PCRE2, over bytes) reads them.
//!
//! The dialect here agrees with it on nearly all that is written; a few texts mean something else in it, or nothing:
//! those are rewritten before they are compiled. Look-around, back references, `\K` and atomic groups have no
//! counterpart, and stay errors. See pcre2pattern(3).

use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// Blanks (`\h`) and line ends (`\v`), as members of a class.
const BLANKS: &str = r"\t \xA0";
const LINE_ENDS: &str = r"\n-\r\x85";

/// Compiles `pattern`, over bytes, whatever their encoding.
///
/// # Errors
///
/// What is wrong with the pattern, or that it has what no automaton can do.
pub fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&rewritten(pattern))
        .case_insensitive(ignore_case)
        .unicode(false)
        .build()
}

/// `pattern` in the dialect of the `regex` crate.
pub(crate) fn rewritten(pattern: &str) -> String {
    let mut rewriting = Rewriting {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len()),
    };
    rewriting.whole();
    rewriting.out
}

struct Rewriting<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
}

/// What stands before a hyphen in a class.
#[derive(PartialEq)]
enum Before {
    /// A character, from which a range may go.
    One,
    /// A character and a hyphen.
    Open,
    /// Nothing, a range or a set.
    Closed,
}

impl Rewriting<'_> {
    fn whole(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                '[' => self.class(),
                // A brace that begins no number of repetitions is one.
                '{' if !is_repetition(self.rest.clone()) => self.out.push_str(r"\{"),
                c => self.out.push(c),
            }
        }
    }

    /// What follows a backslash outside of a class.
    fn escape(&mut self) {
        let Some(c) = self.rest.next() else {
            self.out.push('\\');
            return;
        };
        match c {
            'Q' => self.quoted(),
            'E' => {}
            'h' => self.out.push_str(&format!("[{BLANKS}]")),
            'H' => self.out.push_str(&format!("[^{BLANKS}]")),
            'v' => self.out.push_str(&format!("[{LINE_ENDS}]")),
            'V' => self.out.push_str(&format!("[^{LINE_ENDS}]")),
            'R' => self.out.push_str(&format!(r"(?:\r\n|[{LINE_ENDS}])")),
            'N' => self.out.push_str(r"[^\n]"),
            'Z' => self.out.push_str(r"\z"),
            // Ends of words elsewhere.
            '<' | '>' => self.out.push(c),
            'e' | 'c' => self.control(c),
            c => self.out.extend(['\\', c]),
        }
    }

    /// What stands between `\Q` and `\E`.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// `\e` and `\cX`.
    fn control(&mut self, c: char) {
        let byte = match c {
            'e' => Some(0x1B),
            _ => self
                .rest
                .next()
                .and_then(|c| u8::try_from(c.to_ascii_uppercase()).ok())
                .map(|c| c ^ 0x40),
        };
        match byte {
            Some(byte) => self.byte(byte),
            None => self.out.push_str(r"\c"),
        }
    }

    fn byte(&mut self, byte: u8) {
        self.out.push_str(&format!(r"\x{byte:02X}"));
    }

    /// A character that means itself; of one that is no ASCII each byte does.
    fn literal(&mut self, c: char) {
        match c {
            c if !c.is_ascii() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    self.byte(byte);
                }
            }
            c if c.is_ascii_punctuation() && c != '<' && c != '>' => self.out.extend(['\\', c]),
            c => self.out.push(c),
        }
    }

    /// A class behind its opening bracket: in it no other bracket, `&&`, `--` nor `~~` has a meaning.
    fn class(&mut self) {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut before = Before::Closed;
        let mut first = true;
        while let Some(c) = self.rest.next() {
            before = match c {
                ']' if !first => {
                    self.out.push(']');
                    return;
                }
                '-' if before == Before::One && self.one_follows() => {
                    self.out.push('-');
                    Before::Open
                }
                '[' if self.named_set() => Before::Closed,
                '\\' => self.class_escape(before == Before::Open),
                c => {
                    self.literal(c);
                    one(before == Before::Open)
                }
            };
            first = false;
        }
    }

    /// What follows a backslash in a class.
    fn class_escape(&mut self, open: bool) -> Before {
        let Some(c) = self.rest.next() else {
            self.out.push('\\');
            return Before::Closed;
        };
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                self.out.extend(['\\', c]);
                return Before::Closed;
            }
            'h' | 'H' | 'v' | 'V' => {
                let set = if c.eq_ignore_ascii_case(&'h') {
                    BLANKS
                } else {
                    LINE_ENDS
                };
                let not = if c.is_ascii_uppercase() { "^" } else { "" };
                self.out.push_str(&format!("[{not}{set}]"));
                return Before::Closed;
            }
            'b' => self.byte(0x08),
            'e' | 'c' => self.control(c),
            'x' => self.hexadecimal(),
            c if c.is_ascii_alphanumeric() => self.out.extend(['\\', c]),
            c => self.literal(c),
        }
        one(open)
    }

    /// The digits behind `\x`.
    fn hexadecimal(&mut self) {
        self.out.push_str(r"\x");
        if self.rest.next_if_eq(&'{').is_none() {
            for _ in 0..2 {
                self.out.extend(self.rest.next_if(char::is_ascii_hexdigit));
            }
            return;
        }
        self.out.push('{');
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == '}' {
                return;
            }
        }
    }

    /// `[:alpha:]` and its kin, behind the first bracket.
    fn named_set(&mut self) -> bool {
        let text: String = self.rest.clone().take_while(|c| *c != ']').collect();
        let is_set = text.len() > 2 && text.starts_with(':') && text.ends_with(':');
        if is_set {
            self.out.push('[');
            self.out.push_str(&text);
            self.out.push(']');
            self.rest.nth(text.chars().count());
        }
        is_set
    }

    /// Whether a single character follows, to which a range may go.
    fn one_follows(&self) -> bool {
        let mut rest = self.rest.clone();
        match rest.next() {
            None | Some(']') => false,
            Some('[') => rest.next() != Some(':'),
            Some('\\') => !matches!(
                rest.next(),
                Some('d' | 'D' | 'w' | 'W' | 's' | 'S' | 'h' | 'H' | 'v' | 'V')
            ),
            Some(_) => true,
        }
    }
}

/// What a character leaves behind, which ends a range that is open.
fn one(open: bool) -> Before {
    if open { Before::Closed } else { Before::One }
}

/// `3}`, `3,}` or `3,5}`, behind the brace.
fn is_repetition(rest: impl Iterator<Item = char>) -> bool {
    let text: String = rest.take_while(|c| *c != '}').collect();
    let (least, most) = text.split_once(',').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pattern with a text that it matches and one that it does not, as `pcre2grep` has it.
    const ROWS: &[(&str, &str, &str)] = &[
        (r"\<script", "<script>", "script"),
        (r"script\>", "<script>", "script"),
        (r"^[\w-]+$", "a-b", "a.b"),
        (r"^[a-z-9]+$", "a-9", "8"),
        (r"^[--/]+$", "-./", ","),
        (r"^[[]$", "[", "]"),
        (r"^[^]]$", "[", "]"),
        (r"^[]a]+$", "]a", "["),
        (r"^[a&&b]+$", "a&b", "c"),
        (r"^[a~~b]+$", "~", "c"),
        (r"^[[:alpha:]-]+$", "a-b", "1"),
        (r"^[[:^digit:]]$", "a", "1"),
        (r"^a{$", "a{", "a"),
        (r"^a{b}$", "a{b}", "ab"),
        (r"^a{,2}$", "a{,2}", "aa"),
        (r"^a{2}$", "aa", "a"),
        (r"^a{1,2}$", "aa", "aaa"),
        (r"^a{2,}$", "aaa", "a"),
        (r"^\Qa.b\E.$", "a.bc", "axbc"),
        (r"^\h+$", " \t", "\n"),
        (r"^[\h]+$", " \t", "a"),
        (r"^a\Rb$", "a\r\nb", "ab"),
        (r"^\e[\e]$", "\u{1b}\u{1b}", "e"),
        (r"^\cA$", "\u{1}", "A"),
        (r"^[\x41-\x43]$", "B", "D"),
        (r"^[\x{41}-\x{43}]$", "B", "{"),
        (r"^[\b]$", "\u{8}", "b"),
        (r"^[é]+$", "é", "e"),
        (r"^\N$", "a", "\n"),
        (r"^a\/b\.c\-d\_e\%$", "a/b.c-d_e%", "axb.c-d_e%"),
        (r"b\Z", "ab", "ba"),
    ];

    #[test]
    fn patterns_mean_what_they_mean_to_haproxy() {
        for (pattern, like, unlike) in ROWS {
            let regex = regex(pattern, false).unwrap();
            assert!(regex.is_match(like.as_bytes()), "{pattern} {like}");
            assert!(!regex.is_match(unlike.as_bytes()), "{pattern} {unlike}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        for pattern in [
            "(?!a)",
            "(?<=a)b",
            r"(a)\1",
            "a(",
            "[a",
            "[",
            "[[:alpha:]",
            r"\",
            "*a",
            "[z-a]",
            r"[\",
            "[a-",
        ] {
            assert!(regex(pattern, false).is_err(), "{pattern}");
        }
    }
}
