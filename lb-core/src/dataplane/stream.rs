//! A connected stream of any kind: TCP, UNIX, TLS over one of them, or one of the streams of HTTP/2 over any of these.

use std::{
    io::{self, IoSlice},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

use super::http2::Downstream;

/// A stream without encryption.
#[derive(Debug)]
pub(super) enum Plain {
    /// TCP.
    Tcp(TcpStream),
    /// UNIX.
    Unix(UnixStream),
}

/// A stream.
#[derive(Debug)]
pub(super) enum Stream {
    /// Bytes as they are.
    Plain(Plain),
    /// TLS, of either side.
    Tls(Box<TlsStream<Plain>>),
    /// A request of a client in HTTP/2, as the bytes of HTTP/1.1.
    Downstream(Box<Downstream>),
}

impl From<Plain> for Stream {
    fn from(stream: Plain) -> Self {
        Self::Plain(stream)
    }
}

impl From<TlsStream<Plain>> for Stream {
    fn from(stream: TlsStream<Plain>) -> Self {
        Self::Tls(Box::new(stream))
    }
}

impl Plain {
    /// Waits until something can be done with it.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(s) => s.ready(interest).await,
            Self::Unix(s) => s.ready(interest).await,
        }
    }

    /// What went wrong with the socket since it was last asked.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(s) => s.take_error(),
            Self::Unix(s) => s.take_error(),
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buffer),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, bytes),
            Self::Unix(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write_vectored(cx, slices),
            Self::Unix(s) => Pin::new(s).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(s) => s.as_fd(),
            Self::Unix(s) => s.as_fd(),
        }
    }
}

impl Stream {
    /// The other end's address, if it has one.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match self.socket()? {
            Plain::Tcp(stream) => stream.peer_addr().ok(),
            Plain::Unix(_) => None,
        }
    }

    /// Receives into `room`; `Ok(0)` is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Self::Downstream(s) = self {
            return s.poll_read(cx, room);
        }
        let mut buffer = ReadBuf::new(room);
        let polled = match self {
            Self::Downstream(_) => Poll::Pending,
            Self::Plain(s) => Pin::new(s).poll_read(cx, &mut buffer),
            Self::Tls(s) => match Pin::new(s).poll_read(cx, &mut buffer) {
                // A peer that closes without close_notify has ended the stream all the same.
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                polled => polled,
            },
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    /// Sends some of `slices`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, slices) {
            (Self::Plain(s), [one]) => Pin::new(s).poll_write(cx, one),
            (Self::Plain(s), many) => Pin::new(s).poll_write_vectored(cx, many),
            (Self::Tls(s), many) => Pin::new(s).poll_write_vectored(cx, many),
            (Self::Downstream(s), many) => s.poll_write(cx, many),
        }
    }

    /// Pushes out what TLS has sealed but not sent.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Downstream(_) => Poll::Ready(Ok(())),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    /// Ends the sending direction.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
            Self::Downstream(s) => Poll::Ready(s.shutdown()),
        }
    }

    /// Scheme and authority of a request that came in HTTP/2.
    pub(super) fn http2_origin(&self) -> Option<&[u8]> {
        match self {
            Self::Downstream(s) => Some(s.origin()),
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
            Self::Tls(_) | Self::Downstream(_) => None,
        }
    }

    /// The next close sends a reset instead of an end.
    pub(super) fn reset_on_close(&mut self) {
        if let Self::Downstream(s) = self {
            s.abort();
        }
        if let Some(Plain::Tcp(s)) = self.socket() {
            let _ = socket2::SockRef::from(s).set_linger(Some(Duration::ZERO));
        }
    }

    /// Whether the other side has closed or sent something unasked; costs no system call as long as nothing came.
    pub(super) fn is_stale(&mut self) -> bool {
        let mut byte = [0];
        let tried = match self {
            Self::Plain(Plain::Tcp(s)) => s.try_read(&mut byte),
            Self::Plain(Plain::Unix(s)) => s.try_read(&mut byte),
            Self::Downstream(_) => return false,
            // What TLS sends for itself (tickets of later sessions) is taken in; bytes that wait inside are seen.
            Self::Tls(s) => {
                let mut cx = Context::from_waker(Waker::noop());
                return Pin::new(s)
                    .poll_read(&mut cx, &mut ReadBuf::new(&mut byte))
                    .is_ready();
            }
        };
        !matches!(tried, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    fn socket(&self) -> Option<&Plain> {
        match self {
            Self::Plain(s) => Some(s),
            Self::Tls(s) => Some(s.get_ref().0),
            Self::Downstream(_) => None,
        }
    }
}

/// The address logged for UNIX clients, as HAProxy's `unix:1` has no address either.
pub(super) const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
