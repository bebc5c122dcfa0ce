//! A connected stream of any kind: TCP, UNIX, TLS over one of them, or one of the streams of HTTP/2 over any of these.

mod packets;
mod secured;

use std::{
    ffi::c_int,
    io::{self, IoSlice},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::{
    buffer::{SIP, WIDE},
    http2::{Downstream, Upstream},
    rt::{Direction, Socket},
};
use crate::request::ServerSession;
use secured::Secured;

/// A stream without encryption.
#[derive(Debug)]
pub(super) enum Plain {
    /// TCP.
    Tcp(Socket),
    /// UNIX.
    Unix(Socket),
}

/// A stream.
#[derive(Debug)]
pub(super) enum Stream {
    /// Bytes as they are.
    Plain(Plain),
    /// TLS, of either side.
    Tls(Box<Secured>),
    /// A request of a client in HTTP/2, as the bytes of HTTP/1.1.
    Downstream(Box<Downstream>),
    /// A request to a server in HTTP/2, as the bytes of HTTP/1.1.
    Upstream(Box<Upstream>),
}

impl From<Plain> for Stream {
    fn from(stream: Plain) -> Self {
        Self::Plain(stream)
    }
}

impl From<TlsStream<Plain>> for Stream {
    fn from(stream: TlsStream<Plain>) -> Self {
        Self::Tls(Box::new(Secured::new(stream, None)))
    }
}

impl Plain {
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket,
        }
    }

    /// Completes when a connection that has begun stands, or has failed.
    pub(super) fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_connected(cx)
    }

    /// Whether a connection that has begun stands by now, or has failed.
    pub(super) fn stands(&self) -> bool {
        self.socket().is_writable_now()
    }

    /// The next close sends a reset instead of an end.
    fn reset_on_close(&self) {
        if let Self::Tcp(socket) = self {
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match slices {
            [one] => self.socket().poll_write(cx, one),
            many => self.socket().poll_write_vectored(cx, many),
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        let count = ready!(self.socket().poll_read(cx, room))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket().shut_down())
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Stream {
    /// TLS to a server, as rules may know it.
    pub(super) fn to_server(stream: TlsStream<Plain>, session: ServerSession) -> Self {
        Self::Tls(Box::new(Secured::new(stream, Some(Arc::new(session)))))
    }

    /// What rules may know of TLS to the server at the other end.
    pub(super) fn server_session(&self) -> Option<&Arc<ServerSession>> {
        match self {
            Self::Tls(secured) => secured.session.as_ref(),
            Self::Upstream(stream) => stream.session(),
            Self::Plain(_) | Self::Downstream(_) => None,
        }
    }

    /// Pending where it is known that there is nothing to receive; the task is woken when there is.
    pub(super) fn poll_silence(&self, cx: &Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(plain) => plain.socket().poll_silence(cx),
            Self::Tls(secured) => secured.poll_silence(cx),
            Self::Downstream(_) | Self::Upstream(_) => Poll::Ready(()),
        }
    }

    /// Completes when the other end, which has ended its direction, breaks off.
    pub(super) fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        match self.socket() {
            Some(plain) => plain.socket().poll_broken(cx),
            None => Poll::Pending,
        }
    }

    /// Whether nothing more will come, where the end that says so is none of this stream.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Downstream(s) if s.has_ended())
    }

    /// Receives into `room`; `Ok(0)` is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(plain) => plain.socket().poll_read(cx, room),
            Self::Tls(secured) => secured.poll_read(cx, room),
            Self::Downstream(stream) => stream.poll_read(cx, room),
            Self::Upstream(stream) => stream.poll_read(cx, room),
        }
    }

    /// Sends some of `slices`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(plain) => plain.poll_send(cx, slices),
            Self::Tls(secured) => secured.poll_write(cx, slices),
            Self::Downstream(stream) => stream.poll_write(cx, slices),
            Self::Upstream(stream) => stream.poll_write(cx, slices),
        }
    }

    /// How many bytes would be taken now, at least.
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.socket().room(),
            Self::Tls(secured) => secured.room(),
            Self::Downstream(stream) => stream.room(),
            // Capacity of the library that is only asked for would be taken from other streams.
            Self::Upstream(_) => WIDE,
        }
    }

    /// How much is received for it at once where nothing is known of what comes: little for a stream of HTTP/2 whose client
    /// takes next to nothing of it now. It shares windows with others, so that may be for long.
    pub(super) fn portion(&self) -> usize {
        match self {
            Self::Downstream(stream) if stream.room() < SIP => SIP,
            _ => WIDE,
        }
    }

    /// Sends some of the last bytes before [`Stream::end`], which follows at once.
    pub(super) fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(plain) => plain.socket().poll_write_last(cx, bytes),
            _ => self.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// Ends the sending direction of a connection without TLS, and sends what was held back for that.
    pub(super) fn end(&self) {
        if let Self::Plain(plain) = self {
            let _ = plain.socket().shut_down();
        }
    }

    /// Pushes out what TLS has sealed but not sent.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Downstream(_) | Self::Upstream(_) => Poll::Ready(Ok(())),
            Self::Tls(s) => Pin::new(&mut s.stream).poll_flush(cx),
        }
    }

    /// Ends the sending direction.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(&mut s.stream).poll_shutdown(cx),
            Self::Downstream(s) => Poll::Ready(s.shutdown()),
            Self::Upstream(s) => Poll::Ready(s.shutdown()),
        }
    }

    /// Scheme and authority of a request that came in HTTP/2.
    pub(super) fn http2_origin(&self) -> Option<&[u8]> {
        match self {
            Self::Downstream(s) => Some(s.origin()),
            _ => None,
        }
    }

    /// Whether a server said that it did nothing with the request that went out on this.
    pub(super) fn was_refused(&self) -> bool {
        matches!(self, Self::Upstream(s) if s.was_refused())
    }

    /// The protocol that was agreed on in the TLS handshake.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(s) => s.stream.get_ref().1.alpn_protocol(),
            _ => None,
        }
    }

    /// Nothing was done with the request that came on this: a client that can be told so may repeat it.
    pub(super) fn refuse_on_close(&mut self) {
        if let Self::Downstream(s) = self {
            s.refuse();
        }
    }

    /// The socket without TLS, for `splice(2)`.
    pub(super) fn plain(&self) -> Option<&Plain> {
        match self {
            Self::Plain(s) => Some(s),
            Self::Tls(_) | Self::Downstream(_) | Self::Upstream(_) => None,
        }
    }

    /// The next close sends a reset instead of an end.
    pub(super) fn reset_on_close(&mut self) {
        if let Self::Downstream(s) = self {
            s.abort();
        }
        if let Some(plain) = self.socket() {
            plain.reset_on_close();
        }
    }

    /// Bytes that were sent and that the other end's kernel has not confirmed; `None` where that is not known.
    pub(super) fn unsent(&self) -> Option<c_int> {
        match self.socket() {
            Some(Plain::Tcp(socket) | Plain::Unix(socket)) => socket.unsent(),
            None => None,
        }
    }

    /// Ends the sending direction without a farewell.
    pub(super) fn cut(&mut self) {
        if let Self::Downstream(s) = self {
            s.abort();
        }
        if let Some(plain) = self.socket() {
            // A peer that is gone needs no end.
            let _ = plain.socket().shut_down();
        }
    }

    /// The connection until its next request; `None` if it is one of many of another.
    pub(super) fn rest(self) -> Option<Resting> {
        match self {
            Self::Plain(plain) => Some(Resting::Plain(plain)),
            Self::Tls(secured) => Some(Resting::Tls(secured)),
            Self::Downstream(_) | Self::Upstream(_) => None,
        }
    }

    fn socket(&self) -> Option<&Plain> {
        match self {
            Self::Plain(s) => Some(s),
            Self::Tls(s) => Some(s.stream.get_ref().0),
            Self::Downstream(_) | Self::Upstream(_) => None,
        }
    }
}

