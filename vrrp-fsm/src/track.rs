//! Tracking: from the health of scripts, interfaces, processes and files to an effective priority or a
//! fault, by keepalived's rules.
//!
//! Pure arithmetic; running a script, watching a link and reading a file are the caller's.
//!
//! | weight | object healthy | object failing |
//! |---|---|---|
//! | positive | priority + weight | priority |
//! | negative | priority | priority - \|weight\| |
//! | 0 (default) | priority | fault |
//!
//! `reverse` changes the sign of what a weight adds, and of weight 0 it makes a fault while the object
//! is healthy. A file has a value instead of a health: value x weight is added, and -254 or less is a
//! fault; with weight 0 every value but 0 is one.
//!
//! The sum is clamped to 1-254. Weights do nothing to an owner (255), but an object of weight 0 faults
//! it too. An object without a first result holds the router out of Backup.

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

/// What an object of a known health does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Adds(i16),
    Fault,
}

/// keepalived: a file that takes as much from the priority is a fault.
const FILE_FAULT: i32 = -254;
/// The most that a file adds.
const FILE_MOST: i32 = 253;

impl Track {
    /// What the object adds to the priority in that health. Nothing where it is a fault, or without a result.
    pub fn contribution(&self, health: Health) -> i16 {
        match self.effect(health) {
            Some(Effect::Adds(points)) => points,
            Some(Effect::Fault) | None => 0,
        }
    }

    /// A health that is no fault, for an object of which nothing is known.
    pub(crate) fn harmless(&self) -> Health {
        match (self.object, self.reverse) {
            (Object::File(_), reverse) => Health::Value(i32::from(reverse && self.weight == 0)),
            (_, true) => Health::Down,
            (_, false) => Health::Up,
        }
    }

    fn effect(&self, health: Health) -> Option<Effect> {
        let sign = if self.reverse { -1 } else { 1 };
        let (is_bad, points) = match health {
            Health::Unknown => return None,
            Health::Up => (false, i32::from(self.weight.max(0)) * sign),
            Health::Down => (true, i32::from(self.weight.min(0)) * sign),
            Health::Value(value) => {
                let points = value.saturating_mul(i32::from(self.weight) * sign);
                if points <= FILE_FAULT {
                    return Some(Effect::Fault);
                }
                (value != 0, points.min(FILE_MOST))
            }
        };
        if self.weight == 0 && is_bad != self.reverse {
            return Some(Effect::Fault);
        }
        Some(Effect::Adds(i16::try_from(points).unwrap_or(0)))
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
    /// What a file says.
    Value(i32),
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
    /// Interfaces count as up until they are reported down; everything else begins unknown.
    pub fn new(tracks: impl IntoIterator<Item = Track>) -> Self {
        let begin = |track: Track| match track.object {
            Object::Interface(_) => (track, Health::Up),
            Object::Script(_) | Object::File(_) | Object::Process(_) | Object::Neighbour(_) => {
                (track, Health::Unknown)
            }
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
        let is_owner = base == Priority::OWNER;
        for (track, health) in &self.items {
            if is_owner && track.weight != 0 {
                continue;
            }
            match track.effect(*health) {
                None => waiting = waiting.or(Some(FaultReason::Waiting(track.object))),
                Some(Effect::Fault) => {
                    return Verdict::Fault(FaultReason::Tracked(track.object));
                }
                Some(Effect::Adds(points)) => sum += i32::from(points),
            }
        }
        if let Some(reason) = waiting {
            return Verdict::Fault(reason);
        }
        if is_owner {
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
    passes: Option<bool>,
}

impl Counter {
    /// A script without a result. Thresholds below 1 are 1.
    pub fn new(rise: u32, fall: u32) -> Self {
        Self {
            rise: rise.max(1),
            fall: fall.max(1),
            run: 0,
            passes: None,
        }
    }

    /// keepalived's `init_fail`: failed until `rise` successes, without waiting for a first result.
    #[must_use]
    pub fn failed(self) -> Self {
        Self {
            passes: Some(false),
            ..self
        }
    }

    /// Takes one result in; the new health if that changed it.
    pub fn result(&mut self, success: bool) -> Option<Health> {
        let threshold = match self.passes {
            None => 1,
            Some(passes) if passes == success => {
                self.run = 0;
                return None;
            }
            Some(true) => self.fall,
            Some(false) => self.rise,
        };
        self.run += 1;
        if self.run < threshold {
            return None;
        }
        self.run = 0;
        self.passes = Some(success);
        Some(self.health())
    }

    /// Its health.
    pub fn health(&self) -> Health {
        match self.passes {
            None => Health::Unknown,
            Some(true) => Health::Up,
            Some(false) => Health::Down,
        }
    }
}

#[cfg(test)]
mod tests;
