//! How long a virtual address may stay without another advert sent: arithmetic only, no clock.
//!
//! The address carries a lifetime in the kernel (`valid_lft`), so it goes by itself when its
//! speaker no longer runs (stopped, starved, dead). It is refreshed only together with an advert
//! that was really sent. A lease that ran out for want of adverts is not taken up again: others may have
//! taken over. Where adverts went out and the kernel was slow to hear of it, nobody has
//! ([`upheld`](Lease::upheld)).

use std::time::Duration;

/// A refresh is a netlink request: one a second is enough, unless the advert after this one would come too late for it.
pub const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// The kernel counts whole seconds; one second could pass between two refreshes.
const SHORTEST: Duration = Duration::from_secs(2);

/// How early a refresh may be.
const SLACK: Duration = Duration::from_millis(50);

/// How long a refresh may wait for those of other routers.
pub(crate) const GATHERED: Duration = Duration::from_millis(200);

/// How late an advert that brings a refresh may be at every interval; where that is longer, a whole interval.
const LATENESS: Duration = Duration::from_millis(300);

/// `ADDRCONF_TIMER_FUZZ`, by which the kernel ends a lifetime early.
const FUZZ: Duration = Duration::from_millis(250);

/// The lease of one virtual router's addresses. `now` is time since any fixed origin, on a clock
/// that goes on while the machine sleeps (`CLOCK_BOOTTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    valid: Duration,
    refreshed: Duration,
    /// When the last advert was sent under it.
    spoke: Duration,
    /// No advert was sent under it yet.
    fresh: bool,
}

impl Lease {
    /// The lifetime for an advertisement interval: three intervals, about when the first Backup
    /// takes over (RFC 9568 §6.1: Active_Down_Interval is a little more), in the kernel's unit.
    #[must_use]
    pub fn lifetime(interval: Duration) -> Duration {
        let three = interval.saturating_mul(3);
        let whole = three.as_secs() + u64::from(three.subsec_nanos() > 0);
        Duration::from_secs(whole).max(SHORTEST)
    }

    /// How long addresses may answer after an advert without another one: a tenth of an interval less than the
    /// first Backup waits, which has skipped `down_adverts` adverts (RFC 9568 §6.1; Skew_Time comes on top). `None`
    /// where a Backup waits so short that an advert a little late would silence a sound router.
    #[must_use]
    pub fn hold(interval: Duration, down_adverts: u8) -> Option<Duration> {
        (down_adverts > 1).then(|| {
            interval
                .saturating_mul(down_adverts.into())
                .saturating_sub(interval / 10)
        })
    }

    /// A lease of `valid`, beginning `now`.
    #[must_use]
    pub const fn begin(valid: Duration, now: Duration) -> Self {
        Self {
            valid,
            refreshed: now,
            spoke: now,
            fresh: true,
        }
    }

    /// An advert was sent: whether the kernel is to be told now. Never once it ran out.
    #[must_use]
    pub fn refresh(&mut self, now: Duration) -> Refresh {
        let age = now.saturating_sub(self.refreshed);
        let interval = now.saturating_sub(self.spoke);
        self.spoke = now;
        if self.expired(now) {
            return Refresh::Expired;
        }
        // The next advert, and a refresh by it, may be late.
        let next = age + interval + interval.max(LATENESS) + GATHERED;
        let can_wait = next + FUZZ <= self.valid;
        // Adverts of one second are a little early at times. The first advert after a takeover may
        // come after any part of an interval; not counting it would leave a second one unprotected.
        if age + SLACK < REFRESH_EVERY && can_wait && !self.fresh {
            return Refresh::NotYet;
        }
        self.fresh = false;
        self.refreshed = now;
        Refresh::Due
    }

    /// Whether addresses that the kernel took away although adverts were sent may be put back: it has not run out, and the
    /// last advert is younger than a `hold`, so that nobody can have taken over. Without a hold the lease stands for it.
    #[must_use]
    pub fn upheld(&self, now: Duration, hold: Option<Duration>) -> bool {
        let silence = now.saturating_sub(self.spoke);
        !self.expired(now) && hold.is_none_or(|hold| silence < hold)
    }

    /// Its lifetime.
    #[must_use]
    pub const fn valid(&self) -> Duration {
        self.valid
    }

    /// When the kernel began to count.
    #[must_use]
    pub const fn refreshed(&self) -> Duration {
        self.refreshed
    }

