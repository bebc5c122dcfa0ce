//! `vrrp_notify_fifo_script` (keepalived.conf(5)): a program that reads a fifo for as long as the daemon runs.
//!
//! One that ends by itself is started again, after a while that grows if it ends at once (keepalived leaves the fifo
//! without a reader then). Lines wait in the fifo meanwhile.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::log::Log;
use crate::{
    admin::status,
    supervisor::{
        adopted,
        backoff::Backoff,
        command::{self, Command, Outcome},
    },
};

/// How long a reader may take for what stands in a fifo that has ended.
const LAST_LINES: Duration = Duration::from_secs(60);
/// How long it may go on after SIGTERM.
const MERCY: Duration = Duration::from_secs(2);

/// How its time ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It runs.
    Go,
    /// It is to end by itself, within this time.
    Within(Duration),
}

/// A reader that is kept running.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    pid: Arc<Mutex<Option<u32>>>,
    log: Log,
    word: watch::Sender<Word>,
    keeper: JoinHandle<()>,
}

impl Reader {
    /// Starts it; `before` is one that runs already. Inside a tokio runtime.
    pub(super) fn start(command: &Command, path: &Path, before: Option<u32>) -> Self {
        let mut command = command.clone();
        let name = path.display().to_string();
        command.words.push(name.clone());
        let (word, words) = watch::channel(Word::Go);
        let keeper = Keeper {
            name: name.clone(),
            command,
            pid: Arc::new(Mutex::new(before)),
            log: Log::default(),
            words,
        };
        Self {
            name,
            pid: Arc::clone(&keeper.pid),
            log: keeper.log.clone(),
            word,
            keeper: tokio::spawn(keeper.keep(before)),
        }
    }

    /// Its process, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        *self.pid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For `status`.
    pub(super) fn status(&self) -> status::Notify {
        self.log.status(("FIFO", &self.name))
    }

    /// Its fifo has ended, or with `at_once` is no longer its own: it ends on its own time, nobody waits for it.
    pub(super) fn retire(self, at_once: bool) {
        let within = if at_once { Duration::ZERO } else { LAST_LINES };
        self.word.send_replace(Word::Within(within));
    }

    /// Its fifo has ended: waits until it has ended too.
    pub(super) async fn end(self, within: Duration) {
        self.word.send_replace(Word::Within(within));
        // It ends by SIGKILL at the latest.
        let _ = self.keeper.await;
    }
}

struct Keeper {
    name: String,
    command: Command,
    pid: Arc<Mutex<Option<u32>>>,
    log: Log,
    words: watch::Receiver<Word>,
}

impl Keeper {
    async fn keep(mut self, mut before: Option<u32>) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            self.log.started(&self.command);
            let outcome = match before.take() {
                Some(pid) => self.adopted(pid).await,
                None => self.run().await,
            };
            self.says(None);
            let words = &self.command.words;
            let ended = outcome.as_ref().map(|outcome| outcome.to_string());
            if let Some(outcome) = &outcome {
                self.log
                    .ended(status::Run::of(words, outcome, began.elapsed()));
            }
            let word = *self.words.borrow();
            if word != Word::Go {
                return;
            }
            let pause = backoff.died(began, Instant::now());
            let (name, how) = (&self.name, ended.unwrap_or_else(|| "ended".to_owned()));
            tracing::warn!(
                "reader of {name}: `{}`: {how}: it is started again in {} ms",
                words.join(" "),
                pause.as_millis()
            );
            tokio::select! {
                () = sleep(pause) => {}
                _ = self.words.changed() => return,
            }
        }
    }

    fn says(&self, pid: Option<u32>) {
        *self.pid.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    }

    async fn run(&mut self) -> Option<Outcome> {
        let mut child = match self.command.start() {
            Ok(child) => child,
            Err(error) => return Some(Outcome::NotStarted(error)),
        };
        let pid = child.id();
        self.says(pid);
        let waited = {
            let mut ends = std::pin::pin!(child.wait());
            wait_or_end(&mut self.words, pid, &mut ends).await
        };
        Some(outcome(waited))
    }

    /// The reader of a program before this one, of whose end no more is known than when.
    async fn adopted(&mut self, pid: u32) -> Option<Outcome> {
        let mut ends = std::pin::pin!(adopted::ended(pid));
        wait_or_end(&mut self.words, Some(pid), &mut ends).await;
        None
    }
}

fn outcome(waited: Option<io::Result<std::process::ExitStatus>>) -> Outcome {
    match waited {
        Some(Ok(status)) => Outcome::Exited(status),
        Some(Err(error)) => Outcome::NotStarted(error),
        None => Outcome::Stuck,
    }
}

/// Waits for the end, and when the word says so asks for it and forces it. `None` if even that has no effect.
async fn wait_or_end<F: Future + Unpin>(
    words: &mut watch::Receiver<Word>,
    pid: Option<u32>,
    ends: &mut F,
) -> Option<F::Output> {
    let within = tokio::select! {
        biased;
        ended = &mut *ends => return Some(ended),
        within = limit(words) => within,
    };
    for (kill, patience) in [(None, within), (Some(false), MERCY), (Some(true), MERCY)] {
        if let (Some(kill), Some(pid)) = (kill, pid) {
            command::end(pid, kill);
        }
        if let Ok(ended) = timeout(patience, &mut *ends).await {
            return Some(ended);
        }
    }
    None
}

/// How long it may go on, once that is said. Nobody who could say it any more is nobody who waits.
async fn limit(words: &mut watch::Receiver<Word>) -> Duration {
    let said = words.wait_for(|word| *word != Word::Go).await;
    match said.map(|word| *word) {
        Ok(Word::Within(within)) => within,
        _ => Duration::ZERO,
    }
}
