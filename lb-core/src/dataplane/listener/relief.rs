//! Whoever is hashed to a worker that stands still does not wait for it: others accept in its place.
//!
//! The kernel spreads connections over one socket for each worker. Some other workers have descriptors of that socket
//! too, and look ten times a second whether its worker has been in one turn of its loop for [`PATIENCE`]: while it has,
//! they accept. Nothing is asked of the kernel as long as all workers turn. (Accepting anywhere and handing over costs a
//! wake-up for every connection, and a program in the kernel that chooses the socket spends as much as its hash and
//! cannot see who stands still: measured in examples/versus/README.md. Loops that share a socket exclusively lose a
//! connection that the kernel has told one of them of when that one leaves it.)

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd as _, OwnedFd},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::{Incoming, Listener, begin, opened};
use crate::dataplane::{
    clock,
    rt::{self, Pulse},
    worker::{Worker, WorkerHandle},
};

/// Workers that may accept in the place of one.
const HELPERS: usize = 2;
/// A worker that is longer in one turn of its loop stands still.
const PATIENCE: Duration = Duration::from_millis(50);
/// Time between two looks.
const LOOKS: Duration = Duration::from_millis(100);
/// The same where there is nobody to help.
const IDLE: Duration = Duration::from_secs(1);

/// A socket of another worker.
#[derive(Debug)]
pub(in crate::dataplane) struct Relief {
    /// The place of its listener.
    listener: usize,
    fd: OwnedFd,
    /// Shows whether its worker turns.
    of: Arc<Pulse>,
}

/// For each of `workers` what it may do for others, whose sockets are given in the same order.
pub(in crate::dataplane) fn relieve(
    workers: &[WorkerHandle],
    sockets: &[Vec<(usize, OwnedFd)>],
) -> Vec<Vec<Relief>> {
    let count = sockets.len();
    let mut reliefs: Vec<Vec<Relief>> = sockets.iter().map(|_| Vec::new()).collect();
    for ((owner, own), worker) in sockets.iter().enumerate().zip(workers) {
        for step in 1..=HELPERS.min(count.saturating_sub(1)) {
            let Some(list) = reliefs.get_mut((owner + step) % count) else {
                continue;
            };
            for (listener, fd) in own {
                // Without a descriptor to spare there is no help.
                if let Ok(fd) = fd.try_clone() {
                    list.push(Relief {
                        listener: *listener,
                        fd,
                        of: worker.pulse(),
                    });
                }
            }
        }
    }
    reliefs
}

/// A socket with its listener.
type Known = (Rc<Listener>, Relief);

/// The sockets that a worker looks after.
#[derive(Default)]
pub(in crate::dataplane) struct Reliefs(RefCell<Rc<[Known]>>);

impl Reliefs {
    /// These from now on, instead of those before.
    pub(in crate::dataplane) fn adopt(&self, reliefs: Vec<Relief>, listeners: &[Rc<Listener>]) {
        let known = |relief: Relief| Some((Rc::clone(listeners.get(relief.listener)?), relief));
        self.0
            .replace(reliefs.into_iter().filter_map(known).collect());
    }

    /// No more of it.
    pub(in crate::dataplane) fn clear(&self) {
        self.0.take();
    }
}

/// Accepts in the place of workers that stand still, for ever.
pub(in crate::dataplane) async fn stand_in(worker: Rc<Worker>) {
    let mut starved = false;
    loop {
        let reliefs = Rc::clone(&worker.reliefs.0.borrow());
        for (listener, relief) in &*reliefs {
            while relief.of.stands_still(clock::now(), PATIENCE) && worker.accepts() {
                let Some(incoming) = accept(listener, relief) else {
                    break;
                };
                begin(&worker, incoming, &mut starved).await;
            }
        }
        let nobody = reliefs.is_empty();
        drop(reliefs);
        rt::sleep(if nobody { IDLE } else { LOOKS }).await;
    }
}

/// A connection that waits, if there is one and a place for it.
fn accept(listener: &Rc<Listener>, relief: &Relief) -> Option<Incoming> {
    let passes = listener.gates.enter()?;
    let accepted = rt::accept(relief.fd.as_fd()).map_err(io::Error::from);
    if matches!(&accepted, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
        return None;
    }
    Some(Incoming {
        accepted: accepted.and_then(opened),
        listener: Rc::clone(listener),
        passes,
    })
}
