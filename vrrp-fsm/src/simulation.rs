//! A LAN in memory (feature `simulation`): real routers and the real codec on a wire that loses,
//! delays, doubles, reorders and corrupts packets, among hosts that crash, stall and whose clocks
//! differ. Everything follows from the seed: the same seed gives the same history.
//!
//! For tests of this crate and of whoever embeds it. No clock, no socket, no thread.

use alloc::{
    collections::{BTreeSet, BinaryHeap, VecDeque},
    vec,
    vec::Vec,
};
use core::{cmp::Reverse, net::IpAddr, time::Duration};

use crate::{
    Action, Attachment, ConfigError, Event, Instant, Object, Packet, RouterConfig, RouterId,
    RouterSet, StateKind, track::Health,
};

mod clock;
mod fault;
mod history;
mod rng;
#[cfg(test)]
mod tests;
mod trial;
mod weather;

pub use clock::Clock;
use clock::Pausable;
pub use fault::Fault;
pub use history::{Happening, Moment};
pub use rng::Rng;
pub use trial::{Broken, Trial};
pub use weather::Weather;

/// Packets that wait for a stalled host; what comes on top is lost, as in a socket buffer.
const INBOX: usize = 64;
/// The time of day at which every segment begins; all hosts agree on it.
#[cfg(feature = "auth")]
const EPOCH: Duration = Duration::from_secs(1_750_000_000);
/// The routers of a segment are the only ones of their hosts.
const ROUTER: RouterId = RouterId::new(0);
/// The script that `Fault::Script` fails; a host that tracks it does so under this number.
pub const SCRIPT: Object = Object::Script(0);

/// A LAN with its hosts.
#[derive(Debug)]
pub struct Segment {
    now: Duration,
    rng: Rng,
    hosts: Vec<Host>,
    wire: BinaryHeap<Reverse<Frame>>,
    sequence: u64,
    weather: Weather,
    cuts: BTreeSet<(usize, usize)>,
    history: Vec<Moment>,
}

/// A host with one virtual router.
#[derive(Debug)]
struct Host {
    config: RouterConfig,
    attachment: Attachment,
    clock: Pausable,
    /// `None` after a crash.
    set: Option<RouterSet>,
    stalled_until: Duration,
    script: Health,
    inbox: VecDeque<Frame>,
    holding: bool,
    /// When it has something to do by itself; kept, for clocks take long to compute.
    wake_at: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    at: Duration,
    sequence: u64,
    from: usize,
    to: usize,
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    bytes: Vec<u8>,
}

