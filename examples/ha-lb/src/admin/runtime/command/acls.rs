//! Commands on the patterns of ACLs.

use lb_core::{
    config::StatsLevel::{Operator, User},
    expr::Use::Acl,
};

use super::{
    Command, PatternCommand,
    maps::version,
    table::{Entry, entry, entry_with_payload},
};

/// The entries of the table.
pub(super) const TABLE: &[Entry] = &[
    entry_with_payload(
        &["add", "acl"],
        Operator,
        "add acl [@<ver>] <acl> <pattern>",
        "add an acl entry",
        add,
    ),
    entry(
        &["clear", "acl"],
        Operator,
        "clear acl [@<ver>] <acl>",
        "clear the contents of this acl",
        |words| {
            let (version, words) = version(words)?;
            command(PatternCommand::Clear(acl(words)?, version))
        },
    ),
    entry(
        &["commit", "acl"],
        Operator,
        "commit acl @<ver> <acl>",
        "commit the ACL at this version",
        |words| match version(words)? {
            (Some(version), words) => command(PatternCommand::Commit(acl(words)?, version)),
            (None, _) => Err("Missing version number.".to_owned()),
        },
    ),
    entry(
        &["del", "acl"],
        Operator,
        "del acl <acl> [<key>|#<ref>]",
        "delete acl entries matching <key>",
        |words| match words {
            [acl, key, ..] => command(PatternCommand::Delete(acl.clone(), key.clone())),
            _ => Err("This command expects two parameters: ACL identifier and key.".to_owned()),
        },
    ),
    entry(
        &["get", "acl"],
        User,
        "get acl <acl> <value>",
        "report the patterns matching a sample for an ACL",
        |words| match words {
            [acl, value, ..] => command(PatternCommand::Get(acl.clone(), value.clone())),
            _ => Err("Missing ACL identifier and/or key.".to_owned()),
        },
    ),
    entry(
        &["prepare", "acl"],
        Operator,
        "prepare acl <acl>",
        "prepare a new version for atomic ACL replacement",
        |words| command(PatternCommand::Prepare(acl(words)?)),
    ),
    entry(
        &["show", "acl"],
        User,
        "show acl [@<ver>] <acl>]",
        "report available acls or dump an acl's contents",
        |words| {
            let (version, words) = version(words)?;
            command(match words.first() {
                Some(acl) => PatternCommand::Show(acl.clone(), version),
                None => PatternCommand::List,
            })
        },
    ),
];

fn command(command: PatternCommand) -> Result<Command, String> {
    Ok(Command::Patterns(Acl, command))
}

/// A pattern, or one in each line of a payload.
fn add(words: &[String], payload: Option<&str>) -> Result<Command, String> {
    let (version, words) = version(words)?;
    let patterns = match (words, payload) {
        ([_, pattern, ..], None) => vec![(pattern.clone(), String::new())],
        ([_], Some(payload)) => payload
            .lines()
            .map(|line| (line.trim().to_owned(), String::new()))
            .collect(),
        _ => {
            return Err("'add acl' expects two parameters: ACL identifier and pattern.".to_owned());
        }
    };
    command(PatternCommand::Add(acl(words)?, version, patterns))
}

fn acl(words: &[String]) -> Result<String, String> {
    let missing = "Missing ACL identifier.";
    words.first().cloned().ok_or_else(|| missing.to_owned())
}
