//! `vrrp_sync_group`: which instances change their state together, what all of them track, and who is told.

use std::sync::Arc;

use super::{
    config::{Instance, Notify, SyncGroup, TrackInterface, Tracked},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, closest, inside},
    lexer::Word,
    tracked::{AllTracked, Counts, Definitions, TrackLine, TrackLines, track},
};
use crate::config::diagnostic::{Diagnostic, Span};

/// A group while it is read.
pub(super) struct Draft {
    name: Word,
    before: Counts,
    members: Vec<Word>,
    track_interfaces: Vec<TrackLine>,
    tracks: TrackLines,
    weighted: bool,
    notify: Notify,
    notify_priority_changes: bool,
    smtp_alert: Option<bool>,
}

const TABLE: Table<Draft> = Table {
    block: "vrrp_sync_group",
    keywords: &[&[
        Keyword::read(
            "group",
            Takes::BLOCK,
            members,
            "The instances that change their state together.",
        ),
        Keyword::read(
            "track_interface",
            Takes::BLOCK,
            |d, n, c| track(&mut d.track_interfaces, n, c, 253),
            "Interfaces that every member tracks.",
        ),
        Keyword::read(
            "track_script",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.scripts, n, c, 253),
            "Scripts that every member tracks.",
        ),
        Keyword::read(
            "track_process",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.processes, n, c, 254),
            "Processes that every member tracks.",
        ),
        Keyword::read(
            "track_file",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.files, n, c, 254),
            "Files that every member tracks.",
        ),
        Keyword::read(
            "track_bfd",
            Takes::BLOCK,
            |d, n, c| track(&mut d.tracks.bfds, n, c, 253),
            "Neighbours that every member tracks.",
        ),
        Keyword::read(
            "sync_group_tracking_weight",
            Takes::FLAG,
            |d, n, c| d.weighted = c.flag(n),
            "Weights of what single members track count.",
        ),
        Keyword::obsolete(
            "global_tracking",
            Takes::FLAG,
            |d, n, c| d.weighted = c.flag(n),
            "sync_group_tracking_weight",
        ),
        Keyword::read(
            "notify_master",
            Takes::words(1, 3, "a command"),
            |d, n, c| d.notify.master = c.notify_command(n),
            "Run when all members are master.",
        ),
        Keyword::read(
            "notify_backup",
            Takes::words(1, 3, "a command"),
            |d, n, c| d.notify.backup = c.notify_command(n),
            "Run when the members are backups.",
        ),
        Keyword::read(
            "notify_fault",
            Takes::words(1, 3, "a command"),
            |d, n, c| d.notify.fault = c.notify_command(n),
            "Run when a fault holds the members out.",
        ),
        Keyword::read(
            "notify_stop",
            Takes::words(1, 3, "a command"),
            |d, n, c| d.notify.stop = c.notify_command(n),
            "Run when the daemon stops.",
        ),
        Keyword::read(
            "notify",
            Takes::words(1, 3, "a command"),
            |d, n, c| d.notify.any = c.notify_command(n),
            "Run for each change, with `GROUP name state 0` after its own words.",
        ),
        Keyword::read(
            "notify_deleted",
            Takes::words(0, 3, "a command, perhaps user and group"),
            |d, n, c| {
                d.notify.says_deleted = true;
                d.notify.deleted = c.notify_command(n);
            },
            "Run when a reload has taken the group away, with DELETED for `notify`.",
        ),
        Keyword::read(
            "notify_priority_changes",
            Takes::FLAG,
            |d, n, c| d.notify_priority_changes = c.flag(n),
            "Fifos get a line when tracking changes a member's priority.",
        ),
        Keyword::read(
            "smtp_alert",
            Takes::FLAG,
            |d, n, c| d.smtp_alert = Some(c.flag(n)),
            "Alerts by mail on each change of state of the group.",
        ),
    ]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list()
}

/// Reads `vrrp_sync_group NAME { ... }`; `before` is how much was defined before.
pub(super) fn read(node: &Node, before: Counts, context: &mut Context<'_>) -> Option<Draft> {
    let mut draft = Draft {
        name: node.arguments.first()?.clone(),
        before,
        members: Vec::new(),
        track_interfaces: Vec::new(),
        tracks: TrackLines::default(),
        weighted: false,
        notify: Notify::default(),
        notify_priority_changes: false,
        smtp_alert: None,
    };
    context.read(&mut draft, inside(node), &TABLE);
    Some(draft)
}

/// Names, one or more in a line.
fn members(draft: &mut Draft, node: &Node, _: &mut Context<'_>) {
    for line in inside(node) {
        draft.members.push(line.keyword.clone());
        draft.members.extend(line.arguments.iter().cloned());
    }
}

