//! Another program may take away what we put up as often as we put it back: then that is done with pauses between.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause; each that follows is twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// The longest one.
pub(super) const LONGEST: Duration = Duration::from_secs(5);
/// As long as nothing has gone for that time, all is well again.
const CALM: Duration = Duration::from_secs(30);

/// How often something of ours has gone, one time soon after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brake {
    /// How often it is put back at once.
    free: u32,
    gone: u32,
    last: Option<Instant>,
    /// Not before that time.
    until: Option<Instant>,
}

impl Brake {
    /// Put back at once `free` times.
    pub(super) const fn after(free: u32) -> Self {
        Self {
            free,
            gone: 0,
            last: None,
            until: None,
        }
    }

    /// It has gone: how long to wait before it is put back.
    pub(super) fn gone(&mut self, now: Instant) -> Duration {
        self.release(now);
        self.gone = self.gone.saturating_add(1);
        self.last = Some(now);
        let over = self.gone.saturating_sub(self.free);
        let pause = match over.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(1 << doublings.min(16)).min(LONGEST),
        };
        self.until = (!pause.is_zero()).then(|| now + pause);
        pause
    }

    /// How often it has gone by now.
    pub(super) const fn times(&self) -> u32 {
        self.gone
    }

    /// Whether somebody takes it away again and again.
    pub(super) const fn is_on(&self) -> bool {
        self.gone > self.free
    }

    /// Whether it is not to be put back yet.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.turn(now).is_some()
    }

    /// Whether what was put off is to be put back now.
    pub(super) fn take_turn(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }

    /// When it is put back, if that is still to come.
    pub(super) fn turn(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// When that will have ended, if nothing goes meanwhile.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.last.map(|last| last + CALM)
    }

    /// Whether it has ended.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        let ended = self.ends().is_some_and(|end| now >= end);
        if ended {
            *self = Self::after(self.free);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_the_fight() {
        let mut brake = Brake::after(5);
        let mut now = Instant::now();
        let pauses: Vec<u128> = (0..20)
            .map(|_| {
                let pause = brake.gone(now);
                assert_eq!(brake.holds(now), !pause.is_zero());
                now += pause;
                assert!(!brake.holds(now));
                pause.as_millis()
            })
            .collect();
        assert_eq!(pauses[..6], [0, 0, 0, 0, 0, 100]);
        assert_eq!(pauses[6..13], [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pauses[19], 5000);
        assert!(brake.is_on());
        assert_eq!(brake.times(), 20);
        now = brake.ends().unwrap();
        assert!(brake.release(now));
        assert!(!brake.is_on());
        assert_eq!(brake.gone(now), Duration::ZERO);
    }

    #[test]
    fn what_goes_now_and_then_is_put_back_at_once() {
        let mut brake = Brake::after(5);
        let mut now = Instant::now();
        for _ in 0..100 {
            assert_eq!(brake.gone(now), Duration::ZERO);
            now += CALM;
        }
    }
}
