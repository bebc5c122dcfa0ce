//! What is said on the master's command line: commands of the master, and after `@1`, `@!PID` those of a worker.
//!
//! Like haproxy's, a conversation ends after the first line that was answered, unless `prompt` made it interactive.

use std::{io, os::unix::net, time::Duration};

use lb_core::config::StatsLevel;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::oneshot,
    time::timeout,
};

use super::Processes;
use crate::admin::{
    runtime::{command, line, read_payload},
    stat::info,
};

/// How long a worker that starts is waited for.
const STARTING: Duration = Duration::from_secs(2);
/// A client that is not interactive is disconnected after this silence.
const PATIENCE: Duration = Duration::from_secs(10);

/// A question to the daemon and where its answer goes.
#[derive(Debug)]
pub(in crate::supervisor) enum Ask {
    /// `show proc`.
    Processes(oneshot::Sender<Processes>),
    /// `reload`: answered once it is over.
    Reload(oneshot::Sender<Reloaded>),
    /// A line to a worker's command line with these rights; its number is told, too.
    Worker(Which, StatsLevel, oneshot::Sender<(u32, net::UnixStream)>),
    /// The number of a worker that serves.
    Find(Which, oneshot::Sender<u32>),
}

/// How a reload ended.
#[derive(Debug, Clone)]
pub(in crate::supervisor) struct Reloaded {
    /// Whether the configuration was put into force.
    pub(in crate::supervisor) applied: bool,
    /// The rest in words.
    pub(in crate::supervisor) outcome: String,
}

/// A worker as a prefix names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Which {
    /// `@1`.
    Relative(u32),
    /// `@!PID`.
    Pid(u32),
}

/// Who is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Master,
    Worker(Which),
}

/// What follows from a command.
enum Answer {
    /// Text with the empty line that ends it.
    Text(String),
    /// Nothing is said.
    Silent,
    /// The last words.
    Last(String),
}

/// One entry for each command: usage, rights, help.
const TABLE: [(&str, StatsLevel, &str); 12] = {
    use StatsLevel::{Operator, User};
    [
        ("@!<pid>", User, "send a command to the <pid> process"),
        (
            "@<relative pid>",
            User,
            "send a command to the <relative pid> process",
        ),
        ("@master", User, "send a command to the master process"),
        (
            "operator",
            Operator,
            "lower the level of the current CLI session to operator",
        ),
        ("reload", Operator, "reload haproxy"),
        (
            "show cli level",
            User,
            "display the level of the current CLI session",
        ),
        ("show proc", Operator, "show processes status"),
        ("show version", User, "show version of the current process"),
        (
            "user",
            User,
            "lower the level of the current CLI session to user",
        ),
        ("help [<command>]", User, "list matching or all commands"),
        ("prompt", User, "toggle interactive mode with prompt"),
        ("quit", User, "disconnect"),
    ]
};

/// The words that call a command, of its usage.
fn name(usage: &str) -> &str {
    usage.split(" [").next().unwrap_or(usage)
}

struct Session<A> {
    level: StatsLevel,
    interactive: bool,
    target: Target,
    ask: A,
}

/// Talks to one client until it is done. `level` is what its socket grants.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    level: StatsLevel,
    ask: impl Fn(Ask),
) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    let mut session = Session {
        level,
        interactive: false,
        target: Target::Master,
        ask,
    };
    loop {
        let patience = match session.interactive {
            true => Duration::MAX,
            false => PATIENCE,
        };
        let Some(line) = line(&mut reader, patience).await else {
            return Ok(());
        };
        let mut answered = false;
        let (line, has_payload) = command::payload_follows(&line);
        let mut payload = None;
        if has_payload {
            let prompt = if session.interactive { "+ " } else { "" };
            let Some(text) = read_payload(&mut reader, &mut writer, prompt, PATIENCE).await? else {
                return Ok(());
            };
            payload = Some(text);
        }
        let commands = commands(line);
        let last = commands.len().saturating_sub(1);
        for (at, text) in commands.into_iter().enumerate() {
            let payload = payload.as_deref().filter(|_| at == last);
            match session.command(text, payload).await {
                Answer::Text(text) => {
                    answered = true;
                    writer.write_all(text.as_bytes()).await?;
                }
                Answer::Silent => {}
                Answer::Last(text) => {
                    writer.write_all(text.as_bytes()).await?;
                    return writer.shutdown().await;
                }
            }
            if session.interactive {
                writer.write_all(session.prompt().await.as_bytes()).await?;
            }
        }
        if answered && !session.interactive {
            return writer.shutdown().await;
        }
        writer.flush().await?;
    }
}

