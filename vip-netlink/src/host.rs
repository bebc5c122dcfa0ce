//! [`LinuxHost`]: sockets, addresses, fence, lease and watch joined into the
//! [`Host`](vrrp_fsm::driver::Host) that the driver wants.
//!
//! ```text
//! driver's task      LinuxHost: raw sockets, adverts out and in at once   <- never waits
//!     | commands          ^ reports
//!     v                   |
//! thread "vip-netlink"    worker: rtnetlink, fence, announcements         <- may wait for the kernel
//! ```
//! A netlink request can wait for another program's lock inside the kernel; that is why addresses
//! are a thread's work and not a task's: no advert is late for them.

mod ages;
mod beats;
mod driven;
mod options;
mod orders;
mod outgoing;
mod precedence;
mod renewals;
mod router;
mod slots;
mod sockets;
mod station;
mod worker;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use crate::Error;
use crate::advert_socket::Batch;
use crate::announce::Mac;
use crate::fence::{FenceError, Pulse};
use crate::lease::Lease;
use crate::link::Interface;
use ages::Ages;
use beats::Beats;
pub use options::{Fixtures, HostOptions};
use renewals::Renewals;
pub use router::{HostRouter, Reminders};
use slots::Slots;
use sockets::Sockets;
use station::Station;
use worker::{Report, Start, Work};

/// Of work that concerns no router in particular.
const NOBODY: RouterId = RouterId::new(0);

/// The Linux host under a set of virtual routers. Dropping it removes the addresses.
#[derive(Debug)]
pub struct LinuxHost {
    stations: Vec<Station>,
    routers: Slots,
    /// Never waited for, as an advert would wait then, and not bounded: what would be left out is an address. What is in
    /// it is changes of routers, each a Skew_Time apart at least, and orders of whoever embeds this; a `Remove` takes out what
    /// it makes pointless (`Worker::accept`). Renewals, which come with adverts, have a place of their own.
    commands: Option<UnboundedSender<(RouterId, Work)>>,
    renewals: Renewals,
    /// Answers to commands, and what changed in the kernel: as it is when the worker looks, not each change, and lost
    /// notifications are told by their number.
    reports: UnboundedReceiver<Report>,
    pending: VecDeque<HostEvent>,
    /// Where the next receive begins, so that no interface starves another.
    turn: usize,
    /// Receive sockets in a row that have nothing more.
    drained: usize,
    /// What was received together, and the interface and protocol that it came by.
    batch: Batch,
    batch_of: (u32, u8),
    /// How long what is received can have waited.
    ages: Ages,
    /// Since when the first of the adverts waits that are to be sent together.
    waiting_since: Option<Duration>,
    /// How they went.
    outcomes: Vec<(RouterId, io::Result<()>)>,
    unfenced: Option<FenceError>,
    /// Beats go with adverts.
    pulse: Option<Pulse>,
    beats: Beats,
    /// Routers that gave way and whose addresses are still to be silenced.
    silent: Vec<RouterId>,
    unheld: Option<io::Error>,
    /// A predecessor may still use the devices: the worker has not been told yet that they are ours.
    unowned: bool,
    /// Whether there is a fence, as a status tells it; `None` where none was asked for.
    fence: Option<Result<(), String>>,
    worker: Option<JoinHandle<()>>,
}

/// One router, as far as sending is concerned.
#[derive(Debug)]
struct Slot {
    station: usize,
    lifetime: Option<Duration>,
    hold: Option<Duration>,
    addresses: Vec<IpAddr>,
    /// The hardware address of its adverts, if not the interface's.
    mac: Option<Mac>,
    /// Whether the addresses are wanted: a late report of `Begun` must not begin a lease.
    wanted: bool,
    lease: Option<Lease>,
    /// When its last advert was sent.
    spoke: Duration,
    /// The primary address that the worker told last.
    primary: Option<IpAddr>,
    /// The worker has told of it, or it needs no other sockets than there were: until then its adverts may not arrive.
    heard: bool,
}

impl Slot {
    fn new(station: usize, router: &HostRouter) -> Self {
        Self {
            station,
            lifetime: router.lifetime,
            hold: router.hold,
            addresses: router.addresses.iter().map(|vip| vip.address).collect(),
            mac: router.mac,
            wanted: false,
            lease: None,
            spoke: Duration::ZERO,
            primary: None,
            heard: true,
        }
    }
}

