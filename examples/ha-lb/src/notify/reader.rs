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

/// How long it may go on after SIGTERM.
const MERCY: Duration = Duration::from_secs(2);

/// A reader that is kept running.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    pid: Arc<Mutex<Option<u32>>>,
    log: Log,
    /// How long it may go on, once its fifo has ended or another one is to read it.
    left: watch::Sender<Option<Duration>>,
    keeper: JoinHandle<()>,
}

/// Who reads the fifo already.
#[derive(Debug)]
pub(super) enum Before {
    Nobody,
    /// The process that a program before this one has started, which goes on.
    Inherited(u32),
    /// Another reader, which ends first.
    Ends(JoinHandle<()>),
}

impl Reader {
    /// Starts it, inside a tokio runtime.
    pub(super) fn start(command: &Command, path: &Path, before: Before) -> Self {
        let mut command = command.clone();
        let name = path.display().to_string();
        command.words.push(name.clone());
        let (sender, left) = watch::channel(None);
        let inherited = match before {
            Before::Inherited(pid) => Some(pid),
            Before::Nobody | Before::Ends(_) => None,
        };
        let keeper = Keeper {
            name: name.clone(),
            command,
            pid: Arc::new(Mutex::new(inherited)),
            log: Log::default(),
            left,
        };
        Self {
            name,
            pid: Arc::clone(&keeper.pid),
            log: keeper.log.clone(),
            left: sender,
            keeper: tokio::spawn(async move {
                if let Before::Ends(other) = before {
                    let _ = other.await;
                }
                keeper.keep(inherited).await;
            }),
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

    /// It is to end by itself within this time, then by SIGTERM, then by SIGKILL. Whoever waits sees its end.
    pub(super) fn end(self, within: Duration) -> JoinHandle<()> {
        self.left.send_replace(Some(within));
        self.keeper
    }
}

struct Keeper {
    name: String,
    command: Command,
    pid: Arc<Mutex<Option<u32>>>,
    log: Log,
    left: watch::Receiver<Option<Duration>>,
}

impl Keeper {
    async fn keep(mut self, mut before: Option<u32>) {
        let mut backoff = Backoff::default();
        // One that was replaced before its turn came is not started to be ended at once: it might take lines with it.
        if before.is_none() && self.left.borrow().is_some() {
            return;
        }
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
            let ends = self.left.has_changed().unwrap_or(true) || self.left.borrow().is_some();
            if ends {
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
                _ = self.left.changed() => return,
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
            wait_or_end(&mut self.left, pid, &mut ends).await
        };
        Some(outcome(waited))
    }

    /// The reader of a program before this one, of whose end no more is known than when.
    async fn adopted(&mut self, pid: u32) -> Option<Outcome> {
        let mut ends = std::pin::pin!(adopted::ended(pid));
        wait_or_end(&mut self.left, Some(pid), &mut ends).await;
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

/// Waits for the end; once that is said asks for it, and then forces it. `None` if even that has no effect.
async fn wait_or_end<F: Future + Unpin>(
    left: &mut watch::Receiver<Option<Duration>>,
    pid: Option<u32>,
    ends: &mut F,
) -> Option<F::Output> {
    let within = tokio::select! {
        biased;
        ended = &mut *ends => return Some(ended),
        said = left.wait_for(Option::is_some) => said.ok().and_then(|left| *left),
    };
    let steps = [
        (None, within.unwrap_or_default()),
        (Some(false), MERCY),
        (Some(true), MERCY),
    ];
    for (kill, patience) in steps {
        if let (Some(kill), Some(pid)) = (kill, pid) {
            command::end(pid, kill);
        }
        if let Ok(ended) = timeout(patience, &mut *ends).await {
            return Some(ended);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_is_replaced_before_its_turn_is_never_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let command = Command {
            words: vec!["touch".to_owned()],
            ..Command::default()
        };
        let (ends, ended) = tokio::sync::oneshot::channel::<()>();
        let first = tokio::spawn(async { drop(ended.await) });
        let second = Reader::start(&command, &path, Before::Ends(first));
        let second = second.end(Duration::from_secs(5));
        let third_path = folder.path().join("third");
        let third = Reader::start(&command, &third_path, Before::Ends(second));
        ends.send(()).unwrap();
        let started = async {
            while !third_path.exists() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), started).await.unwrap();
        assert!(!path.exists());
        third.end(Duration::ZERO).await.unwrap();
    }
}
