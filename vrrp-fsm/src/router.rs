//! One virtual router: the table of RFC 9568 §6.4, with RFC 3768's rules for v2. Each state has its
//! file; what they share is here.
//!
//! Never reads a clock, never talks to anyone: events in, actions out.

use alloc::collections::VecDeque;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Family, Priority, Version};

use contest::Contest;

use crate::{
    Action, Active, Backup, ConfigError, Event, FaultKind, FaultReason, Faults, Heard, Instant,
    Reason, Reassertion, Received, RouterConfig, State, StateKind, Transition, Warning, timing,
};

mod active;
mod backup;
mod contest;
mod initialize;
mod resume;

/// A virtual router.
#[derive(Debug, Clone)]
pub struct Router {
    config: RouterConfig,
    state: State,
    priority: Priority,
    faults: Faults,
    warned: Warned,
    /// The base priority was changed, and the next effective one follows from that.
    rebased: bool,
    installed: bool,
    /// Member of a sync group, without whose leave it does not become Active.
    grouped: bool,
    /// Backup whose Active_Down_Timer has fired, waiting for that leave.
    ready: bool,
    /// Owner and Active, while another owner is heard.
    contest: Option<Contest>,
    actions: VecDeque<Action>,
}

/// Why the machine does not look at an advert. An advert that is discarded never touches a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// The other protocol version.
    #[error("it is of the other protocol version")]
    Version,
    /// The other address family.
    #[error("it is of the other address family")]
    Family,
    /// v2 only: RFC 3768 §7.1 demands the same interval.
    #[error("its interval is not ours")]
    Interval,
    /// It was sent from our own primary address.
    #[error("it was sent from our own address")]
    OwnAddress,
    /// The owner ignores adverts, by policy.
    #[error("the owner of the addresses ignores adverts")]
    Owner,
}

/// Which warnings were given since the last transition.
#[derive(Debug, Clone, Copy, Default)]
struct Warned {
    same_address: bool,
    two_owners: bool,
    two_actives: bool,
    interval: bool,
}

impl Router {
    /// A router in Initialize, which waits for [`Event::Startup`].
    pub fn new(config: RouterConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut faults = Faults::default();
        if config.primary.is_none() {
            faults.set(FaultReason::NoPrimaryAddress);
        }
        Ok(Self {
            state: State::Initialize { started: false },
            priority: config.priority,
            faults,
            warned: Warned::default(),
            rebased: false,
            installed: false,
            grouped: false,
            ready: false,
            contest: None,
            actions: VecDeque::new(),
            config,
        })
    }

    /// Another configuration for the running router, which stays who and what it is: state, timers that run, and
    /// faults are kept, and nothing is sent, but by an Active router whose adverts come at other times from now on:
    /// it says so at once. The primary address stays too. A new base priority takes effect with the next
    /// [`Event::Priority`]. Actions are to be taken as after [`handle`](Self::handle).
    pub fn reconfigure(&mut self, now: Instant, config: RouterConfig) -> Result<(), ConfigError> {
        config.validate()?;
        let identity = |config: &RouterConfig| {
            (
                config.vrid,
                config.family,
                config.version,
                config.is_owner(),
            )
        };
        if identity(&config) != identity(&self.config) {
            return Err(ConfigError::Identity);
        }
        // Others judge a silence by what they were told before it.
        self.step_back_if_late(now);
        if let State::Backup(backup) = &mut self.state
            && config.version == Version::V2
        {
            // v2 has no other interval than its own; v3 keeps the one that it has learned.
            backup.active_adver_interval = config.interval;
        }
        self.rebased |= config.priority != self.config.priority;
        let times = |config: &RouterConfig| (config.interval, config.policy.down_timer_adverts);
        let other_times = times(&config) != times(&self.config);
        self.config = RouterConfig {
            primary: self.config.primary,
            ..config
        };
        if other_times {
            self.advertise_anew(now);
        }
        Ok(())
    }

    /// The only way in. Actions of the event before must have been taken by
    /// [`poll_action`](Self::poll_action).
    pub fn handle(&mut self, now: Instant, event: Event) {
        debug_assert!(
            self.actions.is_empty(),
            "drain poll_action before the next event"
        );
        self.step_back_if_late(now);
        match self.state {
            State::Initialize { started } => self.initialize(now, started, event),
            State::Delayed { begins_at } => self.delayed(now, begins_at, event),
            State::Backup(backup) => self.backup(now, backup, event),
            State::Active(active) => self.active(now, active, event),
        }
        debug_assert_eq!(
            self.installed,
            matches!(self.state, State::Active(_)),
            "the addresses are installed exactly while Active"
        );
        debug_assert!(
            event != Event::Timeout || self.next_deadline().is_none_or(|at| at > now),
            "a timeout moves the deadline into the future"
        );
    }

