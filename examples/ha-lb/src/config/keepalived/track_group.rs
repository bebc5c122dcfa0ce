//! `track_group`: instances that are in fault while an interface is lost that something static is on.
//!
//! As with keepalived that is all that is tracked of it: what another program removes is put back.

use super::{
    config::{Instance, TrackInterface},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, closest, inside},
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

/// A group.
pub(super) struct Group {
    name: Word,
    members: Vec<Word>,
}

/// Something static that names a group.
pub(super) struct Line {
    pub(super) group: Word,
    /// The interface that it is on.
    pub(super) interface: Option<String>,
    /// `no_track`.
    pub(super) untracked: bool,
}

const TABLE: Table<Vec<Word>> = Table {
    block: "track_group",
    keywords: &[&[Keyword::repeated(
        "group",
        Takes::BLOCK,
        members,
        "The instances that are in fault while the interface of something static in the group is lost.",
    )]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list()
}

/// Names, one or more in a line.
fn members(members: &mut Vec<Word>, node: &Node, _: &mut Context<'_>) {
    for line in inside(node) {
        members.push(line.keyword.clone());
        members.extend(line.arguments.iter().cloned());
    }
}

/// Reads `track_group NAME { group { ... } }`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<Group> {
    let name = node.arguments.first()?.clone();
    let mut members = Vec::new();
    context.read(&mut members, inside(node), &TABLE);
    Some(Group { name, members })
}

/// The instances of the groups track the interfaces of the lines. `declared` are the names of all instances, also of
/// those that were refused.
pub(super) fn finish(
    groups: &[Group],
    lines: &[Line],
    declared: &[&str],
    instances: &mut [Instance],
    context: &mut Context<'_>,
) {
    for (position, group) in groups.iter().enumerate() {
        let mut before = groups.iter().take(position);
        match before.find(|known| known.name.text == group.name.text) {
            Some(known) => group.is_second(known, context),
            None => group.check(declared, context),
        }
    }
    for line in lines {
        let name = &line.group.text;
        let Some(group) = groups.iter().find(|group| group.name.text == *name) else {
            let near = closest(name, groups.iter().map(|group| group.name.text.as_str()));
            context.diagnostics.push(
                Diagnostic::error(line.group.span.clone(), "no `track_group` of this name")
                    .found(name)
                    .expected("a block `track_group` with this name")
                    .suggestion(near),
            );
            continue;
        };
        if let Some(interface) = line.tracked(context) {
            group.track(interface, instances);
        }
    }
}

impl Line {
    fn tracked(&self, context: &mut Context<'_>) -> Option<&str> {
        let what = match (&self.interface, self.untracked) {
            (Some(interface), false) => return Some(interface),
            (_, true) => "`track_group` together with `no_track`",
            (None, false) => "`track_group` of something without an interface",
        };
        let said = Diagnostic::warning(self.group.span.clone(), what)
            .found(&self.group.text)
            .action("it is not tracked, as by keepalived");
        context.diagnostics.push(match self.untracked {
            true => said,
            false => said.counted(),
        });
        None
    }
}

impl Group {
    fn is_second(&self, known: &Self, context: &mut Context<'_>) {
        let counts = &known.name.span;
        context.diagnostics.push(
            Diagnostic::warning(
                self.name.span.clone(),
                "a second `track_group` of this name",
            )
            .found(&self.name.text)
            .action(format!(
                "the first one counts, at {counts}, not this one, as for keepalived"
            ))
            .counted(),
        );
    }

    fn check(&self, declared: &[&str], context: &mut Context<'_>) {
        if self.members.is_empty() {
            context.diagnostics.push(
                Diagnostic::warning(self.name.span.clone(), "a track group without instances")
                    .found(&self.name.text)
                    .action("it does nothing, as with keepalived"),
            );
        }
        for member in &self.members {
            if !declared.contains(&member.text.as_str()) {
                context.diagnostics.push(
                    Diagnostic::warning(member.span.clone(), "no `vrrp_instance` of this name")
                        .found(&member.text)
                        .suggestion(closest(&member.text, declared.iter().copied()))
                        .action("it is passed over, as by keepalived"),
                );
            }
        }
    }

    fn track(&self, interface: &str, instances: &mut [Instance]) {
        let is_member = |one: &&mut Instance| {
            let mut members = self.members.iter();
            members.any(|member| *member.text == *one.name)
        };
        for instance in instances.iter_mut().filter(is_member) {
            let own = interface == instance.interface && instance.track_primary;
            let tracked = &mut instance.track_interfaces;
            // What the instance says of it by itself counts.
            if !own && !tracked.iter().any(|known| known.name == interface) {
                tracked.push(TrackInterface {
                    name: interface.to_owned(),
                    weight: 0,
                    reverse: false,
                    implied: true,
                });
            }
        }
    }
}
