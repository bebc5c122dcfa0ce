//! A text that may be larger than the screen: which part of it is seen, and what keys do about that. Pure.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

const HOME: &str = "\x1b[H";
/// The rest of the line is erased; the terminal does not go to the left by itself while keys come one by one.
const END_OF_LINE: &str = "\x1b[K\r\n";
const ERASE_BELOW: &str = "\x1b[J";
const REVERSED: &str = "\x1b[7m";
const PLAIN: &str = "\x1b[0m";
/// Columns by which it moves sideways.
const STEP: usize = 8;

/// What a key asks for beyond moving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    End,
}

/// The text and the place of its first line and column that are seen.
#[derive(Debug)]
pub(super) struct View {
    lines: Vec<String>,
    top: usize,
    left: usize,
}

impl View {
    pub(super) fn new(text: &str) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
            top: 0,
            left: 0,
        }
    }

    /// Another text, seen at the same place.
    pub(super) fn change(&mut self, text: &str) {
        self.lines = text.lines().map(str::to_owned).collect();
    }

    /// Lines that have room; where not all have, the last row tells which are seen.
    fn room(&self, rows: usize) -> usize {
        match rows {
            0 => self.lines.len(),
            rows if self.lines.len() <= rows => rows,
            rows => rows - 1,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent, (columns, rows): (usize, usize)) -> Asked {
        let page = self.room(rows).max(1);
        let last = self.lines.len().saturating_sub(page);
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Asked::End,
            KeyCode::Char('q') | KeyCode::Esc => return Asked::End,
            KeyCode::Char('d') if control => self.top += page / 2,
            KeyCode::Char('u') if control => self.top = self.top.saturating_sub(page / 2),
            KeyCode::Char('j') | KeyCode::Down | KeyCode::Enter => self.top += 1,
            KeyCode::Char('k') | KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Char(' ' | 'f') | KeyCode::PageDown => self.top += page,
            KeyCode::Char('b') | KeyCode::PageUp => self.top = self.top.saturating_sub(page),
            KeyCode::Char('g') | KeyCode::Home => (self.top, self.left) = (0, 0),
            KeyCode::Char('G') | KeyCode::End => self.top = last,
            KeyCode::Char('l') | KeyCode::Right => self.left += STEP,
            KeyCode::Char('h') | KeyCode::Left => self.left = self.left.saturating_sub(STEP),
            _ => {}
        }
        self.stay_inside(columns, last);
        Asked::Nothing
    }

    fn stay_inside(&mut self, columns: usize, last: usize) {
        let widest = self.lines.iter().map(|line| line.chars().count()).max();
        let hidden = widest.unwrap_or(0).saturating_sub(columns);
        self.top = self.top.min(last);
        self.left = self.left.min(hidden.next_multiple_of(STEP));
    }

    /// One picture over the one before; it never scrolls.
    pub(super) fn picture(&mut self, (columns, rows): (usize, usize)) -> String {
        let room = self.room(rows);
        self.stay_inside(columns, self.lines.len().saturating_sub(room));
        let seen = self.lines.iter().skip(self.top).take(room);
        // Not left to the terminal, which might wrap what is too long.
        let wide = if columns == 0 { usize::MAX } else { columns };
        let cut = |line: &String| line.chars().skip(self.left).take(wide).collect::<String>();
        let seen = seen.map(cut);
        let mut picture = HOME.to_owned() + &seen.collect::<Vec<_>>().join(END_OF_LINE);
        if room < self.lines.len() {
            let (from, to) = (self.top + 1, self.top + room);
            let bar = format!(
                " lines {from}-{to} of {}; j k, Space b, g G, h l: move; q: end ",
                self.lines.len()
            );
            let bar: String = bar.chars().take(wide).collect();
            picture.push_str(&format!("{END_OF_LINE}{REVERSED}{bar}{PLAIN}"));
        }
        picture + "\x1b[K" + ERASE_BELOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, keys: &[KeyCode]) {
        for key in keys {
            assert_eq!(view.key((*key).into(), (20, 4)), Asked::Nothing);
        }
    }

    fn seen(view: &mut View) -> Vec<String> {
        let picture = view.picture((20, 4));
        let plain = ["\x1b[H", "\x1b[K", "\x1b[J", REVERSED, PLAIN];
        let text = plain
            .iter()
            .fold(picture, |text, code| text.replace(code, ""));
        text.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_text_that_fits_is_all_that_is_seen() {
        let mut view = View::new("a\nb\n");
        assert_eq!(view.picture((80, 24)), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
        press(&mut view, &[KeyCode::Char('j'), KeyCode::PageDown]);
        assert_eq!(seen(&mut view), ["a", "b"]);
        // A terminal that does not tell its size.
        assert!(View::new("1\n2\n3\n").picture((0, 0)).contains('3'));
    }

    #[test]
    fn keys_move_through_what_does_not_fit_and_the_last_row_tells_where_that_is() {
        let mut view = View::new("1\n2\n3\n4\n5\n6\n7\n");
        assert_eq!(seen(&mut view), ["1", "2", "3", " lines 1-3 of 7; j k"]);
        press(&mut view, &[KeyCode::Char('j'), KeyCode::Down]);
        assert_eq!(seen(&mut view)[..3], ["3", "4", "5"]);
        press(&mut view, &[KeyCode::Char(' '), KeyCode::Char(' ')]);
        assert_eq!(seen(&mut view)[..3], ["5", "6", "7"]);
        press(&mut view, &[KeyCode::Up, KeyCode::PageUp]);
        assert_eq!(seen(&mut view)[..3], ["1", "2", "3"]);
        press(&mut view, &[KeyCode::Char('G')]);
        assert_eq!(seen(&mut view)[..3], ["5", "6", "7"]);
        // Less text than before: its end.
        view.change("1\n2\n3\n4\n5\n");
        assert_eq!(seen(&mut view)[..3], ["3", "4", "5"]);
        press(&mut view, &[KeyCode::Home]);
        assert_eq!(seen(&mut view)[..3], ["1", "2", "3"]);
    }

    #[test]
    fn long_lines_are_seen_by_moving_sideways() {
        let mut view = View::new("0123456789012345678901234\n");
        assert_eq!(seen(&mut view), ["01234567890123456789"]);
        press(
            &mut view,
            &[KeyCode::Right, KeyCode::Right, KeyCode::Char('l')],
        );
        assert_eq!(seen(&mut view), ["89012345678901234"]);
        press(&mut view, &[KeyCode::Left]);
        assert_eq!(seen(&mut view).len(), 1);
        assert!(seen(&mut view)[0].starts_with("0123"));
    }

    #[test]
    fn q_and_control_c_end_it() {
        let mut view = View::new("");
        assert_eq!(view.key(KeyCode::Char('q').into(), (80, 24)), Asked::End);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(control_c, (80, 24)), Asked::End);
        assert_eq!(
            view.key(KeyCode::Char('c').into(), (80, 24)),
            Asked::Nothing
        );
    }
}
