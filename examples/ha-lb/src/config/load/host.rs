//! What of keepalived's half does not fit this host: accounts and programs that are missing, scripts that root would run
//! although others can change them, interfaces that are not there. A file that is checked elsewhere may be right all the
//! same.

use std::collections::BTreeSet;

use vip_netlink::link::Interface;

use super::{Loaded, SCRIPT_USER, account, command};
use crate::{
    config::{
        diagnostic::{Diagnostic, Severity, Span},
        keepalived::{self, Config},
    },
    privileges,
    supervisor::{liveness, security},
};

/// Why something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `enable_script_security`, and others can change what root would run: the daemon does not start.
    Insecure,
    /// The program of a check cannot be executed, or its user does not exist: the check fails.
    Check,
    /// The same of a notify script or a fifo: it is not run, or is the daemon's own.
    Notify,
    /// The user of `script_user`, of `startup_script` or of `shutdown_script` does not exist: what needs it is not run.
    Account,
    /// An interface is missing: the instance waits for it.
    Interface,
}

/// Something that does not fit.
#[derive(Debug, Clone)]
pub struct Misfit {
    /// Why.
    pub reason: Reason,
    /// What is said of it; a warning.
    pub finding: Diagnostic,
}

impl Misfit {
    fn new(reason: Reason, finding: Diagnostic) -> Self {
        Self { reason, finding }
    }

    /// The finding as an error.
    #[must_use]
    pub fn into_error(self) -> Diagnostic {
        self.told_as(Severity::Error)
    }

    /// The finding as a note: where a file is checked need not be where it is used.
    #[must_use]
    pub fn into_note(self) -> Diagnostic {
        self.told_as(Severity::Note)
    }

    fn told_as(mut self, severity: Severity) -> Diagnostic {
        self.finding.severity = severity;
        self.finding
    }
}

/// What becomes of a check that cannot be run, and of another script.
const FAILS: &str =
    "the script fails, and with it what tracks it; keepalived would go on without the check";
const NOT_RUN: &str = "it cannot be run, and the log will say so each time";

impl Loaded {
    /// Accounts, programs and rights, in no order.
    pub fn misfits(&self) -> Vec<Misfit> {
        let Some(config) = &self.keepalived else {
            return Vec::new();
        };
        let programs =
            programs(Reason::Check, checks(config)).chain(programs(Reason::Notify, others(config)));
        let rights = accounts(config)
            .chain(insecure(config))
            .chain(unnamed(config));
        programs.chain(rights).collect()
    }

    /// Interfaces that the file names and that are not there, unless `dynamic_interfaces` expects it. None where the file
    /// names a network namespace: they are looked for in there.
    pub fn missing_interfaces(&self) -> Vec<Misfit> {
        let config = self.keepalived.iter();
        let config = config.filter(|config| {
            !config.global.dynamic_interfaces && config.global.process.namespace.is_none()
        });
        let instances = config.clone().flat_map(|config| &config.instances);
        // Devices of virtual MAC addresses are made, on interfaces that are looked for like others.
        let made = instances.clone().flat_map(|one| &one.vmac.devices);
        let is_made = move |name: &String| made.clone().any(|device| device.name == *name);
        let parents = instances.clone().flat_map(|instance| {
            let parents = instance.vmac.devices.iter().map(|device| &device.parent);
            parents.map(|name| (name, &instance.span))
        });
        let named = instances.flat_map(|instance| {
            let addresses = instance.addresses.iter();
            let addresses = addresses.chain(&instance.excluded_addresses);
            let devices = addresses.filter_map(|one| Some((one.device.as_ref()?, &one.span)));
            // Told where the address stands.
            let carrying = devices.clone();
            let carries = move |name: &String| carrying.clone().any(|(device, _)| device == name);
            let tracked = instance.track_interfaces.iter();
            let tracked = tracked.map(|track| (track.implied, &track.name));
            let tracked = tracked.filter(move |(implied, name)| !implied || !carries(name));
            let own = std::iter::once(&instance.interface).chain(tracked.map(|(_, name)| name));
            let hops = instance.routes.iter().flat_map(|route| &route.hops);
            let own = own.chain(hops.filter_map(|hop| hop.device.as_ref()));
            own.map(|name| (name, &instance.span)).chain(devices)
        });
        let fixed = config.clone().map(|config| &config.fixed);
        let fixed = fixed.flat_map(|fixed| &fixed.addresses);
        let fixed = fixed.filter_map(|one| Some((one.device.as_ref()?, &one.span)));
        let named = named.chain(fixed);
        let named = named.filter(move |(name, _)| !is_made(name)).chain(parents);
        let missing = named.filter(|(name, _)| !is_there(name));
        let mut said = BTreeSet::new();
        let missing = missing.filter(move |(name, span)| said.insert((*name, *span)));
        missing
            .map(|(name, span)| missing_interface(name, span))
            .collect()
    }

