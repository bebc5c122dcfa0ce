//! The thread that changes and watches the host: one piece of work after the other, in the order
//! in which it was asked for.
//!
//! The kernel notifies of a change before it answers the request for it. After each piece of work
//! the notifications are read, so that our own changes are never taken for another program's.

mod announcing;
mod devices;
mod duplicates;
mod effects;
mod fixtures;
mod inheritance;
mod managed;
mod news;
mod paths;
mod promotion;
mod takeover;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::{Fixtures, HostOptions, HostRouter, NOBODY, boottime};
use crate::Error;
use crate::debounce::{Debounce, LinkDelay};
use crate::fence::{self, Fence, FenceError, Pulse};
use crate::link::Interface;
use crate::macvlan::Requests;
use crate::pace::{Pacer, Pacing};
use crate::packet_socket::PacketSocket;
use crate::plan::{Vip, Wanted};
use crate::routing::Routing;
use crate::settings::Settings;
use crate::vips::Vips;
use crate::watch::{Kernel, Watcher};

use announcing::Saying;
use devices::{Devices, UNKNOWN};
use fixtures::Fixed;
use managed::Managed;
pub(crate) use paths::Paths;
use promotion::Promotion;
use takeover::Refreshes;

/// When a failed installation is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// When it is tried again whether beats arrive: longer than the beat of the trial before keeps its address alive.
const PROVE: Duration = Duration::from_secs(3);

/// What the driver's side asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// What the driver enqueued.
    Command(Command),
    /// An advert went out at that time of the boot clock.
    Refresh {
        /// When.
        sent: Duration,
    },
    /// Other addresses from now on.
    Readdress {
        /// All of them.
        addresses: Vec<Vip>,
        /// How long they may stay without an advert.
        lifetime: Option<Duration>,
        /// How long they answer without an advert.
        hold: Option<Duration>,
        /// Announcements of those that are new.
        repeat: u8,
    },
    /// Routes and rules that are missing are put up.
    Pave,
    /// `promote_secondaries` is another from now on.
    Promote(bool),
    /// Everything is looked at anew.
    Look,
    /// The sockets of that interface could not be opened: it is told of again soon.
    Reopen(u32),
    /// What stands whoever is Active is looked after.
    Fit,
    /// Other such things from now on.
    Refit(Box<Fixtures>),
    /// Other routes and rules from now on.
    Reroute(Box<Paths>),
    /// One more router; `reopen` where its interface needs other sockets.
    Admit {
        /// It.
        router: Box<HostRouter>,
        /// Whether the interface is told of as if it were new.
        reopen: bool,
    },
    /// Other times between announcements from now on.
    Pace(Pacing),
    /// How long changes of links must last from now on.
    Debounce(Vec<LinkDelay>),
    /// A router is gone for good.
    Dismiss,
    /// Beats cannot be sent: from now on no router needs any.
    Release,
    /// No predecessor uses the devices of virtual MAC addresses any more.
    Own,
    /// The lease ran out: away with the addresses, without an answer.
    Expire,
}

/// What the worker tells.
#[derive(Debug)]
pub(super) enum Report {
    /// An interface has this index now, or none.
    Interface { number: u32, index: Option<u32> },
    /// Addresses are up, perhaps not all of them; the kernel counts their lifetime from `began`.
    Begun { router: RouterId, began: Duration },
    /// Beats do not arrive, as was noticed at that router: none are needed from now on.
    Unheld(RouterId),
    /// Beats arrive again, as was noticed on behalf of all routers.
    Held(RouterId, Pulse),
    /// The fence of installed routers, of which that is one, could not be renewed, or can be again.
    Fence {
        router: RouterId,
        outcome: Result<(), Error>,
    },
    /// Anything that needs no translation.
    Event(HostEvent),
}

/// How the start went.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) unfenced: Option<FenceError>,
    pub(super) pulse: Option<Pulse>,
    pub(super) unheld: Option<io::Error>,
}

