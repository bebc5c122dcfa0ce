//! From the command line to a daemon that can start its children: files read, rights checked, sockets open.
//!
//! Everything that can be wrong is found here, before the first child runs; each refusal is a sentence that
//! tells what to do.

use std::{
    io,
    os::unix::{fs::MetadataExt as _, net::UnixListener},
    path::{Path, PathBuf},
};

use caps::Capability;

use super::{
    control::Control,
    launch::{Launch, Program},
    limits,
    listeners::{self, Open, OpenError},
    master_cli::{self, MasterSocket},
    pidfile::PidFile,
};
use crate::{
    config::{
        diagnostic::Diagnostics,
        files::Recorder,
        load::{self, Loaded, Reason},
        predefined::Predefined,
    },
    ipc::message::{Configuration, Sources},
    notify::fifo::Fifo,
    privileges::{self, AccountError, Identity},
};

/// What `ha-lb run` was told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The files.
    pub sources: Sources,
    /// The control socket.
    pub control: PathBuf,
    /// How the daemon presents itself.
    pub launch: Launch,
}

/// A configuration as it was read.
#[derive(Debug)]
pub struct Read {
    /// What it says; absent if there were errors.
    pub loaded: Option<Loaded>,
    /// What is to be said of it, in the order of its lines.
    pub diagnostics: Diagnostics,
    /// What the children parse again.
    pub configuration: Configuration,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The files have errors, which the diagnostics tell.
    #[error("the configuration has errors; nothing was started")]
    Configuration,
    /// There is nothing to do.
    #[error("the configuration names neither a virtual router nor a proxy; nothing to do")]
    Nothing,
    /// Capabilities are missing.
    #[error("{0}")]
    Rights(String),
    /// A listening socket cannot be made.
    #[error(transparent)]
    Listener(#[from] OpenError),
    /// Anything else, in a sentence.
    #[error("{0}")]
    Told(String),
}

/// Everything a daemon needs before its first child.
#[derive(Debug)]
pub struct Prepared {
    /// What the children parse again.
    pub configuration: Configuration,
    /// What it says.
    pub loaded: Loaded,
    /// The balancer's sockets.
    pub sockets: Vec<Open>,
    /// How many workers they were opened for.
    pub workers: usize,
    /// The control socket.
    pub listener: UnixListener,
    /// Sockets of haproxy's master command line.
    pub master: Vec<MasterSocket>,
    /// Fifos that hear of changes of state.
    pub fifos: Vec<Fifo>,
    /// Files to be removed at the end.
    pub traces: Traces,
}

/// Files that the daemon leaves in the system while it runs; dropping it removes them.
#[derive(Debug)]
pub struct Traces {
    pub(super) sockets: Vec<UnixPath>,
    /// Those of the master command line, which no reload changes.
    pub(super) master: Vec<UnixPath>,
    pub(super) control: Control,
    pub(super) pidfile: Option<PidFile>,
}

impl Traces {
    /// Those of the program before this one.
    pub(super) fn inherited(
        sockets: &[PathBuf],
        master: &[MasterSocket],
        control: Control,
        pidfile: Option<&PathBuf>,
    ) -> Self {
        Self {
            sockets: UnixPath::all(sockets),
            master: UnixPath::of_masters(master),
            control,
            pidfile: pidfile.map(|path| PidFile::inherited(path)),
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for socket in self.sockets.iter().chain(&self.master) {
            if UnixPath::of(&socket.path).as_ref() == Some(socket) {
                let _ = std::fs::remove_file(&socket.path);
            }
        }
    }
}

/// A UNIX socket of the balancer. A process that relieves this one puts its own at the same path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnixPath {
    pub(super) path: PathBuf,
    inode: u64,
}

impl UnixPath {
    /// Those among `paths` that exist.
    pub(super) fn all(paths: &[PathBuf]) -> Vec<Self> {
        paths.iter().filter_map(|path| Self::of(path)).collect()
    }

    fn of_masters(sockets: &[MasterSocket]) -> Vec<Self> {
        let paths = sockets.iter().filter_map(MasterSocket::path);
        paths.filter_map(Self::of).collect()
    }

