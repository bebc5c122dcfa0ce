//! A ready driver on tokio (feature `tokio`): one task that carries out what a [`RouterSet`] asks
//! for, over any [`Host`].
//!
//! Each round drains host events and packets, then fires timers: a process that was stalled first
//! hears the living Active router instead of usurping it. Protocol time is `CLOCK_BOOTTIME`, by a
//! timerfd. Adverts are sent at once and never wait for an address; work on addresses is enqueued,
//! and its completion comes back as an event.
//!
//! ```no_run
//! use vrrp_fsm::{RouterSet, driver::{Control, Driver, Host}};
//!
//! async fn serve(set: RouterSet, host: impl Host) -> std::io::Result<()> {
//!     let (control, commands) = tokio::sync::mpsc::channel(16);
//!     tokio::spawn(async move {
//!         let _ = tokio::signal::ctrl_c().await;
//!         let _ = control.send(Control::Shutdown).await;
//!     });
//!     let mut driver = Driver::new(set, host)?;
//!     // Returns when priority 0 was sent and the addresses are gone.
//!     driver.run(commands, |id, observation| println!("{id}: {observation}")).await
//! }
//! ```

use std::{boxed::Box, collections::BTreeMap, future::poll_fn, io, time::Duration, vec, vec::Vec};

use tokio::sync::mpsc;
use vrrp_proto::Priority;

use crate::{
    Action, Attachment, ConfigError, Event, FaultKind, FaultReason, Instant, Memory, Object,
    Packet, RouterConfig, RouterId, RouterSet, StateKind, Warning, track::Health,
};

mod acting;
mod control;
mod crowd;
mod early;
mod events;
mod groups;
mod host;
mod observation;
mod punctual;
mod timer;
mod undone;

pub use control::{Control, Report, Snapshot};
use crowd::Crowd;
use early::Early;
pub use host::{Command, Datagram, Guard, Host, HostEvent};
pub use observation::Observation;
use punctual::Punctual;
use timer::Timer;
pub use timer::now;
pub use undone::Failure;

/// Packets taken in before timers and commands get their turn: what waited during a stall of some intervals on many
/// links, and no more, so that a flood cannot hold timers up. What a flood leaves waiting is heard after them.
const PACKETS_PER_ROUND: usize = 1024;
/// Rounds of these in a row for who is behind: what the largest receive buffer holds.
const ROUNDS_BEHIND: usize = 8;
/// Whoever hears what is older is behind.
const BEHIND: Duration = Duration::from_millis(50);
/// Errors of receiving borne in that: those of one interface do not make the others unheard.
const ERRORS_PER_ROUND: usize = 64;
/// An IP packet cannot be longer.
const BUFFER: usize = 65_536;

/// Of what concerns no router in particular.
const NOBODY: RouterId = RouterId::new(0);

/// Drives a [`RouterSet`] over a [`Host`].
#[derive(Debug)]
pub struct Driver<H> {
    set: RouterSet,
    host: H,
    timer: Timer,
    buffer: Box<[u8]>,
    /// Removals that the host has not answered yet.
    removing: usize,
    started: bool,
    stopping: bool,
    receive_errors: u64,
    crowd: Crowd,
    early: Early,
    punctual: Punctual,
    /// What the host could not do for a router since its addresses were last in place.
    failures: BTreeMap<RouterId, Failure>,
    /// The same of the routes and rules that go with them.
    paths: BTreeMap<RouterId, Failure>,
    /// That an address has gone, while its router is told.
    lost: Option<Observation>,
    /// The same of what stands whoever is Active.
    fixtures: Option<Failure>,
    lost_notifications: u64,
}

impl<H: Host> Driver<H> {
    /// A driver whose routers are not started yet. Must be called within a tokio runtime.
    pub fn new(set: RouterSet, host: H) -> io::Result<Self> {
        Ok(Self {
            set,
            host,
            timer: Timer::new()?,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            removing: 0,
            started: false,
            stopping: false,
            receive_errors: 0,
            crowd: Crowd::new(now()),
            early: Early::default(),
            punctual: Punctual::default(),
            failures: BTreeMap::new(),
            paths: BTreeMap::new(),
            lost: None,
            fixtures: None,
            lost_notifications: 0,
        })
    }

    /// Starts the routers and runs them until [`Control::Shutdown`] is done. The observer is called
    /// in between and must not block.
    ///
    /// Dropping the future stops everything where it is: addresses stay.
    pub async fn run(
        &mut self,
        mut control: mpsc::Receiver<Control>,
        observer: impl FnMut(RouterId, Observation),
    ) -> io::Result<()> {
        self.run_with(&mut control, observer).await
    }

