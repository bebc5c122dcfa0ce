//! `http-request use-service prometheus-exporter`: HAProxy's parameters, and `scope=vrrp` for the rest of the daemon.

use std::{sync::Arc, time::Duration};

use lb_core::{
    dataplane::{StatsBody, StatsOutcome},
    head::HeadRef,
};

use super::{
    daemon,
    exposition::Exposition,
    haproxy::{self, Wanted},
};
use crate::admin::{runtime::execute::Runtime, status::Status};

const BAD_REQUEST: &str = "HTTP/1.1 400 Bad request\r\ncontent-length: 90\r\ncache-control: no-cache\r\n\
    content-type: text/html\r\nconnection: close\r\n\r\n<html><body><h1>400 Bad request</h1>\nYour browser sent \
    an invalid request.\n</body></html>\n";

/// A piece of the document.
const PIECE: usize = 16 * 1024;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    haproxy: Wanted,
    daemon: bool,
}

impl Asked {
    fn all(is_wanted: bool) -> Self {
        Self {
            haproxy: Wanted {
                process: is_wanted,
                frontend: is_wanted,
                listener: is_wanted,
                backend: is_wanted,
                server: is_wanted,
                table: is_wanted,
                no_maint: false,
            },
            daemon: is_wanted,
        }
    }

    /// `None` for a scope that does not exist, or lacks its value. The first scope of several takes back that all are wanted.
    fn read(query: &str) -> Option<Self> {
        let mut asked = Self::all(true);
        let mut scoped = false;
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "scope" if !parameter.contains('=') => return None,
                "no-maint" => asked.haproxy.no_maint = true,
                "scope" => {
                    if !std::mem::replace(&mut scoped, true) {
                        let no_maint = asked.haproxy.no_maint;
                        asked = Self::all(false);
                        asked.haproxy.no_maint = no_maint;
                    }
                    match value {
                        "" => {}
                        "*" => {
                            let no_maint = asked.haproxy.no_maint;
                            asked = Self::all(true);
                            asked.haproxy.no_maint = no_maint;
                        }
                        "global" => asked.haproxy.process = true,
                        "frontend" => asked.haproxy.frontend = true,
                        "backend" => asked.haproxy.backend = true,
                        "server" => asked.haproxy.server = true,
                        "sticktable" => asked.haproxy.table = true,
                        "vrrp" => asked.daemon = true,
                        "listener" => asked.haproxy.listener = true,
                        _ => return None,
                    }
                }
                _ => {}
            }
        }
        Some(asked)
    }
}

/// Writes the response.
pub fn respond(
    runtime: &Runtime,
    status: Option<(Arc<Status>, Duration)>,
    request: HeadRef<'_>,
    out: &mut Vec<u8>,
) -> StatsOutcome {
    let target = String::from_utf8_lossy(request.target());
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let Some(asked) = Asked::read(query) else {
        out.extend_from_slice(BAD_REQUEST.as_bytes());
        return StatsOutcome::Responded { status: 400 };
    };
    let mut text = Exposition::default();
    haproxy::write(
        &mut text,
        &runtime.balancer(),
        runtime.workers(),
        asked.haproxy,
    );
    if let Some((status, age)) = status.filter(|_| asked.daemon) {
        daemon::write(&mut text, &status, age.as_secs_f64());
    }
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: text/plain; version=0.0.4\r\n\r\n",
    );
    StatsOutcome::Streams {
        status: 200,
        body: Box::new(Text {
            text: text.into_text(),
            sent: 0,
        }),
    }
}

/// A document that is there, sent piece by piece.
#[derive(Debug)]
struct Text {
    text: String,
    sent: usize,
}

impl StatsBody for Text {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let rest = self.text.as_bytes().get(self.sent..).unwrap_or_default();
        let piece = rest.get(..PIECE).unwrap_or(rest);
        out.extend_from_slice(piece);
        self.sent += piece.len();
        self.sent < self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_add_up_and_unknown_ones_are_refused() {
        assert_eq!(Asked::read(""), Some(Asked::all(true)));
        let two = Asked::read("scope=frontend&no-maint&scope=server").unwrap();
        assert!(two.haproxy.frontend && two.haproxy.server && two.haproxy.no_maint);
        assert!(!two.haproxy.process && !two.haproxy.backend && !two.daemon);
        assert_eq!(Asked::read("scope=").unwrap(), Asked::all(false));
        assert_eq!(
            Asked::read("scope=frontend&scope=*").unwrap(),
            Asked::all(true)
        );
        assert!(Asked::read("scope=vrrp").unwrap().daemon);
        assert_eq!(Asked::read("scope=nonsense"), None);
        assert_eq!(Asked::read("scope"), None);
    }
}
