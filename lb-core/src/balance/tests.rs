mod linear;

use proptest::prelude::*;

use super::{Algorithm, Pick, Scheduler};
use crate::id::ServerIndex;

fn scheduler(algorithm: Algorithm, weights: &[u32]) -> Scheduler {
    let mut scheduler = Scheduler::new(algorithm, weights.len(), 7);
    for (server, &weight) in weights.iter().enumerate() {
        scheduler.set_weight(ServerIndex::new(server), weight);
    }
    scheduler
}

fn picks(scheduler: &mut Scheduler, count: usize) -> Vec<usize> {
    (0..count)
        .map(|_| match scheduler.pick(Some(0), None) {
            Pick::Free(server) => server.index(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn tally(picks: &[usize], servers: usize) -> Vec<u32> {
    let mut counts = vec![0; servers];
    for &server in picks {
        counts[server] += 1;
    }
    counts
}

#[test]
fn equal_servers_take_turns_in_file_order() {
    let mut rr = scheduler(Algorithm::RoundRobin, &[16, 16, 16]);
    assert_eq!(picks(&mut rr, 7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn a_heavy_server_is_spread_over_the_cycle() {
    let mut rr = scheduler(Algorithm::RoundRobin, &[5, 1, 1]);
    assert_eq!(picks(&mut rr, 7), [0, 0, 0, 1, 2, 0, 0]);
}

#[test]
fn a_recovering_server_is_not_flooded() {
    let mut rr = scheduler(Algorithm::RoundRobin, &[1, 1, 1]);
    rr.set_weight(ServerIndex::new(1), 0);
    let _ = picks(&mut rr, 1000);
    rr.set_weight(ServerIndex::new(1), 1);
    let after = tally(&picks(&mut rr, 9), 3);
    assert!(after.iter().all(|&n| (2..=4).contains(&n)), "{after:?}");
}

#[test]
fn a_full_server_loses_its_turns() {
    let mut rr = scheduler(Algorithm::RoundRobin, &[1, 1]);
    rr.set_parked(ServerIndex::new(0), true);
    assert_eq!(picks(&mut rr, 5), [1; 5]);
    rr.set_parked(ServerIndex::new(0), false);
    assert_eq!(tally(&picks(&mut rr, 10), 2), [5, 5]);
}

#[test]
fn the_excluded_server_is_passed_over_unless_it_is_alone() {
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::StaticRr,
        Algorithm::LeastConn,
        Algorithm::Source,
        Algorithm::First,
        Algorithm::Random(2),
    ] {
        let zero = ServerIndex::new(0);
        let mut two = scheduler(algorithm, &[1, 1]);
        for _ in 0..5 {
            assert_eq!(
                two.pick(Some(0), Some(zero)),
                Pick::Free(ServerIndex::new(1)),
                "{algorithm:?}"
            );
        }
        let mut one = scheduler(algorithm, &[1]);
        assert_eq!(one.pick(Some(0), Some(zero)), Pick::Nobody, "{algorithm:?}");
        let mut none = scheduler(algorithm, &[]);
        assert_eq!(none.pick(Some(0), None), Pick::Nobody, "{algorithm:?}");
    }
}

#[test]
fn positions_survive_the_rebase() {
    let mut rr = super::round_robin::RoundRobin::new(2);
    rr.set_weight(0, 3);
    rr.set_weight(1, 1);
    rr.advance_to_rebase();
    let picked: Vec<_> = (0..8).filter_map(|_| rr.pick(None)).collect();
    assert_eq!(tally(&picked, 2), [6, 2]);
}

#[test]
fn least_connections_for_the_weight_then_the_one_chosen_longest_ago() {
    let mut lc = scheduler(Algorithm::LeastConn, &[1, 2, 1]);
    let mut load = [0u32; 3];
    for _ in 0..8 {
        let Pick::Free(server) = lc.pick(Some(0), None) else {
            panic!()
        };
        load[server.index()] += 1;
        lc.set_load(server, load[server.index()]);
    }
    assert_eq!(load, [2, 4, 2]);
    let mut idle = scheduler(Algorithm::LeastConn, &[1, 1, 1]);
    assert_eq!(picks(&mut idle, 6), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_hash_stays_with_its_server_and_waits_for_it_when_it_is_full() {
    let mut hash = scheduler(Algorithm::Source, &[16, 16, 16]);
    let at = |s: &mut Scheduler, h| s.pick(Some(h), None);
    assert_eq!(at(&mut hash, 4), Pick::Free(ServerIndex::new(1)));
    assert_eq!(at(&mut hash, 4), Pick::Free(ServerIndex::new(1)));
    hash.set_parked(ServerIndex::new(1), true);
    assert_eq!(at(&mut hash, 4), Pick::Full(ServerIndex::new(1)));
    hash.set_weight(ServerIndex::new(1), 0);
    assert_eq!(at(&mut hash, 4), Pick::Free(ServerIndex::new(0)));
}

#[test]
fn first_fills_one_server_after_the_other() {
    let mut first = scheduler(Algorithm::First, &[1, 1]);
    assert_eq!(picks(&mut first, 3), [0, 0, 0]);
    first.set_parked(ServerIndex::new(0), true);
    assert_eq!(picks(&mut first, 2), [1, 1]);
    first.set_parked(ServerIndex::new(1), true);
    assert_eq!(first.pick(Some(0), None), Pick::Nobody);
}

#[test]
fn the_first_server_is_the_one_with_the_lowest_number() {
    let mut first = Scheduler::first(&[40, 2, 3]);
    for server in 0..3 {
        first.set_weight(ServerIndex::new(server), 1);
    }
    assert_eq!(picks(&mut first, 2), [1, 1]);
    first.set_parked(ServerIndex::new(1), true);
    assert_eq!(picks(&mut first, 2), [2, 2]);
}

#[test]
fn random_follows_weights_and_avoids_the_loaded() {
    let mut random = scheduler(Algorithm::Random(1), &[3, 1]);
    let drawn = tally(&picks(&mut random, 4000), 2);
    assert!((2800..3200).contains(&drawn[0]), "{drawn:?}");
    let mut two = scheduler(Algorithm::Random(2), &[1, 1]);
    two.set_load(ServerIndex::new(0), 100);
    let drawn = tally(&picks(&mut two, 1000), 2);
    assert!(drawn[1] > 700, "{drawn:?}");
}

proptest! {
    #[test]
    fn round_robin_is_exact_over_every_cycle(weights in prop::collection::vec(0u32..40, 1..12)) {
        prop_assume!(weights.iter().any(|w| *w > 0));
        for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRr] {
            let mut rr = scheduler(algorithm, &weights);
            let gcd = weights.iter().copied().fold(0, |a, b| {
                let (mut a, mut b) = (a, b);
                while b > 0 { (a, b) = (b, a % b); }
                a
            });
            let cycle = weights.iter().sum::<u32>() as usize;
            for _ in 0..3 {
                prop_assert_eq!(tally(&picks(&mut rr, cycle), weights.len()), weights.clone());
            }
            prop_assert!(gcd > 0);
        }
    }

    #[test]
    fn changing_weights_never_starves_nor_floods(
        changes in prop::collection::vec((0usize..4, 1u32..32, 1usize..40), 1..40)
    ) {
        let mut weights = [8u32; 4];
        let mut rr = scheduler(Algorithm::RoundRobin, &weights);
        for (server, weight, count) in changes {
            weights[server] = weight;
            rr.set_weight(ServerIndex::new(server), weight);
            let _ = picks(&mut rr, count);
        }
        // After any history one cycle gives each its share but for one turn that was under way.
        let cycle = weights.iter().sum::<u32>();
        let counts = tally(&picks(&mut rr, cycle as usize), 4);
        for (count, weight) in counts.iter().zip(weights) {
            prop_assert!(count.abs_diff(weight) <= 1 + weight / 8, "{:?} for {:?}", counts, weights);
        }
    }
}

#[test]
fn a_table_of_hashes_has_haproxys_order() {
    let order = |weights: &[u32]| {
        let mut table = scheduler(Algorithm::Source, weights);
        let total = weights.iter().sum::<u32>();
        let at = |hash| match table.pick(Some(hash), None) {
            Pick::Free(server) => server.index(),
            other => panic!("{other:?}"),
        };
        (0..total).map(at).collect::<Vec<_>>()
    };
    // As HAProxy 2.6 answers.
    assert_eq!(order(&[3, 1, 1]), [0, 0, 1, 0, 2]);
    assert_eq!(order(&[5, 3, 2]), [0, 0, 1, 0, 2, 0, 1, 0, 1, 2]);
    let long = [0, 4, 1, 4, 2, 4, 3, 4, 2, 4, 2, 4, 3, 4];
    assert_eq!(order(&[1, 1, 3, 2, 7]), long);
}

#[test]
fn a_ring_moves_only_the_keys_of_who_goes() {
    let mut ring = Scheduler::consistent(&[1, 2, 3, 4], 0);
    let servers = (0..4).map(ServerIndex::new);
    servers
        .clone()
        .for_each(|server| ring.set_weight(server, 16));
    let hashes: Vec<u32> = (0..2000_u32)
        .map(|n| n.wrapping_mul(2_147_000_001))
        .collect();
    let places = |ring: &mut Scheduler| -> Vec<Pick> {
        hashes
            .iter()
            .map(|hash| ring.pick(Some(*hash), None))
            .collect()
    };
    let before = places(&mut ring);
    for server in servers.clone() {
        let share = before.iter().filter(|p| **p == Pick::Free(server)).count();
        assert!((200..1000).contains(&share), "{server}: {share}");
    }
    let gone = ServerIndex::new(2);
    ring.set_weight(gone, 0);
    for (then, now) in before.iter().zip(places(&mut ring)) {
        assert_ne!(now, Pick::Free(gone));
        assert!(*then == now || *then == Pick::Free(gone));
    }
    ring.set_weight(gone, 16);
    assert_eq!(places(&mut ring), before);
}

#[test]
fn a_bounded_ring_passes_over_who_has_more_than_its_share() {
    let mut ring = Scheduler::consistent(&[1, 2], 150);
    let [first, second] = [0, 1].map(ServerIndex::new);
    ring.set_weight(first, 16);
    ring.set_weight(second, 16);
    let Pick::Free(chosen) = ring.pick(Some(7), None) else {
        panic!("nobody")
    };
    let other = if chosen == first { second } else { first };
    // 150 % of the average of 11 with the next one is 8.25: nine are too many.
    ring.set_load(chosen, 8);
    ring.set_load(other, 2);
    assert_eq!(ring.pick(Some(7), None), Pick::Free(chosen));
    ring.set_load(chosen, 9);
    ring.set_load(other, 1);
    assert_eq!(ring.pick(Some(7), None), Pick::Free(other));
}

/// The servers of many keys.
fn keys(table: &mut Scheduler, count: u32) -> Vec<usize> {
    let hash = |n: u32| n.wrapping_mul(2_147_000_001);
    let pick = |n| match table.pick(Some(hash(n)), None) {
        Pick::Free(server) => server.index(),
        other => panic!("{other:?}"),
    };
    (0..count).map(pick).collect()
}

#[test]
fn maglev_gives_each_its_exact_share_and_moves_few_keys_of_those_who_stay() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut table = Scheduler::maglev(&names);
    assert_eq!(table.pick(Some(7), None), Pick::Nobody);
    let set = |table: &mut Scheduler, server, weight| {
        table.set_weight(ServerIndex::new(server), weight);
    };
    (0..10).for_each(|server| set(&mut table, server, 16));
    let before = keys(&mut table, 100_000);
    // Of 65,537 places each has 6,553 or 6,554.
    let shares = tally(&before, 10);
    assert!(
        shares.iter().all(|n| (9_700..10_300).contains(n)),
        "{shares:?}"
    );
    set(&mut table, 3, 0);
    let without = keys(&mut table, 100_000);
    assert!(!without.contains(&3));
    let pairs = before.iter().zip(&without);
    let moved = pairs.filter(|(then, now)| **then != 3 && then != now);
    let moved = moved.count();
    assert!(moved < 1000, "{moved} of 90,000");
    // Back again it has its keys again.
    set(&mut table, 3, 16);
    assert!(keys(&mut table, 100_000) == before);
    // Weights are shares, and the least of them is one.
    (0..10).for_each(|server| set(&mut table, server, 0));
    set(&mut table, 0, 48);
    set(&mut table, 1, 16);
    let [heavy, light] = tally(&keys(&mut table, 100_000), 10)[..2] else {
        unreachable!()
    };
    assert!(
        (74_500..75_500).contains(&heavy) && heavy + light == 100_000,
        "{heavy}"
    );
}

/// Both hosts of a pair, whatever their machines, send a client to the same server.
#[test]
fn maglev_sends_a_key_to_the_same_server_everywhere() {
    let mut table = Scheduler::maglev(&["s1", "s2", "s3"]);
    let servers = [0, 1, 2].map(ServerIndex::new);
    for server in servers {
        table.set_weight(server, 1);
    }
    let known = [1, 1, 0, 2, 1, 0, 1, 0, 0, 2, 1, 1];
    assert_eq!(keys(&mut table, 12), known);
    let Pick::Free(first) = table.pick(Some(5), None) else {
        panic!("nobody")
    };
    let Pick::Free(other) = table.pick(Some(5), Some(first)) else {
        panic!("nobody else")
    };
    assert_ne!(first, other);
    // Without a key they take turns.
    let turns = [(); 4].map(|()| table.pick(None, None));
    let [s0, s1, s2] = servers;
    assert_eq!(turns, [s0, s1, s2, s0].map(Pick::Free));
    // A full server keeps its keys: they wait for it.
    table.set_parked(first, true);
    assert_eq!(table.pick(Some(5), None), Pick::Full(first));
    // The last one has nobody beside it.
    table.set_weight(s0, 0);
    table.set_weight(s1, 0);
    assert_eq!(table.pick(Some(5), Some(s2)), Pick::Nobody);
    table.set_weight(s2, 0);
    table.set_weight(s0, 1);
    assert_eq!(table.pick(Some(5), Some(s2)), Pick::Free(s0));
}

#[test]
fn keys_go_by_the_table_of_before_while_the_next_one_is_laid_out() {
    let table_of = |weights: [u32; 4]| {
        let mut table = Scheduler::maglev(&["a", "b", "c", "d"]);
        for (server, weight) in weights.into_iter().enumerate() {
            table.set_weight(ServerIndex::new(server), weight);
        }
        table
    };
    let mut table = table_of([16; 4]);
    let set = |table: &mut Scheduler, server, weight| {
        table.set_weight(ServerIndex::new(server), weight);
    };
    let before = keys(&mut table, 10_000);
    set(&mut table, 2, 0);
    let plan = table.plan().unwrap();
    assert!(table.plan().is_none(), "one is enough");
    // A server that is lost has no key from now on, and the others have theirs.
    let meanwhile = keys(&mut table, 10_000);
    assert!(!meanwhile.contains(&2));
    let pairs = || before.iter().zip(&meanwhile);
    assert!(pairs().all(|(then, now)| then == now || *then == 2));
    // A plan that another change has come before is worth nothing.
    set(&mut table, 3, 0);
    table.put(plan.lay_out());
    let fresh = keys(&mut table_of([16, 16, 0, 0]), 10_000);
    assert!(keys(&mut table, 10_000) == fresh);
    set(&mut table, 2, 16);
    set(&mut table, 3, 16);
    let plan = table.plan().unwrap();
    assert!(keys(&mut table, 10_000) == fresh);
    table.put(plan.lay_out());
    assert!(keys(&mut table, 10_000) == before);
    // Where nobody of before is left, nobody can wait for the next table.
    (0..3).for_each(|server| set(&mut table, server, 0));
    assert_eq!(tally(&keys(&mut table, 10), 4), [0, 0, 0, 10]);
    set(&mut table, 3, 0);
    set(&mut table, 0, 16);
    let plan = table.plan();
    assert_eq!(tally(&keys(&mut table, 10), 4), [10, 0, 0, 0]);
    assert!(plan.is_some());
}
