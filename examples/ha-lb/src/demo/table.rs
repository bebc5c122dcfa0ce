//! The final table.

use std::fmt;

use super::{measure::SLACK, message::Event};

/// What clients saw of every event.
pub(super) struct Table<'e>(pub(super) &'e [Event]);

impl Table<'_> {
    /// Whether every event held.
    pub(super) fn held(&self) -> bool {
        self.0.iter().all(|event| event.held)
    }
}

/// `held` or not.
pub(super) fn verdict(event: &Event) -> &'static str {
    if event.held { "held" } else { "NOT HELD" }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.0.iter().map(|event| event.what.len());
        let width = lengths.max().unwrap_or(0);
        writeln!(
            f,
            "{:width$}   waited  allowed  failed  may fail   Active",
            "event"
        )?;
        for event in self.0 {
            let allowed = event.allowed_ms;
            let allowed = allowed.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
            let may_fail = match event.may_fail {
                Some(0) => "none",
                Some(_) => "in flight",
                None => "meanwhile",
            };
            writeln!(
                f,
                "{:width$}  {:>4} ms  {allowed:>7}  {:>6}  {may_fail:9}  {:6}  {}",
                event.what,
                event.gap_ms,
                event.failed,
                event.active,
                verdict(event)
            )?;
        }
        let slack = self.0.iter().map(|event| event.slack_ms).max().unwrap_or(0);
        let usual = SLACK.as_millis();
        writeln!(
            f,
            "\nA wait holds up to {usual} ms more than allowed: what a busy machine adds."
        )?;
        if u128::from(slack) > usual {
            writeln!(f, "This one stalled: up to {slack} ms more, where it did.")?;
        }
        f.write_str(if self.held() {
            "Everything held."
        } else {
            "Not everything held."
        })
    }
}
