//! notify_master, notify_backup, notify_fault, notify_stop and `notify` (keepalived.conf(5)): run after each
//! change of state, one after the other for each instance and each sync group, so that a later one never overtakes an
//! earlier one; and notify_master_rx_lower_pri, in the same queue. Fifos get a line for each of these.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::timeout,
};

pub mod fifo;

use fifo::Fifo;

use crate::{
    admin::status::State,
    ipc::message::Transition,
    supervisor::command::{Command, Outcome},
};

/// A script that hangs may not hold up the next change of state for ever.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the daemon waits for the last scripts when it stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whose change it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An instance, by name.
    Instance(String),
    /// A sync group, by name.
    Group(String),
}

impl Subject {
    /// keepalived's word for its kind, and its name.
    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Instance(name) => ("INSTANCE", name),
            Self::Group(name) => ("GROUP", name),
        }
    }
}

/// The scripts of one instance or sync group.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify_deleted`.
    pub deleted: Option<Command>,
    /// Whether `notify_deleted` is there, perhaps without a script.
    pub says_deleted: bool,
    /// `notify`, which gets `INSTANCE name state priority`, or `GROUP name state 0`, after its own arguments.
    pub any: Option<Command>,
    /// `notify_master_rx_lower_pri`.
    pub lower_priority: Option<Command>,
}

impl Hooks {
    /// What is to be run for a change of state, in order.
    pub fn commands(&self, subject: &Subject, state: State, priority: u8) -> Vec<Command> {
        let own = match state {
            State::Active => &self.master,
            State::Backup => &self.backup,
            State::Fault => &self.fault,
            State::Initialize => &self.stop,
        };
        let any = self.any(subject, state.keepalived_name(), priority);
        own.iter().cloned().chain(any).collect()
    }

    fn any(&self, subject: &Subject, state: &str, priority: u8) -> Option<Command> {
        let mut command = self.any.clone()?;
        let (kind, name) = subject.words();
        command.words.extend([
            kind.to_owned(),
            name.to_owned(),
            state.to_owned(),
            priority.to_string(),
        ]);
        Some(command)
    }

    fn is_empty(&self) -> bool {
        [
            &self.master,
            &self.backup,
            &self.fault,
            &self.stop,
            &self.deleted,
            &self.any,
            &self.lower_priority,
        ]
        .into_iter()
        .all(Option::is_none)
            && !self.says_deleted
    }
}

/// Runs the scripts of all instances and sync groups.
#[derive(Debug, Default)]
pub struct Notifier {
    queues: BTreeMap<Subject, (Hooks, UnboundedSender<Command>)>,
    runners: JoinSet<()>,
    /// Scripts that run or wait.
    pending: Arc<AtomicUsize>,
    fifos: Vec<Fifo>,
}

impl Notifier {
    /// One queue for each subject that has scripts; inside a tokio runtime.
    pub fn new(subjects: impl IntoIterator<Item = (Subject, Hooks)>) -> Self {
        let mut notifier = Self::default();
        notifier.replan(subjects);
        notifier
    }

    /// Other scripts from now on. What is queued runs in its order, nothing is run again, and an instance that is
    /// gone keeps its scripts for its last change of state.
    pub fn replan(&mut self, subjects: impl IntoIterator<Item = (Subject, Hooks)>) {
        for (subject, hooks) in subjects {
            if let Some((known, _)) = self.queues.get_mut(&subject) {
                *known = hooks;
                continue;
            }
            if hooks.is_empty() {
                continue;
            }
            let (queue, jobs) = unbounded_channel();
            let pending = Arc::clone(&self.pending);
            self.runners
                .spawn(run_in_order(subject.words().1.to_owned(), jobs, pending));
            self.queues.insert(subject, (hooks, queue));
        }
    }

    /// From now on these hear of everything too.
    #[must_use]
    pub fn with_fifos(mut self, fifos: Vec<Fifo>) -> Self {
        self.fifos = fifos;
        self
    }

    /// Other fifos from now on; those that come without one are there already.
    pub fn change_fifos(&mut self, wanted: Vec<(PathBuf, Option<Fifo>)>) {
        let mut before = std::mem::take(&mut self.fifos);
        for (path, fifo) in wanted {
            let known = before.iter().position(|fifo| *fifo.path() == path);
            let known = known.map(|at| before.swap_remove(at));
            self.fifos.extend(fifo.or(known));
        }
    }

    /// The fifos.
    pub fn fifos(&self) -> &[Fifo] {
        &self.fifos
    }

    /// Whether no script runs or waits.
    pub fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Queues the scripts of a change of state.
    pub fn changed(&mut self, transition: &Transition) {
        let subject = Subject::Instance(transition.instance.clone());
        self.run(&subject, transition.to, transition.priority);
    }

    /// Queues the scripts of a change of state of a sync group, which has no priority.
    pub fn group_changed(&mut self, group: &str, state: State) {
        self.run(&Subject::Group(group.to_owned()), state, 0);
    }

