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

mod beats;
mod driven;
mod station;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};
use vrrp_proto::{Family, MULTICAST_V4, MULTICAST_V6};

use crate::Error;
use crate::advert_socket::Batch;
use crate::announce::Mac;
use crate::debounce::LinkDelay;
use crate::fence::{self, Access, FenceError, Pulse};
use crate::lease::Lease;
use crate::link::Interface;
use crate::macvlan::VirtualMac;
use crate::pace::Pacing;
use crate::plan::Vip;
use crate::route::{Route, Rule};
use crate::watch::ROOM;
use beats::Beats;
use station::Station;
use worker::{Paths, Report, Start, Work};

/// What the host does for one virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRouter {
    /// Its number in the router set.
    pub id: RouterId,
    /// The interface on which it speaks.
    pub interface: Interface,
    /// The family of its adverts; its addresses may be of both.
    pub family: Family,
    /// The group that its adverts come from; `None` = unicast only.
    pub group: Option<IpAddr>,
    /// Whether its adverts are authenticated by AH (IP protocol 51 instead of 112), over IPv4.
    pub authenticated: bool,
    /// The address to send from where it is configured; else the interface's first own address,
    /// over IPv6 its first link-local one that no duplicate address detection holds back.
    pub source: Option<IpAddr>,
    /// Whether a configured `source` that is not on the interface is no address to send from.
    pub track_source: bool,
    /// Whether packets to its addresses are taken; without a fence they always are.
    pub access: Access,
    /// Whether it owns its addresses (priority 255): those that the interface has already are the
    /// host's own. They are left as they are, never fenced, and adverts may leave from them.
    pub owner: bool,
    /// Addresses that go up with it.
    pub addresses: Vec<Vip>,
    /// Whether an address of its interface survives the removal of its subnet's first one
    /// (`net.ipv4.conf.*.promote_secondaries`); as it was before once the host is gone.
    pub promote_secondaries: bool,
    /// Routes that go up after them.
    pub routes: Vec<Route>,
    /// Rules that go up after them.
    pub rules: Vec<Rule>,
    /// Devices with virtual MAC addresses, of its own: those of its addresses that name one are put there.
    pub devices: Vec<VirtualMac>,
    /// The hardware address that its adverts come from, instead of the interface's own; to the group alone.
    pub mac: Option<Mac>,
    /// Announcements of addresses on other interfaces than its own, again and again.
    pub reminders: Option<Reminders>,
    /// How long they may stay without an advert sent ([`Lease::lifetime`]); `None` = for ever.
    pub lifetime: Option<Duration>,
    /// How long they answer without an advert sent ([`Lease::hold`]), where there is a fence; `None` = as long as
    /// they are there.
    pub hold: Option<Duration>,
}

impl HostRouter {
    /// A multicasting router without authentication, of the family of its first address, its lease
    /// made for `interval`.
    #[must_use]
    pub fn new(
        id: RouterId,
        interface: Interface,
        addresses: Vec<Vip>,
        interval: Duration,
    ) -> Self {
        let (family, group) = match addresses.first() {
            Some(vip) if vip.address.is_ipv6() => (Family::Ipv6, MULTICAST_V6.into()),
            _ => (Family::Ipv4, MULTICAST_V4.into()),
        };
        Self {
            id,
            interface,
            family,
            group: Some(group),
            authenticated: false,
            source: None,
            track_source: false,
            access: Access::Full,
            owner: false,
            addresses,
            promote_secondaries: false,
            routes: Vec::new(),
            rules: Vec::new(),
            devices: Vec::new(),
            mac: None,
            reminders: None,
            lifetime: Some(Lease::lifetime(interval)),
            hold: Lease::hold(interval, 3),
        }
    }
}

impl HostRouter {
    fn paths(&self) -> Paths {
        Paths {
            routes: self.routes.clone(),
            rules: self.rules.clone(),
        }
    }
}

