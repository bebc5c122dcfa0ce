//! The accepting half of a proxy at run time: admission, and the choice of a backend.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use crate::{config::ProxyConfig, request::RequestView};

/// A frontend. Shared by all workers; counts are atomics.
#[derive(Debug)]
pub struct Frontend {
    config: ProxyConfig,
    backends: BTreeMap<Arc<str>, usize>,
    default_backend: Option<usize>,
    maxconn: u32,
    current: AtomicU32,
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
        self.frontend.current.fetch_sub(1, Ordering::Relaxed);
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
        for name in config.rules.backend_names() {
            find(&name)?;
        }
        let default_backend = match &half.default_backend {
            Some(name) => Some(find(name)?),
            None if config.backend.is_some() => Some(find(&config.name)?),
            None => None,
        };
        Ok(Arc::new(Self {
            default_backend,
            maxconn: half.maxconn.unwrap_or(process_maxconn),
            backends: backends.clone(),
            config: config.clone(),
            current: AtomicU32::new(0),
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
        self.current.load(Ordering::Relaxed)
    }

    /// Takes a place for a connection of `peer`. Ask before accepting: a connection that cannot be admitted
    /// stays in the kernel's queue.
    pub fn admit(self: &Arc<Self>, now: Instant, peer: IpAddr) -> Result<Admission, NotAdmitted> {
        let _ = (now, peer);
        self.current
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < self.maxconn).then_some(n + 1)
            })
            .map_err(|_| NotAdmitted::Full)?;
        Ok(Admission {
            frontend: Arc::clone(self),
        })
    }

    /// `use_backend` and `default_backend`: the index of the backend, `None` if there is none (503).
    pub fn route(&self, view: &RequestView<'_>) -> Option<usize> {
        let mut buffer = Vec::new();
        match self.config.rules.select_backend(view, &mut buffer) {
            Some(name) => self.backends.get(name).copied().or(self.default_backend),
            None => self.default_backend,
        }
    }
}