/// A server connection between two requests. Other than a stream it may go to another thread.
#[derive(Debug)]
pub(super) enum Resting {
    /// Bytes as they are.
    Plain(Plain),
    /// TLS.
    Tls(Box<Secured>),
}

impl From<Resting> for Stream {
    fn from(resting: Resting) -> Self {
        match resting {
            Resting::Plain(plain) => Self::Plain(plain),
            Resting::Tls(secured) => Self::Tls(secured),
        }
    }
}

impl Resting {
    /// Whether the other side has closed or sent something unasked; costs no system call as long as nothing came.
    pub(super) fn is_stale(&mut self) -> bool {
        let mut byte = [0];
        match self {
            Self::Plain(plain) => {
                let tried = plain.socket().attempt(Direction::Read, |fd| {
                    recv(fd, &mut byte[..], RecvFlags::empty())
                });
                !matches!(tried, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
            }
            // What TLS sends for itself (tickets of later sessions) is taken in; bytes that wait inside are seen.
            Self::Tls(secured) => {
                let mut cx = Context::from_waker(Waker::noop());
                secured.poll_read(&mut cx, &mut byte).is_ready()
            }
        }
    }

    /// Makes it known to the loop of this thread, after it came from another one.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let plain = match self {
            Self::Plain(plain) => plain,
            Self::Tls(secured) => secured.stream.get_mut().0,
        };
        match plain {
            Plain::Tcp(socket) | Plain::Unix(socket) => socket.settle(),
        }
    }

    /// The close sends a reset instead of an end.
    pub(super) fn reset(self) {
        self.plain().reset_on_close();
    }

    fn plain(&self) -> &Plain {
        match self {
            Self::Plain(plain) => plain,
            Self::Tls(secured) => secured.stream.get_ref().0,
        }
    }
}

/// What stands for the address of clients on UNIX sockets, who have none; it is logged as `unix`.
pub(super) const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
