//! A whole trial from one seed: a segment with hosts of every kind, its misfortunes, its healing, and
//! the judgement: once all is mended and quiet, exactly one router is Active and stays so.

use alloc::{vec, vec::Vec};
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Family, Password, Priority, Version, Vrid};

use super::{Clock, Fault, Happening, Rng, SCRIPT, Segment, Weather};
use crate::{
    Attachment, Authentication, RouterConfig, StateKind, Transition, Transport, track::Track,
};

/// A segment drawn from a seed, and what is needed to judge it.
#[derive(Debug)]
pub struct Trial {
    /// The segment.
    pub segment: Segment,
    rng: Rng,
    /// The longest interval of any router.
    interval: Duration,
    /// How long everything takes at most to come to rest.
    settling: Duration,
    preempt: bool,
    best: u8,
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// Not exactly one router is Active.
    #[error("at {at:.1?} the Active routers are {actives:?}")]
    Actives {
        /// When.
        at: Duration,
        /// The hosts.
        actives: Vec<usize>,
    },
    /// The addresses are elsewhere.
    #[error("at {at:.1?} the Active routers are {actives:?}, and {holders:?} have the addresses")]
    Holders {
        /// When.
        at: Duration,
        /// The hosts with an Active router.
        actives: Vec<usize>,
        /// The hosts with the addresses.
        holders: Vec<usize>,
    },
    /// Another one should be Active.
    #[error("at {at:.1?} r{active} is Active with priority {priority}, not {best}")]
    NotTheBest {
        /// When.
        at: Duration,
        /// The host.
        active: usize,
        /// Its effective priority.
        priority: u8,
        /// The highest of all.
        best: u8,
    },
    /// A state changed although nothing had happened.
    #[error("at {at:.1?} in a calm, r{host}: {transition}")]
    Restless {
        /// When.
        at: Duration,
        /// The host.
        host: usize,
        /// The change.
        transition: Transition,
    },
}

pub(super) fn primary(family: Family, number: usize) -> IpAddr {
    let last = u8::try_from(number + 1).unwrap_or(u8::MAX);
    match family {
        Family::Ipv4 => IpAddr::from([192, 0, 2, last]),
        Family::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(last)]),
    }
}

pub(super) fn config(
    version: Version,
    family: Family,
    number: usize,
    priority: u8,
) -> Option<RouterConfig> {
    let addresses = match family {
        Family::Ipv4 => vec![IpAddr::from([192, 0, 2, 100])],
        Family::Ipv6 => vec![
            IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x100]),
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100]),
        ],
    };
    let mut config = RouterConfig::new(Vrid::new(51)?, family, version, addresses);
    config.primary = Some(primary(family, number));
    config.priority = Priority::new(priority);
    Some(config)
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T], otherwise: T) -> T {
    from.get(rng.index(from.len()))
        .copied()
        .unwrap_or(otherwise)
}

fn authentication(rng: &mut Rng, version: Version) -> Authentication {
    match (version, rng.below(4)) {
        (Version::V2, 0) => Authentication::Password(Password::truncated(b"viettq")),
        #[cfg(feature = "auth")]
        (Version::V2, 1) => Authentication::Header(vrrp_proto::ah::Authenticator::new(
            Password::truncated(b"viettq"),
        )),
        #[cfg(feature = "auth")]
        (_, 2) => hmac().unwrap_or(Authentication::None),
        _ => Authentication::None,
    }
}

/// `auth_hmac` with one key; what is older than five seconds is a replay.
#[cfg(feature = "auth")]
fn hmac() -> Option<Authentication> {
    use vrrp_proto::auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings};
    let settings = Settings {
        mode: Mode::Enforce,
        active_key: 1,
        anti_replay: AntiReplay::Time(Duration::from_secs(5)),
    };
    let keys = vec![Key::new(1, &[1; 32]).ok()?];
    let authenticator = Authenticator::new(keys, settings).ok()?;
    Some(Authentication::Hmac(alloc::boxed::Box::new(authenticator)))
}

impl Trial {
    /// Two to five hosts of one version and family, with intervals from 10 ms to 6 s.
    pub fn draw(seed: u64) -> Self {
        Self::with_intervals(seed, &[1, 2], &[10, 100, 1000])
    }

    /// The same with intervals of seconds, as most routers have them: simulations that last.
    pub fn slow(seed: u64) -> Self {
        Self::with_intervals(seed, &[1, 2], &[1000])
    }

