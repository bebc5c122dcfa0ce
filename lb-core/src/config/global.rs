//! The `global` section.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use crate::http1::HeaderCase;

/// Process-wide settings.
#[derive(Debug, Clone, Default)]
pub struct Global {
    /// `log` lines of the global section; `log global` in a proxy refers to them.
    pub logs: Vec<LogTarget>,
    /// `log-tag`, the program name in syslog lines; `haproxy` unless told.
    pub log_tag: Option<String>,
    /// `log-send-hostname`: the host name put into syslog headers; absent by default.
    pub log_send_hostname: Option<String>,
    /// `chroot` directory of the balancer process.
    pub chroot: Option<PathBuf>,
    /// `user` / `uid` of the balancer process, as written.
    pub user: Option<String>,
    /// `group` / `gid` of the balancer process, as written.
    pub group: Option<String>,
    /// `insecure-setuid-wanted`: programs that check servers may gain rights from files with a setuid bit.
    pub setuid_programs: bool,
    /// `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `daemon` was given.
    pub daemon: bool,
    /// `maxconn`: connections of the whole process; at the limit accepting pauses.
    pub maxconn: Option<u32>,
    /// `fd-hard-limit`: no more open files are made use of, whatever the system allows.
    pub fd_hard_limit: Option<u32>,
    /// Megabytes that an operator has allowed; `maxconn` follows from it where none is given.
    pub memory: Option<u32>,
    /// `maxconnrate`: new connections a second.
    pub maxconnrate: Option<u32>,
    /// `maxsessrate`: new sessions a second, each of which is a connection.
    pub maxsessrate: Option<u32>,
    /// `maxsslconn`: connections in TLS, from clients.
    pub maxsslconn: Option<u32>,
    /// `maxsslrate`: new connections in TLS a second.
    pub maxsslrate: Option<u32>,
    /// `nbthread`: number of workers.
    pub nbthread: Option<u32>,
    /// `stats socket` lines.
    pub stats_sockets: Vec<StatsSocket>,
    /// `stats timeout`: a silent client of a `stats socket` is disconnected after this; 10 s by default.
    pub stats_timeout: Option<std::time::Duration>,
    /// `stats maxconn`: conversations on `stats socket`s at once; 10 by default.
    pub stats_maxconn: Option<u32>,
    /// `node` or host name shown on the stats page.
    pub node: Option<String>,
    /// `description` shown on the stats page.
    pub description: Option<String>,
    /// `hard-stop-after`.
    pub hard_stop_after: Option<std::time::Duration>,
    /// `spread-checks` in percent (0-50).
    pub spread_checks: u8,
    /// `max-spread-checks`: the first checks are spread over so long at most.
    pub max_spread: Option<std::time::Duration>,
    /// `tune.h2.*`.
    pub http2: Http2Settings,
    /// `tune.bufsize`, `tune.maxrewrite` and `tune.http.maxhdr`.
    pub messages: super::MessageSizes,
    /// `tune.rcvbuf.client` and `tune.sndbuf.client`.
    pub client_buffers: KernelBuffers,
    /// `tune.rcvbuf.server` and `tune.sndbuf.server`.
    pub server_buffers: KernelBuffers,
    /// `maxpipes`, 0 with `nosplice`: most pipes at once in the whole process, through which long bodies go without a
    /// copy. Each takes two descriptors; no limit unless told.
    pub max_pipes: Option<u32>,
    /// `h1-case-adjust` and `h1-case-adjust-file`.
    pub header_case: Arc<HeaderCase>,
    /// `h1-accept-payload-with-any-method`: GET, HEAD and DELETE in HTTP/1.0 may have content.
    pub old_content: bool,
    /// `tune.idle-pool.shared off`: a worker uses no idle server connections but its own.
    pub idle_apart: bool,
}

/// Bytes that the kernel may hold for a socket in TCP, as socket(7) counts them; where none are given it chooses itself,
/// up to some megabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelBuffers {
    /// Received and not read: `SO_RCVBUF`.
    pub receive: Option<u32>,
    /// Sent and not confirmed: `SO_SNDBUF`.
    pub send: Option<u32>,
}

