//! Integer patterns: `80`, `1024:65535`, `:80`, `80:`, and comparisons `gt 5`.

use std::ops::RangeInclusive;

use crate::rules::RuleError;

/// Ranges, of which one must hold the number.
#[derive(Debug, Clone)]
pub(crate) struct Ranges(Box<[RangeInclusive<i64>]>);

impl Ranges {
    /// An operator holds for every pattern after it.
    pub(crate) fn parse(patterns: &[(usize, String)]) -> Result<Self, RuleError> {
        let mut operator = "eq";
        let mut out = Vec::new();
        let mut dangling = None;
        for (word, pattern) in patterns {
            if let "eq" | "ge" | "gt" | "le" | "lt" = pattern.as_str() {
                operator = pattern;
                dangling = Some(*word);
                continue;
            }
            dangling = None;
            out.push(range(operator, pattern).ok_or_else(|| {
                RuleError::new(*word, format!("'{pattern}' is no number or range"))
                    .expecting("a number, 'low:high', or 'eq', 'ge', 'gt', 'le', 'lt' and a number")
            })?);
        }
        match dangling {
            Some(word) => Err(RuleError::new(
                word + 1,
                "missing number after a comparison",
            )),
            None => Ok(Self(out.into())),
        }
    }

    /// Patterns with comparisons as ranges, each for itself; what is wrong stays.
    pub(crate) fn written(patterns: &[(usize, String)]) -> Vec<String> {
        let mut operator = "eq";
        let mut out = Vec::new();
        for (_, pattern) in patterns {
            match pattern.as_str() {
                "eq" | "ge" | "gt" | "le" | "lt" => operator = pattern,
                _ if operator == "eq" => out.push(pattern.clone()),
                _ => out.push(
                    match range(operator, pattern).map(RangeInclusive::into_inner) {
                        Some((low, i64::MAX)) => format!("{low}:"),
                        Some((i64::MIN, high)) => format!(":{high}"),
                        _ => pattern.clone(),
                    },
                ),
            }
        }
        out
    }

    pub(crate) fn contain(&self, number: i64) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

fn range(operator: &str, pattern: &str) -> Option<RangeInclusive<i64>> {
    if operator == "eq"
        && let Some((low, high)) = pattern.split_once(':')
    {
        let low = bound(low, i64::MIN)?;
        let high = bound(high, i64::MAX)?;
        return (low <= high).then_some(low..=high);
    }
    let number = decimal(pattern)?;
    Some(match operator {
        "ge" => number..=i64::MAX,
        "gt" => number.checked_add(1)?..=i64::MAX,
        "le" => i64::MIN..=number,
        "lt" => i64::MIN..=number.checked_sub(1)?,
        _ => number..=number,
    })
}

fn bound(text: &str, open: i64) -> Option<i64> {
    if text.is_empty() {
        Some(open)
    } else {
        decimal(text)
    }
}

/// A number, or a version such as `3.1` (major * 65536 + minor), as TLS versions are written.
fn decimal(text: &str) -> Option<i64> {
    if let Some((major, minor)) = text.split_once('.') {
        let (major, minor): (u16, u16) = (major.parse().ok()?, minor.parse().ok()?);
        return Some(i64::from(major) << 16 | i64::from(minor));
    }
    text.parse().ok()
}
