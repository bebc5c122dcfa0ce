//! The virtual routers' part of the status document.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Run;

/// State of a virtual router in RFC 9568's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum State {
    /// Not started, or stopped.
    #[default]
    Initialize,
    /// Listens.
    Backup,
    /// Holds the addresses.
    Active,
    /// Held out of the election by a fault (keepalived's FAULT; Initialize in RFC 9568's words).
    Fault,
}

impl State {
    /// keepalived's word, as notify scripts get it.
    pub fn keepalived_name(self) -> &'static str {
        match self {
            Self::Initialize => "STOP",
            Self::Backup => "BACKUP",
            Self::Active => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
            Self::Fault => "Fault",
        })
    }
}

/// One virtual router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Name in the file.
    pub name: String,
    /// State.
    pub state: State,
    /// How long it has been in that state; absent before the first.
    #[serde(default)]
    pub state_age: Option<f64>,
    /// What keeps it from taking part, in words.
    #[serde(default)]
    pub held_by: Option<String>,
    /// Its sync group.
    #[serde(default)]
    pub sync_group: Option<String>,
    /// Priority of the file.
    pub priority: u8,
    /// Priority with the weights of tracked objects: what is advertised.
    pub effective_priority: u8,
    /// What is tracked, and what each contributes.
    #[serde(default)]
    pub tracks: Vec<Track>,
    /// Interface name.
    pub interface: String,
    /// Its devices with virtual MAC addresses.
    #[serde(default)]
    pub virtual_macs: Vec<VirtualMac>,
    /// VRID.
    pub vrid: u8,
    /// VRRP version.
    pub version: u8,
    /// Own advertisement interval.
    #[serde(default)]
    pub interval: f64,
    /// How adverts are authenticated: `password`, `AH`, `hmac, enforce, key 1`; absent without.
    #[serde(default)]
    pub authentication: Option<String>,
    /// Without adverts for that long, a Backup takes over; absent in other states.
    #[serde(default)]
    pub takeover_in: Option<f64>,
    /// The address that its adverts come from.
    #[serde(default)]
    pub own_address: Option<String>,
    /// Who is Active, as far as is known: itself or the router that it follows.
    #[serde(default)]
    pub active_address: Option<String>,
    /// Virtual addresses (`address/prefix`).
    pub vips: Vec<String>,
    /// Routes that go with them, as `ip route` takes them.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Rules that go with them, as `ip rule` takes them.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Whether they are on this host: `up`, `failing` or `down`.
    #[serde(default)]
    pub addresses: String,
    /// `on`, `off`, or why there is none: whether the addresses fall silent with the process that speaks for them.
    #[serde(default)]
    pub fence: String,
    /// How long the addresses last without an advert sent; absent while they are not up.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// What could not be done on the host and is still tried.
    #[serde(default)]
    pub retrying: Option<Failure>,
    /// The same of `virtual_routes` and `virtual_rules`.
    #[serde(default)]
    pub retrying_paths: Option<Failure>,
    /// The last change of state.
    pub last_transition: Option<LastTransition>,
    /// The last changes of state, latest first; they outlive the VRRP process.
    #[serde(default)]
    pub transitions: Vec<LastTransition>,
    /// How often it changed to each state, as far as the daemon remembers.
    #[serde(default)]
    pub changes: Vec<Changes>,
    /// Other routers of this VRID that were heard, latest first.
    pub peers: Vec<Peer>,
    /// Senders of adverts that were rejected, latest first.
    #[serde(default)]
    pub refused: Vec<Refused>,
    /// What it counts since the VRRP process started.
    #[serde(default)]
    pub counters: Counters,
}

/// A device with a virtual MAC address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualMac {
    /// Its name.
    pub device: String,
    /// Its hardware address.
    pub mac: String,
    /// The interface that it stands on.
    pub parent: String,
    /// `up` while the instance is Active, else `down`, or `missing`.
    pub state: String,
    /// Whether adverts come from it.
    pub adverts: bool,
}

/// One tracked object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// `script`, `interface`, `file` or `process`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// What a file says.
    #[serde(default)]
    pub value: Option<i32>,
    /// The file's weight; 0 makes a failure a fault.
    pub weight: i16,
    /// Whether health counts the other way round.
    pub reverse: bool,
    /// What it adds to the priority now.
    pub contribution: i16,
}

