//! Whoever is hashed to a worker that stands still does not wait for it: others accept in its place.
//!
//! The kernel spreads connections over one socket for each worker. Each socket is known to the loops of some other
//! workers too, after its own; one of those is told of a connection only while the loop of the socket's own worker
//! does not wait for events. Mostly that one comes within the moment, and costs nothing more; if it has been in one turn
//! for [`PATIENCE`], another accepts. (Accepting anywhere and handing over costs a wake-up for every connection; a
//! program in the kernel that chooses the socket cannot see who stands still.)

use std::{
    os::fd::OwnedFd,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Leaving, Post, begin};
use crate::dataplane::{
    Balancer, clock,
    rt::{self, Pulse},
    worker::{Command, Worker, WorkerHandle},
};

/// Workers that may accept in the place of one.
const HELPERS: usize = 2;
/// A worker that is longer in one turn of its loop stands still.
const PATIENCE: Duration = Duration::from_millis(5);
/// Longest pause between two looks at a queue that does not become empty.
const LONGEST: Duration = Duration::from_millis(80);

/// A socket of another worker.
#[derive(Debug)]
pub(in crate::dataplane) struct Relief {
    /// The place of its listener.
    pub(in crate::dataplane) listener: usize,
    pub(in crate::dataplane) fd: OwnedFd,
    /// Shows whether its worker turns.
    pub(in crate::dataplane) of: Arc<Pulse>,
}

/// Tells workers of the sockets of others once the last one has its own: the kernel asks in that order. Dropping the
/// last share of it is the sign.
#[derive(Debug)]
pub(in crate::dataplane) struct WhenSettled {
    balancer: Arc<Balancer>,
    reliefs: Mutex<Vec<(WorkerHandle, Vec<Relief>)>>,
}

/// For the sockets of each of `workers`.
pub(in crate::dataplane) fn relieve(
    balancer: &Arc<Balancer>,
    workers: &[WorkerHandle],
    sockets: &[Vec<(usize, OwnedFd)>],
) -> WhenSettled {
    let count = sockets.len();
    let mut reliefs: Vec<Vec<Relief>> = sockets.iter().map(|_| Vec::new()).collect();
    for (owner, own) in sockets.iter().enumerate() {
        for step in 1..=HELPERS.min(count.saturating_sub(1)) {
            let helper = (owner + step) % count;
            let (Some(list), Some(worker)) = (reliefs.get_mut(helper), workers.get(owner)) else {
                continue;
            };
            for (listener, fd) in own {
                // Without a descriptor to spare there is no help.
                if let Ok(fd) = fd.try_clone() {
                    let of = worker.pulse();
                    list.push(Relief {
                        listener: *listener,
                        fd,
                        of,
                    });
                }
            }
        }
    }
    WhenSettled {
        balancer: Arc::clone(balancer),
        reliefs: Mutex::new(workers.iter().cloned().zip(reliefs).collect()),
    }
}

impl Drop for WhenSettled {
    fn drop(&mut self) {
        let list = self
            .reliefs
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for (worker, reliefs) in list.drain(..) {
            worker.send(Command::Relieve(Arc::clone(&self.balancer), reliefs));
        }
    }
}

/// Accepts while the socket's own worker stands still, until the post is left.
pub(in crate::dataplane) async fn stand_in(worker: Rc<Worker>, post: Rc<Post>, of: Arc<Pulse>) {
    let mut starved = false;
    while post.told().await {
        let mut pause = PATIENCE;
        while post.leaving.get() == Leaving::No && post.socket.has_waiting() {
            rt::sleep(pause).await;
            pause = LONGEST.min(pause * 2);
            while of.stands_still(clock::now(), PATIENCE) {
                let Some(incoming) = post.accept_now() else {
                    break;
                };
                begin(&worker, incoming, &mut starved).await;
                pause = PATIENCE;
            }
        }
    }
}