    /// The same with a receiver that is only lent. The future may be dropped at any moment, for the routers to be
    /// [reconfigured](Self::reconfigure), and made anew: nothing is lost in between.
    pub async fn run_with(
        &mut self,
        control: &mut mpsc::Receiver<Control>,
        mut observer: impl FnMut(RouterId, Observation),
    ) -> io::Result<()> {
        loop {
            self.take_events(&mut observer);
            // Who stood still hears what is newer before it judges by what is old.
            for _ in 0..ROUNDS_BEHIND {
                if self.take_packets(&mut observer) < BEHIND {
                    break;
                }
            }
            if self.early.wait_for(self.set.next_takeover()) {
                // Whoever spoke at the last moment is heard.
                self.take_packets(&mut observer);
            }
            if !self.started {
                self.started = true;
                self.tell_all(Event::Startup, &mut observer);
            }
            // One after the other: the first of many that take over does not wait for the last.
            let due = now();
            let mut awake = false;
            while self.set.timeout_next(due) || (awake && self.set.advert_ahead(due)) {
                awake = true;
                self.perform(&mut observer);
            }
            self.host.flush();
            if self.stopping && self.removing == 0 {
                return Ok(());
            }
            let look = self.look_at_crowd(due);
            if let Some(stamps) = self.punctual.turn(&self.set) {
                self.host.stamp(stamps);
            }
            let wake = self.early.wake(self.set.next_takeover());
            let wakes = [self.set.next_deadline(), look, wake];
            self.timer
                .arm(wakes.into_iter().flatten().min(), look.is_some())?;
            let command = tokio::select! {
                biased;
                command = control.recv(), if !self.stopping => Some(command.unwrap_or(Control::Shutdown)),
                () = poll_fn(|cx| self.host.poll_ready(cx)) => None,
                expired = self.timer.expired() => {
                    expired?;
                    None
                }
            };
            if let Some(command) = command {
                self.obey(command, &mut observer);
            }
        }
    }

    /// An event for every router, each carried out at once.
    fn tell_all(&mut self, event: Event, observer: &mut impl FnMut(RouterId, Observation)) {
        for id in self.set.ids() {
            self.set.handle(now(), id, event);
            self.perform(observer);
        }
    }

    /// What a successor in another process has to know of the routers, in their order. Nothing may be sent after it.
    pub fn memories(&self) -> Vec<(RouterId, Memory)> {
        let ids = self.set.ids();
        ids.filter_map(|id| Some((id, self.set.memory(id)?)))
            .collect()
    }

    /// Instead of starting the routers, to be called before `run`: each goes on where `memory` says that its
    /// predecessor left it ([`RouterSet::resume`]); those of which nothing is known are started. `healths` are those of
    /// tracked objects. The addresses of routers that are not Active then are taken away: a host made for a succession
    /// has not swept them.
    pub fn resume(
        &mut self,
        healths: impl IntoIterator<Item = (Object, Health)>,
        memory: impl Fn(RouterId) -> Option<Memory>,
        mut observer: impl FnMut(RouterId, Observation),
    ) {
        self.take_events(&mut observer);
        self.started = true;
        for (object, health) in healths {
            self.set.track(now(), object, health);
            self.perform(&mut observer);
        }
        for id in self.set.ids() {
            match memory(id) {
                Some(memory) => self.set.resume(now(), id, memory),
                None => self.set.handle(now(), id, Event::Startup),
            }
            self.perform(&mut observer);
            let state = self.set.router(id).map(|router| router.state().kind());
            if state != Some(StateKind::Active) {
                self.removing += 1;
                self.host.enqueue(id, Command::Remove);
            }
        }
    }

    /// Gives a router another configuration ([`RouterSet::reconfigure`]).
    pub fn reconfigure(
        &mut self,
        router: RouterId,
        attachment: Attachment,
        config: RouterConfig,
        known: impl Fn(Object) -> Option<Health>,
        mut observer: impl FnMut(RouterId, Observation),
    ) -> Result<(), ConfigError> {
        self.hear_all();
        let done = self
            .set
            .reconfigure(now(), router, attachment, config, known);
        self.perform(&mut observer);
        // What the advert does for the addresses comes before the host is given others.
        self.host.flush();
        done
    }

    /// Adds a router, whose number the host must know already, and starts it if the others have been started.
    pub fn admit(
        &mut self,
        attachment: Attachment,
        config: RouterConfig,
        mut observer: impl FnMut(RouterId, Observation),
    ) -> Result<RouterId, ConfigError> {
        self.hear_all();
        let id = self.set.insert(attachment, config)?;
        self.await_address(id);
        if self.started {
            self.set.handle(now(), id, Event::Startup);
            self.perform(&mut observer);
        }
        Ok(id)
    }

    /// Takes a router out ([`RouterSet::retire`]). Its number is used again once the host has told that it is
    /// [dismissed](HostEvent::Dismissed).
    pub fn retire(&mut self, router: RouterId, mut observer: impl FnMut(RouterId, Observation)) {
        self.set.retire(now(), router);
        self.perform(&mut observer);
        self.host.flush();
    }

