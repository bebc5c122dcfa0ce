//! The accepting half of a proxy at run time: admission, and the choice of a backend.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{config::ProxyConfig, request::RequestView, stats::Gauge};

/// A frontend. Shared by all workers; counts are atomics.
#[derive(Debug)]
pub struct Frontend {
    config: ProxyConfig,
    /// Every backend by name, for `use_backend` with a name made from the request.
    backends: BTreeMap<Arc<str>, usize>,
    /// The backend of each `use_backend` line with a fixed name.
    fixed: Vec<Option<usize>>,
    default_backend: Option<usize>,
    maxconn: u32,
    rate_limit: Option<u32>,
    load: Arc<Load>,
}

/// What is admitted: goes on when the frontend is made anew from a changed configuration.
#[derive(Debug, Default)]
struct Load {
    /// Beginning of the present second and what was admitted in it; only used with a rate limit.
    window: Mutex<Option<(Instant, u32)>>,
    connections: Gauge,
}

/// Why a frontend cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontendError {
    /// The proxy has no accepting half.
    #[error("proxy '{0}' is not a frontend")]
    NotAFrontend(Arc<str>),
    /// `default_backend` or `use_backend` names something that is not there.
    #[error("frontend '{frontend}': unable to find required use_backend: '{backend}'")]
    UnknownBackend {
        /// The frontend.
        frontend: Arc<str>,
        /// The missing backend.
        backend: Arc<str>,
    },
}

/// Why a connection is not admitted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// `maxconn` is reached: stop accepting until a connection ends.
    Full,
    /// `rate-limit sessions` is reached: stop accepting until this moment.
    TooFast {
        /// When to try again.
        retry_at: Instant,
    },
}

/// One admitted connection; gives its place back when dropped.
#[must_use]
#[derive(Debug)]
pub struct Admission {
    frontend: Arc<Frontend>,
}

impl Admission {
    /// The frontend.
    pub fn frontend(&self) -> &Arc<Frontend> {
        &self.frontend
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.frontend.load.connections.leave();
    }
}

impl Frontend {
    /// The frontend of `config`. `backends` maps the names of backends (and `listen` proxies) to their indices;
    /// `process_maxconn` is the limit where the proxy has none.
    pub fn new(
        config: &ProxyConfig,
        backends: &BTreeMap<Arc<str>, usize>,
        process_maxconn: u32,
    ) -> Result<Arc<Self>, FrontendError> {
        Self::made(config, backends, process_maxconn, None)
    }

    /// The same in place of `self`, whose connections count on in the new one.
    pub fn renewed(
        &self,
        config: &ProxyConfig,
        backends: &BTreeMap<Arc<str>, usize>,
        process_maxconn: u32,
    ) -> Result<Arc<Self>, FrontendError> {
        Self::made(config, backends, process_maxconn, Some(self))
    }

    fn made(
        config: &ProxyConfig,
        backends: &BTreeMap<Arc<str>, usize>,
        process_maxconn: u32,
        before: Option<&Self>,
    ) -> Result<Arc<Self>, FrontendError> {
        let half = config
            .frontend
            .as_ref()
            .ok_or_else(|| FrontendError::NotAFrontend(Arc::clone(&config.name)))?;
        let find = |name: &Arc<str>| {
            backends
                .get(name)
                .copied()
                .ok_or_else(|| FrontendError::UnknownBackend {
                    frontend: Arc::clone(&config.name),
                    backend: Arc::clone(name),
                })
        };
        let fixed: Result<Vec<Option<usize>>, FrontendError> = config
            .rules
            .backend_rules()
            .map(|name| name.map(|name| find(&name)).transpose())
            .collect();
        let default_backend = match &half.default_backend {
            Some(name) => Some(find(name)?),
            None if config.backend.is_some() => Some(find(&config.name)?),
            None => None,
        };
        Ok(Arc::new(Self {
            default_backend,
            maxconn: half.maxconn.unwrap_or(process_maxconn),
            backends: backends.clone(),
            fixed: fixed?,
            rate_limit: half.rate_limit.filter(|limit| *limit > 0),
            config: config.clone(),
            load: before.map_or_else(Arc::default, |before| Arc::clone(&before.load)),
        }))
    }

    /// Its configuration.
    pub fn config(&self) -> &ProxyConfig {
        &self.config
    }

    /// The limit of connections in force.
    pub fn maxconn(&self) -> u32 {
        self.maxconn
    }

    /// Connections now.
    pub fn current(&self) -> u32 {
        self.load.connections.value()
    }

    /// The most connections there were at once.
    pub fn most(&self) -> u32 {
        self.load.connections.max()
    }

    /// Takes a place for a connection of `peer`. Ask before accepting where possible: a connection that cannot
    /// be admitted is better off in the kernel's queue. Limits do not depend on the peer so far.
    pub fn admit(self: &Arc<Self>, now: Instant, peer: IpAddr) -> Result<Admission, NotAdmitted> {
        let _ = peer;
        // 0 would mean no limit to the gauge.
        if self.maxconn == 0 || !self.load.connections.enter_below(self.maxconn) {
            return Err(NotAdmitted::Full);
        }
        // From here on dropping it gives the place back.
        let admission = Admission {
            frontend: Arc::clone(self),
        };
        self.within_rate(now)?;
        Ok(admission)
    }

    /// `rate-limit sessions`: at most that many in each second.
    fn within_rate(&self, now: Instant) -> Result<(), NotAdmitted> {
        let Some(limit) = self.rate_limit else {
            return Ok(());
        };
        let second = Duration::from_secs(1);
        let mut window = self
            .load
            .window
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &mut *window {
            Some((start, count)) if now.saturating_duration_since(*start) < second => {
                if *count >= limit {
                    return Err(NotAdmitted::TooFast {
                        retry_at: *start + second,
                    });
                }
                *count += 1;
            }
            other => *other = Some((now, 1)),
        }
        Ok(())
    }

    /// The backend of every request, where no `use_backend` chooses another.
    #[cfg(feature = "tokio")]
    pub(crate) fn only_backend(&self) -> Option<usize> {
        self.default_backend.filter(|_| self.fixed.is_empty())
    }

    /// `use_backend` and `default_backend`: the index of the backend, `None` if there is none (503).
    pub fn route(&self, view: &RequestView<'_>) -> Option<usize> {
        // Fixed names, the common case, leave the buffer empty: nothing is allocated.
        let mut buffer = Vec::new();
        let Some((rule, name)) = self.config.rules.select_backend_rule(view, &mut buffer) else {
            return self.default_backend;
        };
        match self.fixed.get(rule).copied().flatten() {
            Some(index) => Some(index),
            // A name made from the request that is no backend: as if no rule had matched.
            None => self.backends.get(name).copied().or(self.default_backend),
        }
    }
}

#[cfg(test)]
mod tests;