    /// The next effect to carry out, in order; `None` when all are taken.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to give [`Event::Timeout`]; `None` exactly in [`State::Initialize`]. It changes with
    /// `handle` only.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.state.next_deadline()
    }

    /// State and timers.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The configuration; its `primary` follows [`Event::PrimaryAddress`].
    pub fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// Effective priority: what is advertised.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Whether it could be Active and waits for the other members of its sync group.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The queue of actions is lent by a set, and given back empty.
    pub(crate) fn exchange_queue(&mut self, queue: &mut VecDeque<Action>) {
        core::mem::swap(&mut self.actions, queue);
    }

    /// How long it bears silence as Backup, by its own interval.
    pub(crate) fn patience(&self) -> Duration {
        self.active_down_interval(self.config.interval)
    }

    /// From now on a member of a sync group, or no longer.
    pub(crate) fn set_grouped(&mut self, grouped: bool) {
        self.grouped = grouped;
    }

    /// What holds the router out.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether the machine would look at this advert. [`Event::Advertisement`] asks the same, so
    /// that a caller needs this only to count causes.
    pub fn check(&self, advert: &Received) -> Result<(), Discard> {
        if advert.version != self.config.version {
            Err(Discard::Version)
        } else if advert.source.is_ipv4() != (self.config.family == Family::Ipv4) {
            Err(Discard::Family)
        } else if self.config.primary == Some(advert.source) {
            Err(Discard::OwnAddress)
        } else if self.config.is_owner() && self.config.policy.owner_ignore_adverts {
            Err(Discard::Owner)
        } else if self.config.version == Version::V2 && advert.interval != self.config.interval {
            // RFC 3768 §7.1: the Adver Interval must be the one configured, else discard.
            Err(Discard::Interval)
        } else {
            Ok(())
        }
    }

    /// A look at an advert before its state does: warnings, and whether to go on.
    fn admit(&mut self, advert: &Received) -> bool {
        let source = advert.source;
        let verdict = self.check(advert);
        if advert.interval != self.config.interval
            && matches!(verdict, Ok(()) | Err(Discard::Interval))
        {
            let interval = advert.interval;
            self.warn(Warning::IntervalMismatch { source, interval });
        }
        match verdict {
            Ok(()) if self.config.is_owner() && advert.priority == Priority::OWNER => {
                self.warn(Warning::TwoOwners { source });
            }
            // A second router with our address, or our own advert come back: answering it could go
            // round for ever.
            Err(Discard::OwnAddress) => self.warn(Warning::SameAddress { source }),
            Ok(()) | Err(_) => {}
        }
        verdict.is_ok()
    }

    /// What every state does alike with its inputs; `false` when the event was none of these.
    fn note(&mut self, event: &Event) -> bool {
        match *event {
            Event::Fault(reason) => self.faults.set(reason),
            Event::Recovered(kind) => self.faults.clear(kind),
            Event::PrimaryAddress(Some(address)) => {
                self.config.primary = Some(address);
                self.faults.clear(FaultKind::Address);
            }
            Event::PrimaryAddress(None) => {
                self.config.primary = None;
                self.faults.set(FaultReason::NoPrimaryAddress);
            }
            // Tracking never makes an owner of a router, nor one that resigns, nor changes an
            // owner.
            Event::Priority(priority) if !self.config.is_owner() => {
                self.priority = Priority::new(priority.value().clamp(1, 254));
                self.rebased = false;
            }
            _ => return false,
        }
        true
    }

    /// RFC 9568 §6.4.1 and §6.4.2: to Active, perhaps against another one.
    fn become_active(&mut self, now: Instant, reason: Reason, contested: bool) {
        self.own_again();
        // The advert first: it silences the others before our address answers.
        self.push(Action::Send {
            priority: self.priority,
        });
        self.push(Action::Install);
        self.installed = true;
        self.push(Action::Announce {
            repeat: self.config.announcements.repeat,
        });
        let mut active = Active {
            adver_at: now + self.first_interval(),
            sent_at: now,
            since: now,
            announce_at: None,
            announced_at: now,
            announce_repeat: 0,
            reassertion: None,
            install_failed: false,
        };
        let announcements = self.config.announcements;
        if announcements.lower_priority_repeat > 0 && contested {
            active.reassertion = Some(Reassertion::begin(now));
        }
        let again = (announcements.repeat, announcements.delay);
        self.schedule_announcements(now, &mut active, again);
        self.transition(State::Active(active), reason);
    }

    /// To Backup with the full Active_Down_Interval. A learned interval comes with the advert that
    /// taught it.
    fn become_backup(&mut self, now: Instant, active: Option<(Heard, Duration)>, reason: Reason) {
        let active_adver_interval = match (self.config.version, active) {
            (Version::V3, Some((_, interval))) => interval,
            (Version::V2, Some(_)) | (_, None) => self.config.interval,
        };
        self.remove();
        let backup = Backup {
            active_down_at: now + self.active_down_interval(active_adver_interval),
            active_adver_interval,
            since: now,
            active: active.map(|(heard, _)| heard),
            rival: None,
            preempt_at: None,
            resigned: None,
        };
        self.transition(State::Backup(backup), reason);
    }

    /// To Initialize, where no timer runs.
    fn become_initialize(&mut self, started: bool, reason: Reason) {
        if self.installed {
            // RFC 9568 §6.4.3: an Active router that stops says so by priority 0, then lets go.
            self.push(Action::Send {
                priority: Priority::RESIGN,
            });
        }
        self.remove();
        self.transition(State::Initialize { started }, reason);
    }

    fn remove(&mut self) {
        if self.installed {
            self.push(Action::Remove);
            self.installed = false;
        }
    }

    fn transition(&mut self, state: State, reason: Reason) {
        let (from, to) = (self.state.kind(), state.kind());
        self.state = state;
        self.ready = false;
        self.contest = None;
        self.warned = Warned::default();
        if from != to {
            self.push(Action::Transition(Transition {
                from,
                to,
                reason,
                priority: self.priority,
            }));
        }
    }

    fn warn(&mut self, warning: Warning) {
        let told = match warning {
            Warning::SameAddress { .. } => &mut self.warned.same_address,
            Warning::TwoOwners { .. } => &mut self.warned.two_owners,
            Warning::TwoActives { .. } => &mut self.warned.two_actives,
            Warning::IntervalMismatch { .. } => &mut self.warned.interval,
            Warning::AddressLost
            | Warning::InstallFailed
            | Warning::OwnerYields { .. }
            | Warning::OtherAddresses { .. }
            | Warning::OtherChecksum { .. }
            | Warning::Unsigned { .. }
            | Warning::ClocksApart { .. }
            | Warning::CrossedPriorities { .. } => &mut false,
        };
        if !core::mem::replace(told, true) {
            self.push(Action::Warn(warning));
        }
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Between 1/255 of the interval (VRID 255) and the whole of it (VRID 1).
    fn first_interval(&self) -> Duration {
        self.config.interval - self.phase(self.config.interval)
    }

    /// How far this VRID is moved within a span, so that the routers of a host that became Active at
    /// once do not all act at once for ever; nothing unless policy spreads them.
    fn phase(&self, span: Duration) -> Duration {
        if self.config.policy.spread_phases {
            span * (u32::from(self.config.vrid.value()) - 1) / 255
        } else {
            Duration::ZERO
        }
    }

    fn skew_time(&self, active_adver_interval: Duration) -> Duration {
        timing::skew_time(self.config.version, active_adver_interval, self.priority)
    }

    fn active_down_interval(&self, active_adver_interval: Duration) -> Duration {
        timing::active_down_interval(
            self.config.version,
            active_adver_interval,
            self.priority,
            self.config.policy.down_timer_adverts,
        )
    }

    /// The primary address as the tie is broken by: nothing is lower than none.
    fn tie_lost_to(&self, source: IpAddr) -> bool {
        self.config.primary.is_none_or(|own| source > own)
    }

    fn kind(&self) -> StateKind {
        self.state.kind()
    }
}

impl Heard {
    fn new(now: Instant, advert: &Received) -> Self {
        Self {
            source: advert.source,
            priority: advert.priority,
            at: now,
        }
    }
}

#[cfg(test)]
mod tests;
