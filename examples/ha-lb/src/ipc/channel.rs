//! One value and some descriptors per packet over an `AF_UNIX` SEQPACKET socket (unix(7), SCM_RIGHTS).
//!
//! A value too large for a packet travels in a memfd that is the last descriptor of its packet; the first
//! byte of a packet tells which of the two it is. Nothing is retried or reordered.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicI32, Ordering::Relaxed},
};

use nix::libc;
use rustix::{
    fs::MemfdFlags,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{Interest, unix::AsyncFd};

/// Most descriptors of one packet, the memfd not counted; the kernel's limit is 253.
pub const MAX_DESCRIPTORS: usize = 128;

/// Most plain bytes in one packet.
pub const MOST_BYTES: usize = 64;

const INLINE: u8 = 0;
const IN_MEMFD: u8 = 1;
const LARGEST_INLINE: usize = 32 * 1024;
const ANCILLARY: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS + 1));

/// One end of a socket pair, inside a tokio runtime.
#[derive(Debug)]
pub struct Channel {
    /// Wakes for what is to be read alone: each packet that the other end takes out makes room, and to be woken for
    /// that is of use only to who waits for it.
    socket: AsyncFd<OwnedFd>,
    /// What the other end would have unread if it had read nothing since it was last asked.
    unread: AtomicI32,
}

/// The two ends: one to keep, one to give to a child process.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

/// One message, ready to be sent again and again by another thread than the channel's own.
#[derive(Debug)]
pub struct Post {
    socket: OwnedFd,
    packet: Vec<u8>,
}

impl Post {
    /// Sends it unless the other end has too much to read already.
    pub fn send(&self) -> io::Result<()> {
        send_packet(self.socket.as_fd(), &self.packet, &[])
    }
}

impl Channel {
    /// Makes a short message ready.
    pub fn post<M: Serialize>(&self, message: &M) -> io::Result<Post> {
        Ok(Post {
            socket: self.as_fd().try_clone_to_owned()?,
            packet: postcard::to_extend(message, vec![INLINE]).map_err(io::Error::other)?,
        })
    }

    /// Whether the other end reads what this one sends by [`send`](Self::send): it has read everything, or some of it since
    /// it was last asked.
    pub fn is_read(&self) -> io::Result<bool> {
        let now = unread(self.as_fd())?;
        let expected = self.unread.swap(now, Relaxed);
        Ok(now == 0 || now < expected)
    }