struct Worker {
    routers: BTreeMap<RouterId, Managed>,
    interfaces: Vec<Seen>,
    virtual_addresses: Vec<IpAddr>,
    kernel: Kernel,
    watcher: Watcher,
    vips: Vips,
    routing: Routing,
    fixed: Fixed,
    promotion: Promotion,
    /// Links with addresses of ours on them, and whether they are usable.
    carriers: BTreeMap<u32, bool>,
    /// Notifications were lost, and the kernel did not tell what there is: it is asked again.
    look_at: Option<Instant>,
    fence: Option<Fence>,
    /// Beats arrive: routers may have a hold.
    beats: bool,
    /// They do not: when that is tried again.
    prove: Option<Instant>,
    renew: Duration,
    /// The last renewal of the fence was refused.
    refused: bool,
    frames: PacketSocket,
    reports: UnboundedSender<Report>,
    queue: VecDeque<(RouterId, Work)>,
    pacer: Pacer<Saying>,
    delays: Vec<LinkDelay>,
    refreshes: Refreshes,
    devices: Devices,
}

/// What was last told of an interface.
struct Seen {
    interface: Interface,
    index: Option<Option<u32>>,
    usable: Option<bool>,
    settling: Debounce,
    /// When it is told of as if it were new, because its sockets could not be opened.
    reopen: Option<Instant>,
}

/// Body of the thread; ends when the sender of `work` is gone, and leaves no address behind.
pub(super) fn run(
    routers: Vec<HostRouter>,
    options: HostOptions,
    work: UnboundedReceiver<(RouterId, Work)>,
    reports: UnboundedSender<Report>,
    started: SyncSender<Result<Start, Error>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(routers, options, work, reports, started)),
        Err(error) => drop(started.send(Err(Error::Netlink(error)))),
    }
}

