//! What a reload would do: two configurations compared section by section, in words.
//!
//! A plan decides nothing about traffic; it is shown before (`ha-lb check --diff`), logged when it is carried out,
//! and says by name what only a restart can change. Order of sections and lines is told apart from their contents:
//! what merely moved is not changed.

mod balancer;
mod vrrp;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::load::Loaded;

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It begins.
    Added,
    /// It ends.
    Removed,
    /// It goes on with other settings.
    Changed,
    /// It goes on somewhere else in the file.
    Moved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Moved => "moved",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happens.
    pub kind: Kind,
    /// To what: `backend app, server a`.
    pub what: String,
    /// In which settings, for [`Kind::Changed`].
    pub settings: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.kind)?;
        if !self.settings.is_empty() {
            write!(f, ": {}", self.settings.join(", "))?;
        }
        Ok(())
    }
}

/// The difference between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What a reload does.
    pub changes: Vec<Change>,
    /// What it cannot do: one sentence each. A reload with any of these is refused as a whole.
    pub refusals: Vec<String>,
    /// Whether another balancer takes over on the same sockets.
    #[serde(default)]
    pub replaces_balancer: bool,
}

impl Plan {
    /// What leads from `old` to `new`.
    pub fn between(old: &Loaded, new: &Loaded) -> Self {
        let mut plan = Self::default();
        vrrp::compare(&mut plan, old.keepalived.as_ref(), new.keepalived.as_ref());
        balancer::compare(&mut plan, old.balancer.as_ref(), new.balancer.as_ref());
        let works = |loaded: &Loaded| loaded.needs_speaker() || loaded.proxies() > 0;
        if works(old) && !works(new) || new.balancer.is_none() && !new.needs_speaker() {
            plan.refuse(
                "the files name neither a virtual router nor a proxy any more: stop the daemon if that is meant",
            );
        }
        plan
    }

    fn add(&mut self, kind: Kind, what: impl Into<String>) {
        self.changes.push(Change {
            kind,
            what: what.into(),
            settings: Vec::new(),
        });
    }

    /// A change of settings, unless there is none.
    fn change(&mut self, what: impl Into<String>, settings: Vec<String>) {
        if !settings.is_empty() {
            self.changes.push(Change {
                kind: Kind::Changed,
                what: what.into(),
                settings,
            });
        }
    }

    fn refuse(&mut self, sentence: impl Into<String>) {
        self.refusals.push(sentence.into());
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for refusal in &self.refusals {
            writeln!(f, "refused: {refusal}")?;
        }
        if self.changes.is_empty() && self.refusals.is_empty() {
            writeln!(f, "nothing changes")?;
        }
        Ok(())
    }
}

/// `name: old -> new` for each setting that differs.
#[derive(Default)]
struct Settings(Vec<String>);

impl Settings {
    /// A setting whose values can be shown.
    fn shown<T: PartialEq + fmt::Display>(&mut self, name: &str, old: T, new: T) {
        if old != new {
            self.0.push(format!("{name} {old} -> {new}"));
        }
    }

    /// A setting that is only named.
    fn named(&mut self, name: &str, differs: bool) {
        if differs {
            self.0.push(name.to_owned());
        }
    }
}

/// How the names of `old` become those of `new`.
struct Names<'a> {
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    /// Those whose order among the kept ones differs; as few as possible.
    moved: Vec<&'a str>,
    /// Places in `old` and `new` of those in both, in the order of `new`.
    kept: Vec<(usize, usize)>,
}

impl<'a> Names<'a> {
    fn new(old: &[&'a str], new: &[&'a str]) -> Self {
        let places: BTreeMap<&str, usize> = old.iter().enumerate().map(|(i, n)| (*n, i)).collect();
        let kept: Vec<(usize, usize)> = new
            .iter()
            .enumerate()
            .filter_map(|(at, name)| Some((*places.get(name)?, at)))
            .collect();
        let name = |at: &usize| new.get(*at).copied();
        let stay = longest_rising(&kept.iter().map(|(old, _)| *old).collect::<Vec<_>>());
        Self {
            added: new
                .iter()
                .filter(|n| !places.contains_key(*n))
                .copied()
                .collect(),
            removed: old.iter().filter(|n| !new.contains(n)).copied().collect(),
            moved: kept
                .iter()
                .enumerate()
                .filter(|(at, _)| !stay.contains(at))
                .filter_map(|(_, (_, new))| name(new))
                .collect(),
            kept,
        }
    }
}

/// Places of a longest strictly rising part of `numbers`.
fn longest_rising(numbers: &[usize]) -> Vec<usize> {
    // For each length: the place of its smallest last number; for each place: the one before it.
    let mut last: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let length = last.partition_point(|place| numbers.get(*place) < Some(number));
        before.push(length.checked_sub(1).and_then(|l| last.get(l)).copied());
        match last.get_mut(length) {
            Some(place) => *place = at,
            None => last.push(at),
        }
    }
    let mut rising = Vec::new();
    let mut next = last.last().copied();
    while let Some(at) = next {
        rising.push(at);
        next = before.get(at).copied().flatten();
    }
    rising
}
