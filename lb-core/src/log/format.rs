//! Log formats.

use super::StreamRecord;
use crate::rules::RuleError;

/// A parsed `log-format`.
#[derive(Debug, Clone, Default)]
pub struct LogFormat {}

impl LogFormat {
    /// Parses the text of a `log-format` line.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let _ = text;
        Ok(Self::default())
    }

    /// `option httplog`.
    pub fn http() -> Self {
        Self::default()
    }

    /// `option httplog clf`.
    pub fn clf() -> Self {
        Self::default()
    }

    /// `option tcplog`.
    pub fn tcp() -> Self {
        Self::default()
    }

    /// Appends the line for `record` to `out`.
    pub fn write(&self, record: &StreamRecord<'_>, out: &mut Vec<u8>) {
        let _ = (record, out);
    }
}
