//! Hosts with groups on a wire that loses packets. A failure names its seed; `VRRP_SEED=N` replays it.

extern crate std;

use alloc::{collections::BinaryHeap, vec::Vec};
use core::{cmp::Reverse, time::Duration};
use std::{env, println};

use vrrp_proto::PROTOCOL;

use super::{MEMBERS, SECOND, config, grouped, ids, interface, states};
use crate::{
    Action, Event, Instant, Packet, RouterId, RouterSet, StateKind, Warning, simulation::Rng,
};

/// Hosts with a group each; member `m` of all is on link `m`.
struct Lan {
    now: Duration,
    rng: Rng,
    hosts: Vec<Station>,
    wire: BinaryHeap<Reverse<Frame>>,
    sequence: u64,
    /// In thousand.
    loss: u16,
}

/// When, a number, from whom, to whom, of which member, what.
type Frame = (Duration, u64, usize, usize, usize, Vec<u8>);

struct Station {
    set: Option<RouterSet>,
    priorities: [u8; 3],
    links: [bool; 3],
    warned: bool,
}

impl Lan {
    fn new(seed: u64, hosts: &[[u8; 3]]) -> Self {
        let mut lan = Self {
            now: SECOND,
            rng: Rng::new(seed),
            hosts: Vec::new(),
            wire: BinaryHeap::new(),
            sequence: 0,
            loss: 0,
        };
        for priorities in hosts {
            lan.hosts.push(Station {
                set: None,
                priorities: *priorities,
                links: [true; 3],
                warned: false,
            });
        }
        for host in 0..hosts.len() {
            lan.start(host);
        }
        lan
    }

    fn instant(&self) -> Instant {
        Instant::ZERO + self.now
    }

    fn start(&mut self, host: usize) {
        let now = self.instant();
        let station = &mut self.hosts[host];
        if station.set.is_none() {
            let mut set = grouped(u8::try_from(host).unwrap(), station.priorities);
            for member in 0..MEMBERS {
                set.link(now, interface(member), station.links[usize::from(member)]);
            }
            set.handle_all(now, Event::Startup);
            station.set = Some(set);
        }
        self.perform(host);
    }

    fn with(&mut self, host: usize, what: impl FnOnce(&mut RouterSet, Instant)) {
        let now = self.instant();
        if let Some(set) = &mut self.hosts[host].set {
            what(set, now);
        }
        self.perform(host);
    }

    fn link(&mut self, host: usize, member: u8, up: bool) {
        self.hosts[host].links[usize::from(member)] = up;
        self.with(host, |set, now| set.link(now, interface(member), up));
    }

    /// Carries out what a host asks for; then its group agrees, whatever happened.
    fn perform(&mut self, host: usize) {
        let Some(mut set) = self.hosts[host].set.take() else {
            return;
        };
        while let Some((id, action)) = set.poll_action() {
            match action {
                Action::Send { priority } => {
                    let mut buffer = [0; 128];
                    let mut outgoing = set.advert(id, priority).unwrap();
                    let written = outgoing.next(&mut buffer).unwrap().unwrap();
                    self.transmit(host, id.index(), &buffer[..written.len]);
                }
                Action::Warn(Warning::CrossedPriorities { .. }) => self.hosts[host].warned = true,
                _ => {}
            }
        }
        let states = states(&set);
        let active = |state: &StateKind| *state == StateKind::Active;
        assert!(
            states.iter().all(active) || !states.iter().any(active),
            "{states:?}"
        );
        let faulty = ids()
            .into_iter()
            .any(|id| set.router(id).unwrap().faults().own().is_some());
        let held = |state: &StateKind| matches!(state, StateKind::Fault | StateKind::Initialize);
        assert!(!faulty || states.iter().all(held), "{states:?}");
        self.hosts[host].set = Some(set);
    }

