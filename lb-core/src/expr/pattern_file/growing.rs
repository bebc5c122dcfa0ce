//! Patterns of ACLs to which others are added one by one (`add acl`, `http-request add-acl`), each for a cost that hardly
//! grows with the file.
//!
//! What is compiled is not changed: a pattern that is added is a layer of its own, and layers that would be of about the
//! same size are compiled as one. So each is at least twice as large as the next, there are few, and no pattern is compiled
//! more often than there are layers.

use std::sync::Arc;

use super::{Contents, LiveMatcher, PatternFile, View, lock, single::Index};
use crate::{
    expr::{Value, matcher::Matcher},
    rules::RuleError,
};

/// Patterns in the order in which they came, compiled in parts.
#[derive(Debug, Clone)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Debug, Clone)]
struct Layer {
    matcher: Arc<Matcher>,
    patterns: usize,
}

impl Layers {
    /// All of these at once.
    pub(super) fn of(matcher: Matcher, patterns: usize) -> Self {
        let mut layers = Self(Vec::new());
        layers.add(matcher, patterns);
        layers
    }

    pub(super) fn matches(&self, value: &Value<'_>) -> bool {
        self.0.iter().any(|layer| layer.matcher.matches(value))
    }

    /// How many of the last patterns become one layer when another one is added, that one included.
    fn merged(&self) -> usize {
        let mut merged = 1;
        for layer in self.0.iter().rev() {
            if layer.patterns >= 2 * merged {
                break;
            }
            merged += layer.patterns;
        }
        merged
    }

    /// The last patterns, of which the very last one is new, are a layer now.
    fn add(&mut self, matcher: Matcher, patterns: usize) {
        let mut replaced = patterns.saturating_sub(1);
        while replaced > 0
            && let Some(layer) = self.0.pop()
        {
            replaced = replaced.saturating_sub(layer.patterns);
        }
        let matcher = Arc::new(matcher);
        self.0.push(Layer { matcher, patterns });
    }
}

impl PatternFile {
    /// Adds an entry behind the others, if ACLs alone look at them. `None`: the views are to be compiled anew.
    pub(super) fn grow(
        &self,
        contents: &mut Contents,
        key: &[u8],
        value: &[u8],
    ) -> Option<Result<(), RuleError>> {
        let views = self.acls()?;
        let number = contents.next;
        contents.push(key, value);
        let mut layers = Vec::new();
        for view in &views {
            let patterns = view.matcher.with(Layers::merged);
            match contents.last(patterns, view.method, view.ignore_case) {
                Ok(matcher) => layers.push((matcher, patterns)),
                Err(wrong) => {
                    contents.entries.remove(&number);
                    contents.next = number;
                    return Some(Err(wrong));
                }
            }
        }
        for (view, (matcher, patterns)) in views.iter().zip(layers) {
            view.matcher.grow(|all| all.add(matcher, patterns));
        }
        if let Some(index) = &mut contents.index {
            index.add(key, number);
        }
        Some(Ok(()))
    }

    /// The value of a key.
    pub(super) fn value<'c>(&self, contents: &'c mut Contents, key: &[u8]) -> Option<&'c [u8]> {
        // Views of maps have to be made ready together with it.
        if contents.index.is_none() && self.acls().is_some() {
            contents.index = Some(Index::of(&contents.entries));
        }
        let entry = match &contents.index {
            Some(index) => contents.entries.get(&index.first(key)?),
            None => contents.entries.values().find(|entry| *entry.key == *key),
        };
        entry.map(|entry| &*entry.value)
    }

    /// The views; `None` where a map has one.
    fn acls(&self) -> Option<Vec<Arc<LiveMatcher>>> {
        let mut views = lock(&self.views);
        views.retain(View::is_used);
        let acls = views.iter().map(|view| match view {
            View::Matcher(view) => view.upgrade(),
            View::Map(_) => None,
        });
        acls.collect()
    }
}
