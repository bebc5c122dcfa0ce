//! `ha-lb check --diff`: what a reload would do, without doing it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Daemon;
use crate::{
    config::{
        diagnostic::Diagnostics,
        files::{Files, Remembering},
        load::{self, Loaded},
        plan::Plan,
        predefined::Predefined,
    },
    ipc::message::Sources,
};

/// What `ha-lb check --diff` is told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Difference {
    /// What reading the files had to say.
    pub diagnostics: String,
    /// What a reload would do; absent if the files have errors.
    pub plan: Option<Plan>,
}

impl Daemon {
    /// `ha-lb check --diff`: what a reload with these files would do; nothing is touched.
    pub(in crate::supervisor::daemon) fn difference(&self, words: &str) -> Difference {
        let sources = match words {
            "" => self.configuration.sources.clone(),
            words => match serde_json::from_str::<Sources>(words) {
                Ok(sources) => sources,
                Err(error) => {
                    return Difference {
                        diagnostics: format!("the request cannot be read: {error}\n"),
                        plan: None,
                    };
                }
            },
        };
        let before = self.configuration.bundle.clone();
        let files = Remembering::new(Predefined::of(&sources), before);
        Difference::of(&self.loaded, &sources, &files)
    }
}

impl Difference {
    /// From what is loaded to what `sources` say.
    pub fn of(old: &Loaded, sources: &Sources, files: &dyn Files) -> Self {
        let mut diagnostics = Diagnostics::default();
        let new = load::load(sources, files, &mut diagnostics);
        diagnostics.sort();
        Self {
            diagnostics: diagnostics.to_string(),
            plan: new.map(|new| Plan::between(old, &new)),
        }
    }
}

/// Absolute paths, for a daemon that stands elsewhere.
pub fn absolute(sources: &Sources) -> Sources {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    Sources {
        keepalived: sources.keepalived.as_ref().map(absolute),
        haproxy: sources.haproxy.iter().map(absolute).collect(),
        overrides: sources.overrides.clone(),
    }
}
