//! keepalived's half of a plan.

use std::sync::Arc;

use vrrp_proto::Priority;

use super::{Kind, Names, Plan, Settings};
use crate::config::{
    diagnostic::Span,
    keepalived::{
        Authentication, Bfd, Command, Config, Edge, Fixed, Global, Instance, Notify, Pacing,
        Process, Reloads, Script, SyncGroup, Tracked, TrackedFile, TrackedProcess, User,
        VirtualAddress, continued,
    },
};

/// What differs between two sets of virtual routers.
pub(super) fn compare(plan: &mut Plan, old: Option<&Config>, new: Option<&Config>) {
    let empty = Config::default();
    let (old, new) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
    global(plan, &old.global, &new.global);
    let scripts = (&*old.scripts, &*new.scripts);
    definitions(plan, "vrrp_script", scripts, |one| &one.name, script);
    let files = (&*old.files, &*new.files);
    definitions(plan, "track_file", files, |one| &one.name, file);
    let processes = (&*old.processes, &*new.processes);
    definitions(
        plan,
        "vrrp_track_process",
        processes,
        |one| &one.name,
        process,
    );
    let bfds = (&*old.bfds, &*new.bfds);
    definitions(plan, "bfd_instance", bfds, |one| &one.name, bfd);
    standing(plan, &old.fixed, &new.fixed);
    sync_groups(plan, &old.sync_groups, &new.sync_groups);
    let names = |config: &Config| {
        let names = config.instances.iter().map(|i| i.name.to_string());
        names.collect::<Vec<_>>()
    };
    let (before, after) = (names(old), names(new));
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let names = Names::new(&before, &after);
    let goes_on = continued(&old.instances, &new.instances).into_iter();
    let goes_on = goes_on.filter_map(|(at_old, at_new)| {
        Some((old.instances.get(at_old)?, new.instances.get(at_new)?))
    });
    let goes_on: Vec<_> = goes_on.collect();
    // Whose state an instance takes over under its new name.
    let predecessor = |name: &str| {
        let mut renamed = goes_on.iter().filter(|(old, new)| old.name != new.name);
        renamed.find(|(_, new)| *new.name == *name).copied()
    };
    let is_succeeded = |name: &str| goes_on.iter().any(|(old, _)| *old.name == *name);
    for name in names.removed.iter().filter(|name| !is_succeeded(name)) {
        plan.add(Kind::Removed, format!("vrrp_instance {name}"));
    }
    for name in &names.added {
        match predecessor(name) {
            Some((before, after)) => {
                let mut settings = settings((before, old), (after, new));
                settings.0.insert(0, format!("new name of {}", before.name));
                plan.change(format!("vrrp_instance {name}"), settings.0);
            }
            None => plan.add(Kind::Added, format!("vrrp_instance {name}")),
        }
    }
    for name in &names.moved {
        plan.add(Kind::Moved, format!("vrrp_instance {name}"));
    }
    for (at_old, at_new) in names.kept {
        if let (Some(before), Some(after)) = (old.instances.get(at_old), new.instances.get(at_new))
        {
            let what = format!("vrrp_instance {}", after.name);
            let fixed = fixed(before, after);
            let mut settings = settings((before, old), (after, new));
            settings.named(
                "other settings",
                settings.0.is_empty() && fixed.is_empty() && rest(before) != rest(after),
            );
            if !fixed.is_empty() {
                let so = match predecessor(&after.name) {
                    Some((before, _)) => format!("it goes on as {} did", before.name),
                    None => "it ends and starts anew".to_owned(),
                };
                settings.0.insert(0, format!("{} ({so})", fixed.join(", ")));
            }
            plan.change(what, settings.0);
        }
    }
}