/// What peers in HTTP/2 are told they may do: `tune.h2.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Settings {
    /// `tune.h2.header-table-size`: bytes of the table that compresses headers.
    pub header_table_size: u32,
    /// `tune.h2.initial-window-size`: bytes of a body that one stream may have on the way to us.
    pub initial_window_size: u32,
    /// `tune.h2.max-concurrent-streams`: of one connection.
    pub max_concurrent_streams: u32,
    /// `tune.h2.max-frame-size`: bytes.
    pub max_frame_size: u32,
    /// `h2-workaround-bogus-websocket-clients`: clients are not told of WebSockets in HTTP/2.
    pub without_websockets: bool,
}

/// HAProxy's.
impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            header_table_size: 4096,
            initial_window_size: 65_535,
            max_concurrent_streams: 100,
            max_frame_size: 16_384,
            without_websockets: false,
        }
    }
}

/// Where syslog lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// The listener.
    pub address: SyslogAddress,
    /// Longest line in bytes (`len`, 1024 by default).
    pub max_len: usize,
    /// Facility number 0-23 (`local0` is 16).
    pub facility: u8,
    /// Least severe level that is sent (7 = debug by default).
    pub level: u8,
    /// Level that more severe messages are lowered to (0 by default: untouched).
    pub min_level: u8,
    /// What stands before each message (`format`).
    pub header: LogHeader,
    /// `sample`: which of the messages are sent; `None` for all.
    pub sample: Option<Arc<LogSample>>,
}

/// `sample 1-3,5:8`: of eight messages the first three and the fifth, counted over all threads.
#[derive(Debug)]
pub struct LogSample {
    ranges: Vec<RangeInclusive<u32>>,
    size: u32,
    next: AtomicU32,
}

impl LogSample {
    /// Of `size` messages those whose numbers, from 1, are in `ranges`.
    pub fn new(ranges: Vec<RangeInclusive<u32>>, size: u32) -> Self {
        Self {
            ranges,
            size: size.max(1),
            next: AtomicU32::new(0),
        }
    }

    /// Whether the next message is one of them.
    pub fn takes_next(&self) -> bool {
        let turned = |at: u32| Some((at + 1) % self.size);
        let at = self.next.fetch_update(Relaxed, Relaxed, turned);
        let number = at.unwrap_or_default() + 1;
        self.ranges.iter().any(|range| range.contains(&number))
    }
}

/// Where the count is makes no difference.
impl PartialEq for LogSample {
    fn eq(&self, other: &Self) -> bool {
        (&self.ranges, self.size) == (&other.ranges, other.size)
    }
}

impl Eq for LogSample {}

/// What stands before a log message: `format` of a `log` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogHeader {
    /// Priority, date, tag and process id, and the host's name with `log-send-hostname`: no `format`.
    #[default]
    Syslog,
    /// The same without the host's name: `format local`.
    Local,
    /// The same with the host's name: `format rfc3164`.
    Rfc3164,
    /// Version 1 of the protocol, with structured data: `format rfc5424`.
    Rfc5424,
    /// Facility and level as `<134>`: `format priority`.
    Priority,
    /// The level alone as `<6>`, as service managers read it: `format short`.
    Level,
    /// The level and the date: `format timed`.
    Timed,
    /// The date: `format iso`.
    Iso,
    /// Nothing: `format raw`.
    None,
}

/// A syslog listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// UDP, port 514 by default.
    Udp(SocketAddr),
    /// A datagram socket such as `/dev/log`.
    Unix(PathBuf),
    /// `stdout` or `stderr` (file descriptor 1 or 2).
    Fd(i32),
}

/// A `stats socket` line: the runtime command line.
#[derive(Debug, Clone)]
pub struct StatsSocket {
    /// A path or a TCP address.
    pub address: super::BindAddress,
    /// Rights that callers get.
    pub level: StatsLevel,
    /// `mode`, `user` and `group` of a UNIX socket.
    pub rights: super::SocketRights,
}

/// Rights on a stats socket, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum StatsLevel {
    /// Read statistics without addresses.
    User,
    /// Read everything, change nothing dangerous (the default).
    #[default]
    Operator,
    /// Everything.
    Admin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_takes_its_share_of_each_round() {
        let sample = LogSample::new(vec![1..=2, 4..=4], 5);
        let taken: Vec<bool> = (0..10).map(|_| sample.takes_next()).collect();
        let round = [true, true, false, true, false];
        assert_eq!(taken, [round, round].concat());
    }
}
