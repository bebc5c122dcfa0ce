//! From words to ACLs and conditions.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Condition, Term, Test, predefined};
use crate::{
    expr::{
        Definitions, Stage, Type,
        fetch::{self, Fetch},
        matcher::{Matcher, Method},
        parse::{calls, find_fetch, from_calls, nearest, unknown_fetch},
    },
    rules::{Loader, RuleError, RuleWarning},
};

/// What a line may refer to, and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Site<'s> {
    /// User lists.
    pub(crate) definitions: &'s Definitions,
    /// Reads pattern files.
    pub(crate) loader: Loader<'s>,
    /// Where the expressions will be evaluated.
    pub(crate) stage: Stage,
}

/// The named ACLs of one proxy.
#[derive(Debug, Default)]
pub(crate) struct AclSet {
    named: BTreeMap<Arc<str>, Vec<Test>>,
}

/// An ACL in a condition: its name, unless it is anonymous or predefined, and its lines.
type Named = (Option<Arc<str>>, Arc<[Test]>);

/// Endings of ACL keywords that choose a matching method for the fetch before them.
const ENDINGS: &[(&str, Method)] = &[
    ("_beg", Method::Beg),
    ("_dir", Method::Dir),
    ("_dom", Method::Dom),
    ("_end", Method::End),
    ("_len", Method::Len),
    ("_reg", Method::Reg),
    ("_sub", Method::Sub),
    ("_str", Method::Str),
];

impl AclSet {
    /// `NAME EXPRESSION [flags] [patterns]`. Lines of the same name are alternatives.
    pub(crate) fn declare(
        &mut self,
        words: &[&str],
        site: Site<'_>,
    ) -> Result<Vec<RuleWarning>, RuleError> {
        let Some((name, rest)) = words.split_first() else {
            return Err(RuleError::new(0, "missing ACL name").expecting("acl NAME EXPRESSION"));
        };
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if let Some(wrong) = name.chars().find(|c| !word(*c)) {
            return Err(RuleError::new(
                0,
                format!("character '{wrong}' is not permitted in ACL name '{name}'"),
            )
            .expecting("letters, digits, '-', '_', '.' and ':'"));
        }
        let mut warnings = Vec::new();
        if name.eq_ignore_ascii_case("or") || matches!(*name, "if" | "unless") {
            return Err(RuleError::new(
                0,
                format!("'{name}' cannot be the name of an ACL"),
            ));
        }
        let test = test(rest, site, &mut warnings).map_err(|e| e.shifted(1))?;
        warnings.iter_mut().for_each(|w| w.word += 1);
        self.named.entry(Arc::from(*name)).or_default().push(test);
        Ok(warnings)
    }

    /// The lines of an ACL.
    pub(super) fn tests(&self, name: &str) -> Option<Arc<[Test]>> {
        self.named.get(name).map(|tests| tests.as_slice().into())
    }

    /// A condition from its `if` or `unless` on. Word indices of errors and warnings count from that word.
    pub(crate) fn condition(
        &self,
        words: &[&str],
        site: Site<'_>,
        warnings: &mut Vec<RuleWarning>,
    ) -> Result<Condition, RuleError> {
        let (keyword, rest) = words
            .split_first()
            .ok_or_else(|| RuleError::new(0, "missing condition").expecting("'if' or 'unless'"))?;
        let negated = match *keyword {
            "if" => false,
            "unless" => true,
            other => {
                return Err(RuleError::new(0, format!("unexpected '{other}'"))
                    .expecting("'if', 'unless' or the end of the line"));
            }
        };
        let mut parser = Terms {
            set: self,
            site,
            words: rest,
            at: 0,
        };
        let mut alternatives = vec![Vec::new()];
        while let Some(word) = parser.next() {
            let at = parser.at;
            if word == "||" || word.eq_ignore_ascii_case("or") {
                if alternatives.last().is_some_and(Vec::is_empty) {
                    return Err(RuleError::new(
                        at,
                        format!("'{word}' without a condition before it"),
                    ));
                }
                alternatives.push(Vec::new());
                continue;
            }
            let start = warnings.len();
            let term = parser.term(word, warnings).map_err(|e| e.shifted(1))?;
            warnings.iter_mut().skip(start).for_each(|w| w.word += 1);
            if let Some(last) = alternatives.last_mut() {
                last.push(term);
            }
        }
        if alternatives.last().is_some_and(Vec::is_empty) {
            return Err(RuleError::new(
                words.len(),
                format!("missing condition after '{keyword}'"),
            )
            .expecting("ACL names or { expression }"));
        }
        Ok(Condition {
            negated,
            alternatives,
        })
    }
}

