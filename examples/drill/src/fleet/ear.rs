//! What goes over the wire: adverts and gratuitous ARPs that come in from each host's cable, with the time at which
//! the kernel took them in. Listens at the other ends of the cables, so that it hears what a host sent, once, and
//! adds no port to a bridge.

use std::{
    io::{self, IoSliceMut},
    net::Ipv4Addr,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ha_lb::lab::{Host, LabError};
use nix::{
    cmsg_space, libc,
    sys::{
        socket::{
            ControlMessageOwned, MsgFlags, recvmsg, setsockopt,
            sockopt::{ReceiveTimestampns, RxqOvfl},
        },
        time::TimeSpec,
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use vip_netlink::link::Interface;

use crate::Fatal;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// An advert.
    Advert {
        /// Its virtual router.
        vrid: u8,
        /// Its priority.
        priority: u8,
    },
    /// A gratuitous ARP for this address.
    Announcement(Ipv4Addr),
}

/// One frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// When the kernel took it in, by the clock on the wall.
    pub(crate) at: Duration,
    /// Which of the cables.
    pub(crate) host: usize,
    /// What it says.
    pub(crate) said: Said,
}

/// What an ear listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// VRRP over IPv4, in an Authentication Header too, and over IPv6.
    Adverts,
    /// ARP.
    Announcements,
}

/// Where an ear listens to one of the hosts.
#[derive(Debug)]
pub(super) struct Place<'h> {
    pub(super) host: usize,
    /// The name of an interface, of the caller's namespace, or of another host.
    pub(super) port: String,
    pub(super) at: Option<&'h Host>,
    pub(super) topic: Topic,
}

impl Place<'_> {
    fn listen(&self) -> Result<Socket, Fatal> {
        let Some(host) = self.at else {
            return listen(&self.port, self.topic);
        };
        Ok(host.run(|| {
            listen(&self.port, self.topic).map_err(|error| LabError::Io {
                what: format!("listening on {}", host.name()),
                source: io::Error::other(error.to_string()),
            })
        })?)
    }
}

/// A listening thread; ends with its owner.
#[derive(Debug)]
pub(crate) struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    sockets: Arc<Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    socket: Socket,
    host: usize,
    topic: Topic,
    /// Frames for which the kernel had no room.
    missed: std::sync::atomic::AtomicU32,
}

/// Longer than what is read of any frame.
const SNAP: u32 = 96;
const RECEIVE_BUFFER: usize = 4 << 20;
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

