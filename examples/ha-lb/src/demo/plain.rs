//! The demonstration as lines, for pipes and for people who like lines.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use super::{
    message::{Event, Message},
    table::verdict,
};

/// Prints what is worth a line.
pub(super) fn print(message: &Message) {
    match message {
        Message::Say { at_ms, text } => line(*at_ms, text),
        Message::Done(event) => done(event),
        Message::Plan(_) | Message::Step { .. } | Message::Look(_) | Message::Broken(_) => {}
    }
}

fn done(event: &Event) {
    let allowed = event.allowed_ms.map_or_else(
        || "no host was left to answer".to_owned(),
        |allowed| format!("allowed {allowed} ms"),
    );
    line(
        event.at_ms,
        &format!(
            "{}: a client waited {} ms ({allowed}): {}; {} is Active",
            event.what,
            event.gap_ms,
            verdict(event),
            event.active
        ),
    );
    let failed: Vec<String> = event
        .failures
        .iter()
        .map(|(how, count)| format!("{count} {how}"))
        .collect();
    let failed = if failed.is_empty() {
        "none failed".to_owned()
    } else {
        failed.join(", ")
    };
    line(
        event.at_ms,
        &format!(
            "    {} requests/s, {}, {failed}",
            event.requests_per_second,
            origins(&event.by_origin)
        ),
    );
}

fn line(at_ms: u64, text: &str) {
    let (seconds, hundredths) = (at_ms / 1000, at_ms % 1000 / 10);
    // Where nobody reads any more, the story goes on for its exit code.
    let _ = writeln!(io::stdout(), "{seconds:3}.{hundredths:02} s  {text}");
}

fn origins(by_origin: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = by_origin
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join("  ")
}
