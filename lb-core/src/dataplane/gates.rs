//! The limits that a connection has to pass before it is accepted, the widest first: those of the process, of its
//! frontend and of the `bind` line that it came to.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::gate::{Gate, Pass};
use crate::{
    config::{Bind, BindAddress, ProxyConfig},
    frontend::Frontend,
};

/// The limits on the connections of one `bind` line.
#[derive(Debug, Clone)]
pub(super) struct Gates {
    process: Arc<Gate>,
    frontend: Arc<Gate>,
    bind: Option<Arc<Gate>>,
}

/// A place inside each of the [`Gates`]; leaves on drop.
#[derive(Debug)]
#[must_use]
pub(super) struct Passes {
    _bind: Option<Pass>,
    _frontend: Pass,
    _process: Pass,
}

impl Gates {
    /// Completes with a place in each. If one is full the outer places go back, and wake whoever waits for them.
    pub(super) fn poll_enter(&self, cx: &mut Context<'_>) -> Poll<Passes> {
        let process = ready!(self.process.poll_enter(cx));
        let frontend = ready!(self.frontend.poll_enter(cx));
        let bind = match &self.bind {
            Some(gate) => Some(ready!(gate.poll_enter(cx))),
            None => None,
        };
        Poll::Ready(Passes {
            _bind: bind,
            _frontend: frontend,
            _process: process,
        })
    }

    /// A place in each, if there is room.
    pub(super) fn enter(&self) -> Option<Passes> {
        let (process, frontend) = (self.process.enter()?, self.frontend.enter()?);
        let bind = match &self.bind {
            Some(gate) => Some(gate.enter()?),
            None => None,
        };
        Some(Passes {
            _bind: bind,
            _frontend: frontend,
            _process: process,
        })
    }
}

/// The limits of one frontend.
#[derive(Debug)]
pub(super) struct FrontendGates {
    all: Arc<Gate>,
    /// Of each `bind` line, for those that have a limit.
    binds: Vec<(BindAddress, Option<Arc<Gate>>)>,
}

impl FrontendGates {
    /// Nobody is inside.
    pub(super) fn new(frontend: &Frontend, proxy: &ProxyConfig) -> Self {
        Self {
            all: Gate::new(Some(frontend.maxconn())),
            binds: binds(proxy)
                .map(|bind| (bind.address.clone(), fresh(bind)))
                .collect(),
        }
    }

    /// The same over a reload. Whoever is inside stays; new limits count once [`FrontendGates::set_limits`] is called.
    pub(super) fn renewed(&self, proxy: &ProxyConfig) -> Self {
        let old = self.binds.iter().map(|(at, gate)| (at, gate.clone()));
        let before = of_the_same_address(binds(proxy), old);
        let gate = |(bind, before): (&Bind, Option<Option<_>>)| {
            let kept = bind.maxconn.and(before.flatten());
            (bind.address.clone(), kept.or_else(|| fresh(bind)))
        };
        Self {
            all: Arc::clone(&self.all),
            binds: binds(proxy).zip(before).map(gate).collect(),
        }
    }

    /// The limits of `frontend`, whose own these are, hold from now on.
    pub(super) fn set_limits(&self, frontend: &Frontend) {
        self.all.set_limit(Some(frontend.maxconn()));
        for (bind, (_, gate)) in binds(frontend.config()).zip(&self.binds) {
            if let Some(gate) = gate {
                gate.set_limit(bind.maxconn);
            }
        }
    }

    /// What the connections of a `bind` line have to pass.
    pub(super) fn of_bind(&self, process: &Arc<Gate>, bind: usize) -> Option<Gates> {
        let (_, own) = self.binds.get(bind)?;
        Some(Gates {
            process: Arc::clone(process),
            frontend: Arc::clone(&self.all),
            bind: own.clone(),
        })
    }
}

/// The `bind` lines of a proxy.
pub(super) fn binds(proxy: &ProxyConfig) -> impl Iterator<Item = &Bind> {
    proxy.frontend.iter().flat_map(|frontend| &frontend.binds)
}

/// What each `bind` of a changed configuration had before. Of several with one address the first gets what the first
/// had, and so on.
pub(super) fn of_the_same_address<'c, T>(
    binds: impl Iterator<Item = &'c Bind>,
    old: impl Iterator<Item = (&'c BindAddress, T)>,
) -> Vec<Option<T>> {
    let mut old: Vec<_> = old.collect();
    let known = binds.map(|bind| {
        let place = old.iter().position(|(at, _)| **at == bind.address)?;
        Some(old.remove(place).1)
    });
    known.collect()
}

fn fresh(bind: &Bind) -> Option<Arc<Gate>> {
    bind.maxconn.map(|limit| Gate::new(Some(limit)))
}
