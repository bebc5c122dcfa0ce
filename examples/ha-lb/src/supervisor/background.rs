//! Leaving the terminal: the process that was called waits until its successor serves, and tells how that went by
//! its exit code. So a daemon that cannot start is no success, and its pid file exists when the call returns.

use std::{
    fs::File,
    io::{self, PipeWriter, Read as _, Write as _},
    process::exit,
};

use nix::unistd::{ForkResult, fork, setsid};

/// The successor's line to the process that was called. Dropping it unused means failure.
#[derive(Debug)]
pub struct Background(PipeWriter);

/// Returns in a new process of a session of its own. Must be called while there is one thread.
pub fn leave() -> io::Result<Background> {
    let (mut reader, writer) = io::pipe()?;
    if split()? {
        drop(writer);
        let mut word = [0];
        exit(match reader.read(&mut word) {
            Ok(1) => 0,
            _ => 1,
        });
    }
    setsid()?;
    // Children inherit what stands here; standard error is the log's.
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    Ok(Background(writer))
}

impl Background {
    /// Lets the process that was called end.
    pub fn serves(mut self) {
        let _ = self.0.write_all(b".");
    }
}

/// Whether this is still the process that was called.
#[expect(unsafe_code, reason = "fork of a process with one thread")]
fn split() -> io::Result<bool> {
    // SAFETY: there is one thread, as `leave` demands, so no lock is held by another.
    Ok(matches!(unsafe { fork() }?, ForkResult::Parent { .. }))
}
