//! Words of a file as a terminal and a log may be shown them: a file that is no configuration at all (a binary, a
//! page of HTML) must not move the cursor, colour the screen or fill it.

use std::fmt::{self, Write};

/// Passes text on with control characters escaped (`\u{1b}`), line ends among them.
pub(crate) struct Escaped<'w, W>(pub(crate) &'w mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        match c.is_control() {
            true => write!(self.0, "{}", c.escape_default()),
            false => self.0.write_char(c),
        }
    }
}

/// `text` with control characters escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = Escaped(&mut shown).write_str(text);
    shown
}

/// `text`, cut after `most` characters with a sign that there was more.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}