/// Reads the words after `if`.
struct Terms<'p> {
    set: &'p AclSet,
    site: Site<'p>,
    words: &'p [&'p str],
    at: usize,
}

impl<'p> Terms<'p> {
    fn next(&mut self) -> Option<&'p str> {
        let word = self.words.get(self.at).copied()?;
        self.at += 1;
        Some(word)
    }

    /// A name or `{ ... }`, after any number of `!`, joined or apart.
    fn term(&mut self, first: &'p str, warnings: &mut Vec<RuleWarning>) -> Result<Term, RuleError> {
        let mut negated = false;
        let mut word = first;
        loop {
            let bare = word.trim_start_matches('!');
            negated ^= (word.len() - bare.len()) % 2 == 1;
            word = bare;
            if !word.is_empty() {
                break;
            }
            word = self
                .next()
                .ok_or_else(|| RuleError::new(self.at, "missing ACL after '!'"))?;
        }
        let at = self.at - 1;
        let (name, tests) = if word == "{" {
            (None, self.anonymous(warnings)?)
        } else {
            self.named(word, at)?
        };
        self.check(word, at, &tests, warnings);
        Ok(Term {
            negated,
            name,
            tests,
        })
    }

    fn anonymous(&mut self, warnings: &mut Vec<RuleWarning>) -> Result<Arc<[Test]>, RuleError> {
        let start = self.at;
        let rest = self.words.get(start..).unwrap_or_default();
        let length = rest.iter().position(|w| *w == "}").ok_or_else(|| {
            RuleError::new(start - 1, "missing closing '}'").expecting("'}' as a word of its own")
        })?;
        self.at = start + length + 1;
        let first = warnings.len();
        let test = test(rest.get(..length).unwrap_or_default(), self.site, warnings)
            .map_err(|e| e.shifted(start))?;
        warnings
            .iter_mut()
            .skip(first)
            .for_each(|w| w.word += start);
        Ok(Arc::new([test]))
    }

    fn named(&self, word: &str, at: usize) -> Result<Named, RuleError> {
        if let Some(tests) = self.set.tests(word) {
            return Ok((Some(Arc::from(word)), tests));
        }
        if let Some(words) = predefined::words(word) {
            let test = test(words, self.site, &mut Vec::new())
                .map_err(|e| RuleError::new(at, e.message))?;
            return Ok((None, Arc::new([test])));
        }
        let known = self.set.named.keys().map(|n| &**n);
        let error = RuleError::new(at, format!("no such ACL: '{word}'"));
        Err(
            match nearest(
                word,
                known.chain(predefined::PREDEFINED.iter().map(|(n, _)| *n)),
            ) {
                Some(like) => error.expecting(format!(
                    "a declared or predefined ACL; did you mean '{like}'?"
                )),
                None => error.expecting("a declared or predefined ACL, or { expression }"),
            },
        )
    }

    /// Says so when no line of an ACL can match here.
    fn check(&self, word: &str, at: usize, tests: &[Test], warnings: &mut Vec<RuleWarning>) {
        let stage = self.site.stage;
        if let Some(test) = tests.first()
            && tests.iter().all(|t| !t.expr.needs().met_at(stage))
        {
            let shown = if word == "{" { "anonymous" } else { word };
            warnings.push(RuleWarning {
                word: at,
                message: format!(
                    "acl '{shown}' will never match here: '{}' is not available at this point",
                    test.expr.fetch_name()
                ),
            });
        }
    }
}

/// The fetch of an ACL keyword and the method its ending chooses: `hdr_beg` is `hdr` with `beg`.
fn keyword(name: &str) -> Result<(&'static Fetch, Option<Method>), RuleError> {
    if let Some(fetch) = fetch::find(name) {
        return Ok((fetch, None));
    }
    for (ending, method) in ENDINGS {
        if let Some(stem) = name.strip_suffix(ending)
            && let Some(fetch) = fetch::find(stem)
            && method.accepts(fetch.result)
        {
            return Ok((fetch, Some(*method)));
        }
    }
    match find_fetch(name) {
        Ok(fetch) => Ok((fetch, None)),
        Err(_) => Err(unknown_fetch(name)),
    }
}

