//! The whole screen: title, map, graph, story and log, keys.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout},
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::{bottom, graph, map, model::Model};
use crate::demo::{cluster::VIP, hand::Hand};

pub(super) const GOOD: Style = Style::new().fg(Color::Green);
pub(super) const BAD: Style = Style::new().fg(Color::Red);
pub(super) const BUSY: Style = Style::new().fg(Color::Yellow);
pub(super) const QUIET: Style = Style::new().fg(Color::DarkGray);

/// The smallest window in which everything has its place.
const SMALLEST: (u16, u16) = (76, 22);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        let text =
            format!("This window is too small: {width} columns and {height} lines at least.");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let spare = area.height - SMALLEST.1;
    let graph_height = 6 + (spare / 3).min(6);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(map::HEIGHT),
        Constraint::Length(graph_height),
        Constraint::Min(5),
        Constraint::Length(1),
    ]);
    let [title_area, map_area, graph_area, bottom_area, keys_area] = rows.areas(area);
    frame.render_widget(title(model), title_area);
    frame.render_widget(clock(model), title_area);
    map::draw(frame.buffer_mut(), map_area, model);
    graph::draw(frame.buffer_mut(), graph_area, model);
    bottom::draw(frame, bottom_area, model);
    frame.render_widget(keys(model), keys_area);
}

fn title(model: &Model) -> Line<'static> {
    let holder = model.holder().map_or_else(
        || Span::styled("nobody holds it", BAD.bold()),
        |host| Span::styled(format!("{} holds it", host.name), GOOD.bold()),
    );
    Line::from(vec![
        Span::from(" ha-lb demo ").bold(),
        Span::from(format!("  one address, {VIP}: ")),
        holder,
    ])
}

fn clock(model: &Model) -> Line<'static> {
    let (seconds, tenths) = (model.now.at_ms / 1000, model.now.at_ms % 1000 / 100);
    let step = match model.step {
        Some(step) if !model.plan.is_empty() => {
            format!("step {} of {}   ", step + 1, model.plan.len())
        }
        _ => String::new(),
    };
    Line::from(format!("{step}{seconds}.{tenths} s ")).alignment(Alignment::Right)
}

fn keys(model: &Model) -> Line<'static> {
    let mut spans = vec![Span::from(" ")];
    let mut key = |key: char, what: String| {
        spans.push(Span::from(key.to_string()).bold());
        spans.push(Span::styled(format!(" {what}  "), QUIET));
    };
    if model.by_hand {
        for hand in Hand::ALL {
            key(hand.key(), hand.to_string());
        }
    }
    key('q', "quit".to_owned());
    Line::from(spans)
}

#[cfg(test)]
mod tests;
