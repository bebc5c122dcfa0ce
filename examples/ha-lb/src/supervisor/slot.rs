//! The place of a child that is to run for as long as the daemon does: started, found dead, started again.

use std::{
    io,
    process::ExitStatus,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    backoff::Backoff,
    child::{Child, Report, Role, Room},
};
use crate::admin::status::Process;

static GENERATIONS: AtomicU64 = AtomicU64::new(0);

/// One child and its successors.
#[derive(Debug)]
pub struct Slot<T> {
    role: Role,
    child: Option<Child<T>>,
    /// Numbers the children of all slots; reports of earlier ones are recognised by it.
    generation: u64,
    /// How many there were.
    started: u32,
    backoff: Backoff,
    restart_at: Option<Instant>,
    ready: bool,
    ever_ready: bool,
    /// The child is killed to make room for another one.
    relieved: bool,
}

impl<T: Serialize + Send + Sync + 'static> Slot<T> {
    /// An empty place, to be filled at once. `resumed`: a child of the program before has served, so that no failure
    /// is the configuration's.
    pub fn new(role: Role, now: Instant, resumed: bool) -> Self {
        Self {
            role,
            child: None,
            generation: 0,
            started: 0,
            backoff: Backoff::default(),
            restart_at: Some(now),
            ready: false,
            ever_ready: resumed,
            relieved: false,
        }
    }

    /// When a child is to be started.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.restart_at
    }

    /// A child that is to be started later is started now.
    pub fn hurry(&mut self, now: Instant) {
        self.restart_at = self.restart_at.map(|_| now);
    }

    /// Whether a child is to be started now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.restart_at.is_some_and(|at| at <= now)
    }

    /// Starts a child called `name`.
    pub fn start<F: DeserializeOwned + Send + 'static>(
        &mut self,
        name: &str,
        report: impl Fn(u64, Report<F>, Room) + Send + Sync + 'static,
    ) -> io::Result<&Child<T>> {
        self.restart_at = None;
        self.started += 1;
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
        self.generation = generation;
        let report = move |said, room| report(generation, said, room);
        let child = Child::start(self.role, name, report)?;
        Ok(self.child.insert(child))
    }

    /// Whether a report comes from the child that runs now.
    pub fn is_current(&self, generation: u64) -> bool {
        self.child.is_some() && generation == self.generation
    }

    /// The number that its reports come with.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The child.
    pub fn child(&self) -> Option<&Child<T>> {
        self.child.as_ref()
    }

    /// The child reported that it serves; how long that took.
    pub fn is_ready(&mut self, now: Instant) -> Duration {
        self.ready = true;
        self.ever_ready = true;
        self.child
            .as_ref()
            .map_or(Duration::ZERO, |c| now.saturating_duration_since(c.started))
    }

    /// Whether it serves.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// Whether a child of this slot ever served; before that, a failure is the configuration's.
    pub fn ever_ready(&self) -> bool {
        self.ever_ready
    }

    /// Kills the child to make room for another one: its death is none that says anything.
    pub fn relieve(&mut self) {
        if let Some(child) = &self.child {
            child.kill();
            self.relieved = true;
        }
    }

    /// Whether the child was killed to make room for another one.
    pub fn is_relieved(&self) -> bool {
        self.relieved
    }

    /// Gives the child away, with the number of its reports.
    pub fn into_child(self) -> Option<(u64, Child<T>)> {
        Some((self.generation, self.child?))
    }

    /// The child is dead. Plans the next one if `again`, and logs what happened and will happen.
    pub fn gone(&mut self, status: ExitStatus, now: Instant, again: bool) {
        let Some(child) = self.child.take() else {
            return;
        };
        self.ready = false;
        self.relieved = false;
        let (role, pid) = (self.role, child.pid);
        let lived = now.saturating_duration_since(child.started).as_secs_f64();
        let how = describe(status);
        if !again {
            tracing::debug!("{role} (pid {pid}) {how}");
            return;
        }
        let wait = self.backoff.died(child.started, now);
        self.restart_at = Some(now + wait);
        if wait.is_zero() {
            tracing::error!("{role} (pid {pid}) {how} after {lived:.1} s: starting it again now");
        } else {
            let wait = wait.as_secs_f64();
            tracing::error!(
                "{role} (pid {pid}) {how} after {lived:.1} s: starting it again in {wait:.1} s"
            );
        }
    }

    /// A child could not even be started.
    pub fn not_started(&mut self, now: Instant) {
        self.restart_at = Some(now + self.backoff.died(now, now).max(Duration::from_millis(100)));
    }

    /// No further child is wanted.
    pub fn retire(&mut self) {
        self.restart_at = None;
    }

    /// What `status` shows, but for what the kernel knows.
    pub fn process(&self, now: Instant) -> Process {
        let started = self.child.as_ref().map(|child| child.started);
        Process {
            uptime: started.map(|at| now.saturating_duration_since(at).as_secs_f64()),
            pid: self.child.as_ref().map(|child| child.pid),
            ready: self.ready,
            restarts: self.started.saturating_sub(1),
            ..Process::default()
        }
    }
}

/// How a child ended.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended ({status})"),
    }
}
