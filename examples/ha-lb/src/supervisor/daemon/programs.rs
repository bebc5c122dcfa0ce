//! The programs of `option external-check`: the balancer asks for a run, and what is run is what the files say.

use std::{collections::BTreeSet, time::Duration};

use tokio::{sync::mpsc::UnboundedSender, task::JoinSet};

use super::{Daemon, Event, Slot};
use crate::{
    ipc::message::{ProgramCheck, ProgramEnded, ToBalancer},
    supervisor::{
        command::{Command, Outcome},
        external_check::{self, Account},
    },
};

/// Backend and server.
type Names = (String, String);

/// Programs that run. Dropping it ends them.
#[derive(Debug, Default)]
pub(super) struct Programs {
    account: Account,
    running: BTreeSet<Names>,
    tasks: JoinSet<()>,
}

/// What becomes of a program.
#[derive(Debug)]
pub(in crate::supervisor) enum Turn {
    /// It has ended, or its time is over.
    Ended {
        /// The balancer that has asked.
        generation: u64,
        /// Its number.
        number: u64,
        /// How.
        how: ProgramEnded,
    },
    /// Nothing is left of it.
    Gone(Names),
}

impl Daemon {
    /// Runs the program that checks a server, unless it still runs.
    pub(super) fn check_by_program(&mut self, check: &ProgramCheck) {
        let generation = self.balancer.as_ref().map_or(0, Slot::generation);
        let config = self.loaded.balancer.as_ref();
        let names = (check.backend.clone(), check.server.clone());
        let account = &mut self.programs.account;
        let command = config.and_then(|config| external_check::command(config, check, account));
        let number = check.number;
        let Some((command, limit)) = command.filter(|_| !self.programs.running.contains(&names))
        else {
            self.tell_of_program(generation, number, ProgramEnded::NotRun);
            return;
        };
        self.programs.running.insert(names.clone());
        while self.programs.tasks.try_join_next().is_some() {}
        let events = self.events.clone();
        let run = run(command, limit, (generation, number), names, events);
        self.programs.tasks.spawn(run);
    }

    pub(super) fn program_turned(&mut self, turn: Turn) {
        match turn {
            Turn::Ended {
                generation,
                number,
                how,
            } => self.tell_of_program(generation, number, how),
            Turn::Gone(names) => drop(self.programs.running.remove(&names)),
        }
    }

    /// Another balancer than the one that has asked knows nothing of it.
    fn tell_of_program(&self, generation: u64, number: u64, how: ProgramEnded) {
        let slot = self.balancer.as_ref();
        let slot = slot.filter(|slot| slot.is_current(generation));
        if let Some(child) = slot.and_then(Slot::child) {
            child.tell(ToBalancer::Checked(number, how), Vec::new());
        }
    }
}

/// A process that cannot die is not joined by a second one.
async fn run(
    command: Command,
    limit: Duration,
    (generation, number): (u64, u64),
    names: Names,
    events: UnboundedSender<Event>,
) {
    let tell = |how| {
        let _ = events.send(Event::Program(Turn::Ended {
            generation,
            number,
            how,
        }));
    };
    let late = || tell(ProgramEnded::TimedOut);
    let (outcome, remains) = command.run_noting(limit, late).await;
    match &outcome {
        Outcome::TimedOut | Outcome::Stuck => {}
        Outcome::Exited(status) => tell(match status.code().map(u8::try_from) {
            Some(Ok(code)) => ProgramEnded::Exited(code),
            _ => ProgramEnded::Failed(outcome.to_string()),
        }),
        Outcome::NotStarted(_) => tell(ProgramEnded::Failed(outcome.to_string())),
    }
    if let Some(mut process) = remains {
        let _ = process.wait().await;
    }
    let _ = events.send(Event::Program(Turn::Gone(names)));
}
