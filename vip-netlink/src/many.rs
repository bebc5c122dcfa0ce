//! Many packets in one system call (recvmmsg(2), sendmmsg(2)). By hand, because a packet that comes or goes is to
//! allocate nothing, and for the kernel's time stamp of what came in.

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::libc;
use socket2::{SockAddr, Socket};

/// Packets that are received in one call, and that are sent.
pub(crate) const TOGETHER: usize = 32;
pub(crate) const OUT: usize = 64;

/// Room for all that is told of a packet: lost ones, time, destination and hop limit.
#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 128]);

/// What the kernel tells of a packet beside its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// Bytes in its slot.
    pub(crate) length: usize,
    /// Whether all of it fitted.
    pub(crate) whole: bool,
    /// Packets for which there was no room before it.
    pub(crate) overflows: Option<u32>,
    /// When it came in, on the clock of the day.
    pub(crate) stamp: Option<Duration>,
    /// IPv6: who sent it, to whom, and its hop limit.
    pub(crate) source: Option<Ipv6Addr>,
    pub(crate) destination: Option<Ipv6Addr>,
    pub(crate) hop_limit: Option<u8>,
}

/// Takes packets in that wait, one in each slot of `room`, without waiting; how many. Who sent them is told if it is
/// `asked`: packets of IPv4 say it themselves.
#[expect(unsafe_code, reason = "no safe wrapper does without allocations")]
pub(crate) fn receive(
    socket: &Socket,
    room: &mut [u8],
    slot: usize,
    asked: bool,
    told: &mut [Told; TOGETHER],
) -> io::Result<usize> {
    // SAFETY: both are plain C data, for which zeros are valid.
    let mut headers: [libc::mmsghdr; TOGETHER] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut sources: [libc::sockaddr_in6; TOGETHER] = unsafe { std::mem::zeroed() };
    let empty = libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    };
    let mut places = [empty; TOGETHER];
    let mut controls = [Control([0; 128]); TOGETHER];
    let slots = room.chunks_exact_mut(slot).zip(&mut places);
    let parts = slots.zip(sources.iter_mut().zip(&mut controls));
    let mut count = 0;
    for (header, ((bytes, place), (source, control))) in headers.iter_mut().zip(parts) {
        place.iov_base = bytes.as_mut_ptr().cast();
        place.iov_len = bytes.len();
        let header = &mut header.msg_hdr;
        if asked {
            header.msg_name = std::ptr::from_mut(source).cast();
            header.msg_namelen = 28;
        }
        header.msg_iov = place;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = 128;
        count += 1;
    }
    // SAFETY: the first `count` headers point to one place, source and control each, which live until the end of this
    // function and have the lengths that they say; no header is read beyond `count`.
    let filled = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
    let parts = headers.iter().zip(&sources).zip(&controls);
    for (one, ((header, source), control)) in told.iter_mut().zip(parts).take(filled) {
        let control = control.0.get(..header.msg_hdr.msg_controllen);
        *one = Told {
            length: usize::try_from(header.msg_len).unwrap_or(0),
            whole: header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0,
            source: (i32::from(source.sin6_family) == libc::AF_INET6)
                .then(|| Ipv6Addr::from(source.sin6_addr.s6_addr)),
            ..Told::default()
        };
        one.hear(control.unwrap_or_default());
    }
    Ok(filled)
}

impl Told {
    /// Takes in control messages (cmsg(3)): length with header, level, kind, data, each aligned as a word.
    fn hear(&mut self, mut rest: &[u8]) {
        const WORD: usize = size_of::<usize>();
        const HEADER: usize = WORD + 8;
        while let Some((length, behind)) = rest.split_first_chunk::<WORD>() {
            let length = usize::from_ne_bytes(*length);
            let Some((level, behind)) = number(behind) else {
                return;
            };
            let (Some((kind, _)), Some(data)) = (number(behind), rest.get(HEADER..length)) else {
                return;
            };
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    self.overflows = number(data).map(|(count, _)| count.cast_unsigned());
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.stamp = time(data),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    self.destination = data
                        .first_chunk::<16>()
                        .map(|octets| Ipv6Addr::from(*octets));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    self.hop_limit = number(data).and_then(|(limit, _)| u8::try_from(limit).ok());
                }
                _ => {}
            }
            rest = rest
                .get(length.next_multiple_of(WORD)..)
                .unwrap_or_default();
        }
    }
}

