//! Files of maps, read before the expressions that name them are compiled.

use std::{path::Path, sync::Arc};

use super::RulesBuilder;
use crate::{expr::map, rules::RuleError};

impl RulesBuilder<'_> {
    /// Reads the files of the maps that are named in `words`: `map...(FILE` anywhere in them.
    pub(super) fn read_maps(&mut self, words: &[&str]) -> Result<(), RuleError> {
        for (index, word) in words.iter().enumerate() {
            for file in map::files_in(word) {
                if self.definitions.maps.contains_key(file) {
                    continue;
                }
                let contents = (self.loader)(Path::new(file)).map_err(|error| {
                    RuleError::new(index, format!("unable to read the map {file}: {error}"))
                })?;
                let contents = Arc::from(contents);
                self.definitions.maps.insert(file.to_owned(), contents);
            }
        }
        Ok(())
    }
}
