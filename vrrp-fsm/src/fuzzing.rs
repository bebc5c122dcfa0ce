//! Body of the fuzz target `event_lists`: what must hold for any list of events in any order, at any times. The corpus is
//! replayed by `ha-lb`'s `tests/corpus.rs`. Not part of the public interface.
//!
//! Bytes: four of configuration (flags, priority, interval, startup delay), then five for each event (which, for whom,
//! its argument, and how many units of 10 ms pass before it, where 0 is until the next deadline and the last 256 go back).

use alloc::vec;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Family, Priority, Version, Vrid};

use crate::{
    Action, Attachment, Event, FaultKind, FaultReason, Instant, Object, Policy, Received,
    RouterConfig, RouterId, RouterSet, State, StateKind,
    track::{Health, Track},
};

const ROUTERS: u8 = 3;
const SCRIPT: Object = Object::Script(1);
/// A clock may go back; so far it has room to.
const BEGIN: Instant = Instant::from_nanos(100_000_000_000);

/// Three routers, two of them in a sync group; whatever happens, each keeps its invariants.
pub fn event_lists(data: &[u8]) {
    let Some((&[flags, priority, interval, delay], events)) = data.split_first_chunk::<4>() else {
        return;
    };
    let Some(mut set) = routers(flags, priority, interval, delay) else {
        return;
    };
    let mut hosts = [Host::default(); ROUTERS as usize];
    let mut now = BEGIN;
    set.form_group(now, vec![RouterId::new(1), RouterId::new(2)]);
    follow(&mut set, &mut hosts);
    for event in events.chunks_exact(5) {
        let &[which, who, argument, high, low] = event else {
            return;
        };
        now = match u16::from_be_bytes([high, low]) {
            0 => set.next_deadline().unwrap_or(now).max(now),
            back @ 0xff00.. => now.before(Duration::from_millis(10) * u32::from(back & 0xff)),
            ahead => now + Duration::from_millis(10) * u32::from(ahead),
        };
        let timeout = happen(
            &mut set,
            now,
            which,
            RouterId::new(u32::from(who % ROUTERS)),
            argument,
        );
        follow(&mut set, &mut hosts);
        if timeout {
            assert!(
                set.next_deadline().is_none_or(|at| at > now),
                "a timeout moves the deadline"
            );
        }
    }
}

fn routers(flags: u8, priority: u8, interval: u8, delay: u8) -> Option<RouterSet> {
    let flag = |bit: u8| flags & 1 << bit != 0;
    let version = if flag(0) { Version::V3 } else { Version::V2 };
    let mut set = RouterSet::new();
    for number in 0..ROUTERS {
        let addresses = vec![IpAddr::from([192, 0, 2, 100 + number])];
        let vrid = Vrid::new(number + 1)?;
        let mut config = RouterConfig::new(vrid, Family::Ipv4, version, addresses);
        config.primary = Some(IpAddr::from([192, 0, 2, 5]));
        config.priority = Priority::new(priority.max(1));
        config.interval = Duration::from_secs(u64::from(interval % 8) + 1);
        config.preempt = flag(1);
        config.preempt_delay = Duration::from_secs(u64::from(delay & 0xf));
        config.policy = Policy {
            lower_priority_no_advert: flag(2),
            higher_priority_send_advert: flag(3),
            owner_ignore_adverts: flag(4),
            contested_owner_yields: flag(5),
            spread_phases: flag(6),
            resign_at_once: flag(7),
            down_timer_adverts: 3,
            startup_delay: Duration::from_secs(u64::from(delay >> 4)),
        };
        let mut attachment = Attachment::new(1, Family::Ipv4);
        let weight = [0, 50, -50];
        attachment.tracks = weight
            .get(usize::from(number))
            .map(|weight| Track {
                object: SCRIPT,
                weight: *weight,
                reverse: false,
            })
            .into_iter()
            .collect();
        set.insert(attachment, config).ok()?;
    }
    Some(set)
}

