//! What the thread of the checks keeps going, and how that follows its orders.

use std::{collections::BTreeMap, mem, rc::Rc, sync::Arc};

use super::{
    Agent, Order, Watched, agent_targets,
    names::{self, Followed, Name},
    shared::Shared,
    targets,
};
use crate::{
    dataplane::{Balancer, clock, peers, rt, worker::WorkerHandle},
    server::ServerKey,
};

/// What goes on.
pub(super) struct Arranged {
    shared: Rc<Shared>,
    watched: BTreeMap<ServerKey, Watched>,
    agents: BTreeMap<ServerKey, Agent>,
    followed: BTreeMap<Name, Followed>,
    called: Vec<peers::Called>,
    /// What it is to follow at the next opportunity.
    due: Option<(Arc<Balancer>, Arc<[WorkerHandle]>)>,
}

impl Arranged {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self {
            shared,
            watched: BTreeMap::new(),
            agents: BTreeMap::new(),
            followed: BTreeMap::new(),
            called: Vec::new(),
            due: None,
        }
    }

    /// Carries out orders in their order. To follow a configuration means to look at every server: once for all that ask
    /// for it, so that a script that moves a thousand servers does not bring a million looks.
    pub(super) fn carry_out(&mut self, orders: impl Iterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Adopt(balancer, workers) => self.due = Some((balancer, workers)),
                Order::Look => {
                    let balancer = || Arc::clone(&self.shared.balancer.borrow());
                    let workers = || Arc::clone(&self.shared.workers.borrow());
                    self.due.get_or_insert_with(|| (balancer(), workers()));
                }
                Order::Log(change) => {
                    // Where a server is logged follows from the configuration that it was changed in.
                    let present = self.shared.balancer.borrow().clone();
                    let due = self.due.as_ref();
                    if due.is_some_and(|(balancer, _)| !Arc::ptr_eq(balancer, &present)) {
                        self.arrange();
                    }
                    self.shared.log(&change);
                }
                Order::Teach(done) => {
                    self.arrange();
                    peers::end(mem::take(&mut self.called));
                    let balancer = Arc::clone(&self.shared.balancer.borrow());
                    let events = Arc::clone(&self.shared.events);
                    rt::spawn(peers::teach(balancer, events, done));
                }
            }
        }
        self.arrange();
    }

    fn arrange(&mut self) {
        let Some((balancer, workers)) = self.due.take() else {
            return;
        };
        let shared = &self.shared;
        shared.sinks.adopt(&balancer);
        let now = clock::now();
        let targets = targets(&balancer, now);
        let asked = agent_targets(&balancer, now);
        self.followed = names::rearrange(shared, mem::take(&mut self.followed), &balancer);
        self.called = peers::rearrange(mem::take(&mut self.called), &balancer, &shared.events);
        shared.balancer.replace(balancer);
        shared.workers.replace(workers);
        self.watched = shared.rearrange(mem::take(&mut self.watched), targets);
        self.agents = shared.rearrange_agents(mem::take(&mut self.agents), asked);
        shared.align();
    }
}
