//! Response heads (RFC 9112 §4, §6.3).

use super::{
    Error, Framing, Leniency, Limits, Method, Progress,
    fields::{self, Line},
    framing, request, text,
};
use crate::head::{Head, Text, Version};

/// What a complete response head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseSummary {
    /// Length of the head with its empty line; the body begins there.
    pub head_len: usize,
    /// The status.
    pub status: u16,
    /// The version.
    pub version: Version,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the server lets the connection live on.
    pub persistent: bool,
}

impl ResponseSummary {
    /// A 1xx other than 101: another response follows.
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }
}

/// Decoder of one response head after the other on one connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseDecoder {
    limits: Limits,
    leniency: Leniency,
    method: Method,
    upgrade: bool,
    at: usize,
    line_done: bool,
}

impl ResponseDecoder {
    /// A decoder at the beginning of the response to a request of `method`.
    pub fn new(limits: Limits, leniency: Leniency, method: Method) -> Self {
        Self {
            limits,
            leniency,
            method,
            ..Self::default()
        }
    }

    /// Makes ready for the response to a request of `method` which did or did not ask for an upgrade.
    pub fn reset(&mut self, method: Method, upgrade: bool) {
        self.method = method;
        self.upgrade = upgrade;
        self.next();
    }

    /// How responses are read from now on, and how much they may hold.
    pub fn read_with(&mut self, leniency: Leniency, limits: Limits) {
        self.leniency = leniency;
        self.limits = limits;
    }

    /// Makes ready for the response after an interim one.
    pub fn next(&mut self) {
        self.at = 0;
        self.line_done = false;
    }

    /// Reads on; see [`RequestDecoder::decode`](super::RequestDecoder::decode).
    pub fn decode(
        &mut self,
        bytes: &[u8],
        head: &mut Head,
    ) -> Result<Progress<ResponseSummary>, Error> {
        if !self.line_done {
            let known = bytes.len().min(5);
            if bytes.get(..known) != b"HTTP/".get(..known) {
                return Err(Error::StatusLine);
            }
            let Some(line) = fields::line(bytes, 0, self.limits, self.leniency)? else {
                return Ok(Progress::Partial);
            };
            head.clear();
            parse_line(bytes, line, head)?;
            self.at = line.next;
            self.line_done = true;
        }
        if !fields::read(bytes, &mut self.at, head, self.limits, self.leniency)? {
            return Ok(Progress::Partial);
        }
        let facts = framing::examine(head, bytes, self.leniency)?;
        let status = head.status;
        // 101 nobody asked for would turn the connection into a tunnel for the next client.
        if status == 101 && !self.upgrade {
            return Err(Error::StatusLine);
        }
        let framing = match (self.method, status) {
            (_, 101) | (Method::Connect, 200..=299) => Framing::Tunnel,
            (Method::Head, _) | (_, 100..=199 | 204 | 304) => Framing::None,
            _ if facts.chunked => Framing::Chunked,
            _ => facts
                .content_length
                .map_or(Framing::UntilClose, Framing::Length),
        };
        Ok(Progress::Complete(ResponseSummary {
            head_len: self.at,
            status,
            version: head.version,
            framing,
            persistent: facts.persistent(head.version)
                && !matches!(framing, Framing::UntilClose | Framing::Tunnel),
        }))
    }
}

/// `version SP status [SP reason]`.
fn parse_line(bytes: &[u8], line: Line, head: &mut Head) -> Result<(), Error> {
    let content = line.of(bytes);
    let version = match content.get(..8).map(request::version) {
        Some(Ok(version)) => version,
        Some(Err(Error::Version)) => return Err(Error::Version),
        _ => return Err(Error::StatusLine),
    };
    let Some(
        [
            b' ',
            h @ b'1'..=b'9',
            t @ b'0'..=b'9',
            u @ b'0'..=b'9',
            rest @ ..,
        ],
    ) = content.get(8..)
    else {
        return Err(Error::StatusLine);
    };
    let digit = |b: u8| u16::from(b - b'0');
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return Err(Error::StatusLine),
    };
    if !text::is_field_value(reason) {
        return Err(Error::StatusLine);
    }
    head.set_response(
        digit(*h) * 100 + digit(*t) * 10 + digit(*u),
        Text::received(line.end - reason.len(), reason.len()),
        version,
    );
    Ok(())
}
