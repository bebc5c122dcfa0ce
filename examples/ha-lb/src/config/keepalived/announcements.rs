//! The `garp_*` keywords, which stand in `global_defs` and in instances.

use std::time::Duration;

use super::{config::Announcements, document::Node, keyword::Context};

/// A block that has these keywords.
pub(super) trait Holder {
    /// Where they go.
    fn announcements(&mut self) -> &mut Announcements;
}

const MAX_TIME: Duration = Duration::from_secs(86_400);

fn time(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.seconds(word, Duration::ZERO..=MAX_TIME)
}

fn count(node: &Node, context: &mut Context<'_>, min: u8) -> Option<u8> {
    let word = node.arguments.first()?;
    context.number(word, min..=u8::MAX)
}

pub(super) fn delay<H: Holder>(holder: &mut H, node: &Node, context: &mut Context<'_>) {
    if let Some(delay) = time(node, context) {
        holder.announcements().delay = delay;
    }
}

pub(super) fn repeat<H: Holder>(holder: &mut H, node: &Node, context: &mut Context<'_>) {
    if let Some(repeat) = count(node, context, 1) {
        holder.announcements().repeat = repeat;
    }
}

/// 0 is for never.
pub(super) fn refresh<H: Holder>(holder: &mut H, node: &Node, context: &mut Context<'_>) {
    holder.announcements().refresh = time(node, context).filter(|time| !time.is_zero());
}

pub(super) fn refresh_repeat<H: Holder>(holder: &mut H, node: &Node, context: &mut Context<'_>) {
    if let Some(repeat) = count(node, context, 1) {
        holder.announcements().refresh_repeat = repeat;
    }
}

pub(super) fn lower_priority_delay<H: Holder>(
    holder: &mut H,
    node: &Node,
    context: &mut Context<'_>,
) {
    holder.announcements().lower_priority_delay = time(node, context);
}

pub(super) fn lower_priority_repeat<H: Holder>(
    holder: &mut H,
    node: &Node,
    context: &mut Context<'_>,
) {
    holder.announcements().lower_priority_repeat = count(node, context, 0);
}
