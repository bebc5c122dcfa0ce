//! The thread itself: how it starts, what it waits for, and what it leaves behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::Command;

use super::devices::{Devices, UNKNOWN};
use super::fixtures::Fixed;
use super::leftovers::Leftovers;
use super::looking::Looking;
use super::managed::Managed;
use super::promotion::Promotion;
use super::takeover::Refreshes;
use super::{PROVE, RETRY, Report, Seen, Start, Work, Worker};
use crate::Error;
use crate::fence::{self, Fence};
use crate::host::renewals::Renewals;
use crate::host::{HostOptions, HostRouter, boottime};
use crate::link::Interface;
use crate::macvlan::Requests;
use crate::pace::Pacer;
use crate::packet_socket::PacketSocket;
use crate::routing::Routing;
use crate::settings::Settings;
use crate::vips::Vips;
use crate::watch::{Kernel, Watcher};

/// What the driver's side asks for, and leases to be renewed beside it.
type Inbox = (UnboundedReceiver<(RouterId, Work)>, Renewals);

/// Body of the thread; ends when the sender of `work` is gone, and leaves no address behind.
pub(in crate::host) fn run(
    routers: Vec<HostRouter>,
    options: HostOptions,
    work: Inbox,
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
    (mut work, renewals): Inbox,
    reports: UnboundedSender<Report>,
    started: SyncSender<Result<Start, Error>>,
) {
    let (connection, handle, _) = match rtnetlink::new_connection() {
        Ok(parts) => parts,
        Err(error) => return drop(started.send(Err(Error::Netlink(error)))),
    };
    tokio::spawn(connection);
    let succession = options.succession;
    let (mut worker, start) = match Worker::new(routers, options, &handle, reports, renewals) {
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
        // Not by a timer, which would come a millisecond late.
        if worker.says() {
            tokio::task::yield_now().await;
            continue;
        }
        let repair = worker.devices.next_deadline();
        let reminder = worker
            .routers
            .values()
            .filter_map(|router| router.remind)
            .min();
        let calm = worker.routers.values();
        let calm = calm.filter_map(|one| one.contests.next_end()).min();
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
            () = wait(worker.next_retry()) => worker.retry(),
            () = wait(worker.prove) => worker.prove(),
            () = wait(repair) => worker.devices.stale = true,
            () = wait(reminder) => worker.remind().await,
            () = wait(worker.refreshes.due()) => worker.refresh_all().await,
            () = wait(announcement) => {}
            () = wait(settled.map(from_now)) => worker.tell(),
            () = wait(calm) => worker.calm(),
            _ = renewal.tick() => if !worker.renew() {
                renewal.reset_after(RETRY);
            },
            seen = worker.looking.answer() => worker.looked(seen).await,
            // Last: others may change links and addresses faster than we read of it.
            _ = worker.watcher.readable() => worker.read().await,
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
    /// When something that was refused is tried again.
    fn next_retry(&self) -> Option<Instant> {
        let routers = self.routers.values();
        routers
            .flat_map(|router| [router.retry, router.paved.retry])
            .flatten()
            .chain(self.fixed.paved.retry)
            .chain(self.looking.due)
            .chain(self.leftovers.retry)
            .chain(self.interfaces.iter().filter_map(|seen| seen.reopen))
            .min()
    }

    fn new(
        routers: Vec<HostRouter>,
        options: HostOptions,
        handle: &rtnetlink::Handle,
        reports: UnboundedSender<Report>,
        renewals: Renewals,
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
        if let (Some(fence), Some(_)) = (&mut fence, &pulse) {
            let holds = routers.iter().filter_map(|router| router.hold).collect();
            // A takeover then adds addresses and no rules. Refused: it tries again.
            let _ = fence.hear_all(&holds);
        }
        let mut interfaces: Vec<Interface> = routers
            .iter()
            .map(|router| router.interface.clone())
            .collect();
        interfaces.extend(options.watch);
        interfaces.sort();
        interfaces.dedup();
        let holder = fence.as_ref().map_or(UNKNOWN, Fence::number);
        let mut watcher = Watcher::with_room(options.room).map_err(Error::Netlink)?;
        let vips = Vips::new(handle.clone()).map_err(Error::Netlink)?;
        // Refused: they are heard and change nothing.
        let _ = watcher.ignore(vips.refresher());
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
            watcher,
            vips,
            routing: Routing::new(handle.clone()),
            fixed: Fixed::new(options.fixtures),
            promotion: Promotion::new(Settings::new(handle.clone()), holder),
            carriers: BTreeMap::new(),
            looking: Looking::default(),
            leftovers: Leftovers::default(),
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
            least_room: options.receive_buffer,
            refreshes: Refreshes::new(renewals),
        };
        let start = Start {
            unfenced,
            pulse,
            unheld,
        };
        Ok((worker, start))
    }
}
