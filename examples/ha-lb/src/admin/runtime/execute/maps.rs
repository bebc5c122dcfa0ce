//! Maps at run time.

use std::{fmt::Write as _, sync::Arc};

use lb_core::expr::{PatternFile, Which};

use super::Runtime;
use crate::admin::runtime::command::MapCommand;

const UNKNOWN: &str = "Unknown map identifier. Please use #<id> or <file>.";
const NO_VERSION: &str = "Version number out of range.";
const IN_THE_FUTURE: &str = "Version number in the future, please use 'prepare map' before.";
const NO_ENTRY: &str = "entry not found.";

impl Runtime {
    /// Carries out a command on maps.
    pub(super) fn map(&self, command: &MapCommand) -> String {
        self.try_map(command).unwrap_or_else(|told| told)
    }

    fn try_map(&self, command: &MapCommand) -> Result<String, String> {
        let nothing = Ok(String::new());
        match command {
            MapCommand::List => Ok(self.list_maps()),
            MapCommand::Show(map, version) => Ok(show(&*self.find_map(map)?, *version)),
            MapCommand::Add(map, version, key, value) => {
                add(&*self.find_map(map)?, *version, key, value)?;
                nothing
            }
            MapCommand::AddAll(map, version, pairs) => {
                let file = self.find_map(map)?;
                match version {
                    None => {
                        let pairs = pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes()));
                        file.add_all(pairs).map_err(|error| error.message)?;
                    }
                    Some(_) => {
                        for (key, value) in pairs {
                            add(&file, *version, key, value)?;
                        }
                    }
                }
                nothing
            }
            MapCommand::Set(map, key, value) => {
                let file = self.find_map(map)?;
                let done = file.set(which(key)?, value.as_bytes());
                match done.map_err(|error| error.message)? {
                    true => nothing,
                    false => Err(NO_ENTRY.to_owned()),
                }
            }
            MapCommand::Delete(map, key) => match self.find_map(map)?.remove(which(key)?) {
                true => nothing,
                false => Err("Key not found.".to_owned()),
            },
            MapCommand::Clear(map, None) => {
                self.find_map(map)?.remove(Which::All);
                nothing
            }
            MapCommand::Clear(map, Some(version)) => {
                self.find_map(map)?.discard(*version);
                nothing
            }
            MapCommand::Prepare(map) => {
                let version = self.find_map(map)?.prepare();
                Ok(format!("New version created: {version}\n"))
            }
            MapCommand::Commit(map, version) => {
                let done = self.find_map(map)?.commit(*version);
                match done.map_err(|error| error.message)? {
                    true => nothing,
                    false => Err(NO_VERSION.to_owned()),
                }
            }
        }
    }

    fn list_maps(&self) -> String {
        let mut text = "# id (file) description\n".to_owned();
        for file in self.balancer().config.pattern_files.all() {
            let (version, last, count) = file.versions();
            let (number, name) = (file.number(), file.name());
            let _ = writeln!(
                text,
                "{number} ({name}) pattern loaded from file '{name}' used by map. curr_ver={version} next_ver={last} \
                 entry_cnt={count}"
            );
        }
        text
    }

    fn find_map(&self, map: &str) -> Result<Arc<PatternFile>, String> {
        let files = Arc::clone(&self.balancer().config.pattern_files);
        let by_number = |number: &str| files.all().get(number.parse::<usize>().ok()?).cloned();
        let found = match map.strip_prefix('#') {
            Some(number) => by_number(number),
            None => files.named(map),
        };
        found.ok_or_else(|| UNKNOWN.to_owned())
    }
}

fn add(file: &PatternFile, version: Option<u32>, key: &str, value: &str) -> Result<(), String> {
    let (key, value) = (key.as_bytes(), value.as_bytes());
    match version {
        None => file.add(key, value).map_err(|error| error.message),
        Some(version) if file.add_prepared(version, key, value) => Ok(()),
        Some(_) => Err(IN_THE_FUTURE.to_owned()),
    }
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
        let _ = writeln!(
            text,
            "0x{number:012x} {} {}",
            shown(&entry.key),
            shown(&entry.value)
        );
    }
    text
}
