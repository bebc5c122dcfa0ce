//! Pacing of announcements (keepalived.conf(5), `vrrp_garp_interval` and `garp_group`): how much time there is between
//! two of them on an interface, so that switches and neighbours lose none of hundreds.
//!
//! Pure: a queue for each interface, or group of interfaces, and the time of its next item. Whoever has not been heard at
//! all goes before all repetitions. Adverts never wait here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Times between two announcements; zero for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pacing {
    /// Between gratuitous ARPs.
    pub arp: Duration,
    /// Between unsolicited neighbour advertisements.
    pub neighbour: Duration,
    /// Interfaces with times of their own.
    pub groups: Vec<PacedLinks>,
}

/// Interfaces that share their times: one waits for the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PacedLinks {
    /// Between gratuitous ARPs.
    pub arp: Duration,
    /// Between unsolicited neighbour advertisements.
    pub neighbour: Duration,
    /// The interfaces.
    pub interfaces: Vec<String>,
}

impl Pacing {
    fn lane(&self, interface: &str, ipv6: bool) -> (Lane, Duration) {
        let listed = |group: &PacedLinks| group.interfaces.iter().any(|name| name == interface);
        match self.groups.iter().position(listed) {
            Some(number) => {
                let group = self.groups.get(number);
                let times = group.map_or((self.arp, self.neighbour), |group| {
                    (group.arp, group.neighbour)
                });
                (Lane::Group(number, ipv6), chosen(times, ipv6))
            }
            None => {
                let times = (self.arp, self.neighbour);
                (Lane::Link(interface.to_owned(), ipv6), chosen(times, ipv6))
            }
        }
    }
}

const fn chosen((arp, neighbour): (Duration, Duration), ipv6: bool) -> Duration {
    if ipv6 { neighbour } else { arp }
}

/// What is told one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Group(usize, bool),
    Link(String, bool),
}

/// What waits to be told. `now` is time since any fixed origin.
#[derive(Debug)]
pub struct Pacer<T> {
    pacing: Pacing,
    lanes: BTreeMap<Lane, Queue<T>>,
}

/// Which time it is that something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Neighbours do not know it yet.
    First,
    /// Lest the one before got lost.
    Repetition,
}

#[derive(Debug)]
struct Queue<T> {
    next_at: Duration,
    first: VecDeque<(Duration, T)>,
    again: VecDeque<(Duration, T)>,
}

impl<T> Queue<T> {
    const fn new(next_at: Duration) -> Self {
        Self {
            next_at,
            first: VecDeque::new(),
            again: VecDeque::new(),
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.again.len()
    }

    fn items(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.again).map(|(_, item)| item)
    }

    /// Takes the next item of that round.
    fn pop(&mut self, now: Duration, round: Round) -> Option<T> {
        let waiting = match round {
            Round::First => &mut self.first,
            Round::Repetition => &mut self.again,
        };
        let (interval, item) = waiting.pop_front()?;
        self.next_at = (self.next_at + interval).max(now.saturating_sub(LAG));
        Some(item)
    }
}

/// Items of a lane at most: what is slower than its own repetition must not grow for ever.
const LONGEST: usize = 16_384;
/// How far a lane that was held up may lag behind its times.
const LAG: Duration = Duration::from_millis(10);

