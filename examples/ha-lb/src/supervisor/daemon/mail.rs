//! Which changes of state are told by mail.

use std::time::Instant;

use chrono::Local;

use super::{Daemon, Event};
use crate::{admin::status::State, mail::letter::Letter, notify::Subject};

impl Daemon {
    /// A change of state, if the file asks for a letter.
    pub(super) fn mail(&mut self, subject: &Subject, state: State) {
        let Some(config) = &self.loaded.keepalived else {
            return;
        };
        let asked = match subject {
            Subject::Instance(name) => {
                let mut instances = config.instances.iter();
                instances.any(|one| *one.name == **name && one.smtp_alert)
            }
            Subject::Group(name) => {
                let mut groups = config.sync_groups.iter();
                groups.any(|one| *one.name == **name && one.smtp_alert)
            }
        };
        if !asked || (state == State::Fault && config.global.mail.no_faults) {
            return;
        }
        if let Some(letter) = Letter::of(subject, state, Local::now()) {
            self.post.push(letter, Instant::now());
        }
    }

    /// Sends what is due.
    pub(super) fn send_mail(&mut self, now: Instant) {
        let events = self.events.clone();
        self.post.timeout(now, move |attempt| {
            let _ = events.send(Event::Mail(attempt));
        });
    }

    /// The daemon ends: a mail server is not waited for.
    pub(super) fn give_up_mail(&mut self) {
        let left = self.post.end();
        if let Some(first) = left.first() {
            let (count, first) = (left.len(), &first.subject);
            tracing::warn!("mail: {count} not sent, the oldest: {first}");
        }
    }
}