    /// Takes over an end made by [`pair`].
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket: watched(socket, Interest::READABLE)?,
            unread: AtomicI32::new(0),
        })
    }

    /// Sends a value with descriptors, which stay open here.
    pub async fn send<M: Serialize>(
        &self,
        message: &M,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} descriptors in one packet, {MAX_DESCRIPTORS} at most",
                    descriptors.len()
                ),
            ));
        }
        let mut packet = vec![INLINE];
        packet = postcard::to_extend(message, packet).map_err(io::Error::other)?;
        let mut descriptors = descriptors.to_vec();
        let memory;
        if packet.len() > LARGEST_INLINE {
            memory = memfd(packet.get(1..).unwrap_or_default())?;
            descriptors.push(memory.as_fd());
            packet = vec![IN_MEMFD];
        }
        self.put(&packet, &descriptors).await
    }

    /// Sends a packet, and waits for room where there is none.
    async fn put(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        match self.put_now(packet, descriptors) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return sent,
        }
        let again = watched(self.as_fd().try_clone_to_owned()?, Interest::WRITABLE)?;
        again
            .async_io(Interest::WRITABLE, |_| self.put_now(packet, descriptors))
            .await
    }

    /// What is read in this very moment counts for less to send: at worst that reading goes unseen.
    fn put_now(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let before = unread(self.as_fd())?;
        send_packet(self.as_fd(), packet, descriptors)?;
        let more = unread(self.as_fd())? - before;
        self.unread.fetch_add(more.max(0), Relaxed);
        Ok(())
    }

    /// Sends plain bytes with descriptors: what programs of different versions say to each other. No more than
    /// [`MOST_BYTES`].
    pub async fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.put(bytes, descriptors).await
    }

    /// The next plain bytes and their descriptors; `None` once the other end is closed.
    pub async fn recv_bytes(&self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut packet = vec![0; MOST_BYTES];
        let (len, descriptors) = self.packet(&mut packet).await?;
        packet.truncate(len);
        Ok(Some((packet, descriptors)).filter(|(packet, _)| !packet.is_empty()))
    }

    /// The next packet; an empty one is the end. An end that closes with something unread is told of once, before what
    /// it had sent until then.
    async fn packet(&self, packet: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let receive = |socket: &OwnedFd| match recv_packet(socket.as_fd(), packet) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                recv_packet(socket.as_fd(), packet)
            }
            received => received,
        };
        self.socket.async_io(Interest::READABLE, receive).await
    }

    /// The next value and its descriptors; `None` once the other end is closed.
    pub async fn recv<M: DeserializeOwned>(&self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let received = self.received(u64::MAX).await?;
        Ok(received.map(|(message, _, descriptors)| (message, descriptors)))
    }

    /// The next value of somebody who may mean harm, and how many bytes it took; more than `limit` of them are an error.
    pub async fn recv_at_most<M: DeserializeOwned>(
        &self,
        limit: u64,
    ) -> io::Result<Option<(M, usize)>> {
        let received = self.received(limit).await?;
        Ok(received.map(|(message, length, _)| (message, length)))
    }

    async fn received<M: DeserializeOwned>(
        &self,
        limit: u64,
    ) -> io::Result<Option<(M, usize, Vec<OwnedFd>)>> {
        let mut packet = vec![0; LARGEST_INLINE + 1];
        let (len, mut descriptors) = self.packet(&mut packet).await?;
        packet.truncate(len);
        let Some((kind, body)) = packet.split_first() else {
            return Ok(None);
        };
        let mut large = Vec::new();
        let body = if *kind == IN_MEMFD {
            let memory = descriptors
                .pop()
                .ok_or_else(|| invalid("a packet lacks its memfd"))?;
            // Only of memory: whoever reads a pipe or somebody's own file system waits as long as its owner likes.
            rustix::fs::fcntl_get_seals(&memory)?;
            let mut memory = File::from(memory);
            memory.seek(SeekFrom::Start(0))?;
            // A hole in a file costs whoever made it nothing.
            if memory.metadata()?.len() > limit {
                return Err(invalid(&format!("a message of more than {limit} bytes")));
            }
            memory.take(limit).read_to_end(&mut large)?;
            large.as_slice()
        } else {
            body
        };
        let message = postcard::from_bytes(body)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((message, body.len(), descriptors)))
    }
}

/// What the kernel accounts for packets that wait at the other end (unix(7), SIOCOUTQ, which is TIOCOUTQ).
#[expect(unsafe_code, reason = "no safe wrapper asks this of a socket")]
fn unread(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, and this request writes one int, where there is one.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    match answer {
        0.. => Ok(bytes),
        _ => Err(io::Error::last_os_error()),
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types that could change their descriptor; an OwnedFd cannot"
)]
fn watched(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, interest)
}

/// Hands a descriptor over without waiting, with a word that means nothing.
pub fn send_descriptor(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    send_packet(socket, b"successor", &[descriptor])
}

