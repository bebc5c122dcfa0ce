//! Lines about servers and proxies, in the words that monitoring tools look for.

use std::{fmt, net::SocketAddr};

/// Syslog levels of the lines in this module.
pub mod level {
    /// No server is left.
    pub const EMERGENCY: u8 = 0;
    /// A server went down.
    pub const ALERT: u8 = 1;
    /// A proxy stopped.
    pub const WARNING: u8 = 4;
    /// A server came up.
    pub const NOTICE: u8 = 5;
    /// Connections and requests.
    pub const INFO: u8 = 6;
}

/// A server changed its state.
#[derive(Debug, Clone, Copy)]
pub struct ServerChange<'a> {
    /// Name of the backend.
    pub backend: &'a str,
    /// Name of the server.
    pub server: &'a str,
    /// It is a backup server.
    pub is_backup: bool,
    /// It is up now.
    pub up: bool,
    /// `Layer4 connection problem`, `Layer7 check passed`.
    pub reason: &'a str,
    /// Code of the answer, for layer 7.
    pub code: Option<u16>,
    /// What the check says.
    pub info: Option<&'a str>,
    /// Duration of the check in milliseconds.
    pub duration_ms: Option<u64>,
    /// Active servers that are up now.
    pub active: u32,
    /// Backup servers that are up now.
    pub backup: u32,
    /// Connections of the server now.
    pub sessions: u32,
    /// Requests taken from its queue and put into the backend's.
    pub requeued: u32,
    /// Requests left in the queue (of the server when down, in all when up).
    pub queued: u32,
}

impl ServerChange<'_> {
    /// Its syslog level.
    pub fn level(&self) -> u8 {
        if self.up { level::NOTICE } else { level::ALERT }
    }
}

impl fmt::Display for ServerChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_backup {
            "Backup Server"
        } else {
            "Server"
        };
        let state = if self.up { "UP" } else { "DOWN" };
        let (backend, server) = (self.backend, self.server);
        write!(
            f,
            "{kind} {backend}/{server} is {state}, reason: {}",
            self.reason
        )?;
        if let Some(code) = self.code {
            write!(f, ", code: {code}")?;
        }
        if let Some(info) = self.info.filter(|i| !i.is_empty()) {
            write!(f, ", info: \"{info}\"")?;
        }
        if let Some(duration) = self.duration_ms {
            write!(f, ", check duration: {duration}ms")?;
        }
        let (active, backup) = (self.active, self.backup);
        let ending = if self.up { "online" } else { "left" };
        let running_on_backup = if active == 0 && backup > 0 {
            " Running on backup."
        } else {
            ""
        };
        write!(
            f,
            ". {active} active and {backup} backup servers {ending}.{running_on_backup} "
        )?;
        let (requeued, queued) = (self.requeued, self.queued);
        if self.up {
            write!(f, "{requeued} sessions requeued, {queued} total in queue.")
        } else {
            let sessions = self.sessions;
            write!(
                f,
                "{sessions} sessions active, {requeued} requeued, {queued} remaining in queue."
            )
        }
    }
}

/// `backend B has no server available!`
pub fn no_server_available(backend: &str) -> String {
    format!("backend {backend} has no server available!")
}

/// `Proxy P stopped (cumulated conns: FE: 3, BE: 1).`
pub fn proxy_stopped(proxy: &str, frontend: u64, backend: u64) -> String {
    format!("Proxy {proxy} stopped (cumulated conns: FE: {frontend}, BE: {backend}).")
}

/// The line of a proxy without a log format, written at acceptance.
pub fn connect(source: SocketAddr, destination: SocketAddr, frontend: &str, http: bool) -> String {
    let mode = if http { "HTTP" } else { "TCP" };
    let (source, source_port) = (source.ip().to_canonical(), source.port());
    let (destination, port) = (destination.ip().to_canonical(), destination.port());
    format!("Connect from {source}:{source_port} to {destination}:{port} ({frontend}/{mode})")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: ServerChange<'_> = ServerChange {
        backend: "be",
        server: "s1",
        is_backup: false,
        up: false,
        reason: "Layer4 connection problem",
        code: None,
        info: Some("Connection refused"),
        duration_ms: Some(0),
        active: 2,
        backup: 0,
        sessions: 0,
        requeued: 0,
        queued: 0,
    };

    #[test]
    fn a_server_going_down_is_told_in_haproxys_words() {
        assert_eq!(
            DOWN.to_string(),
            "Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", \
             check duration: 0ms. 2 active and 0 backup servers left. 0 sessions active, 0 requeued, \
             0 remaining in queue."
        );
        let on_backup = ServerChange {
            active: 0,
            backup: 1,
            code: Some(500),
            ..DOWN
        };
        let text = on_backup.to_string();
        assert!(text.contains(", code: 500, info:"));
        assert!(text.contains("0 active and 1 backup servers left. Running on backup. 0 sessions"));
    }

    #[test]
    fn a_server_coming_up_is_told_in_haproxys_words() {
        let up = ServerChange {
            up: true,
            reason: "Layer4 check passed",
            info: None,
            active: 1,
            ..DOWN
        };
        assert_eq!(
            up.to_string(),
            "Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 0 backup \
             servers online. 0 sessions requeued, 0 total in queue."
        );
        assert_eq!((DOWN.level(), up.level()), (1, 5));
    }

    #[test]
    fn the_other_lines() {
        assert_eq!(
            connect(
                "127.0.0.1:41016".parse().unwrap(),
                "127.0.0.1:8443".parse().unwrap(),
                "kube",
                false
            ),
            "Connect from 127.0.0.1:41016 to 127.0.0.1:8443 (kube/TCP)"
        );
        assert_eq!(
            proxy_stopped("s", 3, 1),
            "Proxy s stopped (cumulated conns: FE: 3, BE: 1)."
        );
        assert_eq!(
            no_server_available("b"),
            "backend b has no server available!"
        );
    }
}
