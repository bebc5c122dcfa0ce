//! Syslog framing after RFC 3164, as HAProxy writes it: priority, local date, tag and process id, message.

use std::{io::Write as _, time::SystemTime};

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

/// Appends a whole packet to `out`: header and message, cut to `max_len` bytes.
///
/// ```
/// # use lb_core::log::syslog::{frame, Priority, Sender};
/// # use std::time::{Duration, UNIX_EPOCH};
/// let sender = Sender { tag: "haproxy", pid: 25382, hostname: None, utc_offset: 0 };
/// let date = UNIX_EPOCH + Duration::from_secs(1_795_215_105);
/// let mut packet = Vec::new();
/// frame(Priority { facility: 16, level: 6 }, date, &sender, b"hello", 1024, &mut packet);
/// assert_eq!(packet, b"<134>Nov 20 22:51:45 haproxy[25382]: hello");
/// ```
pub fn frame(
    priority: Priority,
    date: SystemTime,
    sender: &Sender<'_>,
    message: &[u8],
    max_len: usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let number = u16::from(priority.facility) * 8 + u16::from(priority.level);
    // Writing to a vector cannot fail.
    drop(write!(out, "<{number}>"));
    date::write_syslog(&Civil::new(date::epoch(date).0, sender.utc_offset), out);
    if let Some(hostname) = sender.hostname {
        drop(write!(out, " {hostname}"));
    }
    drop(write!(out, " {}[{}]: ", sender.tag, sender.pid));
    text(message, out);
    out.truncate(start.saturating_add(max_len));
}

/// Appends a message without date and sender: what `header` asks for, and the text, cut to `max_len` bytes.
///
/// ```
/// # use lb_core::{config::LogHeader, log::syslog::{bare, Priority}};
/// let priority = Priority { facility: 16, level: 6 };
/// let mut line = Vec::new();
/// bare(LogHeader::Level, priority, b"hello", 1024, &mut line);
/// assert_eq!(line, b"<6>hello");
/// ```
pub fn bare(
    header: LogHeader,
    priority: Priority,
    message: &[u8],
    max_len: usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let Priority { facility, level } = priority;
    // Writing to a vector cannot fail.
    match header {
        LogHeader::None => {}
        LogHeader::Level => drop(write!(out, "<{level}>")),
        LogHeader::Priority | LogHeader::Syslog => drop(write!(
            out,
            "<{}>",
            u16::from(facility) * 8 + u16::from(level)
        )),
    }
    text(message, out);
    out.truncate(start.saturating_add(max_len));
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