fn number(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, behind) = bytes.split_first_chunk()?;
    Some((i32::from_ne_bytes(*number), behind))
}

/// `struct timespec`.
fn time(data: &[u8]) -> Option<Duration> {
    let (seconds, nanos) = data.split_at_checked(data.len() / 2)?;
    let word = |bytes: &[u8]| match *bytes {
        [a, b, c, d] => u64::try_from(i32::from_ne_bytes([a, b, c, d])).ok(),
        [a, b, c, d, e, f, g, h] => {
            u64::try_from(i64::from_ne_bytes([a, b, c, d, e, f, g, h])).ok()
        }
        _ => None,
    };
    Some(Duration::new(
        word(seconds)?,
        u32::try_from(word(nanos)?).ok()?,
    ))
}

/// Packets that a socket had no room for since it was opened, those too after which nothing has come: as the kernel counts
/// them for the notes that it makes on what comes after them.
#[expect(unsafe_code, reason = "no safe wrapper has SO_MEMINFO")]
pub(crate) fn dropped(socket: &Socket) -> io::Result<u32> {
    /// `SK_MEMINFO_DROPS` of linux/sock_diag.h, the last of them.
    const DROPS: usize = 8;
    let mut counts = [0_u32; DROPS + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&counts)).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `counts`, and the length; both live for the
    // call.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            counts.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    match (done, counts.get(DROPS)) {
        (0, Some(drops)) => Ok(*drops),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Packets that wait to be sent in one call, each with a number of the caller's.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    packets: Vec<(u32, usize, SockAddr)>,
}

