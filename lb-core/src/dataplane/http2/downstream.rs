//! A stream of a client: one request, read as HTTP/1.1, and its response, written as HTTP/1.1.

use std::{
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{
    incoming::{Incoming, broken},
    message::{self, Malformed},
    mux::{Branch, Mux},
    outgoing::{Outgoing, ends_at_once, poll_each},
};
use crate::{
    http1::{Leniency, Limits, ResponseDecoder},
    http2::{Code, Key, Request},
};

/// A stream.
#[derive(Debug)]
pub(in crate::dataplane) struct Downstream {
    branch: Branch,
    incoming: Incoming<Branch>,
    outgoing: Option<Outgoing<Branch>>,
    /// The part of a head that has been written.
    head: Vec<u8>,
    decoder: ResponseDecoder,
    origin: Vec<u8>,
    /// The end of what comes means something: it is passed on.
    tunnel: bool,
    /// Whoever writes says that what was written is not whole.
    aborted: bool,
    refused: bool,
}

impl Downstream {
    /// The stream that a request came on.
    pub(super) fn new(mux: &Rc<Mux>, key: Key) -> Self {
        let request = mux.with(|server| server.take_request(key));
        let branch = Branch {
            mux: Rc::clone(mux),
            key,
        };
        let mut decoder = ResponseDecoder::new(Limits::NONE, Leniency::HAPROXY, request.method);
        decoder.reset(request.method, request.upgrades);
        Self {
            incoming: Incoming::new(request.text, branch.clone(), request.form),
            branch,
            outgoing: None,
            head: Vec::new(),
            decoder,
            origin: request.origin,
            tunnel: request.tunnel,
            aborted: false,
            refused: false,
        }
    }

    /// Scheme and authority of the request, as logs say them.
    pub(in crate::dataplane) fn origin(&self) -> &[u8] {
        &self.origin
    }

    /// Reads the request. Its end is none of the connection: what follows it is only ever an error.
    pub(in crate::dataplane) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.incoming.poll_read(cx, room)) {
            Ok(0) if !self.tunnel => self.poll_reset(cx).map(Err),
            read => Poll::Ready(read),
        }
    }

    /// Whether the client sends nothing more over the connection.
    pub(in crate::dataplane) fn has_ended(&self) -> bool {
        self.branch.mux.with(|server| server.has_ended())
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &self.outgoing {
            Some(outgoing) if outgoing.is_done() => Poll::Pending,
            _ => self.branch.poll_reset(cx),
        }
    }

    /// How much of the response can be sent now.
    pub(in crate::dataplane) fn room(&self) -> usize {
        let Branch { mux, key } = &self.branch;
        mux.with(|server| server.spare(*key))
    }

    /// Writes the response.
    pub(in crate::dataplane) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_each(slices, |piece| match &mut self.outgoing {
            Some(outgoing) => outgoing.poll_write(cx, piece),
            None => Poll::Ready(self.write_head(piece)),
        })
    }

    /// Takes a head, or as much of it as there is; of an empty body its end too.
    fn write_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.head.len();
        if before > 0 {
            self.head.extend_from_slice(bytes);
        }
        let text = if before == 0 { bytes } else { &self.head };
        let mut ends = None;
        let Branch { mux, key } = &self.branch;
        let read = message::read_response(text, &mut self.decoder, |summary, status, head| {
            if !summary.is_interim() {
                let behind = text.get(summary.head_len..).unwrap_or_default();
                ends = ends_at_once(summary.framing, behind);
            }
            let end = ends.is_some();
            mux.serve(|server| server.respond(*key, status, message::kept(head), end))
                .map_err(Broken)
        });
        let Some(summary) = read.map_err(|broken| broken.0).map_err(broken)? else {
            if before == 0 {
                self.head.extend_from_slice(bytes);
            }
            return Ok(bytes.len());
        };
        let taken = summary.head_len - before;
        self.head.clear();
        if summary.is_interim() {
            // No window limits heads: a client that reads none of them is not told ever more.
            return match mux.with(|server| server.is_full()) {
                true => Err(broken(Code::CALM)),
                false => Ok(taken),
            };
        }
        let branch = self.branch.clone();
        self.outgoing = Some(Outgoing::new(branch, summary.framing, ends.is_some()));
        Ok(taken + ends.unwrap_or(0))
    }

    /// Ends the response, if its end is that of the connection.
    pub(in crate::dataplane) fn shutdown(&mut self) -> io::Result<()> {
        self.outgoing.as_mut().map_or(Ok(()), Outgoing::end)
    }

    /// What was written is not the whole response.
    pub(in crate::dataplane) fn abort(&mut self) {
        self.aborted = true;
    }

    /// The connection ends, with all its streams, and the client is not to notice.
    pub(in crate::dataplane) fn vanish(&mut self, hops: u8) {
        self.branch.mux.vanish(hops);
    }

    /// How the connection's packets are marked from now on.
    pub(in crate::dataplane) fn set_tos(&self, tos: u8) {
        self.branch.mux.set_tos(tos);
    }

    /// Nothing was done with the request: the client may repeat it.
    pub(in crate::dataplane) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Says what the end of the exchange means for the response.
    fn finish(&mut self) {
        let Some(outgoing) = &mut self.outgoing else {
            let code = match self.refused {
                true => Code::REFUSED,
                false => Code::CANCEL,
            };
            return self
                .branch
                .mux
                .serve(|server| server.reset(self.branch.key, code));
        };
        if !self.aborted {
            // The end of the exchange is that of a body without a length.
            let _ = outgoing.end();
        }
        if !outgoing.is_done() {
            outgoing.reset(Code::INTERNAL);
        }
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        self.finish();
        let request = Request {
            text: std::mem::take(self.incoming.text()),
            origin: std::mem::take(&mut self.origin),
            ..Request::default()
        };
        let Branch { mux, key } = &self.branch;
        mux.serve(|server| {
            server.recycle(*key, request);
            server.release(*key);
        });
    }
}

/// Why a head was not sent.
struct Broken(Code);

impl From<Malformed> for Broken {
    fn from(_: Malformed) -> Self {
        Self(Code::INTERNAL)
    }
}
