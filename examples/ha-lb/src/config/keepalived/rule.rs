//! One line of `virtual_rules` or `static_rules`: a rule as `ip rule add` takes it.

use vip_netlink::route::{Action, Prefix, Rule};
use vrrp_proto::Family;

use super::{
    document::Node,
    keyword::{Context, closest},
    lexer::Word,
    line::Line,
    names::{Names, number},
};
use crate::config::diagnostic::Diagnostic;

/// Every word that may begin an option.
pub(super) const WORDS: &[&str] = &[
    "inet",
    "inet6",
    "not",
    "from",
    "to",
    "table",
    "lookup",
    "l3mdev",
    "goto",
    "nop",
    "blackhole",
    "unreachable",
    "prohibit",
    "type",
    "priority",
    "preference",
    "pref",
    "order",
    "tos",
    "dsfield",
    "fwmark",
    "iif",
    "dev",
    "oif",
    "realms",
    "suppress_prefixlength",
    "suppress_prefixlen",
    "sup_pl",
    "suppress_ifgroup",
    "sup_group",
    "tunnel-id",
    "tunnel_id",
    "uidrange",
    "protocol",
    "proto",
    "ipproto",
    "ip_proto",
    "sport",
    "dport",
    "no_track",
    "track_group",
];

/// A rule while it is read.
struct Draft {
    rule: Rule,
    told: Option<Family>,
    action: Option<Action>,
    priority: Option<u32>,
    group: Option<Word>,
    realms: Option<Word>,
}