impl Outbox {
    /// One packet more, made of these parts.
    pub(crate) fn push(&mut self, number: u32, parts: &[&[u8]], to: SockAddr) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.packets.push((number, self.bytes.len(), to));
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Forgets those that may not go out any more.
    pub(crate) fn retain(&mut self, may_go: impl Fn(u32) -> bool) {
        if self.packets.iter().all(|(number, ..)| may_go(*number)) {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut start = 0;
        self.packets.retain_mut(|(number, end, _)| {
            let packet = bytes.get(start..*end).unwrap_or_default();
            start = *end;
            let goes = may_go(*number);
            if goes {
                self.bytes.extend_from_slice(packet);
                *end = self.bytes.len();
            }
            goes
        });
    }

    /// Sends what waits, without waiting: one that is refused does not keep those behind it. Each is told of, in order.
    pub(crate) fn send(&mut self, socket: &Socket, mut outcome: impl FnMut(u32, io::Result<()>)) {
        let mut done = 0;
        while done < self.packets.len() {
            match self.send_some(socket, done) {
                Ok(sent) => {
                    let sent = self.packets.iter().skip(done).take(sent.max(1));
                    sent.for_each(|(number, ..)| {
                        done += 1;
                        outcome(*number, Ok(()));
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if let Some((number, ..)) = self.packets.get(done) {
                        outcome(*number, Err(error));
                    }
                    done += 1;
                }
            }
        }
        self.bytes.clear();
        self.packets.clear();
    }

    /// As many from that one on as one call takes; the error is that of the first.
    #[expect(unsafe_code, reason = "no safe wrapper does without allocations")]
    fn send_some(&self, socket: &Socket, first: usize) -> io::Result<usize> {
        // SAFETY: plain C data, for which zeros are valid.
        let mut headers: [libc::mmsghdr; OUT] = unsafe { std::mem::zeroed() };
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        let mut places = [empty; OUT];
        let mut start = first
            .checked_sub(1)
            .and_then(|before| self.packets.get(before))
            .map_or(0, |(_, end, _)| *end);
        let mut count = 0;
        let waiting = self.packets.iter().skip(first);
        for ((header, place), (_, end, to)) in headers.iter_mut().zip(&mut places).zip(waiting) {
            let packet = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            place.iov_base = packet.as_ptr().cast_mut().cast();
            place.iov_len = packet.len();
            let header = &mut header.msg_hdr;
            header.msg_name = to.as_ptr().cast_mut().cast();
            header.msg_namelen = to.len();
            header.msg_iov = place;
            header.msg_iovlen = 1;
            count += 1;
        }
        // SAFETY: the first `count` headers point to one place and one address each, of the lengths that they say, which
        // live for the call; the kernel only reads what they point to.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn pair() -> (Socket, Socket) {
        let one = || Socket::from(UdpSocket::bind("127.0.0.1:0").unwrap());
        (one(), one())
    }

    #[test]
    fn what_is_sent_together_arrives_in_order_and_a_refused_one_holds_nobody_up() {
        let (from, to) = pair();
        let address = to.local_addr().unwrap();
        let mut outbox = Outbox::default();
        for number in 0..40_u8 {
            let parts: [&[u8]; 2] = [&[number], &[1, 2, 3]];
            outbox.push(number.into(), &parts, address.clone());
        }
        // Longer than any datagram can be.
        outbox.push(40, &[&[0; 70_000]], address.clone());
        outbox.push(41, &[&[41]], address);
        let mut outcomes = Vec::new();
        outbox.send(&from, |number, outcome| {
            outcomes.push((number, outcome.is_ok()));
        });
        let expected: Vec<_> = (0..42).map(|number| (number, number != 40)).collect();
        assert_eq!(outcomes, expected);
        assert_eq!(outbox.len(), 0);
        let mut room = vec![0; TOGETHER * 8];
        let mut told = [Told::default(); TOGETHER];
        assert_eq!(
            receive(&to, &mut room, 8, true, &mut told).unwrap(),
            TOGETHER
        );
        assert_eq!(room[31 * 8..][..4], [31, 1, 2, 3]);
        assert!(told.iter().all(|one| one.whole && one.length == 4));
        assert_eq!(receive(&to, &mut room, 8, true, &mut told).unwrap(), 9);
        assert_eq!(room[8 * 8], 41);
        let empty = receive(&to, &mut room, 8, true, &mut told).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_may_not_go_out_any_more_is_forgotten_and_the_rest_is_whole() {
        let (from, to) = pair();
        let address = to.local_addr().unwrap();
        let mut outbox = Outbox::default();
        for number in 0..6_u8 {
            let packet = vec![number; usize::from(number) + 1];
            outbox.push((number / 2).into(), &[&packet], address.clone());
        }
        outbox.retain(|number| number != 1);
        outbox.push(3, &[&[9]], address);
        let mut numbers = Vec::new();
        outbox.send(&from, |number, outcome| {
            outcome.unwrap();
            numbers.push(number);
        });
        assert_eq!(numbers, [0, 0, 2, 2, 3]);
        let mut room = vec![0; TOGETHER * 8];
        let mut told = [Told::default(); TOGETHER];
        assert_eq!(receive(&to, &mut room, 8, true, &mut told).unwrap(), 5);
        let packets: Vec<&[u8]> = room
            .chunks(8)
            .zip(told)
            .map(|(one, told)| &one[..told.length])
            .take(5)
            .collect();
        assert_eq!(packets, [&[0][..], &[1; 2], &[4; 5], &[5; 6], &[9]]);
    }

    #[test]
    fn a_packet_is_stamped_and_a_long_one_is_not_whole() {
        let (from, to) = pair();
        nix::sys::socket::setsockopt(&to, nix::sys::socket::sockopt::ReceiveTimestampns, &true)
            .unwrap();
        from.send_to(&[7; 20], &to.local_addr().unwrap()).unwrap();
        let mut told = [Told::default(); TOGETHER];
        assert_eq!(receive(&to, &mut [0; 64], 16, false, &mut told).unwrap(), 1);
        assert!(!told[0].whole);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let stamp = told[0].stamp.unwrap();
        assert!(now.abs_diff(stamp) < Duration::from_secs(5), "{stamp:?}");
    }

    #[test]
    fn any_control_bytes_are_read_without_panic() {
        for length in 0..64_usize {
            for filling in [0, 1, 17, 24, 255] {
                let mut bytes = vec![filling; length];
                for claimed in [0, 1, 15, 16, 40, usize::MAX] {
                    if let Some(head) = bytes.first_chunk_mut() {
                        *head = claimed.to_ne_bytes();
                    }
                    Told::default().hear(&bytes);
                }
            }
        }
    }
}
