//! The programs of `option external-check`: the balancer asks for a run, and what is run is what the files say.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, mpsc::UnboundedSender},
    task::JoinSet,
    time::timeout,
};

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
    places: Places,
    tasks: JoinSet<()>,
}

/// Where the program of a server runs, one at a time.
#[derive(Debug, Default)]
struct Place {
    /// Held until nothing is left of the one that runs.
    occupied: Mutex<()>,
    /// Its time is over.
    overdue: AtomicBool,
}

/// The places of servers whose programs run.
#[derive(Debug, Default)]
struct Places(BTreeMap<Names, Arc<Place>>);

impl Places {
    /// Where the next program of a server may run. Behind one whose time is over, which may take its time to die, the next
    /// one waits; one that nobody waits for any more (after a reload) is left alone.
    fn enter(&mut self, names: &Names) -> Option<Arc<Place>> {
        let place = self.0.entry(names.clone()).or_default();
        let is_free = match Arc::strong_count(place) {
            1 => {
                // What the one before left.
                place.overdue.store(false, Relaxed);
                true
            }
            2 => place.overdue.load(Relaxed),
            _ => false,
        };
        is_free.then(|| Arc::clone(place))
    }

    /// One has left.
    fn tidy(&mut self, names: &Names) {
        let place = self.0.get(names);
        if place.is_some_and(|place| Arc::strong_count(place) == 1) {
            self.0.remove(names);
        }
    }
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
    /// Runs the program that checks a server.
    pub(super) fn check_by_program(&mut self, check: &ProgramCheck) {
        let generation = self.balancer.as_ref().map_or(0, Slot::generation);
        let config = self.loaded.balancer.as_ref();
        let names = (check.backend.clone(), check.server.clone());
        let Programs {
            account,
            places,
            tasks,
        } = &mut self.programs;
        let command = config.and_then(|config| external_check::command(config, check, account));
        let asked = (generation, check.number);
        let Some((command, place)) = command.and_then(|c| Some((c, places.enter(&names)?))) else {
            self.tell_of_program(asked, ProgramEnded::NotRun);
            return;
        };
        while tasks.try_join_next().is_some() {}
        let events = self.events.clone();
        tasks.spawn(async move {
            run(command, asked, &place, &events).await;
            drop(place);
            let _ = events.send(Event::Program(Turn::Gone(names)));
        });
    }

    pub(super) fn program_turned(&mut self, turn: Turn) {
        match turn {
            Turn::Ended {
                generation,
                number,
                how,
            } => self.tell_of_program((generation, number), how),
            Turn::Gone(names) => self.programs.places.tidy(&names),
        }
    }

    /// Another balancer than the one that has asked knows nothing of it.
    fn tell_of_program(&self, (generation, number): (u64, u64), how: ProgramEnded) {
        let slot = self.balancer.as_ref();
        let slot = slot.filter(|slot| slot.is_current(generation));
        if let Some(child) = slot.and_then(Slot::child) {
            child.tell(ToBalancer::Checked(number, how), Vec::new());
        }
    }
}

/// Runs it once there is room, until nothing is left of it. A process that cannot die is not joined by a second one, and is
/// what the second one's time is spent with.
async fn run(
    (command, limit): (Command, Duration),
    (generation, number): (u64, u64),
    place: &Place,
    events: &UnboundedSender<Event>,
) {
    let tell = |how| {
        let _ = events.send(Event::Program(Turn::Ended {
            generation,
            number,
            how,
        }));
    };
    let Ok(_occupied) = timeout(limit, place.occupied.lock()).await else {
        tell(ProgramEnded::TimedOut);
        return;
    };
    place.overdue.store(false, Relaxed);
    let late = || {
        place.overdue.store(true, Relaxed);
        tell(ProgramEnded::TimedOut);
    };
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
    place.overdue.store(false, Relaxed);
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn names() -> Names {
        ("be".to_owned(), "s1".to_owned())
    }

    /// How a run at `place` ends whose program may take so long.
    fn ends(place: &Place, program: &str, limit: Duration) -> ProgramEnded {
        let command = Command {
            words: vec![program.to_owned()],
            ..Command::default()
        };
        let (events, mut told) = unbounded_channel();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run((command, limit), (1, 7), place, &events));
        let Ok(Event::Program(Turn::Ended {
            generation: 1,
            number: 7,
            how,
        })) = told.try_recv()
        else {
            panic!("it has not been told");
        };
        assert!(told.try_recv().is_err());
        how
    }

    #[test]
    fn one_program_waits_for_one_whose_time_is_over_and_for_no_other() {
        let mut places = Places::default();
        let running = places.enter(&names()).unwrap();
        assert!(places.enter(&names()).is_none(), "it has its time");
        running.overdue.store(true, Relaxed);
        let waiting = places.enter(&names()).unwrap();
        assert!(Arc::ptr_eq(&running, &waiting));
        assert!(places.enter(&names()).is_none(), "one waits already");
        drop(waiting);
        places.tidy(&names());
        assert!(places.enter(&names()).is_some(), "one may wait again");
        drop(running);
        places.tidy(&names());
        assert!(places.0.is_empty());
    }

    #[test]
    fn a_program_that_does_not_die_is_a_timeout_for_those_that_would_follow() {
        let place = Place::default();
        place.overdue.store(true, Relaxed);
        let dying = place.occupied.try_lock().unwrap();
        let how = ends(&place, "true", Duration::from_millis(1));
        assert_eq!(how, ProgramEnded::TimedOut);
        drop(dying);
        assert_eq!(ends(&place, "true", LIMIT), ProgramEnded::Exited(0));
        assert_eq!(ends(&place, "false", LIMIT), ProgramEnded::Exited(1));
        assert!(!place.overdue.load(Relaxed));
    }
}
