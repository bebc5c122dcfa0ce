//! The command line on `stats socket`s (HAProxy's management guide, "Unix Socket commands"): a line of commands
//! separated by `;`, each answered by its text and an empty line; then the connection is closed, unless `prompt`
//! made it interactive. A line that ends with `<<` is followed by the payload of its last command, and that by an
//! empty line.
//!
//! [`command`] is the language, [`execute`] what it does; here is the conversation.

pub mod command;
pub mod execute;
pub mod peers;
pub mod tables;

use std::{io, time::Duration};

use lb_core::config::StatsLevel;
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
        AsyncWriteExt as _, BufReader,
    },
    time::timeout,
};

use command::{Command, split};

/// A silent client is disconnected after this, unless `stats timeout` says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_LINE: u64 = 16 * 1024;
/// A payload may be as long: a large map in one command.
const LONGEST_PAYLOAD: usize = 4 * 1024 * 1024;

/// Answers commands.
pub trait Executor {
    /// The text of an answer, without the empty line that ends it.
    fn execute(&self, command: &Command, level: StatsLevel) -> String;

    /// Writes the answer of a command whose answer may be of any length, in pieces; false for other commands.
    fn tell(
        &self,
        command: &Command,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> impl Future<Output = io::Result<bool>> {
        let _ = (command, out);
        std::future::ready(Ok(false))
    }

    /// The same for commands whose answer has to be waited for.
    fn answer(&self, command: &Command, level: StatsLevel) -> impl Future<Output = String> {
        std::future::ready(self.execute(command, level))
    }

    /// How long a client may be silent.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}

/// Talks to one client until it is done. `level` is what its socket grants.
pub async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    mut level: StatsLevel,
    executor: &impl Executor,
) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    let mut interactive = false;
    let mut patience = executor.patience();
    loop {
        let Some(line) = line(&mut reader, patience).await else {
            return Ok(());
        };
        let (line, has_payload) = command::payload_follows(&line);
        let mut payload = None;
        if has_payload {
            let prompt = if interactive { "+ " } else { "" };
            let Some(text) = read_payload(&mut reader, &mut writer, prompt, patience).await? else {
                return Ok(());
            };
            payload = Some(text);
        }
        let commands = split(line);
        let last = commands.len().saturating_sub(1);
        for (at, words) in commands.iter().enumerate() {
            let payload = payload.as_deref().filter(|_| at == last);
            let mut is_bare = false;
            let mut answer = match Command::parse(words, payload, level) {
                Ok(Command::Quit) => return writer.shutdown().await,
                Ok(Command::Prompt) => {
                    interactive = !interactive;
                    String::new()
                }
                Ok(Command::SetTimeout(time)) => {
                    patience = time;
                    String::new()
                }
                Ok(Command::Lower(lower)) => {
                    level = lower;
                    String::new()
                }
                Ok(command) if executor.tell(&command, &mut writer).await? => String::new(),
                Ok(command) => {
                    is_bare = command.is_answered_barely();
                    executor.answer(&command, level).await
                }
                Err(told) => told,
            };
            if !answer.is_empty() && !answer.ends_with('\n') && !is_bare {
                answer.push('\n');
            }
            answer.push_str(if interactive { "\n> " } else { "\n" });
            writer.write_all(answer.as_bytes()).await?;
        }
        if !interactive {
            return writer.shutdown().await;
        }
        writer.flush().await?;
    }
}

/// The next line without its end; nothing from a client that went away or is silent, or whose line is longer than any
/// may be: half of a command is another one.
pub(crate) async fn line(
    reader: &mut (impl AsyncBufRead + Unpin),
    patience: Duration,
) -> Option<String> {
    let mut line = String::new();
    let mut limited = reader.take(LONGEST_LINE);
    let read = timeout(patience, limited.read_line(&mut line)).await;
    let whole = line.ends_with('\n') || (line.len() as u64) < LONGEST_LINE;
    let length = line.trim_end_matches(['\r', '\n']).len();
    let arrived = matches!(read, Ok(Ok(length)) if length > 0) && whole;
    line.truncate(length);
    arrived.then_some(line)
}

