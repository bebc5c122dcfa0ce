//! What one program leaves to the next under the same process number: JSON, so that either may be older. Fields are
//! only ever added, with a default for those who do not write them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    path::PathBuf,
    time::Duration,
};

use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use super::{inherited, read_document};
use crate::{
    admin::status,
    config::{diagnostic::Diagnostics, load},
    ipc::{
        message::{Configuration, ServerState},
        watched::{Finding, Kind, Watched},
    },
    mail::letter::Letter,
    notify::fifo::{Fifo, FifoLeft},
    supervisor::{
        control::Control,
        daemon::History,
        launch::{Launch, Launched},
        listeners::{self, OpenLeft},
        master_cli,
        start::{Prepared, Traces},
    },
};

const VERSION: u32 = 1;

/// Everything that is left.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::supervisor) struct Document {
    pub(in crate::supervisor) version: u32,
    pub(in crate::supervisor) configuration: Configuration,
    pub(in crate::supervisor) launch: Launch,
    pub(in crate::supervisor) control: (PathBuf, RawFd),
    pub(in crate::supervisor) sockets: Vec<OpenLeft>,
    /// Sockets of the master command line, in the order of the arguments.
    #[serde(default)]
    pub(in crate::supervisor) master: Vec<RawFd>,
    pub(in crate::supervisor) workers: usize,
    pub(in crate::supervisor) fifos: Vec<FifoLeft>,
    /// `pidfile`, to be removed at the end.
    pub(in crate::supervisor) pidfile: Option<PathBuf>,
    /// The pipe of the log and standard error as it was.
    pub(in crate::supervisor) sink: Option<(RawFd, Option<RawFd>)>,
    pub(in crate::supervisor) servers: Vec<ServerState>,
    pub(in crate::supervisor) active: Vec<String>,
    pub(in crate::supervisor) scripts: Vec<(String, bool)>,
    /// What is known of everything that is tracked, `scripts` among it.
    #[serde(default)]
    pub(in crate::supervisor) findings: Vec<(Watched, Finding)>,
    /// Alerts that wait for the mail server.
    #[serde(default)]
    pub(in crate::supervisor) letters: Vec<Letter>,
    /// Changes of state by instance.
    #[serde(default)]
    pub(in crate::supervisor) history: BTreeMap<String, History>,
    /// Number and line of each child.
    pub(in crate::supervisor) speaker: Option<(u32, RawFd)>,
    pub(in crate::supervisor) balancer: Option<(u32, RawFd)>,
    /// All children, to be reaped.
    pub(in crate::supervisor) children: Vec<u32>,
    pub(in crate::supervisor) uptime: Duration,
    pub(in crate::supervisor) reload: Option<status::Reload>,
    /// A reload was asked for meanwhile.
    pub(in crate::supervisor) reload_again: bool,
    pub(in crate::supervisor) upgrade: status::Upgrade,
}

/// A child of the program before, which waits for its successor.
#[derive(Debug)]
pub(in crate::supervisor) struct Predecessor {
    pub(in crate::supervisor) pid: u32,
    line: OwnedFd,
}

/// What a daemon has beyond that which a fresh one has.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Inherited {
    pub(in crate::supervisor) speaker: Option<Predecessor>,
    pub(in crate::supervisor) balancer: Option<Predecessor>,
    pub(in crate::supervisor) children: Vec<u32>,
    pub(in crate::supervisor) servers: Vec<ServerState>,
    pub(in crate::supervisor) active: Vec<String>,
    /// What was tracked, and found.
    pub(in crate::supervisor) findings: Vec<(Watched, Finding)>,
    pub(in crate::supervisor) letters: Vec<Letter>,
    pub(in crate::supervisor) history: BTreeMap<String, History>,
    pub(in crate::supervisor) uptime: Duration,
    pub(in crate::supervisor) reload: Option<status::Reload>,
    pub(in crate::supervisor) reload_again: bool,
    pub(in crate::supervisor) upgrade: Option<status::Upgrade>,
}

