//! keepalived.conf(5): text -> words with places -> a document -> [`Config`].
//!
//! Read the files in this order: `config` (what comes out), `lexer` (lines to words, with
//! keepalived's habits of comments, quotes and braces), `source` (includes and `$NAME`
//! definitions), `document` (statements and blocks), `keyword` (how tables work), then one file
//! per block: `global`, `script`, `instance`, `virtual_server`.
//!
//! Where keepalived reports a mistake and starts all the same, this refuses the file: an unknown
//! word, an unbalanced brace, a number out of range. What keepalived does silently (words after a
//! value, a password cut short, a script defined too late) is said.

use std::path::Path;

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

mod address;
mod announcements;
mod auth_hmac;
mod bfd;
mod carried;
mod command;
mod config;
mod document;
mod file;
mod fixed;
mod garp_group;
mod global;
mod identity;
mod instance;
mod keyword;
mod lexer;
mod line;
mod link_delay;
mod names;
mod process;
mod route;
mod rule;
mod script;
mod source;
mod sync_group;
mod track_group;
mod tracked;
mod value;
mod virtual_server;
mod vmac;

pub use auth_hmac::AuthHmac;
pub use config::{
    Announcements, Authentication, Bfd, Check, CheckKind, Command, Config, Edge, Fixed, Global,
    InitFile, InitialState, Instance, LinkDelay, Mail, Notify, NotifyFifo, PacedInterfaces, Pacing,
    Parameters, Peer, Process, RealServer, Reloads, Scheduler, Script, SyncGroup, TrackInterface,
    Tracked, TrackedFile, TrackedProcess, Unicast, User, VirtualAddress, VirtualServer,
};
pub use identity::continued;
pub use keyword::{KeywordInfo, Support};
pub use vmac::{Reminders, Vmac, VmacDevice};

use document::Node;
use keyword::{Context, Keyword, Table, Takes};
pub(in crate::config) use source::SEED;
use source::{Choice, ConfigId};
use tracked::{Counts, Definitions};

