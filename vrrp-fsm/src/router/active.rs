//! Active: RFC 9568 §6.4.3.

use core::time::Duration;

use vrrp_proto::Priority;

use super::Router;
use crate::{
    Action, Active, Event, Heard, Instant, Reason, Reassertion, Received, State, Warning, timing,
};

impl Router {
    pub(super) fn active(&mut self, now: Instant, active: Active, event: Event) {
        match event {
            Event::Shutdown => self.become_initialize(false, Reason::Shutdown),
            Event::Timeout => self.active_timers(now, active),
            Event::Advertisement(advert) => {
                if self.admit(&advert) {
                    self.active_hears(now, active, &advert);
                }
            }
            Event::Priority(priority)
                if self.config.policy.resign_at_once && self.weakens(priority) =>
            {
                self.resign_at_once(now, &event);
            }
            // The next advert carries a new priority; who has a higher one will answer it.
            Event::Priority(_)
            | Event::Fault(_)
            | Event::Recovered(_)
            | Event::PrimaryAddress(_) => {
                self.note(&event);
                if let Some(fault) = self.faults.first() {
                    self.become_initialize(true, Reason::Fault(fault));
                }
            }
            Event::Installed if active.install_failed => {
                let active = Active {
                    install_failed: false,
                    ..active
                };
                self.announce_taken_over(now, active);
            }
            Event::InstallFailed if !active.install_failed => {
                self.warn(Warning::InstallFailed);
                self.state = State::Active(Active {
                    install_failed: true,
                    ..active
                });
            }
            Event::AddressLost => {
                self.warn(Warning::AddressLost);
                self.push(Action::Repair);
                self.announce_taken_over(now, active);
            }
            // Others may hold the address by now: not put back, elected anew.
            Event::LeaseExpired => self.become_backup(now, None, Reason::LeaseExpired),
            Event::StepBack(member) => {
                self.push(Action::Send {
                    priority: Priority::RESIGN,
                });
                self.become_backup(now, None, Reason::Sibling(member));
            }
            Event::Startup
            | Event::Installed
            | Event::InstallFailed
            | Event::Succeeded
            | Event::Promote => {}
        }
    }

    /// Adver_Timer and the announcements.
    fn active_timers(&mut self, now: Instant, mut active: Active) {
        if now >= active.adver_at {
            self.send(now, &mut active);
            // The rhythm is kept when a timer fires a little late, and found anew when it fires
            // very late.
            let next = active.adver_at + self.config.interval;
            active.adver_at = if next > now {
                next
            } else {
                now + self.config.interval
            };
        }
        if active.announce_at.is_some_and(|at| now >= at) {
            self.push(Action::Announce {
                repeat: active.announce_repeat,
            });
            active.announced_at = now;
            self.schedule_refresh(now, &mut active);
        }
        // Beside that schedule, which stays what the configuration says.
        if let Some(again) = active.reassertion.filter(|again| now >= again.at) {
            self.push(Action::Announce { repeat: 1 });
            active.reassertion = again.next(now);
        }
        self.state = State::Active(active);
    }

    fn active_hears(&mut self, now: Instant, mut active: Active, advert: &Received) {
        let Received {
            source, priority, ..
        } = *advert;
        self.contest(now, advert);
        let own = self.priority;
        if priority == Priority::RESIGN {
            // RFC 9568 §6.4.3: answer at once, so that Backups that set their timer to Skew_Time
            // stay.
            if self.answer(now, &mut active) {
                active.adver_at = now + self.config.interval;
            }
            self.state = State::Active(active);
        } else if priority > own || (priority == own && self.tie_lost_to(source)) {
            if self.config.policy.higher_priority_send_advert {
                self.send(now, &mut active);
            }
            let reason = if priority > own {
                Reason::HigherPriority {
                    source,
                    priority,
                    own,
                }
            } else {
                Reason::HigherAddress { source, priority }
            };
            let heard = Heard::new(now, advert);
            self.become_backup(now, Some((heard, advert.interval)), reason);
        } else {
            self.warn(Warning::TwoActives { source, priority });
            // RFC 9568 §6.4.3: assert Active towards the sender and the learning bridges.
            if !self.config.policy.lower_priority_no_advert {
                self.answer(now, &mut active);
            }
            let announced_long_ago = now.since(active.announced_at) >= self.config.interval;
            let announcements = self.config.announcements;
            if announcements.lower_priority_repeat > 0 {
                active.reassertion.get_or_insert(Reassertion::begin(now));
            }
            if announcements.lower_priority_repeat > 0 && announced_long_ago {
                let again = (
                    announcements.lower_priority_repeat,
                    announcements.lower_priority_delay,
                );
                self.announce(now, active, again);
            } else {
                self.state = State::Active(active);
            }
        }
    }