    /// Whether it ran out, or may have: the kernel rounds by up to a quarter of a second.
    #[must_use]
    pub fn expired(&self, now: Duration) -> bool {
        now.saturating_sub(self.refreshed) + FUZZ >= self.valid
    }
}

/// What an advert sent means for the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Refreshed so lately that the kernel need not be told.
    NotYet,
    /// Tell the kernel.
    Due,
    /// Too late: the router must become Backup.
    Expired,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn lifetimes_are_whole_seconds_and_never_below_two() {
        assert_eq!(Lease::lifetime(ms(10)), ms(2000));
        assert_eq!(Lease::lifetime(ms(700)), ms(3000));
        assert_eq!(Lease::lifetime(ms(1000)), ms(3000));
        assert_eq!(Lease::lifetime(ms(2000)), ms(6000));
    }

    #[test]
    fn what_the_kernel_took_away_is_put_back_only_while_nobody_can_have_taken_over() {
        let hold = Lease::hold(ms(100), 3);
        let mut lease = Lease::begin(ms(2000), ms(0));
        let _ = lease.refresh(ms(1000));
        assert!(lease.upheld(ms(1289), hold));
        assert!(!lease.upheld(ms(1290), hold), "as long as a Backup waits");
        assert!(lease.upheld(ms(2749), None));
        assert!(!lease.upheld(ms(2750), None), "it ran out");
    }

    #[test]
    fn a_hold_ends_before_any_backup_takes_over() {
        assert_eq!(Lease::hold(ms(10), 3), Some(ms(29)));
        assert_eq!(Lease::hold(ms(1000), 3), Some(ms(2900)));
        assert_eq!(Lease::hold(ms(100), 2), Some(ms(190)));
        assert_eq!(Lease::hold(ms(100), 1), None);
    }

    #[test]
    fn a_refresh_is_due_about_once_a_second() {
        let mut lease = Lease::begin(ms(2000), ms(500));
        let due = (1..=100)
            .filter(|tick| lease.refresh(ms(500 + tick * 100)) == Refresh::Due)
            .count();
        assert!((9..=10).contains(&due), "{due} in ten seconds");
    }

    #[test]
    fn the_first_advert_refreshes_however_soon_it_comes() {
        let mut lease = Lease::begin(ms(3000), ms(0));
        assert_eq!(lease.refresh(ms(800)), Refresh::Due);
        assert_eq!(lease.refresh(ms(1600)), Refresh::NotYet);
        assert!(!lease.expired(ms(3500)));
    }

    #[test]
    fn adverts_of_one_second_refresh_each_time() {
        let mut lease = Lease::begin(ms(3000), ms(0));
        for second in 1..10 {
            assert_eq!(lease.refresh(ms(second * 1000 - second % 2)), Refresh::Due);
        }
    }

    #[test]
    fn a_late_advert_finds_its_lease_at_every_interval() {
        for hundredths in 1..=300 {
            let interval = ms(hundredths * 10);
            let mut lease = Lease::begin(Lease::lifetime(interval), ms(0));
            let mut carried_out = ms(0);
            let (mut adverts, mut asked) = (0, 0);
            while carried_out < ms(20_000) {
                adverts += 1;
                let now = interval * adverts;
                let left = (carried_out + lease.valid()).saturating_sub(now + FUZZ);
                match lease.refresh(now) {
                    Refresh::NotYet => {}
                    Refresh::Due => {
                        let late = LATENESS.max(interval) + GATHERED;
                        assert!(left >= late, "{interval:?}: {left:?}");
                        carried_out = now;
                        asked += 1;
                    }
                    Refresh::Expired => panic!("{interval:?}"),
                }
            }
            let rate = f64::from(asked) / (interval * adverts).as_secs_f64();
            let most = if interval < ms(300) { 1.1 } else { 2.0 };
            assert!(rate <= most, "{interval:?}: {rate} a second");
        }
    }

    #[test]
    fn what_ran_out_is_never_refreshed() {
        let mut lease = Lease::begin(ms(2000), ms(0));
        assert!(!lease.expired(ms(1749)));
        assert_eq!(lease.refresh(ms(1750)), Refresh::Expired);
        assert_eq!(lease.refresh(ms(1751)), Refresh::Expired);
        assert!(lease.expired(ms(1750)));
    }
}
