//! Lines about connections and proxies, in the words that monitoring tools look for. Those about servers are
//! [`StateChange`](crate::backend::StateChange)'s.

use std::{net::SocketAddr, time::SystemTime};

use super::date::{self, Civil};
use crate::request::is_unix;

/// Syslog levels, RFC 3164 §4.1.1.
pub mod level {
    /// A backend lost its last server.
    pub const EMERGENCY: u8 = 0;
    /// A server went down.
    pub const ALERT: u8 = 1;
    /// An erroneous request, with `log-separate-errors`.
    pub const ERROR: u8 = 3;
    /// A proxy stopped.
    pub const WARNING: u8 = 4;
    /// A server came up.
    pub const NOTICE: u8 = 5;
    /// Connections and requests.
    pub const INFO: u8 = 6;
}

/// `Proxy P stopped (cumulated conns: FE: 3, BE: 1).`
pub fn proxy_stopped(proxy: &str, frontend: u64, backend: u64) -> String {
    format!("Proxy {proxy} stopped (cumulated conns: FE: {frontend}, BE: {backend}).")
}

/// `soft-stop running for too long, performing a hard-stop.`
pub const HARD_STOP: &str = "soft-stop running for too long, performing a hard-stop.";

/// `Proxy P hard-stopped (3 remaining conns will be closed).`
pub fn proxy_cut(proxy: &str, connections: u32) -> String {
    format!("Proxy {proxy} hard-stopped ({connections} remaining conns will be closed).")
}

/// The line of a proxy without a log format, written at acceptance. Who comes over a UNIX socket comes from nowhere.
pub fn connect(source: SocketAddr, destination: SocketAddr, frontend: &str, http: bool) -> String {
    let mode = if http { "HTTP" } else { "TCP" };
    if is_unix(source) {
        return format!("Connect to {} ({frontend}/{mode})", end(source));
    }
    let (source, destination) = (end(source), end(destination));
    format!("Connect from {source} to {destination} ({frontend}/{mode})")
}

/// `127.0.0.1:41016`, or `unix:1`.
fn end(address: SocketAddr) -> String {
    let port = address.port();
    match is_unix(address) {
        true => format!("unix:{port}"),
        false => format!("{}:{port}", address.ip().to_canonical()),
    }
}

/// A response that was refused because a cache could keep it with its cookie.
pub fn cacheable_cookie(backend: &str, server: &str) -> String {
    format!("Blocking cacheable cookie in response from instance {backend}, server {server}.")
}

/// A client's connection in HTTP/2 that was closed because it was a flood of frames; `words` say of which.
pub fn http2_flood(source: SocketAddr, frontend: &str, words: &str) -> String {
    let source = end(source);
    format!("HTTP/2 connection from {source} to {frontend} closed: {words}.")
}

/// The line about a client that never got as far as a request: `127.0.0.1:41016 [20/Nov/2026:22:51:45.300] web/1: SSL
/// handshake failure`. `bind` is the listener's name or number.
pub fn not_established(
    source: SocketAddr,
    (accepted, utc_offset): (SystemTime, i32),
    frontend: &str,
    bind: &str,
    what: &str,
) -> Vec<u8> {
    let mut line = format!("{} [", end(source)).into_bytes();
    let (seconds, millis) = date::epoch(accepted);
    date::write_log(&Civil::new(seconds, utc_offset), &mut line);
    line.extend(format!(".{millis:03}] {frontend}/{bind}: {what}").into_bytes());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_haproxys_words() {
        let line = |source: &str, destination: &str, http| {
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            connect(source, destination, "kube", http)
        };
        assert_eq!(
            line("127.0.0.1:41016", "[::ffff:127.0.0.1]:8443", false),
            "Connect from 127.0.0.1:41016 to 127.0.0.1:8443 (kube/TCP)"
        );
        assert_eq!(
            line("[2001:db8::1]:41016", "[::1]:80", true),
            "Connect from 2001:db8::1:41016 to ::1:80 (kube/HTTP)"
        );
        assert_eq!(
            connect(
                crate::request::of_unix(2),
                crate::request::of_unix(2),
                "f",
                false
            ),
            "Connect to unix:2 (f/TCP)"
        );
        assert_eq!(
            proxy_stopped("s", 3, 1),
            "Proxy s stopped (cumulated conns: FE: 3, BE: 1)."
        );
    }
}
