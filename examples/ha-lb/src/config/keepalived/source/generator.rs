//! `~SEQ(NAME, START, STEP, END)` and `~LST(NAME, VALUE, ...)`: the rest of the line once for each value.

use super::{is_name, trimmed};
use crate::config::keepalived::lexer::Character;

/// What such a line asks for: names, the values of each turn, and the rest of the line.
#[derive(Debug)]
pub(super) struct Generator<'t> {
    pub(super) names: Vec<String>,
    pub(super) turns: Turns,
    pub(super) rest: &'t [Character],
}

/// The values, one set a turn.
#[derive(Debug)]
pub(super) enum Turns {
    /// `~SEQ` and `~SEQx`.
    Numbers {
        next: i64,
        step: i64,
        end: i64,
        hexadecimal: bool,
    },
    /// `~LST`.
    List(std::vec::IntoIter<Vec<String>>),
}

impl Iterator for Turns {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        match self {
            Self::List(values) => values.next(),
            Self::Numbers {
                next,
                step,
                end,
                hexadecimal,
            } => {
                let number = *next;
                let is_over = match *step > 0 {
                    true => number > *end,
                    false => number < *end,
                };
                if is_over || *step == 0 {
                    return None;
                }
                // The last turn when the next number cannot be written.
                match number.checked_add(*step) {
                    Some(following) => *next = following,
                    None => *step = 0,
                }
                Some(vec![match *hexadecimal {
                    true => format!("{number:x}"),
                    false => number.to_string(),
                }])
            }
        }
    }
}

/// Reads the line if it begins with `~SEQ` or `~LST`. An error is what should stand there.
pub(super) fn read(text: &[Character]) -> Option<Result<Generator<'_>, &'static str>> {
    let start: String = text.iter().take(4).map(|c| c.value).collect();
    let is_list = match start.as_str() {
        "~SEQ" => false,
        "~LST" => true,
        _ => return None,
    };
    let behind = text.get(4..).unwrap_or_default();
    let expected = match is_list {
        true => {
            "`~LST(NAME, VALUE, ...)` or `~LST({NAME, ...}, {VALUE, ...}, ...)` before the rest of the line"
        }
        false => {
            "`~SEQ(NAME, [START, [STEP,]] END)` or `~SEQx(...)` with numbers before the rest of the line"
        }
    };
    let read = match is_list {
        true => list(behind),
        false => sequence(behind),
    };
    Some(read.ok_or(expected))
}

/// `( ... )` and what is behind it.
fn parenthesised(text: &[Character]) -> Option<(String, &[Character])> {
    let text = trimmed(text);
    let (open, inner) = text.split_first()?;
    let length = inner
        .iter()
        .position(|c| c.is(')'))
        .filter(|_| open.is('('))?;
    let (inner, rest) = inner.split_at_checked(length)?;
    Some((inner.iter().map(|c| c.value).collect(), rest.get(1..)?))
}

fn sequence(text: &[Character]) -> Option<Generator<'_>> {
    let hexadecimal = text.first().is_some_and(|c| c.is('x'));
    let (inside, rest) = parenthesised(text.get(usize::from(hexadecimal)..)?)?;
    let words: Vec<&str> = inside.split(',').map(str::trim).collect();
    let (name, numbers) = words.split_first()?;
    let numbers: Option<Vec<i64>> = numbers.iter().map(|word| number(word)).collect();
    let (start, step, end) = match numbers?.as_slice() {
        [end] => (if *end < 0 { -1 } else { 1 }, None, *end),
        [start, end] => (*start, None, *end),
        [start, step, end] => (*start, Some(*step), *end),
        _ => return None,
    };
    let direction = if start <= end { 1 } else { -1 };
    let step = step.unwrap_or(direction);
    let wrong = step == 0 || (start != end && step.signum() != direction);
    if wrong || name.is_empty() || (hexadecimal && (start < 0 || end < 0)) {
        return None;
    }
    Some(Generator {
        names: vec![(*name).to_owned()],
        turns: Turns::Numbers {
            next: start,
            step,
            end,
            hexadecimal,
        },
        rest: trimmed(rest),
    })
}

/// Decimal, `0x` hexadecimal or `0` octal, as strtol(3); nothing is 0.
fn number(word: &str) -> Option<i64> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let lower = digits.to_ascii_lowercase();
    let magnitude = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(digits), _) => i64::from_str_radix(digits, 16),
        (None, Some(digits)) if !digits.is_empty() => i64::from_str_radix(digits, 8),
        _ if lower.is_empty() => Ok(0),
        _ => lower.parse(),
    };
    let magnitude = magnitude.ok().filter(|_| !digits.starts_with(['+', '-']))?;
    Some(if negative { -magnitude } else { magnitude })
}

fn list(text: &[Character]) -> Option<Generator<'_>> {
    let (inside, rest) = parenthesised(text)?;
    let mut sets = sets(&inside)?;
    if sets.len() < 2 {
        return None;
    }
    let names = sets.remove(0);
    let named = names
        .iter()
        .all(|name| name.chars().all(is_name) && !name.is_empty());
    if !named || sets.iter().any(|values| values.len() > names.len()) {
        return None;
    }
    for values in &mut sets {
        values.resize(names.len(), String::new());
    }
    Some(Generator {
        names,
        turns: Turns::List(sets.into_iter()),
        rest: trimmed(rest),
    })
}

/// `a, {b, c}` as sets of words. Values hold no blanks.
fn sets(inside: &str) -> Option<Vec<Vec<String>>> {
    let mut sets = Vec::new();
    let mut rest = inside;
    loop {
        rest = rest.trim_start();
        let (set, behind) = match rest.strip_prefix('{') {
            Some(inner) => {
                let (set, behind) = inner.split_once('}')?;
                (set.split(',').collect(), behind.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (word, behind) = rest.split_at_checked(end)?;
                (vec![word], behind)
            }
        };
        let words = set.into_iter().map(str::trim);
        let words: Vec<String> = words.map(str::to_owned).collect();
        if words
            .iter()
            .any(|w| w.contains(|c: char| c.is_whitespace() || "{}".contains(c)))
        {
            return None;
        }
        sets.push(words);
        if behind.is_empty() {
            return Some(sets);
        }
        rest = behind.strip_prefix(',')?;
    }
}
