//! The map: hosts on top, the bridge, origins and client below.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, BorderType, Paragraph, Widget as _},
};

use super::{
    model::{Model, holds},
    view::{BAD, BUSY, GOOD, QUIET},
};
use crate::{
    admin::status::State,
    demo::{
        cluster::VIP,
        message::{HostView, OriginView},
    },
};

/// Lines that it takes.
pub(super) const HEIGHT: u16 = 9;
const BOX: u16 = 4;

/// Draws it.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model) {
    let hosts = columns(area, model.now.hosts.len());
    let others = columns(area, model.now.origins.len() + 1);
    let bridge = area.y + BOX + 1;
    let line = "━".repeat(usize::from(area.width));
    buffer.set_stringn(area.x, bridge, line, usize::from(area.width), QUIET);
    for (host, column) in model.now.hosts.iter().zip(hosts.iter()) {
        draw_host(buffer, *column, host);
        let middle = column.x + column.width / 2;
        if host.cable {
            let style = if holds(host) { GOOD.bold() } else { QUIET };
            buffer.set_string(middle, bridge - 1, "┃", style);
            buffer.set_string(middle, bridge, "┻", style);
        } else {
            buffer.set_string(middle - 1, bridge - 1, "╳ cable cut", BAD.bold());
        }
    }
    for (number, column) in others.iter().enumerate() {
        let middle = column.x + column.width / 2;
        // A host's cable may come in at the same place from above.
        match buffer.cell_mut((middle, bridge)) {
            Some(cell) if cell.symbol() == "┻" => _ = cell.set_symbol("╋"),
            Some(cell) => _ = cell.set_symbol("┳").set_style(QUIET),
            None => {}
        }
        let below = Rect {
            y: bridge + 1,
            height: area.bottom().saturating_sub(bridge + 1),
            ..*column
        };
        let lines = match model.now.origins.get(number) {
            Some(origin) => origin_lines(origin, model.rate(number)),
            None => client_lines(model),
        };
        Paragraph::new(lines).centered().render(below, buffer);
    }
}

/// `count` columns of equal width, one blank between them.
fn columns(area: Rect, count: usize) -> std::rc::Rc<[Rect]> {
    let equal = std::iter::repeat_n(Constraint::Fill(1), count);
    Layout::horizontal(equal).spacing(1).split(area)
}

fn draw_host(buffer: &mut Buffer, column: Rect, host: &HostView) {
    let area = Rect {
        height: BOX,
        ..column
    };
    let border = match host.state {
        _ if holds(host) => GOOD,
        Some(State::Backup) if host.cable => Style::new(),
        _ => QUIET,
    };
    let block = Block::bordered()
        .border_type(if holds(host) {
            BorderType::Thick
        } else {
            BorderType::Rounded
        })
        .border_style(border)
        .title(Line::from(format!(" {} ", host.name)).style(border.bold()))
        .title(Line::styled(priority(host), border).right_aligned());
    let inner = block.inner(area);
    block.render(area, buffer);
    Paragraph::new(vec![state(host), processes(host)])
        .centered()
        .render(inner, buffer);
}

fn priority(host: &HostView) -> String {
    match host.state {
        Some(_) => format!(" priority {} ", host.priority),
        None => String::new(),
    }
}

fn state(host: &HostView) -> Line<'static> {
    match host.state {
        Some(State::Active) if host.cable => Line::from(vec![
            Span::styled("● Active ", GOOD.bold()),
            Span::styled(VIP, GOOD),
        ]),
        Some(State::Active | State::Fault) => Line::styled("✕ Fault", BAD),
        Some(State::Backup) => Line::from("○ Backup"),
        Some(State::Initialize) => Line::styled("◌ starting", BUSY),
        None => Line::styled("✕ no process runs", BAD),
    }
}

fn processes(host: &HostView) -> Line<'static> {
    if host.state.is_none() {
        return Line::default();
    }
    let light = |on: bool| {
        if on {
            Span::styled("●", GOOD)
        } else {
            Span::styled("✕", BAD)
        }
    };
    let mut spans = vec![
        Span::styled("speaker ", QUIET),
        light(host.speaker),
        Span::styled(" balancer ", QUIET),
        light(host.balancer),
    ];
    if host.restarts > 0 {
        spans.push(Span::styled(format!(" ↻{}", host.restarts), BUSY));
    }
    Line::from(spans)
}

fn origin_lines(origin: &OriginView, rate: u64) -> Vec<Line<'static>> {
    let name = origin.name.clone();
    let counted = Line::styled(format!("{} served", origin.answers), QUIET);
    if !origin.alive {
        let known = if origin.status.starts_with("DOWN") {
            "found down"
        } else {
            "dead"
        };
        return vec![
            Line::styled(format!("{name} ✕"), BAD.bold()),
            Line::styled(known, BAD),
            counted,
        ];
    }
    let served = if origin.status.is_empty() && origin.answers == 0 {
        vec![
            Line::styled(format!("{name} ○"), QUIET),
            Line::styled("not named yet", QUIET),
        ]
    } else {
        vec![
            Line::from(vec![
                Span::from(format!("{name} ")).bold(),
                Span::styled("●", GOOD),
            ]),
            Line::from(format!("{rate}/s")),
        ]
    };
    served.into_iter().chain([counted]).collect()
}

fn client_lines(model: &Model) -> Vec<Line<'static>> {
    let failed = if model.failed == 0 {
        Line::styled("none failed", QUIET)
    } else {
        Line::styled(format!("{} failed", model.failed), BAD)
    };
    vec![
        Line::from("client").bold(),
        Line::from(format!("{}/s", model.recent().per_second)),
        failed,
    ]
}
