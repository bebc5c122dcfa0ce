//! Alerts by mail (keepalived.conf(5), smtp_alert): what is sent when, and what becomes of it.
//!
//! Nothing waits for a mail server. A letter goes into the [`outbox`], and a process of its own, which has no right at
//! all, carries it to the server ([`courier`]); whatever the server answers is read there and nowhere else.

pub mod courier;
pub mod letter;
pub mod outbox;

use std::{
    io,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt as _, process::Command, task::AbortHandle, time::timeout};

use crate::{admin::status, config::keepalived, supervisor::memory};
use courier::Job;
use letter::Letter;
use outbox::Outbox;

/// The server may take its time for each of these: connection, greeting, EHLO, MAIL, RCPT, DATA, the letter.
const STEPS: u32 = 8;
/// However patient the file is.
const LONGEST: Duration = Duration::from_secs(300);

/// What the file says of mail, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Mail server and port.
    pub server: (String, u16),
    /// Recipients.
    pub to: Vec<String>,
    /// Sender.
    pub from: String,
    /// This host's name for the server.
    pub helo: String,
    /// This host's name among its kind.
    pub router_id: String,
    /// How long the server may take for each answer.
    pub timeout: Duration,
}

impl Settings {
    /// From the file; `None` without a server or recipients. keepalived: the host's name stands for what is not said.
    pub fn of(global: &keepalived::Global) -> Option<Self> {
        let mail = &global.mail;
        let system = rustix::system::uname();
        let host = || system.nodename().to_string_lossy().into_owned();
        let server = mail.server.clone()?;
        (!mail.to.is_empty()).then(|| Self {
            server,
            to: mail.to.clone(),
            from: mail
                .from
                .clone()
                .unwrap_or_else(|| format!("keepalived@{}", host())),
            helo: mail.helo.clone().unwrap_or_else(host),
            router_id: global.router_id.clone().unwrap_or_else(host),
            timeout: mail.timeout,
        })
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The server has taken it.
    Sent,
    /// It may be taken later.
    Later(String),
    /// It will never be taken.
    Never(String),
}

/// All letters of the daemon.
#[derive(Debug)]
pub struct Post {
    settings: Option<Settings>,
    outbox: Outbox,
    /// An attempt that is under way.
    flight: Option<AbortHandle>,
}

impl Post {
    /// With the letters that the program before this one left.
    pub fn new(settings: Option<Settings>, letters: Vec<Letter>, now: Instant) -> Self {
        let mut outbox = Outbox::default();
        for letter in letters {
            outbox.push(letter, false, now);
        }
        Self {
            settings,
            outbox,
            flight: None,
        }
    }

    /// Other settings from now on; what waits goes to the new server, at once.
    pub fn replan(&mut self, settings: Option<Settings>, now: Instant) {
        if self.settings != settings {
            self.settings = settings;
            self.outbox.hurry(now);
        }
    }

    /// Takes a letter in.
    pub fn push(&mut self, letter: Letter, now: Instant) {
        if self.settings.is_none() {
            return;
        }
        if let Some(lost) = self.outbox.push(letter, self.flight.is_some(), now) {
            tracing::warn!(
                "mail: too many wait, the oldest is given up: {}",
                lost.subject
            );
        }
    }

    /// When to call [`timeout`](Self::timeout).
    pub fn next_deadline(&self) -> Option<Instant> {
        let waits = self.flight.is_none() && self.settings.is_some();
        self.outbox.next_deadline().filter(|_| waits)
    }

    /// Sends what is due; `ended` hears how that ended, once.
    pub fn timeout(&mut self, now: Instant, ended: impl FnOnce(Attempt) + Send + 'static) {
        let due = self.next_deadline().is_some_and(|at| at <= now);
        let (Some(settings), Some(letter)) = (&self.settings, self.outbox.first()) else {
            return;
        };
        if due {
            let job = Job::new(settings, letter);
            let longest = settings.timeout.saturating_mul(STEPS).min(LONGEST);
            let task = tokio::spawn(async move { ended(attempt(&job, longest).await) });
            self.flight = Some(task.abort_handle());
        }
    }

    /// An attempt has ended.
    pub fn ended(&mut self, attempt: &Attempt, now: Instant) {
        self.flight = None;
        match attempt {
            Attempt::Sent => tracing::debug!("mail: sent"),
            Attempt::Later(why) if self.outbox.is_fine() => {
                tracing::warn!("mail: {why}; trying again");
            }
            Attempt::Later(why) => tracing::debug!("mail: {why}; trying again"),
            Attempt::Never(why) => tracing::error!("mail: {why}; the letter is given up"),
        }
        self.outbox.ended(attempt, now);
    }

    /// Nothing is sent from now on; what waits is left to the next program.
    pub fn end(&mut self) -> Vec<Letter> {
        if let Some(flight) = self.flight.take() {
            flight.abort();
        }
        self.letters()
    }

    /// What waits, the oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        self.outbox.letters().cloned().collect()
    }

    /// What `status` shows.
    pub fn status(&self, now: Instant) -> Option<status::Mail> {
        let settings = self.settings.as_ref()?;
        let (host, port) = &settings.server;
        let server = format!("{host}:{port}");
        Some(self.outbox.status(server, self.flight.is_some(), now))
    }
}

/// Carries one letter, in a process of its own that is killed if it takes too long.
async fn attempt(job: &Job, longest: Duration) -> Attempt {
    let carry = async {
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg(courier::SUBCOMMAND);
        let mut command = Command::from(command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(pid) = child.id() {
            memory::ordinary(pid);
        }
        let job = serde_json::to_vec(job).map_err(io::Error::other)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&job).await?;
        }
        child.wait_with_output().await
    };
    match timeout(longest, carry).await {
        Ok(Ok(output)) => courier::attempt_of(&output),
        Ok(Err(error)) => Attempt::Later(format!("no courier: {error}")),
        Err(_) => Attempt::Later(format!("the server took longer than {longest:?}")),
    }
}
