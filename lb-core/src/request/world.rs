//! What rules may ask about the rest of the balancer.

use std::{fmt, sync::Arc};

use crate::{backend::Backend, stats::FrontendCounters, stick_table::StickTable};

/// The tables, backends and frontends that rules can name. Whoever runs the rules implements it.
pub trait World: fmt::Debug + Send + Sync {
    /// The `stick-table` of a proxy.
    fn table(&self, proxy: &str) -> Option<&Arc<StickTable>>;
    /// A backend.
    fn backend(&self, name: &str) -> Option<&Arc<Backend>>;
    /// The counters of a frontend.
    fn frontend(&self, name: &str) -> Option<&FrontendCounters>;
}
