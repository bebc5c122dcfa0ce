//! Both dialects of one daemon read together, by `check`, by the supervisor and again by its children.

use lb_core::config::Config;

use super::{diagnostic::Diagnostics, files::Files, haproxy};
use crate::{ipc::message::Sources, notify::Hooks, supervisor::scripts::Script};

/// What a daemon is to do.
#[derive(Debug)]
pub struct Loaded {
    /// The balancer's part; absent when there is nothing to balance.
    pub balancer: Option<Config>,
}

impl Loaded {
    /// Whether a virtual router is configured.
    pub fn needs_speaker(&self) -> bool {
        false
    }

    /// The track scripts that instances use.
    pub fn scripts(&self) -> Vec<Script> {
        Vec::new()
    }

    /// The notify scripts of each instance.
    pub fn hooks(&self) -> Vec<(String, Hooks)> {
        Vec::new()
    }
}

/// Reads all files of `sources`. `None` if there were errors.
pub fn load(sources: &Sources, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Loaded> {
    let haproxy = if sources.haproxy.is_empty() {
        Some(None)
    } else {
        haproxy::load(&sources.haproxy, files, diagnostics).map(Some)
    };
    let balancer = haproxy?.filter(|config| !config.proxies.is_empty());
    Some(Loaded { balancer })
}
