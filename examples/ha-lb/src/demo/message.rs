//! What the inner process, which has the cluster, tells the outer one, which has the terminal: one JSON document a
//! line. Nothing else passes between them but the words of [`Hand`](super::hand::Hand) the other way.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::admin::status::State;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The titles of all steps to come.
    Plan(Vec<String>),
    /// The step of the plan that begins.
    Step { at_ms: u64, number: usize },
    /// A sentence.
    Say { at_ms: u64, text: String },
    /// What the client saw of one event.
    Done(Event),
    /// How everything is; several times a second.
    Look(Snapshot),
    /// The story could not be told to its end.
    Broken(String),
}

/// One thing that was done to the cluster and what the client saw of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Event {
    /// Milliseconds since the beginning when it was over.
    pub(super) at_ms: u64,
    /// Which kind of event, for programs.
    pub(super) kind: String,
    /// What was done.
    pub(super) what: String,
    /// The longest that a client waited for an answer, in milliseconds; one whose request failed waits for the
    /// first good answer to a later one.
    pub(super) gap_ms: u64,
    /// What the protocol allows, in milliseconds; none when no host is left to answer.
    pub(super) allowed_ms: Option<u64>,
    /// How much longer it may take on this machine: [`measure::SLACK`](super::measure::SLACK) and more where the
    /// machine itself stalled.
    pub(super) slack_ms: u64,
    /// Whether wait and failures held.
    pub(super) held: bool,
    /// Good answers a second over the whole event, its gap included.
    pub(super) requests_per_second: u64,
    /// Good answers by origin.
    pub(super) by_origin: BTreeMap<String, u64>,
    /// Requests without a good answer.
    pub(super) failed: u64,
    /// How they failed.
    pub(super) failures: BTreeMap<Failure, u64>,
    /// How many may fail; none where every request of the gap may.
    pub(super) may_fail: Option<u64>,
    /// Who answers afterwards.
    pub(super) active: String,
}

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Failure {
    /// No listener: the connection was refused.
    Refused,
    /// The connection ended in the middle of the request.
    Cut,
    /// No answer within the client's patience.
    Silent,
    /// An answer that is not 200.
    Bad,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Cut => "cut off",
            Self::Silent => "unanswered",
            Self::Bad => "not 200",
        })
    }
}

/// One request of the client.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Milliseconds since the beginning when it was asked.
    pub(super) at_ms: u64,
    /// Microseconds until the answer, or until it failed.
    pub(super) took_us: u64,
    /// How it failed, if it did.
    pub(super) failed: Option<Failure>,
}

/// How everything is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Milliseconds since the beginning.
    pub(super) at_ms: u64,
    /// The hosts of the cluster in order.
    pub(super) hosts: Vec<HostView>,
    /// The origins in order.
    pub(super) origins: Vec<OriginView>,
    /// Requests that ended since the last snapshot.
    pub(super) samples: Vec<Sample>,
    /// Milliseconds for which the oldest request waits that has no answer yet.
    pub(super) waiting_ms: u64,
}

/// One host of the cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct HostView {
    pub(super) name: String,
    /// State of its virtual router; none where no daemon answers.
    pub(super) state: Option<State>,
    /// Effective priority.
    pub(super) priority: u8,
    /// Whether its cable is in.
    pub(super) cable: bool,
    /// Whether its speaker runs.
    pub(super) speaker: bool,
    /// Whether its balancer serves.
    pub(super) balancer: bool,
    /// How often its balancer was started again.
    pub(super) restarts: u32,
}

/// One origin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OriginView {
    pub(super) name: String,
    /// Whether it runs.
    pub(super) alive: bool,
    /// What the Active's balancer thinks of it; empty where its file does not name it.
    pub(super) status: String,
    /// Answers that the client got from it.
    pub(super) answers: u64,
}
