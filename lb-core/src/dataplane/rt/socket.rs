//! Stream sockets and listeners of a loop.

use std::{
    ffi::c_int,
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    ioctl::{Getter, Opcode, ioctl},
    net::{
        RecvFlags, SendFlags, Shutdown, SocketFlags, acceptfrom_with, recv, send, shutdown,
        sockopt::{socket_error, socket_send_buffer_size},
    },
};

use super::reactor::{self, FAULT, Home, READ, URGENT, WRITE, WRITE_CLOSED};

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dataplane) enum Direction {
    /// To receive.
    Read,
    /// To send.
    Write,
}

impl Direction {
    fn bit(self) -> u8 {
        match self {
            Self::Read => READ,
            Self::Write => WRITE,
        }
    }
}

/// A stream socket. It works on the thread of the loop that knows it, and may go to that of another one, which makes it
/// known there ([`Socket::settle`]).
pub(in crate::dataplane) struct Socket {
    home: Arc<Home>,
    key: usize,
    fd: OwnedFd,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.fd).finish()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        reactor::forget(&self.home, self.key);
    }
}

impl Socket {
    /// A connection that stands: the first bytes are often there before anybody asks.
    pub(in crate::dataplane) fn connected(fd: OwnedFd) -> io::Result<Self> {
        Self::new(fd, READ | WRITE, false)
    }

    /// A connection that has begun; see [`Socket::poll_connected`].
    pub(in crate::dataplane) fn connecting(fd: OwnedFd) -> io::Result<Self> {
        Self::new(fd, 0, true)
    }

    fn new(fd: OwnedFd, ready: u8, watches_out: bool) -> io::Result<Self> {
        reactor::here(|reactor| {
            let home = reactor.home()?;
            let key = reactor.add(&home, fd.as_fd(), ready, watches_out)?;
            Ok(Self { home, key, fd })
        })
    }

    /// Makes a connection that came from another thread known to the loop of this one; nobody waits for it.
    pub(in crate::dataplane) fn settle(&mut self) -> io::Result<()> {
        reactor::here(|reactor| {
            let home = reactor.home()?;
            // From here on its old loop hears nothing of it.
            self.home.take_out(self.fd.as_fd())?;
            let key = reactor.add(&home, self.fd.as_fd(), READ | WRITE, false)?;
            let before = std::mem::replace(&mut self.home, home);
            before.leave(std::mem::replace(&mut self.key, key));
            Ok(())
        })
    }

    /// What has been reported of it.
    fn ready(&self) -> u8 {
        reactor::here(|reactor| reactor.ready(self.key))
    }

    /// Whether the other end has sent something urgent: what is received ends before that, which is passed over, and
    /// splice(2) never goes beyond it.
    pub(in crate::dataplane) fn is_interrupted(&self) -> bool {
        self.ready() & URGENT != 0
    }

    fn exhausted(&self, direction: u8) {
        reactor::here(|reactor| reactor.exhausted(self.key, direction));
    }

