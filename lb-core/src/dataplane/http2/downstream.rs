//! A stream of a client: one request, read as HTTP/1.1, and its response, written as HTTP/1.1.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::request;

use super::{
    incoming::{Incoming, broken},
    message::{self, Malformed},
    outgoing::{Outgoing, ends_at_once},
};
use crate::http1::{Leniency, Limits, Method, ResponseDecoder};

/// A stream.
#[derive(Debug)]
pub(in crate::dataplane) struct Downstream {
    incoming: Incoming,
    respond: SendResponse<Bytes>,
    outgoing: Option<Outgoing>,
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
    pub(super) fn new(
        request: &request::Parts,
        content: RecvStream,
        respond: SendResponse<Bytes>,
    ) -> Result<Self, (Malformed, SendResponse<Bytes>)> {
        let mut text = Vec::with_capacity(512);
        let form = match message::write_request(request, content.is_end_stream(), &mut text) {
            Ok(form) => form,
            Err(malformed) => return Err((malformed, respond)),
        };
        let tunnel = request.method == http::Method::CONNECT;
        let upgrades = request.extensions.get::<h2::ext::Protocol>().is_some();
        let method = match upgrades {
            true => Method::Get,
            false => Method::of(request.method.as_str().as_bytes()),
        };
        let mut decoder = ResponseDecoder::new(Limits::default(), Leniency::HAPROXY, method);
        decoder.reset(method, upgrades);
        Ok(Self {
            incoming: Incoming::new(text, content, form),
            respond,
            outgoing: None,
            head: Vec::new(),
            decoder,
            origin: message::origin(request),
            tunnel,
            aborted: false,
            refused: false,
        })
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

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &mut self.outgoing {
            Some(outgoing) if outgoing.is_done() => Poll::Pending,
            Some(outgoing) => outgoing.poll_reset(cx),
            None => self.respond.poll_reset(cx).map(|reset| match reset {
                Ok(reason) => broken(reason.into()),
                Err(error) => broken(error),
            }),
        }
    }

    /// Writes the response.
    pub(in crate::dataplane) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        for slice in slices {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                let polled = match &mut self.outgoing {
                    Some(outgoing) => outgoing.poll_write(cx, rest),
                    None => Poll::Ready(self.write_head(rest)),
                };
                match polled {
                    Poll::Ready(Ok(count)) => {
                        written += count;
                        rest = rest.get(count..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if written > 0 => return Poll::Ready(Ok(written)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        Poll::Ready(Ok(written))
    }

    /// Takes a head, or as much of it as there is; of an empty body its end too.
    fn write_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.head.len();
        let text = if before == 0 {
            bytes
        } else {
            self.head.extend_from_slice(bytes);
            &self.head
        };
        let Some(end) = memchr::memmem::find(text, b"\r\n\r\n") else {
            if before == 0 {
                self.head.extend_from_slice(bytes);
            }
            return Ok(bytes.len());
        };
        let text = Bytes::copy_from_slice(text.get(..end + 4).unwrap_or_default());
        self.head.clear();
        let taken = end + 4 - before;
        let behind = bytes.get(taken..).unwrap_or_default();
        let malformed = |Malformed| io::Error::from(io::ErrorKind::InvalidData);
        let (summary, response) =
            message::read_response(&text, &mut self.decoder).map_err(malformed)?;
        if summary.is_interim() {
            self.respond.send_informational(response).map_err(broken)?;
            return Ok(taken);
        }
        let end = ends_at_once(summary.framing, behind);
        let stream = self
            .respond
            .send_response(response, end.is_some())
            .map_err(broken)?;
        self.outgoing = Some(Outgoing::new(stream, summary.framing, end.is_some()));
        Ok(taken + end.unwrap_or(0))
    }

    /// Ends the response, if its end is that of the connection.
    pub(in crate::dataplane) fn shutdown(&mut self) -> io::Result<()> {
        self.outgoing.as_mut().map_or(Ok(()), Outgoing::end)
    }

    /// What was written is not the whole response.
    pub(in crate::dataplane) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Nothing was done with the request: the client may repeat it.
    pub(in crate::dataplane) fn refuse(&mut self) {
        self.refused = true;
    }
}

impl Drop for Downstream {
    fn drop(&mut self) {
        let Some(outgoing) = &mut self.outgoing else {
            let reason = match self.refused {
                true => Reason::REFUSED_STREAM,
                false => Reason::CANCEL,
            };
            return self.respond.send_reset(reason);
        };
        if !self.aborted {
            // The end of the exchange is that of a body without a length.
            let _ = outgoing.end();
        }
        if !outgoing.is_done() {
            outgoing.reset(Reason::INTERNAL_ERROR);
        }
    }
}