/// `EXPRESSION [flags] [patterns]`.
fn test(
    words: &[&str],
    site: Site<'_>,
    warnings: &mut Vec<RuleWarning>,
) -> Result<Test, RuleError> {
    let Some((text, rest)) = words.split_first() else {
        return Err(RuleError::new(0, "missing expression").expecting("a sample fetch"));
    };
    let mut parts = calls(text)?.into_iter();
    let Some(first) = parts.next() else {
        return Err(RuleError::new(0, "missing expression"));
    };
    let (entry, mut method) = keyword(&first.name)?;
    let expr = from_calls(entry, &first, parts, site.definitions)?;
    let mut flags = Flags::default();
    let read = flags.read(rest, site).map_err(|e| e.shifted(1))?;
    method = flags
        .method
        .or(method)
        .or_else(|| Method::for_type(expr.result()));
    let method = method.ok_or_else(|| {
        RuleError::new(0, format!("'{text}' has values of any type"))
            .expecting("-m and a matching method")
    })?;
    if !method.accepts(expr.result()) {
        let kind = expr.result().name();
        return Err(RuleError::new(
            0,
            format!("'{text}' gives {kind}, which cannot be matched this way"),
        ));
    }
    let mut patterns = flags.patterns;
    let inline = rest.get(read..).unwrap_or_default();
    patterns.extend(
        inline
            .iter()
            .enumerate()
            .map(|(i, p)| (read + i + 1, (*p).to_string())),
    );
    let takes_patterns = !matches!(method, Method::Found | Method::Bool);
    if takes_patterns && patterns.is_empty() {
        warnings.push(RuleWarning {
            word: 0,
            message: format!("'{text}' is compared with no pattern and never matches"),
        });
    }
    if !takes_patterns && !patterns.is_empty() {
        warnings.push(RuleWarning {
            word: read + 1,
            message: format!("'{text}' takes no pattern; those given are ignored"),
        });
    }
    let matcher = if takes_patterns && patterns.is_empty() {
        Matcher::Str(crate::expr::matcher::Words::new(Vec::new(), false))
    } else {
        Matcher::new(method, &patterns, flags.ignore_case)?
    };
    if expr.result() == Type::Bool && flags.ignore_case {
        warnings.push(RuleWarning {
            word: 0,
            message: "-i means nothing here".into(),
        });
    }
    Ok(Test { expr, matcher })
}

/// What stands between an expression and its patterns.
#[derive(Default)]
struct Flags {
    ignore_case: bool,
    method: Option<Method>,
    patterns: Vec<(usize, String)>,
}

impl Flags {
    /// Reads flags; returns the number of words read.
    fn read(&mut self, words: &[&str], site: Site<'_>) -> Result<usize, RuleError> {
        let mut at = 0;
        while let Some(flag) = words.get(at).filter(|w| w.starts_with('-')) {
            let value = |what: &str| {
                words
                    .get(at + 1)
                    .copied()
                    .ok_or_else(|| RuleError::new(at + 1, format!("missing {what} after '{flag}'")))
            };
            match *flag {
                "-i" => self.ignore_case = true,
                // Names are never resolved here; ids serve to change patterns at run time.
                "-n" => {}
                "-u" => {
                    value("id")?;
                    at += 1;
                }
                "-m" => {
                    let name = value("matching method")?;
                    self.method =
                        Some(Method::named(name).ok_or_else(|| unknown_method(at + 1, name))?);
                    at += 1;
                }
                "-f" => {
                    self.load(at + 1, value("file name")?, site)?;
                    at += 1;
                }
                "--" => return Ok(at + 1),
                "-M" => {
                    return Err(RuleError::new(
                        at,
                        "'-M' is not supported: maps are not read as patterns",
                    )
                    .expecting("-f and a file of patterns"));
                }
                other => {
                    // A negative number is a pattern.
                    if other.get(1..).is_some_and(|n| n.parse::<i64>().is_ok()) {
                        return Ok(at);
                    }
                    return Err(RuleError::new(at, format!("unknown ACL flag '{other}'"))
                        .expecting(
                            "-i, -f, -m, -n, -u, or '--' before patterns that begin with '-'",
                        ));
                }
            }
            at += 1;
        }
        Ok(at)
    }

    /// One pattern a line; empty lines and those that begin with `#` do not count.
    fn load(&mut self, word: usize, name: &str, site: Site<'_>) -> Result<(), RuleError> {
        let content = (site.loader)(Path::new(name))
            .map_err(|e| RuleError::new(word, format!("cannot read '{name}': {e}")))?;
        let text = String::from_utf8_lossy(&content);
        let lines = text
            .lines()
            .map(|line| line.trim_start().trim_end_matches('\r'))
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        // The indices of errors count from the expression, one word before the flags.
        self.patterns
            .extend(lines.map(|line| (word + 1, line.trim_end().to_string())));
        Ok(())
    }
}

fn unknown_method(word: usize, name: &str) -> RuleError {
    let known: Vec<&str> = crate::expr::matcher::METHODS
        .iter()
        .map(|(n, ..)| *n)
        .collect();
    RuleError::new(word, format!("unknown matching method '{name}'")).expecting(known.join(", "))
}
