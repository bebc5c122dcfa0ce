//! Maps and patterns of ACLs at run time.

use std::{fmt::Write as _, sync::Arc};

use lb_core::expr::{Found, PatternFile, Use, Which};

use super::Runtime;
use crate::admin::runtime::command::PatternCommand;

const NO_VERSION: &str = "Version number out of range.";
const NO_ENTRY: &str = "entry not found.";
const SHARED: &str = "This ACL is shared with a map containing samples. You must use the command 'add map' to add \
                      values.";

impl Runtime {
    /// Carries out a command on maps or on patterns of ACLs.
    pub(super) fn patterns(&self, kind: Use, command: &PatternCommand) -> Result<String, String> {
        let nothing = Ok(String::new());
        match command {
            PatternCommand::List => Ok(self.list_patterns(kind)),
            PatternCommand::Show(name, version) => {
                Ok(show(&*self.find_patterns(kind, name)?, *version))
            }
            PatternCommand::Get(name, value) => {
                let file = self.find_patterns(kind, name)?;
                let found = file.look(value.as_bytes());
                Ok(found.iter().map(|found| told(kind, found)).collect())
            }
            PatternCommand::Add(name, version, pairs) => {
                let file = self.find_patterns(kind, name)?;
                if kind != file.kind() {
                    return Err(SHARED.to_owned());
                }
                let mut pairs = pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes()));
                match version {
                    None => file.add_all(pairs).map_err(|error| error.message)?,
                    Some(version) => {
                        let name = kind.name();
                        if !pairs.all(|(key, value)| file.add_prepared(*version, key, value)) {
                            return Err(format!(
                                "Version number in the future, please use 'prepare {name}' before."
                            ));
                        }
                    }
                }
                nothing
            }
            PatternCommand::Set(name, key, value) => {
                let file = self.find_patterns(kind, name)?;
                let done = file.set(which(key)?, value.as_bytes());
                match done.map_err(|error| error.message)? {
                    true => nothing,
                    false => Err(NO_ENTRY.to_owned()),
                }
            }
            PatternCommand::Delete(name, key) => {
                match self.find_patterns(kind, name)?.remove(which(key)?) {
                    true => nothing,
                    false => Err("Key not found.".to_owned()),
                }
            }
            PatternCommand::Clear(name, None) => {
                self.find_patterns(kind, name)?.remove(Which::All);
                nothing
            }
            PatternCommand::Clear(name, Some(version)) => {
                self.find_patterns(kind, name)?.discard(*version);
                nothing
            }
            PatternCommand::Prepare(name) => {
                let version = self.find_patterns(kind, name)?.prepare();
                Ok(format!("New version created: {version}\n"))
            }
            PatternCommand::Commit(name, version) => {
                let done = self.find_patterns(kind, name)?.commit(*version);
                match done.map_err(|error| error.message)? {
                    true => nothing,
                    false => Err(NO_VERSION.to_owned()),
                }
            }
        }
    }

    fn list_patterns(&self, kind: Use) -> String {
        let mut text = "# id (file) description\n".to_owned();
        for (number, file) in self.balancer().config.pattern_files.numbered() {
            if !is_seen(kind, &file) {
                continue;
            }
            let (version, last, count) = file.versions();
            let (name, description) = (file.name(), file.description());
            let _ = writeln!(
                text,
                "{number} ({name}) {description}. curr_ver={version} next_ver={last} entry_cnt={count}"
            );
        }
        text
    }

    fn find_patterns(&self, kind: Use, name: &str) -> Result<Arc<PatternFile>, String> {
        let files = self.balancer().config.pattern_files.numbered();
        let found = match name.strip_prefix('#') {
            Some(number) => number
                .parse()
                .ok()
                .and_then(|number: usize| files.get(&number)),
            None => files
                .values()
                .find(|file| file.name() == name && !name.is_empty()),
        };
        let found = found.filter(|file| is_seen(kind, file)).cloned();
        found.ok_or_else(|| {
            let what = match kind {
                Use::Map => "map",
                Use::Acl => "ACL",
            };
            format!("Unknown {what} identifier. Please use #<id> or <file>.")
        })
    }
}

/// Maps may be patterns of ACLs as well (`-M`).
fn is_seen(kind: Use, file: &PatternFile) -> bool {
    kind == Use::Acl || file.kind() == Use::Map
}

/// A line of `get`.
fn told(kind: Use, found: &Found) -> String {
    let case = if found.ignore_case {
        "insensitive"
    } else {
        "sensitive"
    };
    let start = format!("type={}, case={case}", found.method);
    let (word, name) = match kind {
        Use::Map => ("found", "key"),
        Use::Acl => ("match", "pattern"),
    };
    let Some(entry) = &found.entry else {
        return format!("{start}, {word}=no\n");
    };
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sorted = matches!(found.method, "str" | "beg" | "ip" | "bin") && !found.ignore_case;
    let index = if sorted { "tree" } else { "list" };
    let key = shown(&entry.key);
    let value = match kind {
        Use::Map => format!(", value=\"{}\", type=\"str\"", shown(&entry.value)),
        Use::Acl => String::new(),
    };
    format!("{start}, {word}=yes, idx={index}, {name}=\"{key}\"{value}\n")
}

/// `#0x1` is the entry of that number, anything else a key.
fn which(key: &str) -> Result<Which<'_>, String> {
    let Some(number) = key.strip_prefix('#') else {
        return Ok(Which::Key(key.as_bytes()));
    };
    let digits = number.strip_prefix("0x").unwrap_or(number);
    u64::from_str_radix(digits, 16)
        .map(Which::Number)
        .map_err(|_| "Malformed identifier. Please use #<id> or <file>.".to_owned())
}

fn show(file: &PatternFile, version: Option<u32>) -> String {
    let entries = match version {
        None => file.entries(),
        Some(version) => (0..).zip(file.prepared(version)).collect(),
    };
    let mut text = String::new();
    for (number, entry) in entries {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let _ = write!(text, "0x{number:012x} {}", shown(&entry.key));
        if file.kind() == Use::Map {
            let _ = write!(text, " {}", shown(&entry.value));
        }
        text.push('\n');
    }
    text
}