impl LinuxHost {
    /// Opens the sockets, removes virtual addresses that a predecessor left behind, and begins to
    /// watch. Must be called inside a tokio runtime with I/O enabled; waits some milliseconds.
    ///
    /// Needs CAP_NET_ADMIN and CAP_NET_RAW; the thread that it starts keeps the capabilities and
    /// the network namespace that the caller has now.
    pub fn new(routers: Vec<HostRouter>, options: HostOptions) -> Result<Self, Error> {
        tokio::runtime::Handle::try_current()
            .map_err(|error| Error::Netlink(io::Error::other(error)))?;
        let mut stations: Vec<Station> = Vec::new();
        let mut slots = Slots::default();
        for router in &routers {
            let station = stations
                .iter()
                .position(|station| station.interface == router.interface)
                .unwrap_or_else(|| {
                    stations.push(Station::new(router.interface.clone()));
                    stations.len() - 1
                });
            let slot = Slot::new(station, router);
            slots.insert(router.id, slot);
        }
        let asked = options.fence.is_some();
        let unowned = options.succession;
        let (commands, work) = unbounded_channel();
        let (report, reports) = unbounded_channel();
        let renewals = Renewals::default();
        let renewed = renewals.clone();
        let (started, start) = std::sync::mpsc::sync_channel(1);
        let worker = std::thread::Builder::new()
            .name("vip-netlink".to_owned())
            .spawn(move || {
                precedence::give_way();
                worker::run(routers, options, (work, renewed), report, started);
            })
            .map_err(Error::Netlink)?;
        let Start {
            unfenced,
            pulse,
            unheld,
        } = start
            .recv()
            .map_err(|_| Error::Netlink(io::ErrorKind::BrokenPipe.into()))??;
        let mut host = Self {
            stations,
            routers: slots,
            commands: Some(commands),
            renewals,
            reports,
            pending: VecDeque::new(),
            turn: 0,
            drained: 0,
            batch: Batch::default(),
            batch_of: (0, 0),
            ages: Ages::default(),
            waiting_since: None,
            outcomes: Vec::new(),
            beats: Beats::default(),
            silent: Vec::new(),
            unowned,
            fence: asked.then(|| unfenced.as_ref().map_or(Ok(()), |why| Err(why.to_string()))),
            unfenced,
            pulse,
            unheld,
            worker: Some(worker),
        };
        while let Ok(report) = host.reports.try_recv() {
            if let Some(event) = host.take(report)? {
                host.pending.push_back(event);
            }
        }
        Ok(host)
    }

    /// Why there is no fence although one was asked for: the lease is then the only guard.
    #[must_use]
    pub const fn unfenced(&self) -> Option<&FenceError> {
        self.unfenced.as_ref()
    }

    /// Why addresses of a process that stands still answer until their lease ends, although there is a fence: beats
    /// do not arrive.
    #[must_use]
    pub const fn unheld(&self) -> Option<&io::Error> {
        self.unheld.as_ref()
    }

    /// Interfaces whose receive sockets have less room than they were to have: what was asked for and what there is, in
    /// bytes. `net.core.rmem_max` limits it for processes without CAP_NET_ADMIN of the machine itself.
    pub fn cramped(&self) -> impl Iterator<Item = (&Interface, usize, usize)> {
        let stations = self.stations.iter();
        stations.filter_map(|one| {
            one.cramped
                .map(|(asked, room)| (&one.interface, asked, room))
        })
    }

