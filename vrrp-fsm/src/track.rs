//! Tracking: from the health of scripts and interfaces to an effective priority or a fault, by
//! keepalived's rules.
//!
//! Pure arithmetic; running a script and watching a link are the caller's.
//!
//! | weight | object healthy | object failing |
//! |---|---|---|
//! | positive | priority + weight | priority |
//! | negative | priority | priority - \|weight\| |
//! | 0 (default) | priority | fault |
//!
//! `reverse` exchanges the columns. The sum is clamped to 1-254; the priority of an owner (255)
//! never changes, although a weight of 0 faults it too. A script without a first result holds the
//! router out of Backup.

use alloc::vec::Vec;

use vrrp_proto::Priority;

use crate::{FaultReason, Object};

/// One tracked object of one router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// What is tracked.
    pub object: Object,
    /// What its health does to the priority; 0 for fault.
    pub weight: i16,
    /// Healthy counts as failing and the other way round.
    pub reverse: bool,
}

impl Track {
    /// What the object adds to the priority in that health. Nothing where a failure is a fault, or without a result.
    pub fn contribution(&self, health: Health) -> i16 {
        match self.is_failing(health) {
            Some(failing) if (self.weight > 0) != failing => self.weight,
            _ => 0,
        }
    }

    fn is_failing(&self, health: Health) -> Option<bool> {
        match health {
            Health::Unknown => None,
            Health::Up => Some(self.reverse),
            Health::Down => Some(!self.reverse),
        }
    }
}

/// Health of a tracked object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// No result yet.
    Unknown,
    /// It works.
    Up,
    /// It fails.
    Down,
}

/// All that one router tracks.
#[derive(Debug, Clone, Default)]
pub struct Tracks {
    items: Vec<(Track, Health)>,
}

/// What tracking makes of a base priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take part with this priority.
    Priority(Priority),
    /// Do not take part.
    Fault(FaultReason),
}

impl Tracks {
    /// Scripts begin unknown; interfaces count as up until they are reported down.
    pub fn new(tracks: impl IntoIterator<Item = Track>) -> Self {
        let begin = |track: Track| match track.object {
            Object::Interface(_) => (track, Health::Up),
            Object::Script(_) => (track, Health::Unknown),
        };
        Self {
            items: tracks.into_iter().map(begin).collect(),
        }
    }

    /// Takes a new health in; whether that changed anything.
    pub fn set(&mut self, object: Object, health: Health) -> bool {
        let mut changed = false;
        for (track, current) in &mut self.items {
            if track.object == object && *current != health {
                *current = health;
                changed = true;
            }
        }
        changed
    }

    /// What is tracked, with its health.
    pub fn iter(&self) -> impl Iterator<Item = (Track, Health)> + '_ {
        self.items.iter().copied()
    }

    /// The outcome for a router of that base priority. A failed object is told before one without a
    /// result.
    pub fn verdict(&self, base: Priority) -> Verdict {
        let mut waiting = None;
        let mut sum = i32::from(base.value());
        for (track, health) in &self.items {
            match track.is_failing(*health) {
                None => waiting = waiting.or(Some(FaultReason::Waiting(track.object))),
                Some(true) if track.weight == 0 => {
                    return Verdict::Fault(FaultReason::Tracked(track.object));
                }
                Some(_) => sum += i32::from(track.contribution(*health)),
            }
        }
        if let Some(reason) = waiting {
            return Verdict::Fault(reason);
        }
        if base == Priority::OWNER {
            return Verdict::Priority(base);
        }
        let clamped = u8::try_from(sum.clamp(1, 254)).unwrap_or(1);
        Verdict::Priority(Priority::new(clamped))
    }
}

/// Counts the results of one script: `rise` successes in a row make it up, `fall` failures make it
/// down. The first result decides alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    rise: u32,
    fall: u32,
    run: u32,
    health: Health,
}

impl Counter {
    /// A script without a result. Thresholds below 1 are 1.
    pub fn new(rise: u32, fall: u32) -> Self {
        Self {
            rise: rise.max(1),
            fall: fall.max(1),
            run: 0,
            health: Health::Unknown,
        }
    }

    /// keepalived's `init_fail`: failed until `rise` successes, without waiting for a first result.
    #[must_use]
    pub fn failed(self) -> Self {
        Self {
            health: Health::Down,
            ..self
        }
    }