/// What is defined in one file and not in the other, or otherwise; `differs` names the settings.
fn definitions<T>(
    plan: &mut Plan,
    keyword: &str,
    (old, new): (&[T], &[T]),
    name: fn(&T) -> &str,
    differs: fn(&T, &T, &mut Settings),
) {
    let before: Vec<&str> = old.iter().map(name).collect();
    let after: Vec<&str> = new.iter().map(name).collect();
    let names = Names::new(&before, &after);
    for name in &names.removed {
        plan.add(Kind::Removed, format!("{keyword} {name}"));
    }
    for name in &names.added {
        plan.add(Kind::Added, format!("{keyword} {name}"));
    }
    for (at_old, at_new) in names.kept {
        if let (Some(old), Some(new)) = (old.get(at_old), new.get(at_new)) {
            let mut settings = Settings::default();
            differs(old, new, &mut settings);
            plan.change(format!("{keyword} {}", name(new)), settings.0);
        }
    }
}

fn script(old: &Script, new: &Script, settings: &mut Settings) {
    settings.named("script", command(&old.command) != command(&new.command));
    settings.named("interval", old.interval != new.interval);
    settings.named("timeout", old.timeout != new.timeout);
    settings.named("rise", old.rise != new.rise);
    settings.named("fall", old.fall != new.fall);
    settings.named("init_fail", old.init_fail != new.init_fail);
}

fn file(old: &TrackedFile, new: &TrackedFile, settings: &mut Settings) {
    settings.named("file", old.path != new.path);
    settings.named("init_file", old.init != new.init);
}

fn process(old: &TrackedProcess, new: &TrackedProcess, settings: &mut Settings) {
    let compared = |p: &TrackedProcess| (p.program.clone(), p.parameters.clone(), p.full_command);
    settings.named("process", compared(old) != compared(new));
    let quorum = |p: &TrackedProcess| (p.quorum, p.quorum_max);
    settings.named("quorum", quorum(old) != quorum(new));
    let delays = |p: &TrackedProcess| (p.fork_delay, p.terminate_delay);
    settings.named("delay", delays(old) != delays(new));
}

fn sync_groups(plan: &mut Plan, old: &[SyncGroup], new: &[SyncGroup]) {
    let names = |groups: &[SyncGroup]| -> Vec<String> {
        groups.iter().map(|group| group.name.to_string()).collect()
    };
    let (before, after) = (names(old), names(new));
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let names = Names::new(&before, &after);
    for name in &names.removed {
        plan.add(Kind::Removed, format!("vrrp_sync_group {name}"));
    }
    for name in &names.added {
        plan.add(Kind::Added, format!("vrrp_sync_group {name}"));
    }
    for (at_old, at_new) in names.kept {
        if let (Some(old), Some(new)) = (old.get(at_old), new.get(at_new)) {
            let mut settings = Settings::default();
            settings.shown("group", old.members.join(" "), new.members.join(" "));
            settings.named("notify", notify(&old.notify) != notify(&new.notify));
            settings.named("smtp_alert", old.smtp_alert != new.smtp_alert);
            plan.change(format!("vrrp_sync_group {}", new.name), settings.0);
        }
    }
}

