//! Going on where another process left off (an upgrade): no election, no word on the wire, no transition.

use super::Router;
use crate::{Action, Event, Instant, Reason, State};

impl Router {
    /// Instead of [`Event::Startup`]: takes on the state that a predecessor in the same host handed over, with its
    /// timers. The addresses of an Active router are asked for again, which finds them in place; one that has been silent
    /// for too long meanwhile lets go of them first of all. A fault that is known by now ends the state at once; a router
    /// that was never started is started.
    pub fn resume(&mut self, now: Instant, state: State) {
        debug_assert!(
            self.actions.is_empty() && self.state == State::Initialize { started: false },
            "resumed before anything else"
        );
        match state {
            State::Initialize { started: false } => return self.handle(now, Event::Startup),
            // What holds it out by then is known when it begins.
            State::Delayed { .. } => {
                self.state = state;
                return;
            }
            State::Initialize { started: true } => {
                self.state = state;
                if self.faults.first().is_none() {
                    self.take_part(now, Reason::Recovered, None);
                }
                return;
            }
            State::Backup(_) => self.state = state,
            State::Active(_) => {
                self.state = state;
                self.installed = true;
                self.step_back_if_late(now);
                if self.installed {
                    self.push(Action::Install);
                }
            }
        }
        if let Some(fault) = self.faults.first() {
            self.become_initialize(true, Reason::Fault(fault));
        }
    }
}
