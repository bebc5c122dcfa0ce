//! Both dialects of one daemon read together: by `check`, by the supervisor, and again by its children.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use caps::Capability;
use lb_core::{
    config::Config,
    dataplane::{self, StartError},
};

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
    haproxy, keepalived, lvs,
};
use crate::{
    ipc::message::{Overrides, Sources},
    notify::{Hooks, Subject, fifo::Wanted},
    privileges::{self, AccountError},
    supervisor::{
        command::Command,
        scripts::Script,
        security,
        tracks::{
            Watch,
            file::FileWatch,
            process::{ProcessWatch, Quorum},
        },
    },
};
use keepalived::{Instance, Tracked};

mod host;
mod memory;

pub use host::{Misfit, Reason};

/// The account of scripts that nobody chose a user for, where it exists (keepalived.conf(5), script_user).
const SCRIPT_USER: &str = "keepalived_script";

/// What a daemon is to do.
#[derive(Debug)]
pub struct Loaded {
    /// The speaker's part; absent without a keepalived file.
    pub keepalived: Option<keepalived::Config>,
    /// The balancer's part; absent when there is nothing to balance.
    pub balancer: Option<Config>,
}

impl Loaded {
    /// What the balancer would refuse to start with although it can be read: certificates and keys that do not belong
    /// together, for one.
    pub fn refused(&self) -> Option<Diagnostic> {
        let config = Arc::new(self.balancer.clone()?);
        let error = dataplane::check(config).err()?;
        let place = error.line().and_then(Span::of_origin);
        let file = match &error {
            StartError::Certificate { file, .. } => file.as_deref(),
            _ => None,
        };
        let place = place.unwrap_or_else(|| Span::whole_file(Path::new(file.unwrap_or("-"))));
        Some(Diagnostic::error(place, error.to_string()))
    }
}

/// Reads all files of `sources`. `None` if there were errors.
pub fn load(sources: &Sources, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Loaded> {
    let keepalived = match &sources.keepalived {
        Some(path) => {
            let id = sources.overrides.config_id.as_deref();
            let every_file = sources.overrides.every_file;
            keepalived::load_for(path, id, every_file, files, diagnostics).map(Some)
        }
        None => Some(None),
    };
    let haproxy = if sources.haproxy.is_empty() {
        Some(Config::default())
    } else {
        haproxy::load(&sources.haproxy, files, diagnostics)
    };
    let (mut keepalived, mut haproxy) = (keepalived?, haproxy?);
    let overrides = &sources.overrides;
    if let Some(keepalived) = keepalived.as_mut().filter(|_| overrides.no_vrrp) {
        keepalived.instances.clear();
    }
    if let Some(keepalived) = &mut keepalived {
        let instances = keepalived.instances.iter_mut();
        instances.for_each(|instance| instance.resign_at_once = overrides.resign_at_once);
    }
    override_limits(overrides, &mut haproxy);
    if let Some(keepalived) = &keepalived
        && !overrides.no_virtual_servers
    {
        lvs::append(keepalived, &mut haproxy, diagnostics);
    }
    let serves =
        |config: &Config| !config.proxies.is_empty() || !config.global.stats_sockets.is_empty();
    let balancer = Some(haproxy).filter(serves);
    Some(Loaded {
        keepalived,
        balancer,
    })
}

fn override_limits(overrides: &Overrides, config: &mut Config) {
    config.global.memory = overrides.memory;
    let by_memory = |megabytes| memory::connections(megabytes, config);
    config.global.maxconn = overrides
        .maxconn
        .or(config.global.maxconn)
        .or_else(|| overrides.memory.map(by_memory));
    let frontends = config
        .proxies
        .iter_mut()
        .filter_map(|p| p.frontend.as_mut());
    for frontend in frontends {
        frontend.maxconn = frontend.maxconn.or(overrides.proxy_maxconn);
    }
}

impl Loaded {
    /// Whether a virtual router is configured.
    pub fn needs_speaker(&self) -> bool {
        self.keepalived
            .as_ref()
            .is_some_and(|k| !k.instances.is_empty())
    }

    /// How many proxies are configured.
    pub fn proxies(&self) -> usize {
        self.balancer
            .as_ref()
            .map_or(0, |config| config.proxies.len())
    }

    /// Files whose contents are for the speaker alone.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let instances = self.keepalived.iter().flat_map(|k| &k.instances);
        let keys = instances.filter_map(|instance| instance.auth_hmac.as_ref());
        keys.flat_map(|keys| keys.files.clone()).collect()
    }

    /// What instances track beside interfaces: scripts, files and processes, each in the order of the file.
    pub fn watches(&self) -> Vec<Watch> {
        let Some(config) = &self.keepalived else {
            return Vec::new();
        };
        let used = |index: usize, of: fn(&Instance) -> &Vec<Tracked>| {
            let mut tracked = config.instances.iter().flat_map(of);
            tracked.any(|track| track.position == index)
        };
        let scripts = config.scripts.iter().enumerate();
        let scripts = scripts.filter(|(index, _)| used(*index, |i| &i.track_scripts));
        let scripts = scripts.map(|(_, script)| {
            Watch::Script(Script {
                name: script.name.to_string(),
                command: command(&script.command, config),
                interval: script.interval,
                timeout: script.timeout,
                rise: script.rise,
                fall: script.fall,
                init_fail: script.init_fail,
            })
        });
        let files = config.files.iter().enumerate();
        let files = files.filter(|(index, _)| used(*index, |i| &i.track_files));
        let files = files.map(|(_, file)| {
            Watch::File(FileWatch {
                name: file.name.to_string(),
                path: file.path.clone(),
                init: file.init.map(|init| (init.value, init.overwrite)),
            })
        });
        let processes = config.processes.iter().enumerate();
        let processes = processes.filter(|(index, _)| used(*index, |i| &i.track_processes));
        let processes = processes.map(|(_, process)| {
            Watch::Process(ProcessWatch {
                name: process.name.to_string(),
                program: process.program.clone(),
                parameters: process.parameters.clone(),
                full_command: process.full_command,
                quorum: Quorum {
                    least: process.quorum,
                    most: process.quorum_max,
                    fork_delay: process.fork_delay,
                    terminate_delay: process.terminate_delay,
                },
            })
        });
        scripts.chain(files).chain(processes).collect()
    }

    /// `startup_script`, and how long it may take.
    pub fn startup(&self) -> Option<(Command, Duration)> {
        self.edge(|global| &global.startup)
    }

    /// `shutdown_script`, and how long it may take.
    pub fn shutdown(&self) -> Option<(Command, Duration)> {
        self.edge(|global| &global.shutdown)
    }

    fn edge(
        &self,
        which: fn(&keepalived::Global) -> &keepalived::Edge,
    ) -> Option<(Command, Duration)> {
        let config = self.keepalived.as_ref()?;
        let edge = which(&config.global);
        let limit = edge.limit.unwrap_or(Duration::from_secs(10));
        let written = edge.command.as_ref()?;
        Some((command(written, config), limit))
    }

    /// The fifos that hear of changes of state, and who reads them. One whose owner does not exist is the daemon's own.
    pub fn fifos(&self) -> Vec<Wanted> {
        let Some(config) = &self.keepalived else {
            return Vec::new();
        };
        let fifos = config.global.notify_fifos.iter();
        let fifos = fifos.map(|fifo| Wanted {
            path: fifo.path.clone(),
            owner: fifo.owner.as_ref().and_then(|user| account(user).ok()),
            reader: fifo.reader.as_ref().map(|written| command(written, config)),
        });
        fifos.collect()
    }

    /// The notify scripts of each instance and sync group.
    pub fn hooks(&self) -> Vec<(Subject, Hooks)> {
        let Some(config) = &self.keepalived else {
            return Vec::new();
        };
        let instances = config.instances.iter();
        let instances = instances.map(|one| (Subject::Instance(one.name.to_string()), &one.notify));
        let groups = config.sync_groups.iter();
        let groups = groups.map(|one| (Subject::Group(one.name.to_string()), &one.notify));
        let all = instances.chain(groups);
        all.map(|(subject, notify)| (subject, notify.map(|written| command(written, config))))
            .collect()
    }
}