/// Gives the event; whether it was a timeout for all.
fn happen(set: &mut RouterSet, now: Instant, which: u8, id: RouterId, argument: u8) -> bool {
    let health = match argument % 3 {
        0 => Health::Up,
        1 => Health::Down,
        _ => Health::Unknown,
    };
    let (kind, variant) = (which % 20, which / 20);
    let event = match kind {
        0..=4 => {
            set.timeout(now);
            return true;
        }
        5 => {
            set.track(now, SCRIPT, health);
            return false;
        }
        6 => {
            set.link(now, 1, argument.is_multiple_of(2));
            return false;
        }
        7 => Event::Startup,
        8 => Event::Shutdown,
        9 => Event::Priority(Priority::new(argument)),
        10 => Event::Fault(match argument % 3 {
            0 => FaultReason::Operator,
            1 => FaultReason::Unwatched,
            _ => FaultReason::InterfaceGone,
        }),
        11 => Event::Recovered(match argument % 3 {
            0 => FaultKind::Operator,
            1 => FaultKind::Watch,
            _ => FaultKind::Interface,
        }),
        12 => Event::PrimaryAddress((argument > 0).then(|| IpAddr::from([192, 0, 2, argument]))),
        13 => Event::Installed,
        14 => Event::InstallFailed,
        15 => Event::AddressLost,
        16 => Event::LeaseExpired,
        17 => Event::Succeeded,
        // What a group asks of its members, here without being asked for.
        18 if id == RouterId::new(0) => Event::Promote,
        18 => Event::Timeout,
        _ => Event::Advertisement(Received {
            source: IpAddr::from([192, 0, 2, 4 + variant % 3]),
            priority: Priority::new(argument),
            interval: Duration::from_secs(u64::from(argument % 5) + 1),
            version: if variant < 9 {
                Version::V3
            } else {
                Version::V2
            },
        }),
    };
    set.handle(now, id, event);
    false
}

/// What a host knows of a router.
#[derive(Debug, Clone, Copy, Default)]
struct Host {
    holding: bool,
    state: Option<StateKind>,
}

fn follow(set: &mut RouterSet, hosts: &mut [Host; ROUTERS as usize]) {
    while let Some((id, action)) = set.poll_action() {
        let Some(host) = hosts.get_mut(id.index()) else {
            continue;
        };
        match action {
            Action::Install | Action::Remove => {
                let install = action == Action::Install;
                assert!(host.holding != install, "install and remove take turns");
                host.holding = install;
            }
            Action::Announce { .. } | Action::Repair => {
                assert!(
                    host.holding,
                    "only what is installed is announced and repaired"
                );
            }
            Action::Transition(transition) => {
                let before = host.state.unwrap_or(StateKind::Initialize);
                assert_eq!(transition.from, before, "each change is told once");
                host.state = Some(transition.to);
            }
            Action::Send { priority } => {
                let mut buffer = [0; 64];
                if let Some(mut advert) = set.advert(id, priority) {
                    while let Some(written) = advert.next(&mut buffer) {
                        assert!(written.is_ok(), "each advert can be written");
                    }
                }
            }
            Action::Group(_) | Action::Warn(_) | Action::Priority(_) => {}
        }
    }
    for (id, host) in set.ids().zip(hosts) {
        let Some(router) = set.router(id) else {
            continue;
        };
        let kind = router.state().kind();
        assert_eq!(
            host.state.unwrap_or(StateKind::Initialize),
            kind,
            "every change is told"
        );
        assert_eq!(host.holding, kind == StateKind::Active);
        let idle = matches!(router.state(), State::Initialize { .. });
        assert_eq!(idle, router.next_deadline().is_none());
        let faulty = router.faults().first().is_some();
        assert!(
            !faulty || !matches!(kind, StateKind::Backup | StateKind::Active),
            "a fault holds it out"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Rng;

    #[test]
    fn lists_of_any_bytes_keep_the_invariants() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let length = rng.index(1500);
            let bytes: vec::Vec<u8> = (0..length).map(|_| rng.word().to_le_bytes()[0]).collect();
            event_lists(&bytes);
        }
    }
}