async fn serve(
    routers: Vec<HostRouter>,
    options: HostOptions,
    mut work: UnboundedReceiver<(RouterId, Work)>,
    reports: UnboundedSender<Report>,
    started: SyncSender<Result<Start, Error>>,
) {
    let (connection, handle, _) = match rtnetlink::new_connection() {
        Ok(parts) => parts,
        Err(error) => return drop(started.send(Err(Error::Netlink(error)))),
    };
    tokio::spawn(connection);
    let succession = options.succession;
    let (mut worker, start) = match Worker::new(routers, options, &handle, reports) {
        Ok(parts) => parts,
        Err(error) => return drop(started.send(Err(error))),
    };
    worker.follow_paths();
    let found = match succession {
        false => worker.sweep().await,
        true => worker.open_what_is_there().await,
    };
    if let Err(error) = found {
        return drop(started.send(Err(error)));
    }
    worker.keep_devices().await;
    worker.tell();
    drop(started.send(Ok(start)));
    worker.fit().await;
    worker.promote().await;

    let mut renewal = tokio::time::interval(worker.renew);
    loop {
        while let Ok((router, what)) = work.try_recv() {
            worker.accept(router, what);
        }
        if let Some((router, what)) = worker.queue.pop_front() {
            match what {
                Work::Command(Command::Install) => worker.take_over(router).await,
                what => worker.work(router, what).await,
            }
            continue;
        }
        if worker.devices.stale {
            worker.keep_devices().await;
            continue;
        }
        let retry = worker
            .routers
            .values()
            .flat_map(|router| [router.retry, router.paved.retry])
            .flatten()
            .chain(worker.fixed.paved.retry)
            .chain(worker.look_at)
            .chain(worker.interfaces.iter().filter_map(|seen| seen.reopen))
            .min();
        let repair = worker.devices.next_deadline();
        let reminder = worker
            .routers
            .values()
            .filter_map(|router| router.remind)
            .min();
        let from_now = |at: Duration| Instant::now() + at.saturating_sub(boottime());
        let announcement = worker.pacer.next_deadline().map(from_now);
        let settled = worker.interfaces.iter();
        let settled = settled
            .filter_map(|seen| seen.settling.next_deadline())
            .min();
        tokio::select! {
            biased;
            next = work.recv() => match next {
                Some((router, what)) => worker.accept(router, what),
                None => break,
            },
            _ = worker.watcher.readable() => worker.read().await,
            () = wait(retry) => worker.retry(),
            () = wait(worker.prove) => worker.prove(),
            () = wait(repair) => worker.devices.stale = true,
            () = wait(reminder) => worker.remind().await,
            () = wait(worker.refreshes.due()) => worker.refresh_all().await,
            () = wait(announcement) => worker.say(),
            () = wait(settled.map(from_now)) => worker.tell(),
            _ = renewal.tick() => if !worker.renew() {
                renewal.reset_after(RETRY);
            },
        }
    }
    for router in worker.installed_ids() {
        worker.work(router, Work::Expire).await;
    }
    let devices = worker
        .routers
        .values()
        .flat_map(|router| router.config.devices.clone());
    let devices: Vec<_> = devices.collect();
    worker.discard(&devices).await;
    worker.unfit().await;
    worker.promote_no_longer().await;
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// The fence must stand until the kernel has ended every lease.
fn outlasting(guard: fence::Options, routers: &[HostRouter]) -> fence::Options {
    const MARGIN: Duration = Duration::from_secs(5);
    let longest = routers.iter().filter_map(|router| router.lifetime).max();
    let timeout = guard.timeout.max(longest.unwrap_or_default() + MARGIN);
    fence::Options { timeout, ..guard }
}

impl Worker {
    fn new(
        routers: Vec<HostRouter>,
        options: HostOptions,
        handle: &rtnetlink::Handle,
        reports: UnboundedSender<Report>,
    ) -> Result<(Self, Start), Error> {
        let guard = options.fence.map(|guard| outlasting(guard, &routers));
        let (mut fence, unfenced) = match guard.map(Fence::new) {
            None => (None, None),
            Some(Ok(fence)) => (Some(fence), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let (pulse, unheld) = match fence.as_mut().map(Fence::pulse) {
            None => (None, None),
            Some(Ok(pulse)) => (Some(pulse), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let mut interfaces: Vec<Interface> = routers
            .iter()
            .map(|router| router.interface.clone())
            .collect();
        interfaces.extend(options.watch);
        interfaces.sort();
        interfaces.dedup();
        let holder = fence.as_ref().map_or(UNKNOWN, Fence::number);
        let worker = Self {
            devices: Devices::new(Requests::new(handle.clone()), holder, !options.succession),
            virtual_addresses: routers
                .iter()
                .flat_map(|router| router.addresses.iter().map(|vip| vip.address))
                .collect(),
            routers: routers
                .into_iter()
                .map(|config| (config.id, Managed::new(config)))
                .collect(),
            interfaces: interfaces.into_iter().map(Seen::new).collect(),
            kernel: Kernel::default(),
            watcher: Watcher::with_room(options.room).map_err(Error::Netlink)?,
            vips: Vips::new(handle.clone()).map_err(Error::Netlink)?,
            routing: Routing::new(handle.clone()),
            fixed: Fixed::new(options.fixtures),
            promotion: Promotion::new(Settings::new(handle.clone())),
            carriers: BTreeMap::new(),
            look_at: None,
            fence,
            beats: pulse.is_some(),
            prove: unheld.as_ref().map(|_| Instant::now() + PROVE),
            renew: guard.unwrap_or_default().timeout / 3,
            refused: false,
            frames: PacketSocket::new()?,
            reports,
            queue: VecDeque::new(),
            pacer: Pacer::new(options.pacing),
            delays: options.delays,
            refreshes: Refreshes::default(),
        };
        let start = Start {
            unfenced,
            pulse,
            unheld,
        };
        Ok((worker, start))
    }

    /// All virtual addresses, none of which may be taken for a primary one.
    fn note_addresses(&mut self) {
        let all = self.routers.values();
        let all = all.flat_map(|router| router.config.addresses.iter().map(|vip| vip.address));
        self.virtual_addresses = all.collect();
    }

    /// Takes work into the queue; a removal overtakes what it makes pointless, but not another
    /// removal, for each is answered.
    fn accept(&mut self, router: RouterId, what: Work) {
        let removal = Work::Command(Command::Remove);
        if matches!(what, Work::Expire) || what == removal {
            self.queue.retain(|(other, queued)| {
                let pointless = match queued {
                    Work::Command(command) => *command != Command::Remove,
                    Work::Refresh { .. } | Work::Pave | Work::Expire => true,
                    _ => false,
                };
                *other != router || !pointless
            });
        }
        self.queue.push_back((router, what));
    }

    async fn work(&mut self, id: RouterId, what: Work) {
        // What is already known must not be taken for news about the work to come.
        self.read().await;
        match what {
            Work::Admit { router, reopen } => self.admit(*router, reopen).await,
            Work::Pace(pacing) => self.pacer.change(pacing),
            Work::Debounce(delays) => {
                self.delays = delays;
                self.tell();
            }
            Work::Own => self.devices.owned = true,
            Work::Fit => self.fit().await,
            Work::Look => self.look_again().await,
            Work::Reopen(number) => self.reopen_soon(number),
            Work::Refit(fixtures) => {
                self.refit(*fixtures).await;
                self.follow_paths();
            }
            of_router => self.work_on(id, of_router).await,
        }
    }

    async fn work_on(&mut self, id: RouterId, what: Work) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        match what {
            Work::Admit { .. }
            | Work::Pace(_)
            | Work::Debounce(_)
            | Work::Own
            | Work::Fit
            | Work::Refit(_)
            | Work::Reopen(_)
            | Work::Look => {}
            Work::Dismiss => {
                let devices = std::mem::take(&mut router.config.devices);
                self.routers.remove(&id);
                self.note_addresses();
                self.discard(&devices).await;
                self.read().await;
            }
            Work::Command(Command::Install) => self.take_over(id).await,
            Work::Command(Command::Remove) => {
                router.forget();
                let result = self.remove(id).await;
                self.read().await;
                self.report(match result {
                    Ok(()) => HostEvent::Removed { router: id },
                    Err(error) => HostEvent::Failed {
                        router: id,
                        command: Command::Remove,
                        error: error.into(),
                    },
                });
            }
            Work::Expire => {
                router.forget();
                // What cannot be removed is silenced by the fence and ends by itself.
                let _ = self.remove(id).await;
                self.read().await;
            }
            Work::Command(Command::Announce { repeat }) => self.announce(id, repeat).await,
            Work::Pave => self.pave(id).await,
            Work::Promote(on) => {
                router.config.promote_secondaries = on;
                self.promote().await;
            }
            Work::Reroute(paths) => {
                self.reroute(id, *paths).await;
                self.follow_paths();
            }
            Work::Refresh { sent } => self.refresh_soon(id, sent),
            Work::Release => self.release(),
            Work::Readdress {
                addresses,
                lifetime,
                hold,
                repeat,
            } => {
                router.config.lifetime = lifetime;
                router.config.hold = hold;
                self.readdress(id, addresses, repeat).await;
                self.read().await;
            }
        }
    }

    /// How long the addresses of a router answer without a beat.
    fn hold(&self, id: RouterId) -> Option<Duration> {
        let router = self.routers.get(&id).filter(|_| self.beats)?;
        router.config.hold
    }

    /// Beats do not arrive any more.
    fn release(&mut self) {
        self.beats = false;
        self.prove = Some(Instant::now() + PROVE);
        for id in self.installed_ids() {
            // Refused now: opened without a hold at the next installation.
            let _ = self.open(id, None);
        }
    }

    /// Tries whether beats arrive again: then what is up has its hold back, and the driver's side the means to beat.
    fn prove(&mut self) {
        self.prove = None;
        let Some(fence) = &mut self.fence else {
            return;
        };
        let Ok(pulse) = fence.pulse() else {
            self.prove = Some(Instant::now() + PROVE);
            return;
        };
        self.beats = true;
        let installed = self.installed_ids();
        let router = installed.first().copied().unwrap_or(NOBODY);
        // Its next adverts beat; until then what follows is the first beat.
        drop(self.reports.send(Report::Held(router, pulse)));
        for id in installed {
            // Refused now: opened with a hold at the next installation.
            let _ = self.open(id, self.hold(id));
        }
    }

    fn installed_ids(&self) -> Vec<RouterId> {
        let installed = self.routers.iter().filter(|(_, router)| router.installed);
        installed.map(|(id, _)| *id).collect()
    }

    fn report(&self, event: HostEvent) {
        // Nobody listens any more only while the host is being dropped.
        drop(self.reports.send(Report::Event(event)));
    }
}

impl Seen {
    const fn new(interface: Interface) -> Self {
        Self {
            interface,
            index: None,
            usable: None,
            settling: Debounce::new(),
            reopen: None,
        }
    }
}

fn device<'a>(router: &'a HostRouter, vip: &'a Vip) -> &'a str {
    vip.device.as_deref().unwrap_or(router.interface.name())
}

/// The addresses of a router with their interfaces' present indices, and an interface that is
/// missing if one is.
fn wanted<'a>(kernel: &Kernel, router: &'a HostRouter) -> (Vec<Wanted<'a>>, Option<&'a str>) {
    let mut found = Vec::with_capacity(router.addresses.len());
    let mut missing = None;
    for vip in &router.addresses {
        let name = device(router, vip);
        match kernel.link(name) {
            Some(link) => found.push(Wanted {
                interface: link.index,
                vip,
            }),
            None => missing = Some(name),
        }
    }
    (found, missing)
}
