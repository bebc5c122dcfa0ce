//! What the host could not do, and how often it is told.

use std::{
    io,
    string::{String, ToString as _},
};

use super::{Command, Driver, Host, NOBODY, Observation, now};
use crate::{Instant, RouterId};

/// What the host could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub command: Command,
    /// How, the last time.
    pub error: String,
    /// When that was.
    pub at: Instant,
    /// How often since the addresses were last in place.
    pub count: u64,
}

impl Failure {
    /// The same as before, once more.
    pub(super) fn after(before: Option<&Self>, command: Command, error: &io::Error) -> Self {
        Self {
            command,
            error: error.to_string(),
            at: now(),
            count: before.map_or(0, |before| before.count) + 1,
        }
    }
}

impl<H: Host> Driver<H> {
    /// The host could not carry out a command: it is kept, and told the 1st, 2nd, 4th, 8th ... time.
    pub(super) fn command_failed(
        &mut self,
        router: RouterId,
        command: Command,
        error: io::Error,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let failure = Failure::after(self.failures.get(&router), command, &error);
        let count = failure.count;
        self.failures.insert(router, failure);
        if count.is_power_of_two() {
            let observation = Observation::HostFailed {
                command,
                error,
                count,
            };
            observer(router, observation);
        }
    }

    /// How it went with the routes and rules of a router.
    pub(super) fn paths_tried(
        &mut self,
        router: RouterId,
        outcome: io::Result<()>,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let Err(error) = outcome else {
            self.paths.remove(&router);
            return;
        };
        let failure = Failure::after(self.paths.get(&router), Command::Install, &error);
        let count = failure.count;
        self.paths.insert(router, failure);
        if count.is_power_of_two() {
            observer(router, Observation::PathsFailed { error, count });
        }
    }

    /// How it went with what could not be removed of a router.
    pub(super) fn leftovers_tried(
        &mut self,
        router: RouterId,
        outcome: io::Result<()>,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let command = Command::Remove;
        let Err(error) = outcome else {
            if self
                .failures
                .get(&router)
                .is_some_and(|failure| failure.command == command)
            {
                self.failures.remove(&router);
            }
            return;
        };
        self.command_failed(router, command, error, observer);
    }

    /// How it went with what stands whoever is Active.
    pub(super) fn fixtures_tried(
        &mut self,
        outcome: io::Result<()>,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let Err(error) = outcome else {
            self.fixtures = None;
            return;
        };
        let failure = Failure::after(self.fixtures.as_ref(), Command::Install, &error);
        let count = failure.count;
        self.fixtures = Some(failure);
        if count.is_power_of_two() {
            observer(NOBODY, Observation::FixturesFailed { error, count });
        }
    }
}
