//! What rules may ask about the rest of the balancer.

use std::{fmt, sync::Arc};

use super::{ProcessVariables, Side};
use crate::{
    backend::Backend,
    config::{ProxyConfig, Timeouts},
    stats::FrontendCounters,
    stick_table::StickTable,
};

/// The tables, backends and frontends that rules can name. Whoever runs the rules implements it.
pub trait World: fmt::Debug + Send + Sync {
    /// The `stick-table` of a proxy.
    fn table(&self, proxy: &str) -> Option<&Arc<StickTable>>;
    /// A backend.
    fn backend(&self, name: &str) -> Option<&Arc<Backend>>;
    /// The counters of a frontend.
    fn frontend(&self, name: &str) -> Option<&FrontendCounters>;
    /// The section of a frontend.
    fn section(&self, frontend: &str) -> Option<&ProxyConfig>;
    /// The name of this host.
    fn host_name(&self) -> Option<String>;
    /// The timeouts of a backend.
    fn timeouts(&self, backend: &str) -> Option<&Timeouts>;
    /// The number of a proxy.
    fn number(&self, proxy: &str) -> Option<u32>;
    /// How much is kept in a slot for captures of a frontend; `None` if it has no such slot.
    fn capture_length(&self, frontend: &str, side: Side, slot: usize) -> Option<usize>;
    /// Variables of the process.
    fn variables(&self) -> &ProcessVariables;
}