    /// The host, to be told what only it knows of.
    pub fn host_mut(&mut self) -> &mut H {
        &mut self.host
    }

    /// The routers.
    pub fn set(&self) -> &RouterSet {
        &self.set
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// How everything is; also between two runs.
    pub fn snapshot(&self) -> Snapshot {
        let report = |id| {
            Some(Report {
                status: self.set.status(id)?,
                guard: self.host.guard(id),
                failure: self.failures.get(&id).cloned(),
                paths: self.paths.get(&id).cloned(),
            })
        };
        Snapshot {
            routers: self.set.ids().filter_map(report).collect(),
            fixtures: self.fixtures.clone(),
            stray: self.set.stray().clone(),
            strangers: self.set.strangers().to_vec(),
            receive_errors: self.receive_errors,
            overflows: self.host.overflows(),
            lost_notifications: self.lost_notifications,
            narrowed: self.crowd.narrowed,
        }
    }

    /// How often the host could not receive.
    pub fn receive_errors(&self) -> u64 {
        self.receive_errors
    }

    /// Tells the host what follows from the rates of packets; when to look for some.
    fn look_at_crowd(&mut self, now: Instant) -> Option<Instant> {
        if self.set.has_learned() {
            self.crowd.has_changed();
        }
        let set = &self.set;
        let routers = || set.ids().filter_map(|id| set.router(id));
        let change = self
            .crowd
            .turn(now, || crowd::time_between_looks(routers()));
        if let Some(wakes) = change.wakes {
            self.host.listen(wakes);
        }
        match change.narrow {
            Some(true) => {
                let key = |id| {
                    let (router, attachment) = (set.router(id)?, set.attachment(id)?);
                    let config = router.config();
                    Some((attachment.interface, config.family, config.vrid))
                };
                let ours: Vec<_> = set.ids().filter_map(key).collect();
                self.host.narrow(Some(&ours));
            }
            Some(false) => self.host.narrow(None),
            None => {}
        }
        self.crowd.next_look(now)
    }

    /// Other routers than before.
    fn hear_all(&mut self) {
        if self.crowd.reset() {
            self.host.narrow(None);
        }
        self.punctual = Punctual::default();
    }

    /// Returns how long the last packet had waited if there may be more.
    fn take_packets(&mut self, observer: &mut impl FnMut(RouterId, Observation)) -> Duration {
        #[cfg(feature = "auth")]
        self.set.time_of_day(timer::time_of_day());
        let mut errors = 0;
        let mut waited = Duration::ZERO;
        for _ in 0..PACKETS_PER_ROUND {
            let datagram = match self.host.recv(&mut self.buffer) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return Duration::ZERO,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.receive_errors += 1;
                    errors += 1;
                    if errors == ERRORS_PER_ROUND {
                        return Duration::ZERO;
                    }
                    continue;
                }
            };
            let packet = Packet {
                interface: datagram.interface,
                protocol: datagram.protocol,
                envelope: datagram.envelope,
                bytes: self.buffer.get(..datagram.len).unwrap_or_default(),
            };
            waited = datagram.waited;
            let at = now().before(waited);
            let taken = self.set.receive(at, &packet);
            let is_strange = |rejected: &crate::Rejected| rejected.router.is_none();
            self.crowd.hears(taken.as_ref().is_err_and(is_strange));
            if let Err(rejected) = taken
                && rejected.count.is_power_of_two()
            {
                let (source, interface) = (datagram.envelope.source, datagram.interface);
                rejected.tell(source, interface, observer);
            }
            self.perform(observer);
        }
        waited
    }

    /// Carries out a command between two runs, or before the first.
    pub fn command(&mut self, command: Control, mut observer: impl FnMut(RouterId, Observation)) {
        self.obey(command, &mut observer);
    }

    fn obey(&mut self, command: Control, observer: &mut impl FnMut(RouterId, Observation)) {
        let now = now();
        match command {
            Control::Track { object, health } => self.set.track(now, object, health),
            Control::Hold { router, hold: true } => {
                self.set
                    .handle(now, router, Event::Fault(FaultReason::Operator));
            }
            Control::Hold {
                router,
                hold: false,
            } => {
                self.set
                    .handle(now, router, Event::Recovered(FaultKind::Operator));
            }
            Control::Unwatched(true) => {
                self.tell_all(Event::Fault(FaultReason::Unwatched), observer);
            }
            Control::Unwatched(false) => {
                self.tell_all(Event::Recovered(FaultKind::Watch), observer);
            }
            Control::Succeed(router) => self.set.handle(now, router, Event::Succeeded),
            Control::Snapshot(reply) => {
                // Who asked may have gone.
                let _ = reply.send(self.snapshot());
            }
            Control::Shutdown => {
                self.stopping = true;
                self.tell_all(Event::Shutdown, observer);
            }
        }
        self.perform(observer);
        // What routers gave up is silent before anything else is heard.
        self.host.flush();
    }
}
