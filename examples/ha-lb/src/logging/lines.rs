//! A writer that never waits for its reader: a pipe that nobody empties (a stopped pager, a container's log driver)
//! costs lines, not adverts. How many is said as soon as there is room again.
//!
//! No `O_NONBLOCK`, which would reach everybody else who has the same file open. What waits all the same, as a disk does,
//! is written beside the process (`aside`) where that must not wait.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that is writable at all takes as much at once (pipe(7), `PIPE_BUF`).
const PART: usize = 4096;

/// Writes whole lines, or leaves them out.
#[derive(Debug)]
pub(super) struct Lines<'a, W> {
    pub(super) out: W,
    /// Lines left out that were not told of yet.
    pub(super) lost: &'a AtomicU64,
}

impl<W: Write + AsFd> Lines<'_, W> {
    fn has_room(&self) -> bool {
        let mut out = [PollFd::new(&self.out, PollFlags::OUT)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut out, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }
}

impl<W: Write + AsFd> Write for Lines<'_, W> {
    /// Always takes the whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lost.load(Ordering::Relaxed) > 0 && self.has_room() {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            writeln!(
                self.out,
                "({lost} log lines were lost: nobody read them in time)"
            )?;
        }
        for part in line.chunks(PART) {
            if !self.has_room() {
                self.lost.fetch_add(1, Ordering::Relaxed);
                break;
            }
            self.out.write_all(part)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_full_pipe_costs_lines_and_says_how_many() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lost = AtomicU64::new(0);
        let mut lines = Lines {
            out: writer,
            lost: &lost,
        };
        let line = [b'x'; 1000];
        let mut written = 0_usize;
        while lost.load(Ordering::Relaxed) < 3 {
            lines.write_all(&line).unwrap();
            written += 1;
            assert!(written < 10_000, "the pipe never fills");
        }
        let mut held = vec![0; (written - 3) * line.len()];
        reader.read_exact(&mut held).unwrap();
        lines.write_all(b"again\n").unwrap();
        drop(lines);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(
            rest,
            "(3 log lines were lost: nobody read them in time)\nagain\n"
        );
    }
}
