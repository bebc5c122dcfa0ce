//! One host of the cluster and the daemon on it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{DrillError, Setup, case::Role};
use crate::{admin::status::Status, lab::Host, supervisor::control};

/// A host and its daemon.
#[derive(Debug)]
pub struct Node {
    pub(super) host: Host,
    folder: PathBuf,
    program: PathBuf,
    daemon: Option<Child>,
    priority: u8,
    arguments: &'static [&'static str],
}

impl Node {
    /// A host whose files live below `folder`; nothing runs on it yet.
    pub(super) fn new(
        host: Host,
        priority: u8,
        setup: &Setup,
        folder: &Path,
        program: &Path,
    ) -> Result<Self, DrillError> {
        let folder = folder.join(host.name());
        fs::create_dir_all(&folder).map_err(DrillError::io("folder of a host"))?;
        Ok(Self {
            host,
            folder,
            program: program.to_owned(),
            daemon: None,
            priority,
            arguments: setup.arguments(),
        })
    }

    /// The keepalived.conf that it starts with.
    pub fn keepalived_conf(&self, setup: &Setup) -> String {
        setup.keepalived_conf(self.priority)
    }

    /// Writes one of its files.
    pub fn write(&self, name: &str, text: &str) -> Result<(), DrillError> {
        fs::write(self.folder.join(name), text).map_err(DrillError::io("configuration file"))
    }

    /// Starts the daemon with both files.
    pub fn start(&mut self) -> Result<(), DrillError> {
        let file = |name: &str| self.folder.join(name);
        let daemon = self
            .host
            .command(&self.program)
            .arg("run")
            .args(self.arguments)
            .arg("-k")
            .arg(file("keepalived.conf"))
            .arg("-x")
            .arg(file("haproxy.cfg"))
            .arg("--control")
            .arg(file("control"))
            .output(file("log"))
            .spawn()?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Whether its supervisor runs, stopped or not.
    pub(super) fn runs(&mut self) -> bool {
        let daemon = self.daemon.as_mut();
        let runs = daemon.is_some_and(|daemon| matches!(daemon.try_wait(), Ok(None)));
        if !runs {
            self.daemon = None;
        }
        runs
    }

    /// Ends the daemon in order.
    pub fn terminate(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = kill_process(Pid::from_child(&daemon), Signal::TERM);
            drop(daemon.wait());
        }
    }

    /// What the daemon says of itself, if it answers.
    pub fn status(&self) -> Option<Status> {
        let answer = control::ask(&self.folder.join("control"), "status").ok()?;
        serde_json::from_str(&answer).ok()
    }

    /// Sends a signal to the processes that play these roles.
    pub fn signal(&self, roles: &[Role], what: Signal) {
        signal(&self.pids(roles), what);
    }

    /// The processes that play these roles now.
    pub fn pids(&self, roles: &[Role]) -> Vec<Pid> {
        let status = self.status().unwrap_or_default();
        let pids = roles.iter().filter_map(|role| match role {
            Role::Supervisor => status.supervisor.pid,
            Role::Speaker => status.vrrp.as_ref()?.pid,
            Role::Balancer => status.balancer.as_ref()?.pid,
        });
        pids.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
            .collect()
    }

    /// What the daemon wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Sends a signal to each. One that is gone already is as dead as it should be.
pub(super) fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill_process(*pid, signal);
    }
}
