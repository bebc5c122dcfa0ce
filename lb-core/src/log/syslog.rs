//! Syslog framing after RFC 3164 and RFC 5424, and the shorter forms that HAProxy has (manual 4.2, "log").

use std::{
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use super::date::{self, Civil};
use crate::config::LogHeader;

/// What a syslog header tells of its sender.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// `log-tag`, `haproxy` by default.
    pub tag: &'a str,
    /// Process id.
    pub pid: u32,
    /// Host name, with `log-send-hostname`.
    pub hostname: Option<&'a str>,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset: i32,
}

/// Facility (0-23) and level (0 emergency to 7 debug) of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    /// Facility.
    pub facility: u8,
    /// Level.
    pub level: u8,
}

/// A message with all that may stand before it.
///
/// ```
/// # use lb_core::{config::LogHeader, log::syslog::{Packet, Priority, Sender}};
/// # use std::time::{Duration, UNIX_EPOCH};
/// let packet = Packet {
///     header: LogHeader::Syslog,
///     priority: Priority { facility: 16, level: 6 },
///     date: UNIX_EPOCH + Duration::from_secs(1_795_215_105),
///     sender: Sender { tag: "haproxy", pid: 25382, hostname: None, utc_offset: 0 },
///     structured: b"",
///     message: b"hello",
///     max_len: 1024,
/// };
/// let mut line = Vec::new();
/// packet.write(&mut line);
/// assert_eq!(line, b"<134>Nov 20 22:51:45 haproxy[25382]: hello");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// What is asked for.
    pub header: LogHeader,
    /// Facility and level.
    pub priority: Priority,
    /// When it is sent.
    pub date: SystemTime,
    /// Who sends it.
    pub sender: Sender<'a>,
    /// Structured data of RFC 5424; empty for none.
    pub structured: &'a [u8],
    /// The text.
    pub message: &'a [u8],
    /// Its length at most.
    pub max_len: usize,
}

impl Packet<'_> {
    /// Appends it to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let Priority { facility, level } = self.priority;
        let priority = u16::from(facility) * 8 + u16::from(level);
        // Writing to a vector cannot fail.
        match self.header {
            LogHeader::None => {}
            LogHeader::Priority => drop(write!(out, "<{priority}>")),
            LogHeader::Level => drop(write!(out, "<{level}>")),
            LogHeader::Timed => {
                drop(write!(out, "<{level}>"));
                self.iso(out);
            }
            LogHeader::Iso => self.iso(out),
            LogHeader::Syslog => self.legacy(self.sender.hostname, priority, out),
            LogHeader::Local => self.legacy(None, priority, out),
            LogHeader::Rfc3164 => {
                let hostname = self.sender.hostname.unwrap_or("localhost");
                self.legacy(Some(hostname), priority, out);
            }
            LogHeader::Rfc5424 => {
                drop(write!(out, "<{priority}>1 "));
                self.iso(out);
                let Sender { tag, pid, .. } = self.sender;
                let hostname = self.sender.hostname.unwrap_or("-");
                drop(write!(out, "{hostname} {tag} {pid} - "));
                match self.structured {
                    [] => out.push(b'-'),
                    data => text(data, out),
                }
                out.push(b' ');
            }
        }
        text(self.message, out);
        out.truncate(start.saturating_add(self.max_len));
    }

    /// The header of RFC 3164.
    fn legacy(&self, hostname: Option<&str>, priority: u16, out: &mut Vec<u8>) {
        drop(write!(out, "<{priority}>"));
        let seconds = date::epoch(self.date).0;
        date::write_syslog(&Civil::new(seconds, self.sender.utc_offset), out);
        if let Some(hostname) = hostname {
            drop(write!(out, " {hostname}"));
        }
        drop(write!(out, " {}[{}]: ", self.sender.tag, self.sender.pid));
    }

    /// The date and a blank.
    fn iso(&self, out: &mut Vec<u8>) {
        let since = self.date.duration_since(UNIX_EPOCH).unwrap_or_default();
        let offset = self.sender.utc_offset;
        let civil = Civil::new(date::epoch(self.date).0, offset);
        date::write_iso(&civil, since.subsec_micros(), offset, out);
        out.push(b' ');
    }
}

/// One line is one message: line ends inside it would begin another.
fn text(message: &[u8], out: &mut Vec<u8>) {
    out.extend(message.iter().map(|b| {
        if matches!(b, b'\n' | b'\r' | 0) {
            b' '
        } else {
            *b
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_form_is_written_as_asked() {
        let write = |header, hostname, structured: &[u8], utc_offset| {
            let packet = Packet {
                header,
                priority: Priority {
                    facility: 16,
                    level: 6,
                },
                date: UNIX_EPOCH + Duration::from_micros(1_795_215_105_000_042),
                sender: Sender {
                    tag: "lb",
                    pid: 7,
                    hostname,
                    utc_offset,
                },
                structured,
                message: b"a\nb",
                max_len: 200,
            };
            let mut line = Vec::new();
            packet.write(&mut line);
            String::from_utf8(line).unwrap()
        };
        use LogHeader::{Iso, Level, Local, None as Raw, Rfc3164, Rfc5424, Syslog, Timed};
        let legacy = "<134>Nov 20 22:51:45";
        for (header, hostname, expected) in [
            (Syslog, None, format!("{legacy} lb[7]: a b")),
            (Syslog, Some("h"), format!("{legacy} h lb[7]: a b")),
            (Local, Some("h"), format!("{legacy} lb[7]: a b")),
            (Rfc3164, None, format!("{legacy} localhost lb[7]: a b")),
            (Rfc3164, Some("h"), format!("{legacy} h lb[7]: a b")),
            (LogHeader::Priority, None, "<134>a b".to_owned()),
            (Level, None, "<6>a b".to_owned()),
            (
                Timed,
                None,
                "<6>2026-11-20T22:51:45.000042+00:00 a b".to_owned(),
            ),
            (Iso, None, "2026-11-20T22:51:45.000042+00:00 a b".to_owned()),
            (Raw, None, "a b".to_owned()),
        ] {
            assert_eq!(write(header, hostname, b"", 0), expected, "{header:?}");
        }
        assert_eq!(
            write(Rfc5424, Some("h"), b"[x@1 a=\"1\"]", -5400),
            "<134>1 2026-11-20T21:21:45.000042-01:30 h lb 7 - [x@1 a=\"1\"] a b"
        );
        let without = write(Rfc5424, None, b"", 0);
        assert!(without.ends_with("+00:00 - lb 7 - - a b"), "{without}");
    }
}
