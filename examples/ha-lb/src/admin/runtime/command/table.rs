//! One entry for each command of the runtime command line.

use lb_core::config::StatsLevel;

use super::super::tables;
use super::{
    Command, InfoForm, State,
    words::{number, set_server, show_stat, target, time, weight},
};

/// Reads what is behind the words that call a command.
#[derive(Clone, Copy)]
enum Parse {
    /// Words of the line alone.
    Words(fn(&[String]) -> Result<Command, String>),
    /// Words, or a payload.
    Payload(fn(&[String], Option<&str>) -> Result<Command, String>),
}

/// A line of the table.
pub(super) struct Entry {
    words: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    level: StatsLevel,
    parse: Parse,
}

type Words = &'static [&'static str];

/// A line of the table.
pub(super) const fn entry(
    words: Words,
    level: StatsLevel,
    usage: &'static str,
    help: &'static str,
    parse: fn(&[String]) -> Result<Command, String>,
) -> Entry {
    row(words, level, [usage, help], Parse::Words(parse))
}

/// A line of the table whose command may have a payload.
pub(super) const fn entry_with_payload(
    words: Words,
    level: StatsLevel,
    usage: &'static str,
    help: &'static str,
    parse: fn(&[String], Option<&str>) -> Result<Command, String>,
) -> Entry {
    row(words, level, [usage, help], Parse::Payload(parse))
}

