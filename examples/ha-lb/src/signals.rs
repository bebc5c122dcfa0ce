//! Signals of the two child processes: all of them are the supervisor's to answer.
//!
//! Ctrl-C reaches every process of the terminal's foreground group, and systemd's `KillMode=control-group` sends
//! SIGTERM to every process of the unit. A speaker that died of that would leave its addresses without a word;
//! the supervisor tells it to resign instead. Never ends the process.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// From now on SIGTERM, SIGINT and SIGHUP do nothing here. Must be called inside a tokio runtime with I/O enabled.
pub fn leave_to_the_supervisor() -> io::Result<()> {
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        // tokio's handler stays for the life of the process, whether or not anybody listens.
        drop(signal(kind)?);
    }
    Ok(())
}