impl Segment {
    /// An empty segment.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            rng: Rng::new(seed),
            hosts: Vec::new(),
            wire: BinaryHeap::new(),
            sequence: 0,
            weather: Weather::default(),
            cuts: BTreeSet::new(),
            history: Vec::new(),
        }
    }

    /// Adds a host whose router starts at once; its number is its place in the order of adding.
    pub fn add(
        &mut self,
        attachment: Attachment,
        config: RouterConfig,
        clock: Clock,
    ) -> Result<usize, ConfigError> {
        config.validate()?;
        self.hosts.push(Host {
            config,
            attachment,
            clock: Pausable::new(clock),
            set: None,
            stalled_until: Duration::ZERO,
            script: Health::Up,
            inbox: VecDeque::new(),
            holding: false,
            wake_at: None,
        });
        let number = self.hosts.len() - 1;
        self.boot(number);
        Ok(number)
    }

    /// Makes something go wrong, or right again, now.
    pub fn apply(&mut self, fault: Fault) {
        self.note(Happening::Fault(fault));
        match fault {
            Fault::Weather(weather) => self.weather = weather,
            Fault::Cut { from, to } => {
                self.cuts.insert((from, to));
            }
            Fault::Mend => self.cuts.clear(),
            Fault::Crash(number) => {
                if let Some(host) = self.hosts.get_mut(number) {
                    // The fence of the daemon: an address does not answer without its process.
                    host.set = None;
                    host.holding = false;
                    host.inbox.clear();
                }
            }
            Fault::Boot(number) => self.boot(number),
            Fault::Stall(number, time) => {
                let until = self.now + time;
                if let Some(host) = self.hosts.get_mut(number) {
                    host.stalled_until = host.stalled_until.max(until);
                }
            }
            Fault::Pause(number, time) => {
                let (now, until) = (self.now, self.now + time);
                if let Some(host) = self.hosts.get_mut(number) {
                    host.clock.pause(now, until);
                    host.stalled_until = host.stalled_until.max(until);
                }
            }
            Fault::Stop(number) => {
                self.tell(number, |set, now| set.handle(now, ROUTER, Event::Shutdown))
            }
            Fault::Start(number) => {
                self.tell(number, |set, now| set.handle(now, ROUTER, Event::Startup))
            }
            Fault::Link(number, up) => {
                let interface = self
                    .hosts
                    .get(number)
                    .map_or(0, |host| host.attachment.interface);
                self.tell(number, |set, now| set.link(now, interface, up));
            }
            Fault::Script(number, works) => {
                let health = if works { Health::Up } else { Health::Down };
                if let Some(host) = self.hosts.get_mut(number) {
                    host.script = health;
                }
                self.tell(number, |set, now| set.track(now, SCRIPT, health));
            }
        }
        if let Fault::Crash(number) | Fault::Stall(number, _) | Fault::Pause(number, _) = fault {
            self.plan(number);
        }
    }

    /// Lets time go by.
    ///
    /// # Panics
    /// When a router breaks an invariant: that is what a simulation is for.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, next)) = self.next_step().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            match next {
                Step::Deliver => self.deliver(),
                Step::Wake(number) => self.wake(number),
            }
        }
        self.now = end;
    }

    /// Time since the simulation began.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// State of a host's router; `None` while it is crashed.
    pub fn state(&self, number: usize) -> Option<StateKind> {
        let set = self.hosts.get(number)?.set.as_ref()?;
        Some(set.router(ROUTER)?.state().kind())
    }

    /// Effective priority of a host's router; `None` while it is crashed.
    pub fn priority(&self, number: usize) -> Option<u8> {
        let set = self.hosts.get(number)?.set.as_ref()?;
        Some(set.router(ROUTER)?.priority().value())
    }

    /// The hosts that have the addresses.
    pub fn holders(&self) -> Vec<usize> {
        let all = self.hosts.iter().enumerate();
        all.filter(|(_, host)| host.holding)
            .map(|(number, _)| number)
            .collect()
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// All that happened so far, or since it was [forgotten](Self::forget).
    pub fn history(&self) -> &[Moment] {
        &self.history
    }

    /// Forgets what happened, for simulations that last.
    pub fn forget(&mut self) {
        self.history.clear();
    }

    fn next_step(&self) -> Option<(Duration, Step)> {
        let frame = self
            .wire
            .peek()
            .map(|Reverse(frame)| (frame.at, Step::Deliver));
        let wakes = self.hosts.iter().enumerate();
        let wakes = wakes.filter_map(|(number, host)| Some((host.wake_at?, Step::Wake(number))));
        // Packets first, as the driver does; then hosts in their order.
        frame.into_iter().chain(wakes).min_by_key(|(at, _)| *at)
    }

    /// Finds out when a host has something to do, after anything that changes that.
    fn plan(&mut self, number: usize) {
        let Some(host) = self.hosts.get_mut(number) else {
            return;
        };
        let deadline = host.set.as_ref().and_then(RouterSet::next_deadline);
        let timer = deadline.map(|at| host.clock.global(at));
        let waiting = (!host.inbox.is_empty()).then_some(host.stalled_until);
        let at = timer.into_iter().chain(waiting).min();
        host.wake_at = at.map(|at| at.max(host.stalled_until));
    }

    fn boot(&mut self, number: usize) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(number) else {
            return;
        };
        if host.set.is_some() {
            return;
        }
        let mut set = RouterSet::new();
        // Checked when the host was added, and the only one of its set.
        if set
            .insert(host.attachment.clone(), host.config.clone())
            .is_err()
        {
            return;
        }
        set.track(host.clock.local(now), SCRIPT, host.script);
        host.set = Some(set);
        host.stalled_until = now;
        self.tell(number, |set, now| set.handle(now, ROUTER, Event::Startup));
    }

    /// Gives something to a host's routers and carries out what they ask for. A stalled host is
    /// reached too: the simulation does not queue operators.
    fn tell(&mut self, number: usize, what: impl FnOnce(&mut RouterSet, Instant)) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(number) else {
            return;
        };
        if let Some(set) = &mut host.set {
            what(set, host.clock.local(now));
        }
        self.perform(number);
        self.plan(number);
    }

    fn deliver(&mut self) {
        let Some(Reverse(frame)) = self.wire.pop() else {
            return;
        };
        let number = frame.to;
        let Some(host) = self.hosts.get_mut(number) else {
            return;
        };
        if host.set.is_some() && host.inbox.len() < INBOX {
            host.inbox.push_back(frame);
        }
        if host.stalled_until <= self.now {
            self.wake(number);
        } else {
            self.plan(number);
        }
    }

    /// What the driver does in one round: all packets, then the timers.
    fn wake(&mut self, number: usize) {
        #[cfg(feature = "auth")]
        let unix = EPOCH + self.now;
        while let Some(frame) = self
            .hosts
            .get_mut(number)
            .and_then(|host| host.inbox.pop_front())
        {
            self.tell(number, |set, now| {
                let packet = Packet {
                    interface: 1,
                    protocol: frame.protocol,
                    envelope: vrrp_proto::Envelope {
                        source: frame.source,
                        destination: frame.destination,
                        hop_limit: frame.hop_limit,
                    },
                    bytes: &frame.bytes,
                };
                // A rejection is counted in the set, and changes nothing.
                #[cfg(feature = "auth")]
                set.time_of_day(unix);
                let _ = set.receive(now, &packet);
            });
        }
        self.tell(number, RouterSet::timeout);
        if let Some(host) = self.hosts.get(number)
            && let Some(set) = &host.set
        {
            let now = host.clock.local(self.now);
            let ahead = set.next_deadline().is_none_or(|at| at > now);
            assert!(ahead, "a timeout moves the deadline into the future");
        }
    }

    fn perform(&mut self, number: usize) {
        while let Some(action) = self.poll(number) {
            match action {
                Action::Send { priority } => {
                    self.note(Happening::Sent(number, priority.value()));
                    self.send(number, priority);
                }
                Action::Install | Action::Remove => {
                    let install = action == Action::Install;
                    if let Some(host) = self.hosts.get_mut(number) {
                        assert!(host.holding != install, "install and remove take turns");
                        host.holding = install;
                    }
                }
                Action::Repair => {}
                Action::Announce { .. } => {
                    let holding = self.hosts.get(number).is_some_and(|host| host.holding);
                    assert!(holding, "only addresses that are installed are announced");
                    self.note(Happening::Announced(number));
                }
                Action::Transition(transition) => {
                    self.note(Happening::Transition(number, transition));
                }
                // Routers alone on their hosts are in no group.
                Action::Group(_) | Action::Priority(_) => {}
                Action::Warn(warning) => self.note(Happening::Warning(number, warning)),
            }
        }
    }

    fn poll(&mut self, number: usize) -> Option<Action> {
        let set = self.hosts.get_mut(number)?.set.as_mut()?;
        set.poll_action().map(|(_, action)| action)
    }

    fn send(&mut self, from: usize, priority: vrrp_proto::Priority) {
        let mut buffer = [0; 2048];
        let mut packets = vec![];
        let set = self.hosts.get_mut(from).and_then(|host| host.set.as_mut());
        let advert = set.and_then(|set| {
            #[cfg(feature = "auth")]
            set.time_of_day(EPOCH + self.now);
            set.advert(ROUTER, priority)
        });
        if let Some(mut outgoing) = advert {
            while let Some(written) = outgoing.next(&mut buffer) {
                if let Ok(written) = written {
                    let bytes = buffer.get(..written.len).unwrap_or_default().to_vec();
                    packets.push((written, bytes));
                }
            }
        }
        for (written, bytes) in packets {
            let destination = written.envelope.destination;
            for to in 0..self.hosts.len() {
                let reached = destination.is_multicast()
                    || self.hosts.get(to).and_then(|host| host.config.primary) == Some(destination);
                if to == from || !reached || self.cuts.contains(&(from, to)) {
                    continue;
                }
                let frame = Frame {
                    at: self.now,
                    sequence: 0,
                    from,
                    to,
                    protocol: written.protocol,
                    source: written.envelope.source,
                    destination,
                    hop_limit: written.envelope.hop_limit,
                    bytes: bytes.clone(),
                };
                self.transmit(frame);
            }
        }
    }

    /// One packet to one host through the weather.
    fn transmit(&mut self, mut frame: Frame) {
        let weather = self.weather;
        let copies = 1 + usize::from(self.rng.chance(weather.duplication));
        for _ in 0..copies {
            if self.rng.chance(weather.loss) {
                continue;
            }
            if self.rng.chance(weather.corruption) {
                let bit = self.rng.below(8 * frame.bytes.len() as u64);
                let place = usize::try_from(bit / 8).unwrap_or(0);
                if let Some(byte) = frame.bytes.get_mut(place) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            frame.at = self.now + weather.delay + self.rng.up_to(weather.jitter);
            frame.sequence = self.sequence;
            self.sequence += 1;
            self.wire.push(Reverse(frame.clone()));
        }
    }

    fn note(&mut self, what: Happening) {
        let at = self.now;
        self.history.push(Moment { at, what });
    }
}

enum Step {
    Deliver,
    Wake(usize),
}
