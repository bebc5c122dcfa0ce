//! Signals of the two child processes: all of them are the supervisor's to answer.
//!
//! Ctrl-C reaches every process of the terminal's foreground group, and systemd's `KillMode=control-group` sends
//! SIGTERM to every process of the unit. A speaker that died of that would leave its addresses without a word;
//! the supervisor tells it to resign instead. Never ends the process.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt as _, path::Path};

use nix::sys::signal::SigSet;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::supervisor::daemon::{JSON, STATS_CLEAR};

/// What programs send that look for haproxy or keepalived by name, for which these processes are found.
const SENT: [Signal; 8] = [
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::QUIT,
    Signal::TTIN,
    Signal::TTOU,
];

/// From now on such signals do nothing here. Must be called inside a tokio runtime with I/O enabled.
pub fn leave_to_the_supervisor() -> io::Result<()> {
    for number in SENT
        .map(Signal::as_raw)
        .into_iter()
        .chain([JSON, STATS_CLEAR])
    {
        // tokio's handler stays for the life of the process, whether or not anybody listens.
        drop(signal(SignalKind::from_raw(number))?);
    }
    Ok(())
}

/// The supervisor's own, which must not be lost while one program follows the other.
fn own() -> SigSet {
    use nix::sys::signal::Signal::{
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
    };
    let all = [
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
    ];
    all.into_iter().collect()
}

/// The calling thread hears no signal. Every thread but the supervisor's main one calls it first, so that a signal that
/// the main thread blocks waits in the kernel, for the program that follows.
pub fn block() -> io::Result<()> {
    Ok(own().thread_block()?)
}

/// To be called once signals are listened to.
pub fn unblock() -> io::Result<()> {
    Ok(own().thread_unblock()?)
}

/// `killall` and `pgrep` look at the name of the program file, which is the same for every role: this sets it to the
/// name that the process was called by, which `pidof` looks at.
pub fn take_the_name_called_by() {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    if let Ok(name) = CString::new(name.as_bytes()) {
        // At worst the process keeps the file's name.
        let _ = rustix::thread::set_name(&name);
    }
}
