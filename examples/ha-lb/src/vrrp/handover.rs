//! How one speaker hands its routers over to the next while both run: an upgrade moves no address and misses no advert.
//!
//! ```text
//! successor                          predecessor
//!   sockets open, fence open           adverts go on
//!   "give"            ------------->   stops where it is
//!                     <-------------   states, timers, sequence numbers
//!   "taken"           ------------->   does nothing any more
//!                     <-------------   "gone", exits: addresses stay
//!   goes on
//! ```
//! Whoever does not hear the next word in time, or the end of the line, goes on as if nothing had been (predecessor), or
//! fails (successor): there are never two. The words and the document's version stand between programs of different
//! versions; fields of the document are only ever added.

use std::{io::ErrorKind, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use vrrp_fsm::{Active, Backup, Heard, Instant, Memory, State};
use vrrp_proto::Priority;

use crate::{admin::status::LastTransition, ipc::channel::Channel};

const VERSION: u32 = 1;
const GIVE: &[u8] = b"give";
const TAKEN: &[u8] = b"taken";
const GONE: &[u8] = b"gone";
/// How long the predecessor stands still at most: less than the shortest lease.
const STANDSTILL: Duration = Duration::from_millis(500);
/// How long the successor waits for the document: a predecessor on a busy machine may be slow, but not stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the successor has to know.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    routers: Vec<Left>,
}

/// What is left of one router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) instance: String,
    state: Saved,
    sequence: Option<u32>,
    pub(super) last_change: Option<LastTransition>,
}