    fn run(&mut self, subject: &Subject, state: State, priority: u8) {
        for fifo in &mut self.fifos {
            fifo.tell(subject.words(), state.keepalived_name(), priority);
        }
        if let Some((hooks, queue)) = self.queues.get(subject) {
            for command in hooks.commands(subject, state, priority) {
                self.pending.fetch_add(1, Ordering::AcqRel);
                let _ = queue.send(command);
            }
        }
    }

    /// The same for an instance that a reload has taken away: keepalived.conf(5), notify_deleted: DELETED instead of
    /// FAULT.
    pub fn deleted(&mut self, transition: &Transition) {
        let subject = Subject::Instance(transition.instance.clone());
        let hooks = self.queues.get(&subject);
        let says_so = hooks.is_some_and(|(hooks, _)| hooks.says_deleted);
        let state = if says_so { "DELETED" } else { "FAULT" };
        for fifo in &mut self.fifos {
            fifo.tell(subject.words(), state, transition.priority);
        }
        let Some((hooks, queue)) = hooks else {
            return;
        };
        let own = if says_so {
            &hooks.deleted
        } else {
            &hooks.fault
        };
        let any = hooks.any(&subject, state, transition.priority);
        for command in own.iter().cloned().chain(any) {
            self.pending.fetch_add(1, Ordering::AcqRel);
            let _ = queue.send(command);
        }
    }

    /// Tells the fifos, and only these, that tracking changed the priority of an instance.
    pub fn priority_changed(&mut self, instance: &str, active: bool, priority: u8) {
        let word = match active {
            true => "MASTER_PRIORITY",
            false => "BACKUP_PRIORITY",
        };
        for fifo in &mut self.fifos {
            fifo.tell(("INSTANCE", instance), word, priority);
        }
    }

    /// Queues the script of an instance that is master and heard a lower priority.
    pub fn lower_priority(&mut self, instance: &str, priority: u8) {
        let subject = Subject::Instance(instance.to_owned());
        for fifo in &mut self.fifos {
            fifo.tell(subject.words(), "MASTER_RX_LOWER_PRI", priority);
        }
        if let Some((hooks, queue)) = self.queues.get(&subject)
            && let Some(command) = &hooks.lower_priority
        {
            self.pending.fetch_add(1, Ordering::AcqRel);
            let _ = queue.send(command.clone());
        }
    }

    /// Waits a short time for what is queued.
    pub async fn finish(&mut self) {
        self.queues.clear();
        let all = async { while self.runners.join_next().await.is_some() {} };
        let _ = timeout(FAREWELL, all).await;
    }
}

async fn run_in_order(
    name: String,
    mut jobs: UnboundedReceiver<Command>,
    pending: Arc<AtomicUsize>,
) {
    while let Some(command) = jobs.recv().await {
        let outcome = command.run(LONGEST).await;
        if !matches!(&outcome, Outcome::Exited(status) if status.success()) {
            tracing::warn!(
                "{name}: notify script `{}`: {outcome}",
                command.words.join(" ")
            );
        }
        pending.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Command {
        Command {
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            ..Command::default()
        }
    }

    fn transition(from: State, to: State) -> Transition {
        Transition {
            instance: "VI_1".to_owned(),
            from,
            to,
            reason: String::new(),
            priority: 101,
        }
    }

    #[test]
    fn the_state_s_own_script_gets_no_words_and_notify_gets_four_after_its_own() {
        let hooks = Hooks {
            master: Some(command(&["/m", "a b"])),
            any: Some(command(&["/n", "x"])),
            ..Hooks::default()
        };
        let subject = Subject::Instance("VI_1".to_owned());
        let run = hooks.commands(&subject, State::Active, 101);
        assert_eq!(
            run,
            [
                command(&["/m", "a b"]),
                command(&["/n", "x", "INSTANCE", "VI_1", "MASTER", "101"])
            ]
        );
        let run = hooks.commands(&subject, State::Initialize, 101);
        assert_eq!(
            run,
            [command(&["/n", "x", "INSTANCE", "VI_1", "STOP", "101"])]
        );
        let group = Subject::Group("VG".to_owned());
        let run = hooks.commands(&group, State::Fault, 0);
        assert_eq!(run, [command(&["/n", "x", "GROUP", "VG", "FAULT", "0"])]);
    }

    #[test]
    fn scripts_of_one_instance_run_in_order_even_if_the_first_is_slow() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let line = |delay: &str, word: &str| {
            let text = format!("sleep {delay}; echo {word} >> {}", log.display());
            command(&["sh", "-c", &text])
        };
        let hooks = Hooks {
            master: Some(line("0.3", "master")),
            backup: Some(line("0", "backup")),
            ..Hooks::default()
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let mut notifier = Notifier::new([(Subject::Instance("VI_1".to_owned()), hooks)]);
                notifier.changed(&transition(State::Backup, State::Active));
                notifier.changed(&transition(State::Active, State::Backup));
                notifier.finish().await;
            });
        assert_eq!(std::fs::read_to_string(log).unwrap(), "master\nbackup\n");
    }
}
