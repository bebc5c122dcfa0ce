//! Regular expressions as HAProxy's library (PCRE2, over bytes) reads them.
//!
//! The dialect here agrees with it on nearly all that is written; a few texts mean something else in it, or nothing:
//! those are rewritten before they are compiled. Look-around, back references, recursion, `\K`, atomic groups and possessive
//! repetitions have no counterpart, and are errors. See pcre2pattern(3).

use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// Blanks (`\h`) and line ends (`\v`), as members of a class.
const BLANKS: &str = r"\t \xA0";
const LINE_ENDS: &str = r"\n-\r\x85";
/// `$` and `\Z`: the end, or before a line feed that ends the text (which the match takes in here: nothing can look ahead).
/// With `(?m)` the former means every end of a line, as it does elsewhere.
const END_OF_LINE: &str = r"(?:$|\n\z)";
const END_OF_TEXT: &str = r"(?:\n?\z)";

/// Why patterns are refused that would mean something else to the `regex` crate.
const POSSESSIVE: &str = "possessive repetitions (as in 'a++') are not supported";
const NOTHING_TO_REPEAT: &str = "a repetition follows no repeatable item";
const NO_DIGITS: &str = r"\x{} must hold hexadecimal digits";
const TOO_LARGE: &str = r"\x{} is above FF, which no byte is";
const OCTAL_TOO_LARGE: &str = r"an octal number is above \377, which no byte is";
const RECURSION: &str = "recursion (as in '(?R)') is not supported";

/// Compiles `pattern`, over bytes, whatever their encoding.
///
/// # Errors
///
/// What is wrong with the pattern, or that it has what no automaton can do.
pub fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, regex::Error> {
    let rewriting = Rewriting::of(pattern);
    if let Some(reason) = rewriting.refused {
        return Err(regex::Error::Syntax(reason.to_owned()));
    }
    RegexBuilder::new(&rewriting.out)
        .case_insensitive(ignore_case)
        .unicode(false)
        .build()
}

/// `pattern`, one that [`regex`] takes, in the dialect of the `regex` crate.
pub(crate) fn rewritten(pattern: &str) -> String {
    Rewriting::of(pattern).out
}

struct Rewriting<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    /// What is wrong with the pattern, though the `regex` crate may read what is written.
    refused: Option<&'static str>,
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

impl<'p> Rewriting<'p> {
    fn of(pattern: &'p str) -> Self {
        let mut rewriting = Self {
            rest: pattern.chars().peekable(),
            out: String::with_capacity(pattern.len()),
            refused: None,
        };
        rewriting.whole();
        rewriting
    }

    /// The first reason is the one that is told.
    fn refuse(&mut self, reason: &'static str) {
        self.refused.get_or_insert(reason);
    }

