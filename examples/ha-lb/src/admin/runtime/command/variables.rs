//! Commands on variables of the process.

use lb_core::config::StatsLevel::Operator;

use super::{
    Command,
    table::{Entry, entry},
};

/// A command on a variable of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableCommand {
    /// `get var`.
    Get(String),
    /// `set var`: name, expression.
    Expression(String, String),
    /// `set var ... fmt`: name, format.
    Format(String, String),
}

/// The entries of the table.
pub(super) const TABLE: &[Entry] = &[
    entry(
        &["get", "var"],
        Operator,
        "get var <name>",
        "retrieve contents of a process-wide variable",
        |words| match words.first() {
            Some(name) => Ok(Command::Variable(VariableCommand::Get(name.clone()))),
            None => Err(MISSING.to_owned()),
        },
    ),
    entry(
        &["set", "var"],
        Operator,
        "set var <name> <expression>",
        "set variable from an expression, or with 'fmt' from a format",
        |words| {
            let (name, rest) = words.split_first().ok_or(MISSING)?;
            let name = name.clone();
            let command = match rest {
                [kind, text, ..] if kind == "fmt" => VariableCommand::Format(name, text.clone()),
                [kind, text, ..] if kind == "expr" => {
                    VariableCommand::Expression(name, text.clone())
                }
                [text, ..] if text != "fmt" && text != "expr" => {
                    VariableCommand::Expression(name, text.clone())
                }
                _ => return Err("Missing either 'expr', 'fmt' or expression.".to_owned()),
            };
            Ok(Command::Variable(command))
        },
    ),
];

const MISSING: &str = "Missing process-wide variable identifier.";
