//! What is counted of a name server (`show resolvers`).

use super::Counter;

/// Questions to a name server, and what became of them.
#[derive(Debug, Default)]
pub struct NameServerCounters {
    /// Questions that went out (`sent`).
    pub sent: Counter,
    /// Questions that could not be sent, or were sent where nobody listens (`snd_error`).
    pub send_errors: Counter,
    /// Answers with what was asked for (`valid`).
    pub valid: Counter,
    /// Those that gave servers other addresses (`update`).
    pub updates: Counter,
    /// Answers without a record of the kind (`any_err`).
    pub empty: Counter,
    /// There is no such name (`nx`).
    pub no_such_name: Counter,
    /// No answer in time (`timeout`).
    pub timeouts: Counter,
    /// Refusals (`refused`).
    pub refused: Counter,
    /// Failures of other kinds (`other`).
    pub others: Counter,
    /// Packets that answer something else or cannot be read (`invalid`).
    pub invalid: Counter,
    /// Answers that are longer than was announced (`too_big`).
    pub too_big: Counter,
    /// Answers that were cut (`truncated`).
    pub truncated: Counter,
    /// Answers to other questions than the last (`outdated`).
    pub outdated: Counter,
}
