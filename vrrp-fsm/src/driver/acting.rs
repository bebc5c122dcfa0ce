//! What routers want done.

use std::io;

use super::*;

impl<H: Host> Driver<H> {
    /// The one effect loop.
    pub(super) fn perform(&mut self, observer: &mut impl FnMut(RouterId, Observation)) {
        while let Some((id, action)) = self.set.poll_action() {
            match action {
                Action::Send { priority } => self.send(id, priority, observer),
                Action::Install | Action::Repair => self.host.enqueue(id, Command::Install),
                Action::Remove => {
                    self.removing += 1;
                    self.host.enqueue(id, Command::Remove);
                }
                Action::Announce { repeat } => self.host.enqueue(id, Command::Announce { repeat }),
                Action::Transition(transition) => {
                    self.crowd.has_changed();
                    self.punctual.has_changed();
                    observer(id, Observation::Transition(transition));
                }
                Action::Group(transition) => observer(id, Observation::Group(transition)),
                Action::Priority(change) => {
                    self.crowd.has_changed();
                    observer(id, Observation::Priority(change));
                }
                Action::Warn(Warning::AddressLost) if let Some(lost) = self.lost.take() => {
                    observer(id, lost);
                }
                Action::Warn(warning) => observer(id, Observation::Warning(warning)),
            }
        }
    }

    fn send(
        &mut self,
        id: RouterId,
        priority: Priority,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let mut failed = None;
        #[cfg(feature = "auth")]
        if self.set.is_dated(id) {
            self.set.time_of_day(timer::time_of_day());
        }
        if let Some(mut outgoing) = self.set.advert(id, priority) {
            while let Some(written) = outgoing.next(&mut self.buffer) {
                let sent = written.map_err(io::Error::other).and_then(|written| {
                    let packet = self.buffer.get(..written.len).unwrap_or_default();
                    self.host
                        .send(id, written.protocol, &written.envelope, packet)
                });
                failed = sent.err().or(failed);
            }
        }
        if let Some(error) = failed {
            self.unsent(id, error, observer);
        }
    }

    pub(super) fn unsent(
        &mut self,
        id: RouterId,
        error: io::Error,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let count = self.set.count_send_error(id);
        if count.is_power_of_two() {
            observer(id, Observation::SendFailed { error, count });
        }
    }
}
