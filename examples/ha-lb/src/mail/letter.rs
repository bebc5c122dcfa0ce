//! The words of an alert, which are keepalived's: filters of mail know them.

use chrono::{DateTime, Local};
use serde::{Deserialize, Serialize};

use crate::{admin::status::State, notify::Subject};

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Without the router_id.
    pub subject: String,
    /// One line.
    pub body: String,
    /// When what it tells of happened, as RFC 5322 writes it.
    pub date: String,
}

impl Letter {
    /// Of a change of state; keepalived sends none when it stops.
    pub fn of(subject: &Subject, state: State, at: DateTime<Local>) -> Option<Self> {
        if state == State::Initialize {
            return None;
        }
        let word = state.keepalived_name();
        let (kind, name, body) = match subject {
            Subject::Instance(name) => (
                "Instance",
                name,
                match state {
                    State::Active => "=> VRRP Instance is now owning VRRP VIPs <=".to_owned(),
                    _ => "=> VRRP Instance is no longer owning VRRP VIPs <=".to_owned(),
                },
            ),
            Subject::Group(name) => {
                let body = format!("=> All VRRP group instances are now in {word} state <=");
                ("Group", name, body)
            }
        };
        Some(Self {
            subject: format!("VRRP {kind} {name} - Entering {word} state"),
            body,
            date: at.format("%a, %d %b %Y %H:%M:%S %z").to_string(),
        })
    }

    /// The whole text as it goes over the wire, but for the dots that SMTP adds and the last end of a line, which comes
    /// with the last dot.
    pub fn text(&self, router_id: &str, from: &str, to: &[String]) -> String {
        let to = to.join(", ");
        let head = format!(
            "Date: {}\r\nFrom: {from}\r\nSubject: [{router_id}] {}\r\nX-Mailer: Keepalived\r\nTo: {to}\r\n",
            self.date, self.subject
        );
        // A name of the file may hold what it likes; in a head no line begins by it.
        let line = |c: char| c == '\r' || c == '\n';
        let clean: Vec<String> = head
            .split("\r\n")
            .map(|one| one.replace(line, " "))
            .collect();
        format!("{}\r\n{}\r\n", clean.join("\r\n"), self.body)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn the_text_is_keepalived_s() {
        let at = Local.timestamp_opt(1_795_242_678, 0).unwrap();
        let subject = Subject::Group("G".to_owned());
        let letter = Letter::of(&subject, State::Fault, at).unwrap();
        let to = ["a@example.com", "b@example.org"].map(str::to_owned);
        let date = at.format("%a, %d %b %Y %H:%M:%S %z");
        assert_eq!(
            letter.text("rtr", "keepalived@here.example", &to),
            format!(
                "Date: {date}\r\nFrom: keepalived@here.example\r\nSubject: [rtr] VRRP Group G - Entering FAULT \
                 state\r\nX-Mailer: Keepalived\r\nTo: a@example.com, b@example.org\r\n\r\n=> All VRRP group instances \
                 are now in FAULT state <=\r\n"
            )
        );
        let subject = Subject::Instance("A\nBcc: x@y".to_owned());
        let letter = Letter::of(&subject, State::Active, at).unwrap();
        let text = letter.text("rtr", "k@h", &to);
        assert!(
            text.contains("[rtr] VRRP Instance A Bcc: x@y - Entering MASTER"),
            "{text}"
        );
        assert_eq!(Letter::of(&subject, State::Initialize, at), None);
    }
}
