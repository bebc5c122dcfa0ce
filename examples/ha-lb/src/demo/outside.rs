//! The outer process: starts the inner one in namespaces and shows what it tells.

use std::{
    io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _},
    process::{Child, ChildStderr, ChildStdout, ExitCode, Stdio},
    thread::JoinHandle,
};

use super::{
    Options,
    message::{Event, Message},
    plain,
    screen::{self, Left},
    table::Table,
};
use crate::lab::enclosure;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Every event, in order.
    pub(super) events: Vec<Event>,
    /// Why it ended early.
    pub(super) broken: Option<String>,
}

impl Outcome {
    /// Keeps what is asked for at the end.
    pub(super) fn keep(&mut self, message: Message) {
        match message {
            Message::Done(event) => self.events.push(event),
            Message::Broken(why) => self.broken = Some(why),
            Message::Plan(_) | Message::Step { .. } | Message::Say { .. } | Message::Look(_) => {}
        }
    }
}

/// Runs the inner process to its end, shows what it tells, and the table.
pub(super) fn run(options: Options) -> Result<ExitCode, String> {
    let on_screen = screen_is_possible(options);
    if options.interactive && !on_screen {
        return Err("--interactive needs a terminal".to_owned());
    }
    let mut inner = start(options, on_screen)?;
    let told = inner.stdout.take().ok_or("the inner process is mute")?;
    // It ends when this one is closed, and `wait` would close it first.
    let mut leash = inner.stdin.take().ok_or("there is no leash")?;
    let errors = inner.stderr.take().map(collect);
    let mut outcome = Outcome::default();
    let left = if on_screen {
        let keep = |message| outcome.keep(message);
        screen::show(told, &mut leash, options.interactive, keep)
            .map_err(|error| format!("terminal: {error}"))
    } else {
        for message in messages(told) {
            if !options.json {
                plain::print(&message);
            }
            outcome.keep(message);
        }
        Ok(Left::Told)
    };
    if !matches!(left, Ok(Left::Told)) {
        drop(leash);
    }
    let status = inner.wait().map_err(|error| format!("wait: {error}"))?;
    if let Some(errors) = errors.and_then(|errors| errors.join().ok()) {
        let _ = io::stderr().write_all(&errors);
    }
    if left == Ok(Left::Told) && outcome.broken.is_none() && !status.success() {
        outcome.broken = Some(format!("the inner process ended early: {status}"));
    }
    let code = finish(options, outcome)?;
    match left? {
        Left::Told | Left::Quit => Ok(code),
        // As a shell says it.
        Left::Signal(number) => Ok(ExitCode::from(u8::try_from(128 + number).unwrap_or(1))),
    }
}

/// A screen needs a terminal that can place its cursor.
fn screen_is_possible(options: Options) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !options.json && !options.plain && !dumb && io::stdout().is_terminal()
}

/// Reads what would disturb the screen, to be shown after it.
fn collect(mut errors: ChildStderr) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // What was read before a failure is worth showing.
        let _ = errors.read_to_end(&mut text);
        text
    })
}

/// The messages of the inner process, until it ends.
pub(super) fn messages(told: ChildStdout) -> impl Iterator<Item = Message> {
    let lines = BufReader::new(told).lines().map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_str(&line).ok())
}

/// The table, or the document, and the exit code.
fn finish(options: Options, outcome: Outcome) -> Result<ExitCode, String> {
    let table = Table(&outcome.events);
    let held = table.held() && outcome.broken.is_none();
    let text = if options.json {
        let document = serde_json::json!({ "events": outcome.events, "held": held });
        format!("{document:#}\n")
    } else if outcome.events.is_empty() {
        String::new()
    } else {
        format!("\n{table}\n")
    };
    let _ = io::stdout().write_all(text.as_bytes());
    match outcome.broken {
        Some(why) => Err(why),
        None if held => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

fn start(options: Options, on_screen: bool) -> Result<Child, String> {
    let keep_users = match enclosure::permitted(false) {
        Ok(()) => false,
        Err(_) if enclosure::permitted(true).is_ok() => true,
        Err(error) => {
            return Err(format!(
                "this machine does not let you make namespaces ({error}). Run the demonstration as root \
                 (`sudo ha-lb demo`), or allow user namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1 \
                 kernel.apparmor_restrict_unprivileged_userns=0`."
            ));
        }
    };
    let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
    let mut arguments = vec!["demo"];
    if options.interactive {
        arguments.push("--interactive");
    }
    let mut command = enclosure::command(program.as_os_str(), &arguments, keep_users);
    if on_screen {
        command.stderr(Stdio::piped());
    }
    command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare: {error}"))
}
