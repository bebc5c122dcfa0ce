//! Conditions: named ACLs combined by `if` and `unless`.

use crate::request::RequestView;

/// A condition over ACLs, compiled.
#[derive(Debug, Clone, Default)]
pub struct Condition {}

impl Condition {
    /// Whether the condition holds over `view`.
    pub fn holds(&self, view: &RequestView<'_>) -> bool {
        let _ = view;
        true
    }
}
