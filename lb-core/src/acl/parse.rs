//! From words to ACLs and conditions.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Condition, Patterns, Term, Test, predefined};
use crate::{
    expr::{
        Definitions, PatternFile, Stage, Type, Use,
        fetch::{self, Fetch},
        matcher::{Matcher, Method, Ranges},
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
    let ending = method.is_some();
    let expr = from_calls(entry, &first, parts, site.definitions)?;
    if ending && expr.is_converted() {
        // As HAProxy has it, which does not say so.
        method = None;
        warnings.push(RuleWarning {
            word: 0,
            message: format!(
                "the ending of '{}' means nothing before converters: say -m and a method",
                first.name
            ),
        });
    }
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
    let inline = rest.get(read..).unwrap_or_default();
    let inline: Vec<(usize, String)> = inline
        .iter()
        .enumerate()
        .map(|(i, p)| (read + i + 1, (*p).to_string()))
        .collect();
    let takes_patterns = method.takes_patterns();
    let none = inline.is_empty() && flags.files.is_empty();
    if takes_patterns && none {
        warnings.push(RuleWarning {
            word: 0,
            message: format!("'{text}' is compared with no pattern and never matches"),
        });
    }
    if !takes_patterns && !none {
        warnings.push(RuleWarning {
            word: read + 1,
            message: format!("'{text}' takes no pattern; those given are ignored"),
        });
    }
    let patterns = flags.patterns(&first.name, method, &inline, site)?;
    if expr.result() == Type::Bool && flags.ignore_case {
        warnings.push(RuleWarning {
            word: 0,
            message: "-i means nothing here".into(),
        });
    }
    Ok(Test { expr, patterns })
}

/// What stands between an expression and its patterns.
#[derive(Default)]
struct Flags {
    ignore_case: bool,
    method: Option<Method>,
    /// `-M`: files have values beside their patterns.
    two_columns: bool,
    /// `-u`.
    number: Option<usize>,
    /// Files and the words that name them.
    files: Vec<(usize, Arc<PatternFile>)>,
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
                    let id = value("id")?;
                    let number = id.parse().map_err(|_| {
                        RuleError::new(at + 1, format!("'{id}' is no id")).expecting("a number")
                    })?;
                    self.number = Some(number);
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
                "-M" => self.two_columns = true,
                other => {
                    // A negative number is a pattern.
                    if other.get(1..).is_some_and(|n| n.parse::<i64>().is_ok()) {
                        return Ok(at);
                    }
                    return Err(RuleError::new(at, format!("unknown ACL flag '{other}'"))
                        .expecting(
                            "-i, -f, -m, -n, -u, -M, or '--' before patterns that begin with '-'",
                        ));
                }
            }
            at += 1;
        }
        Ok(at)
    }

    /// One pattern a line; empty lines and those that begin with `#` do not count.
    fn load(&mut self, word: usize, name: &str, site: Site<'_>) -> Result<(), RuleError> {
        let load = || (site.loader)(Path::new(name));
        let kind = if self.two_columns { Use::Map } else { Use::Acl };
        let definitions = site.definitions;
        let origin = definitions.origin.as_deref();
        let file = definitions.files.file(name, kind, origin, load);
        let file = file.map_err(|e| RuleError::new(word, format!("cannot read '{name}': {e}")))?;
        // The indices of errors count from the expression, one word before the flags.
        self.files.push((word + 1, file));
        Ok(())
    }

    /// The patterns of the files and of the line itself, which have a place of their own even if there are none.
    fn patterns(
        &self,
        keyword: &str,
        method: Method,
        inline: &[(usize, String)],
        site: Site<'_>,
    ) -> Result<Patterns, RuleError> {
        let ignore_case = self.ignore_case;
        let ranges = matches!(method, Method::Int | Method::Len);
        let written: Vec<String> = match ranges {
            true => Ranges::written(inline),
            false => inline.iter().map(|(_, pattern)| pattern.clone()).collect(),
        };
        if method.takes_patterns() {
            // Its errors know the word.
            Matcher::new(method, inline, ignore_case)?;
        }
        let definitions = site.definitions;
        let origin = definitions.origin.as_deref();
        let own = definitions
            .files
            .inline(keyword, self.number, origin, written)?;
        if !method.takes_patterns() {
            return Ok(Patterns::Fixed(Matcher::new(method, &[], ignore_case)?));
        }
        let mut live = Vec::with_capacity(self.files.len() + 1);
        for (word, file) in &self.files {
            let matcher = file.matcher(method, ignore_case);
            live.push(matcher.map_err(|error| error.shifted(*word))?);
        }
        live.push(own.matcher(method, ignore_case)?);
        Ok(Patterns::Live(live.into()))
    }
}

fn unknown_method(word: usize, name: &str) -> RuleError {
    let known: Vec<&str> = crate::expr::matcher::METHODS
        .iter()
        .map(|(n, ..)| *n)
        .collect();
    RuleError::new(word, format!("unknown matching method '{name}'")).expecting(known.join(", "))
}
