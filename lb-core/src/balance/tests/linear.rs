//! Searches that skip whole crowds of servers find what a walk from one to the next finds.

use proptest::prelude::*;

use super::{
    super::{Algorithm, Pick, Scheduler},
    scheduler,
};
use crate::{hash::avalanche, id::ServerIndex};

#[derive(Debug, Clone)]
enum Step {
    Park(usize, bool),
    Weight(usize, u32),
    Load(usize, u32),
    Pick(u32, Option<usize>),
}

fn steps(servers: usize, most_load: u32) -> impl Strategy<Value = Vec<Step>> {
    let server = 0..servers;
    let step = prop_oneof![
        4 => (server.clone(), any::<bool>()).prop_map(|(s, parked)| Step::Park(s, parked)),
        1 => (server.clone(), 0_u32..12).prop_map(|(s, weight)| Step::Weight(s, weight)),
        4 => (server.clone(), 0..=most_load).prop_map(|(s, load)| Step::Load(s, load)),
        8 => (any::<u32>(), prop::option::weighted(0.3, server))
            .prop_map(|(hash, except)| Step::Pick(hash, except)),
    ];
    prop::collection::vec(step, 1..200)
}

fn server(pick: Pick) -> Option<usize> {
    match pick {
        Pick::Free(server) | Pick::Full(server) => Some(server.index()),
        Pick::Nobody => None,
    }
}

/// A table whose places are walked one by one.
struct Table {
    places: Vec<usize>,
    next: usize,
}

impl Table {
    fn new(weights: &[u32]) -> Self {
        let mut table = scheduler(Algorithm::Source, weights);
        let places = weights.iter().sum::<u32>();
        let at = |place| server(table.pick(Some(place), None));
        Self {
            places: (0..places).filter_map(at).collect(),
            next: 0,
        }
    }

    fn pick(&mut self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let total = self.places.len();
        let mut around = (self.next..self.next + total).map(|place| place % total);
        let place = around.find(|&place| may(self.places[place]))?;
        self.next = (place + 1) % total;
        Some(self.places[place])
    }
}

/// The points of a ring, in their order.
fn points_of(weights: &[u32]) -> Vec<(u32, usize)> {
    let mut points: Vec<(u32, usize)> = Vec::new();
    for (server, weight) in weights.iter().enumerate() {
        let first = (u32::try_from(server).unwrap() + 1) * 4096;
        points.extend((0..*weight).map(|nth| (avalanche(first + nth), server)));
    }
    points.sort_unstable();
    points
}