    /// The intervals to draw from: seconds for version 2, milliseconds for version 3.
    fn with_intervals(seed: u64, seconds: &[u64], millis: &[u64]) -> Self {
        let mut rng = Rng::new(seed);
        let mut segment = Segment::new(rng.word());
        let hosts = 2 + rng.index(4);
        let (version, family) = match rng.below(3) {
            0 => (Version::V2, Family::Ipv4),
            1 => (Version::V3, Family::Ipv4),
            _ => (Version::V3, Family::Ipv6),
        };
        let base = match version {
            Version::V2 => Duration::from_secs(pick(&mut rng, seconds, 1)),
            Version::V3 => Duration::from_millis(pick(&mut rng, millis, 1000)),
        };
        let mixed_intervals = version == Version::V3 && rng.chance(300);
        let preempt = rng.chance(700);
        let authentication = authentication(&mut rng, version);
        let unicast = rng.chance(250);
        let owner = rng.chance(150);
        let down_timer_adverts = pick(&mut rng, &[3, 3, 3, 2, 5], 3);
        let startup_delay = pick(&mut rng, &[0, 0, 4], 0);
        let preempt_delay = pick(&mut rng, &[0, 0, 3], 0);
        let mut trial = Self {
            rng: Rng::new(rng.word()),
            interval: base,
            settling: Duration::ZERO,
            preempt,
            best: 0,
            segment: Segment::new(0),
        };
        for number in 0..hosts {
            let priority = match number {
                0 if owner => 255,
                _ => pick(&mut rng, &[100, 100, 101, 150, 200, 254], 100),
            };
            trial.best = trial.best.max(priority);
            let Some(mut config) = config(version, family, number, priority) else {
                continue;
            };
            config.preempt = preempt;
            config.interval = base;
            if mixed_intervals {
                config.interval = base * u32::from(pick(&mut rng, &[1_u8, 2, 3], 1));
            }
            trial.interval = trial.interval.max(config.interval);
            config.preempt_delay = base * preempt_delay;
            config.policy.startup_delay = base * startup_delay;
            config.policy.down_timer_adverts = down_timer_adverts;
            config.policy.spread_phases = rng.chance(500);
            config.policy.lower_priority_no_advert = rng.chance(300);
            config.policy.higher_priority_send_advert = rng.chance(300);
            config.policy.resign_at_once = rng.chance(300);
            let mut attachment = Attachment::new(1, family);
            attachment.authentication = authentication.clone();
            if unicast {
                let others = (0..hosts).filter(|other| *other != number);
                let peers = others.map(|other| primary(family, other)).collect();
                attachment.transport = Transport::unicast(peers);
            }
            if rng.chance(500) {
                attachment.tracks.push(Track {
                    object: SCRIPT,
                    weight: if rng.chance(500) { 0 } else { -60 },
                    reverse: false,
                });
            }
            let clock = Clock {
                begin: Duration::from_secs(1_000_000 + rng.below(1_000_000)),
                drift_ppm: i32::try_from(rng.below(401)).unwrap_or(0) - 200,
            };
            // What is drawn is right; a host that is refused would be missed by the judgement.
            if segment.add(attachment, config, clock).is_ok() {
                segment.run_for(rng.up_to(base));
            }
        }
        // Stalls end after 8 intervals at most; then two elections, and the delays.
        let intervals = 8 + 2 * (u32::from(down_timer_adverts) + 2) + startup_delay + preempt_delay;
        trial.settling = trial.interval * intervals;
        trial.segment = segment;
        trial
    }

    /// The longest interval of any router.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// So many faults, a few intervals apart.
    pub fn misfortune(&mut self, faults: usize) {
        for _ in 0..faults {
            let time = self.rng.up_to(self.interval * 3);
            self.segment.run_for(time);
            let hosts = self.segment.len();
            let fault = Fault::draw(&mut self.rng, hosts, self.interval);
            self.segment.apply(fault);
        }
    }

    /// All faults gone; then time for stalls to end and for two elections.
    pub fn heal(&mut self) {
        self.segment.apply(Fault::Weather(Weather::default()));
        self.segment.apply(Fault::Mend);
        for number in 0..self.segment.len() {
            for repair in [
                Fault::Boot(number),
                Fault::Start(number),
                Fault::Link(number, true),
                Fault::Script(number, true),
            ] {
                self.segment.apply(repair);
            }
        }
        self.segment.run_for(self.settling);
    }

    /// Nothing goes wrong for so long: the one that is Active at the beginning is it at the end, and
    /// nobody changes. Forgets the history before.
    pub fn calm(&mut self, time: Duration) -> Result<usize, Broken> {
        let before = self.judge()?;
        self.segment.forget();
        self.segment.run_for(time);
        let restless = self
            .segment
            .history()
            .iter()
            .find_map(|moment| match moment.what {
                Happening::Transition(host, transition) => Some((moment.at, host, transition)),
                _ => None,
            });
        if let Some((at, host, transition)) = restless {
            return Err(Broken::Restless {
                at,
                host,
                transition,
            });
        }
        self.judge()?;
        Ok(before)
    }

    /// What must hold once everything is mended and quiet: one is Active, has the addresses, and, if
    /// routers preempt or one of them is the owner, is the best. Which it is.
    pub fn judge(&self) -> Result<usize, Broken> {
        let at = self.segment.now();
        let active = |number: &usize| self.segment.state(*number) == Some(StateKind::Active);
        let actives: Vec<usize> = (0..self.segment.len()).filter(active).collect();
        let [active] = actives[..] else {
            return Err(Broken::Actives { at, actives });
        };
        let holders = self.segment.holders();
        if holders != actives {
            return Err(Broken::Holders {
                at,
                actives,
                holders,
            });
        }
        let priority = self.segment.priority(active).unwrap_or(0);
        let best = self.best;
        if (self.preempt || best == 255) && priority != best {
            return Err(Broken::NotTheBest {
                at,
                active,
                priority,
                best,
            });
        }
        Ok(active)
    }
}
