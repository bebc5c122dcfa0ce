//! The status again and again: on a terminal in place, with keys to move through what does not fit; one after the other
//! into a pipe.

mod screen;
mod view;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{self, Receiver},
    time::{MissedTickBehavior, interval},
};

use super::{Form, fetch};
use screen::Screen;
use view::{Asked, View};

/// Asks the daemon at `path` every so often until a key, a signal or the reader ends it. A daemon that does not answer
/// is waited for, if it answered at first.
pub(in crate::cli) fn watch(path: &Path, form: Form, every: Duration) -> Result<ExitCode, String> {
    let first = fetch(path, form)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let done = runtime.block_on(repeat(path, form, every, first));
    // A question that is still open is nobody's any more.
    runtime.shutdown_background();
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

async fn repeat(path: &Path, form: Form, every: Duration, first: String) -> io::Result<()> {
    // Before the terminal changes: a signal finds somebody to restore it.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut screen = Screen::open()?;
    let mut keys = match screen {
        Some(_) => keys(),
        None => mpsc::channel(1).1,
    };
    let mut answers = ask(path.to_owned(), form, every);
    let mut view = View::new(&first);
    show(&mut screen, &mut view, &first)?;
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
            Some(event) = keys.recv() => {
                if let Some(screen) = &mut screen {
                    if let Event::Key(key) = event
                        && view.key(key, screen.size()?) == Asked::End
                    {
                        return Ok(());
                    }
                    screen.draw(&mut view)?;
                }
            }
            answer = answers.recv() => match answer {
                Some(Ok(text)) => {
                    view.change(&text);
                    show(&mut screen, &mut view, &text)?;
                }
                Some(Err(told)) => {
                    let text = format!("{told}\nwaiting for it ...\n");
                    view.change(&text);
                    match &mut screen {
                        Some(screen) => screen.draw(&mut view)?,
                        None => writeln!(io::stderr(), "ha-lb: {told}")?,
                    }
                }
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }
}

fn show(screen: &mut Option<Screen>, view: &mut View, text: &str) -> io::Result<()> {
    match screen {
        Some(screen) => screen.draw(view),
        None => screen::write_out(text),
    }
}

/// What the daemon answers, every so often.
fn ask(path: PathBuf, form: Form, every: Duration) -> Receiver<Result<String, String>> {
    let (told, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let path = path.clone();
            let answer = tokio::task::spawn_blocking(move || fetch(&path, form)).await;
            let Ok(answer) = answer else { return };
            if told.send(answer).await.is_err() {
                return;
            }
        }
    });
    answers
}

/// Keys and changes of the terminal's size, from a thread that ends with the process.
fn keys() -> Receiver<Event> {
    let (pressed, keys) = mpsc::channel(64);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let released = |key: &event::KeyEvent| key.kind == KeyEventKind::Release;
            let matters = match &event {
                Event::Key(key) => !released(key),
                Event::Resize(..) => true,
                _ => false,
            };
            if matters && pressed.blocking_send(event).is_err() {
                return;
            }
        }
    });
    keys
}
