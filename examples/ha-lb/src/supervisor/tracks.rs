//! The results of all track scripts: those that are executed, and those that this daemon's balancer answers.

use tokio::task::JoinSet;

use super::{
    liveness::asks_for_the_balancer,
    scripts::{self, Script},
};
use crate::admin::status;

/// A script's verdict turned.
#[derive(Debug)]
pub struct Turn {
    index: usize,
    passed: bool,
    how: String,
}

#[derive(Debug)]
struct Track {
    name: String,
    command: String,
    by_balancer: bool,
    passed: Option<bool>,
}

/// All scripts. Dropping it ends the executed ones.
#[derive(Debug)]
pub struct Tracks {
    tracks: Vec<Track>,
    _runners: JoinSet<()>,
}

impl Tracks {
    /// Starts the scripts, except those that ask for a balancer which this daemon itself runs.
    pub fn start(
        scripts: Vec<Script>,
        runs_balancer: bool,
        turned: impl Fn(Turn) + Clone + Send + 'static,
    ) -> Self {
        let mut tracks = Vec::new();
        let mut runners = JoinSet::new();
        for (index, script) in scripts.into_iter().enumerate() {
            let by_balancer = runs_balancer && asks_for_the_balancer(&script.command.words);
            let command = script.command.words.join(" ");
            if by_balancer {
                tracing::info!(
                    "vrrp_script {}: `{command}` is answered by this daemon's own balancer, at once, and not executed",
                    script.name
                );
            }
            tracks.push(Track {
                name: script.name.clone(),
                command,
                by_balancer,
                passed: None,
            });
            if !by_balancer {
                let turned = turned.clone();
                runners.spawn(scripts::watch(script, move |passed, outcome| {
                    let how = outcome.map_or_else(|| "init_fail".to_owned(), ToString::to_string);
                    turned(Turn { index, passed, how });
                }));
            }
        }
        Self {
            tracks,
            _runners: runners,
        }
    }

    /// Takes note of a turn; what the speaker is to be told.
    pub fn turned(&mut self, turn: Turn) -> Option<(String, bool)> {
        let track = self.tracks.get_mut(turn.index)?;
        track.passed = Some(turn.passed);
        log(track, &turn.how);
        Some((track.name.clone(), turn.passed))
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
            names.push(track.name.clone());
        }
        names
    }

    /// The results that are known.
    pub fn results(&self) -> Vec<(String, bool)> {
        self.tracks
            .iter()
            .filter_map(|track| Some((track.name.clone(), track.passed?)))
            .collect()
    }

    /// What `status` shows.
    pub fn status(&self) -> Vec<status::Script> {
        let script = |track: &Track| status::Script {
            name: track.name.clone(),
            result: match track.passed {
                None => "unknown",
                Some(true) => "passes",
                Some(false) => "fails",
            }
            .to_owned(),
            answered_by: if track.by_balancer {
                "balancer".to_owned()
            } else {
                track.command.clone()
            },
        };
        self.tracks.iter().map(script).collect()
    }
}

fn log(track: &Track, how: &str) {
    match track.passed {
        Some(true) => tracing::info!("vrrp_script {}: passes ({how})", track.name),
        _ => tracing::warn!("vrrp_script {}: fails ({how})", track.name),
    }
}