    /// Completes when the connection stands or has failed.
    pub(in crate::dataplane) fn poll_connected(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(Direction::Write, cx));
        // Asking every socket would cost a call: one that failed is reported as closed, one to whom a router has said that
        // there is no way as faulty, and the kernel goes on trying.
        if self.ready() & (WRITE_CLOSED | FAULT) != 0 {
            socket_error(&self.fd)??;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the kernel would take bytes, asked of itself: the loop hears of it later.
    pub(in crate::dataplane) fn is_writable_now(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
    }

    /// Whether splice(2), which found nothing, stands before something urgent of which the loop has not heard yet. Else that
    /// is the end.
    pub(in crate::dataplane) fn stops_at_mark(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::PRI)];
        let told = poll(&mut fds, Some(&Timespec::default())).is_ok();
        let stops = told && fds.iter().any(|fd| fd.revents().contains(PollFlags::PRI));
        if stops {
            reactor::here(|reactor| reactor.is_marked(self.key));
        }
        stops
    }

    /// Bytes that were sent and that the other end's kernel has not confirmed; `None` where that is not known.
    #[expect(
        unsafe_code,
        reason = "rustix has no call for SIOCOUTQ, which fills one int"
    )]
    pub(in crate::dataplane) fn unsent(&self) -> Option<c_int> {
        // A reset takes with it what was to be sent, and the kernel goes on counting that.
        if self.ready() & WRITE_CLOSED != 0 {
            return Some(0);
        }
        /// SIOCOUTQ (tcp(7)); where its number is another one, an error.
        const OUTQ: Opcode = 0x5411;
        // SAFETY: the kernel writes an int, and nothing else, to where it is told.
        let ask = unsafe { Getter::<OUTQ, c_int>::new() };
        // SAFETY: the descriptor is open, and the pattern is that of this request.
        unsafe { ioctl(&self.fd, ask) }.ok()
    }

    /// How many more bytes the kernel takes now, at least: it calls a socket writable that has a third of its memory free.
    /// (What it counts are not the bytes of SIOCOUTQ: packets cut for a small window take half as much again.)
    pub(in crate::dataplane) fn room(&self) -> usize {
        if self.ready() & WRITE == 0 || !self.is_writable_now() {
            return 0;
        }
        socket_send_buffer_size(&self.fd).map_or(0, |all| all / 3)
    }

    /// Completes once an attempt may succeed.
    pub(in crate::dataplane) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let fd = self.fd.as_fd();
        reactor::here(|reactor| reactor.poll_ready(&self.home, fd, self.key, direction.bit(), cx))
    }

    /// Pending where nothing has come since an attempt found nothing left; an attempt may find nothing all the same.
    pub(in crate::dataplane) fn poll_silence(&self, cx: &Context<'_>) -> Poll<()> {
        let fd = self.fd.as_fd();
        reactor::here(|reactor| reactor.poll_reported(&self.home, fd, self.key, READ, cx))
    }

    /// Completes when the other end has broken off, where everything that it sent has been received.
    pub(in crate::dataplane) fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        reactor::here(|reactor| reactor.poll_broken(self.key, cx))
    }

    /// Attempts something that may find the socket not ready, unless that is known.
    pub(in crate::dataplane) fn attempt<T>(
        &self,
        direction: Direction,
        act: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let bit = direction.bit();
        if self.ready() & (bit | bit << 2) == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.act(bit, act)?)
    }

    /// Attempts something; that it found nothing left is remembered.
    fn act<T>(
        &self,
        bit: u8,
        mut act: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        loop {
            match act(self.fd.as_fd()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.exhausted(bit);
                    return Err(Errno::AGAIN);
                }
                done => return done,
            }
        }
    }

    fn poll_io<T>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut act: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.poll_ready(direction, cx));
            match self.act(direction.bit(), &mut act) {
                Err(Errno::AGAIN) => {}
                done => return Poll::Ready(done.map_err(io::Error::from)),
            }
        }
    }

    /// Receives; `Ok(0)` is the end.
    pub(in crate::dataplane) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let received = self.poll_io(Direction::Read, cx, |fd| {
            recv(fd, &mut *room, RecvFlags::empty()).map(|(count, _)| count)
        });
        if let Poll::Ready(Ok(count)) = received
            && (1..room.len()).contains(&count)
        {
            // The kernel tells of what comes.
            reactor::here(|reactor| reactor.ran_short(self.key));
        }
        received
    }

    /// Receives, and leaves the bytes where they are.
    pub(in crate::dataplane) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(Direction::Read, cx, |fd| {
            recv(fd, &mut *room, RecvFlags::PEEK).map(|(count, _)| count)
        })
    }

    /// Sends.
    pub(in crate::dataplane) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes, SendFlags::NOSIGNAL)
    }

    /// Sends what [`Socket::shut_down`] follows at once: the end goes in the same packet as the last bytes.
    pub(in crate::dataplane) fn poll_write_last(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        flags: SendFlags,
    ) -> Poll<io::Result<usize>> {
        let sent = self.poll_io(Direction::Write, cx, |fd| send(fd, bytes, flags));
        self.note_sent(&sent, bytes.len());
        sent
    }

    /// Sends several pieces.
    pub(in crate::dataplane) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = self.poll_io(Direction::Write, cx, |fd| rustix::io::writev(fd, slices));
        self.note_sent(&sent, slices.iter().map(|s| s.len()).sum());
        sent
    }

    /// Less than all of it was taken: there is no room, and the kernel tells when there is.
    fn note_sent(&self, sent: &Poll<io::Result<usize>>, whole: usize) {
        if let Poll::Ready(Ok(count)) = sent
            && (1..whole).contains(count)
        {
            self.exhausted(WRITE);
        }
    }

    /// Ends the sending direction.
    pub(in crate::dataplane) fn shut_down(&self) -> io::Result<()> {
        Ok(shutdown(&self.fd, Shutdown::Write)?)
    }
}

/// The next connection that waits at a listening socket, and its address, if that has one of the Internet.
pub(in crate::dataplane) fn accept(
    fd: BorrowedFd<'_>,
) -> rustix::io::Result<(OwnedFd, Option<SocketAddr>)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (accepted, address) = acceptfrom_with(fd, flags)?;
    Ok((accepted, address.and_then(|a| a.try_into().ok())))
}

/// A listening socket. Other descriptors of it may live longer.
pub(in crate::dataplane) struct Listener(Socket);

impl Listener {
    /// Makes a listening socket that does not block known to the loop.
    pub(in crate::dataplane) fn new(fd: OwnedFd) -> io::Result<Self> {
        Socket::new(fd, READ, false).map(Self)
    }

    /// The next connection and its address, if that has one of the Internet.
    pub(in crate::dataplane) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        self.0.poll_io(Direction::Read, cx, accept)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.home.take_out(self.0.fd.as_fd());
    }
}