/// keepalived.conf(5), script_user: the script's own user, else `script_user`, else `keepalived_script` if there
/// is one and the daemon can become it, else the daemon's.
fn command(written: &keepalived::Command, config: &keepalived::Config) -> Command {
    let words = match security::is_for_the_shell(&written.arguments) {
        true => ["/bin/sh", "-c", &written.arguments.join(" ")]
            .map(str::to_owned)
            .into(),
        false => written.arguments.clone(),
    };
    let Some(user) = written.user.as_ref().or(config.global.script_user.as_ref()) else {
        let needed = [Capability::CAP_SETUID, Capability::CAP_SETGID].map(|right| (right, ""));
        let can_change = privileges::missing(&needed).is_empty();
        let fallback = default_user(can_change, || privileges::user_id(SCRIPT_USER).ok());
        return Command {
            words,
            uid: fallback,
            gid: fallback.and_then(|_| privileges::primary_group(SCRIPT_USER)),
            ..Command::default()
        };
    };
    let (account, denied) = match account(user) {
        Ok((uid, gid)) => ((Some(uid), gid), None),
        Err(error) => ((None, None), Some(error.to_string())),
    };
    let (uid, gid) = account;
    Command {
        words,
        uid,
        gid,
        denied,
        environment: None,
        gains_no_rights: false,
    }
}

/// Numbers of a user and of the group, the user's own by default.
fn account(user: &keepalived::User) -> Result<(u32, Option<u32>), AccountError> {
    let gid = match &user.group {
        Some(group) => Some(privileges::group_id(group)?),
        None => privileges::primary_group(&user.user),
    };
    Ok((privileges::user_id(&user.user)?, gid))
}

/// The user of scripts that nobody chose a user for: one that the daemon cannot become would let every script fail.
fn default_user(can_change: bool, account: impl FnOnce() -> Option<u32>) -> Option<u32> {
    can_change.then(account).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_account_is_for_a_daemon_that_can_become_it() {
        assert_eq!(default_user(true, || Some(7)), Some(7));
        assert_eq!(default_user(true, || None), None);
        assert_eq!(default_user(false, || Some(7)), None);
    }
}
