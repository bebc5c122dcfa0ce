//! Files of maps and of public keys, read before the expressions that name them are compiled.

use std::{path::Path, sync::Arc};

use super::RulesBuilder;
use crate::{
    expr::{PatternFiles, Use, jwt, map},
    rules::RuleError,
};

impl RulesBuilder<'_> {
    /// The files of maps that other proxies use too: one that is named twice is one. Before the lines.
    pub fn pattern_files(&mut self, files: Arc<PatternFiles>) {
        self.definitions.files = files;
    }

    /// Reads the files of the maps that are named in `words`: `map...(FILE` anywhere in them.
    pub(super) fn read_maps(&mut self, words: &[&str]) -> Result<(), RuleError> {
        for (index, word) in words.iter().enumerate() {
            for file in map::files_in(word) {
                let load = || (self.loader)(Path::new(file));
                let (files, origin) = (&self.definitions.files, self.definitions.origin.as_deref());
                files.file(file, Use::Map, origin, load).map_err(|error| {
                    RuleError::new(index, format!("unable to read the map {file}: {error}"))
                })?;
            }
            for file in jwt::files_in(word) {
                // What is no file is a secret.
                if let Ok(text) = (self.loader)(Path::new(file)) {
                    self.definitions.keys.put(file, &text);
                }
            }
        }
        Ok(())
    }
}