    fn of(path: &Path) -> Option<Self> {
        let inode = std::fs::symlink_metadata(path).ok()?.ino();
        Some(Self {
            path: path.to_owned(),
            inode,
        })
    }
}

/// Reads the files.
pub fn read(sources: &Sources) -> Read {
    let recorder = Recorder::new(Predefined::of(sources));
    let mut diagnostics = Diagnostics::default();
    let loaded = load::load(sources, &recorder, &mut diagnostics);
    diagnostics.sort();
    Read {
        loaded,
        diagnostics,
        configuration: Configuration {
            sources: sources.clone(),
            bundle: recorder.into_bundle(),
        },
    }
}

/// Checks and opens.
pub fn prepare(read: Read, options: &Options) -> Result<Prepared, Refusal> {
    let loaded = read.loaded.ok_or(Refusal::Configuration)?;
    if loaded.balancer.is_none() && !loaded.needs_speaker() {
        return Err(Refusal::Nothing);
    }
    check_rights(&loaded)?;
    let own = options.launch.program == Program::HaLb;
    let (control, listener) = bind_control(&options.control, own)
        .map_err(|e| Refusal::Told(format!("control socket {}: {e}", options.control.display())))?;
    let fifos = loaded.fifos().into_iter().map(|wanted| {
        let path = wanted.path.clone();
        Fifo::open(wanted)
            .map_err(|e| Refusal::Told(format!("notify fifo {}: {e}", path.display())))
    });
    let fifos = fifos.collect::<Result<_, _>>()?;
    let mut workers = 1;
    let mut sockets = Vec::new();
    let mut pidfile = None;
    let mut unix_sockets = Vec::new();
    if let Some(config) = &loaded.balancer {
        workers = listeners::workers(config);
        let count = listeners::count(config, workers);
        // Without a `maxconn` it is what fits.
        if let Err(advice) = limits::raise(limits::needed(config, count))
            && config.global.maxconn.is_some()
        {
            tracing::warn!("{advice}");
        }
        let alone = options.launch.relieved.is_empty();
        sockets = listeners::open(config, workers, alone)?;
        unix_sockets = UnixPath::all(&listeners::unix_paths(config));
        if let Some(path) = config.global.pidfile.as_ref().filter(|_| own) {
            let written = PidFile::write(path).map_err(|e| {
                let path = path.display();
                Refusal::Told(format!("pidfile {path}: {e}; create its directory"))
            })?;
            pidfile = Some(written);
        }
        if own && config.global.daemon {
            tracing::info!(
                "`daemon`: `ha-lb run` stays in the foreground, a service manager watches it there"
            );
        }
    }
    let master = master_cli::open(&options.launch.master)
        .map_err(|why| Refusal::Told(format!("Can't create the master's CLI: {why}")))?;
    Ok(Prepared {
        configuration: read.configuration,
        loaded,
        sockets,
        workers,
        listener,
        fifos,
        traces: Traces {
            sockets: unix_sockets,
            master: UnixPath::of_masters(&master),
            control,
            pidfile,
        },
        master,
    })
}

/// Several daemons under the old names may run beside each other: whoever finds the usual socket taken makes one
/// with its process number, and with one more where containers share a folder and so have the same numbers.
fn bind_control(path: &Path, own: bool) -> io::Result<(Control, UnixListener)> {
    let number = std::process::id();
    let others = std::iter::once(format!("{number}.sock"))
        .chain((2..100).map(|next| format!("{number}.{next}.sock")))
        .map(|extension| path.with_extension(extension));
    let mut bound = Control::bind(path);
    for other in others {
        match &bound {
            Err(error) if !own && error.kind() == io::ErrorKind::AddrInUse => {
                bound = Control::bind(&other);
            }
            _ => break,
        }
    }
    bound
}

/// Accounts and directories exist, capabilities are held.
pub(super) fn check_rights(loaded: &Loaded) -> Result<(), Refusal> {
    let told = |e: AccountError| Refusal::Told(e.to_string());
    let misfits = loaded.misfits().into_iter();
    let refusing = misfits.filter(|misfit| misfit.reason == Reason::Insecure);
    let refusing: Vec<String> = refusing
        .map(|misfit| misfit.into_error().to_string())
        .collect();
    if !refusing.is_empty() {
        return Err(Refusal::Told(refusing.join("\n")));
    }
    let mut needed = Vec::new();
    if loaded.needs_speaker() {
        needed.push((
            Capability::CAP_NET_ADMIN,
            "put virtual addresses on interfaces",
        ));
        needed.push((Capability::CAP_NET_RAW, "send and receive VRRP adverts"));
    }
    if let Some(config) = &loaded.balancer {
        let identity = Identity::of(&config.global).map_err(told)?;
        if let Some(path) = &identity.chroot {
            if !path.is_dir() {
                let path = path.display();
                return Err(Refusal::Told(format!(
                    "chroot {path}: there is no such directory; create it (`sudo mkdir -p {path}`) or remove the \
                     `chroot` line"
                )));
            }
            needed.push((
                Capability::CAP_SYS_CHROOT,
                "change the balancer's root directory (`chroot`)",
            ));
        }
        if identity
            .user
            .is_some_and(|user| user != rustix::process::geteuid().as_raw())
        {
            needed.push((
                Capability::CAP_SETUID,
                "run the balancer as another user (`user`)",
            ));
        }
        if identity
            .group
            .is_some_and(|group| group != rustix::process::getegid().as_raw())
        {
            needed.push((
                Capability::CAP_SETGID,
                "run the balancer as another group (`group`)",
            ));
        }
    }
    let missing = privileges::missing(&needed);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Rights(privileges::explain(&missing)))
    }
}
