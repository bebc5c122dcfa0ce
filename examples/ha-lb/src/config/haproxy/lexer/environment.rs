//! Environment variables (configuration manual §2.3): those of the process, changed by the file itself.

use lb_core::{
    config::{BindAddress, StatsSocket},
    request::EnvironmentChanges,
};

use super::Line;
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics},
    files::Files,
    haproxy::peers,
};

/// What HAProxy sets before the first line: the file can change it.
const BEFORE: [&str; 3] = [
    peers::LOCAL_PEER,
    "HAPROXY_MWORKER",
    "HAPROXY_STARTUP_VERSION",
];
/// What it sets behind the last line: names of files, and addresses of command lines.
const FILES: &str = "HAPROXY_CFGFILES";
const COMMAND_LINES: &str = "HAPROXY_CLI";

/// Environment variables: those of the process, changed by `setenv` and its kind while the file is read.
pub(in crate::config::haproxy) struct Environment<'f> {
    files: &'f dyn Files,
    changes: EnvironmentChanges,
}

impl<'f> Environment<'f> {
    /// The process's own variables.
    pub(in crate::config::haproxy) fn new(files: &'f dyn Files) -> Self {
        Self {
            files,
            changes: EnvironmentChanges::default(),
        }
    }

    pub(in crate::config::haproxy) fn value(&self, name: &str) -> Option<String> {
        self.changes.value(name, |name| self.files.variable(name))
    }

    /// What the lines so far have changed.
    pub(in crate::config::haproxy) fn changes(&self) -> EnvironmentChanges {
        self.changes.clone()
    }

    /// What rules find (`env`): the variables that HAProxy sets (manual §2.3) are none of the balancer's own.
    pub(in crate::config::haproxy) fn of_rules(
        &self,
        sockets: &[StatsSocket],
    ) -> EnvironmentChanges {
        let mut changes = self.changes();
        let before = BEFORE.map(|name| (name, self.value(name)));
        let addresses: Vec<String> = sockets.iter().map(|s| spelled(&s.address)).collect();
        let behind = [
            (FILES, self.files.variable(FILES)),
            (COMMAND_LINES, Some(addresses.join(";"))),
        ];
        let set = before.into_iter().chain(behind);
        let set = set.filter_map(|(name, value)| Some((name.to_owned(), Some(value?))));
        changes.changed.extend(set);
        changes
    }

    /// Variables in addresses are expanded outside quotes too (manual §11: "may contain environment variables").
    pub(super) fn expand_address(&self, line: &mut Line, diagnostics: &mut Diagnostics) {
        let index = match (line.text(0), line.text(1)) {
            ("stats", "socket") => 2,
            ("bind" | "dispatch" | "log" | "source", _) => 1,
            ("server" | "peer" | "nameserver" | "frontend" | "listen", _) => 2,
            ("server-template", _) => 3,
            _ => return,
        };
        let span = line.span(index);
        let Some(word) = line.words.get_mut(index) else {
            return;
        };
        if !word.text.contains('$') {
            return;
        }
        word.text = expanded(&word.text, |name| {
            let value = self.value(name);
            if value.is_none() {
                let message = format!("environment variable '{name}' is not set");
                let finding = Diagnostic::warning(span.clone(), message);
                diagnostics.push(finding.action("nothing stands in its place"));
            }
            value
        });
    }

    /// `setenv`, `presetenv`, `unsetenv`, `resetenv` (manual §3.1) take effect for the lines that follow.
    pub(super) fn apply(&mut self, line: &Line) {
        let rest = || line.words.iter().skip(1).map(|word| word.text.clone());
        match line.text(0) {
            "setenv" => {
                let value = line.text(2).to_owned();
                self.changes
                    .changed
                    .insert(line.text(1).to_owned(), Some(value));
            }
            "presetenv" if self.value(line.text(1)).is_none() => {
                let value = line.text(2).to_owned();
                self.changes
                    .changed
                    .insert(line.text(1).to_owned(), Some(value));
            }
            // The host's own name gives way to it, that of -L does not.
            "localpeer" if peers::given_name(self.files).is_none() => {
                let value = line.text(1).to_owned();
                self.changes
                    .changed
                    .insert(peers::LOCAL_PEER.to_owned(), Some(value));
            }
            "unsetenv" => self.changes.changed.extend(rest().map(|name| (name, None))),
            "resetenv" => {
                let kept: Vec<_> = rest()
                    .map(|name| (name.clone(), self.value(&name)))
                    .collect();
                self.changes.hides_process = true;
                self.changes.changed = kept.into_iter().collect();
            }
            _ => {}
        }
    }
}

/// An address as HAProxy shows it.
fn spelled(address: &BindAddress) -> String {
    match address {
        BindAddress::Tcp(at) if at.is_ipv4() => format!("ipv4@{at}"),
        BindAddress::Tcp(at) => format!("ipv6@{at}"),
        BindAddress::Unix(path) => format!("unix@{}", path.display()),
        BindAddress::Abstract(name) => format!("abns@{name}"),
        BindAddress::Inherited(number) => format!("fd@{number}"),
    }
}

/// An address with the values of its variables, nothing for those that have none.
pub(in crate::config::haproxy) fn expanded(
    text: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let (name, after) = variable_name(behind);
        match name {
            "" => out.push('$'),
            name => out.push_str(&value(name).unwrap_or_default()),
        }
        rest = after;
    }
    out + rest
}

/// The name behind a `$`, in braces or not, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, after);
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
