//! Times, sizes, aligned columns and wrapped lines.

use std::fmt;

/// No line is longer.
pub(super) const WIDTH: usize = 100;

/// A span as an operator says it: `400 ms`, `4.2 s`, `12 min 3 s`, `3 h 12 min`, `3 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", (seconds * 1000.0).max(0.0));
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    match (whole / 86_400, whole / 3600, whole / 60) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", whole % 60),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// Milliseconds with as many digits as matter.
pub(super) fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}

/// Local time to the millisecond.
pub(super) fn clock(at: f64) -> String {
    let since = std::time::Duration::try_from_secs_f64(at).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    chrono::DateTime::from_timestamp(seconds, since.subsec_nanos())
        .unwrap_or_default()
        .with_timezone(&chrono::Local)
        .format("%Y-%m-%d %H:%M:%S%.3f")
        .to_string()
}

/// A size in the unit that suits it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KB", bytes / 1024),
        _ => format!("{} MB", bytes / 1_048_576),
    }
}

/// Writes `text` behind `label`, later lines below the first; no word is broken.
pub(super) fn paragraph(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    let indent = label.chars().count();
    let mut column = indent;
    f.write_str(label)?;
    for (number, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > WIDTH {
            write!(f, "\n{:indent$}", "")?;
            column = indent;
        } else if number > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += length;
    }
    f.write_str("\n")
}

/// Aligned columns, two spaces in; the last one is not padded, and its words wrap.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { rows: vec![heads] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let Some((last, cells)) = row.split_last() else {
                continue;
            };
            let mut line = String::from("  ");
            for (column, cell) in cells.iter().enumerate() {
                let width = self.width(column);
                // Numbers stand under each other's ends.
                if cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains([' ', '.', '/'])
                {
                    line.push_str(&format!("{cell:>width$}  "));
                } else {
                    line.push_str(&format!("{cell:<width$}  "));
                }
            }
            if last.is_empty() {
                writeln!(f, "{}", line.trim_end())?;
            } else {
                paragraph(f, &line, last)?;
            }
        }
        Ok(())
    }
}