fn global(plan: &mut Plan, old: &Global, new: &Global) {
    let mut settings = Settings::default();
    settings.named("router_id", old.router_id != new.router_id);
    let fifos = |global: &Global| -> Vec<_> {
        let fifos = global.notify_fifos.iter();
        fifos
            .map(|fifo| {
                let reader = fifo.reader.as_ref().map(command);
                (fifo.path.clone(), fifo.owner.clone(), reader)
            })
            .collect()
    };
    let edge = |edge: &Edge| (edge.command.as_ref().map(command), edge.limit);
    for (name, differs) in [
        ("vrrp_notify_fifo", fifos(old) != fifos(new)),
        ("script_user", old.script_user != new.script_user),
        ("startup_script", edge(&old.startup) != edge(&new.startup)),
        (
            "shutdown_script",
            edge(&old.shutdown) != edge(&new.shutdown),
        ),
    ] {
        settings.named(name, differs);
    }
    settings.named("vrrp_garp_interval", old.pacing != new.pacing);
    let delays = |global: &Global| -> Vec<_> {
        let delays = global.link_delays.iter();
        delays
            .map(|one| (one.interface.clone(), one.down, one.up))
            .collect()
    };
    settings.named("interface_up_down_delays", delays(old) != delays(new));
    let unknown = (old.log_unknown_vrids, new.log_unknown_vrids);
    settings.named("log_unknown_vrids", unknown.0 != unknown.1);
    reloads(&mut settings, &old.reloads, &new.reloads);
    let (before, after) = (&old.process, &new.process);
    for (name, differs) in [
        ("net_namespace", before.namespace != after.namespace),
        ("instance", before.instance != after.instance),
        ("use_pid_dir", before.pid_folder != after.pid_folder),
        ("umask", before.umask != after.umask),
        ("vrrp_priority", before.nice != after.nice),
        ("vrrp_rt_priority", before.real_time != after.real_time),
        (
            "vrrp_rlimit_rttime",
            before.real_time_limit != after.real_time_limit,
        ),
        (
            "max_auto_priority",
            before.never_in_advance != after.never_in_advance,
        ),
        ("vrrp_cpu_affinity", before.processors != after.processors),
        ("vrrp_no_swap", before.no_swap != after.no_swap),
    ] {
        settings.named(&format!("{name} (from the next start)"), differs);
    }
    let rest = |global: &Global| Global {
        process: Process::default(),
        reloads: Reloads::default(),
        log_unknown_vrids: false,
        pacing: Pacing::default(),
        link_delays: Vec::new(),
        router_id: None,
        notify_fifos: Vec::new(),
        script_user: None,
        startup: Edge::default(),
        shutdown: Edge::default(),
        ..global.clone()
    };
    settings.named("other settings", rest(old) != rest(new));
    plan.change("global_defs", settings.0);
}

fn reloads(settings: &mut Settings, old: &Reloads, new: &Reloads) {
    for (name, differs) in [
        ("reload_time_file", old.time_file != new.time_file),
        ("reload_repeat", old.repeat != new.repeat),
        ("reload_file", old.mark != new.mark),
        ("config_save_dir", old.saved != new.saved),
    ] {
        settings.named(name, differs);
    }
}

fn standing(plan: &mut Plan, old: &Fixed, new: &Fixed) {
    let addresses = |of: &Fixed| placeless(of.addresses.iter());
    let differ = [
        ("static_ipaddress", addresses(old) != addresses(new)),
        ("static_routes", old.routes != new.routes),
        ("static_rules", old.rules != new.rules),
    ];
    for (what, _) in differ.iter().filter(|(_, differs)| *differs) {
        plan.change(*what, vec!["other lines".to_owned()]);
    }
}

/// What makes an instance who it is: with another one of these it ends and starts anew.
fn fixed(old: &Instance, new: &Instance) -> Vec<String> {
    let mut settings = Settings::default();
    settings.shown("interface", &old.interface, &new.interface);
    settings.shown("virtual_router_id", old.vrid.value(), new.vrid.value());
    settings.named(
        "version",
        (old.version, old.family) != (new.version, new.family),
    );
    let owner = |i: &Instance| i.priority == Priority::OWNER;
    settings.named("priority 255", owner(old) != owner(new));
    let header = |i: &Instance| matches!(i.authentication, Some(Authentication::Header(_)));
    settings.named("auth_type AH", header(old) != header(new));
    settings.named(
        "unicast_peer",
        old.unicast.is_some() != new.unicast.is_some(),
    );
    settings.named("source address", old.source != new.source);
    settings.named("group", old.group != new.group);
    settings.named("accept", old.accept != new.accept);
    settings.named("use_vmac", old.vmac != new.vmac);
    settings.named("dont_track_primary", old.track_primary != new.track_primary);
    settings.0
}