/// How long addresses last without an advert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// From one refresh on.
    pub valid: f64,
    /// Now.
    pub left: f64,
}

/// What could not be done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// `install`, `remove` or `announce` the addresses.
    pub operation: String,
    /// What the kernel said the last time.
    pub error: String,
    /// How long ago that was.
    pub age: f64,
    /// How often it failed.
    pub count: u64,
}

/// A change of state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LastTransition {
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Why.
    pub reason: String,
    /// Seconds since the UNIX epoch.
    pub at: f64,
}

/// How often an instance changed to a state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// State after.
    pub to: State,
    /// How often.
    pub count: u64,
}

/// Another router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// Priority of its last advert.
    pub priority: u8,
    /// How long ago its last advert came.
    pub age: f64,
    /// Its advertisement interval.
    #[serde(default)]
    pub interval: f64,
    /// Adverts that came from it.
    #[serde(default)]
    pub adverts: u64,
}

/// A sender whose adverts are rejected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Its address.
    pub address: String,
    /// Why the last one was, as a word of [`Rejected::cause`].
    pub cause: String,
    /// The same as a clause.
    pub reason: String,
    /// How long ago that was.
    pub age: f64,
    /// How many.
    pub count: u64,
}

/// Who sends adverts for a virtual router that is not here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// Name of the interface that they come in on.
    pub interface: String,
    /// The virtual router.
    pub vrid: u8,
    /// The sender's address.
    pub address: String,
    /// How long ago the last one came.
    pub age: f64,
    /// How many.
    pub count: u64,
}

/// Adverts that were rejected for one cause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// A word: `checksum`, `authentication`, `not_a_peer` ...
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// What an instance counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Adverts sent, once whatever the number of unicast peers.
    pub sent: u64,
    /// Of these, with priority 0.
    pub priority_zero_sent: u64,
    /// Adverts taken in.
    pub received: u64,
    /// Of these, with priority 0.
    pub priority_zero_received: u64,
    /// Of these, heard while Active.
    pub received_while_active: u64,
    /// Of these, from a router that should have given way: two were Active at once.
    pub rivals: u64,
    /// Of these, with other virtual addresses than ours.
    pub address_mismatches: u64,
    /// Of these, without the trailer that `auth_hmac` does not demand yet.
    #[serde(default)]
    pub unsigned_received: u64,
    /// Packets that could not be sent.
    pub send_errors: u64,
    /// Changes to Active.
    pub became_active: u64,
    /// Changes from Active.
    pub released_active: u64,
    /// The latest that an advert was sent after its time.
    pub send_lateness_max: f64,
    /// The latest that any timer fired.
    pub timer_lateness_max: f64,
    /// Every cause of rejection with its count, zero included.
    pub rejected: Vec<Rejected>,
}

/// A neighbour that is watched by BFD (`bfd_instance`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Name in the file.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Our address towards it, if the file says one.
    #[serde(default)]
    pub source: Option<String>,
    /// State of the session: `up`, `init`, `down` or `admin_down`.
    pub state: String,
    /// Whether it counts as reached: one that has ended the session by itself goes on to.
    pub reached: bool,
    /// How long the session has been in that state.
    pub state_age: f64,
    /// Why it is not up, if anything is known of that.
    #[serde(default)]
    pub reason: Option<String>,
    /// Time between our packets; absent while none are sent.
    #[serde(default)]
    pub interval: Option<f64>,
    /// After how long a silence it is lost; absent while nothing was heard.
    #[serde(default)]
    pub detection_time: Option<f64>,
    /// Packets that came from it.
    pub received: u64,
    /// How often it was lost.
    pub losses: u64,
    /// What keeps us from speaking to it or from hearing it, and is tried again.
    #[serde(default)]
    pub failure: Option<String>,
}

/// One script, file or process that routers track.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// `script`, `file` or `process`.
    #[serde(default)]
    pub kind: String,
    /// Name in the file.
    pub name: String,
    /// `passes`, `fails`, `unknown`; `value` for a file.
    pub result: String,
    /// What a file says, or how many processes run.
    #[serde(default)]
    pub value: Option<i64>,
    /// What answers: the command, the file, the process's name, or this daemon's balancer.
    pub answered_by: String,
    /// How the last run of a script ended.
    #[serde(default)]
    pub last_run: Option<Run>,
    /// When it is run again.
    #[serde(default)]
    pub next_run_in: Option<f64>,
}
