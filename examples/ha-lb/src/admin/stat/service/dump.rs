//! Rows for programs, written as they are asked for.

use lb_core::dataplane::StatsBody;

use super::super::{
    columns::{self, Row},
    typed,
    walk::Walk,
};

/// A piece is sent when it is that long.
const PIECE: usize = 16 * 1024;

/// Rows in one of the forms.
#[derive(Debug)]
pub(in super::super) struct Dump {
    rows: Walk,
    before: Option<String>,
    between: &'static str,
    after: &'static str,
    first: bool,
    write: fn(&Row, &mut String),
}

impl Dump {
    pub(in super::super) fn csv(rows: Walk) -> Self {
        let mut header = String::new();
        columns::csv_header(&mut header);
        Self::new(rows, header, ("", ""), columns::csv_line)
    }

    pub(in super::super) fn typed(rows: Walk) -> Self {
        Self::new(rows, String::new(), ("", ""), typed::lines)
    }

    pub(in super::super) fn json(rows: Walk) -> Self {
        Self::new(rows, String::from("["), (",", "]"), typed::json_row)
    }

    fn new(
        rows: Walk,
        before: String,
        (between, after): (&'static str, &'static str),
        write: fn(&Row, &mut String),
    ) -> Self {
        Self {
            rows,
            before: Some(before),
            between,
            after,
            first: true,
            write,
        }
    }
}

impl StatsBody for Dump {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let mut text = self.before.take().unwrap_or_default();
        while text.len() < PIECE {
            let Some(row) = self.rows.next() else {
                text.push_str(self.after);
                out.extend_from_slice(text.as_bytes());
                return false;
            };
            text.push_str(if self.first { "" } else { self.between });
            self.first = false;
            (self.write)(&row, &mut text);
        }
        out.extend_from_slice(text.as_bytes());
        true
    }
}

/// A text that is there already.
#[derive(Debug)]
pub(super) struct Whole(pub(super) &'static str);

impl StatsBody for Whole {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.0.as_bytes());
        false
    }
}
