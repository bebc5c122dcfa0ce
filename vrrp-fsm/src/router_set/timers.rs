//! What happens when time has come: the earliest deadline of all routers, and who fires together.
//!
//! RFC 9568 has no rule for jitter: an Active router sends when Adver_Timer fires, and sets it to Advertisement_Interval
//! (§6.4.3). [`advert_ahead`](RouterSet::advert_ahead) sends earlier than that, never later: a Backup begins
//! Active_Down_Timer anew with each advert that it hears, so that one that comes early is as good as one in time. As
//! long as the same routers go out together, none is further from the one before than the interval that it tells, but for
//! the time by which a driver wakes late. When the first of them stops, the others' next adverts come at their own time: one
//! interval and a part of it after the last, which three intervals bear, and one or two, of which an advert may be lost, would not.

use super::RouterSet;
use crate::{Event, Instant, State, timing};

impl RouterSet {
    /// When to call [`timeout`](Self::timeout).
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }

    /// The same if a Backup takes over then, unless it hears of an Active router before.
    pub fn next_takeover(&self) -> Option<Instant> {
        let (at, id) = self.deadlines.first()?;
        let backup = matches!(self.router(id)?.state(), State::Backup(_));
        backup.then_some(at)
    }

    /// Gives [`Event::Timeout`] to every router whose deadline has come, in the order of the
    /// deadlines.
    pub fn timeout(&mut self, now: Instant) {
        self.assert_drained();
        while self.fire(now) {}
    }

    /// The same for the first of them alone; false when none is due. A driver that carries out what
    /// each asks for before the next one fires sends the adverts of many routers the sooner.
    pub fn timeout_next(&mut self, now: Instant) -> bool {
        self.assert_drained();
        self.fire(now)
    }

    /// Asks for an advert that is not due yet, but in the same part of its interval (an eighth, five
    /// milliseconds at least and fifty at most, but never more than a half), so that another wake-up for it alone would be a waste; false when the next
    /// deadline is none. The one after it is due as if it had gone out at its own time, so the rhythm stays, and the parts
    /// are those of the clock: who goes out together does so again and again. How long a router has been silent is counted from
    /// when it really spoke. Routers whose Backups wait for one advert or two (`down_timer_adverts`) always go at their time.
    pub fn advert_ahead(&mut self, now: Instant) -> bool {
        self.assert_drained();
        let Some((at, id)) = self.deadlines.first() else {
            return false;
        };
        let is_soon = self.router(id).is_some_and(|router| {
            let config = router.config();
            let part = timing::part_of(config.interval);
            matches!(router.state(), State::Active(active) if active.adver_at == at)
                && config.policy.down_timer_adverts > 2
                && at.as_nanos() / part == now.as_nanos() / part
        });
        if is_soon {
            self.step(at, id, Event::Timeout);
            if let Some(member) = self.member_mut(id) {
                member.router.has_spoken_ahead(now);
            }
        }
        is_soon
    }

    fn fire(&mut self, now: Instant) -> bool {
        let Some((at, id)) = self.deadlines.first().filter(|(at, _)| *at <= now) else {
            return false;
        };
        if let Some(member) = self.member_mut(id) {
            let late = &mut member.statistics.latest_timer;
            *late = now.since(at).max(*late);
            if let State::Active(active) = member.router.state()
                && active.adver_at <= now
            {
                let late = &mut member.statistics.latest_advert;
                *late = now.since(active.adver_at).max(*late);
            }
        }
        self.step(now, id, Event::Timeout);
        true
    }
}
