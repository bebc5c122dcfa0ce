//! From the command line to a daemon that can start its children: files read, rights checked, sockets open.
//!
//! Everything that can be wrong is found here, before the first child runs; each refusal is a sentence that
//! tells what to do.

use std::path::PathBuf;

use caps::Capability;

use super::{
    control::Control,
    limits,
    listeners::{self, Open},
    pidfile::PidFile,
};
use crate::{
    config::{
        diagnostic::Diagnostics,
        files::{DiskFiles, Recorder},
        load::{self, Loaded},
    },
    ipc::message::{Configuration, Sources},
    notify::fifo::Fifo,
    privileges::{self, Identity},
};

/// What `ha-lb run` was told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The files.
    pub sources: Sources,
    /// The control socket.
    pub control: PathBuf,
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
    pub listener: std::os::unix::net::UnixListener,
    /// Fifos that hear of changes of state.
    pub fifos: Vec<Fifo>,
    /// Files to be removed at the end.
    pub traces: Traces,
}

/// Files that the daemon leaves in the system while it runs; dropping it removes them.
#[derive(Debug)]
pub struct Traces {
    /// UNIX sockets of the balancer.
    pub sockets: Vec<PathBuf>,
    _control: Control,
    _pidfile: Option<PidFile>,
}

impl Drop for Traces {
    fn drop(&mut self) {
        for path in &self.sockets {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Reads, checks and opens. The error is what is to be printed.
pub fn prepare(options: &Options) -> Result<Prepared, String> {
    let recorder = Recorder::new(DiskFiles);
    let mut diagnostics = Diagnostics::default();
    let loaded = load::load(&options.sources, &recorder, &mut diagnostics);
    diagnostics.sort();
    eprint!("{diagnostics}");
    let loaded = loaded.ok_or("the configuration has errors; nothing was started")?;
    if loaded.balancer.is_none() && !loaded.needs_speaker() {
        return Err(
            "the configuration names neither a virtual router nor a proxy; nothing to do".into(),
        );
    }
    check_rights(&loaded)?;
    let (control, listener) = Control::bind(&options.control)
        .map_err(|e| format!("control socket {}: {e}", options.control.display()))?;
    let fifos = loaded
        .keepalived
        .iter()
        .flat_map(|config| &config.global.notify_fifos);
    let fifos = fifos
        .map(|path| Fifo::open(path).map_err(|e| format!("notify fifo {}: {e}", path.display())));
    let fifos = fifos.collect::<Result<_, _>>()?;
    let mut workers = 1;
    let mut sockets = Vec::new();
    let mut pidfile = None;
    let mut paths = Vec::new();
    if let Some(config) = &loaded.balancer {
        workers = listeners::workers(config);
        let count = listeners::count(config, workers);
        if let Err(advice) = limits::raise(limits::needed(config, count)) {
            tracing::warn!("{advice}");
        }
        sockets = listeners::open(config, workers).map_err(|e| e.to_string())?;
        paths = listeners::unix_paths(config);
        if let Some(path) = &config.global.pidfile {
            let written = PidFile::write(path)
                .map_err(|e| format!("pidfile {}: {e}; create its directory", path.display()))?;
            pidfile = Some(written);
        }
        if config.global.daemon {
            tracing::info!(
                "`daemon`: `ha-lb run` stays in the foreground, a service manager watches it there"
            );
        }
    }
    Ok(Prepared {
        configuration: Configuration {
            sources: options.sources.clone(),
            bundle: recorder.into_bundle(),
        },
        loaded,
        sockets,
        workers,
        listener,
        fifos,
        traces: Traces {
            sockets: paths,
            _control: control,
            _pidfile: pidfile,
        },
    })
}

/// Accounts and directories exist, capabilities are held.
pub(super) fn check_rights(loaded: &Loaded) -> Result<(), String> {
    loaded.scripts().map_err(|e| e.to_string())?;
    loaded.hooks().map_err(|e| e.to_string())?;
    let insecure = loaded.insecure_scripts().map_err(|e| e.to_string())?;
    if !insecure.is_empty() {
        return Err(insecure.join("\n"));
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
        let identity = Identity::of(&config.global).map_err(|e| e.to_string())?;
        if let Some(path) = &identity.chroot {
            if !path.is_dir() {
                let path = path.display();
                return Err(format!(
                    "chroot {path}: there is no such directory; create it (`sudo mkdir -p {path}`) or remove the \
                     `chroot` line"
                ));
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
        Err(privileges::explain(&missing))
    }
}
