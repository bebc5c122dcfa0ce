//! `ha-lb check --diff`: what a reload would do, without doing it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Daemon, reading::Read};
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
    pub(in crate::supervisor::daemon) fn difference(
        &self,
        words: &str,
        reply: oneshot::Sender<String>,
    ) {
        let sources = match words {
            "" => self.configuration.sources.clone(),
            words => match serde_json::from_str::<Sources>(words) {
                Ok(sources) => sources,
                Err(error) => {
                    let told = format!("the request cannot be read: {error}\n");
                    return answer(reply, &Difference::refused(told));
                }
            },
        };
        let before = self.configuration.bundle.clone();
        let unread = self.read_aside(move || {
            let files = Remembering::new(Predefined::of(&sources), before);
            let (diagnostics, new) = read(&sources, &files);
            Read::Difference {
                diagnostics,
                new: Box::new(new),
                reply,
            }
        });
        if let Err(error) = unread {
            tracing::error!("check --diff: {error}");
        }
    }

    /// The files of a request have been read.
    pub(super) fn tell_difference(
        &self,
        diagnostics: String,
        new: Option<Loaded>,
        reply: oneshot::Sender<String>,
    ) {
        let plan = new.map(|new| Plan::between(&self.loaded, &new));
        answer(reply, &Difference { diagnostics, plan });
    }
}

fn answer(reply: oneshot::Sender<String>, difference: &Difference) {
    let document = serde_json::to_string(difference).unwrap_or_default();
    let _ = reply.send(format!("{document}\n"));
}

/// What reading the files has to say, and what they say.
fn read(sources: &Sources, files: &dyn Files) -> (String, Option<Loaded>) {
    let mut diagnostics = Diagnostics::default();
    let new = load::load(sources, files, &mut diagnostics);
    diagnostics.sort();
    (diagnostics.to_string(), new)
}

impl Difference {
    /// From what is loaded to what `sources` say.
    pub fn of(old: &Loaded, sources: &Sources, files: &dyn Files) -> Self {
        let (diagnostics, new) = read(sources, files);
        Self {
            diagnostics,
            plan: new.map(|new| Plan::between(old, &new)),
        }
    }

    fn refused(why: String) -> Self {
        Self {
            diagnostics: why,
            plan: None,
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
