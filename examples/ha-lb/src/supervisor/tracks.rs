//! All that routers track but interfaces: scripts that are executed, scripts that this daemon's balancer answers, files
//! and processes. What is found is remembered here, for a speaker that is started again and for `status`.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::Instant,
};

use tokio::task::{AbortHandle, JoinSet};

pub mod file;
pub mod process;

use super::{
    liveness::asks_for_the_balancer,
    scripts::{self, Script},
};
use crate::{
    admin::status,
    ipc::watched::{Finding, Kind, Watched},
};
use file::FileWatch;
use process::ProcessWatch;

/// One thing that is to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// A `vrrp_script`.
    Script(Script),
    /// A `track_file`.
    File(FileWatch),
    /// A `vrrp_track_process`.
    Process(ProcessWatch),
}

/// What a watcher has to say.
#[derive(Debug)]
pub enum News {
    /// Its verdict has turned: why.
    Found(Finding, String),
    /// A script has been run; when it is run again.
    Ran(status::Run, Instant),
    /// That many processes run.
    Counted(u32),
}

/// News of one of the watchers.
#[derive(Debug)]
pub struct Turn {
    runner: u64,
    news: News,
}

/// Becomes readable when a watcher is to end.
type Stopped = OwnedFd;

/// A task, or the other end of a thread's [`Stopped`].
#[derive(Debug)]
enum Runner {
    Task(AbortHandle),
    Thread { _stop: UnixStream },
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

#[derive(Debug)]
struct Track {
    watch: Watch,
    by_balancer: bool,
    found: Option<Finding>,
    count: Option<u32>,
    run: Option<status::Run>,
    next_run: Option<Instant>,
    /// Whoever watches, by number.
    runner: Option<(u64, Runner)>,
}

impl Watch {
    fn watched(&self) -> Watched {
        let (kind, name) = match self {
            Self::Script(script) => (Kind::Script, &script.name),
            Self::File(file) => (Kind::File, &file.name),
            Self::Process(process) => (Kind::Process, &process.name),
        };
        Watched::new(kind, name.as_str())
    }

    fn asks_for_the_balancer(&self) -> bool {
        match self {
            Self::Script(script) => asks_for_the_balancer(&script.command.words),
            Self::File(_) => false,
            // As `pidof` would; a number of them is another question.
            Self::Process(process) => {
                let asks = asks_for_the_balancer(&["pidof".to_owned(), process.program.clone()]);
                asks && !process.full_command
                    && process.quorum.least == 1
                    && process.quorum.most.is_none()
            }
        }
    }

    /// What is looked at.
    fn subject(&self) -> String {
        match self {
            Self::Script(script) => script.command.words.join(" "),
            Self::File(file) => file.path.display().to_string(),
            Self::Process(process) => process.program.clone(),
        }
    }
}

/// Everything that is watched. Dropping it ends all watchers.
#[derive(Debug, Default)]
pub struct Tracks {
    tracks: Vec<Track>,
    /// What the program before this one had found.
    known: Vec<(Watched, Finding)>,
    resumed: bool,
    last_runner: u64,
    runners: JoinSet<()>,
}

impl Tracks {
    /// Nothing is watched yet; `known` is what the program before this one had found, if there was one.
    pub fn knowing(known: Vec<(Watched, Finding)>, resumed: bool) -> Self {
        Self {
            known,
            resumed,
            ..Self::default()
        }
    }

    /// Goes over to what another configuration watches, except what asks for a balancer which this daemon itself runs:
    /// what is the same is watched on undisturbed, what is watched otherwise keeps its result until there is another
    /// one.
    pub fn replan(
        &mut self,
        watches: Vec<Watch>,
        runs_balancer: bool,
        turned: impl Fn(Turn) + Clone + Send + 'static,
    ) {
        while self.runners.try_join_next().is_some() {}
        let mut before = std::mem::take(&mut self.tracks);
        for watch in watches {
            let by_balancer = runs_balancer && watch.asks_for_the_balancer();
            let watched = watch.watched();
            let known = before.iter().position(|t| t.watch.watched() == watched);
            let known = known.map(|at| before.swap_remove(at));
            let same = |t: &&Track| t.watch == watch && t.by_balancer == by_balancer;
            if known.as_ref().is_some_and(|t| same(&t)) {
                self.tracks.extend(known);
                continue;
            }
            let found = known.map_or_else(
                || {
                    let known = self.known.iter().find(|(known, _)| *known == watched);
                    known.map(|(_, finding)| *finding)
                },
                |old| old.found,
            );
            let mut track = Track {
                watch,
                by_balancer,
                found,
                count: None,
                run: None,
                next_run: None,
                runner: None,
            };
            if by_balancer {
                tracing::info!(
                    "{watched}: `{}` is answered by this daemon's own balancer, at once, and not looked for",
                    track.watch.subject()
                );
            } else {
                track.runner = self.run(&track, turned.clone());
            }
            self.tracks.push(track);
        }
        self.resumed = false;
        self.known.clear();
    }