    /// Takes one result in; the new health if that changed it.
    pub fn result(&mut self, success: bool) -> Option<Health> {
        let (towards, threshold) = match (self.health, success) {
            (Health::Unknown, true) => (Health::Up, 1),
            (Health::Unknown, false) => (Health::Down, 1),
            (Health::Down, true) => (Health::Up, self.rise),
            (Health::Up, false) => (Health::Down, self.fall),
            (Health::Up, true) | (Health::Down, false) => {
                self.run = 0;
                return None;
            }
        };
        self.run += 1;
        if self.run < threshold {
            return None;
        }
        self.run = 0;
        self.health = towards;
        Some(towards)
    }

    /// Its health.
    pub fn health(&self) -> Health {
        self.health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Object = Object::Script(1);
    const LINK: Object = Object::Interface(7);

    fn track(object: Object, weight: i16) -> Track {
        Track {
            object,
            weight,
            reverse: false,
        }
    }

    fn priority(tracks: &[(Track, Health)], base: u8) -> Verdict {
        let mut all = Tracks::new(tracks.iter().map(|(track, _)| *track));
        for (track, health) in tracks {
            all.set(track.object, *health);
        }
        all.verdict(Priority::new(base))
    }

    #[test]
    fn weights_move_the_priority_by_keepalived_s_rules() {
        let table = [
            (10, false, Health::Up, 110),
            (10, false, Health::Down, 100),
            (-10, false, Health::Up, 100),
            (-10, false, Health::Down, 90),
            (10, true, Health::Up, 100),
            (10, true, Health::Down, 110),
            (-10, true, Health::Up, 90),
            (-10, true, Health::Down, 100),
            (253, false, Health::Up, 254),
            (-253, false, Health::Down, 1),
        ];
        for (weight, reverse, health, expected) in table {
            let track = Track {
                object: SCRIPT,
                weight,
                reverse,
            };
            assert_eq!(
                priority(&[(track, health)], 100),
                Verdict::Priority(Priority::new(expected)),
                "weight {weight} reverse {reverse} {health:?}"
            );
        }
    }

    #[test]
    fn weight_zero_faults_and_reverse_turns_it_round() {
        let plain = track(LINK, 0);
        let reverse = Track {
            reverse: true,
            ..plain
        };
        let fault = Verdict::Fault(FaultReason::Tracked(LINK));
        let fine = Verdict::Priority(Priority::new(100));
        assert_eq!(priority(&[(plain, Health::Down)], 100), fault);
        assert_eq!(priority(&[(plain, Health::Up)], 100), fine);
        assert_eq!(priority(&[(reverse, Health::Up)], 100), fault);
        assert_eq!(priority(&[(reverse, Health::Down)], 100), fine);
    }

    #[test]
    fn a_script_without_result_holds_the_router_out_and_an_interface_does_not() {
        assert_eq!(
            Tracks::new([track(SCRIPT, 5), track(LINK, 5)]).verdict(Priority::new(100)),
            Verdict::Fault(FaultReason::Waiting(SCRIPT))
        );
        assert_eq!(
            Tracks::new([track(LINK, 5)]).verdict(Priority::new(100)),
            Verdict::Priority(Priority::new(105))
        );
    }

    #[test]
    fn an_owner_keeps_its_priority_but_can_fault() {
        assert_eq!(
            priority(&[(track(SCRIPT, -50), Health::Down)], 255),
            Verdict::Priority(Priority::OWNER)
        );
        assert_eq!(
            priority(&[(track(SCRIPT, 0), Health::Down)], 255),
            Verdict::Fault(FaultReason::Tracked(SCRIPT))
        );
    }

    #[test]
    fn the_first_result_decides_alone_and_later_ones_are_counted() {
        let mut counter = Counter::new(3, 2);
        assert_eq!(counter.result(false), Some(Health::Down));
        assert_eq!(counter.result(true), None);
        assert_eq!(counter.result(true), None);
        assert_eq!(
            counter.result(false),
            None,
            "a failure starts the count again"
        );
        assert_eq!(counter.result(true), None);
        assert_eq!(counter.result(true), None);
        assert_eq!(counter.result(true), Some(Health::Up));
        assert_eq!(counter.result(false), None);
        assert_eq!(counter.result(false), Some(Health::Down));
        assert_eq!(Counter::new(2, 1).failed().health(), Health::Down);
    }
}
