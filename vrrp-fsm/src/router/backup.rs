//! Backup: RFC 9568 §6.4.2.

use super::Router;
use crate::{Action, Backup, Event, Heard, Instant, Reason, Received, State};

use vrrp_proto::{Priority, Version};

impl Router {
    pub(super) fn backup(&mut self, now: Instant, backup: Backup, event: Event) {
        match event {
            Event::Shutdown => self.become_initialize(false, Reason::Shutdown),
            Event::Timeout if now >= backup.active_down_at && self.grouped => {
                // The others of the sync group first. Should none be heard meanwhile, it stays so.
                let patience = self.active_down_interval(backup.active_adver_interval);
                self.state = State::Backup(Backup {
                    active_down_at: now + patience,
                    ..backup
                });
                self.ready = true;
            }
            Event::Timeout if now >= backup.active_down_at => {
                self.take_over(now, &backup);
            }
            Event::Promote => self.take_over(now, &backup),
            Event::Advertisement(advert) => {
                if self.admit(&advert) {
                    self.backup_hears(now, backup, &advert);
                }
            }
            Event::Priority(_) => self.shift_timer(now, backup, &event),
            Event::Fault(_) | Event::Recovered(_) | Event::PrimaryAddress(_) => {
                self.note(&event);
                if let Some(fault) = self.faults.first() {
                    self.become_initialize(true, Reason::Fault(fault));
                }
            }
            // Already started; too early; or the completion of an effect from before.
            Event::Startup
            | Event::Timeout
            | Event::Installed
            | Event::InstallFailed
            | Event::AddressLost
            | Event::LeaseExpired
            | Event::StepBack(_) => {}
            Event::Succeeded => self.resign_for_predecessor(now, backup),
        }
    }

    fn backup_hears(&mut self, now: Instant, mut backup: Backup, advert: &Received) {
        if advert.priority != Priority::OWNER {
            self.own_again();
        }
        let heard = Heard::new(now, advert);
        // The owner preempts whatever Preempt_Mode says (RFC 9568 §6.1).
        let preempt = self.config.preempt || self.config.is_owner();
        let lower = advert.priority < self.priority;
        if advert.priority == Priority::RESIGN {
            // RFC 9568 §6.4.2 sets the timer to Skew_Time. Never later than it was, so that a
            // stream of such adverts cannot hold a takeover off.
            let skew = self.skew_time(backup.active_adver_interval);
            backup.active_down_at = backup.active_down_at.min(now + skew);
            backup.resigned = Some(advert.source);
        } else if !lower || !preempt || self.preempt_is_delayed(now, &mut backup) {
            // RFC 9568 §6.4.2: v3 learns the interval, v2 has no other than its own.
            if self.config.version == Version::V3 {
                backup.active_adver_interval = advert.interval;
            }
            backup.active_down_at = now + self.active_down_interval(backup.active_adver_interval);
            backup.active = Some(heard);
            backup.resigned = None;
            self.ready = false;
            if !lower {
                backup.preempt_at = None;
            }
        } else {
            // Discarded: the timer runs on, and we take over when it ends.
            backup.rival = Some(heard);
        }
        self.state = State::Backup(backup);
    }

    fn resign_for_predecessor(&mut self, now: Instant, mut backup: Backup) {
        self.push(Action::Send {
            priority: Priority::RESIGN,
        });
        let skew = self.skew_time(backup.active_adver_interval);
        backup.active_down_at = backup.active_down_at.min(now + skew);
        backup.resigned = self.config.primary;
        self.state = State::Backup(backup);
    }

    /// keepalived's preempt_delay: it begins with the first advert of lower priority, and until its
    /// end they are followed.
    fn preempt_is_delayed(&self, now: Instant, backup: &mut Backup) -> bool {
        if self.config.preempt_delay.is_zero() {
            return false;
        }
        now < *backup
            .preempt_at
            .get_or_insert(now + self.config.preempt_delay)
    }

    /// A new effective priority moves the running timer by the difference of the two Skew_Times.
    fn shift_timer(&mut self, now: Instant, mut backup: Backup, event: &Event) {
        let before = self.skew_time(backup.active_adver_interval);
        self.note(event);
        let after = self.skew_time(backup.active_adver_interval);
        backup.active_down_at = if after >= before {
            backup.active_down_at + (after - before)
        } else {
            backup.active_down_at.before(before - after).max(now)
        };
        self.state = State::Backup(backup);
    }

    fn take_over(&mut self, now: Instant, backup: &Backup) {
        let reason = self.takeover_reason(now, backup);
        let contested = self.rival(now, backup).is_some();
        self.become_active(now, reason, contested);
    }

    /// Who is heard with a lower priority, and lives.
    fn rival(&self, now: Instant, backup: &Backup) -> Option<Heard> {
        let patience = self.active_down_interval(backup.active_adver_interval);
        backup.rival.filter(|rival| now.since(rival.at) < patience)
    }

    fn takeover_reason(&self, now: Instant, backup: &Backup) -> Reason {
        if let Some(source) = backup.resigned {
            return if self.config.primary == Some(source) {
                Reason::Succeeded
            } else {
                Reason::Resigned { source }
            };
        }
        if let Some(rival) = self.rival(now, backup) {
            return Reason::Preempted {
                source: rival.source,
                priority: rival.priority,
                own: self.priority,
            };
        }
        match (backup.rival, backup.active) {
            (None, None) if self.config.is_owner() => Reason::Owner,
            (Some(last), _) | (None, Some(last)) => Reason::Silence {
                active: Some(last.source),
                silence: now.since(last.at),
            },
            (None, None) => Reason::Silence {
                active: None,
                silence: now.since(backup.since),
            },
        }
    }
}
