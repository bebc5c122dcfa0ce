//! The little of nfnetlink that the fence needs: one batch of nf_tables messages, sent in one
//! datagram and committed or refused as a whole (`include/uapi/linux/netfilter/nfnetlink.h`).
//!
//! ```text
//! nlmsghdr: len u32 | type u16 = subsystem << 8 | message | flags u16 | sequence u32 | port u32
//! nfgenmsg: family u8 | version u8 = 0 | resource u16 (network order)
//! attributes: len u16 | type u16 (| 0x8000 = nested) | value, padded to 4
//! ```
//! Knows nothing of tables and rules: those are in [`super::rules`].

use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// The kind of message that an element is told by.
const NEW_SET_ELEMENT: u16 = 12;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 0x8000;
const MSG_DONTWAIT: i32 = 0x40;
/// Enough for a few hundred acknowledgements.
const RECEIVE: usize = 64 * 1024;
/// Above what a speaker opens, below the usual limit of 1024.
const HIGH_DESCRIPTOR: i32 = 1000;

/// Messages of one transaction, being written.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where the current message starts.
    message: usize,
    sequence: u32,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::with_capacity(1024),
            message: 0,
            sequence: 0,
        };
        batch.header(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES);
        batch
    }

    /// One nf_tables message that changes nothing and stands alone.
    pub(super) fn question(
        kind: u16,
        family: u8,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) -> Vec<u8> {
        let mut batch = Self {
            bytes: Vec::new(),
            message: 0,
            sequence: 0,
        };
        batch.message(kind, 0, family, fill);
        batch.bytes
    }

    /// One nf_tables message with the attributes that `fill` writes.
    pub(super) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
        self.header(kind, NLM_F_REQUEST | NLM_F_ACK | flags, family, 0);
        fill(&mut Attributes(&mut self.bytes));
        self.close();
    }

    fn header(&mut self, kind: u16, flags: u16, family: u8, resource: u16) {
        self.message = self.bytes.len();
        self.sequence += 1;
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        self.close();
    }

    fn close(&mut self) {
        let length = u32::try_from(self.bytes.len() - self.message).unwrap_or(u32::MAX);
        patch(&mut self.bytes, self.message, &length.to_ne_bytes());
    }

    fn finish(mut self) -> Vec<u8> {
        self.header(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES);
        self.bytes
    }
}

/// Writes netlink attributes at the end of a message.
#[derive(Debug)]
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A string with its terminating zero.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    /// A number in network order, as nf_tables wants all of its own.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.0.len();
        self.bytes(kind | NLA_F_NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        patch(self.0, start, &length.to_ne_bytes());
    }
}

fn patch(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(field) = bytes.get_mut(at..at + value.len()) {
        field.copy_from_slice(value);
    }
}

/// A netlink socket to nf_tables. What it owns in the kernel goes when it is closed, however.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    port: u32,
}

impl Connection {
    pub(super) fn open() -> io::Result<Self> {
        // CLOEXEC is set by netlink-sys: a child that kept this open would keep the fence open.
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        let port = socket.bind_auto()?.port_number();
        socket.connect(&SocketAddr::new(0, 0))?;
        // A refusal would repeat what was sent, which has no room among the answers where that is much.
        socket.set_cap_ack(true)?;
        Ok(Self {
            socket: closed_first(socket),
            port,
        })
    }

    /// The socket's address, unique in its network namespace: names the owned tables.
    pub(super) const fn port(&self) -> u32 {
        self.port
    }

    /// Commits `batch`; the first refusal is the result and nothing of it was done.
    pub(super) fn commit(&self, batch: Batch) -> io::Result<()> {
        self.ask(&batch.finish(), |_| {})
    }

