//! Looks at everything ten times a second and tells it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    client::Client,
    cluster::OriginFacts,
    message::{HostView, Message, OriginView, Sample, Snapshot},
    node::NodeFacts,
    teller::Teller,
};
use crate::admin::status::{State, Status};

const PERIOD: Duration = Duration::from_millis(100);

/// What there is to look at.
pub(super) struct Sights {
    pub(super) nodes: Vec<Arc<NodeFacts>>,
    pub(super) origins: Vec<Arc<OriginFacts>>,
    pub(super) client: Client,
}

/// The latest look.
#[derive(Clone)]
pub(super) struct Watch {
    latest: Arc<Mutex<Look>>,
}

/// How the hosts were a moment ago.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// In the order of the hosts; none where no daemon answers.
    pub(super) statuses: Vec<Option<Status>>,
    /// When it was begun.
    pub(super) at: Option<Instant>,
}

impl Watch {
    /// Begins to look.
    pub(super) fn start(sights: Sights, teller: Teller) -> Self {
        let latest = Arc::new(Mutex::new(Look::default()));
        let shared = Arc::clone(&latest);
        std::thread::spawn(move || {
            let mut told = 0;
            loop {
                let at = Instant::now();
                let look = Look {
                    statuses: sights.nodes.iter().map(|node| node.status()).collect(),
                    at: Some(at),
                };
                let snapshot = sights.snapshot(&look, &teller, &mut told);
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = look;
                teller.tell(&Message::Look(snapshot));
                std::thread::sleep(PERIOD.saturating_sub(at.elapsed()));
            }
        });
        Self { latest }
    }

    /// The latest look.
    pub(super) fn latest(&self) -> Look {
        let look = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        look.clone()
    }

    /// The latest look if it was begun after `since`.
    pub(super) fn look(&self, since: Instant) -> Option<Look> {
        let look = self.latest();
        look.at.is_some_and(|at| at > since).then_some(look)
    }
}

impl Look {
    /// State of host `node`'s virtual router.
    pub(super) fn state(&self, node: usize) -> Option<State> {
        Some(self.status(node)?.instances.first()?.state)
    }

    /// What host `node` says.
    pub(super) fn status(&self, node: usize) -> Option<&Status> {
        self.statuses.get(node)?.as_ref()
    }

    /// What host `node`'s balancer thinks of a server.
    pub(super) fn server(&self, node: usize, server: &str) -> Option<&str> {
        let backend = self.status(node)?.backends.first()?;
        let server = backend.servers.iter().find(|known| known.name == server)?;
        Some(&server.status)
    }
}

impl Sights {
    fn snapshot(&self, look: &Look, teller: &Teller, told: &mut usize) -> Snapshot {
        let ended = self.client.ended(*told);
        *told += ended.len();
        let hosts: Vec<HostView> = self
            .nodes
            .iter()
            .zip(&look.statuses)
            .map(|(node, status)| host_view(node, status.as_ref()))
            .collect();
        let active = hosts
            .iter()
            .position(|host| host.state == Some(State::Active) && host.cable);
        let answers = self.client.by_origin();
        let origins = self.origins.iter().map(|origin| OriginView {
            name: origin.name.clone(),
            alive: origin.alive(),
            status: active
                .and_then(|active| look.server(active, &origin.name))
                .unwrap_or_default()
                .to_owned(),
            answers: answers.get(&origin.name).copied().unwrap_or(0),
        });
        let waiting = self.client.oldest_under_way();
        Snapshot {
            at_ms: teller.now_ms(),
            origins: origins.collect(),
            hosts,
            samples: ended
                .iter()
                .map(|request| Sample {
                    at_ms: teller.ms(request.asked),
                    took_us: micros(request.ended.saturating_duration_since(request.asked)),
                    failed: request.outcome.as_ref().err().copied(),
                })
                .collect(),
            waiting_ms: waiting.map_or(0, |asked| micros(asked.elapsed()) / 1000),
        }
    }
}

fn host_view(node: &NodeFacts, status: Option<&Status>) -> HostView {
    let instance = status.and_then(|status| status.instances.first());
    let process = |of: fn(&Status) -> Option<&crate::admin::status::Process>| status.and_then(of);
    let balancer = process(|status| status.balancer.as_ref());
    HostView {
        name: node.name.clone(),
        state: instance.map(|instance| instance.state),
        priority: instance.map_or(0, |instance| instance.effective_priority),
        cable: node.cable(),
        speaker: process(|status| status.vrrp.as_ref()).is_some_and(|speaker| speaker.ready),
        balancer: balancer.is_some_and(|balancer| balancer.ready),
        restarts: balancer.map_or(0, |balancer| balancer.restarts),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