    /// A report of the worker, made an event; errors only where sockets cannot be opened.
    fn take(&mut self, report: Report) -> Result<Option<HostEvent>, Error> {
        match report {
            Report::Interface { number, sockets } => {
                let (sockets, refused) = match sockets {
                    Ok(sockets) => (sockets, None),
                    Err(error) => (Sockets::default(), Some(error)),
                };
                // They go by the sockets that there were.
                self.send_waiting();
                if let Some(station) = self.station_mut(number) {
                    let was_deaf = std::mem::replace(&mut station.deaf, refused.is_some());
                    let before = station.exchange(sockets);
                    self.command(NOBODY, Work::Close(Box::new(before)));
                    if was_deaf && refused.is_none() {
                        self.hear_again(number);
                    }
                }
                refused.map_or(Ok(None), Err)
            }
            Report::Unheld(router) => {
                let lost = "beats on the loopback interface do not arrive any more";
                self.give_up_beats(router, io::Error::other(lost));
                Ok(None)
            }
            Report::Held(router, pulse) => {
                self.pulse = Some(pulse);
                self.unheld = None;
                Ok(Some(HostEvent::Held { router }))
            }
            Report::Fence { router, outcome } => {
                self.fence = Some(outcome.as_ref().copied().map_err(ToString::to_string));
                let refused = outcome.err().map(|error| error.into());
                Ok(refused.map(|error| HostEvent::Unfenced { router, error }))
            }
            Report::Begun { router, began } => {
                if let Some(slot) = self.routers.get_mut(router).filter(|slot| slot.wanted) {
                    // The kernel may have been slow, and adverts went out meanwhile.
                    let began = began.max(slot.spoke);
                    slot.lease = slot.lifetime.map(|valid| Lease::begin(valid, began));
                }
                Ok(None)
            }
            Report::Lost(count) => Ok(Some(HostEvent::NotificationsLost { count })),
            Report::Event(HostEvent::Dismissed { router }) => {
                self.routers.remove(router);
                Ok(Some(HostEvent::Dismissed { router }))
            }
            Report::Event(HostEvent::LinkUp { interface }) if self.is_deaf(interface) => Ok(None),
            Report::Event(HostEvent::PrimaryAddress { router, address }) => {
                let Some(slot) = self.routers.get_mut(router) else {
                    return Ok(None);
                };
                slot.primary = address;
                slot.heard = true;
                let station = self.stations.get(slot.station);
                let deaf = station.is_some_and(|station| station.deaf);
                Ok((!deaf).then_some(HostEvent::PrimaryAddress { router, address }))
            }
            Report::Event(HostEvent::AddressLapsed { router, address }) => {
                let slot = self.routers.get_mut(router);
                let Some(slot) = slot.filter(|slot| slot.wanted) else {
                    // It gave way meanwhile, or a send that came too late has told already.
                    return Ok(None);
                };
                let upheld = match slot.lease.take() {
                    Some(lease) => lease.upheld(boottime(), slot.hold),
                    None if slot.lifetime.is_none() => true,
                    // Of what was up before.
                    None => return Ok(None),
                };
                Ok(Some(match upheld {
                    true => HostEvent::AddressLapsed { router, address },
                    false => self.expire(router),
                }))
            }
            Report::Event(event) => Ok(Some(event)),
        }
    }

    fn station_mut(&mut self, number: u32) -> Option<&mut Station> {
        self.stations
            .iter_mut()
            .find(|station| station.interface.number() == number)
    }

    fn command(&mut self, router: RouterId, work: Work) {
        let command = match work {
            Work::Command(command @ (Command::Install | Command::Remove)) => Some(command),
            _ => None,
        };
        let sent = self
            .commands
            .as_ref()
            .is_some_and(|commands| commands.send((router, work)).is_ok());
        // The worker panicked: every command is answered all the same.
        if let (false, Some(command)) = (sent, command) {
            let error = io::ErrorKind::BrokenPipe.into();
            let failed = HostEvent::Failed {
                router,
                command,
                error,
            };
            self.pending.push_back(failed);
        }
    }

    /// Before the hold ends: an address of a sound router must not fall silent.
    fn give_up_beats(&mut self, router: RouterId, error: io::Error) {
        self.pulse = None;
        self.unheld = Some(io::Error::new(error.kind(), error.to_string()));
        self.command(router, Work::Release);
        self.pending.push_back(HostEvent::Unheld { router, error });
    }

    /// Whether there is nobody left to refresh a lease.
    fn is_crippled(&self) -> bool {
        self.commands
            .as_ref()
            .is_none_or(UnboundedSender::is_closed)
    }
}

impl Drop for LinuxHost {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(worker) = self.worker.take() {
            // A panic there has been printed by its thread already.
            let _ = worker.join();
        }
    }
}

/// Time since boot, sleep included: the driver's own clock.
fn boottime() -> Duration {
    vrrp_fsm::driver::now().since_epoch()
}
