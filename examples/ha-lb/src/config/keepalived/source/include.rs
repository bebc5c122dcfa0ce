//! `include` and its variants: which files a pattern means, and what of a missing one is a mistake.

use std::path::{Path, PathBuf};

use super::Source;
use crate::config::{
    diagnostic::{Diagnostic, Span},
    keepalived::lexer::{Character, Line},
};

/// Names that one pair of braces after another may make.
const MAX_ALTERNATIVES: usize = 1_000;
/// Folders that one pattern may look into.
const MAX_FOLDERS: usize = 1_000;

/// What is asked of an include: keepalived's `include_check`. A file named without a pattern must be readable in any
/// case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checks {
    /// `wildcard_match`: a pattern that fits no file is a mistake.
    wildcard: bool,
    /// `brace_match`: so is an alternative in braces that fits none.
    brace: bool,
}

impl Checks {
    /// `includea`, `include_check` without a word, and `-e`.
    pub(super) const ALL: Self = Self {
        wildcard: true,
        brace: true,
    };

    /// What a line that begins with `word` asks for beside these. `None` if it is no include.
    fn with(self, word: &str) -> Option<Self> {
        Some(match word {
            "include" | "includer" | "includem" => self,
            "includew" => Self {
                wildcard: true,
                ..self
            },
            "includeb" => Self {
                brace: true,
                ..self
            },
            "includea" => Self::ALL,
            _ => return None,
        })
    }

    /// `include_check [OPTIONS]`: the options replace what was asked for, unless `+` or `-` stands before them.
    fn set<'w>(&mut self, mut words: impl Iterator<Item = &'w str>) {
        let Some(first) = words.next() else {
            *self = Self::ALL;
            return;
        };
        if !first.starts_with(['+', '-']) {
            *self = Self::default();
        }
        for word in std::iter::once(first).chain(words) {
            let is_on = !word.starts_with('-');
            match word.trim_start_matches(['+', '-']) {
                "wildcard_match" => self.wildcard = is_on,
                "brace_match" => self.brace = is_on,
                // Asked for in any case.
                _ => {}
            }
        }
    }
}

impl Source<'_> {
    /// Carries an include line out; `false` if the line is another one.
    pub(super) fn included(&mut self, characters: &[Character], line: &Line) -> bool {
        let text: String = characters.iter().map(|c| c.value).collect();
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if word == "include_check" {
            self.checks.set(rest.split_whitespace());
            return false;
        }
        let Some(checks) = self.checks.with(word) else {
            return false;
        };
        let column = |wanted: usize| {
            let mut all = characters.iter().skip_while(|c| c.value.is_whitespace());
            let skipped = all.clone().take(wanted).count();
            all.nth(skipped).map_or(1, |c| c.column)
        };
        let pattern = rest.trim_start();
        let span = line.span(column(text.len() - pattern.len()));
        if pattern.is_empty() {
            self.diagnostics.push(
                Diagnostic::error(span, "this cannot be included")
                    .found(word)
                    .expected("one file name or pattern"),
            );
            return true;
        }
        self.include(pattern, checks, &span);
        true
    }

    fn include(&mut self, pattern: &str, checks: Checks, span: &Span) {
        // Relative to the folder of the including file.
        let folder = self.open.last().and_then(|path| path.parent());
        let folder = folder.unwrap_or(Path::new("")).to_owned();
        let alternatives = alternatives(pattern);
        let mut fits = 0;
        for alternative in &alternatives {
            let wanted = folder.join(alternative);
            if alternatives.len() == 1 && !is_pattern(alternative) {
                self.file(&wanted, span.clone());
                return;
            }
            let matching = self.matching(&wanted);
            if matching.is_empty() && checks.brace && alternatives.len() > 1 {
                self.nothing_fits(alternative, true, span);
            }
            fits += matching.len();
            for path in matching {
                self.file(&path, span.clone());
            }
        }
        if fits == 0 {
            self.nothing_fits(pattern, checks.wildcard, span);
        }
    }

    fn nothing_fits(&mut self, pattern: &str, is_mistake: bool, span: &Span) {
        let what = "no file matches";
        let diagnostic = match is_mistake {
            true => Diagnostic::error(span.clone(), what)
                .expected("a file, as the includes of this file are checked"),
            false => Diagnostic::warning(span.clone(), what).action("nothing is included"),
        };
        self.diagnostics.push(diagnostic.found(pattern));
    }

    /// Files that `wanted` means, each part of which may be a pattern, sorted.
    fn matching(&self, wanted: &Path) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::new()];
        for part in wanted.components() {
            let name = part.as_os_str().to_string_lossy();
            if !is_pattern(&name) {
                for path in &mut found {
                    path.push(part);
                }
                continue;
            }
            let pattern: Vec<char> = name.chars().collect();
            let folders = std::mem::take(&mut found);
            for folder in folders.iter().take(MAX_FOLDERS) {
                let mut paths = self.files.list(folder).unwrap_or_default();
                paths.retain(|path| {
                    path.file_name().is_some_and(|name| {
                        let name: Vec<char> = name.to_string_lossy().chars().collect();
                        let hidden = name.first() == Some(&'.') && pattern.first() != Some(&'.');
                        !hidden && glob(&pattern, &name)
                    })
                });
                paths.sort();
                found.extend(paths);
            }
        }
        // A name without a pattern may mean nothing; and folders are passed over.
        found.retain(|path| self.files.read(path).is_ok());
        found
    }
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// `{a,b}` in a pattern, also within each other: each alternative a pattern of its own.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut finished = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        let Some((before, inner, after)) = innermost(&pattern) else {
            finished.push(pattern);
            continue;
        };
        let choices: Vec<&str> = inner.split(',').collect();
        if choices.len() + open.len() + finished.len() > MAX_ALTERNATIVES {
            return vec![pattern];
        }
        let made = choices.iter().rev();
        open.extend(made.map(|choice| format!("{before}{choice}{after}")));
    }
    let mut kept: Vec<String> = Vec::new();
    for one in finished {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

/// The first pair of braces with no other inside that offers a choice.
fn innermost(pattern: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let close = from + pattern.get(from..)?.find('}')?;
        let (head, tail) = (pattern.get(..close)?, pattern.get(close + 1..)?);
        if let Some(open) = head.rfind('{') {
            let inner = head.get(open + 1..)?;
            if inner.contains(',') {
                return Some((head.get(..open)?, inner, tail));
            }
        }
        from = close + 1;
    }
}

