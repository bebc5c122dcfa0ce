//! The graph: how long the client waited for each answer, newest at the right, failures in red, and below it what
//! was done when. The scale is logarithmic: a millisecond and half a second are both seen.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Stylize as _,
    text::{Line, Span},
    widgets::Widget as _,
};

use super::{
    model::Model,
    view::{BAD, BUSY, GOOD, QUIET},
};
use crate::demo::message::Sample;

/// Time of one column.
const COLUMN_MS: u64 = 150;
/// Place for the scale.
const SCALE: u16 = 8;
/// Bottom and top of the scale, in microseconds.
const LEAST_US: u64 = 250;
const MOST_US: u64 = 512_000;
/// No answer for so long is worth a word; each look is a tenth of a second old.
const NEWS_MS: u64 = 150;
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// What one column shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Column {
    longest_us: Option<u64>,
    failed: bool,
}

/// Draws it: a title, the columns, a line of marks.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model) {
    let plot = Rect {
        x: area.x + SCALE,
        y: area.y + 1,
        width: area.width.saturating_sub(SCALE + 1),
        height: area.height.saturating_sub(2),
    };
    title(model).render(Rect { height: 1, ..area }, buffer);
    scale(buffer, area, plot);
    let count = u64::from(plot.width);
    let last = model.now.at_ms / COLUMN_MS;
    let first = last.saturating_sub(count.saturating_sub(1));
    let columns = columns(model.samples.iter(), first, plot.width);
    let waiting_since = model.now.at_ms.saturating_sub(model.now.waiting_ms) / COLUMN_MS;
    for ((x, column), number) in (plot.x..).zip(columns).zip(first..=last) {
        draw_column(buffer, plot, x, column, number >= waiting_since);
    }
    marks(buffer, plot, model, first);
}

/// Samples by the time at which they were asked.
fn columns<'s>(samples: impl Iterator<Item = &'s Sample>, first: u64, width: u16) -> Vec<Column> {
    let mut columns = vec![Column::default(); usize::from(width)];
    for sample in samples {
        let place = (sample.at_ms / COLUMN_MS).checked_sub(first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(column) = place.and_then(|place| columns.get_mut(place)) {
            if sample.failed.is_some() {
                column.failed = true;
            } else {
                column.longest_us = column.longest_us.max(Some(sample.took_us));
            }
        }
    }
    columns
}

fn draw_column(buffer: &mut Buffer, plot: Rect, x: u16, column: Column, waiting: bool) {
    let full = u64::from(plot.height) * 8;
    let (height, style) = match column {
        Column { failed: true, .. } => (full, BAD),
        Column {
            longest_us: Some(took),
            ..
        } => (level(took, full), GOOD),
        Column { .. } => {
            if waiting {
                buffer.set_string(x, plot.bottom() - 1, "·", BUSY);
            }
            return;
        }
    };
    for (y, below) in (plot.y..plot.bottom()).rev().zip((0..).step_by(8)) {
        let eighths = usize::try_from(height.saturating_sub(below)).unwrap_or(0);
        let symbol = EIGHTHS.get(eighths.min(8)).copied().unwrap_or(" ");
        let symbol = if column.failed { "░" } else { symbol };
        buffer.set_string(x, y, symbol, style);
    }
}

/// Height of a wait on the scale, at least one eighth: an answer is always seen.
fn level(took_us: u64, full: u64) -> u64 {
    // Sixteenths of a doubling, without floating point: the fraction between two powers of two is nearly linear.
    let log = |value: u64| {
        let whole = value.max(1).ilog2();
        let fraction = (value << 4 >> whole) & 15;
        u64::from(whole) * 16 + fraction
    };
    let over = log(took_us.clamp(LEAST_US, MOST_US)) - log(LEAST_US);
    (over * full / (log(MOST_US) - log(LEAST_US))).max(1)
}

fn scale(buffer: &mut Buffer, area: Rect, plot: Rect) {
    let full = u64::from(plot.height) * 8;
    for (us, text) in [(1_000, "1 ms"), (10_000, "10 ms"), (100_000, "100 ms")] {
        let row = u16::try_from((level(us, full) - 1) / 8).unwrap_or(0);
        let y = plot.bottom().saturating_sub(1 + row);
        let text = format!("{text:>width$}", width = usize::from(SCALE - 1));
        buffer.set_string(area.x, y, text, QUIET);
    }
}

fn title(model: &Model) -> Line<'static> {
    let recent = model.recent();
    let mut spans = vec![Span::from(" what the client waits ").bold()];
    if recent.longest_us > 0 {
        let median = milliseconds(recent.median_us);
        let longest = milliseconds(recent.longest_us);
        let text = format!("  median {median}   longest {longest}");
        spans.push(Span::styled(text, QUIET));
    }
    if let Some(gap) = gap(model).filter(|gap| *gap > NEWS_MS) {
        let text = format!("   no answer for {gap} ms");
        spans.push(Span::styled(text, BAD.bold()));
    }
    Line::from(spans)
}

/// Milliseconds since the latest request was asked that was answered.
fn gap(model: &Model) -> Option<u64> {
    let mut good = model.samples.iter().rev().filter(|s| s.failed.is_none());
    let answered = good.next()?;
    Some(
        model
            .now
            .at_ms
            .saturating_sub(answered.at_ms + answered.took_us / 1000),
    )
}

/// Enough digits to compare.
fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

fn marks(buffer: &mut Buffer, plot: Rect, model: &Model, first: u64) {
    for (at_ms, what) in &model.marks {
        let Some(place) = (at_ms / COLUMN_MS).checked_sub(first) else {
            continue;
        };
        let x = plot.x + u16::try_from(place).unwrap_or(u16::MAX).min(plot.width);
        if x >= plot.right() {
            continue;
        }
        // A newer label is laid over the end of an older one.
        let (from, before) = if x > plot.x { (x - 1, " ") } else { (x, "") };
        let room = usize::from(plot.right() - from);
        let label = format!("{before}▲ {what}");
        buffer.set_stringn(from, plot.bottom(), format!("{label:room$}"), room, BUSY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::message::Failure;

    #[test]
    fn a_request_stands_where_it_was_asked_and_a_failure_hides_no_other() {
        let sample = |at_ms, took_us, failed| Sample {
            at_ms,
            took_us,
            failed,
        };
        let samples = [
            sample(100, 900, None),
            sample(310, 1_000, None),
            sample(320, 9_000, None),
            sample(460, 500_000, Some(Failure::Silent)),
            sample(9_000, 1_000, None),
        ];
        let drawn = columns(samples.iter(), 1, 3);
        assert_eq!(drawn.len(), 3);
        assert_eq!(drawn[0], Column::default(), "what is too old is not shown");
        assert_eq!(drawn[1].longest_us, Some(9_000));
        assert!(drawn[2].failed && !drawn[1].failed);
    }

    #[test]
    fn the_scale_rises_with_each_doubling() {
        let levels: Vec<u64> = (0..12).map(|doubling| level(250 << doubling, 32)).collect();
        assert_eq!(levels, [1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32]);
        assert_eq!(level(0, 32), 1, "an answer is always seen");
        assert_eq!(level(u64::MAX, 32), 32);
    }
}