impl<T> Pacer<T> {
    /// Nothing waits yet.
    #[must_use]
    pub const fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            lanes: BTreeMap::new(),
        }
    }

    /// Other times from now on. What waits keeps its own.
    pub fn change(&mut self, pacing: Pacing) {
        self.pacing = pacing;
    }

    /// Takes an item of an interface in, behind those of its round that wait.
    pub fn push(&mut self, now: Duration, interface: &str, ipv6: bool, round: Round, item: T) {
        let (lane, interval) = self.pacing.lane(interface, ipv6);
        let queue = self.lanes.entry(lane).or_insert(Queue::new(now));
        if queue.len() == 0 {
            queue.next_at = queue.next_at.max(now);
        }
        // There is room for what nobody has heard yet.
        let has_room =
            queue.len() < LONGEST || round == Round::First && queue.again.pop_back().is_some();
        if has_room {
            match round {
                Round::First => queue.first.push_back((interval, item)),
                Round::Repetition => queue.again.push_back((interval, item)),
            }
        }
    }

    /// The next item whose time has come, of what neighbours do not know yet.
    pub fn first_due(&mut self, now: Duration) -> Option<T> {
        self.pop(now, Round::First)
    }

    /// The next item whose time has come.
    pub fn due(&mut self, now: Duration) -> Option<T> {
        self.first_due(now)
            .or_else(|| self.pop(now, Round::Repetition))
    }

    fn pop(&mut self, now: Duration, round: Round) -> Option<T> {
        let mut due = self.lanes.values_mut().filter(|lane| lane.next_at <= now);
        due.find_map(|lane| lane.pop(now, round))
    }

    /// What waits.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.lanes.values().flat_map(Queue::items)
    }

    /// Drops what waits for nothing any more.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for queue in self.lanes.values_mut() {
            queue.first.retain(|(_, item)| keep(item));
            queue.again.retain(|(_, item)| keep(item));
        }
    }

    /// When an item is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let waiting = self.lanes.values().filter(|queue| queue.len() > 0);
        waiting.map(|queue| queue.next_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Everything that comes out, with the times at which it does.
    fn drain(pacer: &mut Pacer<u8>, mut now: Duration) -> Vec<(u128, u8)> {
        let mut out = Vec::new();
        while let Some(at) = pacer.next_deadline() {
            now = now.max(at);
            while let Some(item) = pacer.due(now) {
                out.push((now.as_millis(), item));
            }
        }
        out
    }

    #[test]
    fn without_a_time_everything_is_due_at_once() {
        let mut pacer = Pacer::new(Pacing::default());
        for item in 0..3 {
            pacer.push(ms(5), "eth0", false, Round::First, item);
        }
        assert_eq!(drain(&mut pacer, ms(5)), [(5, 0), (5, 1), (5, 2)]);
    }

    #[test]
    fn items_of_an_interface_keep_their_distance_and_those_of_another_do_not_wait() {
        let mut pacer = Pacer::new(Pacing {
            arp: ms(20),
            ..Pacing::default()
        });
        for (interface, ipv6, item) in [
            ("eth0", false, 0),
            ("eth0", false, 1),
            ("eth0", true, 2),
            ("eth1", false, 3),
        ] {
            pacer.push(ms(100), interface, ipv6, Round::First, item);
        }
        let mut out = drain(&mut pacer, ms(100));
        out.sort_unstable();
        assert_eq!(out, [(100, 0), (100, 2), (100, 3), (120, 1)]);
        // The distance also holds to what comes later.
        pacer.push(ms(130), "eth0", false, Round::First, 4);
        assert_eq!(drain(&mut pacer, ms(130)), [(140, 4)]);
        pacer.push(ms(900), "eth0", false, Round::First, 5);
        assert_eq!(drain(&mut pacer, ms(900)), [(900, 5)]);
    }

    #[test]
    fn interfaces_of_a_group_wait_for_each_other() {
        let mut pacer = Pacer::new(Pacing {
            arp: ms(1),
            neighbour: ms(1),
            groups: vec![PacedLinks {
                arp: ms(30),
                neighbour: Duration::ZERO,
                interfaces: vec!["eth0".into(), "eth1".into()],
            }],
        });
        pacer.push(ms(0), "eth0", false, Round::First, 0);
        pacer.push(ms(0), "eth1", false, Round::First, 1);
        pacer.push(ms(0), "eth1", true, Round::First, 2);
        pacer.push(ms(0), "eth2", false, Round::First, 3);
        let mut out = drain(&mut pacer, ms(0));
        out.sort_unstable();
        assert_eq!(out, [(0, 0), (0, 2), (0, 3), (30, 1)]);
    }

    #[test]
    fn what_nobody_has_heard_yet_goes_before_what_is_repeated() {
        let repetitions_last = |pacing: Pacing| {
            let mut pacer = Pacer::new(pacing);
            let (first, again) = (Round::First, Round::Repetition);
            // Another takes over while the announcements of one before it are repeated.
            for (round, item) in [(first, 0), (again, 1), (again, 2), (first, 3), (again, 4)] {
                pacer.push(ms(0), "eth0", false, round, item);
            }
            let told: Vec<u8> = drain(&mut pacer, ms(0)).iter().map(|told| told.1).collect();
            assert_eq!(told, [0, 3, 1, 2, 4]);
        };
        repetitions_last(Pacing::default());
        repetitions_last(Pacing {
            arp: ms(20),
            ..Pacing::default()
        });

        let mut pacer = Pacer::new(Pacing::default());
        pacer.push(ms(0), "eth0", false, Round::Repetition, 0);
        pacer.push(ms(0), "eth1", false, Round::First, 1);
        assert_eq!(pacer.first_due(ms(0)), Some(1), "whatever the interface");
        assert_eq!(pacer.first_due(ms(0)), None, "a repetition can wait");
        assert_eq!(pacer.due(ms(0)), Some(0));
    }

    #[test]
    fn a_lane_that_was_held_up_does_not_make_up_for_it_in_one_burst() {
        let mut pacer = Pacer::new(Pacing {
            arp: ms(10),
            ..Pacing::default()
        });
        for item in 0..100 {
            pacer.push(ms(0), "eth0", false, Round::First, item);
        }
        assert_eq!(pacer.due(ms(0)), Some(0));
        let burst = std::iter::from_fn(|| pacer.due(ms(5_000))).count();
        assert!(burst <= 3, "{burst}");
    }
}
