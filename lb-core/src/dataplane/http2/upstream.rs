//! A stream to a server: one request, written as HTTP/1.1, and its response, read as HTTP/1.1.

use std::{
    cell::RefCell,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, client::ResponseFuture};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE},
};

use super::{
    heads::Counted,
    incoming::Incoming,
    library::{Received, Sent, broken},
    message::{self, Malformed, Wanted},
    outgoing::{Outgoing, ends_at_once, poll_each},
    trunk::{Mark, Trunk},
};
use crate::{
    dataplane::websocket,
    http1::{Framing, Method},
    http2::{Code, Form},
    request::ServerSession,
};

/// A stream.
#[derive(Debug)]
pub(in crate::dataplane) struct Upstream {
    trunk: Rc<Trunk>,
    /// The part of a head that has been written.
    head: Vec<u8>,
    method: Method,
    response: Option<ResponseFuture>,
    /// What comes before the response, until that has come.
    untaken: Option<Counted>,
    /// When the request went out.
    sent: Option<Mark>,
    incoming: Incoming<Received>,
    outgoing: Option<Outgoing<Sent>>,
    /// The end of what comes means something: it is passed on.
    tunnel: bool,
    refused: bool,
    /// The request did not even begin: nothing will come back.
    failed: bool,
    /// What the request asks to go over to.
    wanted: Option<Wanted>,
}

impl Upstream {
    /// A stream of `trunk`; it begins when a head has been written.
    pub(super) fn new(trunk: Rc<Trunk>) -> Self {
        trunk.enter();
        Self {
            trunk,
            head: Vec::new(),
            method: Method::Get,
            response: None,
            untaken: None,
            sent: None,
            incoming: Incoming::waiting(),
            outgoing: None,
            tunnel: false,
            refused: false,
            failed: false,
            wanted: None,
        }
    }

    /// Whether the server did nothing with the request (RFC 9113 §8.7): it may be sent again, whatever it is.
    pub(in crate::dataplane) fn was_refused(&self) -> bool {
        self.refused
    }

    /// What rules may know of TLS to the server.
    pub(in crate::dataplane) fn session(&self) -> Option<&Arc<ServerSession>> {
        self.trunk.session()
    }

