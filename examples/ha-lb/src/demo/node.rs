//! One host of the demonstration: its daemon and what can be done to it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};

use super::{DemoError, files};
use crate::{
    admin::status::{Process, Status},
    lab::Host,
    supervisor::control,
};

/// A host with a daemon.
pub(super) struct Node {
    pub(super) host: Host,
    /// Configured priority.
    pub(super) priority: u8,
    pub(super) facts: Arc<NodeFacts>,
    folder: PathBuf,
    daemon: Option<Child>,
}

/// What is known of a host without asking it, and where to ask.
#[derive(Debug)]
pub(super) struct NodeFacts {
    pub(super) name: String,
    control: PathBuf,
    running: AtomicBool,
    cable: AtomicBool,
}

impl NodeFacts {
    /// Whether its cable is in.
    pub(super) fn cable(&self) -> bool {
        self.cable.load(Ordering::Relaxed)
    }

    /// Whether its daemon was started and not ended.
    pub(super) fn running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// What its daemon says.
    pub(super) fn status(&self) -> Option<Status> {
        if !self.running() {
            return None;
        }
        serde_json::from_str(&control::ask(&self.control, "status").ok()?).ok()
    }
}

impl Node {
    /// Writes the files; starts nothing.
    pub(super) fn new(
        host: Host,
        priority: u8,
        folder: &Path,
        servers: usize,
    ) -> Result<Self, DemoError> {
        let folder = folder.join(host.name());
        let facts = NodeFacts {
            name: host.name().to_owned(),
            control: folder.join("control"),
            running: AtomicBool::new(false),
            cable: AtomicBool::new(true),
        };
        let node = Self {
            host,
            priority,
            facts: Arc::new(facts),
            folder,
            daemon: None,
        };
        fs::create_dir_all(&node.folder)
            .and_then(|()| {
                let text = files::keepalived_conf(priority);
                fs::write(node.folder.join("keepalived.conf"), text)
            })
            .and_then(|()| node.write_haproxy_cfg(servers))
            .map_err(DemoError::io("configuration files"))?;
        Ok(node)
    }

    fn write_haproxy_cfg(&self, servers: usize) -> io::Result<()> {
        let text = files::haproxy_cfg(self.host.name(), servers);
        fs::write(self.folder.join("haproxy.cfg"), text)
    }

    /// The host's name.
    pub(super) fn name(&self) -> &str {
        self.host.name()
    }

    /// Starts the daemon, unless it runs.
    pub(super) fn start(&mut self) -> Result<(), DemoError> {
        if self.daemon.is_some() {
            return Ok(());
        }
        let file = |name: &str| self.folder.join(name);
        let daemon = self
            .host
            .command("/proc/self/exe")
            .arg("run")
            .arg("-k")
            .arg(file("keepalived.conf"))
            .arg("-x")
            .arg(file("haproxy.cfg"))
            .arg("--control")
            .arg(file("control"))
            .output(file("log"))
            .spawn()?;
        self.daemon = Some(daemon);
        self.facts.running.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Remembers whether its cable is in.
    pub(super) fn set_cable(&self, plugged: bool) {
        self.facts.cable.store(plugged, Ordering::Relaxed);
    }

    /// Puts a file with `servers` origins in place and asks the daemon to read it (SIGHUP).
    pub(super) fn reload(&self, servers: usize) -> Result<(), DemoError> {
        self.write_haproxy_cfg(servers)
            .map_err(DemoError::io("configuration files"))?;
        self.signal(Signal::HUP);
        Ok(())
    }

    /// Ends the balancer, which the supervisor starts again.
    pub(super) fn kill_balancer(&self) {
        kill(self.facts.status().and_then(|status| status.balancer));
    }

    /// Ends every process of the daemon at once, as a power cut does.
    pub(super) fn kill(&mut self) {
        if let Some(status) = self.facts.status() {
            self.facts.running.store(false, Ordering::Relaxed);
            // The speaker first: it has no time for a last word.
            kill(status.vrrp);
            kill(Some(status.supervisor));
            kill(status.balancer);
        }
        self.signal(Signal::KILL);
        self.reap();
    }

    /// Asks the daemon to end in order and waits until it has.
    pub(super) fn terminate(&mut self) {
        self.signal(Signal::TERM);
        self.reap();
    }

    fn signal(&self, signal: Signal) {
        if let Some(daemon) = &self.daemon {
            // A daemon that is gone already does not mind.
            let _ = kill_process(Pid::from_child(daemon), signal);
        }
    }

    fn reap(&mut self) {
        self.facts.running.store(false, Ordering::Relaxed);
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.wait());
        }
    }

    /// The last lines that the daemon wrote.
    pub(super) fn log(&self) -> String {
        const LINES: usize = 20;
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LINES);
        let last = lines.get(from..).unwrap_or_default();
        format!("--- {}\n{}\n", self.name(), last.join("\n"))
    }
}

fn kill(process: Option<Process>) {
    let pid = process
        .and_then(|process| process.pid)
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        // A process that is gone already is as dead as it should be.
        let _ = kill_process(pid, Signal::KILL);
    }
}
