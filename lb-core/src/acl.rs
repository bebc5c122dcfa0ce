//! Conditions: named ACLs combined by `if` and `unless`.

/// A condition over ACLs, compiled.
#[derive(Debug, Clone, Default)]
pub struct Condition {}
