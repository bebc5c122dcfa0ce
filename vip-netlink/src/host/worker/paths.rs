//! Routes and rules that go with a router's addresses: after them, and after they were announced.
//!
//! Nothing is remembered of the kernel's tables, which may be those of the whole internet: a route is
//! asked for again whenever it may have gone, and the answer tells whether it had.

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::HostEvent;

use super::Worker;
use super::managed::{Managed, Paved};
use crate::Error;
use crate::route::{Route, Rule};
use crate::watch::{Gone, Kernel};

/// Routes and rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::host) struct Paths {
    pub(in crate::host) routes: Vec<Route>,
    pub(in crate::host) rules: Vec<Rule>,
}

impl Paths {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.rules.is_empty()
    }

    /// Those of another list too.
    pub(super) fn extend(&mut self, other: Self) {
        for route in other.routes {
            if !self.routes.contains(&route) {
                self.routes.push(route);
            }
        }
        for rule in other.rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
    }

    /// Takes out what is not among the wanted.
    pub(super) fn split_off(&mut self, wanted: &Self) -> Self {
        let stays = |route: &Route| wanted.routes.contains(route);
        let (routes, stale) = std::mem::take(&mut self.routes)
            .into_iter()
            .partition(stays);
        self.routes = routes;
        let stays = |rule: &Rule| wanted.rules.contains(rule);
        let (rules, stale_rules) = std::mem::take(&mut self.rules).into_iter().partition(stays);
        self.rules = rules;
        Self {
            routes: stale,
            rules: stale_rules,
        }
    }

    /// Whether that may be one of them.
    pub(super) fn may_be(&self, gone: &Gone) -> bool {
        match *gone {
            Gone::Route { destination, table } => {
                let same = |route: &Route| {
                    (route.table, route.destination.length) == (table, destination.length)
                        && (destination.length == 0
                            || route.destination.address == destination.address)
                };
                self.routes.iter().any(same)
            }
            Gone::Rule { family, priority } => {
                let same = |rule: &Rule| (rule.family, rule.priority) == (family, priority);
                self.rules.iter().any(same)
            }
        }
    }
}

impl Worker {
    /// Puts up what is missing, then removes what is no longer wanted. What had been there before is told.
    pub(super) async fn pave(&mut self, id: RouterId) {
        let Some(router) = self.routers.get_mut(&id).filter(|router| router.installed) else {
            return;
        };
        if router.config.paths().is_empty() && router.paved.is_empty() {
            return;
        }
        let wanted = router.config.paths();
        let mut paved = std::mem::take(&mut router.paved);
        let (returned, mut result) = self.put_up(wanted.clone(), &mut paved.paths).await;
        let stale = paved.paths.split_off(&wanted);
        if let Err((left, error)) = self.unpave(&stale).await {
            // Still ours: tried again, at the latest when the router lets go of everything.
            paved.paths.extend(left);
            result = Err(error);
        }
        self.paved(id, paved, result);
        let contested = |router: &Managed| router.paved.is_contested();
        if !self.routers.get(&id).is_some_and(contested) {
            for what in returned {
                self.report(HostEvent::PathGone { router: id, what });
            }
        }
        self.read().await;
    }

    /// Those that were up before and had gone, in words, and the last failure.
    pub(super) async fn put_up(
        &self,
        wanted: Paths,
        up: &mut Paths,
    ) -> (Vec<String>, Result<(), Error>) {
        let index = index(&self.kernel);
        let mut returned = Vec::new();
        let mut result = Ok(());
        for route in wanted.routes {
            let was = up.routes.contains(&route);
            if was && route.untracked {
                continue;
            }
            match self.routing.add_route(&route, &index).await {
                Ok(added) if was => returned.extend(added.then(|| format!("route {route}"))),
                Ok(_) => up.routes.push(route),
                Err(error) => result = Err(error),
            }
        }
        for rule in wanted.rules {
            let was = up.rules.contains(&rule);
            if was && rule.untracked {
                continue;
            }
            match self.routing.add_rule(&rule).await {
                Ok(added) if was => returned.extend(added.then(|| format!("rule {rule}"))),
                Ok(_) => up.rules.push(rule),
                Err(error) => result = Err(error),
            }
        }
        (returned, result)
    }

    /// When nothing else is to be done: no announcement waits for a route.
    pub(super) fn pave_soon(&mut self, id: RouterId) {
        if let Some(router) = self.routers.get_mut(&id).filter(|router| router.installed) {
            router.paved.retry = Some(Instant::now());
        }
    }

    /// How it went, told while it fails and once when it does no longer.
    fn paved(&mut self, id: RouterId, mut paved: Paved, result: Result<(), Error>) {
        if let Some(outcome) = paved.tried(result, "routes or rules of ours") {
            self.report(HostEvent::Paths {
                router: id,
                outcome: outcome.map_err(Into::into),
            });
        }
        if let Some(router) = self.routers.get_mut(&id) {
            router.paved = paved;
        }
    }

    /// Other routes and rules: the new ones before those that are gone.
    pub(super) async fn reroute(&mut self, id: RouterId, paths: Paths) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        let mut before = router.config.paths();
        (router.config.routes, router.config.rules) = (paths.routes, paths.rules);
        if router.installed {
            // A predecessor may have put up what goes, right before this.
            let stale = before.split_off(&router.config.paths());
            router.paved.paths.extend(stale);
        }
        self.pave(id).await;
    }

    /// Removes routes and rules that no other router holds; those that could not be.
    pub(super) async fn unpave(&self, stale: &Paths) -> Result<(), (Paths, Error)> {
        let mut left = Paths::default();
        let mut failed = None;
        for rule in &stale.rules {
            let mut others = self.routers.values().filter(|router| router.installed);
            let fixed = self.fixed.paved.paths.rules.contains(rule);
            if fixed || others.any(|router| router.paved.paths.rules.contains(rule)) {
                continue;
            }
            if let Err(error) = self.routing.remove_rule(rule).await {
                left.rules.push(rule.clone());
                failed = Some(error);
            }
        }
        for route in &stale.routes {
            let mut others = self.routers.values().filter(|router| router.installed);
            let fixed = self.fixed.paved.paths.routes.contains(route);
            if fixed || others.any(|router| router.paved.paths.routes.contains(route)) {
                continue;
            }
            let index = index(&self.kernel);
            if let Err(error) = self.routing.remove_route(route, index).await {
                left.routes.push(route.clone());
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), |error| Err((left, error)))
    }

    /// Something went that may be a router's: asks for it again.
    pub(super) fn lost_path(&mut self, gone: &Gone) {
        let routers = self.routers.values_mut();
        let hurt = routers.filter(|router| router.installed && router.paved.paths.may_be(gone));
        hurt.for_each(|router| router.paved.lost());
        self.lost_fixed_path(gone);
    }

    /// The kernel drops IPv4 routes with their link, and tells nobody.
    pub(super) fn pave_all_again(&mut self) {
        let routers = self.routers.values_mut();
        let paved = routers.filter(|router| router.installed && !router.paved.paths.is_empty());
        paved.for_each(|router| router.paved.retry = Some(Instant::now()));
        self.fixed.look_again();
    }
}

/// The indices that interfaces have now.
pub(super) fn index(kernel: &Kernel) -> impl Fn(&str) -> Option<u32> + '_ {
    |name| kernel.link(name).map(|link| link.index)
}
