//! What can be done to the cluster, and what clients may then see of it.

use std::time::{Duration, Instant};

use super::{
    DemoError,
    cluster::{Cluster, ORIGINS},
    measure::{Before, Bounds},
    message::{Event, Message},
    teller::Teller,
    watch::Look,
};

/// How long the cluster is watched after an event is over: longer than the client's patience, so that every lost
/// request is counted where it belongs.
const CALM: Duration = Duration::from_millis(1200);
/// A killed balancer is back so soon.
const BALANCER_RETURN: Duration = Duration::from_millis(200);

/// One thing done. Hosts and origins are numbered from 0, named from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Nothing at all.
    Nothing,
    /// An origin dies.
    KillOrigin(usize),
    /// It comes back.
    StartOrigin(usize),
    /// A host's balancer is killed.
    KillBalancer(usize),
    /// A reload of every host, with so many origins.
    Reload(usize),
    /// A host's cable is cut.
    Cut(usize),
    /// It is mended.
    Mend(usize),
    /// Every process of a host is killed.
    Kill(usize),
    /// A host is started again.
    Start(usize),
    /// A host is stopped in order.
    Stop(usize),
    /// Cable cut and every process killed.
    Fail(usize),
    /// Whatever is away comes back.
    Heal,
}

impl Deed {
    /// Its name for programs.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::KillOrigin(_) => "origin_killed",
            Self::StartOrigin(_) => "origin_started",
            Self::KillBalancer(_) => "balancer_killed",
            Self::Reload(_) => "reloaded",
            Self::Cut(_) => "cable_cut",
            Self::Mend(_) => "cable_mended",
            Self::Kill(_) => "host_killed",
            Self::Start(_) => "host_started",
            Self::Stop(_) => "host_stopped",
            Self::Fail(_) => "host_failed",
            Self::Heal => "healed",
        }
    }

    /// Its name for people.
    pub(super) fn what(self) -> String {
        let (lb, web) = (
            |n: usize| format!("lb{}", n + 1),
            |n: usize| format!("web{}", n + 1),
        );
        match self {
            Self::Nothing => "nothing fails".to_owned(),
            Self::KillOrigin(n) => format!("{} dies", web(n)),
            Self::StartOrigin(n) => format!("{} comes back", web(n)),
            Self::KillBalancer(n) => format!("{}'s balancer is killed", lb(n)),
            Self::Reload(ORIGINS) => format!("a reload adds {}", web(ORIGINS - 1)),
            Self::Reload(n) => format!("a reload leaves {n} servers"),
            Self::Cut(n) => format!("{}'s cable is cut", lb(n)),
            Self::Mend(n) => format!("{} is plugged in again", lb(n)),
            Self::Kill(n) => format!("{}: all processes killed", lb(n)),
            Self::Start(n) => format!("{} comes back", lb(n)),
            Self::Stop(n) => format!("{} is stopped (SIGTERM)", lb(n)),
            Self::Fail(n) => format!("{} loses power as well", lb(n)),
            Self::Heal => "all are brought back".to_owned(),
        }
    }

    /// What clients may see when it is done now.
    fn bounds(self, cluster: &Cluster, active: Option<usize>) -> Bounds {
        match self {
            Self::Nothing | Self::StartOrigin(_) | Self::Reload(_) => Bounds::none_fails(),
            Self::KillOrigin(_) => Bounds::in_flight(Duration::ZERO),
            Self::KillBalancer(_) => Bounds::in_flight(BALANCER_RETURN),
            Self::Mend(_) | Self::Start(_) | Self::Heal if active.is_none() => {
                Bounds::nobody_left()
            }
            Self::Mend(_) | Self::Start(_) | Self::Heal => Bounds::in_flight(Duration::ZERO),
            Self::Cut(n) | Self::Kill(n) | Self::Fail(n) if active == Some(n) => {
                Bounds::takeover(cluster.down_interval(n))
            }
            Self::Stop(n) if active == Some(n) => Bounds::takeover(cluster.skew(n)),
            Self::Cut(_) | Self::Kill(_) | Self::Fail(_) | Self::Stop(_) => Bounds::none_fails(),
        }
    }

    fn apply(self, cluster: &mut Cluster) -> Result<(), DemoError> {
        match self {
            Self::Nothing => {}
            Self::KillOrigin(n) => cluster.origin(n)?.kill(),
            Self::StartOrigin(n) => cluster.origin(n)?.start()?,
            Self::KillBalancer(n) => cluster.node(n)?.kill_balancer(),
            Self::Reload(servers) => cluster.reload(servers)?,
            Self::Cut(n) => cluster.plug(n, false)?,
            Self::Mend(n) => cluster.plug(n, true)?,
            Self::Kill(n) => cluster.node(n)?.kill(),
            Self::Start(n) => cluster.node(n)?.start()?,
            Self::Stop(n) => cluster.node(n)?.terminate(),
            Self::Fail(n) => {
                cluster.plug(n, false)?;
                cluster.node(n)?.kill();
            }
            Self::Heal => {
                for n in 0..cluster.nodes.len() {
                    cluster.plug(n, true)?;
                    cluster.node(n)?.start()?;
                }
                for n in 0..cluster.origins.len() {
                    cluster.origin(n)?.start()?;
                }
            }
        }
        Ok(())
    }

    /// Whether everything is as it will stay.
    fn is_over(self, cluster: &Cluster, look: &Look, since: Instant) -> bool {
        let best = cluster.preferred();
        let serves = |n: usize| {
            let balancer = look.status(n).and_then(|status| status.balancer.as_ref());
            balancer.is_some_and(|balancer| balancer.ready)
        };
        let status = |n: usize, server: usize| {
            look.server(n, &format!("web{}", server + 1))
                .unwrap_or_default()
        };
        let steady = best.is_none() || cluster.active(look, since) == best;
        steady
            && match self {
                Self::KillOrigin(n) => best.is_none_or(|host| status(host, n).starts_with("DOWN")),
                Self::StartOrigin(n) => {
                    best.is_none_or(|host| !status(host, n).starts_with("DOWN"))
                        && cluster.has_answered(n, since)
                }
                Self::KillBalancer(n) => serves(n),
                Self::Reload(servers) => {
                    let runs = |n: &usize| look.status(*n).is_some();
                    (0..cluster.nodes.len()).filter(runs).all(|host| {
                        status(host, servers).is_empty() && !status(host, servers - 1).is_empty()
                    }) && cluster.has_answered(servers - 1, since)
                }
                Self::Heal => (0..cluster.nodes.len()).all(serves),
                Self::Start(n) => serves(n),
                _ => true,
            }
    }

    /// Does it, waits until it is over and tells what clients saw.
    pub(super) fn perform(
        self,
        cluster: &mut Cluster,
        teller: &Teller,
    ) -> Result<Event, DemoError> {
        let active = cluster.active_now();
        let bounds = self.bounds(cluster, active);
        let before = Before::now();
        self.apply(cluster)?;
        let over = cluster.wait(&self.what(), before.at, |cluster, look| {
            self.is_over(cluster, look, before.at)
        });
        std::thread::sleep(if self == Self::Nothing {
            2 * CALM
        } else {
            CALM
        });
        let event = before.measure(cluster, teller, self, bounds);
        teller.tell(&Message::Done(event.clone()));
        over.map(|()| event)
    }
}
