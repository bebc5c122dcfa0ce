//! The `garp_*` keywords, which stand in `global_defs` and in instances.

use std::time::Duration;

use super::{config::Announcements, document::Node, keyword::Context};
use crate::config::diagnostic::Diagnostic;

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

/// Packets of one announcement. keepalived takes 0 for 1 where that makes no sense, and any number.
fn count(node: &Node, context: &mut Context<'_>, min: u8) -> Option<u8> {
    let word = node.arguments.first()?;
    let written = context.number(word, 0..=u32::MAX)?;
    let count = u8::try_from(written).unwrap_or(u8::MAX).max(min);
    let warning = |what| Diagnostic::warning(word.span.clone(), what).found(&word.text);
    if written < u32::from(count) {
        context.diagnostics.push(
            warning("an announcement has a packet at least")
                .action(format!("{count} is sent, as by keepalived"))
                .counted(),
        );
    } else if written > u32::from(count) {
        context.diagnostics.push(
            warning("more packets in one go than anybody needs")
                .action(format!("{count} are sent")),
        );
    }
    Some(count)
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
