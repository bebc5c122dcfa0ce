//! The files of patterns of one configuration: each is read once, whoever names it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
};

use super::{PatternFile, lock};
use crate::{request::Origin, rules::RuleError};

/// The files of one configuration.
#[derive(Debug, Default)]
pub struct PatternFiles {
    files: Mutex<Vec<Arc<PatternFile>>>,
}

/// What uses a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Maps: keys and values.
    Map,
    /// ACLs: patterns.
    Acl,
}

impl Use {
    /// The word in commands and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Acl => "acl",
        }
    }
}

impl PatternFiles {
    /// The file of that name, read by `load` when it is named first. A file of keys and values is none of patterns, and
    /// the other way round.
    pub(crate) fn file(
        &self,
        name: &str,
        kind: Use,
        origin: Option<&Origin>,
        load: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<PatternFile>> {
        let file = self.open(name, kind, load)?;
        file.used_at(origin);
        Ok(file)
    }

    /// The same for an action that changes it, which is no use.
    pub(crate) fn open(
        &self,
        name: &str,
        kind: Use,
        load: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<PatternFile>> {
        let known = self.find(|file| *file.name == *name && !name.is_empty());
        Ok(match known {
            Some(file) if file.kind == kind => file,
            Some(file) => {
                let columns = |kind| match kind {
                    Use::Map => "two column",
                    Use::Acl => "one column",
                };
                return Err(io::Error::other(format!(
                    "it is already used as {} file and cannot be used as {} file",
                    columns(file.kind),
                    columns(kind)
                )));
            }
            None => {
                let text = load()?;
                let description = format!("pattern loaded from file '{name}' used");
                let file = PatternFile::new(name, kind, description);
                lock(&file.contents).read(&text, kind);
                self.put(file)
            }
        })
    }

    /// The patterns that an ACL has in its own line: its keyword, and the number that it asks for.
    pub(crate) fn inline(
        &self,
        keyword: &str,
        number: Option<usize>,
        origin: Option<&Origin>,
        patterns: impl IntoIterator<Item = String>,
    ) -> Result<Arc<PatternFile>, RuleError> {
        if number.is_some() && self.find(|file| file.forced == number).is_some() {
            let message = "the id of these patterns is used by others already";
            return Err(RuleError::new(0, message));
        }
        let mut description = format!("acl '{keyword}'");
        if let Some(origin) = origin {
            let _ = write!(description, " file '{}' line {}", origin.file, origin.line);
        }
        let mut file = PatternFile::new("", Use::Acl, description);
        file.forced = number;
        for pattern in patterns {
            lock(&file.contents).push(pattern.as_bytes(), b"");
        }
        Ok(self.put(file))
    }

    fn put(&self, file: PatternFile) -> Arc<PatternFile> {
        let file = Arc::new(file);
        lock(&self.files).push(Arc::clone(&file));
        file
    }

    fn find(&self, is: impl Fn(&PatternFile) -> bool) -> Option<Arc<PatternFile>> {
        lock(&self.files).iter().find(|file| is(file)).cloned()
    }

    /// The map of that name, if rules use it.
    pub fn named(&self, name: &str) -> Option<Arc<PatternFile>> {
        self.find(|file| *file.name == *name && file.kind == Use::Map)
    }

    /// All of them by their numbers: those that ACLs ask for, and the next ones that are free.
    pub fn numbered(&self) -> BTreeMap<usize, Arc<PatternFile>> {
        let files = lock(&self.files);
        let forced = files.iter().filter_map(|file| Some((file.forced?, file)));
        let mut numbered: BTreeMap<usize, Arc<PatternFile>> = forced
            .map(|(number, file)| (number, Arc::clone(file)))
            .collect();
        let mut next = 0;
        for file in files.iter().filter(|file| file.forced.is_none()) {
            while numbered.contains_key(&next) {
                next += 1;
            }
            numbered.insert(next, Arc::clone(file));
        }
        numbered
    }
}