/// The commands of a line, as they were written.
fn commands(line: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, character) in line.char_indices() {
        if character == ';' && !escaped {
            commands.push(line.get(start..at).unwrap_or_default());
            start = at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    commands.push(line.get(start..).unwrap_or_default());
    commands
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect()
}

/// Whom a word with an `@` names.
fn target(word: &str) -> Option<Target> {
    let name = word.strip_prefix('@')?;
    if let Some(pid) = name.strip_prefix('!') {
        return Some(Target::Worker(Which::Pid(pid.parse().ok()?)));
    }
    match name {
        "master" | "0" => Some(Target::Master),
        number => Some(Target::Worker(Which::Relative(number.parse().ok()?))),
    }
}

impl<A: Fn(Ask)> Session<A> {
    async fn prompt(&self) -> String {
        match self.target {
            Target::Master => "master> ".to_owned(),
            Target::Worker(which) => match self.find(which).await {
                Some(pid) => format!("{pid}> "),
                None => "> ".to_owned(),
            },
        }
    }

    /// The number of a worker, if it serves or does so soon.
    async fn find(&self, which: Which) -> Option<u32> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(Ask::Find(which, reply));
        timeout(STARTING, answer).await.ok()?.ok()
    }

    async fn command(&mut self, text: &str, payload: Option<&str>) -> Answer {
        let (first, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if !first.starts_with('@') {
            return self.say(self.target, text, payload).await;
        }
        let unknown = || {
            Answer::Last(format!(
                "Can't find the target PID matching the prefix '{first}'\n"
            ))
        };
        let Some(target) = target(first) else {
            return unknown();
        };
        if let Target::Worker(which) = target
            && self.find(which).await.is_none()
        {
            return unknown();
        }
        match rest.trim() {
            "" => {
                self.target = target;
                Answer::Silent
            }
            rest => self.say(target, rest, payload).await,
        }
    }

    /// What belongs to the conversation itself is carried out whoever is spoken to.
    async fn say(&mut self, target: Target, text: &str, payload: Option<&str>) -> Answer {
        let words = command::split(text).into_iter().next().unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match *words.as_slice() {
            ["quit"] => return Answer::Last(String::new()),
            ["prompt"] => {
                self.interactive = !self.interactive;
                return Answer::Silent;
            }
            [lower @ ("operator" | "user")] => {
                let wanted = match lower {
                    "user" => StatsLevel::User,
                    _ => StatsLevel::Operator,
                };
                if self.level < wanted {
                    return denied();
                }
                self.level = wanted;
                return Answer::Silent;
            }
            _ => {}
        }
        match target {
            Target::Master => self.own(&words).await,
            Target::Worker(which) => self.pass_on(which, text, payload).await,
        }
    }

    /// The master's own commands.
    async fn own(&self, words: &[&str]) -> Answer {
        let entry = TABLE.iter().find(|(usage, ..)| {
            let mut given = words.iter();
            name(usage)
                .split(' ')
                .all(|word| given.next() == Some(&word))
        });
        let Some((usage, level, _)) = entry else {
            let title = "Unknown command, but maybe one of the following ones is a better match:";
            return ended(self.list(title, words.get(..1).unwrap_or_default()));
        };
        if self.level < *level {
            return denied();
        }
        match *usage {
            "show proc" => {
                let (reply, answer) = oneshot::channel();
                (self.ask)(Ask::Processes(reply));
                ended(answer.await.unwrap_or_default().to_string())
            }
            "reload" => {
                let (reply, answer) = oneshot::channel();
                (self.ask)(Ask::Reload(reply));
                // HAProxy 2.7 and later say so, 2.6 closes the connection without a word.
                let Ok(Reloaded { applied, outcome }) = answer.await else {
                    return Answer::Last(String::new());
                };
                ended(format!("Success={}\n--\n{outcome}\n", u8::from(applied)))
            }
            "show cli level" => ended(match self.level {
                StatsLevel::User => "user\n".to_owned(),
                StatsLevel::Operator => "operator\n".to_owned(),
                StatsLevel::Admin => "admin\n".to_owned(),
            }),
            "show version" => ended(format!("{}\n", info::VERSION)),
            _ => {
                let title = "The following commands are valid at this level:";
                ended(self.list(title, words.get(1..).unwrap_or_default()))
            }
        }
    }

    /// Commands that begin with `words` (all if there are none such) and those that are always of use.
    fn list(&self, title: &str, words: &[&str]) -> String {
        let begins = |usage: &str| {
            let known = name(usage).split(' ');
            known.zip(words).all(|(known, given)| known == *given)
        };
        let all = !TABLE.iter().any(|(usage, ..)| begins(usage));
        let mut text = format!("{title}\n");
        for (usage, level, help) in TABLE {
            let always = matches!(name(usage), "help" | "prompt" | "quit");
            if self.level >= level && (all || always || begins(usage)) {
                text.push_str(&format!("  {usage:<40}: {help}\n"));
            }
        }
        text
    }

    /// A worker answers as on a `stats socket`, and ends its answer itself.
    async fn pass_on(&self, which: Which, text: &str, payload: Option<&str>) -> Answer {
        let (reply, line) = oneshot::channel();
        (self.ask)(Ask::Worker(which, self.level, reply));
        let Ok((pid, line)) = line.await else {
            return Answer::Last("Can't connect to the target CLI!\n".to_owned());
        };
        let said = match payload {
            Some(payload) => format!("{text} <<\n{payload}\n"),
            None => format!("{text}\n"),
        };
        match exchange(line, &said).await {
            Ok(answer) => Answer::Text(answer),
            Err(error) => {
                tracing::warn!("master CLI: worker {pid} does not answer: {error}");
                Answer::Last("Can't connect to the target CLI!\n".to_owned())
            }
        }
    }
}

async fn exchange(line: net::UnixStream, said: &str) -> io::Result<String> {
    let mut line = UnixStream::from_std(line)?;
    line.write_all(said.as_bytes()).await?;
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn ended(mut text: String) -> Answer {
    text.push('\n');
    Answer::Text(text)
}

fn denied() -> Answer {
    ended("Permission denied\n".to_owned())
}
