//! Whether each side's connection lives on after an exchange, and what is said about it (RFC 9112 §9).

use super::{Framing, RequestSummary, ResponseSummary, text};
use crate::{
    config::HttpMode,
    head::{HeadMut, HeadRef, Version},
};

/// The `connection` field that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionOption {
    /// None: the version's default holds.
    #[default]
    Absent,
    /// `connection: close`.
    Close,
    /// `connection: keep-alive`, said to HTTP/1.0 peers.
    KeepAlive,
    /// `connection: upgrade`; the `upgrade` field is passed on.
    Upgrade,
}

impl ConnectionOption {
    /// For a message in `version` whose connection does or does not stay open after it.
    pub fn new(version: Version, stays: bool) -> Self {
        match (version, stays) {
            (Version::Http10, true) => Self::KeepAlive,
            (Version::Http10, false) => Self::Absent,
            (_, true) => Self::Absent,
            (_, false) => Self::Close,
        }
    }

    /// For the head of a request to a server; an upgrade is asked for as the client did.
    pub fn to_server(request: &RequestSummary, mode: HttpMode) -> Self {
        if request.upgrade {
            return Self::Upgrade;
        }
        let version = match request.framing {
            Framing::Chunked => Version::Http11,
            _ => request.version,
        };
        Self::new(version, mode == HttpMode::KeepAlive && !request.close_after)
    }

    /// For the head of a final response to a client.
    pub fn to_client(request: &RequestSummary, response: &ResponseSummary, stays: bool) -> Self {
        match (response.status, request.version, stays) {
            (101, _, _) => Self::Upgrade,
            // RFC 9110 §9.3.6: what follows is no message, and its end is that of the tunnel.
            _ if response.framing == Framing::Tunnel => Self::Absent,
            // The response line says HTTP/1.1, so closing is said to everyone.
            (_, _, false) => Self::Close,
            (_, version, true) => Self::new(version, true),
        }
    }
}

/// Framing of a response towards its client: HTTP/1.0 knows no chunks, so the close ends the body.
pub fn client_framing(client: Version, framing: Framing) -> Framing {
    match (client, framing) {
        (Version::Http10, Framing::Chunked) => Framing::UntilClose,
        (_, framing) => framing,
    }
}

/// Framing of a response whose status rules made another of: what has no content has none whatever came with it
/// (RFC 9110 §6.4.1), and a client would wait for that of another.
pub fn framing_of_status(framing: Framing, was: u16, is: u16) -> Framing {
    let has_none = |status| matches!(status, 204 | 304);
    match (has_none(was), has_none(is), framing) {
        (_, _, Framing::Tunnel) => framing,
        (false, true, _) => Framing::None,
        (true, false, _) => Framing::Length(0),
        _ => framing,
    }
}

/// Whether a head says that its connection ends.
pub fn says_close(head: HeadRef<'_>) -> bool {
    head.values(b"connection")
        .flat_map(text::members)
        .any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Takes `close` out of a head that goes on over another connection than it came by. What else is said there stays.
pub fn take_close_out(head: &mut HeadMut<'_>) {
    let is_connection = |name: &[u8]| name.eq_ignore_ascii_case(b"connection");
    let is_close = |option: &[u8]| option.eq_ignore_ascii_case(b"close");
    head.remove_if(|name, value| is_connection(name) && text::members(value).all(is_close));
    if !says_close(head.as_ref()) {
        return;
    }
    let fields = head.as_ref().fields().enumerate();
    let rests: Vec<(usize, Vec<u8>)> = fields
        .filter(|(_, (name, _))| is_connection(name))
        .map(|(index, (_, options))| {
            let others: Vec<&[u8]> = text::members(options)
                .filter(|option| !is_close(option))
                .collect();
            (index, others.join(&b", "[..]))
        })
        .collect();
    for (index, rest) in &rests {
        head.set_value_at(*index, rest);
    }
}

/// Whether the client's connection stays open after the response. `mode` is that of the frontend, `framing`
/// the one towards the client.
pub fn client_stays(request: &RequestSummary, framing: Framing, mode: HttpMode) -> bool {
    request.persistent
        && !request.close_after
        && mode != HttpMode::Close
        && !matches!(framing, Framing::UntilClose | Framing::Tunnel)
}

/// Whether the server's connection may serve another request. `mode` is that of the backend.
pub fn server_stays(request: &RequestSummary, response: &ResponseSummary, mode: HttpMode) -> bool {
    response.persistent && !request.close_after && mode == HttpMode::KeepAlive
}