impl Context<'_> {
    /// Reads a line; the group that tracks it, if it names one.
    pub(super) fn rule(&mut self, node: &Node) -> Option<(Rule, Option<Word>)> {
        if let Some(block) = &node.block {
            self.diagnostics.push(
                Diagnostic::error(block.span.clone(), "a rule has no block")
                    .found("{")
                    .expected("one rule a line"),
            );
            return None;
        }
        let mut line = Line::of(node);
        let mut draft = Draft {
            rule: Rule::new(Family::Ipv4, 0, Action::Nothing),
            told: None,
            action: None,
            priority: None,
            group: None,
            realms: None,
        };
        while let Some(word) = line.next() {
            if !self.selector(&mut draft, word, &mut line)?
                && !self.rule_action(&mut draft, word, &mut line)?
            {
                self.diagnostics.push(
                    Diagnostic::error(word.span.clone(), "unknown word of a rule")
                        .found(&word.text)
                        .expected("one rule a line, as `ip rule add` takes it")
                        .suggestion(closest(&word.text, WORDS.iter().copied())),
                );
                return None;
            }
        }
        self.finish_rule(draft, &line)
    }

    /// Which packets it is for. `Some(false)` if the word says something else.
    fn selector(&mut self, draft: &mut Draft, word: &Word, line: &mut Line<'_>) -> Option<bool> {
        let rule = &mut draft.rule;
        match word.text.as_str() {
            "inet" => draft.told = Some(Family::Ipv4),
            "inet6" => draft.told = Some(Family::Ipv6),
            "not" => rule.inverted = true,
            "from" => rule.from = self.rule_prefix(word, line)?,
            "to" => rule.to = self.rule_prefix(word, line)?,
            "tos" | "dsfield" => {
                let number = self.value_named(word, line, Names::Services, 255)?;
                rule.tos = u8::try_from(number).ok()?;
            }
            "fwmark" => rule.mark = Some(self.mark(word, line)?),
            "iif" | "dev" => {
                rule.input = Some(self.value(word, line, "an interface")?.text.clone())
            }
            "oif" => rule.output = Some(self.value(word, line, "an interface")?.text.clone()),
            "tunnel-id" | "tunnel_id" => {
                let value = self.value(word, line, "a number")?;
                rule.tunnel = value.text.parse().ok();
                if rule.tunnel.is_none() {
                    self.refuse(value, "tunnel", "a whole number");
                    return None;
                }
            }
            "uidrange" => rule.users = Some(self.range(word, line, u32::MAX)?),
            "ipproto" | "ip_proto" => {
                let number = self.value_named(word, line, Names::IpProtocols, 255)?;
                rule.ip_protocol = u8::try_from(number).ok();
            }
            "sport" => rule.source_ports = Some(self.ports(word, line)?),
            "dport" => rule.destination_ports = Some(self.ports(word, line)?),
            _ => return Some(false),
        }
        Some(true)
    }

    /// What it does, and the rest. `Some(false)` if the word says something else.
    fn rule_action(&mut self, draft: &mut Draft, word: &Word, line: &mut Line<'_>) -> Option<bool> {
        let rule = &mut draft.rule;
        let word = match word.text.as_str() {
            "type" => self.value(word, line, "blackhole, unreachable or prohibit")?,
            _ => word,
        };
        let action = match word.text.as_str() {
            "table" | "lookup" => {
                let table = self.value_named(word, line, Names::Tables, u32::MAX)?;
                if table == 0 {
                    self.refuse(word, "table", "another table than 0");
                    return None;
                }
                Action::Table(table)
            }
            "l3mdev" => Action::MasterDevice,
            "goto" => Action::Goto(self.value_in(word, line, 1..=u32::MAX)?),
            "nop" => Action::Nothing,
            "blackhole" => Action::Blackhole,
            "unreachable" => Action::Unreachable,
            "prohibit" => Action::Prohibit,
            "priority" | "preference" | "pref" | "order" => {
                draft.priority = Some(self.value_in(word, line, 0..=u32::MAX)?);
                return Some(true);
            }
            "realms" => {
                rule.realms = Some(self.realms(word, line)?);
                draft.realms = Some(word.clone());
                return Some(true);
            }
            "suppress_prefixlength" | "suppress_prefixlen" | "sup_pl" => {
                rule.suppress_length = Some(self.value_in(word, line, 0..=128)?);
                return Some(true);
            }
            "suppress_ifgroup" | "sup_group" => {
                let group = self.value_named(word, line, Names::Groups, u32::MAX)?;
                rule.suppress_group = Some(group);
                return Some(true);
            }
            "protocol" | "proto" => {
                let number = self.value_named(word, line, Names::Protocols, 255)?;
                rule.protocol = u8::try_from(number).ok()?;
                return Some(true);
            }
            "no_track" => {
                rule.untracked = true;
                return Some(true);
            }
            "track_group" => {
                draft.group = Some(self.value(word, line, "a group")?.clone());
                return Some(true);
            }
            _ => return Some(false),
        };
        if draft.action.replace(action).is_some() {
            let expected = "one of table, goto, nop, l3mdev, blackhole, unreachable and prohibit";
            self.refuse(word, "second thing that a rule can do", expected);
            return None;
        }
        Some(true)
    }

    fn rule_prefix(&mut self, option: &Word, line: &mut Line<'_>) -> Option<Option<Prefix>> {
        let word = self.value(option, line, "a prefix")?;
        let prefix = self.prefix(word, Family::Ipv4)?;
        // `from all`.
        Some((prefix.length > 0 || word.text.contains(['.', ':'])).then_some(prefix))
    }

    fn mark(&mut self, option: &Word, line: &mut Line<'_>) -> Option<(u32, Option<u32>)> {
        let word = self.value(option, line, "a mark")?;
        let mark = match word.text.split_once('/') {
            Some((mark, mask)) => number(mark).zip(number(mask).map(Some)),
            None => number(&word.text).map(|mark| (mark, None)),
        };
        if mark.is_none() {
            self.refuse(word, "mark", "a number, and perhaps `/` and a mask");
        }
        mark
    }

    /// `FIRST-LAST` or `ONE`.
    fn range(&mut self, option: &Word, line: &mut Line<'_>, max: u32) -> Option<(u32, u32)> {
        let word = self.value(option, line, "a range")?;
        let range = match word.text.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)),
            None => number(&word.text).map(|one| (one, one)),
        };
        let range = range.filter(|(first, last)| first <= last && *last <= max);
        if range.is_none() {
            let expected = format!("a number up to {max}, or two with `-` between");
            self.refuse(word, &format!("range of `{}`", option.text), expected);
        }
        range
    }

    fn ports(&mut self, option: &Word, line: &mut Line<'_>) -> Option<(u16, u16)> {
        let (first, last) = self.range(option, line, u16::MAX.into())?;
        Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?))
    }

    /// What it means as a whole.
    fn finish_rule(&mut self, draft: Draft, line: &Line<'_>) -> Option<(Rule, Option<Word>)> {
        let Draft {
            mut rule,
            told,
            action,
            priority,
            group,
            realms,
        } = draft;
        let prefixes = [rule.from, rule.to];
        let mut families = prefixes.iter().flatten().map(|p| Family::of(p.address));
        let family = told.or_else(|| families.clone().next());
        rule.family = family.unwrap_or(Family::Ipv4);
        if families.any(|family| family != rule.family) {
            self.refuse_line(line, "a rule of two families", "addresses of one family");
            return None;
        }
        if let (Family::Ipv6, Some(word)) = (rule.family, realms) {
            self.refuse(&word, "option of an IPv6 rule", "no realms");
            return None;
        }
        let Some(action) = action else {
            self.refuse_line(line, "a rule that does nothing", "`table` and its number");
            return None;
        };
        rule.action = action;
        let looks_up = matches!(action, Action::Table(_) | Action::MasterDevice);
        let about_routes = [rule.suppress_length, rule.suppress_group];
        if !looks_up && (about_routes.iter().any(Option::is_some) || rule.realms.is_some()) {
            self.refuse_line(
                line,
                "realms or routes to suppress where no table is asked",
                "`table` and its number",
            );
            return None;
        }
        match (action, priority) {
            (Action::Goto(_), None) => {
                self.refuse_line(line, "`goto` without a priority", "`priority` and a number");
                return None;
            }
            (Action::Goto(target), Some(priority)) if target <= priority => {
                self.refuse_line(line, "`goto` backwards", "a target above the priority");
                return None;
            }
            _ => {}
        }
        rule.priority = priority.unwrap_or_else(|| self.next_priority(rule.family, line));
        Some((rule, group))
    }

    /// keepalived counts downwards, so that a rule that comes first in the file is asked last.
    fn next_priority(&mut self, family: Family, line: &Line<'_>) -> u32 {
        let next = match family {
            Family::Ipv4 => &mut self.priorities.0,
            Family::Ipv6 => &mut self.priorities.1,
        };
        let priority = *next;
        *next = next.saturating_sub(1);
        self.diagnostics.push(
            Diagnostic::warning(line.first.span.clone(), "a rule without a priority")
                .found(&line.first.text)
                .expected("`priority` and a number")
                .action(format!(
                    "it gets {priority}, as by keepalived; the next one gets one less"
                ))
                .counted(),
        );
        priority
    }
}