impl Ear {
    /// Listens at all of these.
    pub(super) fn open(places: &[Place<'_>]) -> Result<Self, Fatal> {
        let mut sockets = Vec::new();
        for place in places {
            sockets.push(Listener {
                socket: place.listen()?,
                host: place.host,
                topic: place.topic,
                missed: 0.into(),
            });
        }
        let ear = Self {
            heard: Arc::default(),
            stop: Arc::default(),
            sockets: Arc::new(sockets),
        };
        let (heard, stop) = (Arc::clone(&ear.heard), Arc::clone(&ear.stop));
        let sockets = Arc::clone(&ear.sockets);
        std::thread::Builder::new()
            .name("ear".into())
            .spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut waiting: Vec<_> = sockets
                        .iter()
                        .map(|one| PollFd::from_borrowed_fd(one.socket.as_fd(), PollFlags::IN))
                        .collect();
                    let _ = poll(&mut waiting, Some(&PATIENCE));
                    for listener in sockets.iter() {
                        listener.drain(&heard);
                    }
                }
            })?;
        Ok(ear)
    }

    /// Everything since the last time, in the order of its times.
    pub(crate) fn take(&self) -> Vec<Heard> {
        let mut heard = std::mem::take(&mut *lock(&self.heard));
        heard.sort_by_key(|one| one.at);
        heard
    }

    /// Forgets what was heard longer ago than that.
    pub(crate) fn forget(&self, age: Duration) {
        let since = super::wall().saturating_sub(age);
        lock(&self.heard).retain(|one| one.at > since);
    }

    /// Looks at what there is, without taking it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Heard]) -> T) -> T {
        look(&lock(&self.heard))
    }

    /// Frames that were not heard for want of room.
    pub(crate) fn missed(&self) -> u32 {
        let all = self.sockets.iter();
        all.map(|one| one.missed.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(heard: &Mutex<Vec<Heard>>) -> std::sync::MutexGuard<'_, Vec<Heard>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    fn drain(&self, heard: &Mutex<Vec<Heard>>) {
        let mut control = cmsg_space!(TimeSpec, u32);
        let mut frame = [0; SNAP as usize];
        loop {
            let mut parts = [IoSliceMut::new(&mut frame)];
            let received = recvmsg::<()>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            );
            let Ok(message) = received else { return };
            let mut at = None;
            for one in message.cmsgs().into_iter().flatten() {
                match one {
                    ControlMessageOwned::ScmTimestampns(stamp) => at = Some(Duration::from(stamp)),
                    ControlMessageOwned::RxqOvfl(count) => {
                        self.missed.store(count, Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
            let length = message.bytes;
            let said = frame
                .get(..length)
                .and_then(|frame| read(self.topic, frame));
            if let (Some(at), Some(said)) = (at, said) {
                let host = self.host;
                lock(heard).push(Heard { at, host, said });
            }
        }
    }
}

fn read(topic: Topic, frame: &[u8]) -> Option<Said> {
    match topic {
        Topic::Adverts => {
            let message = vrrp(frame.get(14..)?)?;
            Some(Said::Advert {
                vrid: *message.get(1)?,
                priority: *message.get(2)?,
            })
        }
        Topic::Announcements => {
            let sender: [u8; 4] = *frame.get(28..)?.first_chunk()?;
            let target: [u8; 4] = *frame.get(38..)?.first_chunk()?;
            (sender == target).then(|| Said::Announcement(sender.into()))
        }
    }
}

/// The message in a packet.
fn vrrp(packet: &[u8]) -> Option<&[u8]> {
    let first = packet.first()?;
    let (header, protocol) = match first >> 4 {
        6 => (40, packet.get(6)?),
        _ => (usize::from(first & 0x0f) * 4, packet.get(9)?),
    };
    let inner = packet.get(header..)?;
    match *protocol {
        AUTHENTICATION_HEADER => inner.get((usize::from(*inner.get(1)?) + 2) * 4..),
        _ => Some(inner),
    }
}

/// `IPPROTO_AH`.
const AUTHENTICATION_HEADER: u8 = 51;
/// `ETH_P_ALL` of `linux/if_ether.h`.
const EVERYTHING: u16 = 3;

fn listen(port: &str, topic: Topic) -> Result<Socket, Fatal> {
    let everything = Protocol::from(i32::from(EVERYTHING.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(everything))?;
    let port = Interface::lookup(port)?.number();
    socket.attach_filter(&filter(topic, port))?;
    listen_only_at(&socket, port)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    setsockopt(&socket, ReceiveTimestampns, &true).map_err(io::Error::from)?;
    setsockopt(&socket, RxqOvfl, &1).map_err(io::Error::from)?;
    Ok(socket)
}

/// What goes by elsewhere, or goes out, does not come by the socket at all: the kernel would copy each frame for it, in
/// the time of whoever sent it.
#[expect(
    unsafe_code,
    reason = "no safe wrapper makes a sockaddr_ll or sets PACKET_IGNORE_OUTGOING"
)]
fn listen_only_at(socket: &Socket, port: u32) -> io::Result<()> {
    let failed = |outcome| match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    let length = |size: usize| u32::try_from(size).unwrap_or_default();
    // SAFETY: plain C data, for which zeros are valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = EVERYTHING.to_be();
    address.sll_ifindex = i32::try_from(port).map_err(io::Error::other)?;
    let on: libc::c_int = 1;
    let (descriptor, place) = (socket.as_raw_fd(), std::ptr::from_ref(&address));
    // SAFETY: the descriptor is open, and both pointers are to data of the size that is said, which is only read.
    let (bound, ignores) = unsafe {
        (
            libc::bind(descriptor, place.cast(), length(size_of_val(&address))),
            libc::setsockopt(
                descriptor,
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                std::ptr::from_ref(&on).cast(),
                length(size_of_val(&on)),
            ),
        )
    };
    failed(bound)?;
    failed(ignores)
}

/// Classic BPF: frames of the topic that came in by the port with that index.
fn filter(topic: Topic, port: u32) -> Vec<SockFilter> {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// `SKF_AD_OFF + SKF_AD_PKTTYPE`, and its value for what goes out.
    const PACKET_TYPE: u32 = 0xffff_f004;
    const OUTGOING: u32 = 4;
    /// `SKF_AD_OFF + SKF_AD_IFINDEX`.
    const INTERFACE: u32 = 0xffff_f008;
    let op = SockFilter::new;
    let mut program = vec![
        op(LOAD_WORD, 0, 0, INTERFACE),
        op(EQUAL, 1, 0, port),
        op(RETURN, 0, 0, 0),
        op(LOAD_WORD, 0, 0, PACKET_TYPE),
        op(EQUAL, 0, 1, OUTGOING),
        op(RETURN, 0, 0, 0),
    ];
    // Kind of frame, and an octet of it that must have a value.
    let kinds: &[(u32, u32, u32)] = match topic {
        Topic::Adverts => &[
            (0x0800, 23, 112),
            (0x0800, 23, AUTHENTICATION_HEADER as u32),
            (0x86dd, 20, 112),
        ],
        // The second octet of its operation: a request.
        Topic::Announcements => &[(0x0806, 21, 1)],
    };
    for &(kind, at, value) in kinds {
        program.extend([
            op(LOAD_HALF, 0, 0, 12),
            op(EQUAL, 0, 3, kind),
            op(LOAD_BYTE, 0, 0, at),
            op(EQUAL, 0, 1, value),
            op(RETURN, 0, 0, SNAP),
        ]);
    }
    program.push(op(RETURN, 0, 0, 0));
    program
}