    fn whole(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                '[' => self.class(),
                '(' => {
                    self.out.push('(');
                    // This question mark repeats nothing.
                    if self.rest.next_if_eq(&'?').is_some() {
                        self.out.push('?');
                        if self.rest.peek() == Some(&'R') {
                            self.refuse(RECURSION);
                        }
                    }
                }
                '*' | '+' | '?' => {
                    self.out.push(c);
                    self.repeated();
                }
                '{' if is_repetition(self.rest.clone()) => {
                    self.out.push('{');
                    for c in self.rest.by_ref() {
                        self.out.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                    self.repeated();
                }
                '$' => self.out.push_str(END_OF_LINE),
                // A brace that begins no number of repetitions is one.
                '{' => self.out.push_str(r"\{"),
                c if c.is_ascii() => self.out.push(c),
                // A repetition is of its last byte.
                c => self.literal(c),
            }
        }
    }

    /// What follows a repetition: no other may, which the `regex` crate would nest.
    fn repeated(&mut self) {
        self.skip_ends();
        let is_lazy = self.rest.next_if_eq(&'?').is_some();
        if is_lazy {
            self.out.push('?');
            self.skip_ends();
        }
        let mut rest = self.rest.clone();
        match rest.next() {
            Some('+') if !is_lazy => self.refuse(POSSESSIVE),
            Some('*' | '+' | '?') => self.refuse(NOTHING_TO_REPEAT),
            Some('{') if is_repetition(rest) => self.refuse(NOTHING_TO_REPEAT),
            _ => {}
        }
    }

    /// `\E` that ends nothing, which means nothing.
    fn skip_ends(&mut self) {
        let mut ahead = self.rest.clone();
        while ahead.next() == Some('\\') && ahead.next() == Some('E') {
            self.rest = ahead.clone();
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
            'Z' => self.out.push_str(END_OF_TEXT),
            // Ends of words elsewhere.
            '<' | '>' => self.out.push(c),
            'e' | 'c' => self.control(c),
            'x' => self.hexadecimal(),
            '0' => self.octal(0),
            c if c.is_ascii() => self.out.extend(['\\', c]),
            c => self.literal(c),
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
            // No back reference stands in a class.
            '0'..='7' => self.octal(c.to_digit(8).unwrap_or_default()),
            c if c.is_ascii_alphanumeric() => self.out.extend(['\\', c]),
            c => self.literal(c),
        }
        one(open)
    }

    /// The digits behind `\x`: at most two, or any number in braces. They name a byte, not a character.
    fn hexadecimal(&mut self) {
        let mut digits = String::new();
        if self.rest.next_if_eq(&'{').is_some() {
            while let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit) {
                digits.push(digit);
            }
            if digits.is_empty() || self.rest.next_if_eq(&'}').is_none() {
                self.refuse(NO_DIGITS);
            }
        } else {
            for _ in 0..2 {
                digits.extend(self.rest.next_if(char::is_ascii_hexdigit));
            }
        }
        // Without any digit it is zero.
        match u8::from_str_radix(&format!("0{digits}"), 16) {
            Ok(byte) => self.byte(byte),
            Err(_) => self.refuse(TOO_LARGE),
        }
    }

    /// The octal digits behind the `first`: at most two.
    fn octal(&mut self, first: u32) {
        let mut number = first;
        for _ in 0..2 {
            if let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) {
                self.rest.next();
                number = number * 8 + digit;
            }
        }
        match u8::try_from(number) {
            Ok(byte) => self.byte(byte),
            Err(_) => self.refuse(OCTAL_TOO_LARGE),
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
    let rest: String = rest.collect();
    let Some((text, _)) = rest.split_once('}') else {
        return false;
    };
    let (least, most) = text.split_once(',').unwrap_or((text, ""));
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
        (r"^é\é.$", "ééa", "é"),
        (r"^éé?.$", "éé", "éa\u{c3}"),
        (r"^\N$", "a", "\n"),
        (r"^a\/b\.c\-d\_e\%$", "a/b.c-d_e%", "axb.c-d_e%"),
        (r"b\Z", "ab", "ba"),
        (r"^ok$", "ok\n", "ok\n\n"),
        (r"^ok$", "ok", "ok\nno"),
        (r"^(?:ok|fine)$", "fine\n", "fine\r\n"),
        (r"^ok\Z", "ok\n", "ok\n\n"),
        (r"^ok\z", "ok", "ok\n"),
        (r"^ok\n$", "ok\n", "ok"),
        (r"(?m)^ok$", "no\nok\nno", "no\nokay"),
        (r"(?m)^ok\Z", "no\nok\n", "ok\nno"),
        (r"^[$]\$\Q$\E$", "$$$\n", "$"),
        (r"^\0$", "\0", "0"),
        (r"^\0101$", "\u{8}1", "A"),
        (r"^[\0-\37]+$", "\u{1f}\0", " "),
        (r"^[\101\60]+$", "A0", "1"),
        (r"^\x{4A}$", "J", "K"),
        (r"^\x{4A}{2}$", "JJ", "J"),
        (r"^\x{000000000000000041}$", "A", "B"),
        (r"^\x4142$", "A42", "AB"),
        (r"^\x4$", "\u{4}", "4"),
        (r"^\xg$", "\0g", "xg"),
        (r"^\xC3\x{a9}$", "é", "\u{c3}\u{a9}"),
        (r"^[\x{c3}\xA9]{2}$", "é", "\u{c3}"),
        (r"^[\x4-\x6]$", "\u{5}", "4"),
        (r"^a{2$", "a{2", "aa"),
        (r"^a{2,$", "a{2,", "aa"),
        (r"^a{2}}$", "aa}", "aa"),
        (r"^a{{2}$", "a{{", "a{"),
        (r"^a{2}?b+?c*?d??$", "aab", "ab"),
        (r"^\++$", "++", "a"),
        (r"^[+]+$", "++", "a"),
        (r"^(?:a+)+$", "aa", "b"),
        (r"^(?i)A$", "a", "b"),
        (r"^\Q+\E+$", "++", "a"),
        (r"^a+\E?a$", "aa", "a"),
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
    fn hexadecimal_digits_name_a_byte() {
        for pattern in [r"^\x{e9}$", r"^\xE9$", r"^[\x{e9}]$", r"^[\x{e8}-\xEA]$"] {
            let regex = regex(pattern, false).unwrap();
            assert!(regex.is_match(b"\xE9"), "{pattern}");
            assert!(!regex.is_match("\u{e9}".as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn what_would_mean_something_else_is_refused_with_its_reason() {
        for (pattern, reason) in [
            ("a++", POSSESSIVE),
            ("a*+", POSSESSIVE),
            ("a?+", POSSESSIVE),
            ("a{1,2}+", POSSESSIVE),
            ("(a+)++b", POSSESSIVE),
            (r"a+\E+", POSSESSIVE),
            ("a**", NOTHING_TO_REPEAT),
            ("a+?+", NOTHING_TO_REPEAT),
            ("a{2}{3}", NOTHING_TO_REPEAT),
            (r"\x{1FF}", TOO_LARGE),
            (r"[\x{100}]", TOO_LARGE),
            (r"\x{}", NO_DIGITS),
            (r"\x{4g}", NO_DIGITS),
            (r"[\x{41]", NO_DIGITS),
            (r"[\400]", OCTAL_TOO_LARGE),
            (r"\((?:[^()]|(?R))*\)", RECURSION),
        ] {
            let error = regex(pattern, false).unwrap_err().to_string();
            assert_eq!(error, reason, "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        for pattern in [
            "(?!a)",
            "(?<=a)b",
            "(?>a)",
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