    /// Whether that priority is lower than the present one by tracking alone: another configuration calls no election.
    fn weakens(&self, priority: Priority) -> bool {
        !self.config.is_owner() && !self.rebased && priority < self.priority
    }

    /// A peer that is better now takes over after its Skew_Time, which is shorter; if there is none, so do we.
    fn resign_at_once(&mut self, now: Instant, event: &Event) {
        let before = self.priority;
        self.note(event);
        self.push(Action::Send {
            priority: Priority::RESIGN,
        });
        let own = self.priority;
        self.become_backup(now, None, Reason::Weakened { before, own });
        self.wait_for_skew_time(now);
    }

    /// Backup that has just resigned itself, and need not wait until it would notice.
    pub(crate) fn wait_for_skew_time(&mut self, now: Instant) {
        if let State::Backup(backup) = &mut self.state {
            let unit = backup.active_adver_interval;
            backup.active_down_at =
                now + timing::skew_time(self.config.version, unit, self.priority);
        }
    }

    /// Others declare an Active router dead after Active_Down_Interval; the shortest is that of
    /// priority 254. One that was silent for longer must not go on as if nothing had been: it steps
    /// back and elects anew, before it looks at anything else. keepalived does so only when told
    /// (`timer_expired_backup`).
    pub(super) fn step_back_if_late(&mut self, now: Instant) {
        if let State::Active(active) = self.state {
            let silence = now.since(active.sent_at);
            let shortest = timing::active_down_interval(
                self.config.version,
                self.config.interval,
                Priority::new(254),
                self.config.policy.down_timer_adverts,
            );
            if silence > shortest {
                self.become_backup(now, None, Reason::Late { silence });
            }
        }
    }

    /// The last advert went out then, before its time.
    pub(crate) fn has_spoken_ahead(&mut self, now: Instant) {
        if let State::Active(active) = &mut self.state {
            active.sent_at = active.sent_at.min(now);
        }
    }

    /// Other times: an Active router tells them at once, and neither its own lateness nor the lease of its addresses is
    /// measured from an advert that promised more.
    pub(super) fn advertise_anew(&mut self, now: Instant) {
        if let State::Active(mut active) = self.state {
            self.send(now, &mut active);
            active.adver_at = now + self.first_interval();
            self.state = State::Active(active);
        }
    }

    /// Sends an advert in answer to another one: at once, or so soon after the last that no Skew_Time
    /// (two parts of 256 of the interval at least) ends before. A storm of adverts, looped or forged,
    /// is not answered one by one. Whether it was sent at once.
    fn answer(&mut self, now: Instant, active: &mut Active) -> bool {
        let earliest = active.sent_at + self.config.interval / 256;
        if now >= earliest {
            self.send(now, active);
            if active.adver_at <= now {
                active.adver_at = now + self.config.interval;
            }
            return true;
        }
        active.adver_at = active.adver_at.min(earliest);
        false
    }

    fn send(&mut self, now: Instant, active: &mut Active) {
        self.push(Action::Send {
            priority: self.priority,
        });
        active.sent_at = now;
        self.count_for_contest(now);
    }

    /// Announces as after becoming Active.
    fn announce_taken_over(&mut self, now: Instant, active: Active) {
        let announcements = self.config.announcements;
        self.announce(now, active, (announcements.repeat, announcements.delay));
    }

    /// Announces now, so many times, and begins the schedule anew.
    fn announce(&mut self, now: Instant, mut active: Active, again: (u8, Duration)) {
        self.push(Action::Announce { repeat: again.0 });
        active.announced_at = now;
        self.schedule_announcements(now, &mut active, again);
        self.state = State::Active(active);
    }

    /// After a first announcement: once more, so many times after so long, then the refreshes.
    pub(super) fn schedule_announcements(
        &self,
        now: Instant,
        active: &mut Active,
        (repeat, delay): (u8, Duration),
    ) {
        if delay.is_zero() {
            self.schedule_refresh(now, active);
        } else {
            // Of many routers that became Active at once, each announces again in a moment of its own.
            let early = self.phase(self.config.interval.min(delay / 2));
            active.announce_at = Some(now + (delay - early));
            active.announce_repeat = repeat;
        }
    }

    fn schedule_refresh(&self, now: Instant, active: &mut Active) {
        let announcements = self.config.announcements;
        active.announce_at = refresh(announcements.refresh).map(|every| now + every);
        active.announce_repeat = announcements.refresh_repeat;
    }
}

/// A refresh every zero seconds is none.
fn refresh(every: Option<Duration>) -> Option<Duration> {
    every.filter(|every| !every.is_zero())
}
