//! The last sequence number of each sender and key: what comes must follow it.
//!
//! Only packets whose tag is right get here, so that a forger cannot push anybody out of the table.
//! Marks are kept by key as well: whoever holds a key that is given up, because it leaked, cannot
//! drive the numbers of its successor up with it.

use core::net::IpAddr;

use crate::Sequence;

/// Senders and keys remembered; the one that was silent longest makes room. A virtual router has
/// one sender, two while roles change, and twice as many while keys change.
const CAPACITY: usize = 16;

/// The last that was heard of a sender under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its address.
    pub source: IpAddr,
    /// The key's number.
    pub key: u8,
    /// Its last sequence number.
    pub sequence: Sequence,
}

/// What of an [`Authenticator`](super::Authenticator) must outlive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub(super) sent: Option<Sequence>,
    pub(super) marks: Marks,
}

impl Memory {
    /// From its parts; of marks beyond what is kept the first stay.
    pub fn new(sent: Option<Sequence>, marks: impl IntoIterator<Item = Mark>) -> Self {
        let mut table = Marks::default();
        for (place, mark) in table.0.iter_mut().zip(marks) {
            *place = Some(mark);
        }
        Self { sent, marks: table }
    }

    /// The last sequence number sent, if there was one.
    pub const fn sent(&self) -> Option<Sequence> {
        self.sent
    }

    /// What was heard, the latest first.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + '_ {
        self.marks.0.iter().flatten().copied()
    }
}

/// In the order in which they were last heard, the latest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks([Option<Mark>; CAPACITY]);

impl Marks {
    /// Without those of keys that are `gone`.
    pub(super) fn without(self, gone: impl Fn(u8) -> bool) -> Self {
        let mut kept = Self::default();
        let stay = self.0.into_iter().flatten().filter(|mark| !gone(mark.key));
        for (place, mark) in kept.0.iter_mut().zip(stay) {
            *place = Some(mark);
        }
        kept
    }

    /// Whether `sequence` is new; remembers it then. A mark that is `gone` counts for nothing.
    pub(super) fn advance(
        &mut self,
        source: IpAddr,
        key: u8,
        sequence: Sequence,
        gone: impl Fn(Sequence) -> bool,
    ) -> bool {
        let known =
            |mark: &Option<Mark>| mark.is_some_and(|mark| mark.source == source && mark.key == key);
        let place = self.0.iter().position(known);
        let mark = place.and_then(|place| self.0.get(place).copied().flatten());
        if mark.is_some_and(|mark| !gone(mark.sequence) && !sequence.follows(mark.sequence)) {
            return false;
        }
        let upto = place.unwrap_or(CAPACITY - 1);
        if let Some(front) = self.0.get_mut(..=upto) {
            front.rotate_right(1);
        }
        if let Some(first) = self.0.first_mut() {
            *first = Some(Mark {
                source,
                key,
                sequence,
            });
        }
        true
    }
}