/// Reads a file and what it includes. `None` if anything in it is refused; `diagnostics` says
/// what.
pub fn load(path: &Path, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Config> {
    load_for(path, None, false, files, diagnostics)
}

/// The same with a configuration id, which chooses between lines that begin with `@`; this host's name up to its first
/// dot by default. With `every_file` an include that finds nothing is a mistake.
pub fn load_for(
    path: &Path,
    id: Option<&str>,
    every_file: bool,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Option<Config> {
    let mut found = Diagnostics::new();
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let host = host.split('.').next().unwrap_or_default();
    let choice = Choice {
        id: id.map_or(ConfigId::HostName(host), ConfigId::Given),
        every_file,
    };
    let config = read(path, choice, files, &mut found);
    if config.instances.is_empty() && config.virtual_servers.is_empty() && !found.has_errors() {
        found.push(
            Diagnostic::warning(
                Span::whole_file(path),
                "neither a vrrp_instance nor a virtual_server",
            )
            .action("there is nothing to do"),
        );
    }
    let refused = found.has_errors();
    found.sort();
    diagnostics.extend(found.iter().cloned());
    (!refused).then_some(config)
}

fn read(path: &Path, choice: Choice<'_>, files: &dyn Files, found: &mut Diagnostics) -> Config {
    let tokens = source::read(path, choice, files, found);
    let nodes = document::build(tokens, found);
    interpret(&nodes, files, found)
}

/// All keywords that are known, block by block, for documentation.
pub fn keywords() -> impl Iterator<Item = KeywordInfo> {
    TABLE
        .list()
        .chain(global::keywords())
        .chain(script::keywords())
        .chain(process::keywords())
        .chain(file::keywords())
        .chain(bfd::keywords())
        .chain(instance::keywords())
        .chain(sync_group::keywords())
        .chain(garp_group::keywords())
        .chain(track_group::keywords())
        .chain(virtual_server::keywords())
}

/// A file while it is read. Instances wait for `global_defs` and scripts that may come later.
#[derive(Default)]
struct Draft {
    global: global::Draft,
    tracked: Definitions,
    /// Virtual servers, which may name a group that comes later.
    virtual_servers: Vec<Node>,
    groups: Vec<virtual_server::group::Group>,
    fixed: fixed::Draft,
    track_groups: Vec<track_group::Group>,
    /// Sync groups, and how much was defined before each.
    sync_groups: Vec<(Node, Counts)>,
    /// Instances, and how much was defined before each.
    instances: Vec<(Node, Counts)>,
}

const TABLE: Table<Draft> = Table {
    block: "the file's top level",
    keywords: &[&[
        Keyword::repeated(
            "global_defs",
            Takes::BLOCK,
            |draft, node, context| global::read(&mut draft.global, node, context),
            "The process, mail, defaults of the instances.",
        ),
        Keyword::repeated(
            "vrrp_script",
            Takes::named(1, "a name"),
            script,
            "A check that is run again and again.",
        ),
        Keyword::repeated(
            "vrrp_instance",
            Takes::one_name(),
            |draft, node, _| draft.instances.push((node.clone(), draft.tracked.counts())),
            "A virtual router.",
        ),
        Keyword::repeated(
            "virtual_server",
            Takes::named(2, "an address and a port"),
            |draft, node, _| draft.virtual_servers.push(node.clone()),
            "A balanced service.",
        ),
        Keyword::repeated(
            "vrrp_sync_group",
            Takes::one_name(),
            |draft, node, _| {
                draft
                    .sync_groups
                    .push((node.clone(), draft.tracked.counts()))
            },
            "Virtual routers that change their state together.",
        ),
        Keyword::repeated(
            "virtual_server_group",
            Takes::named(1, "a name"),
            |draft, node, context| {
                draft
                    .groups
                    .extend(virtual_server::group::read(node, context));
            },
            "Addresses that share one virtual_server.",
        ),
        Keyword::repeated(
            "static_ipaddress",
            Takes::BLOCK,
            |draft, node, context| fixed::addresses(&mut draft.fixed, node, context),
            "Addresses that are there whoever is master.",
        ),
        Keyword::repeated(
            "static_routes",
            Takes::BLOCK,
            |draft, node, context| fixed::routes(&mut draft.fixed, node, context),
            "Routes that are there whoever is master.",
        ),
        Keyword::repeated(
            "static_rules",
            Takes::BLOCK,
            |draft, node, context| fixed::rules(&mut draft.fixed, node, context),
            "Rules that are there whoever is master.",
        ),
        Keyword::repeated(
            "track_group",
            Takes::named(1, "a name"),
            |draft, node, context| draft.track_groups.extend(track_group::read(node, context)),
            "Instances that are in fault while the interface of something static is lost.",
        ),
        Keyword::repeated(
            "vrrp_track_process",
            Takes::named(1, "a name"),
            process,
            "Processes that are counted.",
        ),
        Keyword::repeated(
            "track_process",
            Takes::named(1, "a name"),
            process,
            "As vrrp_track_process.",
        ),
        Keyword::obsolete(
            "vrrp_track_file",
            Takes::named(1, "a name"),
            file,
            "track_file",
        ),
        Keyword::repeated(
            "track_file",
            Takes::named(1, "a name"),
            file,
            "A file that holds a number, which is read whenever it changes.",
        ),
        Keyword::repeated(
            "bfd_instance",
            Takes::named(1, "a name"),
            bfd,
            "A neighbour that is watched by Bidirectional Forwarding Detection (RFC 5880).",
        ),
        Keyword::repeated(
            "garp_group",
            Takes::BLOCK,
            |draft, node, context| {
                let groups = &mut draft.global.global.pacing.groups;
                let group = garp_group::read(groups, node, context);
                groups.push(group);
            },
            "Interfaces on which announcements wait for each other.",
        ),
        Keyword::read(
            "net_namespace",
            Takes::one("a network namespace"),
            |d, n, c| global::process::namespace(&mut d.global, n, c),
            "The daemon runs in this network namespace, from the start.",
        ),
        Keyword::ignored("net_namespace_ipvs", global::NAMESPACE),
        Keyword::ignored("namespace_with_ipsets", global::NAMESPACE),
        Keyword::read(
            "instance",
            Takes::one("a name"),
            |d, n, c| global::process::instance(&mut d.global, n, c),
            "A part of the names of pid files, which lie in /run/keepalived.",
        ),
        Keyword::read(
            "use_pid_dir",
            Takes::FLAG,
            |d, n, c| global::process::pid_folder(&mut d.global, n, c),
            "Pid files lie in /run/keepalived.",
        ),
        Keyword::ignored("linkbeat_use_polling", "the kernel reports link changes"),
        Keyword::ignored("child_wait_time", global::STOPPING),
        Keyword::ignored("linkbeat_interfaces", "the kernel reports link changes"),
        Keyword::repeated(
            "interface_up_down_delays",
            Takes::BLOCK,
            |draft, node, context| {
                let delays = &mut draft.global.global.link_delays;
                delays.extend(link_delay::read(node, context));
            },
            "How long the loss and the return of a link must last until they count.",
        ),
        Keyword::ignored("ssl", "checks do not speak TLS"),
        Keyword::ignored("SSL", "checks do not speak TLS"),
    ]],
};

/// keepalived's priority of the first rule that has none.
const RULES_FROM: u32 = 16_384;

fn bfd(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let read = bfd::read(node, context);
    let read = read.filter(|read| bfd::is_new(&draft.tracked.bfds, read, context));
    tracked::add(&mut draft.tracked.bfds, read, context);
}

fn interpret(nodes: &[Node], files: &dyn Files, diagnostics: &mut Diagnostics) -> Config {
    let mut context = Context {
        diagnostics,
        files,
        priorities: (RULES_FROM, RULES_FROM),
    };
    let mut draft = Draft::default();
    context.read(&mut draft, nodes, &TABLE);
    let defaults = draft.global.defaults;
    global::process::place(&mut draft.global.global);
    draft.global.global.notify_fifos = draft.global.fifos.finish(&mut context);
    let mut instances: Vec<Instance> = Vec::new();
    let mut vmacs = Vec::new();
    for (node, before) in &draft.instances {
        let read = instance::read(node, defaults.announcements, *before, &mut context);
        let finished =
            read.and_then(|read| instance::finish(read, &defaults, &draft.tracked, &mut context));
        if let Some((instance, vmac)) = finished
            && is_new(&instances, &instance, &mut context)
        {
            instances.push(instance);
            vmacs.push(vmac);
        }
    }
    vmac::assign(&mut instances, &vmacs, &defaults.vmac, &mut context);
    let names = draft.instances.iter();
    let names: Vec<&str> = names
        .filter_map(|(node, _)| Some(node.arguments.first()?.text.as_str()))
        .collect();
    let groups = draft.sync_groups.iter();
    let groups = groups.filter_map(|(node, before)| sync_group::read(node, *before, &mut context));
    let groups: Vec<_> = groups.collect();
    let sync_groups = sync_group::finish(
        groups,
        (&names, defaults.mails()),
        &mut instances,
        &draft.tracked,
        &mut context,
    );
    let (fixed, lines) = fixed::finish(draft.fixed, &defaults, instances.is_empty(), &mut context);
    let groups = &draft.track_groups;
    track_group::finish(groups, &lines, &names, &mut instances, &mut context);
    carried::track(&mut instances, &mut context);
    link_delay::bound(
        &mut draft.global.global.link_delays,
        &instances,
        &mut context,
    );
    mail_goes_nowhere(&draft.global.global, &instances, &sync_groups, &mut context);
    let virtual_servers = draft
        .virtual_servers
        .iter()
        .flat_map(|node| virtual_server::read(node, &draft.groups, &mut context))
        .collect();
    Config {
        global: draft.global.global,
        scripts: draft.tracked.scripts,
        files: draft.tracked.files,
        processes: draft.tracked.processes,
        bfds: draft.tracked.bfds,
        instances,
        sync_groups,
        virtual_servers,
        fixed,
    }
}

fn script(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let read = script::read(node, context);
    tracked::add(&mut draft.tracked.scripts, read, context);
}

fn process(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let read = process::read(node, context);
    tracked::add(&mut draft.tracked.processes, read, context);
}

fn file(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let read = file::read(node, context);
    tracked::add(&mut draft.tracked.files, read, context);
}

/// keepalived sends nothing then, and does not say so.
fn mail_goes_nowhere(
    global: &Global,
    instances: &[Instance],
    groups: &[SyncGroup],
    context: &mut Context<'_>,
) {
    let missing = match (&global.mail.server, global.mail.to.is_empty()) {
        (Some(_), false) => return,
        (None, _) => "smtp_server",
        (Some(_), true) => "notification_email",
    };
    let instances = instances.iter().filter(|one| one.smtp_alert);
    let groups = groups.iter().filter(|one| one.smtp_alert);
    let mut spans = instances
        .map(|one| &one.span)
        .chain(groups.map(|one| &one.span));
    if let Some(span) = spans.next() {
        context.diagnostics.push(
            Diagnostic::warning(
                span.clone(),
                format!("`smtp_alert` without `{missing}` in global_defs"),
            )
            .action("no mail is sent, as by keepalived"),
        );
    }
}

/// Names are unique, and so are virtual router identifiers on an interface among those who can hear each other.
fn is_new(instances: &[Instance], new: &Instance, context: &mut Context<'_>) -> bool {
    let mut is_new = true;
    for known in instances {
        if known.name == new.name {
            context.twice(&new.span, "vrrp_instance", &new.name, &known.span);
            is_new = false;
        } else if (&known.interface, known.family, known.vrid)
            == (&new.interface, new.family, new.vrid)
            && hear_each_other(known, new)
        {
            let message = format!(
                "`virtual_router_id {}` on `{}` is that of instance `{}` already",
                new.vrid, new.interface, known.name
            );
            context.diagnostics.push(
                Diagnostic::error(new.span.clone(), message)
                    .found(&*new.name)
                    .expected("another virtual_router_id"),
            );
            is_new = false;
        }
    }
    is_new
}

/// keepalived.conf(5), `virtual_router_id`: it may be used again with other unicast peers, or another group.
fn hear_each_other(one: &Instance, other: &Instance) -> bool {
    match (&one.unicast, &other.unicast) {
        (None, None) => one.group == other.group,
        (Some(one), Some(other)) => {
            let other: Vec<_> = other.peers.iter().map(|peer| peer.address).collect();
            one.peers.iter().any(|peer| other.contains(&peer.address))
        }
        _ => false,
    }
}

impl Context<'_> {
    fn twice(&mut self, span: &Span, block: &str, name: &str, known: &Span) {
        self.diagnostics.push(
            Diagnostic::error(span.clone(), format!("a second `{block}` of this name"))
                .found(name)
                .expected(format!("another name than at {known}")),
        );
    }
}

#[cfg(test)]
mod tests;
