//! The status again and again: drawn in place on a terminal, which is as it was afterwards; one after the other into
//! a pipe.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{Form, fetch};

/// The other screen, without cursor, where a line that is too long is cut (wrapped, it would scroll); and back. In
/// between lines end with "erase the rest of the line".
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\n";
const ERASE_BELOW: &str = "\x1b[J";

/// Asks the daemon at `path` every so often until a signal or the reader ends it. A daemon that does not answer is
/// waited for, if it answered at first.
pub(in crate::cli) fn watch(path: &Path, form: Form, every: Duration) -> Result<ExitCode, String> {
    let first = fetch(path, form)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let screen = Screen::new();
    let done = runtime.block_on(repeat(path, form, every, first, &screen));
    // A question that is still open is nobody's any more.
    runtime.shutdown_background();
    drop(screen);
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

async fn repeat(
    path: &Path,
    form: Form,
    every: Duration,
    first: String,
    screen: &Screen,
) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    screen.show(&first)?;
    loop {
        let path = path.to_owned();
        let again = async {
            ticks.tick().await;
            tokio::task::spawn_blocking(move || fetch(&path, form)).await
        };
        let answer = tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
            answer = again => answer?,
        };
        match answer {
            Ok(text) => screen.show(&text)?,
            Err(told) => screen.complain(&told)?,
        }
    }
}

/// Where it is shown; dropping it gives the terminal back.
struct Screen {
    is_terminal: bool,
}

impl Screen {
    fn new() -> Self {
        let screen = Self {
            is_terminal: io::stdout().is_terminal(),
        };
        if screen.is_terminal {
            // A terminal that is gone shows itself at the first picture.
            let _ = write_out(ENTER);
        }
        screen
    }

    fn show(&self, text: &str) -> io::Result<()> {
        if !self.is_terminal {
            return write_out(text);
        }
        let size = rustix::termios::tcgetwinsize(io::stdout())?;
        write_out(&picture(text, usize::from(size.ws_row)))
    }

    fn complain(&self, told: &str) -> io::Result<()> {
        if self.is_terminal {
            self.show(&format!("{told}\nwaiting for it ...\n"))
        } else {
            writeln!(io::stderr(), "ha-lb: {told}")
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = write_out(LEAVE);
        }
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One picture over the one before; what does not fit is counted.
fn picture(text: &str, rows: usize) -> String {
    let lines = text.lines().count();
    // The last row stays empty: a line's end there would scroll.
    let room = match rows {
        0 => lines,
        rows => rows.saturating_sub(1),
    };
    let mut picture = HOME.to_owned();
    let shown = if lines > room {
        room.saturating_sub(1)
    } else {
        lines
    };
    for line in text.lines().take(shown) {
        picture.push_str(line);
        picture.push_str(END_OF_LINE);
    }
    if lines > shown {
        picture.push_str(&format!("... {} more lines{END_OF_LINE}", lines - shown));
    }
    picture + ERASE_BELOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_covers_the_one_before_and_never_scrolls() {
        assert_eq!(picture("a\nb\n", 24), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        let small = picture("1\n2\n3\n4\n5\n", 4);
        assert_eq!(small.matches('\n').count(), 3);
        assert!(small.contains("... 3 more lines"), "{small:?}");
        assert_eq!(picture("1\n2\n", 0).matches('\n').count(), 2);
    }
}