impl Document {
    /// The version that this program writes.
    pub(in crate::supervisor) const VERSION: u32 = VERSION;

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let unreadable = |e: serde_json::Error| format!("it cannot read the daemon's state: {e}");
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.version != VERSION {
            return Err(format!(
                "the daemon's state has version {}, this program reads version {VERSION}",
                head.version
            ));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// In a memory file, at its beginning.
    pub(in crate::supervisor) fn write(&self) -> std::io::Result<OwnedFd> {
        let bytes = serde_json::to_vec(self)?;
        let memory = rustix::fs::memfd_create("ha-lb upgrade", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(memory);
        file.write_all(&bytes)?;
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
        Ok(file.into())
    }

    /// The descriptors that it names.
    pub(in crate::supervisor) fn descriptors(&self) -> Vec<RawFd> {
        let children = [self.speaker, self.balancer].into_iter().flatten();
        let sink = self
            .sink
            .iter()
            .flat_map(|(reader, console)| std::iter::once(*reader).chain(*console));
        let mut all: Vec<RawFd> = std::iter::once(self.control.1)
            .chain(self.sockets.iter().map(|socket| socket.fd))
            .chain(self.fifos.iter().map(|fifo| fifo.fd))
            .chain(self.master.iter().copied())
            .chain(children.map(|(_, line)| line))
            .chain(sink)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The daemon that the document at a descriptor describes. Must be called first of all, once.
pub(in crate::supervisor) fn read(
    memory: RawFd,
) -> Result<(Prepared, Launched, Inherited), String> {
    let document = read_document(inherited(memory).map_err(|e| e.to_string())?)?;
    let take = |fd: RawFd| inherited(fd).map_err(|e| format!("descriptor {fd}: {e}"));
    let child = |of: Option<(u32, RawFd)>| {
        of.map(|(pid, line)| {
            Ok::<_, String>(Predecessor {
                pid,
                line: take(line)?,
            })
        })
        .transpose()
    };
    let (speaker, balancer) = (child(document.speaker)?, child(document.balancer)?);
    let sink = document.sink.map(|(reader, console)| {
        let console = console.map(take).transpose()?;
        Ok::<_, String>((take(reader)?, console))
    });
    let launched = Launched::resumed(&document.launch, sink.transpose()?)?;
    let mut diagnostics = Diagnostics::default();
    let configuration = document.configuration;
    let loaded = load::load(
        &configuration.sources,
        &configuration.bundle,
        &mut diagnostics,
    );
    let loaded = loaded.ok_or_else(|| diagnostics.to_string())?;
    let wanted = loaded.fifos();
    let fifos = document.fifos.into_iter();
    let fifos = fifos.map(|left| Ok::<_, String>(Fifo::inherited(take(left.fd)?, left, &wanted)));
    let paths = loaded.balancer.as_ref().map(listeners::unix_paths);
    let listener = take(document.control.1)?.into();
    let control = Control::inherited(document.control.0, listener);
    let (control, listener) = control.map_err(|e| e.to_string())?;
    let master = document.master.into_iter().map(take);
    let master = master.collect::<Result<_, _>>()?;
    let master = master_cli::inherited(&document.launch.master, master)?;
    let prepared = Prepared {
        sockets: listeners::inherited(document.sockets, take)?,
        workers: document.workers,
        listener,
        fifos: fifos.collect::<Result<_, _>>()?,
        traces: Traces::inherited(
            &paths.unwrap_or_default(),
            &master,
            control,
            document.pidfile.as_ref(),
        ),
        master,
        loaded,
        configuration,
    };
    let inherited = Inherited {
        speaker,
        balancer,
        children: document.children,
        servers: document.servers,
        active: document.active,
        findings: findings(document.scripts, document.findings),
        letters: document.letters,
        history: document.history,
        uptime: document.uptime,
        reload: document.reload,
        reload_again: document.reload_again,
        upgrade: Some(document.upgrade),
    };
    Ok((prepared, launched, inherited))
}

impl Predecessor {
    /// What the document says of it.
    pub(in crate::supervisor) fn left(&self) -> (u32, RawFd) {
        (self.pid, self.line.as_raw_fd())
    }

    /// The line to it.
    pub(in crate::supervisor) fn line(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }
}

/// Everything that is known; an older program tells of scripts alone.
fn findings(
    scripts: Vec<(String, bool)>,
    findings: Vec<(Watched, Finding)>,
) -> Vec<(Watched, Finding)> {
    let scripts = scripts.into_iter().map(|(name, passed)| {
        let script = Watched::new(Kind::Script, name.as_str());
        (script, Finding::from(passed))
    });
    findings.into_iter().chain(scripts).collect()
}
