//! The command line on `stats socket`s (HAProxy's management guide, "Unix Socket commands"): a line of commands
//! separated by `;`, each answered by its text and an empty line; then the connection is closed, unless `prompt`
//! made it interactive.
//!
//! [`command`] is the language, [`execute`] what it does; here is the conversation.

pub mod command;
pub mod execute;
pub mod tables;

use std::{io, time::Duration};

use lb_core::config::StatsLevel;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    time::timeout,
};

use command::{Command, split};

/// `stats timeout`: a silent client is disconnected after this.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_LINE: u64 = 16 * 1024;

/// Answers commands.
pub trait Executor {
    /// The text of an answer, without the empty line that ends it.
    fn execute(&self, command: &Command, level: StatsLevel) -> String;
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
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(LONGEST_LINE);
        let read = timeout(PATIENCE, limited.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(length)) if length > 0) {
            return Ok(());
        }
        for words in split(line.trim_end_matches(['\r', '\n'])) {
            let mut answer = match Command::parse(&words, level) {
                Ok(Command::Quit) => return writer.shutdown().await,
                Ok(Command::Prompt) => {
                    interactive = !interactive;
                    String::new()
                }
                Ok(Command::Lower(lower)) => {
                    level = lower;
                    String::new()
                }
                Ok(command) => executor.execute(&command, level),
                Err(told) => told,
            };
            if !answer.is_empty() && !answer.ends_with('\n') {
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
}