fn memfd(bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("ha-lb message", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(bytes)?;
    Ok(file.into())
}

fn send_packet(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one packet"));
    }
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(packet)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

fn recv_packet(socket: BorrowedFd<'_>, packet: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(packet)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptors = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a packet was cut short: too large, or no free descriptor",
        ));
    }
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn who_is_behind_and_reads_on_is_told_from_who_reads_nothing() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
            assert!(a.is_read().unwrap());
            for _ in 0..50 {
                for number in 0..3 {
                    a.send(&number, &[]).await.unwrap();
                }
                b.recv::<u32>().await.unwrap().unwrap();
                assert!(a.is_read().unwrap());
            }
            for _ in 0..50 {
                a.send(&"more", &[]).await.unwrap();
                assert!(!a.is_read().unwrap());
                assert!(!a.is_read().unwrap());
            }
            for _ in 0..100 {
                b.recv::<u32>().await.unwrap().unwrap();
                assert!(a.is_read().unwrap());
                assert!(!a.is_read().unwrap());
            }
            for _ in 0..50 {
                b.recv::<String>().await.unwrap().unwrap();
            }
            assert!(a.is_read().unwrap());
            assert!(a.is_read().unwrap());
            // What the other end says is another matter.
            b.send(&"not read", &[]).await.unwrap();
            assert!(a.is_read().unwrap());
            assert!(!b.is_read().unwrap());
        });
    }

    #[test]
    fn values_arrive_one_by_one_with_their_descriptors() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
            let (mut reader, writer) = io::pipe().unwrap();
            a.send(&"first", &[writer.as_fd()]).await.unwrap();
            a.send(&"second", &[]).await.unwrap();
            drop(writer);

            let (text, descriptors) = b.recv::<String>().await.unwrap().unwrap();
            assert_eq!(text, "first");
            assert_eq!(descriptors.len(), 1);
            for descriptor in descriptors {
                File::from(descriptor)
                    .write_all(b"through the pipe")
                    .unwrap();
            }
            let mut piped = String::new();
            reader.read_to_string(&mut piped).unwrap();
            assert_eq!(piped, "through the pipe");
            let (text, descriptors) = b.recv::<String>().await.unwrap().unwrap();
            assert_eq!((text.as_str(), descriptors.len()), ("second", 0));

            drop(a);
            assert!(b.recv::<String>().await.unwrap().is_none());
        });
    }

    #[test]
    fn no_more_is_read_of_a_message_than_was_said() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
            let long = "x".repeat(LARGEST_INLINE);
            a.send(&long, &[]).await.unwrap();
            a.send(&long, &[]).await.unwrap();
            let limit = LARGEST_INLINE as u64;
            let (received, length) = b.recv_at_most::<String>(limit + 8).await.unwrap().unwrap();
            assert_eq!(received, long);
            assert_eq!(length, LARGEST_INLINE + 3, "its length comes before it");
            let refused = b.recv_at_most::<String>(limit).await.unwrap_err();
            assert_eq!(refused.to_string(), "a message of more than 32768 bytes");
        });
    }

    #[test]
    fn a_message_that_would_have_to_be_waited_for_is_refused() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let b = Channel::new(b).unwrap();
            let (pipe, _writer) = io::pipe().unwrap();
            let file = File::open("/proc/self/status").unwrap();
            for descriptor in [pipe.as_fd(), file.as_fd()] {
                send_packet(a.as_fd(), &[IN_MEMFD], &[descriptor]).unwrap();
                let refused = b.recv_at_most::<String>(1 << 20).await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            }
        });
    }

    #[test]
    fn who_sends_more_than_there_is_room_for_waits_until_it_is_read() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
            const MANY: u32 = 5000;
            let sends = async {
                for number in 0..MANY {
                    a.send(&number, &[]).await.unwrap();
                }
            };
            let reads = async {
                for number in 0..MANY {
                    let (read, _) = b.recv::<u32>().await.unwrap().unwrap();
                    assert_eq!(read, number);
                }
            };
            tokio::join!(sends, reads);
        });
    }

    #[test]
    fn the_last_words_of_an_end_that_had_not_read_everything_arrive() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
            b.send(&"not read", &[]).await.unwrap();
            a.send(&"first", &[]).await.unwrap();
            a.send(&"last", &[]).await.unwrap();
            drop(a);
            for word in ["first", "last"] {
                let (said, _) = b.recv::<String>().await.unwrap().unwrap();
                assert_eq!(said, word);
            }
            assert!(b.recv::<String>().await.unwrap().is_none());
        });
    }

    #[test]
    fn a_large_value_and_many_descriptors_fit_into_one_packet() {
        block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
            let large = vec![7_u8; 3_000_000];
            let (_reader, writer) = io::pipe().unwrap();
            let many = vec![writer.as_fd(); MAX_DESCRIPTORS];
            a.send(&large, &many).await.unwrap();
            let (received, descriptors) = b.recv::<Vec<u8>>().await.unwrap().unwrap();
            assert_eq!(received, large);
            assert_eq!(descriptors.len(), MAX_DESCRIPTORS);

            let too_many = vec![writer.as_fd(); MAX_DESCRIPTORS + 1];
            assert!(a.send(&"x", &too_many).await.is_err());
        });
    }
}
