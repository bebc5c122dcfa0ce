//! The terminal: its other screen while the status is watched, and as it was afterwards, however that ends.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Once,
};

use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};

use super::view::View;

/// The other screen, without cursor, where a line that is too long is cut (wrapped, it would scroll); and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A terminal that is ours; dropping it gives it back, and so does a panic.
#[derive(Debug)]
pub(super) struct Screen(());

impl Screen {
    /// `None` where standard output is no terminal.
    pub(super) fn open() -> io::Result<Option<Self>> {
        static HOOK: Once = Once::new();
        if !io::stdout().is_terminal() {
            return Ok(None);
        }
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                usual(panic);
            }));
        });
        // Keys come one by one.
        if io::stdin().is_terminal() {
            enable_raw_mode()?;
        }
        let screen = Self(());
        write_out(ENTER)?;
        Ok(Some(screen))
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> io::Result<(usize, usize)> {
        let (columns, rows) = size()?;
        Ok((usize::from(columns), usize::from(rows)))
    }

    /// Draws to the present size.
    pub(super) fn draw(&mut self, view: &mut View) -> io::Result<()> {
        let size = self.size()?;
        write_out(&view.picture(size))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// What cannot be restored now is beyond help.
fn restore() {
    let _ = write_out(LEAVE);
    let _ = disable_raw_mode();
}

pub(super) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}
