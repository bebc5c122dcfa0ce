//! Conditions of `.if`, `.elif` and `haproxy -cc` (configuration manual §2.4): predicates, `!`, `&&`, `||`, parentheses.

/// Features that `feature(NAME)` finds, as `haproxy -vv` lists them.
pub const FEATURES: &[&str] = &[
    "EPOLL",
    "GETADDRINFO",
    "LINUX_SPLICE",
    "NS",
    "OPENSSL",
    "PRCTL",
    "PROMEX",
    "SYSTEMD",
    "THREAD",
];

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What is wrong, in HAProxy's words.
    pub message: String,
    /// Where in the text, in bytes from 0.
    pub position: usize,
}

/// Whether the words of `.if` and `.elif` hold, in which variables stand for their values already; `variable` knows the
/// environment.
pub fn holds(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<bool, Fault> {
    evaluate(text, variable, false)
}

/// Whether the text of `haproxy -cc` holds: between double quotes `$NAME` and `${NAME}` stand for the environment.
pub fn holds_as_typed(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<bool, Fault> {
    evaluate(text, variable, true)
}

fn evaluate(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    expands: bool,
) -> Result<bool, Fault> {
    let mut parser = Parser {
        rest: text.trim(),
        variable,
        expands,
        depth: 0,
    };
    let end = text.trim_end().len();
    let unparsable = |part: &str| Fault {
        message: format!("unparsable conditional expression '{part}'"),
        position: end.saturating_sub(part.len()),
    };
    let value = parser.any().map_err(unparsable)?;
    match parser.rest.chars().next() {
        None => Ok(value),
        Some(next) => Err(Fault {
            message: format!(
                "unexpected character '{next}' at the end of conditional expression '{}'",
                text.trim()
            ),
            position: end.saturating_sub(parser.rest.len()),
        }),
    }
}

const DEEPEST: u32 = 64;

struct Parser<'t, 'v> {
    rest: &'t str,
    variable: &'v dyn Fn(&str) -> Option<String>,
    expands: bool,
    depth: u32,
}

impl<'t> Parser<'t, '_> {
    fn skip(&mut self, word: &str) -> bool {
        let found = self.rest.strip_prefix(word);
        if let Some(rest) = found {
            self.rest = rest.trim_start();
        }
        found.is_some()
    }

    fn any(&mut self) -> Result<bool, &'t str> {
        let mut value = self.all()?;
        while self.skip("||") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, &'t str> {
        let mut value = self.term()?;
        while self.skip("&&") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, &'t str> {
        let here = self.rest;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(here);
        }
        let value = if self.skip("!") {
            !self.term()?
        } else if self.skip("(") {
            let value = self.any()?;
            if !self.skip(")") {
                return Err(here);
            }
            value
        } else {
            self.predicate().ok_or(here)?
        };
        self.depth -= 1;
        Ok(value)
    }

    /// A number, nothing at all (false), or `name(arguments)`.
    fn predicate(&mut self) -> Option<bool> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let (word, behind) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let Some(inside) = behind.strip_prefix('(') else {
            self.rest = behind.trim_start();
            return match word {
                "" => behind.is_empty().then_some(false),
                number => number.parse::<i64>().ok().map(|n| n != 0),
            };
        };
        let (arguments, rest) = self.arguments(inside)?;
        self.rest = rest.trim_start();
        let strings: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match (word, strings.as_slice()) {
            ("defined", [name]) => Some((self.variable)(name).is_some()),
            ("feature", [name]) => Some(FEATURES.contains(name)),
            ("streq", [a, b]) => Some(a == b),
            ("strneq", [a, b]) => Some(a != b),
            ("version_atleast", [version]) => Some(LIKE >= numbers(version)),
            ("version_before", [version]) => Some(LIKE < numbers(version)),
            ("openssl_version_atleast", [version]) => Some(TLS_LIKE >= numbers(version)),
            ("openssl_version_before", [version]) => Some(TLS_LIKE < numbers(version)),
            ("ssllib_name_startswith", [name]) => Some(TLS_LIBRARY.starts_with(name)),
            _ => None,
        }
    }

    /// Arguments up to the closing parenthesis, quoted or not, and what follows.
    fn arguments(&self, text: &'t str) -> Option<(Vec<String>, &'t str)> {
        let mut found = vec![String::new()];
        let mut quote = None;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..)?;
            match (quote, c) {
                (Some(open), _) if c == open => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, ')') => return Some((found, rest)),
                (None, ',') => found.push(String::new()),
                (Some('"'), '$') if self.expands => {
                    let (name, after) = environment(rest)?;
                    let value = (self.variable)(name).unwrap_or_default();
                    found.last_mut()?.push_str(&value);
                    rest = after;
                }
                (quote, '\\') if quote != Some('\'') => {
                    let protected = rest.chars().next()?;
                    rest = rest.get(protected.len_utf8()..)?;
                    found.last_mut()?.push(protected);
                }
                _ => found.last_mut()?.push(c),
            }
        }
        None
    }
}

