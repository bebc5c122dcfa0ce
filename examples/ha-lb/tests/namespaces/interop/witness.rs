//! A third host: it hears what the others send, asks all the time who has the address, and reads their kernels'
//! notifications about addresses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ha_lb::lab::{
    Host,
    probe::{FrameSocket, Mac},
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    frames::{self, Heard},
    timeline::{Event, Timeline},
};

/// How often it asks who has the address.
const ASKS_EVERY: Duration = Duration::from_millis(25);

/// A running witness; it stops with its owner.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Lives as long as its namespace is needed.
    _host: Host,
}

impl Witness {
    /// Watches `hosts`, some with a virtual hardware address, from `host` for `vip`.
    pub(crate) fn start(
        host: Host,
        hosts: &[(&Host, Option<Mac>)],
        vip: IpAddr,
        timeline: Timeline,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let socket = host.run(|| FrameSocket::open(host.index())).unwrap();
        let watched = hosts
            .iter()
            .map(|(host, _)| host.run(|| Ok(address_news())).unwrap());
        let work = Work {
            mac: host.mac(),
            vip,
            news: watched.collect(),
            macs: hosts
                .iter()
                .map(|(host, other)| (host.mac(), *other))
                .collect(),
            socket,
            timeline,
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || work.run(&stopped));
        Self {
            stop,
            thread: Some(thread),
            _host: host,
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The kernel's notifications about addresses in the network namespace of the calling thread (rtnetlink(7)).
fn address_news() -> OwnedFd {
    const RTMGRP_IPV4_IFADDR: u32 = 0x10;
    const RTMGRP_IPV6_IFADDR: u32 = 0x100;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let news = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkRoute,
    );
    let news = news.unwrap();
    let groups = NetlinkAddr::new(0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
    bind(news.as_raw_fd(), &groups).unwrap();
    news
}

/// The witness's thread.
struct Work {
    mac: Mac,
    vip: IpAddr,
    macs: Vec<(Mac, Option<Mac>)>,
    news: Vec<OwnedFd>,
    socket: FrameSocket,
    timeline: Timeline,
}

impl Work {
    fn run(mut self, stop: &AtomicBool) {
        let question = frames::question(self.mac, self.vip);
        let mut due = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= due {
                // Without a cable there is nobody to ask.
                let _ = self.socket.send(&question);
                due = (due + ASKS_EVERY).max(now);
            }
            let patience = due.saturating_duration_since(Instant::now());
            let mut fds = vec![PollFd::new(&self.socket, PollFlags::IN)];
            let news = self.news.iter();
            fds.extend(news.map(|one| PollFd::from_borrowed_fd(one.as_fd(), PollFlags::IN)));
            let _ = poll(&mut fds, Timespec::try_from(patience).ok().as_ref());
            for (on, news) in self.news.iter().enumerate() {
                let mut buffer = [0; 8192];
                while let Ok(length) = recv(news.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                    let at = Instant::now();
                    for event in changes(&buffer[..length], on) {
                        self.timeline.record(at, event);
                    }
                }
            }
            while let Some((frame, at)) = self.socket.receive() {
                self.hear(frame, at);
            }
        }
    }

    fn hear(&self, frame: Vec<u8>, at: Instant) {
        let Some((mac, heard)) = frames::read(&frame, self.mac, self.vip) else {
            return;
        };
        let known = |(real, other): &(Mac, Option<Mac>)| *real == mac || *other == Some(mac);
        let Some(from) = self.macs.iter().position(known) else {
            return;
        };
        let event = match heard {
            Heard::Advert(advert) => Event::Advert { from, advert },
            Heard::Announced => Event::Announced { from },
            Heard::Answered => Event::Answered { from },
        };
        self.timeline.record(at, event);
        if heard != Heard::Answered {
            self.timeline.keep(from, frame);
        }
    }
}

/// Messages of a datagram: `struct nlmsghdr`, `struct ifaddrmsg`, attributes.
fn changes(mut datagram: &[u8], on: usize) -> Vec<Event> {
    const RTM_NEWADDR: u16 = 20;
    const RTM_DELADDR: u16 = 21;
    let mut changes = Vec::new();
    while let Some(length) = datagram.first_chunk::<4>() {
        let length = usize::try_from(u32::from_ne_bytes(*length)).unwrap();
        let Some(message) = datagram.get(..length).filter(|message| message.len() >= 24) else {
            break;
        };
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        if let Some(address) = address(&message[24..]) {
            match kind {
                RTM_NEWADDR => changes.push(Event::Added { on, address }),
                RTM_DELADDR => changes.push(Event::Removed { on, address }),
                _ => {}
            }
        }
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    changes
}

/// `IFA_LOCAL`, else `IFA_ADDRESS`.
fn address(mut attributes: &[u8]) -> Option<IpAddr> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let mut found = None;
    while let Some(header) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = attributes.get(4..length)?;
        let kind = u16::from_ne_bytes([header[2], header[3]]);
        let value = match value.len() {
            4 => value
                .first_chunk::<4>()
                .map(|v| IpAddr::V4(Ipv4Addr::from(*v))),
            16 => value
                .first_chunk::<16>()
                .map(|v| IpAddr::V6(Ipv6Addr::from(*v))),
            _ => None,
        };
        match kind {
            IFA_LOCAL => return value,
            IFA_ADDRESS => found = value,
            _ => {}
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}
