//! The thread that changes and watches the host: one piece of work after the other, in the order
//! in which it was asked for.
//!
//! The kernel notifies of a change before it answers the request for it. After each piece of work
//! the notifications are read, so that our own changes are never taken for another program's.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::{HostOptions, HostRouter, boottime};
use crate::Error;
use crate::announce::{gratuitous_arp, neighbour_advertisement};
use crate::fence::{Fence, FenceError};
use crate::lease::Lease;
use crate::link::Interface;
use crate::packet_socket::PacketSocket;
use crate::plan::{Present, Vip, Wanted, difference};
use crate::vips::Vips;
use crate::watch::{Change, Kernel, Notice, Watcher};

/// When a failed installation is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the driver's side asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// What the driver enqueued.
    Command(Command),
    /// An advert went out at that time of the boot clock.
    Refresh {
        /// When.
        sent: Duration,
    },
    /// The lease ran out: away with the addresses, without an answer.
    Expire,
}

/// What the worker tells.
#[derive(Debug)]
pub(super) enum Report {
    /// An interface has this index now, or none.
    Interface { number: u32, index: Option<u32> },
    /// The addresses are in place; the kernel counts their lifetime from `began`.
    Installed { router: RouterId, began: Duration },
    /// Anything that needs no translation.
    Event(HostEvent),
}

/// How the start went.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) unfenced: Option<FenceError>,
}

struct Worker {
    routers: BTreeMap<RouterId, Managed>,
    interfaces: Vec<Seen>,
    virtual_addresses: Vec<IpAddr>,
    kernel: Kernel,
    watcher: Watcher,
    vips: Vips,
    fence: Option<Fence>,
    renew: Duration,
    frames: PacketSocket,
    reports: UnboundedSender<Report>,
    queue: VecDeque<(RouterId, Work)>,
}

struct Managed {
    config: HostRouter,
    installed: bool,
    lease: Option<Lease>,
    retry: Option<Instant>,
    /// The primary address last told.
    primary: Option<Option<IpAddr>>,
}

/// What was last told of an interface.
struct Seen {
    interface: Interface,
    index: Option<Option<u32>>,
    usable: Option<bool>,
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
    let (mut worker, unfenced) = match Worker::new(routers, options, Vips::new(handle), reports) {
        Ok(parts) => parts,
        Err(error) => return drop(started.send(Err(error))),
    };
    if let Err(error) = worker.sweep().await {
        return drop(started.send(Err(error)));
    }
    worker.tell();
    drop(started.send(Ok(Start { unfenced })));

