//! Looking at everything anew, because notifications were lost: asked of the kernel beside all other work, for its
//! answer may take long while others change links and addresses by thousands.

use std::collections::BTreeSet;
use std::time::Duration;

use netlink_packet_route::RouteNetlinkMessage;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{RETRY, Report, Worker};
use crate::Error;
use crate::plan::Present;
use crate::watch::Kernel;

/// As long as notifications are lost, time between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Notifications that are remembered while the kernel answers.
const MOST: usize = 100_000;

/// When to look, and a look that goes on.
#[derive(Debug, Default)]
pub(super) struct Looking {
    /// When the kernel is asked.
    pub(super) due: Option<Instant>,
    asked: Option<Asked>,
    /// When it was asked last.
    last: Option<Instant>,
    /// How often notifications were lost.
    lost: u64,
}

#[derive(Debug)]
struct Asked {
    answer: JoinHandle<Result<Kernel, Error>>,
    /// What was heard since: it may be news to the answer.
    since: Vec<RouteNetlinkMessage>,
    /// More was lost since.
    stale: bool,
}

impl Looking {
    /// Notifications were lost; how often by now.
    pub(super) fn lost(&mut self) -> u64 {
        let now = Instant::now();
        let soon = self.last.map_or(now, |last| now.max(last + PAUSE));
        match &mut self.asked {
            Some(asked) => asked.stale = true,
            None => self.due = Some(self.due.map_or(soon, |due| due.min(soon))),
        }
        self.lost += 1;
        self.lost
    }

    /// A notification that was heard.
    pub(super) fn hears(&mut self, message: &RouteNetlinkMessage) {
        if let Some(asked) = &mut self.asked {
            asked.stale |= asked.since.len() >= MOST;
            if !asked.stale {
                asked.since.push(message.clone());
            }
        }
    }

    /// What the kernel has, once it has answered, and whether that may be out of date; never before.
    pub(super) async fn answer(&mut self) -> Result<(Kernel, bool), Error> {
        let Some(asked) = &mut self.asked else {
            return std::future::pending().await;
        };
        let answer = (&mut asked.answer).await;
        let asked = self.asked.take();
        let (since, stale) = asked.map_or((Vec::new(), true), |asked| (asked.since, asked.stale));
        if stale {
            self.due = Some(Instant::now() + PAUSE);
        }
        let mut kernel = answer.map_err(|error| Error::Netlink(std::io::Error::other(error)))??;
        for message in &since {
            kernel.apply(message);
        }
        Ok((kernel, stale))
    }
}

impl Worker {
    /// Notifications were lost: what they said is asked for, soon.
    pub(super) fn notifications_lost(&mut self) {
        let lost = self.looking.lost();
        drop(self.reports.send(Report::Lost(lost)));
    }

    /// Asks the kernel for everything.
    pub(super) fn look(&mut self) {
        self.looking.due = None;
        self.looking.last = Some(Instant::now());
        self.looking.asked = Some(Asked {
            answer: tokio::spawn(self.vips.dump()),
            since: Vec::new(),
            stale: false,
        });
    }

    /// What the kernel has answered: compares everything with it.
    pub(super) async fn looked(&mut self, seen: Result<(Kernel, bool), Error>) {
        let Ok((kernel, stale)) = seen else {
            self.looking.due = Some(Instant::now() + RETRY);
            return;
        };
        let before = std::mem::replace(&mut self.kernel, kernel);
        self.devices.stale = true;
        self.announce_on_returned_links();
        // One that went up meanwhile has not been announced either.
        let unproven = |one: &Present| before.is_tentative(one) || !before.contains(one);
        let proven = |one: &Present| {
            one.address.is_ipv6() && unproven(one) && !self.kernel.is_tentative(one)
        };
        let there = self.kernel.addresses().iter().copied();
        for present in there.filter(proven).collect::<Vec<_>>() {
            self.detected(present).await;
        }
        let installed = self.routers.values().filter(|router| router.installed);
        // One that came and went unheard is in neither.
        let placed = installed.flat_map(|router| &router.placed);
        let all = before.addresses().iter().chain(placed.filter(|_| !stale));
        let gone = all.filter(|one| !self.kernel.contains(one));
        let gone: BTreeSet<Present> = gone.copied().collect();
        for present in gone {
            self.lost(present).await;
        }
        self.pave_all_again();
        self.tell();
    }
}
