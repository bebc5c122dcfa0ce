//! Where log lines go: datagram sockets that are never waited for, or a standard stream.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    net::UdpSocket,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixDatagram,
    },
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::writev,
};

use super::{Balancer, clock};
use crate::{
    config::{LogTarget, ProxyConfig, SyslogAddress},
    log::syslog,
};

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
    Stdout,
    Stderr,
}

impl Socket {
    fn open(address: &SyslogAddress) -> io::Result<Self> {
        match address {
            SyslogAddress::Udp(target) => {
                let local = match target {
                    std::net::SocketAddr::V4(_) => "0.0.0.0:0",
                    std::net::SocketAddr::V6(_) => "[::]:0",
                };
                let socket = UdpSocket::bind(local)?;
                socket.connect(target)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket))
            }
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(socket))
            }
            SyslogAddress::Fd(2) => Ok(Self::Stderr),
            SyslogAddress::Fd(_) => Ok(Self::Stdout),
        }
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self {
            // A refusal (ICMP) belongs to an earlier line: this one is sent once more.
            Self::Udp(s) => match s.send(packet) {
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => s.send(packet),
                sent => sent,
            }
            .map(drop),
            Self::Unix(s) => s.send(packet).map(drop),
            Self::Stdout => stream(io::stdout().as_fd(), packet),
            Self::Stderr => stream(io::stderr().as_fd(), packet),
        }
    }
}

/// One line in one write, so that workers do not mix theirs. A reader who does not read loses lines instead of
/// stopping the worker: what polls as writable takes PIPE_BUF bytes, more than a usual line has (pipe(7)).
fn stream(out: BorrowedFd<'_>, packet: &[u8]) -> io::Result<()> {
    let mut state = [PollFd::new(&out, PollFlags::OUT)];
    if poll(&mut state, Some(&Timespec::default()))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    writev(out, &[IoSlice::new(packet), IoSlice::new(b"\n")])?;
    Ok(())
}

/// The log sockets of one thread.
#[derive(Debug)]
pub(super) struct Sinks {
    balancer: RefCell<Arc<Balancer>>,
    open: RefCell<Vec<(SyslogAddress, Option<Socket>)>>,
    packet: RefCell<Vec<u8>>,
}

impl Sinks {
    /// Opens nothing yet: a socket is made for the first line. [`Sinks::prepare`] makes them before privileges
    /// go.
    pub(super) fn new(balancer: Arc<Balancer>) -> Self {
        Self {
            balancer: RefCell::new(balancer),
            open: RefCell::default(),
            packet: RefCell::default(),
        }
    }

    /// Opens the sockets of every target of the configuration (before a chroot hides `/dev/log`).
    pub(super) fn prepare(&self) {
        let config = Arc::clone(&self.balancer.borrow().config);
        let own = config.proxies.iter().flat_map(|p| &p.logs);
        for target in own.chain(&config.global.logs) {
            self.with_socket(&target.address, |_| Ok(()));
        }
    }

    /// Another configuration from now on.
    pub(super) fn adopt(&self, balancer: &Arc<Balancer>) {
        *self.balancer.borrow_mut() = Arc::clone(balancer);
        self.prepare();
    }

    /// Sends `message` to the log targets of `proxy`.
    pub(super) fn log(&self, proxy: &ProxyConfig, level: u8, message: &[u8]) {
        self.log_structured(proxy, level, message, &[]);
    }

    /// Sends `message` to the log targets of the process.
    pub(super) fn log_of_process(&self, level: u8, message: &[u8]) {
        let config = Arc::clone(&self.balancer.borrow().config);
        let targets = config.global.logs.iter();
        for target in targets.filter(|target| level <= target.level) {
            self.send(None, target, level.max(target.min_level), (message, &[]));
        }
    }

    /// The same with structured data for those targets that take it.
    pub(super) fn log_structured(
        &self,
        proxy: &ProxyConfig,
        level: u8,
        message: &[u8],
        structured: &[u8],
    ) {
        for target in &proxy.logs {
            let sample = target.sample.as_ref();
            if level <= target.level && sample.is_none_or(|sample| sample.takes_next()) {
                self.send(
                    proxy.log_tag.as_deref(),
                    target,
                    level.max(target.min_level),
                    (message, structured),
                );
            }
        }
    }

    fn send(
        &self,
        tag: Option<&str>,
        target: &LogTarget,
        level: u8,
        (message, structured): (&[u8], &[u8]),
    ) {
        let balancer = self.balancer.borrow();
        let global = &balancer.config.global;
        let tag = tag.or(global.log_tag.as_deref());
        let written = syslog::Packet {
            header: target.header,
            priority: syslog::Priority {
                facility: target.facility,
                level,
            },
            date: clock::wall(),
            sender: syslog::Sender {
                tag: tag.unwrap_or("haproxy"),
                pid: crate::process::id(),
                hostname: global.log_send_hostname.as_deref(),
                utc_offset: balancer.utc_offset,
            },
            structured,
            message,
            max_len: target.max_len,
        };
        let mut packet = self.packet.borrow_mut();
        packet.clear();
        written.write(&mut packet);
        self.with_socket(&target.address, |socket| socket.send(&packet));
    }

    /// Runs `act` on the socket of `address`; whatever fails is counted as a dropped line.
    fn with_socket(&self, address: &SyslogAddress, act: impl FnOnce(&Socket) -> io::Result<()>) {
        let mut open = self.open.borrow_mut();
        let known = open.iter().position(|(a, _)| a == address);
        let index = known.unwrap_or_else(|| {
            open.push((address.clone(), None));
            open.len() - 1
        });
        let Some((_, slot)) = open.get_mut(index) else {
            return;
        };
        if slot.is_none() {
            *slot = Socket::open(address).ok();
        }
        let sent = slot.as_ref().map(act);
        // A UNIX listener that went away is connected anew with the next line.
        if let (Some(Socket::Unix(_)), Some(Err(e))) = (&*slot, &sent)
            && e.kind() != io::ErrorKind::WouldBlock
        {
            *slot = None;
        }
        if !matches!(sent, Some(Ok(()))) {
            self.balancer.borrow().process.dropped_logs.increment();
        }
    }
}