    fn transmit(&mut self, from: usize, member: usize, bytes: &[u8]) {
        for to in 0..self.hosts.len() {
            if to != from && self.hosts[from].links[member] && !self.rng.chance(self.loss) {
                let at = self.now + Duration::from_micros(100 + self.rng.below(2000));
                self.sequence += 1;
                let frame = (at, self.sequence, from, to, member, bytes.to_vec());
                self.wire.push(Reverse(frame));
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timers = self.hosts.iter().filter_map(|host| host.set.as_ref());
            let timer = timers.filter_map(RouterSet::next_deadline).min();
            let timer = timer.map(Instant::since_epoch);
            let frame = self.wire.peek().map(|Reverse(frame)| frame.0);
            let Some(next) = timer.into_iter().chain(frame).min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = next.max(self.now);
            if frame.is_some_and(|at| at <= self.now) {
                let Some(Reverse((_, _, from, to, member, bytes))) = self.wire.pop() else {
                    continue;
                };
                self.deliver(from, to, member, &bytes);
            } else {
                for host in 0..self.hosts.len() {
                    self.with(host, RouterSet::timeout);
                }
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, member: usize, bytes: &[u8]) {
        if !self.hosts[to].links[member] {
            return;
        }
        let number = u8::try_from(member).unwrap();
        let source = config(u8::try_from(from).unwrap(), number, 1)
            .primary
            .unwrap();
        let packet = Packet {
            interface: interface(number),
            protocol: PROTOCOL,
            envelope: vrrp_proto::Envelope::multicast(source),
            bytes,
        };
        self.with(to, |set, now| {
            let _ = set.receive(now, &packet);
        });
    }

    fn actives(&self) -> Vec<usize> {
        let hosts = self.hosts.iter().enumerate();
        let active = |set: &RouterSet| states(set) == [StateKind::Active; 3];
        let active = hosts.filter(|(_, host)| host.set.as_ref().is_some_and(active));
        active.map(|(number, _)| number).collect()
    }
}

#[test]
fn under_faults_and_loss_a_group_is_never_half_active_and_ends_on_the_best_host() {
    let seeds = match env::var("VRRP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => seed..seed + 1,
        None => 0..150u64,
    };
    for seed in seeds {
        println!("VRRP_SEED={seed}");
        let mut lan = Lan::new(seed, &[[200, 150, 180], [100; 3], [50, 60, 70]]);
        lan.loss = 50;
        for _ in 0..40 {
            let time = Duration::from_millis(lan.rng.below(3000));
            lan.run_for(time);
            let host = lan.rng.index(3);
            let member = u8::try_from(lan.rng.index(3)).unwrap();
            match lan.rng.below(6) {
                0 => lan.hosts[host].set = None,
                1 => lan.with(host, |set, now| set.handle_all(now, Event::Shutdown)),
                2 => lan.start(host),
                3 => lan.link(host, member, true),
                4 => lan.link(host, member, false),
                _ => lan.with(host, |set, now| {
                    set.handle(now, RouterId::new(member.into()), Event::LeaseExpired);
                }),
            }
        }
        lan.loss = 0;
        for host in 0..3 {
            lan.hosts[host].set = None;
            for member in 0..MEMBERS {
                lan.link(host, member, true);
            }
            lan.start(host);
            lan.hosts[host].warned = false;
        }
        lan.run_for(SECOND * 20);
        assert_eq!(lan.actives(), [0], "VRRP_SEED={seed}");
        assert!(
            lan.hosts.iter().all(|host| !host.warned),
            "VRRP_SEED={seed}"
        );
    }
}

#[test]
fn priorities_that_cross_are_told_of() {
    // The first to come stays Active; the other hears it win here and lose there.
    let mut lan = Lan::new(1, &[[150, 100, 150]]);
    lan.run_for(SECOND * 5);
    assert_eq!(lan.actives(), [0]);
    lan.hosts.push(Station {
        set: None,
        priorities: [100, 150, 100],
        links: [true; 3],
        warned: false,
    });
    lan.start(1);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.actives(), [0]);
    assert!(lan.hosts[1].warned);

    // Both come at once: nobody can stay.
    let mut lan = Lan::new(1, &[[150, 100, 150], [100, 150, 100]]);
    lan.run_for(SECOND * 30);
    assert!(lan.hosts.iter().any(|host| host.warned));
}
