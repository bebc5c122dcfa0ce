//! The commands of the runtime command line: what there is to say, and how a line is split.
//!
//! Pure: words in, a [`Command`] or HAProxy's words of refusal out. The table in `command/table.rs` has an entry for
//! each command, from which parsing, rights and `help` come.

use std::{net::IpAddr, time::Duration};

use lb_core::{backend::Health, config::StatsLevel, expr::Use, stick_table::Column};

use super::tables::Filter;

mod acls;
mod maps;
mod table;
mod tls;
mod variables;
mod words;

pub use maps::PatternCommand;
pub use table::help;
pub use tls::{TlsCommand, TlsKind};
pub use variables::VariableCommand;

/// A command that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `help`: the table, restricted to entries that begin with these words.
    Help(Vec<String>),
    /// `prompt`.
    Prompt,
    /// `quit`.
    Quit,
    /// `operator`, `user`: lower rights.
    Lower(StatsLevel),
    /// `set timeout cli`: how long this client may be silent.
    SetTimeout(Duration),
    /// `show cli level`.
    ShowLevel,
    /// `show version`.
    ShowVersion,
    /// `show info`, with the names of its forms.
    ShowInfo(InfoForm),
    /// `show stat`.
    ShowStat(Selection, StatForm),
    /// `show schema json`.
    ShowSchema,
    /// `show resolvers`: a section.
    ShowResolvers(Option<String>),
    /// `show servers state`.
    ShowServersState(Option<String>),
    /// `show backend`.
    ShowBackend,
    /// `show cache`.
    ShowCache,
    /// `show errors`.
    ShowErrors,
    /// `clear counters`; true clears all of them, not only the greatest values.
    ClearCounters(bool),
    /// `show table`.
    ShowTable(Option<String>, Filter),
    /// `show peers`: a section.
    ShowPeers(Option<String>),
    /// `clear table`.
    ClearTable(String, Filter),
    /// `set table`: table, key, columns.
    SetTable(String, String, Vec<(Column, u64)>),
    /// A command on maps or on the patterns of ACLs.
    Patterns(Use, PatternCommand),
    /// A command on variables of the process.
    Variable(VariableCommand),
    /// `experimental-mode`: nothing that it would allow is forbidden without it.
    ExperimentalMode,
    /// A command on files of TLS.
    Tls(TlsCommand),
    /// `get weight`.
    GetWeight(Target),
    /// `set server ... addr`, with the word for the port.
    SetAddress(Target, IpAddr, Option<String>),
    /// `set weight`, `set server ... weight`.
    SetWeight(Target, Weight),
    /// `enable server`, `disable server`, `set server ... state`.
    SetState(Target, State),
    /// `enable health`, `disable health`.
    SetChecked(Target, bool),
    /// `enable agent`, `disable agent`.
    SetAsked(Target, bool),
    /// `add server`, with the words behind its name.
    AddServer(Target, Vec<String>),
    /// `del server`.
    DeleteServer(Target),
    /// `show servers conn`.
    ShowServersConnections(Option<String>),
    /// `set server ... check-addr`, `agent-port` and the like.
    SetProbe(Target, Probe),
    /// `set server ... agent up|down`.
    SetAgent(Target, bool),
    /// `set server ... health`.
    SetHealth(Target, Health),
    /// `show sess`: all, or the one of this number.
    ShowSessions(Option<u64>),
    /// `shutdown session`: its number.
    ShutdownSession(u64),
    /// `shutdown sessions server`.
    ShutdownSessions(Target),
    /// `set maxconn server`, `set server ... maxconn`.
    SetMaxconn(Target, u32),
}

impl Command {
    /// Whether the end of its answer is that of its line: HAProxy sends no empty one behind it.
    pub(super) fn is_answered_barely(&self) -> bool {
        matches!(self, Self::Variable(VariableCommand::Get(_)))
    }
}

/// `show info` forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InfoForm {
    /// `Name: value` lines.
    #[default]
    Plain,
    /// One JSON document.
    Json,
    /// Lines that tell the type of each value.
    Typed,
}

/// `show stat` forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatForm {
    /// CSV.
    #[default]
    Csv,
    /// One JSON document.
    Json,
    /// Lines that tell the type of each value.
    Typed,
}

/// `show stat <proxy> <type> <sid>`: which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Proxy by name or number; all when absent.
    pub proxy: Option<String>,
    /// 1 frontends, 2 backends, 4 servers, added up.
    pub kinds: i32,
    /// Server number, or -1.
    pub server: i64,
    /// `up`: without servers that are not up.
    pub hide_down: bool,
    /// `no-maint`: without servers in maintenance.
    pub hide_maintenance: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            proxy: None,
            kinds: -1,
            server: -1,
            hide_down: false,
            hide_maintenance: false,
        }
    }
}

/// `backend/server`, by names or numbers (`#1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Backend.
    pub backend: String,
    /// Server.
    pub server: String,
}

/// Where else a server's checks go, or what its agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// `check-addr`, with a port.
    CheckAddress(IpAddr, Option<u16>),
    /// `check-port`.
    CheckPort(u16),
    /// `agent-addr`, with a port.
    AgentAddress(IpAddr, Option<u16>),
    /// `agent-port`.
    AgentPort(u16),
    /// `agent-send`.
    AgentSend(String),
    /// `fqdn`: another name to follow.
    Name(String),
    /// `ssl on|off`.
    Tls(bool),
}

/// A new weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// 0-256.
    Absolute(u16),
    /// Of the configured one, 256 at most.
    Percent(u32),
}

/// A new state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Takes part.
    Ready,
    /// No new sessions.
    Drain,
    /// Taken out.
    Maint,
}

impl Command {
    /// Understands the words of one command and its payload.
    pub fn parse(
        words: &[String],
        payload: Option<&str>,
        level: StatsLevel,
    ) -> Result<Self, String> {
        table::parse(words, payload, level)
    }
}

/// A line without the `<<` at its end, and whether there was one: a payload follows.
pub fn payload_follows(line: &str) -> (&str, bool) {
    let command = line.trim_end().strip_suffix("<<");
    match command.filter(|command| command.ends_with([' ', '\t'])) {
        Some(command) => (command, true),
        None => (line, false),
    }
}

/// Splits a line into commands (at `;`) and words; `\` takes the next character as it is.
pub fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let next = characters.next().unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            ' ' | '\t' | ';' => {
                if let (Some(word), Some(command)) = (word.take(), commands.last_mut()) {
                    command.push(word);
                }
                if character == ';' {
                    commands.push(Vec::new());
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    if let (Some(word), Some(command)) = (word, commands.last_mut()) {
        command.push(word);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

#[cfg(test)]
mod tests;