/// Announcements that keep switches from forgetting where an address is from which nothing is sent by itself
/// (keepalived.conf(5), `garp_extra_if`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reminders {
    /// Time between them.
    pub interval: Duration,
    /// Also on other interfaces than devices with a virtual MAC address.
    pub all: bool,
}

/// What may be chosen about a host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The fence; `None` = the lease alone.
    pub fence: Option<fence::Options>,
    /// Interfaces to report links of, beside those of the routers.
    pub watch: Vec<Interface>,
    /// A predecessor that still runs hands the routers over (`Driver::resume` of `vrrp-fsm`): addresses that are there
    /// are not swept, and the fence is open for them before the predecessor's goes.
    pub succession: bool,
    /// Times between announcements of addresses.
    pub pacing: Pacing,
    /// How long changes of links must last.
    pub delays: Vec<LinkDelay>,
    /// What stands whoever is Active.
    pub fixtures: Fixtures,
    /// Room for the kernel's notifications, in octets; what does not fit makes everything be looked at anew.
    pub room: usize,
    /// Room for adverts that each receive socket is to have at least, in bytes as the kernel counts them (about 1 KiB
    /// for an advert); by itself it is made for 16 adverts of each router on the interface.
    pub receive_buffer: usize,
}

/// Addresses, routes and rules that stand whoever is Active: put up at the start, put back when another program removes
/// them, removed at the end. An address that was there before stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixtures {
    /// Addresses, each with its device.
    pub addresses: Vec<Vip>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Rules.
    pub rules: Vec<Rule>,
}

impl Fixtures {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.routes.is_empty() && self.rules.is_empty()
    }
}

/// Of work that concerns no router in particular.
const NOBODY: RouterId = RouterId::new(0);

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            fence: Some(fence::Options::default()),
            watch: Vec::new(),
            succession: false,
            pacing: Pacing::default(),
            delays: Vec::new(),
            fixtures: Fixtures::default(),
            room: ROOM,
            receive_buffer: 0,
        }
    }
}

