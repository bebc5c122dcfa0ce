//! `splice(2)`: bytes from one socket to another through a pipe, without a copy through this process.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{io::Interest, net::TcpStream};

/// Capacity asked of a pipe: fewer, longer transfers.
const CAPACITY: usize = 512 * 1024;
/// Empty pipes that a thread keeps.
const KEPT: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
}

/// A pipe and what is in it.
#[derive(Debug)]
pub(super) struct Pipe {
    ends: Option<Ends>,
    inside: usize,
}

impl Pipe {
    /// A pipe of this thread's pool, or a new one.
    pub(super) fn new() -> io::Result<Self> {
        let pooled = POOL.with_borrow_mut(Vec::pop);
        let ends = match pooled {
            Some(ends) => ends,
            None => {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                // Refused beyond the user's share of pipe pages: the default of 64 kB serves too.
                let capacity = fcntl_setpipe_size(&writer, CAPACITY).unwrap_or(64 * 1024);
                Ends {
                    reader,
                    writer,
                    capacity,
                }
            }
        };
        Ok(Self {
            ends: Some(ends),
            inside: 0,
        })
    }

    /// Bytes inside.
    pub(super) fn len(&self) -> usize {
        self.inside
    }

    /// Moves up to `limit` bytes in; `Ok(0)` is the end of the stream.
    pub(super) fn fill(&mut self, from: &TcpStream, limit: usize) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let room = ends.capacity.saturating_sub(self.inside).min(limit);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let moved = from.try_io(Interest::READABLE, || {
            Ok(splice(
                from.as_fd(),
                None,
                ends.writer.as_fd(),
                None,
                room,
                SpliceFlags::MOVE | SpliceFlags::NONBLOCK,
            )?)
        })?;
        self.inside += moved;
        Ok(moved)
    }

    /// Moves bytes out; `more` tells the kernel that others follow at once.
    pub(super) fn drain(&mut self, to: &TcpStream, more: bool) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        if more {
            flags |= SpliceFlags::MORE;
        }
        let moved = to.try_io(Interest::WRITABLE, || {
            Ok(splice(
                ends.reader.as_fd(),
                None,
                to.as_fd(),
                None,
                self.inside,
                flags,
            )?)
        })?;
        self.inside -= moved;
        Ok(moved)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.take()
            && self.inside == 0
        {
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < KEPT {
                    pool.push(ends);
                }
            });
        }
    }
}