/// What is changed in place.
fn settings((old, of): (&Instance, &Config), (new, in_new): (&Instance, &Config)) -> Settings {
    let mut settings = Settings::default();
    settings.shown("priority", old.priority.value(), new.priority.value());
    settings.named("advert_int", old.interval != new.interval);
    settings.named("nopreempt", old.preempt != new.preempt);
    settings.named("preempt_delay", old.preempt_delay != new.preempt_delay);
    settings.named("authentication", old.authentication != new.authentication);
    settings.named("auth_hmac", old.auth_hmac != new.auth_hmac);
    settings.named("virtual_ipaddress", addresses(old) != addresses(new));
    settings.named(
        "promote_secondaries",
        old.promote_secondaries != new.promote_secondaries,
    );
    settings.named("virtual_routes", old.routes != new.routes);
    settings.named("virtual_rules", old.rules != new.rules);
    settings.named(
        "track_interface",
        old.track_interfaces != new.track_interfaces,
    );
    settings.named("track_script", tracks(old, of) != tracks(new, in_new));
    settings.named("unicast_peer", old.unicast != new.unicast);
    settings.named("garp", old.announcements != new.announcements);
    settings.named("v3_checksum_as_v2", old.checksum != new.checksum);
    let policy = |i: &Instance| {
        (
            i.lower_priority_no_advert,
            i.higher_priority_send_advert,
            i.owner_ignore_adverts,
            i.down_timer_adverts,
        )
    };
    settings.named("election options", policy(old) != policy(new));
    settings.named("notify", notify(&old.notify) != notify(&new.notify));
    settings
}

/// What has no name of its own above.
fn rest(instance: &Instance) -> Instance {
    let nowhere = Span::new(Arc::from(""), 0, 0);
    Instance {
        span: nowhere,
        notify: Notify::default(),
        addresses: Vec::new(),
        excluded_addresses: Vec::new(),
        track_scripts: Vec::new(),
        track_files: Vec::new(),
        track_processes: Vec::new(),
        track_bfds: Vec::new(),
        ..instance.clone()
    }
}

/// Addresses without the places where they were written.
fn addresses(instance: &Instance) -> Vec<VirtualAddress> {
    let both = instance
        .addresses
        .iter()
        .chain(&instance.excluded_addresses);
    placeless(both)
}

fn placeless<'v>(all: impl Iterator<Item = &'v VirtualAddress>) -> Vec<VirtualAddress> {
    let nowhere = Span::new(Arc::from(""), 0, 0);
    let placeless = |vip: &VirtualAddress| VirtualAddress {
        span: nowhere.clone(),
        ..vip.clone()
    };
    all.map(placeless).collect()
}

fn bfd(old: &Bfd, new: &Bfd, settings: &mut Settings) {
    let way = |one: &Bfd| (one.neighbour, one.source, one.hop_limit);
    settings.named("addresses (a new session)", way(old) != way(new));
    let times = |one: &Bfd| (one.min_rx, one.min_tx, one.idle_tx, one.multiplier);
    settings.named("intervals", times(old) != times(new));
    let rest = |one: &Bfd| (one.passive, one.max_hops);
    settings.named("options", rest(old) != rest(new));
}

/// What is tracked by name: its place in the file does not matter.
fn tracks(instance: &Instance, config: &Config) -> Vec<(String, i16, bool)> {
    let script = |at: usize| {
        config
            .scripts
            .get(at)
            .map(|one| format!("script {}", one.name))
    };
    let file = |at: usize| config.files.get(at).map(|one| format!("file {}", one.name));
    let process = |at: usize| {
        let process = config.processes.get(at);
        process.map(|one| format!("process {}", one.name))
    };
    let bfd = |at: usize| config.bfds.get(at).map(|one| format!("bfd {}", one.name));
    let named = |tracked: &[Tracked], name: &dyn Fn(usize) -> Option<String>| {
        let named = tracked.iter();
        let named =
            named.filter_map(|track| Some((name(track.position)?, track.weight, track.reverse)));
        named.collect::<Vec<_>>()
    };
    [
        named(&instance.track_scripts, &script),
        named(&instance.track_files, &file),
        named(&instance.track_processes, &process),
        named(&instance.track_bfds, &bfd),
    ]
    .concat()
}

/// Notify scripts without the places where they were written.
/// A command without its place.
fn command(written: &Command) -> (Vec<String>, Option<User>) {
    (written.arguments.clone(), written.user.clone())
}

fn notify(notify: &Notify) -> Notify<(Vec<String>, Option<User>)> {
    notify.map(command)
}
