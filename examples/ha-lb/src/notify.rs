//! notify_master, notify_backup, notify_fault, notify_stop and `notify` (keepalived.conf(5)): run after each
//! change of state, one after the other for each instance and each sync group, so that a later one never overtakes an
//! earlier one; and notify_master_rx_lower_pri, in the same queue. When too many wait the oldest are dropped, and the end
//! of an instance supersedes all that wait. Fifos get a line for each of these.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::timeout,
};

pub mod fifo;
mod log;
mod reader;

use fifo::{Fifo, Wanted};
use log::Log;

use crate::{
    admin::status::{self, State},
    config::keepalived::Notify,
    ipc::message::Transition,
    supervisor::command::Command,
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
pub type Hooks = Notify<Command>;

impl Notify<Command> {
    /// What is to be run for a change of state, in order.
    pub fn due(&self, subject: &Subject, state: State, priority: u8) -> Vec<Command> {
        let own = match state {
            State::Active => &self.master,
            State::Backup => &self.backup,
            State::Fault => &self.fault,
            State::Initialize => &self.stop,
        };
        let any = self.any_of(subject, state.keepalived_name(), priority);
        own.iter().cloned().chain(any).collect()
    }

    fn any_of(&self, subject: &Subject, state: &str, priority: u8) -> Option<Command> {
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
        self.all().next().is_none() && !self.says_deleted
    }
}

/// The scripts of one instance or sync group, in their order.
#[derive(Debug)]
struct Queue {
    hooks: Hooks,
    /// Wakes the runner; what is to be run is in the log.
    wake: Sender<()>,
    log: Log,
}

/// Runs the scripts of all instances and sync groups.
#[derive(Debug, Default)]
pub struct Notifier {
    queues: BTreeMap<Subject, Queue>,
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
            if let Some(known) = self.queues.get_mut(&subject) {
                known.hooks = hooks;
                continue;
            }
            if hooks.is_empty() {
                continue;
            }
            let (wake, woken) = channel(1);
            let (name, log) = (subject.words().1.to_owned(), Log::default());
            let pending = Arc::clone(&self.pending);
            self.runners
                .spawn(run_in_order(name, woken, log.clone(), pending));
            self.queues.insert(subject, Queue { hooks, wake, log });
        }
    }

    /// From now on these hear of everything too.
    #[must_use]
    pub fn with_fifos(mut self, fifos: Vec<Fifo>) -> Self {
        self.fifos = fifos;
        self.fifos.iter_mut().for_each(Fifo::begin);
        self
    }

    /// Other fifos from now on; those that come without one are there already.
    pub fn change_fifos(&mut self, wanted: Vec<(Wanted, Option<Fifo>)>) {
        let mut before = std::mem::take(&mut self.fifos);
        for (wanted, fifo) in wanted {
            let known = before.iter().position(|fifo| *fifo.path() == wanted.path);
            let known = known.map(|at| before.swap_remove(at));
            let fifo = match (fifo, known) {
                (Some(mut new), _) => {
                    new.begin();
                    new
                }
                (None, Some(mut known)) => {
                    known.change(wanted);
                    known
                }
                (None, None) => continue,
            };
            self.fifos.push(fifo);
        }
        for ended in before {
            // Nobody waits for its reader.
            drop(ended.close(FAREWELL));
        }
    }

    /// `fifo_write_vrrp_states_on_reload`: the states of instances and of sync groups, in their order.
    pub fn tell_states<'a>(
        &mut self,
        instances: impl Iterator<Item = (&'a str, State, u8)>,
        groups: impl Iterator<Item = (&'a str, State)>,
    ) {
        for (name, state, priority) in instances {
            let subject = Subject::Instance(name.to_owned());
            self.tell(&subject, state.keepalived_name(), priority);
        }
        for (name, state) in groups {
            self.tell(&Subject::Group(name.to_owned()), state.keepalived_name(), 0);
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
        self.tell(subject, state.keepalived_name(), priority);
        if state == State::Initialize {
            self.supersede(subject);
        }
        self.queue(subject, |hooks| hooks.due(subject, state, priority));
    }

    fn tell(&mut self, subject: &Subject, word: &str, priority: u8) {
        for fifo in &mut self.fifos {
            fifo.tell(subject.words(), word, priority);
        }
    }

    fn queue(&self, subject: &Subject, commands: impl FnOnce(&Hooks) -> Vec<Command>) {
        let Some(queue) = self.queues.get(subject) else {
            return;
        };
        for command in commands(&queue.hooks) {
            self.pending.fetch_add(1, Ordering::AcqRel);
            let dropped = queue.log.waits(command);
            self.dropped(subject, dropped);
            // A full channel wakes the runner as well.
            let _ = queue.wake.try_send(());
        }
    }

    /// What is told of the end of an instance runs next, whatever waits.
    fn supersede(&self, subject: &Subject) {
        if let Some(queue) = self.queues.get(subject) {
            self.dropped(subject, queue.log.supersede());
        }
    }

    fn dropped(&self, subject: &Subject, count: usize) {
        if count > 0 {
            self.pending.fetch_sub(count, Ordering::AcqRel);
            let (_, name) = subject.words();
            tracing::warn!("{name}: notify scripts that waited are not run any more: {count}");
        }
    }

    /// The same for an instance that a reload has taken away: keepalived.conf(5), notify_deleted: DELETED instead of
    /// FAULT.
    pub fn deleted(&mut self, transition: &Transition) {
        let subject = Subject::Instance(transition.instance.clone());
        let says_so = self.says_deleted(&subject);
        let (state, priority) = (
            if says_so { "DELETED" } else { "FAULT" },
            transition.priority,
        );
        self.tell(&subject, state, priority);
        self.queue(&subject, |hooks| {
            // Without `notify_deleted` the word alone is FAULT: `notify_fault` is not run.
            let any = hooks.any_of(&subject, state, priority);
            hooks.deleted.iter().cloned().chain(any).collect()
        });
    }

    /// The same for a sync group, of which nothing is told without `notify_deleted`.
    pub fn group_deleted(&mut self, group: &str) {
        let subject = Subject::Group(group.to_owned());
        if self.says_deleted(&subject) {
            self.tell(&subject, "DELETED", 0);
            self.queue(&subject, |hooks| {
                let any = hooks.any_of(&subject, "DELETED", 0);
                hooks.deleted.iter().cloned().chain(any).collect()
            });
        }
    }

    fn says_deleted(&self, subject: &Subject) -> bool {
        let queue = self.queues.get(subject);
        queue.is_some_and(|queue| queue.hooks.says_deleted)
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
        self.tell(&subject, "MASTER_RX_LOWER_PRI", priority);
        self.queue(&subject, |hooks| {
            hooks.master_rx_lower_priority.iter().cloned().collect()
        });
    }

    /// What has become of the scripts.
    pub fn status(&self) -> Vec<status::Notify> {
        let queues = self.queues.iter();
        let told = queues.map(|(subject, queue)| queue.log.status(subject.words()));
        let readers = self.fifos.iter().filter_map(Fifo::reader_status);
        told.chain(readers).collect()
    }

    /// Waits a short time for what is queued.
    pub async fn finish(&mut self) {
        let queues = std::mem::take(&mut self.queues);
        let logs: Vec<(Subject, Log)> = queues.into_iter().map(|(s, q)| (s, q.log)).collect();
        let all = async { while self.runners.join_next().await.is_some() {} };
        let _ = timeout(FAREWELL, all).await;
        // Nothing more is written: the readers come to the end.
        let fifos = std::mem::take(&mut self.fifos).into_iter();
        let readers: Vec<_> = fifos.filter_map(|fifo| fifo.close(FAREWELL)).collect();
        for reader in readers {
            let _ = reader.await;
        }
        for (subject, log) in logs {
            let left = log.status(subject.words());
            if let Some(command) = left.running {
                let (name, waiting) = (left.name, left.waiting);
                tracing::warn!(
                    "{name}: notify script `{command}` is still running, {waiting} more wait: they are given up"
                );
            }
        }
    }
}

async fn run_in_order(name: String, mut woken: Receiver<()>, log: Log, pending: Arc<AtomicUsize>) {
    loop {
        while let Some((command, began)) = log.begins() {
            let outcome = command.run(LONGEST).await;
            log.ended(status::Run::of(&command.words, &outcome, began.elapsed()));
            if !outcome.passed() {
                let words = command.words.join(" ");
                tracing::warn!("{name}: notify script `{words}`: {outcome}");
            }
            pending.fetch_sub(1, Ordering::AcqRel);
        }
        if woken.recv().await.is_none() {
            return;
        }
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
        let run = hooks.due(&subject, State::Active, 101);
        assert_eq!(
            run,
            [
                command(&["/m", "a b"]),
                command(&["/n", "x", "INSTANCE", "VI_1", "MASTER", "101"])
            ]
        );
        let run = hooks.due(&subject, State::Initialize, 101);
        assert_eq!(
            run,
            [command(&["/n", "x", "INSTANCE", "VI_1", "STOP", "101"])]
        );
        let group = Subject::Group("VG".to_owned());
        let run = hooks.due(&group, State::Fault, 0);
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

    #[test]
    fn a_script_that_hangs_gathers_few_behind_it_and_the_end_runs_next() {
        let dir = tempfile::tempdir().unwrap();
        let (log, gate) = (dir.path().join("log"), dir.path().join("gate"));
        let text = format!(
            "while [ ! -e {} ]; do sleep 0.05; done; echo $3 >> {}",
            gate.display(),
            log.display()
        );
        let hooks = || Hooks {
            any: Some(command(&["sh", "-c", &text, "sh"])),
            ..Hooks::default()
        };
        let subject = |name: &str| Subject::Instance(name.to_owned());
        let (flaps, ends) = (subject("VI_1"), subject("VI_2"));
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let subjects = [(flaps.clone(), hooks()), (ends.clone(), hooks())];
                let mut notifier = Notifier::new(subjects);
                for subject in [&flaps, &ends] {
                    for _ in 0..100 {
                        notifier.run(subject, State::Active, 100);
                    }
                    notifier.run(subject, State::Fault, 100);
                }
                notifier.run(&ends, State::Initialize, 100);
                let told = notifier.status();
                let counts: Vec<_> = told.iter().map(|one| (one.waiting, one.dropped)).collect();
                assert_eq!(counts, [(64, 37), (1, 101)]);
                assert_eq!(notifier.pending.load(Ordering::Acquire), 65);
                std::fs::write(&gate, "").unwrap();
                notifier.queues.clear();
                while notifier.runners.join_next().await.is_some() {}
                assert!(notifier.is_idle());
            });
        let lines = std::fs::read_to_string(log).unwrap();
        assert_eq!(lines.lines().count(), 65, "{lines}");
        assert_eq!(lines.matches("FAULT").count(), 1, "{lines}");
        assert_eq!(lines.matches("STOP").count(), 1, "{lines}");
    }
}
