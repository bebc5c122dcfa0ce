//! Programs that check servers: this process has given up the right to run any, the supervisor runs them.

use std::collections::BTreeMap;

use lb_core::dataplane::{ProgramEnd, ProgramRun, Programs};
use tokio::sync::mpsc::UnboundedSender;

use crate::ipc::message::{ProgramCheck, ProgramEnded};

/// Whoever waits for the end of a program.
type Tell = Box<dyn FnOnce(ProgramEnd) + Send>;

/// A program that is to be run.
pub(super) struct Asked(ProgramRun, Tell);

/// Passes what is asked for on to the main thread. Not bounded: each server has one check at a time, which waits.
pub(super) struct Asks(pub(super) UnboundedSender<Asked>);

impl Programs for Asks {
    fn check(&self, run: ProgramRun, tell: Tell) {
        let _ = self.0.send(Asked(run, tell));
    }
}

/// The programs that run now.
#[derive(Default)]
pub(super) struct Open {
    last: u64,
    waiting: BTreeMap<u64, Tell>,
}

impl Open {
    /// What the supervisor is to be told.
    pub(super) fn ask(&mut self, Asked(run, tell): Asked) -> ProgramCheck {
        self.last += 1;
        self.waiting.insert(self.last, tell);
        ProgramCheck {
            number: self.last,
            backend: run.backend.to_string(),
            server: run.server.to_string(),
            address: run.address,
            sessions: run.sessions,
        }
    }

    /// What the supervisor told. A program that was not run at all says nothing of its server.
    pub(super) fn told(&mut self, number: u64, ended: ProgramEnded) {
        let tell = self.waiting.remove(&number);
        let end = match ended {
            ProgramEnded::Exited(code) => ProgramEnd::Exited(code),
            ProgramEnded::TimedOut => ProgramEnd::TimedOut,
            ProgramEnded::Failed(why) => ProgramEnd::Failed(why),
            ProgramEnded::NotRun => return,
        };
        if let Some(tell) = tell {
            tell(end);
        }
    }
}
