//! Conditions of `haproxy -cc` (configuration manual §2.4): predicates, `!`, `&&`, `||`, parentheses.

/// Features that `feature(NAME)` finds, as `haproxy -vv` lists them.
pub const FEATURES: &[&str] = &[
    "EPOLL",
    "GETADDRINFO",
    "LINUX_SPLICE",
    "NS",
    "OPENSSL",
    "PRCTL",
    "SYSTEMD",
    "THREAD",
];

/// Whether `text` holds; `variable` knows the environment. The error is the part that cannot be understood.
pub fn holds(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<bool, String> {
    let mut parser = Parser {
        rest: text.trim(),
        variable,
        depth: 0,
    };
    let value = parser.any()?;
    if parser.rest.is_empty() {
        Ok(value)
    } else {
        Err(parser.rest.to_owned())
    }
}

const DEEPEST: u32 = 64;

struct Parser<'t, 'v> {
    rest: &'t str,
    variable: &'v dyn Fn(&str) -> Option<String>,
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

    fn any(&mut self) -> Result<bool, String> {
        let mut value = self.all()?;
        while self.skip("||") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut value = self.term()?;
        while self.skip("&&") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, String> {
        let here = self.rest;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(here.to_owned());
        }
        let value = if self.skip("!") {
            !self.term()?
        } else if self.skip("(") {
            let value = self.any()?;
            if !self.skip(")") {
                return Err(here.to_owned());
            }
            value
        } else {
            self.predicate().ok_or_else(|| here.to_owned())?
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
        let (arguments, rest) = arguments(inside)?;
        self.rest = rest.trim_start();
        let strings: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match (word, strings.as_slice()) {
            ("defined", [name]) => Some((self.variable)(name).is_some()),
            ("feature", [name]) => Some(FEATURES.contains(name)),
            ("streq", [a, b]) => Some(a == b),
            ("strneq", [a, b]) => Some(a != b),
            ("version_atleast", [version]) => Some(at_least(version)?),
            ("version_before", [version]) => Some(!at_least(version)?),
            _ => None,
        }
    }
}

/// Arguments up to the closing parenthesis, quoted or not, and what follows.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut found = vec![String::new()];
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ')') => return Some((found, text.get(at + 1..)?)),
            (None, ',') => found.push(String::new()),
            (quote, '\\') if quote != Some('\'') => {
                found.last_mut()?.push(characters.next()?.1);
            }
            _ => found.last_mut()?.push(c),
        }
    }
    None
}

/// The version whose behaviour this program has.
const LIKE: [u32; 3] = [2, 6, 12];

/// Whether [`LIKE`] is at least `version`: `2.4`, `2.6.1`, `2.6-dev3` (which is before 2.6).
fn at_least(version: &str) -> Option<bool> {
    let numbers = version.split('-').next()?;
    let mut wanted = [0; 3];
    let mut places = wanted.iter_mut();
    for number in numbers.split('.') {
        if let Some(place) = places.next() {
            *place = number.parse().ok()?;
        }
    }
    Some(LIKE >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<bool, String> {
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
    fn what_is_no_condition_is_said() {
        for text in [
            "xx(1)",
            "1 1",
            "(1",
            "streq(a)",
            "streq(a,b",
            "&&",
            "version_atleast(x)",
        ] {
            assert!(asked(text).is_err(), "{text}");
        }
        assert!(asked(&"!".repeat(100_000)).is_err());
        assert!(asked(&"(".repeat(100_000)).is_err());
    }
}
