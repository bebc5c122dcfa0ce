//! Syslog framing after RFC 3164.

use std::time::SystemTime;

/// What a syslog header tells of its sender.
#[derive(Debug, Clone)]
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

/// Appends a whole packet to `out`: header and message, cut to `max_len` bytes.
pub fn frame(
    facility: u8,
    level: u8,
    date: SystemTime,
    sender: &Sender<'_>,
    message: &[u8],
    max_len: usize,
    out: &mut Vec<u8>,
) {
    let _ = (facility, level, date, sender, message, max_len, out);
}