/// Completes all groups; what they track goes to their members. `declared` are the names of all instances, also of
/// those that were refused; `mails` is the default of `smtp_alert`.
pub(super) fn finish(
    drafts: Vec<Draft>,
    (declared, mails): (&[&str], bool),
    instances: &mut [Instance],
    definitions: &Definitions,
    context: &mut Context<'_>,
) -> Vec<SyncGroup> {
    let mut groups: Vec<SyncGroup> = Vec::new();
    for draft in drafts {
        if let Some(known) = groups.iter().find(|one| *one.name == *draft.name.text) {
            context.twice(
                &draft.name.span,
                "vrrp_sync_group",
                &draft.name.text,
                &known.span,
            );
            continue;
        }
        let members = draft.known_members(declared, &groups, context);
        if members.is_empty() {
            context.diagnostics.push(
                Diagnostic::warning(draft.name.span.clone(), "a sync group without members")
                    .found(&draft.name.text)
                    .action("it is ignored, as by keepalived"),
            );
            continue;
        }
        if let [_] = members[..] {
            context.diagnostics.push(
                Diagnostic::warning(draft.name.span.clone(), "a sync group with one member")
                    .found(&draft.name.text)
                    .action("there is nobody to change its state with")
                    .counted(),
            );
        }
        let common = definitions.find(&draft.tracks, draft.before, true, context);
        for instance in instances.iter_mut().filter(|i| members.contains(&i.name)) {
            if !draft.weighted {
                weigh_nothing(instance, definitions, context);
            }
            instance.notify_priority_changes |= draft.notify_priority_changes;
            draft.share(instance, &common, definitions, context);
        }
        groups.push(SyncGroup {
            name: Arc::from(draft.name.text.as_str()),
            span: draft.name.span,
            members,
            notify: draft.notify,
            smtp_alert: draft.smtp_alert.unwrap_or(mails),
        });
    }
    groups
}

impl Draft {
    fn known_members(
        &self,
        declared: &[&str],
        groups: &[SyncGroup],
        context: &mut Context<'_>,
    ) -> Vec<Arc<str>> {
        let mut members: Vec<Arc<str>> = Vec::new();
        for word in &self.members {
            let name = word.text.as_str();
            let other = groups
                .iter()
                .find(|one| one.members.iter().any(|member| **member == *name));
            if !declared.contains(&name) {
                let near = closest(name, declared.iter().copied());
                context.diagnostics.push(
                    Diagnostic::error(word.span.clone(), "no `vrrp_instance` of this name")
                        .found(name)
                        .expected("the name of a `vrrp_instance`")
                        .suggestion(near),
                );
            } else if let Some(other) = other {
                context.diagnostics.push(
                    Diagnostic::error(
                        word.span.clone(),
                        format!("an instance of sync group `{}` already", other.name),
                    )
                    .found(name)
                    .expected("each instance in one sync group at most"),
                );
            } else if !members.iter().any(|member| **member == *name) {
                members.push(Arc::from(name));
            }
        }
        members
    }

    /// Gives a member what all of them track. Where it tracks the same, the group's line counts.
    fn share(
        &self,
        instance: &mut Instance,
        common: &AllTracked,
        definitions: &Definitions,
        context: &mut Context<'_>,
    ) {
        let mut twice = |span: &Span, name: &str| {
            context.diagnostics.push(
                Diagnostic::warning(span.clone(), "tracked by a sync group and by its member")
                    .found(name)
                    .action("the sync group's line counts"),
            );
        };
        let mut share = |own: &mut Vec<Tracked>, common: &[Tracked], names: &[&str]| {
            for track in common {
                let before = own.len();
                own.retain(|own| own.position != track.position);
                if own.len() < before {
                    twice(&instance.span, names.get(track.position).unwrap_or(&"?"));
                }
                own.push(*track);
            }
        };
        let [scripts, files, processes, bfds] = definitions.names();
        share(&mut instance.track_scripts, &common.scripts, &scripts);
        share(&mut instance.track_files, &common.files, &files);
        share(&mut instance.track_processes, &common.processes, &processes);
        share(&mut instance.track_bfds, &common.bfds, &bfds);
        for line in &self.track_interfaces {
            let name = &line.name.text;
            // Its own is tracked in any case.
            if *name == instance.interface && instance.track_primary {
                continue;
            }
            let before = instance.track_interfaces.len();
            instance.track_interfaces.retain(|own| own.name != *name);
            if instance.track_interfaces.len() < before {
                twice(&line.name.span, name);
            }
            instance.track_interfaces.push(TrackInterface {
                name: name.clone(),
                weight: line.weight.unwrap_or(0),
                reverse: line.reverse.unwrap_or(false),
                implied: false,
            });
        }
    }
}

/// keepalived: what a single member tracks must not make its priority differ from the others'. What has a weight is
/// not tracked at all, the loss of an interface is a fault.
fn weigh_nothing(instance: &mut Instance, definitions: &Definitions, context: &mut Context<'_>) {
    let mut say = |what: &str, action: String| {
        context.diagnostics.push(
            Diagnostic::warning(instance.span.clone(), what)
                .found(&*instance.name)
                .action(action)
                .counted(),
        );
    };
    let mut drop_weights = |own: &mut Vec<Tracked>, kind: &str, names: &[&str]| {
        own.retain(|track| {
            if track.weight != 0 {
                say(
                    &format!("a member of a sync group tracks a {kind} with a weight"),
                    format!(
                        "{kind} `{}` is not tracked, as by keepalived: let the group track it, or write \
                         `sync_group_tracking_weight`",
                        names.get(track.position).unwrap_or(&"?")
                    ),
                );
            }
            track.weight == 0
        });
    };
    let [scripts, files, processes, bfds] = definitions.names();
    drop_weights(&mut instance.track_scripts, "script", &scripts);
    drop_weights(&mut instance.track_files, "file", &files);
    drop_weights(&mut instance.track_processes, "process", &processes);
    drop_weights(&mut instance.track_bfds, "neighbour", &bfds);
    for track in &mut instance.track_interfaces {
        if track.weight != 0 {
            say(
                "a member of a sync group tracks an interface with a weight",
                format!(
                    "the loss of `{}` is a fault, as for keepalived: write `sync_group_tracking_weight` if it is \
                     to change the priority",
                    track.name
                ),
            );
            (track.weight, track.reverse) = (0, false);
        }
    }
}
