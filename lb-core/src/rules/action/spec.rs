//! What is known of an action before its words are read, and what its reader may refer to.

use super::Action;
use crate::{
    acl::Site,
    rules::{ProxySide, RuleError, RuleWarning, words::Words},
};

/// A kind of rule line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `tcp-request connection`.
    TcpConnection,
    /// `tcp-request session`.
    TcpSession,
    /// `tcp-request content`.
    TcpContent,
    /// `tcp-response content`.
    TcpResponse,
    /// `http-request`.
    HttpRequest,
    /// `http-response`.
    HttpResponse,
    /// `http-after-response`.
    HttpAfterResponse,
}

impl Place {
    /// The words in front of the action.
    pub fn name(self) -> &'static str {
        match self {
            Self::TcpConnection => "tcp-request connection",
            Self::TcpSession => "tcp-request session",
            Self::TcpContent => "tcp-request content",
            Self::TcpResponse => "tcp-response content",
            Self::HttpRequest => "http-request",
            Self::HttpResponse => "http-response",
            Self::HttpAfterResponse => "http-after-response",
        }
    }
}

/// One entry of the table.
#[derive(Clone, Copy)]
pub struct ActionSpec {
    /// Name; a parenthesis with a variable may follow it in the file.
    pub name: &'static str,
    /// Where it may stand.
    pub places: &'static [Place],
    /// Its words.
    pub usage: &'static str,
    /// One sentence.
    pub doc: &'static str,
    pub(in crate::rules) read: Read,
}

impl std::fmt::Debug for ActionSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub(in crate::rules) type Read = fn(&mut Words<'_>, &mut Context<'_>) -> Result<Action, RuleError>;

/// What an action may refer to while it is read.
pub(crate) struct Context<'c> {
    /// Where it stands.
    pub(crate) place: Place,
    /// Expressions and files.
    pub(crate) site: Site<'c>,
    /// Number of capture slots of requests and responses; actions may add some.
    pub(crate) slots: &'c mut (usize, usize),
    /// Which half of a proxy it stands in.
    pub(crate) side: ProxySide,
    /// Doubts.
    pub(crate) warnings: &'c mut Vec<RuleWarning>,
}

/// Actions of HAProxy that are known and not offered: (beginning of the name, why).
pub(super) const NOT_OFFERED: &[(&str, &str)] = &[
    ("lua.", "there is no Lua"),
    ("ot-group", "there is no OpenTracing"),
    ("send-spoe-group", "there is no SPOE"),
    (
        "set-mark",
        "the balancer has given up the right to mark sockets; set-tos needs none",
    ),
    ("set-bandwidth-limit", "there are no bandwidth limits"),
    ("expect-netscaler-cip", "only PROXY headers are understood"),
];