    /// keepalived(8), `--config-test`: whether scripts are run without enable_script_security, and whether others can
    /// change one of those.
    pub fn unsecured_scripts(&self) -> Option<bool> {
        let config = self.keepalived.as_ref()?;
        if config.global.script_security {
            return None;
        }
        // Those that keepalived would keep.
        let runs = |written: &&keepalived::Command| {
            let can_be = security::obstacle(&written.arguments).is_none();
            can_be && command(written, config).denied.is_none()
        };
        let all: Vec<_> = checks(config).chain(others(config)).filter(runs).collect();
        let weak = all
            .iter()
            .any(|written| weakness(written, config).is_some());
        (!all.is_empty()).then_some(weak)
    }
}

fn is_there(name: &str) -> bool {
    Interface::lookup(name).is_ok_and(|interface| interface.exists())
}

fn missing_interface(name: &str, span: &Span) -> Misfit {
    let finding = Diagnostic::warning(span.clone(), "no such interface on this host");
    let finding = finding.found(name).action(match name.split_once(':') {
        Some((interface, _)) => format!(
            "a name with a colon is a label of an address: write `{interface}`, and `label {name}` behind an address; \
             the instance is in fault for ever"
        ),
        None => {
            "the instance is in fault until it is there; `dynamic_interfaces` says that this is meant".to_owned()
        }
    });
    Misfit::new(Reason::Interface, finding)
}

/// The commands of `vrrp_script`.
fn checks(config: &Config) -> impl Iterator<Item = &keepalived::Command> {
    config.scripts.iter().map(|script| &script.command)
}

/// `startup_script` and `shutdown_script`.
fn edges(config: &Config) -> impl Iterator<Item = &keepalived::Command> {
    let edges = [&config.global.startup, &config.global.shutdown];
    edges.into_iter().filter_map(|edge| edge.command.as_ref())
}

/// Notify scripts and readers of fifos.
fn hooks(config: &Config) -> impl Iterator<Item = &keepalived::Command> {
    let groups = config.sync_groups.iter().map(|group| &group.notify);
    let notify = config.instances.iter().map(|one| &one.notify).chain(groups);
    let fifos = config.global.notify_fifos.iter();
    let readers = fifos.filter_map(|fifo| fifo.reader.as_ref());
    notify.flat_map(keepalived::Notify::all).chain(readers)
}

/// All commands but those of checks.
fn others(config: &Config) -> impl Iterator<Item = &keepalived::Command> {
    hooks(config).chain(edges(config))
}

/// Programs that cannot be executed. What only asks whether HAProxy runs is answered without one.
fn programs<'a>(
    reason: Reason,
    commands: impl Iterator<Item = &'a keepalived::Command>,
) -> impl Iterator<Item = Misfit> {
    let action = match reason {
        Reason::Check => FAILS,
        _ => NOT_RUN,
    };
    let commands = commands.filter(move |written| {
        reason != Reason::Check || !liveness::asks_for_the_balancer(&written.arguments)
    });
    commands.filter_map(move |written| {
        let obstacle = security::obstacle(&written.arguments)?;
        let program = written.arguments.first().map_or("", String::as_str);
        let finding = Diagnostic::warning(written.span.clone(), obstacle);
        Some(Misfit::new(reason, finding.found(program).action(action)))
    })
}

/// Users and groups that do not exist, each where it is written.
fn accounts(config: &Config) -> impl Iterator<Item = Misfit> {
    let of = |reason, action| {
        move |user: &keepalived::User| {
            let error = account(user).err()?;
            let finding = Diagnostic::warning(user.span.clone(), error.to_string());
            Some(Misfit::new(reason, finding.action(action)))
        }
    };
    let default = config.global.script_user.iter();
    let default = default.filter_map(of(
        Reason::Account,
        "scripts that name no other user cannot be run; checks among them fail",
    ));
    let checks = checks(config).filter_map(|written| written.user.as_ref());
    let checks = checks.filter_map(of(Reason::Check, FAILS));
    let edges = edges(config).filter_map(|written| written.user.as_ref());
    let edges = edges.filter_map(of(Reason::Account, NOT_RUN));
    let hooks = hooks(config).filter_map(|written| written.user.as_ref());
    let hooks = hooks.filter_map(of(Reason::Notify, NOT_RUN));
    let owners = config.global.notify_fifos.iter();
    let owners = owners.filter_map(|fifo| fifo.owner.as_ref());
    let owners = owners.filter_map(of(Reason::Notify, "the fifo is the daemon's own"));
    let scripts = checks.chain(edges).chain(hooks);
    default.chain(scripts).chain(owners)
}

/// A script that nobody is named for, with `enable_script_security`: keepalived wants its own user then.
fn unnamed(config: &Config) -> Option<Misfit> {
    let secured = config.global.script_security && config.global.script_user.is_none();
    if !secured || privileges::user_id(SCRIPT_USER).is_ok() {
        return None;
    }
    let mut scripts = checks(config).chain(others(config));
    let written = scripts.find(|written| written.user.is_none())?;
    let what = format!("no `script_user`, and no user `{SCRIPT_USER}` on this host");
    let finding = Diagnostic::warning(written.span.clone(), what)
        .action("scripts run as the daemon's user; keepalived would leave them out")
        .counted();
    Some(Misfit::new(Reason::Notify, finding))
}

