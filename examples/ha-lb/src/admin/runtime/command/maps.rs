//! Commands on maps.

use lb_core::{
    config::StatsLevel::{Operator, User},
    expr::Use,
};

use super::{
    Command,
    table::{Entry, entry, entry_with_payload},
};

/// A command on the map, or on the patterns of ACLs, of this name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternCommand {
    /// `show`: all of them.
    List,
    /// `show` of one: entries, of a version that is prepared.
    Show(String, Option<u32>),
    /// `get`: what a value finds.
    Get(String, String),
    /// `add`: version, keys and values.
    Add(String, Option<u32>, Vec<(String, String)>),
    /// `set map`: key or `#` and number, value.
    Set(String, String, String),
    /// `del`: key or `#` and number.
    Delete(String, String),
    /// `clear`, or of a version that is prepared.
    Clear(String, Option<u32>),
    /// `prepare`.
    Prepare(String),
    /// `commit`.
    Commit(String, u32),
}

/// The entries of the table.
pub(super) const TABLE: &[Entry] = &[
    entry_with_payload(
        &["add", "map"],
        Operator,
        "add map [@<ver>] <map> <key> <val>",
        "add a map entry (payload supported instead of key/val)",
        add,
    ),
    entry(
        &["clear", "map"],
        Operator,
        "clear map [@<ver>] <map>",
        "clear the contents of this map",
        |words| {
            let (version, words) = version(words)?;
            command(PatternCommand::Clear(map(words)?, version))
        },
    ),
    entry(
        &["commit", "map"],
        Operator,
        "commit map @<ver> <map>",
        "commit the map at this version",
        |words| match version(words)? {
            (Some(version), words) => command(PatternCommand::Commit(map(words)?, version)),
            (None, _) => Err("Missing version number.".to_owned()),
        },
    ),
    entry(
        &["del", "map"],
        Operator,
        "del map <map> [<key>|#<ref>]",
        "delete a map entry",
        |words| match words {
            [map, key, ..] => command(PatternCommand::Delete(map.clone(), key.clone())),
            _ => Err("This command expects two parameters: map identifier and key.".to_owned()),
        },
    ),
    entry(
        &["get", "map"],
        User,
        "get map <acl> <value>",
        "report the keys and values matching a sample for a map",
        |words| match words {
            [map, value, ..] => command(PatternCommand::Get(map.clone(), value.clone())),
            _ => Err("Missing map identifier and/or key.".to_owned()),
        },
    ),
    entry(
        &["prepare", "map"],
        Operator,
        "prepare map <map>",
        "prepare a new version for atomic map replacement",
        |words| command(PatternCommand::Prepare(map(words)?)),
    ),
    entry(
        &["set", "map"],
        Operator,
        "set map <map> [<key>|#<ref>] <value>",
        "modify a map entry",
        |words| match words {
            [map, key, value @ ..] if !value.is_empty() => command(PatternCommand::Set(
                map.clone(),
                key.clone(),
                value.join(" "),
            )),
            _ => {
                Err("'set map' expects three parameters: map identifier, key and value.".to_owned())
            }
        },
    ),
    entry(
        &["show", "map"],
        User,
        "show map [@<ver>] [map]",
        "report available maps or dump a map's contents",
        |words| {
            let (version, words) = version(words)?;
            command(match words.first() {
                Some(map) => PatternCommand::Show(map.clone(), version),
                None => PatternCommand::List,
            })
        },
    ),
];

fn command(command: PatternCommand) -> Result<Command, String> {
    Ok(Command::Patterns(Use::Map, command))
}

fn add(words: &[String], payload: Option<&str>) -> Result<Command, String> {
    let (version, words) = version(words)?;
    match (words, payload) {
        ([map, key, value @ ..], None) if !value.is_empty() => {
            let pair = (key.clone(), value.join(" "));
            command(PatternCommand::Add(map.clone(), version, vec![pair]))
        }
        ([map], Some(payload)) => {
            let pairs = payload.lines().map(pair).collect::<Result<_, _>>()?;
            command(PatternCommand::Add(map.clone(), version, pairs))
        }
        _ => Err(
            "'add map' expects three parameters (map identifier, key and value) or one parameter \
             (map identifier) and a payload"
                .to_owned(),
        ),
    }
}

/// A line of a payload: the first word is the key.
fn pair(line: &str) -> Result<(String, String), String> {
    let line = line.trim_matches([' ', '\t']);
    let (key, value) = line
        .split_once([' ', '\t'])
        .ok_or_else(|| format!("Missing value for key '{line}'."))?;
    Ok((key.to_owned(), value.trim_start().to_owned()))
}

/// `@<version>` in front.
pub(super) fn version(words: &[String]) -> Result<(Option<u32>, &[String]), String> {
    let Some((first, rest)) = words.split_first() else {
        return Ok((None, words));
    };
    match first.strip_prefix('@').map(str::parse) {
        None => Ok((None, words)),
        Some(Ok(version)) => Ok((Some(version), rest)),
        Some(Err(_)) => Err("Version number out of range.".to_owned()),
    }
}

fn map(words: &[String]) -> Result<String, String> {
    let missing = "Missing map identifier.";
    words.first().cloned().ok_or_else(|| missing.to_owned())
}