    /// Whether what a question asks for is there.
    pub(super) fn has(&self, question: &[u8]) -> io::Result<bool> {
        match self.ask(question, |_| {}) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether all elements that a question asks for are in their set, each with so much time left as `wanted` likes.
    pub(super) fn have_left(
        &self,
        question: &[u8],
        wanted: impl Fn(Duration) -> bool,
    ) -> io::Result<bool> {
        let mut all = true;
        let looked = self.ask(question, |answer| {
            if is_element(answer) {
                all &= time_left(answer).is_some_and(&wanted);
            }
        });
        match looked {
            Ok(()) => Ok(all),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Each datagram that is answered goes to `told`.
    fn ask(&self, bytes: &[u8], mut told: impl FnMut(&[u8])) -> io::Result<()> {
        self.socket.send(bytes, 0)?;
        // The kernel does the work inside send: the answers are already waiting.
        let mut answers = 0_usize;
        let mut result = Ok(());
        let mut buffer = vec![0; RECEIVE];
        loop {
            let received = match self.socket.recv(&mut &mut buffer[..], MSG_DONTWAIT) {
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            told(received);
            for code in error_codes(received) {
                answers += 1;
                if code != 0 && result.is_ok() {
                    result = Err(io::Error::from_raw_os_error(-code));
                }
            }
        }
        if answers == 0 {
            return Err(io::Error::other("the kernel did not answer"));
        }
        result
    }
}

/// Whether an answer tells of an element.
fn is_element(answer: &[u8]) -> bool {
    let kind = answer.get(4..).and_then(|rest| rest.first_chunk());
    kind.is_some_and(|kind| {
        u16::from_ne_bytes(*kind) == NFNL_SUBSYS_NFTABLES << 8 | NEW_SET_ELEMENT
    })
}

/// How long the element of an answer is to stay: behind the headers a list, in it the element with its expiration.
fn time_left(answer: &[u8]) -> Option<Duration> {
    let list = attribute(answer.get(20..)?, 3)?;
    let millis = attribute(attribute(list, 1)?, 5)?;
    Some(Duration::from_millis(u64::from_be_bytes(
        *millis.first_chunk()?,
    )))
}

/// The value of an attribute among others.
fn attribute(mut all: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*all.first_chunk()?));
        let kind = u16::from_ne_bytes(*all.get(2..)?.first_chunk()?) & !NLA_F_NESTED;
        // Shorter than its own header: nothing that the kernel says.
        let value = all.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        all = all.get(length.next_multiple_of(4)..)?;
    }
}

/// Moves the socket to a high descriptor. When a process dies, Linux releases its descriptors from
/// the highest down, and raw and packet sockets take milliseconds each (an RCU grace period): the
/// fence is to close before them. A low limit of open files leaves it where it is.
#[expect(unsafe_code, reason = "netlink-sys takes a raw descriptor only")]
fn closed_first(socket: Socket) -> Socket {
    match rustix::io::fcntl_dupfd_cloexec(&socket, HIGH_DESCRIPTOR) {
        // SAFETY: the descriptor was made here, and into_raw_fd gives it away.
        Ok(high) => unsafe { Socket::from_raw_fd(high.into_raw_fd()) },
        Err(_) => socket,
    }
}

/// The codes of the NLMSG_ERROR messages in a datagram (0 = acknowledged).
fn error_codes(mut datagram: &[u8]) -> impl Iterator<Item = i32> {
    std::iter::from_fn(move || {
        loop {
            let length = u32::from_ne_bytes(*datagram.first_chunk()?);
            let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
            let code = datagram.get(16..).and_then(|rest| rest.first_chunk());
            let code = code.map(|bytes| i32::from_ne_bytes(*bytes));
            let length = usize::try_from(length).ok()?.max(16).next_multiple_of(4);
            datagram = datagram.get(length..).unwrap_or_default();
            if kind == NLMSG_ERROR {
                return code;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_framed_by_its_begin_and_end() {
        let mut batch = Batch::new();
        batch.message(0, 0x400, 1, |attributes| attributes.text(1, "abc"));
        let bytes = batch.finish();
        assert_eq!(bytes.len(), 20 + (20 + 8) + 20);
        assert_eq!(u32::from_ne_bytes(bytes[20..24].try_into().unwrap()), 28);
        assert_eq!(
            u16::from_ne_bytes(bytes[24..26].try_into().unwrap()),
            0x0a00
        );
        assert_eq!(&bytes[44..48], b"abc\0");
        assert_eq!(u16::from_ne_bytes(bytes[52..54].try_into().unwrap()), 0x11);
    }

    #[test]
    fn nested_attributes_count_their_content_and_padding() {
        let mut bytes = Vec::new();
        Attributes(&mut bytes).nested(4, |inner| {
            inner.number(1, 1);
            inner.bytes(2, &[9]);
        });
        assert_eq!(u16::from_ne_bytes([bytes[0], bytes[1]]), 4 + 8 + 8);
        assert_eq!(u16::from_ne_bytes([bytes[2], bytes[3]]), 0x8004);
        assert_eq!(&bytes[8..12], [0, 0, 0, 1]);
    }

    #[test]
    fn the_time_of_an_element_is_found_in_an_answer_and_garbage_has_none() {
        let mut answer = vec![0; 20];
        let mut out = Attributes(&mut answer);
        out.text(1, "table");
        out.text(2, "set");
        out.nested(3, |list| {
            list.nested(1, |element| {
                element.nested(1, |key| key.bytes(1, &[10, 0, 0, 1]));
                element.bytes(4, &15_000_u64.to_be_bytes());
                element.bytes(5, &14_990_u64.to_be_bytes());
            });
        });
        assert_eq!(time_left(&answer), Some(Duration::from_millis(14_990)));
        for cut in 0..answer.len() {
            assert_eq!(time_left(&answer[..cut]), None);
        }
        assert_eq!(time_left(&[0; 64]), None);
    }

    #[test]
    fn answers_are_read_from_one_datagram_and_garbage_ends_quietly() {
        let answer = |code: i32| {
            let mut message = Vec::new();
            message.extend_from_slice(&36_u32.to_ne_bytes());
            message.extend_from_slice(&2_u16.to_ne_bytes());
            message.extend_from_slice(&[0; 10]);
            message.extend_from_slice(&code.to_ne_bytes());
            message.resize(36, 0);
            message
        };
        let datagram = [answer(0), answer(-17)].concat();
        assert_eq!(error_codes(&datagram).collect::<Vec<_>>(), [0, -17]);
        for cut in 0..datagram.len() {
            let _ = error_codes(&datagram[..cut]).count();
        }
        assert_eq!(error_codes(&[0; 64]).count(), 0);
    }
}