    /// Reads the response.
    pub(in crate::dataplane) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if let Poll::Ready(Err(error)) = self.poll_head(cx) {
            return Poll::Ready(Err(error));
        }
        match self.incoming.poll_read(cx, room) {
            Poll::Ready(Ok(0)) if !self.tunnel => match &mut self.outgoing {
                // A server that has answered may still say that it wants no more content.
                Some(outgoing) if !outgoing.is_done() => outgoing.poll_reset(cx).map(Err),
                _ => Poll::Pending,
            },
            read => read,
        }
    }

    /// Makes text of the heads that come.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(response) = &mut self.response else {
            return Poll::Pending;
        };
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            let (interim, ()) = interim.into_parts();
            message::write_response(&interim, true, true, self.incoming.text());
        }
        if let Some(untaken) = &self.untaken {
            untaken.taken();
        }
        let (head, content) = match Pin::new(response).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(response)) => self.switched(response).into_parts(),
            Poll::Ready(Err(error)) => {
                // A fault that was found on this side says nothing about what the server has done.
                let leaving = error.is_remote() && error.is_go_away();
                if leaving {
                    self.trunk.retire();
                }
                self.refused = leaving || error.reason() == Some(Reason::REFUSED_STREAM);
                return Poll::Ready(Err(broken(error)));
            }
        };
        self.response = None;
        self.untaken = None;
        self.tunnel = self.method == Method::Connect && head.status.is_success()
            || head.status == StatusCode::SWITCHING_PROTOCOLS;
        let status = head.status.as_u16();
        let bodiless = self.tunnel || self.method == Method::Head || matches!(status, 204 | 304);
        let text = self.incoming.text();
        let form = message::write_response(&head, content.is_end_stream(), bodiless, text);
        let form = if self.tunnel { Form::Raw } else { form };
        self.incoming.begin_content(Received::new(content), form);
        Poll::Ready(Ok(()))
    }

    /// The consent to another protocol as that to an `Upgrade` (RFC 8441 §5); other responses as they are.
    fn switched(&mut self, mut response: Response<RecvStream>) -> Response<RecvStream> {
        let agreed = response.status().is_success();
        let Some(wanted) = self.wanted.take().filter(|_| agreed) else {
            return response;
        };
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let fields = response.headers_mut();
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, wanted.protocol);
        let proof = wanted.key.map(|key| websocket::proof(&key));
        if let Some(proof) = proof.and_then(|proof| HeaderValue::try_from(proof).ok()) {
            fields.insert(SEC_WEBSOCKET_ACCEPT, proof);
        }
        response
    }

    /// Writes the request.
    pub(in crate::dataplane) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_each(slices, |piece| match &mut self.outgoing {
            Some(outgoing) => outgoing.poll_write(cx, piece),
            None => {
                let taken = self.poll_write_head(cx, piece);
                self.failed = matches!(taken, Poll::Ready(Err(_)));
                taken
            }
        })
    }

    fn poll_write_head(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = memchr::memmem::find(&self.head, b"\r\n\r\n") else {
            return Poll::Ready(Ok(bytes.len()));
        };
        self.head.truncate(end + 4);
        let text = Bytes::from(std::mem::take(&mut self.head));
        let taken = end + 4 - before;
        let behind = bytes.get(taken..).unwrap_or_default();
        let malformed = |Malformed| io::Error::from(io::ErrorKind::InvalidData);
        let (summary, request) =
            message::read_request(&text, self.trunk.scheme()).map_err(malformed)?;
        self.wanted = request.extensions().get().cloned();
        if self.wanted.is_some() {
            match self.trunk.poll_takes_upgrades(cx) {
                Poll::Ready(true) => {}
                // As HAProxy has it: no such request can be made of this server.
                Poll::Ready(false) => {
                    return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
                }
                // It is read again then.
                Poll::Pending => {
                    self.head = text.get(..before).unwrap_or_default().to_vec();
                    return Poll::Pending;
                }
            }
        }
        self.method = summary.method;
        let (framing, end) = match summary.method {
            // What follows an upgrade with a content is that content first: nobody can tell where it ends in a tunnel.
            _ if self.wanted.is_some() && !summary.framing.is_empty() => {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            _ if self.wanted.is_some() => (Framing::Tunnel, None),
            Method::Connect => (Framing::Tunnel, None),
            _ => (summary.framing, ends_at_once(summary.framing, behind)),
        };
        let opened = self.trunk.open(request, end.is_some());
        let (response, stream) = opened.map_err(|error| {
            // A connection that ends: nothing was sent, and nothing ever will be.
            if error.is_go_away() || error.is_io() {
                self.refused = true;
                self.trunk.retire();
            }
            broken(error)
        })?;
        let stream = Rc::new(RefCell::new(stream));
        self.response = Some(response);
        self.untaken = Some(self.trunk.count_heads(&stream));
        self.sent = Some(self.trunk.mark());
        self.outgoing = Some(Outgoing::new(Sent(stream), framing, end.is_some()));
        Poll::Ready(Ok(taken + end.unwrap_or(0)))
    }

    /// Ends the request, if it is a tunnel.
    pub(in crate::dataplane) fn shutdown(&mut self) -> io::Result<()> {
        self.outgoing.as_mut().map_or(Ok(()), Outgoing::end)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(outgoing) = &mut self.outgoing
            && !outgoing.is_done()
        {
            outgoing.reset(Code::CANCEL);
        }
        if let Some(sent) = self.sent.filter(|_| self.response.is_some()) {
            self.trunk.unanswered(sent);
        }
        // What is left of the response is cancelled by the library.
        self.trunk.leave();
    }
}