    fn run(
        &mut self,
        track: &Track,
        turned: impl Fn(Turn) + Send + 'static,
    ) -> Option<(u64, Runner)> {
        self.last_runner += 1;
        let runner = self.last_runner;
        let report = move |news| turned(Turn { runner, news });
        let runs = match track.watch.clone() {
            Watch::Script(mut script) => {
                // `init_fail` is for scripts of which nothing is known.
                script.init_fail &= track.found.is_none();
                Ok(Runner::Task(
                    self.runners.spawn(scripts::watch(script, report)),
                ))
            }
            Watch::File(file) => {
                let resumed = self.resumed;
                thread(move |stopped| file::watch(&file, resumed, stopped, report))
            }
            Watch::Process(process) => {
                thread(move |stopped| process::watch(&process, stopped, report))
            }
        };
        match runs {
            Ok(runs) => Some((runner, runs)),
            Err(error) => {
                tracing::error!("{} cannot be watched: {error}", track.watch.watched());
                None
            }
        }
    }

    /// Nothing is watched from now on.
    pub fn end(&mut self) {
        self.runners.abort_all();
        self.tracks.iter_mut().for_each(|track| track.runner = None);
    }

    /// Takes note of a turn; what the speaker is to be told.
    pub fn turned(&mut self, turn: Turn) -> Option<(Watched, Finding)> {
        let mut tracks = self.tracks.iter_mut();
        let track = tracks.find(|t| t.runner.as_ref().is_some_and(|(r, _)| *r == turn.runner))?;
        match turn.news {
            News::Found(finding, how) => {
                if track.found.replace(finding) != Some(finding) {
                    log(track, &how);
                }
                Some((track.watch.watched(), finding))
            }
            News::Ran(run, next) => {
                (track.run, track.next_run) = (Some(run), Some(next));
                None
            }
            News::Counted(count) => {
                track.count = Some(count);
                None
            }
        }
    }

    /// The balancer serves or is lost; what this answers.
    pub fn balancer_turned(&mut self, passed: bool) -> Vec<Watched> {
        let mut answered = Vec::new();
        for track in self.tracks.iter_mut().filter(|track| track.by_balancer) {
            track.found = Some(passed.into());
            log(
                track,
                if passed {
                    "the balancer serves"
                } else {
                    "the balancer does not serve"
                },
            );
            answered.push(track.watch.watched());
        }
        answered
    }

    /// Scripts of which nothing is known yet, and that the balancer answers, pass.
    pub fn balancer_is_ready(&mut self) {
        for track in self.tracks.iter_mut().filter(|t| t.by_balancer) {
            track.found.get_or_insert(Finding::Passes);
        }
    }

    /// What is known.
    pub fn findings(&self) -> Vec<(Watched, Finding)> {
        let known = |track: &Track| Some((track.watch.watched(), track.found?));
        self.tracks.iter().filter_map(known).collect()
    }

    /// The results of scripts that are known.
    pub fn results(&self) -> Vec<(String, bool)> {
        let scripts = self.findings().into_iter();
        let scripts = scripts.filter(|(watched, _)| watched.kind == Kind::Script);
        let results = scripts.map(|(watched, found)| (watched.name, found == Finding::Passes));
        results.collect()
    }

    /// What `status` shows.
    pub fn status(&self, now: Instant) -> Vec<status::Script> {
        let script = |track: &Track| {
            let watched = track.watch.watched();
            let until = |at: Instant| at.saturating_duration_since(now).as_secs_f64();
            status::Script {
                kind: watched.kind.word().to_owned(),
                name: watched.name,
                result: match track.found {
                    None => "unknown",
                    Some(Finding::Passes) => "passes",
                    Some(Finding::Fails) => "fails",
                    Some(Finding::Value(_)) => "value",
                }
                .to_owned(),
                value: match track.found {
                    Some(Finding::Value(value)) => Some(i64::from(value)),
                    _ => track.count.map(i64::from),
                },
                answered_by: if track.by_balancer {
                    "balancer".to_owned()
                } else {
                    track.watch.subject()
                },
                last_run: track.run.clone(),
                next_run_in: track.next_run.map(until),
            }
        };
        self.tracks.iter().map(script).collect()
    }
}

/// A watcher on a thread, because what it reads may keep it waiting. One that does not come back is left behind.
fn thread(watch: impl FnOnce(&Stopped) + Send + 'static) -> io::Result<Runner> {
    let (stop, stopped) = UnixStream::pair()?;
    let stopped: Stopped = stopped.into();
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || watch(&stopped))?;
    Ok(Runner::Thread { _stop: stop })
}

fn log(track: &Track, how: &str) {
    let watched = track.watch.watched();
    match track.found {
        Some(Finding::Passes) => tracing::info!("{watched}: passes ({how})"),
        Some(Finding::Value(value)) => tracing::info!("{watched}: {value} ({how})"),
        Some(Finding::Fails) | None => tracing::warn!("{watched}: fails ({how})"),
    }
}
