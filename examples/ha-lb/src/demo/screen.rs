//! The demonstration as a live screen.
//!
//! Four sources feed one loop: what the inner process tells, its end, keys and window sizes, and signals.

mod bottom;
mod graph;
mod map;
mod model;
mod terminal;
mod view;

use std::{
    io::{self, Write as _},
    process::{ChildStdin, ChildStdout},
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use ratatui::crossterm::event::{self, Event as Terminal, KeyCode, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};

use super::{hand::Hand, message::Message, outside};
use model::Model;

/// The clock on the screen goes on when nothing else happens.
const TICK: Duration = Duration::from_millis(100);

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The story is told.
    Told,
    /// The person has seen enough.
    Quit,
    /// A signal of this number asked for the end.
    Signal(i32),
}

enum Input {
    Told(Message),
    Ended,
    Key(KeyCode, KeyModifiers),
    Resized,
    Signal(i32),
}

/// Shows what the inner process tells until it ends or the person leaves; `keep` sees every message.
pub(super) fn show(
    told: ChildStdout,
    leash: &mut ChildStdin,
    by_hand: bool,
    mut keep: impl FnMut(Message),
) -> io::Result<Left> {
    let (sender, inputs) = mpsc::channel();
    // Before the terminal changes: a signal finds somebody to restore it.
    signals(sender.clone())?;
    let mut terminal = terminal::Screen::open()?;
    keys(sender.clone());
    messages(told, sender);
    let mut model = Model::new(by_hand);
    loop {
        terminal.draw(|frame| view::draw(frame, &model))?;
        for input in pending(&inputs) {
            match input {
                Input::Told(message) => {
                    model.hear(&message);
                    keep(message);
                }
                Input::Ended => return Ok(Left::Told),
                Input::Signal(number) => return Ok(Left::Signal(number)),
                Input::Key(KeyCode::Char('q') | KeyCode::Esc, _) => return Ok(Left::Quit),
                Input::Key(KeyCode::Char('c'), KeyModifiers::CONTROL) => return Ok(Left::Quit),
                Input::Key(KeyCode::Char(key), _) if by_hand => order(leash, key)?,
                Input::Key(..) | Input::Resized => {}
            }
        }
    }
}

/// Everything that has come, or nothing after a tick.
fn pending(inputs: &Receiver<Input>) -> Vec<Input> {
    let first = inputs.recv_timeout(TICK).ok();
    first.into_iter().chain(inputs.try_iter()).collect()
}

fn order(leash: &mut ChildStdin, key: char) -> io::Result<()> {
    let meant = Hand::ALL.into_iter().find(|hand| hand.key() == key);
    meant.map_or(Ok(()), |hand| writeln!(leash, "{hand}"))
}

fn messages(told: ChildStdout, sender: Sender<Input>) {
    std::thread::spawn(move || {
        for message in outside::messages(told) {
            if sender.send(Input::Told(message)).is_err() {
                return;
            }
        }
        // Whoever has left the screen does not wait for it.
        let _ = sender.send(Input::Ended);
    });
}

fn keys(sender: Sender<Input>) {
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                Terminal::Key(key) if key.kind != KeyEventKind::Release => {
                    Input::Key(key.code, key.modifiers)
                }
                Terminal::Resize(..) => Input::Resized,
                _ => continue,
            };
            if sender.send(input).is_err() {
                return;
            }
        }
    });
}

fn signals(sender: Sender<Input>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut listening = {
        let _inside = runtime.enter();
        [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ]
        .map(|kind| signal(kind).map(|signal| (kind.as_raw_value(), signal)))
        .into_iter()
        .collect::<io::Result<Vec<_>>>()?
    };
    std::thread::spawn(move || {
        let any = std::future::poll_fn(|context| {
            for (number, signal) in &mut listening {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        });
        let number = runtime.block_on(any);
        let _ = sender.send(Input::Signal(number));
    });
    Ok(())
}
