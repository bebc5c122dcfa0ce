//! Adverts for virtual routers that are not here: which, and from whom. An operator who looks for a wrong VRID, or for a
//! cable in a wrong switch, wants both.

use alloc::vec::Vec;
use core::{net::IpAddr, time::Duration};

use crate::Instant;

/// So many are known at once, since whoever is on the link can make up others.
const MOST: usize = 32;
/// One that was silent for so long makes room for another.
const SILENT: Duration = Duration::from_secs(600);

/// Somebody who sends adverts for a virtual router that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    /// Interface that they come in on.
    pub interface: u32,
    /// The virtual router, 0 if the last one was too short to have one.
    pub vrid: u8,
    /// Who.
    pub source: IpAddr,
    /// When the last one came.
    pub at: Instant,
    /// How many.
    pub count: u64,
}

/// Those that are known, and how many packets came of others.
#[derive(Debug, Clone, Default)]
pub(super) struct Strangers {
    known: Vec<Stranger>,
    others: u64,
}

impl Strangers {
    pub(super) fn known(&self) -> &[Stranger] {
        &self.known
    }

    /// One more; how many there are now of that sender for that router, or of all for whom there is no room.
    pub(super) fn note(&mut self, one: Stranger) -> u64 {
        let who = |one: &Stranger| (one.interface, one.vrid, one.source);
        if let Some(known) = self.known.iter_mut().find(|known| who(known) == who(&one)) {
            known.at = one.at;
            known.count += one.count;
            return known.count;
        }
        if self.known.len() < MOST {
            self.known.push(one);
            return one.count;
        }
        let quietest = self.known.iter_mut().min_by_key(|known| known.at);
        match quietest.filter(|known| one.at.since(known.at) >= SILENT) {
            Some(place) => {
                *place = one;
                one.count
            }
            None => {
                self.others += one.count;
                self.others
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advert(vrid: u8, host: u8, second: u64) -> Stranger {
        Stranger {
            interface: 1,
            vrid,
            source: [10, 0, 0, host].into(),
            at: Instant::from_nanos(second * 1_000_000_000),
            count: 1,
        }
    }

    #[test]
    fn each_sender_of_each_router_is_counted_for_itself() {
        let mut strangers = Strangers::default();
        let counts = [(51, 1), (52, 1), (51, 2), (51, 1), (51, 1)];
        let counts = counts.map(|(vrid, host)| strangers.note(advert(vrid, host, 0)));
        assert_eq!(counts, [1, 1, 1, 2, 3]);
        assert_eq!(strangers.known().len(), 3);
    }

    #[test]
    fn a_flood_of_made_up_senders_takes_neither_memory_nor_lines() {
        let mut strangers = Strangers::default();
        let mut told = 0;
        for number in 0..50_000_u64 {
            let [_, _, _, _, _, _, vrid, host] = number.to_be_bytes();
            let count = strangers.note(advert(vrid, host, number / 1000));
            told += u32::from(count.is_power_of_two());
        }
        assert_eq!(strangers.known().len(), 32);
        assert!(told < 60, "{told}");
        // Who has been there all the time is known on, and what was made up makes room when it is over.
        let mut real = |second| {
            strangers.note(advert(0, 31, 699));
            strangers.note(advert(99, 99, second))
        };
        assert!(real(599) > 1);
        assert_eq!(real(700), 1);
        assert!(
            strangers
                .known()
                .iter()
                .any(|one| one.source == IpAddr::from([10, 0, 0, 31]))
        );
    }
}
