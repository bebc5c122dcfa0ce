//! What a pick costs among 10 to 10,000 servers, however many of them are full: at most O(log n) with every algorithm.
//! `cargo bench -p lb-core --bench picks`
#![expect(clippy::unwrap_used, reason = "benchmarks")]

use std::{fmt, hint::black_box};

use divan::{Bencher, counter::ItemsCount};
use lb_core::{
    balance::{Algorithm, Pick, Scheduler},
    id::ServerIndex,
};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Of a server with weight 1, as a backend tells it.
const WEIGHT: u32 = 16;
/// Percent of the average that a server may have where load is bounded.
const FACTOR: u32 = 125;

fn main() {
    divan::main();
}

/// How servers are picked.
#[derive(Debug, Clone, Copy)]
enum Way {
    Of(Algorithm),
    Ring,
    BoundedRing,
    Maglev,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    way: Way,
    keyed: bool,
    servers: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:>5}", self.name, self.servers)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    let ways = [
        ("roundrobin", Way::Of(Algorithm::RoundRobin), false),
        ("static-rr", Way::Of(Algorithm::StaticRr), false),
        ("leastconn", Way::Of(Algorithm::LeastConn), false),
        ("first", Way::Of(Algorithm::First), false),
        ("random(2)", Way::Of(Algorithm::Random(2)), false),
        ("map-based", Way::Of(Algorithm::Uri), true),
        ("map-based without a key", Way::Of(Algorithm::Uri), false),
        ("consistent", Way::Ring, true),
        ("consistent, bounded", Way::BoundedRing, true),
        ("maglev", Way::Maglev, true),
        ("maglev without a key", Way::Maglev, false),
    ];
    ways.into_iter().flat_map(|(name, way, keyed)| {
        SIZES.into_iter().map(move |servers| Case {
            name,
            way,
            keyed,
            servers,
        })
    })
}

impl Case {
    fn scheduler(self) -> Scheduler {
        let ids: Vec<u32> = (1..).take(self.servers).collect();
        let mut scheduler = match self.way {
            Way::Of(algorithm) => Scheduler::new(algorithm, self.servers, 7),
            Way::Ring => Scheduler::consistent(&ids, 0),
            Way::BoundedRing => Scheduler::consistent(&ids, FACTOR),
            Way::Maglev => {
                let names: Vec<String> = ids.iter().map(|id| format!("s{id}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Scheduler::maglev(&names)
            }
        };
        self.all().for_each(|s| scheduler.set_weight(s, WEIGHT));
        scheduler
    }

    fn all(self) -> impl Iterator<Item = ServerIndex> {
        (0..self.servers).map(ServerIndex::new)
    }

    /// Every second pick is after a failure, which excludes the server of before.
    fn picks(self, bencher: Bencher<'_, '_>, mut scheduler: Scheduler) {
        let mut turn = 0_u32;
        let mut failed = None;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            turn = turn.wrapping_add(1);
            let hash = self.keyed.then(|| turn.wrapping_mul(2_654_435_761));
            let except = failed.filter(|_| turn.is_multiple_of(2));
            if let Pick::Free(server) | Pick::Full(server) = scheduler.pick(hash, except) {
                failed = Some(black_box(server));
            }
        });
    }
}

/// Every server has room.
#[divan::bench(args = cases())]
fn all_are_free(bencher: Bencher<'_, '_>, case: &Case) {
    case.picks(bencher, case.scheduler());
}

/// The last server alone has room; with bounded load one key has filled as many as it can, and is what is asked for.
#[divan::bench(args = cases())]
fn one_is_free(bencher: Bencher<'_, '_>, case: &Case) {
    let mut scheduler = case.scheduler();
    if let Way::BoundedRing = case.way {
        hot_key(&mut scheduler, case.servers);
        bencher
            .counter(ItemsCount::new(1_u32))
            .bench_local(|| scheduler.pick(Some(7), None));
        return;
    }
    for server in case.all().take(case.servers - 1) {
        scheduler.set_parked(server, true);
    }
    case.picks(bencher, scheduler);
}

/// All servers are full but for the one whose stream has just ended, and it is full again after the pick.
#[divan::bench(args = cases())]
fn one_gets_free(bencher: Bencher<'_, '_>, case: &Case) {
    let mut scheduler = case.scheduler();
    if let Way::BoundedRing = case.way {
        let mut loads = hot_key(&mut scheduler, case.servers);
        let mut turn = 0;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            turn = (turn + 1) % case.servers;
            let load = loads.get_mut(turn).unwrap();
            *load = load.saturating_sub(1);
            scheduler.set_load(ServerIndex::new(turn), *load);
            load_picked(&mut scheduler, &mut loads);
        });
        return;
    }
    for server in case.all() {
        scheduler.set_load(server, 1);
        scheduler.set_parked(server, true);
    }
    let mut turn = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        turn = (turn + 1) % case.servers;
        let server = ServerIndex::new(turn);
        scheduler.set_load(server, 0);
        scheduler.set_parked(server, false);
        black_box(scheduler.pick(case.keyed.then_some(7), None));
        scheduler.set_load(server, 1);
        scheduler.set_parked(server, true);
    });
}

/// A server goes and the next pick follows, and it comes back: tables are laid out twice.
#[divan::bench(args = cases())]
fn one_goes_and_comes(bencher: Bencher<'_, '_>, case: &Case) {
    let mut scheduler = case.scheduler();
    let hash = case.keyed.then_some(7);
    bencher.bench_local(|| {
        for weight in [0, WEIGHT] {
            scheduler.set_weight(ServerIndex::new(0), weight);
            black_box(scheduler.pick(hash, None));
        }
    });
}

/// The same where this server weighs 256 times as much as the others.
#[divan::bench(args = cases().filter(|case| case.name == "maglev"))]
fn a_heavy_one_goes_and_comes(bencher: Bencher<'_, '_>, case: &Case) {
    let mut scheduler = case.scheduler();
    bencher.bench_local(|| {
        for weight in [0, 256 * WEIGHT] {
            scheduler.set_weight(ServerIndex::new(0), weight);
            black_box(scheduler.pick(Some(7), None));
        }
    });
}

/// One key has four streams for each server, less one: whoever has five has its share.
fn hot_key(scheduler: &mut Scheduler, servers: usize) -> Vec<u32> {
    let mut loads = vec![0; servers];
    for _ in 1..servers * 4 {
        load_picked(scheduler, &mut loads);
    }
    loads
}

fn load_picked(scheduler: &mut Scheduler, loads: &mut [u32]) {
    if let Pick::Free(server) = scheduler.pick(Some(7), None) {
        let load = loads.get_mut(server.index()).unwrap();
        *load += 1;
        scheduler.set_load(server, *load);
    }
}
