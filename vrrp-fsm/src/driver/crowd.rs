//! What changes when packets come by thousands a second. A wake-up for each would cost more than hearing it, and
//! strangers' packets could keep a router from its own.
//!
//! - Above a rate the driver looks for packets at fixed moments instead of being woken: hundreds of Active routers
//!   elsewhere cost one wake-up for many adverts. The host says how long packets waited for it, so that down timers
//!   run from where they would have; before one of them ends everything is heard. See [`time_between_looks`].
//! - Above a rate of packets for routers that are not ours the host is asked to pass them over
//!   ([`Host::narrow`](super::Host::narrow)), for ten seconds at a time. What it passes over is not counted, the times
//!   that it was asked are.

use core::time::Duration;

use crate::{Instant, Router, State, timing::skew_time};

/// Over which rates are measured.
const WINDOW: Duration = Duration::from_millis(100);
/// Packets in a window above which the driver is not woken any more, and below which it is again.
const MANY: u32 = 100;
const FEW: u32 = 40;
/// Packets of strangers in a window above which the host passes them over, and how long it does.
const FLOOD: u32 = 500;
const NARROW: Duration = Duration::from_secs(10);
/// Limits of the time between two looks, and where every router waits for others.
const OFTEN: Duration = Duration::from_micros(200);
const SELDOM: Duration = Duration::from_millis(3);
const IDLE: Duration = Duration::from_millis(50);
/// How long before a takeover is known of.
const IN_TIME: Duration = Duration::from_millis(10);
/// How long that is taken for known, if nothing is heard of a change.
const KNOWN: Duration = Duration::from_secs(1);
/// Packets between two looks: what the smallest receive buffer holds several times.
const WAITING: u32 = 128;

/// How long packets may wait. An Active router soon hears of another: a 33rd of its interval, three milliseconds at most.
/// Backups have until a takeover that a resignation asks for, which comes after Skew_Time: ten milliseconds less than
/// that, or half of it, and never more than half an interval or fifty milliseconds.
pub(super) fn time_between_looks<'a>(routers: impl Iterator<Item = &'a Router>) -> Duration {
    let patience = |router: &Router| {
        let config = router.config();
        let often = (config.interval / 33).clamp(OFTEN, SELDOM);
        match router.state() {
            State::Backup(backup) => {
                let interval = backup.active_adver_interval;
                let skew = skew_time(config.version, interval, router.priority());
                let looks = skew.saturating_sub(IN_TIME).max(skew / 2);
                looks.min(interval / 2).min(IDLE).max(often)
            }
            _ => often,
        }
    };
    routers.map(patience).min().unwrap_or(SELDOM)
}

/// Time between looks such that a flood, of which that many came in a window, does not fill a buffer and keep living
/// routers out of it.
fn soon_enough(heard: u32) -> Duration {
    (WINDOW * WAITING / heard.max(1)).max(OFTEN)
}

/// The rates of what comes in.
#[derive(Debug)]
pub(super) struct Crowd {
    since: Instant,
    heard: u32,
    strangers: u32,
    /// Time between looks, while the driver looks by itself.
    looks: Option<Duration>,
    /// The most that it may be at the last window's rate.
    most: Duration,
    /// What suits the routers, and until when that is taken for known: to ask hundreds of them is work.
    suits: Option<(Duration, Instant)>,
    narrow_until: Option<Instant>,
    /// How often the host was asked to pass strangers over.
    pub(super) narrowed: u64,
}

/// What is to be told to the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Whether packets wake the driver.
    pub(super) wakes: Option<bool>,
    /// Whether packets of strangers are passed over.
    pub(super) narrow: Option<bool>,
}

