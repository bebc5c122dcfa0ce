//! Initialize: RFC 9568 §6.4.1. keepalived's FAULT is this state, started but held by a fault.

use super::Router;
use crate::{Action, Event, FaultReason, Instant, Reason, State, StateKind, Transition};

impl Router {
    pub(super) fn initialize(&mut self, now: Instant, started: bool, event: Event) {
        match event {
            Event::Startup if !started && !self.config.policy.startup_delay.is_zero() => {
                let begins_at = now + self.config.policy.startup_delay;
                self.state = State::Delayed { begins_at };
            }
            Event::Startup if !started => self.begin(now),
            Event::Shutdown => self.become_initialize(false, Reason::Shutdown),
            Event::Fault(_)
            | Event::Recovered(_)
            | Event::PrimaryAddress(_)
            | Event::Priority(_) => {
                let held = self.faults.first();
                self.note(&event);
                if started {
                    self.take_part(now, Reason::Recovered, held);
                }
            }
            // No timer runs here, and adverts are not looked at; completions of earlier effects
            // come late.
            Event::Startup
            | Event::Timeout
            | Event::Advertisement(_)
            | Event::Installed
            | Event::InstallFailed
            | Event::AddressLost
            | Event::LeaseExpired
            | Event::Succeeded
            | Event::Promote
            | Event::StepBack(_) => {}
        }
    }

    /// keepalived's `vrrp_startup_delay`: as if it were started that much later.
    pub(super) fn delayed(&mut self, now: Instant, begins_at: Instant, event: Event) {
        match event {
            Event::Timeout if now >= begins_at => {
                self.state = State::Initialize { started: false };
                self.begin(now);
            }
            Event::Shutdown => self.become_initialize(false, Reason::Shutdown),
            // What holds it out is known when it begins; nothing else counts before.
            event => {
                self.note(&event);
            }
        }
    }

    /// RFC 9568 §6.4.1: Startup.
    fn begin(&mut self, now: Instant) {
        let reason = if self.config.is_owner() {
            Reason::Owner
        } else {
            Reason::Startup
        };
        self.take_part(now, reason, None);
    }

    /// Leaves Initialize unless a fault holds; tells if it is another one than `held` it so far.
    pub(super) fn take_part(&mut self, now: Instant, reason: Reason, held: Option<FaultReason>) {
        match self.faults.first() {
            Some(fault) if self.kind() != StateKind::Fault => {
                self.become_initialize(true, Reason::Fault(fault));
            }
            Some(fault) if held != Some(fault) => {
                self.push(Action::Transition(Transition {
                    from: StateKind::Fault,
                    to: StateKind::Fault,
                    reason: Reason::Fault(fault),
                    priority: self.priority,
                }));
            }
            Some(_) => {}
            // RFC 9568 §6.4.1: the owner (priority 255) becomes Active at once.
            None if self.config.is_owner() && !self.grouped => {
                self.become_active(now, reason, false)
            }
            None if self.config.is_owner() => {
                self.become_backup(now, None, reason);
                self.ready = true;
            }
            // All others listen for a full Active_Down_Interval of their own interval.
            None => self.become_backup(now, None, reason),
        }
    }
}
