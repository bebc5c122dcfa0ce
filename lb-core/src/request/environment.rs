//! Environment variables, as `env` in rules and `$NAME` in a file see them.

use std::collections::BTreeMap;

/// What `setenv` and its kind in a configuration file have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentChanges {
    /// By name: the value, or nothing for a variable that was taken away.
    pub changed: BTreeMap<String, Option<String>>,
    /// Of the process's own variables none is seen but those in `changed` (`resetenv`).
    pub hides_process: bool,
}

impl EnvironmentChanges {
    /// The value of `name`; `process` knows the variables that the process was started with.
    pub fn value(
        &self,
        name: &str,
        process: impl FnOnce(&str) -> Option<String>,
    ) -> Option<String> {
        match self.changed.get(name) {
            Some(value) => value.clone(),
            None if self.hides_process => None,
            None => process(name),
        }
    }
}