    let mut renewal = tokio::time::interval(worker.renew);
    loop {
        while let Ok((router, what)) = work.try_recv() {
            worker.accept(router, what);
        }
        if let Some((router, what)) = worker.queue.pop_front() {
            worker.work(router, what).await;
            continue;
        }
        let retry = worker
            .routers
            .values()
            .filter_map(|router| router.retry)
            .min();
        tokio::select! {
            biased;
            next = work.recv() => match next {
                Some((router, what)) => worker.accept(router, what),
                None => break,
            },
            _ = worker.watcher.readable() => worker.read().await,
            () = wait(retry) => worker.retry(),
            _ = renewal.tick() => worker.renew(),
        }
    }
    let installed = worker.routers.iter().filter(|(_, router)| router.installed);
    for router in installed.map(|(id, _)| *id).collect::<Vec<_>>() {
        worker.work(router, Work::Expire).await;
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

impl Worker {
    fn new(
        routers: Vec<HostRouter>,
        options: HostOptions,
        vips: Vips,
        reports: UnboundedSender<Report>,
    ) -> Result<(Self, Option<FenceError>), Error> {
        let (fence, unfenced) = match options.fence.map(Fence::new) {
            None => (None, None),
            Some(Ok(fence)) => (Some(fence), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let mut interfaces: Vec<Interface> = routers
            .iter()
            .map(|router| router.interface.clone())
            .collect();
        interfaces.extend(options.watch);
        interfaces.sort();
        interfaces.dedup();
        let see = |interface| Seen {
            interface,
            index: None,
            usable: None,
        };
        let worker = Self {
            virtual_addresses: routers
                .iter()
                .flat_map(|router| router.addresses.iter().map(|vip| vip.address))
                .collect(),
            routers: routers
                .into_iter()
                .map(|config| {
                    let managed = Managed {
                        installed: false,
                        lease: None,
                        retry: None,
                        primary: None,
                        config,
                    };
                    (managed.config.id, managed)
                })
                .collect(),
            interfaces: interfaces.into_iter().map(see).collect(),
            kernel: Kernel::default(),
            watcher: Watcher::new().map_err(Error::Netlink)?,
            vips,
            fence,
            renew: options.fence.unwrap_or_default().timeout / 3,
            frames: PacketSocket::new()?,
            reports,
            queue: VecDeque::new(),
        };
        Ok((worker, unfenced))
    }

    /// Removes what a predecessor left behind: our addresses by exact prefix and interface.
    async fn sweep(&mut self) -> Result<(), Error> {
        self.kernel = self.vips.dump().await?;
        let ours: Vec<Wanted<'_>> = self
            .routers
            .values()
            .flat_map(|router| wanted(&self.kernel, &router.config).0)
            .collect();
        let left = difference(self.kernel.addresses(), &[], &ours).remove;
        for present in left {
            self.vips.remove(present).await?;
        }
        Ok(())
    }

    /// Takes work into the queue; a removal overtakes what it makes pointless.
    fn accept(&mut self, router: RouterId, what: Work) {
        if matches!(what, Work::Command(Command::Remove) | Work::Expire) {
            self.queue.retain(|(other, _)| *other != router);
        }
        self.queue.push_back((router, what));
    }

    async fn work(&mut self, id: RouterId, what: Work) {
        // What is already known must not be taken for news about the work to come.
        self.read().await;
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        match what {
            Work::Command(Command::Install) => {
                router.retry = None;
                let result = self.install(id).await;
                self.read().await;
                self.installed(id, result);
            }
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
            Work::Command(Command::Announce { repeat }) => self.announce(id, repeat),
            Work::Refresh { sent } => self.refresh(id, sent).await,
        }
    }

    /// Puts up what is missing. Order: fence open, then the addresses.
    async fn install(&mut self, id: RouterId) -> Result<Duration, Error> {
        let Some(router) = self.routers.get(&id) else {
            return Ok(Duration::ZERO);
        };
        let (wanted, missing) = wanted(&self.kernel, &router.config);
        if let Some(fence) = &self.fence {
            fence.open(&addresses(&router.config))?;
        }
        let began = boottime();
        let missing = missing.map(|name| Error::NoInterface(name.to_owned()));
        // Installed already: only what is not there, so that a repair is no refresh.
        let present = if router.installed {
            self.kernel.addresses()
        } else {
            &[]
        };
        let mut result = missing.map_or(Ok(began), Err);
        for wanted in difference(present, &wanted, &[]).add {
            if let Err(error) = self.vips.add(&wanted, router.config.lifetime).await {
                result = Err(error);
            }
        }
        result
    }

    fn installed(&mut self, id: RouterId, result: Result<Duration, Error>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        match result {
            Ok(began) => {
                if !router.installed {
                    router.lease = router
                        .config
                        .lifetime
                        .map(|valid| Lease::begin(valid, began));
                }
                router.installed = true;
                let began = router.lease.map_or(began, |lease| lease.refreshed());
                drop(self.reports.send(Report::Installed { router: id, began }));
            }
            Err(error) => {
                router.retry = Some(Instant::now() + RETRY);
                self.report(HostEvent::Failed {
                    router: id,
                    command: Command::Install,
                    error: error.into(),
                });
            }
        }
    }

    async fn remove(&mut self, id: RouterId) -> Result<(), Error> {
        let Some(router) = self.routers.get(&id) else {
            return Ok(());
        };
        let addresses = addresses(&router.config);
        let mut result = Ok(());
        for wanted in wanted(&self.kernel, &router.config).0 {
            if let Err(error) = self.vips.remove(wanted.present()).await {
                result = Err(error);
            }
        }
        if let Some(fence) = &self.fence {
            // An address that is still there stays fenced, and silent.
            match result {
                Ok(()) => fence.forget(&addresses)?,
                Err(_) => fence.close(&addresses)?,
            }
        }
        result
    }

    /// Five announcements in one go are a matter of microseconds; nothing waits for this thread.
    fn announce(&self, id: RouterId, repeat: u8) {
        let Some(router) = self.routers.get(&id).filter(|router| router.installed) else {
            return;
        };
        for _ in 0..repeat {
            for vip in &router.config.addresses {
                let link = self.kernel.link(device(&router.config, vip));
                let Some((link, mac)) = link.and_then(|link| Some((link, link.mac?))) else {
                    continue;
                };
                // A frame that the link cannot take now is repeated by the next round.
                let _ = match vip.address {
                    IpAddr::V4(_) if link.no_arp => Ok(()),
                    IpAddr::V4(address) => {
                        self.frames.send(link.index, &gratuitous_arp(mac, address))
                    }
                    IpAddr::V6(address) => self
                        .frames
                        .send(link.index, &neighbour_advertisement(mac, address, false)),
                };
            }
        }
    }

    async fn refresh(&mut self, id: RouterId, sent: Duration) {
        let now = boottime();
        let Some(router) = self.routers.get_mut(&id).filter(|router| router.installed) else {
            return;
        };
        let Some(lease) = router.lease.filter(|lease| !lease.expired(now)) else {
            self.expire(id).await;
            return;
        };
        // Held up here for long: this advert says nothing about now, and a newer one follows.
        if now.saturating_sub(sent) > RETRY {
            return;
        }
        router.lease = Some(Lease::begin(lease.valid(), now));
        let (wanted, _) = wanted(&self.kernel, &router.config);
        for wanted in wanted
            .iter()
            .filter(|one| self.kernel.addresses().contains(&one.present()))
        {
            if let Err(error) = self.vips.add(wanted, router.config.lifetime).await {
                let command = Command::Install;
                let event = HostEvent::Failed {
                    router: id,
                    command,
                    error: error.into(),
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
    }

    async fn expire(&mut self, id: RouterId) {
        if let Some(router) = self.routers.get_mut(&id) {
            router.forget();
        }
        self.report(HostEvent::LeaseExpired { router: id });
        let _ = self.remove(id).await;
    }

    fn retry(&mut self) {
        let now = Instant::now();
        for (id, router) in &mut self.routers {
            if router.retry.take_if(|at| *at <= now).is_some() {
                self.queue.push_back((*id, Work::Command(Command::Install)));
            }
        }
    }

    fn renew(&self) {
        let open: Vec<IpAddr> = self
            .routers
            .values()
            .filter(|router| router.installed)
            .flat_map(|router| addresses(&router.config))
            .collect();
        if let Some(fence) = &self.fence {
            // Refused now: the elements last for two more rounds.
            let _ = fence.renew(&open);
        }
    }

    /// Reads the notifications that are already there.
    async fn read(&mut self) {
        while let Some(notice) = self.watcher.read() {
            match notice {
                Notice::Messages(messages) => {
                    for message in messages {
                        let change = self.kernel.apply(&message);
                        if let Some(Change::Removed(present)) = change {
                            self.lost(present).await;
                        }
                        if change.is_some() {
                            self.tell();
                        }
                    }
                }
                Notice::Lost => self.look_again().await,
            }
        }
    }

    /// Notifications were lost: compares everything anew.
    async fn look_again(&mut self) {
        let Ok(kernel) = self.vips.dump().await else {
            return;
        };
        let before = std::mem::replace(&mut self.kernel, kernel);
        for present in before.addresses() {
            if !self.kernel.addresses().contains(present) {
                self.lost(*present).await;
            }
        }
        self.tell();
    }

    /// An address went, and not by our hand: by its lease, with its link, or by another program's.
    async fn lost(&mut self, present: Present) {
        let mut expired = Vec::new();
        for (id, router) in self.routers.iter().filter(|(_, router)| router.installed) {
            let is_ours = |one: &Wanted<'_>| one.present() == present;
            if !wanted(&self.kernel, &router.config).0.iter().any(is_ours) {
                continue;
            }
            if router.lease.is_some_and(|lease| lease.expired(boottime())) {
                expired.push(*id);
            } else if self
                .kernel
                .link(router.config.interface.name())
                .is_some_and(crate::link::Link::usable)
            {
                self.report(HostEvent::AddressGone {
                    router: *id,
                    address: present.address,
                });
            }
        }
        for id in expired {
            self.expire(id).await;
        }
    }

    /// Tells what is new about links and primary addresses.
    fn tell(&mut self) {
        for seen in &mut self.interfaces {
            let link = self.kernel.link(seen.interface.name());
            let interface = seen.interface.number();
            let index = link.map(|link| link.index);
            if seen.index.replace(index) != Some(index) {
                // Sockets first; and a new device starts with a new link state.
                drop(self.reports.send(Report::Interface {
                    number: interface,
                    index,
                }));
                seen.usable = None;
            }
            let usable = link.is_some_and(crate::link::Link::usable);
            if seen.usable.replace(usable) != Some(usable) {
                let event = if usable {
                    HostEvent::LinkUp { interface }
                } else {
                    HostEvent::LinkDown { interface }
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
        for (id, router) in &mut self.routers {
            let primary = router.config.source.or_else(|| {
                self.kernel.primary(
                    router.config.interface.name(),
                    false,
                    &self.virtual_addresses,
                )
            });
            if router.primary.replace(primary) != Some(primary) {
                let event = HostEvent::PrimaryAddress {
                    router: *id,
                    address: primary,
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
    }

    fn report(&self, event: HostEvent) {
        // Nobody listens any more only while the host is being dropped.
        drop(self.reports.send(Report::Event(event)));
    }
}

impl Managed {
    /// From now on its addresses are nobody's business.
    const fn forget(&mut self) {
        self.installed = false;
        self.lease = None;
        self.retry = None;
    }
}

fn addresses(router: &HostRouter) -> Vec<IpAddr> {
    router.addresses.iter().map(|vip| vip.address).collect()
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Socket { source, .. } | Error::Address { source, .. } => source.kind(),
            Error::Netlink(source) => source.kind(),
            Error::NoInterface(_) => io::ErrorKind::NotFound,
            Error::Fence(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