/// The Linux host under a set of virtual routers. Dropping it removes the addresses.
#[derive(Debug)]
pub struct LinuxHost {
    stations: Vec<Station>,
    routers: BTreeMap<RouterId, Slot>,
    commands: Option<UnboundedSender<(RouterId, Work)>>,
    reports: UnboundedReceiver<Report>,
    pending: VecDeque<HostEvent>,
    /// Where the next receive begins, so that no interface starves another.
    turn: usize,
    /// Receive sockets in a row that have nothing more.
    drained: usize,
    /// What was received together, and the interface and protocol that it came by.
    batch: Batch,
    batch_of: (u32, u8),
    unfenced: Option<FenceError>,
    /// Beats go with adverts.
    pulse: Option<Pulse>,
    beats: Beats,
    least_room: usize,
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
    /// The primary address that the worker told last.
    primary: Option<IpAddr>,
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
            primary: None,
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
        let least_room = options.receive_buffer;
        let mut stations: Vec<Station> = Vec::new();
        let mut slots = BTreeMap::new();
        for router in &routers {
            let station = stations
                .iter()
                .position(|station| station.interface == router.interface)
                .unwrap_or_else(|| {
                    stations.push(Station::new(router.interface.clone(), least_room));
                    stations.len() - 1
                });
            if let Some(station) = stations.get_mut(station) {
                station.serve(router);
            }
            let slot = Slot::new(station, router);
            slots.insert(router.id, slot);
        }
        let asked = options.fence.is_some();
        let unowned = options.succession;
        let (commands, work) = unbounded_channel();
        let (report, reports) = unbounded_channel();
        let (started, start) = std::sync::mpsc::sync_channel(1);
        let worker = std::thread::Builder::new()
            .name("vip-netlink".to_owned())
            .spawn(move || worker::run(routers, options, work, report, started))
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
            reports,
            pending: VecDeque::new(),
            turn: 0,
            drained: 0,
            batch: Batch::default(),
            batch_of: (0, 0),
            beats: Beats::default(),
            least_room,
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
            Report::Interface { number, index } => {
                if let Some(station) = self.station_mut(number) {
                    let was_deaf = station.deaf;
                    station.open(index)?;
                    if was_deaf {
                        self.hear_again(number);
                    }
                }
                Ok(None)
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
                if let Some(slot) = self.routers.get_mut(&router).filter(|slot| slot.wanted) {
                    slot.lease = slot.lifetime.map(|valid| Lease::begin(valid, began));
                }
                Ok(None)
            }
            Report::Event(HostEvent::LinkUp { interface }) if self.is_deaf(interface) => Ok(None),
            Report::Event(HostEvent::PrimaryAddress { router, address }) => {
                let Some(slot) = self.routers.get_mut(&router) else {
                    return Ok(None);
                };
                slot.primary = address;
                let station = self.stations.get(slot.station);
                let deaf = station.is_some_and(|station| station.deaf);
                Ok((!deaf).then_some(HostEvent::PrimaryAddress { router, address }))
            }
            Report::Event(event) => {
                if let HostEvent::LeaseExpired { router } = event
                    && let Some(slot) = self.routers.get_mut(&router)
                {
                    // Told already, by a send that came too late.
                    if !std::mem::take(&mut slot.wanted) {
                        return Ok(None);
                    }
                    slot.lease = None;
                }
                Ok(Some(event))
            }
        }
    }

    /// One more router, beside those that run.
    pub fn admit(&mut self, router: HostRouter) {
        let known = self
            .stations
            .iter()
            .position(|station| station.interface == router.interface);
        let station = known.unwrap_or_else(|| {
            self.stations
                .push(Station::new(router.interface.clone(), self.least_room));
            self.stations.len() - 1
        });
        // Sockets that hear less than it needs are opened anew.
        let reopen = self
            .stations
            .get_mut(station)
            .is_some_and(|station| station.serve(&router))
            || known.is_none();
        let slot = Slot::new(station, &router);
        self.routers.insert(router.id, slot);
        let work = Work::Admit {
            router: Box::new(router.clone()),
            reopen,
        };
        self.command(router.id, work);
    }

    /// Other times between announcements of addresses from now on.
    pub fn pace(&mut self, pacing: Pacing) {
        self.command(NOBODY, Work::Pace(pacing));
    }

    /// How long changes of links must last from now on.
    pub fn debounce(&mut self, delays: Vec<LinkDelay>) {
        self.command(NOBODY, Work::Debounce(delays));
    }

    /// A router is gone for good; its addresses have been let go by [`Command::Remove`].
    pub fn dismiss(&mut self, router: RouterId) {
        self.command(router, Work::Dismiss);
    }

    /// Other addresses for a router, or another lifetime or hold of them, while it runs: if they are up, the new
    /// ones are put up and announced `repeat` times, then those that are gone are removed. The others are not
    /// touched.
    pub fn readdress(
        &mut self,
        router: RouterId,
        addresses: Vec<Vip>,
        (lifetime, hold): (Option<Duration>, Option<Duration>),
        repeat: u8,
    ) {
        if let Some(slot) = self.routers.get_mut(&router) {
            slot.lifetime = lifetime;
            slot.hold = hold;
            slot.addresses = addresses.iter().map(|vip| vip.address).collect();
        }
        let work = Work::Readdress {
            addresses,
            lifetime,
            hold,
            repeat,
        };
        self.command(router, work);
    }

    /// Other routes and rules for a router while it runs: if its addresses are up, the new ones are put up, then those
    /// that are gone are removed.
    pub fn reroute(&mut self, router: RouterId, routes: Vec<Route>, rules: Vec<Rule>) {
        self.command(router, Work::Reroute(Box::new(Paths { routes, rules })));
    }

    /// Whether [`HostRouter::promote_secondaries`] holds for a router from now on.
    pub fn promote_secondaries(&mut self, router: RouterId, on: bool) {
        self.command(router, Work::Promote(on));
    }

    /// Other things that stand whoever is Active.
    pub fn refit(&mut self, fixtures: Fixtures) {
        self.command(NOBODY, Work::Refit(Box::new(fixtures)));
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
