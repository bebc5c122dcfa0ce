//! systemd's journal over its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram of fields, so that
//! `journalctl VRRP_INSTANCE=VI_1` finds what is about it.
//!
//! The socket is connected once, before the process gives files up; it belongs to the service manager and outlives
//! restarts of the journal. Nothing waits for a reader.

use std::{fmt, io, os::unix::net::UnixDatagram};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends events.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// A connection; always `Some` unless it fails.
    pub(super) fn connect() -> io::Result<Option<Self>> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        socket.set_nonblocking(true)?;
        Ok(Some(Self { socket }))
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A datagram that the journal cannot take now is lost, as lines are.
        let _ = self.socket.send(&datagram(event));
    }
}

/// sd-daemon(3): syslog's levels.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

fn datagram(event: &Event<'_>) -> Vec<u8> {
    let mut fields = Fields(Vec::with_capacity(256));
    fields.put("PRIORITY", priority(*event.metadata().level()));
    fields.put("SYSLOG_IDENTIFIER", "ha-lb");
    event.record(&mut fields);
    fields.0
}

/// `NAME=value`, or where the value has lines: name, length, value.
struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
            self.0.extend_from_slice(&length.to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Journal fields are of capitals, digits and underscores, and those that begin with one are its own.
        let name = field.name().to_ascii_uppercase().replace('.', "_");
        self.put(name.trim_start_matches('_'), value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_event_is_a_datagram_of_fields() {
        let (socket, journal) = UnixDatagram::pair().unwrap();
        journal
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal { socket });
        tracing::subscriber::with_default(subscriber, || {
            let instance = "VI_1";
            tracing::warn!(vrrp_instance = %instance, "two\nlines");
        });
        let mut buffer = [0; 1024];
        let length = journal.recv(&mut buffer).unwrap();
        let expected: &[u8] =
            b"PRIORITY=4\nSYSLOG_IDENTIFIER=ha-lb\nMESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n\
            VRRP_INSTANCE=VI_1\n";
        assert_eq!(
            String::from_utf8_lossy(&buffer[..length]),
            String::from_utf8_lossy(expected)
        );
    }
}