const fn row(words: Words, level: StatsLevel, told: [&'static str; 2], parse: Parse) -> Entry {
    let [usage, help] = told;
    Entry {
        words,
        usage,
        help,
        level,
        parse,
    }
}

use StatsLevel::{Admin, Operator, User};

const TABLE: &[Entry] = &[
    entry(
        &["add", "server"],
        Admin,
        "add server <bk>/<srv>",
        "create a new server",
        |words| {
            let target = target(words.first().filter(|word| !word.ends_with('/')))?;
            let words = words.get(1..).unwrap_or_default();
            Ok(Command::AddServer(target, words.to_vec()))
        },
    ),
    entry(
        &["del", "server"],
        Admin,
        "del server <bk>/<srv>",
        "remove a dynamically added server",
        |words| Ok(Command::DeleteServer(target(words.first())?)),
    ),
    entry(
        &["clear", "counters"],
        Operator,
        "clear counters [all]",
        "clear max statistics counters (or all counters)",
        |words| {
            Ok(Command::ClearCounters(
                words.first().is_some_and(|w| w == "all"),
            ))
        },
    ),
    entry(
        &["clear", "table"],
        Operator,
        "clear table <table> [<filter>]*",
        "remove an entry from a table (filter: data/key)",
        |words| {
            let (table, rest) = words.split_first().ok_or(tables::CLEAR_USAGE)?;
            Ok(Command::ClearTable(
                table.clone(),
                tables::clear_filter(rest)?,
            ))
        },
    ),
    entry(
        &["disable", "agent"],
        Admin,
        "disable agent",
        "disable agent checks",
        |words| Ok(Command::SetAsked(target(words.first())?, false)),
    ),
    entry(
        &["enable", "agent"],
        Admin,
        "enable agent",
        "enable agent checks",
        |words| Ok(Command::SetAsked(target(words.first())?, true)),
    ),
    entry(
        &["disable", "health"],
        Admin,
        "disable health",
        "disable health checks",
        |words| Ok(Command::SetChecked(target(words.first())?, false)),
    ),
    entry(
        &["disable", "server"],
        Admin,
        "disable server (DEPRECATED)",
        "disable a server for maintenance (use 'set server' instead)",
        |words| Ok(Command::SetState(target(words.first())?, State::Maint)),
    ),
    entry(
        &["enable", "health"],
        Admin,
        "enable health",
        "enable health checks",
        |words| Ok(Command::SetChecked(target(words.first())?, true)),
    ),
    entry(
        &["enable", "server"],
        Admin,
        "enable server (DEPRECATED)",
        "enable a disabled server (use 'set server' instead)",
        |words| Ok(Command::SetState(target(words.first())?, State::Ready)),
    ),
    entry(
        &["experimental-mode"],
        Operator,
        "experimental-mode [on|off]",
        "enable experimental commands, all of which are there without it",
        |_| Ok(Command::ExperimentalMode),
    ),
    entry(
        &["get", "weight"],
        User,
        "get weight <bk>/<srv>",
        "report a server's current weight",
        |words| Ok(Command::GetWeight(target(words.first())?)),
    ),
    entry(
        &["operator"],
        Operator,
        "operator",
        "lower the level of the current CLI session to operator",
        |_| Ok(Command::Lower(Operator)),
    ),
    entry(
        &["set", "maxconn", "server"],
        Admin,
        "set maxconn server <bk>/<srv>",
        "change a server's maxconn setting",
        |words| {
            Ok(Command::SetMaxconn(
                target(words.first())?,
                number(words.get(1))?,
            ))
        },
    ),
    entry(
        &["set", "server"],
        Admin,
        "set server <bk>/<srv> [opts]",
        "change a server's state, weight, address or maxconn",
        set_server,
    ),
    entry(
        &["set", "table"],
        Operator,
        "set table <table> key <k> [data.* <v>]*",
        "update or create a table entry's data",
        |words| {
            let (table, rest) = words
                .split_first()
                .ok_or("Required arguments: <table> key <key> [data.<store_data_type> <value>]*")?;
            let (key, values) = tables::values(rest)?;
            Ok(Command::SetTable(table.clone(), key, values))
        },
    ),
    entry(
        &["set", "timeout", "cli"],
        User,
        "set timeout [cli] <delay>",
        "change a timeout setting",
        |words| {
            Ok(Command::SetTimeout(time(
                words.first().map_or("", String::as_str),
            )?))
        },
    ),
    entry(
        &["set", "weight"],
        Admin,
        "set weight <bk>/<srv>  (DEPRECATED)",
        "change a server's weight (use 'set server' instead)",
        |words| {
            Ok(Command::SetWeight(
                target(words.first())?,
                weight(words.get(1))?,
            ))
        },
    ),
    entry(
        &["show", "backend"],
        User,
        "show backend",
        "list backends in the current running config",
        |_| Ok(Command::ShowBackend),
    ),
    entry(
        &["show", "cache"],
        User,
        "show cache",
        "show cache status",
        |_| Ok(Command::ShowCache),
    ),
    entry(
        &["show", "cli", "level"],
        User,
        "show cli level",
        "display the level of the current CLI session",
        |_| Ok(Command::ShowLevel),
    ),
    entry(
        &["show", "errors"],
        Operator,
        "show errors [<px>] [request|response]",
        "report last request and/or response errors for each proxy",
        |_| Ok(Command::ShowErrors),
    ),
    entry(
        &["show", "info"],
        User,
        "show info [json|typed]*",
        "report information about the running process",
        |words| {
            let has = |form: &str| words.iter().any(|w| w == form);
            Ok(Command::ShowInfo(if has("json") {
                InfoForm::Json
            } else if has("typed") {
                InfoForm::Typed
            } else {
                InfoForm::Plain
            }))
        },
    ),
    entry(
        &["show", "resolvers"],
        User,
        "show resolvers [id]",
        "dumps counters from all resolvers section and associated name servers",
        |words| Ok(Command::ShowResolvers(words.first().cloned())),
    ),
    entry(
        &["show", "schema", "json"],
        User,
        "show schema json",
        "report schema used for stats",
        |_| Ok(Command::ShowSchema),
    ),
    entry(
        &["show", "servers", "conn"],
        User,
        "show servers conn [<backend>]",
        "dump server connections status (all or for a single backend)",
        |words| Ok(Command::ShowServersConnections(words.first().cloned())),
    ),
    entry(
        &["show", "servers", "state"],
        User,
        "show servers state [<backend>]",
        "dump volatile server information (all or for a single backend)",
        |words| Ok(Command::ShowServersState(words.first().cloned())),
    ),
    entry(
        &["show", "stat"],
        User,
        "show stat [json|no-maint|typed|up]*",
        "report counters for each proxy and server",
        show_stat,
    ),
    entry(
        &["show", "table"],
        User,
        "show table <table> [<filter>]*",
        "report table usage stats or dump this table's contents (filter: data/key)",
        |words| {
            let (table, rest) = match words.split_first() {
                Some((table, rest)) => (Some(table.clone()), rest),
                None => (None, words),
            };
            Ok(Command::ShowTable(table, tables::filter(rest)?))
        },
    ),
    entry(
        &["show", "peers"],
        User,
        "show peers [dict|-] [section]",
        "dump some information about all the peers or this peers section",
        |words| {
            let words = match words.first().map(String::as_str) {
                Some("dict" | "-") => words.get(1..).unwrap_or_default(),
                _ => words,
            };
            Ok(Command::ShowPeers(words.first().cloned()))
        },
    ),
    entry(
        &["show", "version"],
        User,
        "show version",
        "show version of the current process",
        |_| Ok(Command::ShowVersion),
    ),
    entry(
        &["show", "sess"],
        Operator,
        "show sess [id]",
        "report the list of current sessions or dump this exact session",
        |words| {
            Ok(Command::ShowSessions(
                words.first().and_then(|word| session(word)),
            ))
        },
    ),
    entry(
        &["shutdown", "session"],
        Admin,
        "shutdown session [id]",
        "kill a specific session",
        |words| match words.first() {
            // One that cannot be a number is none.
            Some(word) => Ok(Command::ShutdownSession(session(word).unwrap_or(0))),
            None => Err("Session pointer expected (use 'show sess').".to_owned()),
        },
    ),
    entry(
        &["shutdown", "sessions", "server"],
        Admin,
        "shutdown sessions server <bk>/<srv>",
        "kill sessions on a server",
        |words| Ok(Command::ShutdownSessions(target(words.first())?)),
    ),
    entry(
        &["user"],
        User,
        "user",
        "lower the level of the current CLI session to user",
        |_| Ok(Command::Lower(User)),
    ),
    entry(
        &["help"],
        User,
        "help [<command>]",
        "list matching or all commands",
        |words| Ok(Command::Help(words.to_vec())),
    ),
    entry(
        &["prompt"],
        User,
        "prompt",
        "toggle interactive mode with prompt",
        |_| Ok(Command::Prompt),
    ),
    entry(&["quit"], User, "quit", "disconnect", |_| Ok(Command::Quit)),
];

/// The number of a session, as `show sess` writes it.
fn session(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// Every command.
fn entries() -> impl Iterator<Item = &'static Entry> {
    let of_files = super::acls::TABLE
        .iter()
        .chain(super::maps::TABLE)
        .chain(super::variables::TABLE)
        .chain(super::tls::table());
    of_files.chain(TABLE)
}

/// Understands the words of one command and its payload.
pub(super) fn parse(
    words: &[String],
    payload: Option<&str>,
    level: StatsLevel,
) -> Result<Command, String> {
    let found = entries().find(|entry| {
        let same = |(given, known): (&String, &&str)| given == known;
        words.len() >= entry.words.len() && words.iter().zip(entry.words).all(same)
    });
    let Some(entry) = found else {
        let title = "Unknown command, but maybe one of the following ones is a better match:";
        return Err(list(title, words.get(..1).unwrap_or_default(), level));
    };
    if level < entry.level {
        return Err("Permission denied".to_owned());
    }
    let rest = words.get(entry.words.len()..).unwrap_or_default();
    match entry.parse {
        Parse::Words(_) if payload.is_some() => Err("This command takes no payload.".to_owned()),
        Parse::Words(parse) => parse(rest),
        Parse::Payload(parse) => parse(rest, payload),
    }
}

/// The answer to `help`.
pub fn help(words: &[String], level: StatsLevel) -> String {
    list(
        "The following commands are valid at this level:",
        words,
        level,
    )
}

/// Entries that begin with `words` (all if there are none such) and those that are always of use.
fn list(title: &str, words: &[String], level: StatsLevel) -> String {
    let matches = |entry: &&Entry| {
        let same = |(given, known): (&String, &&str)| given == known;
        words.iter().zip(entry.words).all(same) && entry.words.len() >= words.len()
    };
    let always = |entry: &&Entry| matches!(entry.words, ["help" | "prompt" | "quit"]);
    let any = entries().any(|entry| matches(&entry));
    let mut text = format!("{title}\n");
    let allowed = entries().filter(|entry| entry.level <= level);
    for entry in allowed.filter(|entry| !any || matches(entry) || always(entry)) {
        text.push_str(&format!("  {:<40}: {}\n", entry.usage, entry.help));
    }
    text
}