/// File name patterns: `*`, `?`, `[a-z]`, `[!a-z]`. In time proportional to pattern times name.
fn glob(pattern: &[char], name: &[char]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[char], &[char])> = None;
    loop {
        let advanced = match (pattern.split_first(), name.split_first()) {
            (Some(('*', rest)), _) => {
                retry = Some((rest, name));
                Some((rest, name))
            }
            (None, None) => return true,
            (Some(_), Some((c, after))) => {
                one_matches(pattern, *c).map(|pattern_rest| (pattern_rest, after))
            }
            _ => None,
        };
        match (advanced, retry) {
            (Some(next), _) => (pattern, name) = next,
            // Give the last `*` one character more.
            (None, Some((rest, [_, after @ ..]))) => {
                retry = Some((rest, after));
                (pattern, name) = (rest, after);
            }
            (None, _) => return false,
        }
    }
}

/// Matches one character; what of the pattern is left if it does.
fn one_matches(pattern: &[char], c: char) -> Option<&[char]> {
    let (first, rest) = pattern.split_first()?;
    let close = rest.iter().skip(1).position(|c| *c == ']');
    match (first, close) {
        ('?', _) => Some(rest),
        ('[', Some(position)) => {
            let (set, after) = rest.split_at_checked(position + 1)?;
            let (negated, set) = match set {
                ['!' | '^', set @ ..] => (true, set),
                set => (false, set),
            };
            let ranges = set
                .windows(3)
                .any(|w| matches!(w, [from, '-', to] if (*from..=*to).contains(&c)));
            (negated != (ranges || set.contains(&c))).then_some(after.get(1..).unwrap_or_default())
        }
        _ => (*first == c).then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_offer_choices() {
        for (pattern, made) in [
            ("a", vec!["a"]),
            ("{a,b}.conf", vec!["a.conf", "b.conf"]),
            ("x{1,2}{3,4}", vec!["x13", "x14", "x23", "x24"]),
            (
                "{foo/{,cat,dog},bar}",
                vec!["foo/", "bar", "foo/cat", "foo/dog"],
            ),
            ("{a}", vec!["{a}"]),
            ("a}b{", vec!["a}b{"]),
        ] {
            assert_eq!(alternatives(pattern), made, "{pattern}");
        }
        // Too many of them are none.
        assert_eq!(alternatives(&"{a,b}".repeat(40)).len(), 1);
    }

    #[test]
    fn file_name_patterns() {
        let matches = |pattern: &str, name: &str| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            glob(&chars(pattern), &chars(name))
        };
        for (pattern, name) in [
            ("*", ""),
            ("*.conf", "a.conf"),
            ("a*b*c", "a--b-b-c"),
            ("?.x", "é.x"),
            ("[a-c]1", "b1"),
            ("[!a-c]1", "d1"),
            ("[]]", "]"),
            ("[", "["),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf~"),
            ("?", ""),
            ("[a-c]", "d"),
            ("a", "ab"),
            ("a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