/// What root would run although others can change it, with `enable_script_security`.
fn insecure(config: &Config) -> impl Iterator<Item = Misfit> {
    let secured = Some(config).filter(|config| config.global.script_security);
    let all = secured.map(|config| checks(config).chain(others(config)));
    all.into_iter().flatten().filter_map(|written| {
        let finding = Diagnostic::warning(written.span.clone(), weakness(written, config)?);
        Some(Misfit::new(
            Reason::Insecure,
            finding.action("the daemon does not start like this"),
        ))
    })
}

/// Why root should not run it. One without an account is not run.
fn weakness(written: &keepalived::Command, config: &Config) -> Option<String> {
    let command = command(written, config);
    command
        .denied
        .is_none()
        .then(|| security::objection(&command))?
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;
    use crate::{
        config::{diagnostic::Diagnostics, files::DiskFiles, load},
        ipc::message::Sources,
    };

    /// What does not fit of a file with these lines in `global_defs` and in its instance.
    fn loaded(folder: &Path, global: &str, instance: &str) -> Loaded {
        let path = folder.join("k.conf");
        let text = format!(
            "global_defs {{\n{global}\n}}\nvrrp_instance V {{\ninterface lo\nvirtual_router_id 1\n\
             virtual_ipaddress {{\n10.0.0.1\n}}\n{instance}\n}}\n"
        );
        fs::write(&path, text).unwrap();
        let sources = Sources {
            keepalived: Some(path),
            ..Sources::default()
        };
        load::load(&sources, &DiskFiles, &mut Diagnostics::new()).unwrap()
    }

    fn reasons(global: &str, instance: &str) -> Vec<(Reason, u32)> {
        let folder = tempfile::tempdir().unwrap();
        let found = loaded(folder.path(), global, instance).misfits();
        let found = found.iter();
        found
            .map(|one| (one.reason, one.finding.span.line))
            .collect()
    }

    #[test]
    fn accounts_that_do_not_exist_are_named_where_they_stand() {
        assert!(reasons("script_user root", "notify /bin/true root").is_empty());
        let (notify, account) = (Reason::Notify, Reason::Account);
        for (global, instance, reason, line) in [
            ("script_user no-such-user", "", account, 2),
            (
                "script_user root no-such-group",
                "notify /bin/true",
                account,
                2,
            ),
            ("", "notify /bin/true no-such-user", notify, 10),
            ("notify_fifo /run/f no-such-user", "", notify, 2),
            ("startup_script /bin/true no-such-user", "", account, 2),
        ] {
            assert_eq!(
                reasons(global, instance),
                [(reason, line)],
                "{global} {instance}"
            );
        }
    }

    #[test]
    fn programs_that_cannot_be_executed_are_named() {
        let line = [(Reason::Notify, 10)];
        assert_eq!(reasons("", "notify /no/such/program root"), line);
        assert_eq!(reasons("", "notify /etc/passwd root"), line);
        let reader = "notify_fifo /run/f\nnotify_fifo_script /no/such/program root";
        assert_eq!(reasons(reader, ""), [(Reason::Notify, 3)]);
    }

    #[test]
    fn what_others_can_change_is_named_with_script_security_only() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("notify.sh");
        fs::write(&script, "").unwrap();
        fs::set_permissions(&script, PermissionsExt::from_mode(0o777)).unwrap();
        let line = format!("notify_deleted \"{} x\" root", script.display());
        let lax = loaded(folder.path(), "", &line);
        assert!(lax.misfits().is_empty());
        assert_eq!(lax.unsecured_scripts(), Some(true));
        let strict = loaded(folder.path(), "enable_script_security", &line);
        assert_eq!(strict.unsecured_scripts(), None);
        let [misfit] = &*strict.misfits() else {
            panic!("one finding");
        };
        assert_eq!(
            (misfit.reason, misfit.finding.span.line),
            (Reason::Insecure, 10)
        );
        assert!(misfit.finding.message.contains("notify.sh, but "));
    }

    #[test]
    fn interfaces_are_looked_for_unless_they_may_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let track = "track_interface {\nno-such-if\n}";
        let missing = |global| loaded(folder.path(), global, track).missing_interfaces();
        assert_eq!(missing("").len(), 1);
        assert!(missing("dynamic_interfaces").is_empty());
        // What carries something of the instance puts it into fault as well.
        for (line, lines) in [
            (4, "virtual_rules {\niif no-such-if lookup 100\n}"),
            (
                11,
                "virtual_ipaddress_excluded {\n10.0.0.2 dev no-such-if\n}",
            ),
        ] {
            let missing = loaded(folder.path(), "", lines).missing_interfaces();
            let lines: Vec<u32> = missing.iter().map(|one| one.finding.span.line).collect();
            assert_eq!(lines, [line], "{missing:?}");
        }
    }
}
