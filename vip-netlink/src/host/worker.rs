//! The thread that changes and watches the host: one piece of work after the other, in the order
//! in which it was asked for.
//!
//! The kernel notifies of a change before it answers the request for it. After each piece of work
//! the notifications are read, so that our own changes are never taken for another program's.

mod announcing;
mod brake;
mod contested;
mod devices;
mod duplicates;
mod effects;
mod fixtures;
mod giving_way;
mod inheritance;
mod leftovers;
mod looking;
mod managed;
mod news;
mod orders;
mod paths;
mod promotion;
mod serve;
mod takeover;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::sockets::Needs;
use super::{HostRouter, NOBODY};
use crate::debounce::{Debounce, LinkDelay};
use crate::fence::Fence;
use crate::link::Interface;
use crate::pace::Pacer;
use crate::packet_socket::PacketSocket;
use crate::plan::{Vip, Wanted};
use crate::routing::Routing;
use crate::vips::Vips;
use crate::watch::{Kernel, Watcher};

use announcing::Saying;
use devices::Devices;
use fixtures::Fixed;
use leftovers::Leftovers;
use looking::Looking;
use managed::Managed;
pub(super) use orders::{Report, Start, Work};
pub(super) use paths::Paths;
use promotion::Promotion;
pub(super) use serve::run;
use takeover::Refreshes;

/// When a failed installation is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// When it is tried again whether beats arrive: longer than the beat of the trial before keeps its address alive.
const PROVE: Duration = Duration::from_secs(3);

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
    looking: Looking,
    leftovers: Leftovers,
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
    /// Room that each receive socket is to have at least.
    least_room: usize,
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
    /// What its sockets were opened for.
    needs: Needs,
}

impl Worker {
    /// All virtual addresses, none of which may be taken for a primary one.
    fn note_addresses(&mut self) {
        let all = self.routers.values();
        let all = all.flat_map(|router| router.config.addresses.iter().map(|vip| vip.address));
        self.virtual_addresses = all.collect();
    }

    /// Takes work into the queue; a removal overtakes what it makes pointless, but not another
    /// removal, for each is answered.
    fn accept(&mut self, router: RouterId, what: Work) {
        if matches!(what, Work::Expire | Work::Command(Command::Remove)) {
            self.queue.retain(|(other, queued)| {
                let pointless = match queued {
                    Work::Command(command) => *command != Command::Remove,
                    Work::Pave | Work::Expire => true,
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
            Work::Admit { router } => self.admit(*router).await,
            Work::Watch(interfaces) => self.watch(interfaces),
            Work::Pace(pacing) => self.pacer.change(pacing),
            Work::Debounce(delays) => {
                self.delays = delays;
                self.tell();
            }
            Work::Own => self.devices.owned = true,
            Work::Renew { router, sent } => self.refresh_soon(router, sent),
            Work::Fit => self.fit().await,
            Work::Clear => self.clear_away().await,
            Work::Dismiss => self.dismiss(id).await,
            Work::Close(sockets) => drop(sockets),
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
            | Work::Watch(_)
            | Work::Pace(_)
            | Work::Debounce(_)
            | Work::Own
            | Work::Renew { .. }
            | Work::Fit
            | Work::Refit(_)
            | Work::Close(_)
            | Work::Dismiss
            | Work::Clear => {}
            Work::Command(Command::Install) => self.take_over(id).await,
            Work::Command(Command::Remove) => self.give_way(id).await,
            Work::Expire => self.lapse(id).await,
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
            Work::Release => self.release(),
            Work::Readdress {
                addresses,
                lifetime,
                hold,
                repeat,
            } => {
                let before = std::mem::replace(&mut router.config.lifetime, lifetime);
                router.config.hold = hold;
                self.readdress(id, addresses, repeat).await;
                if before != lifetime {
                    self.begin_anew(id).await;
                }
                self.forget_holds();
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
    fn new(interface: Interface) -> Self {
        Self {
            interface,
            index: None,
            usable: None,
            settling: Debounce::new(),
            reopen: None,
            needs: Needs::default(),
        }
    }

    /// What was last told of its link.
    fn told(&self) -> Option<HostEvent> {
        let interface = self.interface.number();
        Some(match (self.index?, self.usable?) {
            (None, _) => HostEvent::LinkGone { interface },
            (Some(_), true) => HostEvent::LinkUp { interface },
            (Some(_), false) => HostEvent::LinkDown { interface },
        })
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
