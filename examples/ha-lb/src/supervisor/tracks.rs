//! The results of all track scripts: those that are executed, and those that this daemon's balancer answers.

use std::collections::BTreeMap;

use tokio::task::{AbortHandle, JoinSet};

use super::{
    liveness::asks_for_the_balancer,
    scripts::{self, Script},
};
use crate::admin::status;

/// A script's verdict turned.
#[derive(Debug)]
pub struct Turn {
    runner: u64,
    passed: bool,
    how: String,
}

#[derive(Debug)]
struct Track {
    script: Script,
    by_balancer: bool,
    passed: Option<bool>,
    /// Number of the task that runs it, and the means to end that.
    runner: Option<(u64, AbortHandle)>,
}

impl Track {
    fn command(&self) -> String {
        self.script.command.words.join(" ")
    }
}

/// All scripts. Dropping it ends the executed ones.
#[derive(Debug, Default)]
pub struct Tracks {
    tracks: Vec<Track>,
    /// Results of the program before this one.
    known: BTreeMap<String, bool>,
    last_runner: u64,
    runners: JoinSet<()>,
}

impl Tracks {
    /// No scripts yet; `results` are those of the program before this one.
    pub fn knowing(results: Vec<(String, bool)>) -> Self {
        Self {
            known: results.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Goes over to the scripts of another configuration, except those that ask for a balancer which this daemon itself
    /// runs: those that are the same run on undisturbed, those that
    /// are run otherwise keep their result until they have another one.
    pub fn replan(
        &mut self,
        scripts: Vec<Script>,
        runs_balancer: bool,
        turned: impl Fn(Turn) + Clone + Send + 'static,
    ) {
        while self.runners.try_join_next().is_some() {}
        let mut before = std::mem::take(&mut self.tracks);
        for script in scripts {
            let by_balancer = runs_balancer && asks_for_the_balancer(&script.command.words);
            let known = before.iter().position(|t| t.script.name == script.name);
            let known = known.map(|at| before.swap_remove(at));
            if let Some(same) = known
                .as_ref()
                .filter(|t| t.script == script && t.by_balancer == by_balancer)
            {
                tracing::debug!("vrrp_script {}: runs on", same.script.name);
                self.tracks.extend(known);
                continue;
            }
            let passed = match known {
                Some(old) => {
                    end(&old);
                    old.passed
                }
                None => self.known.remove(&script.name),
            };
            let mut track = Track {
                script,
                by_balancer,
                passed,
                runner: None,
            };
            if by_balancer {
                tracing::info!(
                    "vrrp_script {}: `{}` is answered by this daemon's own balancer, at once, and not executed",
                    track.script.name,
                    track.command()
                );
            } else {
                track.runner = Some(self.run(&track, turned.clone()));
            }
            self.tracks.push(track);
        }
        before.iter().for_each(end);
    }

    fn run(&mut self, track: &Track, turned: impl Fn(Turn) + Send + 'static) -> (u64, AbortHandle) {
        self.last_runner += 1;
        let runner = self.last_runner;
        let mut script = track.script.clone();
        // `init_fail` is for scripts of which nothing is known.
        script.init_fail &= track.passed.is_none();
        let task = scripts::watch(script, move |passed, outcome| {
            let how = outcome.map_or_else(|| "init_fail".to_owned(), ToString::to_string);
            turned(Turn {
                runner,
                passed,
                how,
            });
        });
        (runner, self.runners.spawn(task))
    }

    /// No script runs from now on.
    pub fn end(&mut self) {
        self.runners.abort_all();
    }

    /// Takes note of a turn; what the speaker is to be told.
    pub fn turned(&mut self, turn: Turn) -> Option<(String, bool)> {
        let mut tracks = self.tracks.iter_mut();
        let track = tracks.find(|t| t.runner.as_ref().is_some_and(|(r, _)| *r == turn.runner))?;
        if track.passed.replace(turn.passed) != Some(turn.passed) {
            log(track, &turn.how);
        }
        Some((track.script.name.clone(), turn.passed))
    }

    /// The balancer serves or is lost; the names of the scripts that this answers.
    pub fn balancer_turned(&mut self, passed: bool) -> Vec<String> {
        let mut names = Vec::new();
        for track in self.tracks.iter_mut().filter(|track| track.by_balancer) {
            track.passed = Some(passed);
            log(
                track,
                if passed {
                    "the balancer serves"
                } else {
                    "the balancer does not serve"
                },
            );
            names.push(track.script.name.clone());
        }
        names
    }

    /// Scripts of which nothing is known yet, and that the balancer answers, pass.
    pub fn balancer_is_ready(&mut self) {
        for track in self.tracks.iter_mut().filter(|t| t.by_balancer) {
            track.passed.get_or_insert(true);
        }
    }

    /// The results that are known.
    pub fn results(&self) -> Vec<(String, bool)> {
        self.tracks
            .iter()
            .filter_map(|track| Some((track.script.name.clone(), track.passed?)))
            .collect()
    }

    /// What `status` shows.
    pub fn status(&self) -> Vec<status::Script> {
        let script = |track: &Track| status::Script {
            name: track.script.name.clone(),
            result: match track.passed {
                None => "unknown",
                Some(true) => "passes",
                Some(false) => "fails",
            }
            .to_owned(),
            answered_by: if track.by_balancer {
                "balancer".to_owned()
            } else {
                track.command()
            },
        };
        self.tracks.iter().map(script).collect()
    }
}

fn log(track: &Track, how: &str) {
    match track.passed {
        Some(true) => tracing::info!("vrrp_script {}: passes ({how})", track.script.name),
        _ => tracing::warn!("vrrp_script {}: fails ({how})", track.script.name),
    }
}

fn end(track: &Track) {
    if let Some((_, task)) = &track.runner {
        task.abort();
    }
}