/// The server that a key has on a ring: the nearest point's, or that of the first one after it that may be chosen.
fn on_ring(points: &[(u32, usize)], hash: u32, may: impl Fn(usize) -> bool) -> Option<usize> {
    let after = points.partition_point(|(point, _)| *point < hash);
    let at = |place: usize| points[place % points.len()].0;
    let total = points.len();
    if total == 0 {
        return None;
    }
    let before = after + total - 1;
    let nearest = if hash.wrapping_sub(at(before)) <= at(after).wrapping_sub(hash) {
        before
    } else {
        after
    };
    let mut around = (nearest..nearest + total).map(|place| points[place % total].1);
    around.find(|server| may(*server))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn turns_go_on_where_a_walk_through_the_table_does(
        weights in prop::collection::vec(0_u32..12, 8),
        steps in steps(8, 0),
        keyless in any::<bool>(),
    ) {
        let algorithm = if keyless { Algorithm::Source } else { Algorithm::StaticRr };
        let mut weights = weights;
        let mut table = Table::new(&divided(&weights));
        let mut tested = scheduler(algorithm, &weights);
        let mut parked = [false; 8];
        for step in steps {
            match step {
                Step::Park(server, is_parked) => {
                    parked[server] = is_parked;
                    tested.set_parked(ServerIndex::new(server), is_parked);
                }
                Step::Weight(server, weight) if weights[server] != weight => {
                    weights[server] = weight;
                    tested.set_weight(ServerIndex::new(server), weight);
                    table = Table::new(&divided(&weights));
                }
                Step::Pick(_, except) => {
                    let may = |server: usize| Some(server) != except && !parked[server];
                    let found = tested.pick(None, except.map(ServerIndex::new));
                    prop_assert_eq!(server(found), table.pick(may));
                }
                Step::Weight(..) | Step::Load(..) => {}
            }
        }
    }

    #[test]
    fn a_bounded_ring_finds_what_a_walk_around_it_finds(
        scale in prop::sample::select(vec![1_u32, 16, 100]),
        servers in 1_usize..12,
        factor in prop::sample::select(vec![0_u32, 101, 125, 300]),
        crowd in prop::sample::select(vec![0_u32, 3, 1000]),
        steps in steps(12, 2000),
    ) {
        let ids: Vec<u32> = (1..).take(servers).collect();
        let mut ring = Scheduler::consistent(&ids, factor);
        let mut weights = vec![0; servers];
        let mut loads = vec![0_u32; servers];
        for (server, weight) in weights.iter_mut().enumerate() {
            *weight = scale;
            ring.set_weight(ServerIndex::new(server), scale);
        }
        let mut points = points_of(&weights);
        for step in steps {
            match step {
                Step::Weight(server, weight) if server < servers => {
                    weights[server] = weight * scale;
                    points = points_of(&weights);
                    ring.set_weight(ServerIndex::new(server), weight * scale);
                }
                Step::Load(server, load) if server < servers => {
                    // Few different loads, so that many are just at their share.
                    loads[server] = load.min(crowd);
                    ring.set_load(ServerIndex::new(server), loads[server]);
                }
                Step::Pick(hash, except) => {
                    let total: u64 = loads.iter().map(|load| u64::from(*load)).sum();
                    let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
                    let may = |server: usize| {
                        let share = (total + 1) * u64::from(factor) * u64::from(weights[server]);
                        let most = share.div_ceil(all * 100);
                        Some(server) != except && (factor == 0 || u64::from(loads[server]) < most)
                    };
                    let found = server(ring.pick(Some(hash), except.map(ServerIndex::new)));
                    prop_assert_eq!(found, on_ring(&points, hash, may));
                    // A hot key fills one server after the other.
                    if let Some(found) = found.filter(|_| hash % 2 == 0) {
                        loads[found] += 1;
                        ring.set_load(ServerIndex::new(found), loads[found]);
                    }
                }
                Step::Weight(..) | Step::Load(..) | Step::Park(..) => {}
            }
        }
    }

    #[test]
    fn random_draws_anyone_with_room_and_nobody_else(
        weights in prop::collection::vec(0_u32..4, 1..8),
        full in prop::collection::vec(any::<bool>(), 8),
        except in prop::option::of(0_usize..8),
    ) {
        let mut random = scheduler(Algorithm::Random(1), &weights);
        for (server, is_full) in full.iter().enumerate() {
            random.set_parked(ServerIndex::new(server), *is_full);
        }
        let may = |&server: &usize| weights[server] > 0 && !full[server] && Some(server) != except;
        let able: Vec<usize> = (0..weights.len()).filter(may).collect();
        let draw = |_| server(random.pick(None, except.map(ServerIndex::new)));
        let mut drawn: Vec<usize> = (0..600).filter_map(draw).collect();
        prop_assert_eq!(drawn.len(), if able.is_empty() { 0 } else { 600 });
        drawn.sort_unstable();
        drawn.dedup();
        prop_assert_eq!(drawn, able);
    }
}

/// A table has as few places as it can.
fn divided(weights: &[u32]) -> Vec<u32> {
    let gcd = weights.iter().copied().fold(0, |mut a, mut b| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    });
    weights.iter().map(|weight| weight / gcd.max(1)).collect()
}