impl Crowd {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            heard: 0,
            strangers: 0,
            looks: None,
            most: SELDOM,
            suits: None,
            narrow_until: None,
            narrowed: 0,
        }
    }

    /// A packet came in.
    pub(super) const fn hears(&mut self, stranger: bool) {
        self.heard = self.heard.saturating_add(1);
        self.strangers = self.strangers.saturating_add(stranger as u32);
    }

    /// A router has another state, priority or interval to go by: how often to look is not known any more.
    pub(super) const fn has_changed(&mut self) {
        self.suits = None;
    }

    /// The routers are others than they were: whom to pass over is not known any more.
    pub(super) const fn reset(&mut self) -> bool {
        self.suits = None;
        self.narrow_until.take().is_some()
    }

    /// Looks at the rates; `looks` is the time between looks that suits the routers.
    pub(super) fn turn(&mut self, now: Instant, looks: impl FnOnce() -> Duration) -> Change {
        let mut change = Change::default();
        if self.narrow_until.is_some_and(|until| now >= until) {
            self.narrow_until = None;
            change.narrow = Some(false);
        }
        if now.since(self.since) < WINDOW {
            // Of a Skew_Time that has become shorter the window's end may be too late.
            if self.looks.is_some() && self.suits.is_none() {
                self.looks = Some(self.suitable(now, looks).min(self.most));
            }
            return change;
        }
        let (heard, strangers) = (self.heard, self.strangers);
        // A longer pause is as good as a quiet window.
        let late = now.since(self.since) >= WINDOW * 3;
        (self.since, self.heard, self.strangers) = (now, 0, 0);
        if strangers >= FLOOD && self.narrow_until.is_none() {
            self.narrow_until = Some(now + NARROW);
            self.narrowed += 1;
            change.narrow = Some(true);
        }
        self.most = soon_enough(heard);
        match self.looks {
            None if heard >= MANY && !late => {
                self.looks = Some(self.suitable(now, looks).min(self.most));
                change.wakes = Some(false);
            }
            Some(_) if heard < FEW => {
                self.looks = None;
                change.wakes = Some(true);
            }
            // Routers change their state.
            Some(_) => self.looks = Some(self.suitable(now, looks).min(self.most)),
            None => {}
        }
        change
    }

    /// The time between looks that suits the routers.
    fn suitable(&mut self, now: Instant, looks: impl FnOnce() -> Duration) -> Duration {
        let known = self.suits.filter(|(_, until)| now < *until);
        let (time, _) = *self
            .suits
            .insert(known.unwrap_or_else(|| (looks(), now + KNOWN)));
        time
    }

    /// When to look again without being woken.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        self.looks.map(|time| now + time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: Duration = Duration::from_millis(3);

    const fn ms(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_driver_looks_by_itself_while_many_packets_come_in() {
        let mut crowd = Crowd::new(ms(0));
        let hears = |crowd: &mut Crowd, count, at| {
            (0..count).for_each(|_| crowd.hears(false));
            crowd.turn(ms(at), || LOOKS).wakes
        };
        assert_eq!(hears(&mut crowd, 99, 100), None);
        assert_eq!(hears(&mut crowd, 250, 200), Some(false));
        assert_eq!(crowd.next_look(ms(200)), Some(ms(203)));
        assert_eq!(hears(&mut crowd, 50, 300), None);
        // A flood would fill the buffers meanwhile.
        assert_eq!(hears(&mut crowd, 12_800, 310), None);
        assert_eq!(hears(&mut crowd, 0, 400), None);
        assert_eq!(crowd.next_look(ms(400)), Some(ms(401)));
        assert_eq!(hears(&mut crowd, 50, 500), None);
        assert_eq!(crowd.next_look(ms(500)), Some(ms(503)));
        assert_eq!(hears(&mut crowd, 30, 600), Some(true));
        assert_eq!(crowd.next_look(ms(600)), None);
        // Few packets in a long time are no rate.
        assert_eq!(hears(&mut crowd, 150, 1600), None);
    }

    #[test]
    fn the_routers_are_asked_once_a_second_and_when_one_of_them_changes() {
        let mut crowd = Crowd::new(ms(0));
        let mut asked = 0;
        let mut turn = |crowd: &mut Crowd, at| {
            (0..250).for_each(|_| crowd.hears(false));
            crowd.turn(ms(at), || {
                asked += 1;
                LOOKS
            });
            asked
        };
        assert_eq!(turn(&mut crowd, 100), 1);
        for window in 2..=10 {
            assert_eq!(turn(&mut crowd, window * 100), 1);
        }
        assert_eq!(turn(&mut crowd, 1100), 2);
        crowd.has_changed();
        assert_eq!(turn(&mut crowd, 1200), 3);
        crowd.reset();
        assert_eq!(turn(&mut crowd, 1300), 4);
    }

    #[test]
    fn a_router_that_has_changed_is_asked_in_the_midst_of_a_window() {
        let mut crowd = Crowd::new(ms(0));
        (0..250).for_each(|_| crowd.hears(false));
        crowd.turn(ms(100), || IDLE);
        assert_eq!(crowd.next_look(ms(101)), Some(ms(151)));
        crowd.turn(ms(101), || unreachable!());
        crowd.has_changed();
        crowd.turn(ms(102), || LOOKS);
        assert_eq!(crowd.next_look(ms(102)), Some(ms(105)));
        // A flood goes on to be looked at as often as it needs.
        (0..12_800).for_each(|_| crowd.hears(false));
        crowd.turn(ms(200), || unreachable!());
        crowd.has_changed();
        crowd.turn(ms(201), || IDLE);
        assert_eq!(crowd.next_look(ms(201)), Some(ms(202)));
    }

    #[test]
    fn backups_wait_for_packets_longer_than_routers_that_are_active() {
        use vrrp_proto::{Family, Priority, Version, Vrid};

        use crate::{Event, RouterConfig};
        let router = |priority| {
            let addresses = std::vec![core::net::IpAddr::from([10, 0, 0, 100])];
            let vrid = Vrid::new(1).unwrap();
            let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, addresses);
            config.interval = Duration::from_millis(100);
            config.priority = Priority::new(priority);
            config.primary = Some([10, 0, 0, 1].into());
            let mut router = Router::new(config).unwrap();
            router.handle(ms(0), Event::Startup);
            while router.poll_action().is_some() {}
            router
        };
        let between = |routers: &[Router]| time_between_looks(routers.iter());
        let (low, high) = (router(100), router(250));
        assert_eq!(
            between(core::slice::from_ref(&low)),
            Duration::from_millis(50)
        );
        assert_eq!(
            between(&[router(150)]),
            Duration::from_nanos(41_406_250) - IN_TIME
        );
        assert_eq!(
            between(&[router(230)]),
            Duration::from_nanos(10_156_250) / 2
        );
        // Its Skew_Time is 2.3 ms: not more seldom than an Active one looks.
        assert_eq!(between(&[high]), SELDOM);
        let mut active = router(100);
        active.handle(ms(500), Event::Timeout);
        assert_eq!(between(&[low, active]), SELDOM);
    }

    #[test]
    fn strangers_are_passed_over_for_a_while_and_then_heard_again() {
        let mut crowd = Crowd::new(ms(0));
        (0..600).for_each(|_| crowd.hears(true));
        assert_eq!(crowd.turn(ms(100), || LOOKS).narrow, Some(true));
        assert_eq!(crowd.turn(ms(200), || LOOKS).narrow, None);
        assert_eq!(crowd.turn(ms(10_100), || LOOKS).narrow, Some(false));
        assert_eq!(crowd.narrowed, 1);
        (0..600).for_each(|_| crowd.hears(true));
        assert_eq!(crowd.turn(ms(10_300), || LOOKS).narrow, Some(true));
        assert!(crowd.reset());
        assert!(!crowd.reset());
    }
}