/// The lines up to an empty one; nothing from a client that does not end them, or sends too much. `prompt` asks for
/// each.
pub(crate) async fn read_payload(
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    prompt: &str,
    patience: Duration,
) -> io::Result<Option<String>> {
    let mut payload = String::new();
    loop {
        writer.write_all(prompt.as_bytes()).await?;
        writer.flush().await?;
        match line(reader, patience).await {
            Some(line) if line.is_empty() => return Ok(Some(payload)),
            Some(line) if payload.len() + line.len() < LONGEST_PAYLOAD => {
                payload.push_str(&line);
                payload.push('\n');
            }
            _ => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Executor for Echo {
        fn execute(&self, command: &Command, level: StatsLevel) -> String {
            format!("{command:?} {level:?}")
        }
    }

    fn talk(level: StatsLevel, said: &str) -> String {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let (mut client, server) = tokio::io::duplex(64 * 1024);
                client.write_all(said.as_bytes()).await.unwrap();
                client.shutdown().await.unwrap();
                converse(server, level, &Echo).await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                answer
            })
    }

    #[test]
    fn each_command_of_the_line_is_answered_and_ended_by_an_empty_line() {
        let answer = talk(StatsLevel::User, "show version; show backend\nshow info\n");
        assert_eq!(answer, "ShowVersion User\n\nShowBackend User\n\n");
    }

    #[test]
    fn prompt_makes_it_interactive_until_quit() {
        let answer = talk(StatsLevel::Admin, "prompt\nshow version\nquit\nshow info\n");
        assert_eq!(answer, "\n> ShowVersion Admin\n\n> ");
    }

    #[test]
    fn the_level_can_be_lowered_but_not_raised() {
        let answer = talk(
            StatsLevel::Admin,
            "operator; disable server b/s; user; operator\n",
        );
        assert_eq!(answer, "\nPermission denied\n\n\nPermission denied\n\n");
    }

    #[test]
    fn a_payload_belongs_to_the_last_command_of_its_line_and_ends_with_an_empty_line() {
        let add = r#"Patterns(Map, Add("m", Some(2), [("a", "1"), ("b", "2 3")])) Admin"#;
        let answer = talk(
            StatsLevel::Admin,
            "show version; add map @2 m <<\na 1\n\tb  2 3\n\nshow info\n",
        );
        assert_eq!(answer, format!("ShowVersion Admin\n\n{add}\n\n"));
        let answer = talk(
            StatsLevel::Admin,
            "prompt\nadd map @2 m <<\na 1\nb 2 3\n\nquit\n",
        );
        assert_eq!(answer, format!("\n> + + + {add}\n\n> "));
        let unended = talk(StatsLevel::Admin, "add map m <<\na 1\n");
        assert_eq!(unended, "");
    }

    #[test]
    fn of_a_line_that_is_too_long_nothing_is_carried_out() {
        let long = "k".repeat(20_000);
        for said in [
            format!("add map m key {long}\nshow info\n"),
            format!("add map m <<\nkey {long}\n\n"),
        ] {
            assert_eq!(talk(StatsLevel::Admin, &said), "");
        }
        let line = format!("show info {}", "k".repeat(16_373));
        assert_eq!(
            talk(StatsLevel::Admin, &format!("{line}\n")),
            "ShowInfo(Plain) Admin\n\n"
        );
    }

    #[test]
    fn what_tells_of_certificates_is_not_for_everybody() {
        let (user, operator) = (StatsLevel::User, StatsLevel::Operator);
        for kind in ["cert", "ca-file", "crl-file"] {
            let said = format!("show ssl {kind}\n");
            assert_eq!(talk(user, &said), "Permission denied\n\n");
            assert!(talk(operator, &said).starts_with("Tls(Show("), "{said}");
        }
        assert_eq!(
            talk(operator, "show ssl crt-list\n"),
            "Permission denied\n\n"
        );
    }

    #[test]
    fn a_client_may_change_how_long_it_may_be_silent() {
        let answer = talk(
            StatsLevel::User,
            "set timeout cli 2m; set timeout cli never\n",
        );
        assert_eq!(answer, "\nInvalid timeout value.\n\n");
    }

    #[test]
    fn a_payload_without_values_or_with_values_beside_it_is_refused() {
        for (said, told) in [
            ("add map m <<\na 1\nb\n\n", "Missing value for key 'b'."),
            (
                "add map m k v <<\na 1\n\n",
                "'add map' expects three parameters (map identifier, key and value) or one parameter (map \
                 identifier) and a payload",
            ),
            ("show version <<\na 1\n\n", "This command takes no payload."),
        ] {
            assert_eq!(talk(StatsLevel::Admin, said), format!("{told}\n\n"));
        }
    }
}
