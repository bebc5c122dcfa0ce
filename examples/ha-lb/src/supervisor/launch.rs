//! How the daemon presents itself to what started it: under which name, in the foreground or not, to whom it says
//! that it serves, which pid files it leaves, which older processes it relieves.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::sys::signal::{SigHandler, signal};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::{
    background::{self, Background},
    child::Role,
    pidfile::PidFile,
    service_manager::ServiceManager,
    sink::{self, Sink},
};
use crate::ipc::message::Sources;

/// The program whose name and manners the daemon has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// `ha-lb run`.
    #[default]
    HaLb,
    /// `haproxy`.
    Haproxy,
    /// `keepalived`.
    Keepalived,
}

impl Program {
    /// The name by which `pidof` and `killall` find a child.
    pub fn child_name(self, role: Role, sources: &Sources) -> &'static str {
        match (self, role) {
            (Self::Haproxy, _) => "haproxy",
            (Self::Keepalived, _) | (Self::HaLb, Role::Speaker) => "keepalived",
            // What balances keepalived's `virtual_server` is no haproxy.
            (Self::HaLb, Role::Balancer) if sources.haproxy.is_empty() => "keepalived",
            (Self::HaLb, Role::Balancer) => "haproxy",
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Launch {
    /// Whose manners.
    pub program: Program,
    /// Leave the terminal once everything serves.
    pub background: bool,
    /// Tell the service manager (sd_notify(3)).
    pub notify: bool,
    /// Takes this process's number.
    pub pid_file: Option<PathBuf>,
    /// Takes the speaker's.
    pub speaker_pid_file: Option<PathBuf>,
    /// Takes the balancer's.
    pub balancer_pid_file: Option<PathBuf>,
    /// Where log lines go other than standard error.
    pub log: Option<sink::Targets>,
    /// Processes that end when this one serves (haproxy's `-sf` and `-st`).
    pub relieved: Vec<i32>,
    /// `-st`: they do not finish their connections.
    pub relieve_at_once: bool,
    /// Sockets of haproxy's master command line (`-S`).
    #[serde(default)]
    pub master: Vec<String>,
    /// keepalived's `umask` or `--umask`.
    #[serde(default)]
    pub umask: Option<u32>,
    /// The death of a child ends the daemon (keepalived's `--dont-respawn`).
    #[serde(default)]
    pub ends_with_a_child: bool,
    /// Configuration and state are logged once everything serves, and after each reload (keepalived's `--dump-conf`).
    #[serde(default)]
    pub logs_configuration: bool,
    /// SIGTERM and SIGINT are what the process dies of, as a plain haproxy does.
    pub dies_of_signals: bool,
}

/// The way the daemon was launched, while it runs.
#[derive(Debug)]
pub struct Launched {
    /// Whose manners.
    pub program: Program,
    /// What the command line asked for.
    launch: Launch,
    manager: ServiceManager,
    // Before the line to the process that was called: that one ends when everything is said.
    sink: Option<Sink>,
    background: Option<Background>,
    relieved: Vec<i32>,
    relieve_with: Signal,
    serves: bool,
    _written: Vec<PidFile>,
    child_written: Vec<(Role, PidFile)>,
}

/// Goes into the background if asked (then the calling process never returns) and writes the pid file. Must be
/// called while this process has one thread. The error is a sentence.
pub fn launch(launch: &Launch) -> Result<Launched, String> {
    let background = launch.background.then(background::leave).transpose();
    let background = background.map_err(|e| format!("cannot go into the background: {e}"))?;
    let sink = launch.log.as_ref().map(sink::redirect).transpose();
    let sink = sink.map_err(|e| format!("cannot redirect the log: {e}"))?;
    let written = launch
        .pid_file
        .iter()
        .map(|path| PidFile::write(path).map_err(|e| format!("pid file {}: {e}", path.display())))
        .collect::<Result<_, _>>()?;
    Ok(Launched {
        background,
        sink,
        relieved: launch.relieved.clone(),
        _written: written,
        ..Launched::plain(launch)
    })
}

impl Launched {
    fn plain(launch: &Launch) -> Self {
        Self {
            program: launch.program,
            manager: if launch.notify {
                ServiceManager::from_environment()
            } else {
                ServiceManager::default()
            },
            background: None,
            sink: None,
            relieved: Vec::new(),
            relieve_with: if launch.relieve_at_once {
                Signal::TERM
            } else {
                Signal::USR1
            },
            serves: false,
            launch: launch.clone(),
            _written: Vec::new(),
            child_written: Vec::new(),
        }
    }

    /// The daemon goes on in another program under the same process number; `sink` is the pipe of the log and standard
    /// error as it was.
    pub fn resumed(
        launch: &Launch,
        sink: Option<(OwnedFd, Option<OwnedFd>)>,
    ) -> Result<Self, String> {
        let resume = |(targets, (reader, console)): (&sink::Targets, _)| {
            sink::resume(targets, reader, console)
        };
        let sink = launch.log.as_ref().zip(sink).map(resume).transpose();
        Ok(Self {
            sink: sink.map_err(|e| format!("cannot go on with the log: {e}"))?,
            _written: launch
                .pid_file
                .iter()
                .map(|path| PidFile::inherited(path))
                .collect(),
            ..Self::plain(launch)
        })
    }

    /// What another program has to know to go on like this one.
    pub fn left(&self) -> Launch {
        Launch {
            background: false,
            relieved: Vec::new(),
            ..self.launch.clone()
        }
    }

    /// The descriptors of the log's pipe and of standard error as it was.
    pub fn sink(&self) -> Option<(RawFd, Option<RawFd>)> {
        self.sink.as_ref().map(Sink::left)
    }
}

impl Launched {
    /// Rights of keepalived's files of state: the owner's only, unless a umask was given.
    pub fn dump_mode(&self) -> u32 {
        self.launch.umask.map_or(0o600, |mask| 0o666 & !mask)
    }

    /// Whether configuration and state are to be logged when they are new.
    pub fn logs_configuration(&self) -> bool {
        self.launch.logs_configuration
    }

    /// A child serves under this number; `all` once every child does. Whether this is the first time that all do.
    pub fn child_serves(&mut self, role: Role, pid: u32, all: bool) -> bool {
        let wanted = match role {
            Role::Speaker => &self.launch.speaker_pid_file,
            Role::Balancer => &self.launch.balancer_pid_file,
        };
        if let Some(path) = wanted {
            self.child_written.retain(|(of, _)| *of != role);
            match PidFile::write_number(path, pid) {
                Ok(file) => self.child_written.push((role, file)),
                Err(error) => tracing::warn!("pid file {}: {error}", path.display()),
            }
        }
        let first = all && !self.serves;
        if first {
            self.serves = true;
            self.all_serve();
        }
        first
    }

    fn all_serve(&mut self) {
        self.manager
            .tell(&format!("READY=1\nMAINPID={}", std::process::id()));
        for pid in self.relieved.drain(..).filter_map(Pid::from_raw) {
            // One that has ended meanwhile needs no signal.
            let _ = kill_process(pid, self.relieve_with);
        }
        if let Some(background) = self.background.take() {
            if let Some(sink) = &self.sink {
                sink.leave_console();
            }
            background.serves();
        }
    }

    /// A new configuration is being read.
    pub fn reloads(&self) {
        self.manager.reloads();
    }

    /// The configuration is in force, or the old one still is.
    pub fn reloaded(&self) {
        self.manager
            .tell(&format!("READY=1\nMAINPID={}", std::process::id()));
    }

    /// The end begins.
    pub fn stops(&self) {
        self.manager.tell("STOPPING=1");
    }

    /// Whether the death of a child ends the daemon.
    pub fn ends_with_a_child(&self) -> bool {
        self.launch.ends_with_a_child
    }

    /// Whether the process is to die of the signal that ended it.
    pub fn dies_of_signals(&self) -> bool {
        self.launch.dies_of_signals
    }
}

/// How the daemon ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// Its status.
    pub code: ExitCode,
    /// The signal it is to die of instead.
    pub signal: Option<Signal>,
}

impl End {
    /// The exit code, unless the process dies of the signal first.
    pub fn leave(self) -> ExitCode {
        if let Some(number) = self.signal {
            // What fails here leaves the exit code.
            let _ = die_of(number);
        }
        self.code
    }
}

#[expect(
    unsafe_code,
    reason = "the default action of a signal, which is the last thing this process does"
)]
fn die_of(number: Signal) -> io::Result<()> {
    let number = nix::sys::signal::Signal::try_from(number.as_raw())?;
    // SAFETY: the default action is no code of this program.
    unsafe { signal(number, SigHandler::SigDfl) }?;
    Ok(nix::sys::signal::raise(number)?)
}

/// Whether a living process called `name` has its number in `path`.
pub fn is_running(path: &Path, name: &str) -> bool {
    std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok())
        .is_some_and(|comm| comm.trim() == name)
}
