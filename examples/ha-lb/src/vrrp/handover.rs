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

mod document;

use std::{io::ErrorKind, time::Duration};

use tokio::time::timeout;

use crate::{bfd::endpoint::Saved, ipc::channel::Channel};
use document::VERSION;
pub(super) use document::{Document, Left};

const GIVE: &[u8] = b"give";
const TAKEN: &[u8] = b"taken";
const GONE: &[u8] = b"gone";
/// How long the predecessor stands still at most: less than the shortest lease.
const STANDSTILL: Duration = Duration::from_millis(500);
/// How long the successor waits for the document: a predecessor on a busy machine may be slow, but not stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// The successor's side: takes the routers over.
pub(super) async fn take(predecessor: &Channel) -> Result<Document, String> {
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
        Some((word, _)) if word == GONE => Ok(document),
        _ => Err("it did not let go".to_owned()),
    }
}

/// The predecessor's side, once a successor has asked: whether that has taken the routers.
async fn give(successor: &Channel, routers: Vec<Left>, sessions: Vec<Saved>) -> bool {
    let document = Document {
        version: VERSION,
        routers,
        sessions,
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
pub(super) async fn leave(successor: &Channel, routers: Vec<Left>, sessions: Vec<Saved>) {
    if give(successor, routers, sessions).await {
        // No destructor: what stands belongs to the successor. The fence's socket ends with the process.
        std::process::exit(0);
    }
    tracing::error!("the successor did not take the virtual routers over: going on");
}

#[cfg(test)]
mod tests;