/// The name that stands behind a `$`, and what follows it; `None` if a brace is not closed.
fn environment(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}'),
        None => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            Some(text.split_at(end.unwrap_or(text.len())))
        }
    }
}

/// The version whose behaviour this program has.
const LIKE: [u32; 3] = [2, 6, 12];

/// The TLS library of that program: files choose their settings by it.
const TLS_LIBRARY: &str = "OpenSSL 3.0.0";
const TLS_LIKE: [u32; 3] = [3, 0, 0];

/// The numbers of `2.4`, `2.6.1`, `2.6-dev3` (read as 2.6) or `1.1.1a`; what is no number counts as 0.
fn numbers(version: &str) -> [u32; 3] {
    let mut found = [0; 3];
    let parts = version.split('-').next().unwrap_or_default().split('.');
    for (place, part) in found.iter_mut().zip(parts) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        *place = digits.parse().unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<bool, Fault> {
        holds(text, &|name| (name == "HOME").then(|| "/root".to_owned()))
    }

    #[test]
    fn predicates_and_operators_are_evaluated() {
        for (text, expected) in [
            ("", false),
            ("0", false),
            ("1", true),
            ("!0", true),
            ("version_atleast(2.4)", true),
            ("version_atleast(2.6.12)", true),
            ("version_atleast(2.6-dev3)", true),
            ("version_atleast(x)", true),
            ("openssl_version_atleast(1.1.1k)", true),
            ("openssl_version_before(3.1)", true),
            ("ssllib_name_startswith(OpenSSL)", true),
            ("ssllib_name_startswith(wolf)", false),
            ("version_atleast(2.9)", false),
            ("version_before(2.9-dev1)", true),
            ("defined(HOME)", true),
            ("defined(NOPE) || feature(OPENSSL)", true),
            ("defined(NOPE)||feature(LUA)", false),
            ("1 && !(0 || 0)", true),
            ("0 && 1 || 1", true),
            ("streq(a,'a')", true),
            ("streq(\"a)\",\"a)\")", true),
            ("strneq(a,b)", true),
        ] {
            assert_eq!(asked(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_typed_may_name_the_environment_between_double_quotes() {
        let variable = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        for (text, expected) in [
            ("streq(\"$HOME\",/root)", true),
            ("streq(\"x${HOME}y$NOPE\",x/rooty)", true),
            ("streq('$HOME',/root)", false),
            ("streq($HOME,/root)", false),
        ] {
            assert_eq!(holds_as_typed(text, &variable), Ok(expected), "{text}");
        }
        assert!(holds_as_typed("streq(\"${HOME\",a)", &variable).is_err());
        assert_eq!(asked("streq(\"$HOME\",/root)"), Ok(false), "in a file");
    }

    #[test]
    fn what_is_no_condition_is_said() {
        for text in ["xx(1)", "1 1", "(1", "streq(a)", "streq(a,b", "&&"] {
            assert!(asked(text).is_err(), "{text}");
        }
        for (text, message, position) in [
            ("foo(1)", "unparsable conditional expression 'foo(1)'", 0),
            ("1 || bad", "unparsable conditional expression 'bad'", 5),
            (
                "1 1",
                "unexpected character '1' at the end of conditional expression '1 1'",
                2,
            ),
        ] {
            let message = message.to_owned();
            assert_eq!(asked(text), Err(Fault { message, position }), "{text}");
        }
        assert!(asked(&"!".repeat(100_000)).is_err());
        assert!(asked(&"(".repeat(100_000)).is_err());
    }
}
