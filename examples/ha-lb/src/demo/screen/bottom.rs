//! The story at the left, the log at the right.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Stylize as _,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{
    model::Model,
    view::{BAD, BUSY, GOOD, QUIET},
};
use crate::demo::message::Event;

/// Draws both.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let [left, right] = Layout::horizontal([Constraint::Fill(4), Constraint::Fill(3)]).areas(area);
    let heading = |title: &'static str, right: &'static str| {
        Block::new()
            .borders(Borders::TOP)
            .border_style(QUIET)
            .title(Line::from(title).bold())
            .title(Line::styled(right, QUIET).right_aligned())
    };
    let story = if model.by_hand {
        " in your hands "
    } else {
        " story "
    };
    let block = heading(story, " waited / allowed ──");
    let inner = block.inner(left);
    frame.render_widget(block, left);
    frame.render_widget(Paragraph::new(steps(model, inner)), inner);
    let block = heading(" what happened ", "");
    let inner = block.inner(right);
    frame.render_widget(block, right);
    frame.render_widget(Paragraph::new(log(model, inner)), inner);
}

/// The steps around the one under way, or all of them where there is room.
fn steps(model: &Model, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width).saturating_sub(2);
    let done = model.done.iter().map(|event| done_line(event, width));
    let coming = model.plan.iter().enumerate().skip(model.done.len());
    let coming = coming.map(|(number, what)| {
        if model.step == Some(number) {
            Line::styled(format!(" ▶ {what}"), BUSY.bold())
        } else {
            Line::styled(format!(" · {what}"), QUIET)
        }
    });
    let lines: Vec<Line<'static>> = done.chain(coming).collect();
    let room = usize::from(area.height);
    // The one under way stands in the middle.
    let most = lines.len().saturating_sub(room);
    let skip = model.done.len().saturating_sub(room / 2).min(most);
    lines.into_iter().skip(skip).take(room).collect()
}

fn done_line(event: &Event, width: usize) -> Line<'static> {
    let waited = event.gap_ms;
    let figures = match event.allowed_ms {
        Some(allowed) => format!("{waited} / {allowed} ms"),
        None => format!("{waited} ms"),
    };
    let (sign, style) = if event.held {
        ("✓", GOOD)
    } else {
        ("✕", BAD.bold())
    };
    let room = width.saturating_sub(figures.len() + 4);
    Line::from(vec![
        Span::styled(format!(" {sign} "), style),
        Span::from(format!("{:room$} ", cut(&event.what, room))),
        Span::styled(figures, if event.held { QUIET } else { BAD }),
    ])
}

/// At most `room` characters; what is left out is seen to be.
fn cut(text: &str, room: usize) -> String {
    match text.char_indices().nth(room) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(room.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// The latest lines, newest at the bottom.
fn log(model: &Model, area: Rect) -> Vec<Line<'static>> {
    let room = usize::from(area.height);
    let skip = model.log.len().saturating_sub(room);
    let latest = model.log.iter().skip(skip);
    latest
        .map(|(at_ms, text)| {
            let time = format!(" {:3}.{} ", at_ms / 1000, at_ms % 1000 / 100);
            let style = if text.starts_with('▶') {
                BUSY
            } else {
                ratatui::style::Style::new()
            };
            Line::from(vec![
                Span::styled(time, QUIET),
                Span::styled(text.clone(), style),
            ])
        })
        .collect()
}
