//! What a person sees of the demonstration: a live line on a terminal, plain lines elsewhere, JSON if asked.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    time::Instant,
};

use super::Event;
use crate::lab::Traffic;

/// Where the demonstration is shown.
pub(super) struct Show {
    json: bool,
    terminal: bool,
    began: Instant,
    /// Answers and time of the last live line, for the rate.
    last: Option<(Instant, u64)>,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: !json && io::stdout().is_terminal(),
            began: Instant::now(),
            last: None,
        }
    }

    /// One sentence.
    pub(super) fn say(&mut self, text: &str) {
        if !self.json {
            self.line(&format!(
                "{:6.2} s  {text}",
                self.began.elapsed().as_secs_f64()
            ));
        }
    }

    /// What happened and whether the gap held.
    pub(super) fn event(&mut self, event: Option<&Event>) {
        let Some(event) = event else { return };
        let verdict = if event.held { "held" } else { "NOT HELD" };
        let (gap, allowed, active) = (event.gap_ms, event.allowed_ms, &event.active);
        self.say(&format!(
            "{}: the client waited {gap} ms, the protocol allows {allowed} ms: {verdict}; {active} is Active",
            event.what
        ));
        let (rate, failed) = (event.requests_per_second, event.failed);
        self.say(&format!(
            "    {rate} requests/s, {}, {failed} failed",
            origins(&event.by_origin)
        ));
    }

    /// States, rate and where requests go; only on a terminal, always on the same line.
    pub(super) fn live(&mut self, states: &BTreeMap<String, String>, traffic: &Traffic) {
        if !self.terminal {
            return;
        }
        let (now, answers) = (Instant::now(), traffic.answers());
        let rate = self.last.map_or(0.0, |(at, before)| {
            let fresh = u32::try_from(answers.saturating_sub(before)).unwrap_or(u32::MAX);
            f64::from(fresh) / now.duration_since(at).as_secs_f64().max(0.001)
        });
        self.last = Some((now, answers));
        let hosts: Vec<String> = states
            .iter()
            .map(|(name, state)| paint(name, state))
            .collect();
        let served = origins(&traffic.by_origin());
        let line = format!(
            "{}  {rate:4.0} requests/s  {served}  failed {}",
            hosts.join("  "),
            traffic.failures()
        );
        drop(write!(io::stdout(), "\r\x1b[2K{line}").and_then(|()| io::stdout().flush()));
    }

    /// The final table, or the JSON document.
    pub(super) fn table(&mut self, events: &[Event], held: bool) {
        if self.json {
            let document = serde_json::json!({ "events": events, "held": held });
            drop(writeln!(io::stdout(), "{document:#}"));
            return;
        }
        let width = events
            .iter()
            .map(|event| event.what.len())
            .max()
            .unwrap_or(0);
        self.line("");
        self.line(&format!(
            "{:width$}  {:>12}  {:>12}  {:8}  Active now",
            "event", "client saw", "allowed", ""
        ));
        for event in events {
            let verdict = if event.held { "held" } else { "NOT HELD" };
            let (gap, allowed) = (
                format!("{} ms", event.gap_ms),
                format!("{} ms", event.allowed_ms),
            );
            self.line(&format!(
                "{:width$}  {gap:>12}  {allowed:>12}  {verdict:8}  {}",
                event.what, event.active
            ));
        }
        let resolution = super::story::PROBE_RESOLUTION.as_millis();
        self.line(&format!(
            "\nA gap holds up to {resolution} ms more than allowed: the probe cannot tell better."
        ));
        self.line(if held {
            "Every gap held."
        } else {
            "A gap was longer than the protocol allows."
        });
    }

    fn line(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        drop(writeln!(io::stdout(), "{clear}{text}"));
    }
}

fn origins(by_origin: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = by_origin
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join("  ")
}

fn paint(name: &str, state: &str) -> String {
    let colour = match state {
        "Active" => "1;32",
        "Backup" => "36",
        _ => "31",
    };
    format!("\x1b[{colour}m{name} {state}\x1b[0m")
}
