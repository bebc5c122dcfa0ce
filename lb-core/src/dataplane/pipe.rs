//! `splice(2)`: bytes from one socket to another through a pipe, without a copy through this process.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::rt::{Direction, Socket};

/// Capacity asked of a pipe: fewer, longer transfers.
const CAPACITY: usize = 512 * 1024;
/// Empty pipes that a thread keeps.
const KEPT: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    /// How many pipes there may be in the process, as far as the configuration of this worker goes.
    static MOST: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Pipes of this process: each takes two descriptors that connections need more.
static PIPES: AtomicUsize = AtomicUsize::new(0);
/// Those of them that wait for a transfer.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Bytes that have left through one.
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The pipes of this process, through which bulk goes without a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pipes {
    /// Those that a transfer has (`PipesUsed`).
    pub used: usize,
    /// Those that wait for one (`PipesFree`).
    pub free: usize,
    /// Bytes that have left through one (`TotalSplicdedBytesOut`).
    pub bytes: u64,
}

impl Pipes {
    /// As they are now.
    pub fn now() -> Self {
        let free = WAITING.load(Ordering::Relaxed);
        Self {
            used: PIPES.load(Ordering::Relaxed).saturating_sub(free),
            free,
            bytes: BYTES.load(Ordering::Relaxed),
        }
    }
}

/// How many pipes there may be in the process at once as far as this thread is concerned, from now on; beyond that
/// bytes are copied. Transfers that have a pipe keep it.
pub(super) fn set_limit(most: Option<u32>) {
    MOST.set(most.map_or(usize::MAX, |most| most as usize));
    if are_too_many() {
        POOL.take();
    }
}

fn are_too_many() -> bool {
    PIPES.load(Ordering::Relaxed) > MOST.get()
}

#[derive(Debug)]
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
    /// Whether no transfer has it.
    waits: bool,
}

impl Ends {
    fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused beyond the user's share of pipe pages: the default of 64 kB serves too.
        let capacity = fcntl_setpipe_size(&writer, CAPACITY).unwrap_or(64 * 1024);
        PIPES.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            reader,
            writer,
            capacity,
            waits: false,
        })
    }
}

impl Ends {
    fn set_waiting(&mut self, waits: bool) {
        match (self.waits, waits) {
            (false, true) => WAITING.fetch_add(1, Ordering::Relaxed),
            (true, false) => WAITING.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.waits = waits;
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.set_waiting(false);
        PIPES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pipe and what is in it.
#[derive(Debug)]
pub(super) struct Pipe {
    ends: Option<Ends>,
    inside: usize,
}

impl Pipe {
    /// A pipe of this thread's pool, or a new one; `None` where there are enough, or no descriptor is left.
    pub(super) fn new() -> Option<Self> {
        let pooled = POOL.with_borrow_mut(Vec::pop);
        let room = || PIPES.load(Ordering::Relaxed) < MOST.get();
        let mut ends = match pooled {
            Some(ends) => ends,
            None => room().then(Ends::new)?.ok()?,
        };
        ends.set_waiting(false);
        Some(Self {
            ends: Some(ends),
            inside: 0,
        })
    }

    /// Bytes inside.
    pub(super) fn len(&self) -> usize {
        self.inside
    }

    /// Moves up to `limit` bytes in; `Ok(0)` is the end of the stream.
    pub(super) fn fill(&mut self, from: &Socket, limit: usize) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let room = ends.capacity.saturating_sub(self.inside).min(limit);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = from.attempt(Direction::Read, |from| {
            splice(from, None, ends.writer.as_fd(), None, room, flags)
        })?;
        self.inside += moved;
        Ok(moved)
    }

    /// Moves bytes out; `more` tells the kernel that others follow at once.
    pub(super) fn drain(&mut self, to: &Socket, more: bool) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        if more {
            flags |= SpliceFlags::MORE;
        }
        let moved = to.attempt(Direction::Write, |to| {
            splice(ends.reader.as_fd(), None, to, None, self.inside, flags)
        })?;
        self.inside -= moved;
        BYTES.fetch_add(moved as u64, Ordering::Relaxed);
        Ok(moved)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(mut ends) = self.ends.take()
            && self.inside == 0
            && !are_too_many()
        {
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < KEPT {
                    ends.set_waiting(true);
                    pool.push(ends);
                }
            });
        }
    }
}
