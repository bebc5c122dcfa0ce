//! Rules of a proxy, compiled.

/// Every rule of one proxy.
#[derive(Debug, Clone, Default)]
pub struct ProxyRules {}
