//! Scripts that are told of changes, and who runs them.

use std::{path::PathBuf, time::Duration};

use crate::config::diagnostic::Span;

/// A user and perhaps a group, by name or number as written.
#[derive(Debug, Clone)]
pub struct User {
    /// User.
    pub user: String,
    /// Group; the user's own by default.
    pub group: Option<String>,
    /// Where it was written.
    pub span: Span,
}

/// Whoever stands in another line is the same.
impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        (&self.user, &self.group) == (&other.user, &other.group)
    }
}

impl Eq for User {}

/// A program with its arguments, split as keepalived splits it: no shell is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; never empty.
    pub arguments: Vec<String>,
    /// Who runs it.
    pub user: Option<User>,
    /// Where it was written.
    pub span: Span,
}

/// A script that is run once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    /// The command.
    pub command: Option<Command>,
    /// How long it may take (10 s).
    pub limit: Option<Duration>,
}

/// `vrrp_notify_fifo` or `notify_fifo`: gets a line for each change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyFifo {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is if it is made here; the daemon's by default.
    pub owner: Option<User>,
    /// `vrrp_notify_fifo_script` or `notify_fifo_script`: reads it as long as the daemon runs, with the path as its last
    /// argument.
    pub reader: Option<Command>,
}

/// `notify_*` of an instance or of a sync group, which has fewer of them: as written, or as they are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify<C = Command> {
    /// `notify_master`.
    pub master: Option<C>,
    /// `notify_backup`.
    pub backup: Option<C>,
    /// `notify_fault`.
    pub fault: Option<C>,
    /// `notify_stop`.
    pub stop: Option<C>,
    /// `notify_deleted`.
    pub deleted: Option<C>,
    /// Whether there is a `notify_deleted`, perhaps without a script.
    pub says_deleted: bool,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower_priority: Option<C>,
    /// `notify`: run for each change, with `INSTANCE NAME STATE PRIORITY` (`GROUP NAME STATE 0`) appended.
    pub any: Option<C>,
}

impl<C> Default for Notify<C> {
    fn default() -> Self {
        Self {
            master: None,
            backup: None,
            fault: None,
            stop: None,
            deleted: None,
            says_deleted: false,
            master_rx_lower_priority: None,
            any: None,
        }
    }
}

impl<C> Notify<C> {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &C> {
        let all = [
            &self.master,
            &self.backup,
            &self.fault,
            &self.stop,
            &self.deleted,
            &self.master_rx_lower_priority,
            &self.any,
        ];
        all.into_iter().flatten()
    }

    /// The same with something else made of each.
    pub fn map<D>(&self, mut made: impl FnMut(&C) -> D) -> Notify<D> {
        let mut one = |written: &Option<C>| written.as_ref().map(&mut made);
        Notify {
            master: one(&self.master),
            backup: one(&self.backup),
            fault: one(&self.fault),
            stop: one(&self.stop),
            deleted: one(&self.deleted),
            says_deleted: self.says_deleted,
            master_rx_lower_priority: one(&self.master_rx_lower_priority),
            any: one(&self.any),
        }
    }
}
