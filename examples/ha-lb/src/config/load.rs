//! Both dialects of one daemon read together: by `check`, by the supervisor, and again by its children.

use std::path::PathBuf;

use std::time::Duration;

use caps::Capability;
use lb_core::config::Config;

use super::{
    diagnostic::{Diagnostic, Diagnostics},
    files::Files,
    haproxy, keepalived, lvs,
};
use crate::{
    ipc::message::{Overrides, Sources},
    notify::{Hooks, Subject},
    privileges::{self, AccountError},
    supervisor::{
        command::Command,
        liveness,
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

/// What a daemon is to do.
#[derive(Debug)]
pub struct Loaded {
    /// The speaker's part; absent without a keepalived file.
    pub keepalived: Option<keepalived::Config>,
    /// The balancer's part; absent when there is nothing to balance.
    pub balancer: Option<Config>,
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
    let balancer = Some(haproxy).filter(|config| !config.proxies.is_empty());
    Some(Loaded {
        keepalived,
        balancer,
    })
}

fn override_limits(overrides: &Overrides, config: &mut Config) {
    config.global.maxconn = overrides.maxconn.or(config.global.maxconn);
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

    /// Files whose contents are for the speaker alone.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let instances = self.keepalived.iter().flat_map(|k| &k.instances);
        let keys = instances.filter_map(|instance| instance.auth_hmac.as_ref());
        keys.flat_map(|keys| keys.files.clone()).collect()
    }

    /// What instances track beside interfaces: scripts, files and processes, each in the order of the file.
    pub fn watches(&self) -> Result<Vec<Watch>, AccountError> {
        let Some(config) = &self.keepalived else {
            return Ok(Vec::new());
        };
        let used = |index: usize, of: fn(&Instance) -> &Vec<Tracked>| {
            let mut tracked = config.instances.iter().flat_map(of);
            tracked.any(|track| track.position == index)
        };
        let scripts = config.scripts.iter().enumerate();
        let scripts = scripts.filter(|(index, _)| used(*index, |i| &i.track_scripts));
        let scripts = scripts.map(|(_, script)| {
            Ok(Watch::Script(Script {
                name: script.name.to_string(),
                command: command(&script.command, config)?,
                interval: script.interval,
                timeout: script.timeout,
                rise: script.rise,
                fall: script.fall,
                init_fail: script.init_fail,
            }))
        });
        let files = config.files.iter().enumerate();
        let files = files.filter(|(index, _)| used(*index, |i| &i.track_files));
        let files = files.map(|(_, file)| {
            Ok(Watch::File(FileWatch {
                name: file.name.to_string(),
                path: file.path.clone(),
                init: file.init.map(|init| (init.value, init.overwrite)),
            }))
        });
        let processes = config.processes.iter().enumerate();
        let processes = processes.filter(|(index, _)| used(*index, |i| &i.track_processes));
        let processes = processes.map(|(_, process)| {
            Ok(Watch::Process(ProcessWatch {
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
            }))
        });
        scripts.chain(files).chain(processes).collect()
    }

    /// Scripts whose program is not on this host. That is no matter of the file, which may be checked elsewhere.
    pub fn missing_programs(&self) -> Vec<Diagnostic> {
        let Some(config) = &self.keepalived else {
            return Vec::new();
        };
        let missing = |written: &&keepalived::Command| !security::is_there(&written.arguments);
        let warning = |written: &keepalived::Command, action: &str| {
            let program = written.arguments.first().map_or("", String::as_str);
            Diagnostic::warning(written.span.clone(), "no such program on this host")
                .found(program)
                .action(action)
        };
        let fails = "the script fails, and with it what tracks it; keepalived would go on without the check";
        // What only asks whether HAProxy runs is answered without a program.
        let asked = config.scripts.iter().map(|script| &script.command);
        let asked = asked.filter(|written| !liveness::asks_for_the_balancer(&written.arguments));
        let scripts = asked.filter(missing);
        let scripts = scripts.map(|written| warning(written, fails));
        let groups = config.sync_groups.iter().map(|group| &group.notify);
        let all = config.instances.iter().map(|i| &i.notify).chain(groups);
        let edges = [&config.global.startup, &config.global.shutdown];
        let edges = edges.into_iter().filter_map(|edge| edge.command.as_ref());
        let hooks = all.flat_map(keepalived::Notify::commands).chain(edges);
        let hooks = hooks.filter(missing);
        let hooks = hooks.map(|written| {
            warning(
                written,
                "it cannot be run, and the log will say so each time",
            )
        });
        scripts.chain(hooks).collect()
    }

    /// What root would run although others can change it, with `enable_script_security`; one sentence each.
    pub fn insecure_scripts(&self) -> Result<Vec<String>, AccountError> {
        let Some(config) = self
            .keepalived
            .as_ref()
            .filter(|c| c.global.script_security)
        else {
            return Ok(Vec::new());
        };
        let scripts = config.scripts.iter().map(|script| &script.command);
        let groups = config.sync_groups.iter().map(|group| &group.notify);
        let all = config.instances.iter().map(|i| &i.notify).chain(groups);
        let edges = [&config.global.startup, &config.global.shutdown];
        let edges = edges.into_iter().filter_map(|edge| edge.command.as_ref());
        let hooks = all.flat_map(keepalived::Notify::commands).chain(edges);
        let mut said = Vec::new();
        for written in scripts.chain(hooks) {
            if let Some(objection) = security::objection(&command(written, config)?) {
                said.push(format!("{}: {objection}", written.span));
            }
        }
        Ok(said)
    }

    /// `startup_script`, and how long it may take.
    pub fn startup(&self) -> Result<Option<(Command, Duration)>, AccountError> {
        self.edge(|global| &global.startup)
    }

    /// `shutdown_script`, and how long it may take.
    pub fn shutdown(&self) -> Result<Option<(Command, Duration)>, AccountError> {
        self.edge(|global| &global.shutdown)
    }

    fn edge(
        &self,
        which: fn(&keepalived::Global) -> &keepalived::Edge,
    ) -> Result<Option<(Command, Duration)>, AccountError> {
        let Some(config) = &self.keepalived else {
            return Ok(None);
        };
        let edge = which(&config.global);
        let limit = edge.limit.unwrap_or(Duration::from_secs(10));
        let written = edge.command.as_ref();
        let found = written
            .map(|written| command(written, config))
            .transpose()?;
        Ok(found.map(|command| (command, limit)))
    }

    /// The notify scripts of each instance and sync group.
    pub fn hooks(&self) -> Result<Vec<(Subject, Hooks)>, AccountError> {
        let Some(config) = &self.keepalived else {
            return Ok(Vec::new());
        };
        let hook = |written: &Option<keepalived::Command>| {
            written.as_ref().map(|c| command(c, config)).transpose()
        };
        let instances = config.instances.iter();
        let instances = instances.map(|one| (Subject::Instance(one.name.to_string()), &one.notify));
        let groups = config.sync_groups.iter();
        let groups = groups.map(|one| (Subject::Group(one.name.to_string()), &one.notify));
        instances
            .chain(groups)
            .map(|(subject, notify)| {
                let hooks = Hooks {
                    master: hook(&notify.master)?,
                    backup: hook(&notify.backup)?,
                    fault: hook(&notify.fault)?,
                    stop: hook(&notify.stop)?,
                    deleted: hook(&notify.deleted)?,
                    says_deleted: notify.says_deleted,
                    any: hook(&notify.any)?,
                    lower_priority: hook(&notify.master_rx_lower_priority)?,
                };
                Ok((subject, hooks))
            })
            .collect()
    }
}

/// keepalived.conf(5), script_user: the script's own user, else `script_user`, else `keepalived_script` if there
/// is one and the daemon can become it, else the daemon's.
fn command(
    written: &keepalived::Command,
    config: &keepalived::Config,
) -> Result<Command, AccountError> {
    let words = written.arguments.clone();
    let Some(user) = written.user.as_ref().or(config.global.script_user.as_ref()) else {
        let needed = [Capability::CAP_SETUID, Capability::CAP_SETGID].map(|right| (right, ""));
        let can_change = privileges::missing(&needed).is_empty();
        let fallback = default_user(can_change, || privileges::user_id("keepalived_script").ok());
        return Ok(Command {
            words,
            uid: fallback,
            gid: fallback.and_then(|_| privileges::primary_group("keepalived_script")),
        });
    };
    let gid = match &user.group {
        Some(group) => Some(privileges::group_id(group)?),
        None => privileges::primary_group(&user.user),
    };
    Ok(Command {
        words,
        uid: Some(privileges::user_id(&user.user)?),
        gid,
    })
}

/// The user of scripts that nobody chose a user for: one that the daemon cannot become would let every script fail.
fn default_user(can_change: bool, account: impl FnOnce() -> Option<u32>) -> Option<u32> {
    can_change.then(account).flatten()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::config::files::DiskFiles;

    /// What is said of a script that anyone can change, with this line in `global_defs`.
    fn said(line: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("notify.sh");
        fs::write(&script, "").unwrap();
        fs::set_permissions(&script, PermissionsExt::from_mode(0o777)).unwrap();
        let path = folder.path().join("keepalived.conf");
        let text = format!(
            "global_defs {{\n{line}\n}}\nvrrp_instance V {{\ninterface eth0\nvirtual_router_id 1\n\
             virtual_ipaddress {{\n10.0.0.1\n}}\nnotify_deleted \"{} x\" root\n}}\n",
            script.display()
        );
        fs::write(&path, text).unwrap();
        let sources = Sources {
            keepalived: Some(path),
            ..Sources::default()
        };
        let loaded = load(&sources, &DiskFiles, &mut Diagnostics::new()).unwrap();
        loaded.insecure_scripts().unwrap()
    }

    #[test]
    fn the_default_account_is_for_a_daemon_that_can_become_it() {
        assert_eq!(default_user(true, || Some(7)), Some(7));
        assert_eq!(default_user(true, || None), None);
        assert_eq!(default_user(false, || Some(7)), None);
    }

    #[test]
    fn script_security_looks_at_every_script_and_names_its_line() {
        assert!(said("").is_empty());
        let said = said("enable_script_security");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("keepalived.conf:10:"), "{said:?}");
        assert!(said[0].contains("notify.sh, but "), "{said:?}");
    }
}