/// A state; times are nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Saved {
    Initialize {
        started: bool,
    },
    Backup {
        active_down_at: u64,
        active_adver_interval: Duration,
        since: u64,
        active: Option<SavedHeard>,
        rival: Option<SavedHeard>,
        preempt_at: Option<u64>,
        resigned: Option<IpAddr>,
    },
    Active {
        adver_at: u64,
        sent_at: u64,
        since: u64,
        announce_at: Option<u64>,
        announced_at: u64,
        announce_repeat: u8,
        install_failed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SavedHeard {
    source: IpAddr,
    priority: u8,
    at: u64,
}

impl Left {
    pub(super) fn new(instance: &str, memory: Memory, last_change: Option<LastTransition>) -> Self {
        Self {
            instance: instance.to_owned(),
            state: memory.state.into(),
            sequence: memory.sequence,
            last_change,
        }
    }

    pub(super) fn memory(&self) -> Memory {
        Memory {
            state: self.state.into(),
            sequence: self.sequence,
        }
    }
}

impl From<State> for Saved {
    fn from(state: State) -> Self {
        let heard = |heard: Heard| SavedHeard {
            source: heard.source,
            priority: heard.priority.value(),
            at: heard.at.as_nanos(),
        };
        match state {
            State::Initialize { started } => Self::Initialize { started },
            State::Backup(backup) => Self::Backup {
                active_down_at: backup.active_down_at.as_nanos(),
                active_adver_interval: backup.active_adver_interval,
                since: backup.since.as_nanos(),
                active: backup.active.map(heard),
                rival: backup.rival.map(heard),
                preempt_at: backup.preempt_at.map(Instant::as_nanos),
                resigned: backup.resigned,
            },
            State::Active(active) => Self::Active {
                adver_at: active.adver_at.as_nanos(),
                sent_at: active.sent_at.as_nanos(),
                since: active.since.as_nanos(),
                announce_at: active.announce_at.map(Instant::as_nanos),
                announced_at: active.announced_at.as_nanos(),
                announce_repeat: active.announce_repeat,
                install_failed: active.install_failed,
            },
        }
    }
}

impl From<Saved> for State {
    fn from(saved: Saved) -> Self {
        let heard = |heard: SavedHeard| Heard {
            source: heard.source,
            priority: Priority::new(heard.priority),
            at: Instant::from_nanos(heard.at),
        };
        match saved {
            Saved::Initialize { started } => Self::Initialize { started },
            Saved::Backup {
                active_down_at,
                active_adver_interval,
                since,
                active,
                rival,
                preempt_at,
                resigned,
            } => Self::Backup(Backup {
                active_down_at: Instant::from_nanos(active_down_at),
                active_adver_interval,
                since: Instant::from_nanos(since),
                active: active.map(heard),
                rival: rival.map(heard),
                preempt_at: preempt_at.map(Instant::from_nanos),
                resigned,
            }),
            Saved::Active {
                adver_at,
                sent_at,
                since,
                announce_at,
                announced_at,
                announce_repeat,
                install_failed,
            } => Self::Active(Active {
                adver_at: Instant::from_nanos(adver_at),
                sent_at: Instant::from_nanos(sent_at),
                since: Instant::from_nanos(since),
                announce_at: announce_at.map(Instant::from_nanos),
                announced_at: Instant::from_nanos(announced_at),
                announce_repeat,
                install_failed,
            }),
        }
    }
}

/// The successor's side: takes the routers over.
pub(super) async fn take(predecessor: &Channel) -> Result<Vec<Left>, String> {
    let broken = |error: std::io::Error| error.to_string();
    let silent = || format!("it said nothing for {PATIENCE:?}");
    let ended = || "it ended".to_owned();
    predecessor.send_bytes(GIVE, &[]).await.map_err(broken)?;
    let document = timeout(PATIENCE, predecessor.recv::<Vec<u8>>()).await;
    let document = document.map_err(|_| silent())?.map_err(broken)?;
    let (document, _) = document.ok_or_else(ended)?;
    let document: Document = serde_json::from_slice(&document).map_err(|e| e.to_string())?;
    if document.version != VERSION {
        return Err(format!("its document has version {}", document.version));
    }
    predecessor.send_bytes(TAKEN, &[]).await.map_err(broken)?;
    let word = timeout(PATIENCE, predecessor.recv_bytes()).await;
    match word.map_err(|_| silent())?.map_err(broken)? {
        Some((word, _)) if word == GONE => Ok(document.routers),
        _ => Err("it did not let go".to_owned()),
    }
}

/// The predecessor's side, once a successor has asked: whether that has taken the routers.
async fn give(successor: &Channel, routers: Vec<Left>) -> bool {
    let document = Document {
        version: VERSION,
        routers,
    };
    let taken = async {
        let document = serde_json::to_vec(&document).ok()?;
        successor.send(&document, &[]).await.ok()?;
        let (word, _) = successor.recv_bytes().await.ok()??;
        if word != TAKEN {
            return None;
        }
        successor.send_bytes(GONE, &[]).await.ok()
    };
    timeout(STANDSTILL, taken).await.ok().flatten().is_some()
}

/// What happens to a speaker whose program is being replaced.
pub(super) enum Asked {
    /// A successor asks for the routers.
    Give(Channel),
    /// There is no supervisor any more.
    Resign,
}

/// A speaker that waits for its successor, and its line to the one that may become it.
#[derive(Default)]
pub(super) struct Farewell(Option<Channel>);

impl Farewell {
    /// The next thing that is asked; may be dropped and asked again at any moment.
    pub(super) async fn asked(&mut self, supervisor: &Channel) -> Asked {
        loop {
            let line = self.0.as_ref();
            tokio::select! {
                packet = supervisor.recv_bytes() => match packet {
                    // Each descriptor leads to another successor; the one before it has failed.
                    Ok(Some((_, mut descriptors))) => {
                        let line = descriptors.pop().map(Channel::new);
                        self.0 = line.and_then(Result::ok);
                    }
                    Err(error) if error.kind() == ErrorKind::InvalidData => {}
                    Ok(None) | Err(_) => return Asked::Resign,
                },
                word = hear(line) => if let (true, Some(line)) = (word, self.0.take()) {
                    return Asked::Give(line);
                },
            }
        }
    }
}

/// Whether the successor asks for the routers, or has ended.
async fn hear(line: Option<&Channel>) -> bool {
    match line {
        Some(line) => matches!(line.recv_bytes().await, Ok(Some((word, _))) if word == GIVE),
        None => std::future::pending().await,
    }
}

/// Hands over. Returns if nobody took anything, for the speaker to go on; otherwise this process ends, without a word
/// on the wire and with the addresses in place.
pub(super) async fn leave(successor: &Channel, routers: Vec<Left>) {
    if give(successor, routers).await {
        // No destructor: what stands belongs to the successor. The fence's socket ends with the process.
        std::process::exit(0);
    }
    tracing::error!("the successor did not take the virtual routers over: going on");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::channel;

    fn run<F: Future>(future: impl FnOnce() -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { future().await })
    }

    fn line() -> (Channel, Channel) {
        let (a, b) = channel::pair().unwrap();
        (Channel::new(a).unwrap(), Channel::new(b).unwrap())
    }

    fn routers() -> Vec<Left> {
        let heard = Heard {
            source: IpAddr::from([192, 0, 2, 1]),
            priority: Priority::new(200),
            at: Instant::from_nanos(7),
        };
        let backup = State::Backup(Backup {
            active_down_at: Instant::from_nanos(11),
            active_adver_interval: Duration::from_millis(1234),
            since: Instant::from_nanos(3),
            active: Some(heard),
            rival: None,
            preempt_at: Some(Instant::from_nanos(12)),
            resigned: Some(heard.source),
        });
        let active = State::Active(Active {
            adver_at: Instant::from_nanos(u64::MAX),
            sent_at: Instant::from_nanos(1),
            since: Instant::from_nanos(2),
            announce_at: None,
            announced_at: Instant::from_nanos(4),
            announce_repeat: 5,
            install_failed: true,
        });
        let left = |name: &str, state, sequence| Left::new(name, Memory { state, sequence }, None);
        vec![
            left("A", active, Some(77)),
            left("B", backup, None),
            left("C", State::Initialize { started: true }, None),
        ]
    }

    #[test]
    fn what_is_given_is_what_is_taken_and_exactly_one_goes_on() {
        run(async || {
            let (successor, predecessor) = line();
            let given = async {
                assert!(hear(Some(&predecessor)).await);
                give(&predecessor, routers()).await
            };
            let (taken, given) = tokio::join!(take(&successor), given);
            assert!(given);
            let taken = taken.unwrap();
            assert_eq!(taken, routers());
            for (left, expected) in taken.iter().zip(routers()) {
                assert_eq!(left.memory(), expected.memory());
            }
        });
    }

    #[test]
    fn a_successor_that_dies_or_cannot_read_leaves_the_predecessor_running() {
        run(async || {
            let (successor, predecessor) = line();
            successor.send_bytes(GIVE, &[]).await.unwrap();
            assert!(hear(Some(&predecessor)).await);
            drop(successor);
            assert!(!give(&predecessor, routers()).await);

            let (successor, predecessor) = line();
            let told = async {
                assert!(hear(Some(&predecessor)).await);
                let strange = br#"{"version":99,"routers":[]}"#.to_vec();
                predecessor.send(&strange, &[]).await.unwrap();
            };
            let (taken, ()) = tokio::join!(take(&successor), told);
            assert_eq!(taken.unwrap_err(), "its document has version 99");
        });
    }

    #[test]
    fn a_predecessor_that_waits_hears_of_successors_one_after_the_other() {
        run(async || {
            let (supervisor, speaker) = line();
            let mut farewell = Farewell::default();
            let (first, theirs) = channel::pair().unwrap();
            let say = async |line: &std::os::fd::OwnedFd| {
                use std::os::fd::AsFd as _;
                supervisor
                    .send_bytes(b"successor", &[line.as_fd()])
                    .await
                    .unwrap();
            };
            say(&theirs).await;
            drop((first, theirs));
            let (second, theirs) = channel::pair().unwrap();
            say(&theirs).await;
            drop(theirs);
            let second = Channel::new(second).unwrap();
            second.send_bytes(GIVE, &[]).await.unwrap();
            assert!(matches!(farewell.asked(&speaker).await, Asked::Give(_)));
            drop(supervisor);
            assert!(matches!(farewell.asked(&speaker).await, Asked::Resign));
        });
    }
}
