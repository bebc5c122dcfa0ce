//! Signals of the two child processes: all of them are the supervisor's to answer.
//!
//! Ctrl-C reaches every process of the terminal's foreground group, and systemd's `KillMode=control-group` sends
//! SIGTERM to every process of the unit. A speaker that died of that would leave its addresses without a word;
//! the supervisor tells it to resign instead. Never ends the process.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt as _, path::Path};

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
