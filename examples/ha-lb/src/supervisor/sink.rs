//! Where standard error goes when it is not to be read by whoever started the daemon: syslog, a file, or both.
//!
//! Every process of the daemon writes its lines into one pipe, a thread of the supervisor passes them on. Nobody
//! waits for it: when it stalls and the pipe is full, `logging` leaves lines out.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead as _, BufReader, PipeReader, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::net::UnixDatagram,
    },
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::signals;

const DEV_LOG: &str = "/dev/log";
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Who hears of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// Standard error as it was.
    pub console: bool,
    /// syslog's facility number and the name before each line.
    pub syslog: Option<(u8, Cow<'static, str>)>,
    /// A file that grows.
    pub file: Option<PathBuf>,
}

/// Whether there is a syslog to write to.
pub fn syslog_listens() -> bool {
    connect().is_ok()
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(DEV_LOG)?;
    Ok(socket)
}

type Console = Arc<Mutex<Option<File>>>;

/// A redirected standard error. Dropping it passes on what was said last, and leaves it as it was before.
#[derive(Debug)]
pub struct Sink {
    console: Console,
    /// For a program that goes on in the place of this one.
    reader: PipeReader,
    ended: mpsc::Receiver<()>,
}

/// From now on standard error, of this process and of its children to come, goes to `targets`.
pub fn redirect(targets: &Targets) -> io::Result<Sink> {
    let (reader, writer) = io::pipe()?;
    let before = File::from(rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?);
    let sink = pass_on(targets, reader, targets.console.then_some(before))?;
    rustix::stdio::dup2_stderr(&writer)?;
    Ok(sink)
}

/// Goes on with a standard error that the program before this one had redirected.
pub fn resume(targets: &Targets, reader: OwnedFd, console: Option<OwnedFd>) -> io::Result<Sink> {
    pass_on(targets, reader.into(), console.map(File::from))
}

fn pass_on(targets: &Targets, reader: PipeReader, console: Option<File>) -> io::Result<Sink> {
    let console = Arc::new(Mutex::new(console));
    let lines = Lines {
        console: Arc::clone(&console),
        syslog: targets.syslog.clone().map(|(facility, name)| Syslog {
            facility,
            name,
            socket: None,
        }),
        file: targets
            .file
            .as_ref()
            .map(|path| File::options().create(true).append(true).open(path))
            .transpose()?,
    };
    let (told, ended) = mpsc::channel();
    let kept = reader.try_clone()?;
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            // At worst a signal comes here, and is heard all the same.
            let _ = signals::block();
            lines.pass_on(reader);
            let _ = told.send(());
        })?;
    Ok(Sink {
        console,
        reader: kept,
        ended,
    })
}

impl Sink {
    /// What a program that goes on in the place of this one needs.
    pub fn left(&self) -> (RawFd, Option<RawFd>) {
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        let console = console.as_ref().map(File::as_raw_fd);
        (self.reader.as_raw_fd(), console)
    }

    /// The terminal, or the pipe of whoever called, is let go.
    pub fn leave_console(&self) {
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        *console = None;
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The pipe ends with its last writer.
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        let before = console.as_ref().map(File::try_clone);
        drop(console);
        if let Ok(before) = before.unwrap_or_else(|| File::options().write(true).open("/dev/null"))
        {
            let _ = rustix::stdio::dup2_stderr(&before);
        }
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}

/// A longer line is passed on in pieces: a process that never ends one is not to fill this one's memory.
const LONGEST: u64 = 64 * 1024;

struct Lines {
    console: Console,
    syslog: Option<Syslog>,
    file: Option<File>,
}

impl Lines {
    fn pass_on(mut self, reader: PipeReader) {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while matches!((&mut reader).take(LONGEST).read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(mut console) = console.as_ref() {
                let _ = console.write_all(&line);
            }
            drop(console);
            if let Some(file) = &mut self.file {
                let _ = file.write_all(&line);
            }
            if let Some(syslog) = &mut self.syslog {
                syslog.send(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    }
}

struct Syslog {
    facility: u8,
    name: Cow<'static, str>,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// Tries a fresh socket once: syslog may have been restarted.
    fn send(&mut self, line: &str) {
        let (severity, text) = severity(line.trim_end());
        let priority = u32::from(self.facility) * 8 + severity;
        let time = chrono::Local::now().format("%b %e %H:%M:%S");
        let (name, pid) = (&self.name, std::process::id());
        let packet = format!("<{priority}>{time} {name}[{pid}]: {text}");
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = connect().ok();
            }
            match &self.socket {
                Some(socket) if socket.send(packet.as_bytes()).is_ok() => return,
                _ => self.socket = None,
            }
        }
    }
}

/// Severity and text of a log line: `2026-11-21T01:02:03.000000Z  INFO text`, or a JSON object with its `level`.
fn severity(line: &str) -> (u32, &str) {
    if line.starts_with('{') {
        let levels = [("ERROR", 3), ("WARN", 4), ("DEBUG", 7), ("TRACE", 7)];
        let has = |level: &str| line.contains(&format!("\"level\":\"{level}\""));
        let level = levels.into_iter().find(|(level, _)| has(level));
        return (level.map_or(6, |(_, severity)| severity), line);
    }
    let level = line
        .split_once(' ')
        .and_then(|(_time, rest)| rest.trim_start().split_once(' '));
    match level {
        Some(("ERROR", text)) => (3, text),
        Some(("WARN", text)) => (4, text),
        Some(("INFO", text)) => (6, text),
        Some(("DEBUG" | "TRACE", text)) => (7, text),
        _ => (6, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_s_level_becomes_its_severity() {
        assert_eq!(
            severity("2026-11-21T01:02:03.000000Z  WARN VI_1: late"),
            (4, "VI_1: late")
        );
        assert_eq!(severity("thread panicked"), (6, "thread panicked"));
        assert_eq!(severity("{\"level\":\"ERROR\"}").0, 3);
    }
}
