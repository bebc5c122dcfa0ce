//! How much of heads the library may keep for one stream. No window limits heads (RFC 9113 §5.2.1), and what a client has not
//! been told yet is kept, however many interim responses a server sends.
//!
//! Frames are followed by their heads alone (RFC 9113 §4.1):
//! ```text
//! length (24) | type (8) | flags (8) | stream (1 + 31) | payload of that length
//! ```

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::{Rc, Weak},
};

use bytes::Bytes;
use h2::{Reason, SendStream};

/// Bytes before a payload.
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// What the heads that a stream has not taken may take together: a thousand of the smallest.
const MOST: usize = 256 * 1024;
/// What one takes beside its bytes.
const EACH: usize = 256;

/// The heads of frames in what comes.
#[derive(Debug, Default)]
pub(super) struct Heads {
    frame: [u8; FRAME_HEAD],
    /// How much of the frame's head is there.
    filled: usize,
    /// What is still to come of its payload.
    payload: usize,
    pub(super) untaken: Rc<Untaken>,
}

impl Heads {
    /// These bytes came.
    pub(super) fn saw(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let count = self.payload.min(bytes.len());
                self.payload -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                continue;
            }
            let room = self.frame.get_mut(self.filled..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            let (taken, rest) = bytes.split_at(count);
            for (place, byte) in room.iter_mut().zip(taken) {
                *place = *byte;
            }
            bytes = rest;
            self.filled += count;
            if self.filled == FRAME_HEAD {
                self.filled = 0;
                self.begin();
            }
        }
    }

    /// The head of a frame is there.
    fn begin(&mut self) {
        let [l0, l1, l2, kind, _, s0, s1, s2, s3] = self.frame;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        self.payload = usize::try_from(length).unwrap_or(usize::MAX);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.untaken.add(stream, self.payload);
        }
    }
}

/// A stream's way out, which whoever cuts it off has too.
pub(super) type Handle = RefCell<SendStream<Bytes>>;

/// What the library keeps of heads, for each stream that waits for its response.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    streams: RefCell<BTreeMap<u32, Kept>>,
    /// Streams for which too much is kept.
    over: RefCell<Vec<u32>>,
}

#[derive(Debug)]
struct Kept {
    size: usize,
    stream: Weak<Handle>,
}

impl Untaken {
    /// Counts heads of a stream, until what is returned is dropped.
    pub(super) fn count(self: &Rc<Self>, stream: &Rc<Handle>) -> Counted {
        let id = stream.borrow().stream_id().as_u32();
        let kept = Kept {
            size: 0,
            stream: Rc::downgrade(stream),
        };
        self.streams.borrow_mut().insert(id, kept);
        Counted {
            untaken: Rc::clone(self),
            id,
        }
    }

    fn add(&self, id: u32, length: usize) {
        if let Some(kept) = self.streams.borrow_mut().get_mut(&id) {
            kept.size = kept.size.saturating_add(length.saturating_add(EACH));
            if kept.size > MOST {
                self.over.borrow_mut().push(id);
            }
        }
    }

    /// Whether streams are to be cut off before anything else is read.
    pub(super) fn is_over(&self) -> bool {
        !self.over.borrow().is_empty()
    }

    /// Cuts off the streams for which too much is kept, and no others: what still comes for them is kept no more.
    pub(super) fn cut(&self) {
        for id in self.over.take() {
            let kept = self.streams.borrow_mut().remove(&id);
            if let Some(stream) = kept.and_then(|kept| kept.stream.upgrade()) {
                stream.borrow_mut().send_reset(Reason::ENHANCE_YOUR_CALM);
            }
        }
    }
}

/// A stream whose heads are counted.
#[derive(Debug)]
pub(super) struct Counted {
    untaken: Rc<Untaken>,
    id: u32,
}

impl Counted {
    /// It has taken all that there was.
    pub(super) fn taken(&self) {
        if let Some(kept) = self.untaken.streams.borrow_mut().get_mut(&self.id) {
            kept.size = 0;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.untaken.streams.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use h2::client::{Connection, ResponseFuture};
    use http::Request;
    use tokio::io::DuplexStream;

    use super::*;

    /// An interim response of 100 bytes.
    fn interim(stream: u32) -> Vec<u8> {
        let mut bytes = vec![0, 0, 100, HEADERS, 4];
        bytes.extend(stream.to_be_bytes());
        bytes.extend([0; 100]);
        bytes
    }

    /// A connection that nobody reads, as what comes is told to `heads` alone, and two streams of it.
    fn streams(heads: &Heads) -> (Connection<DuplexStream>, [Counting; 2]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let (near, _far) = tokio::io::duplex(1024);
        let begun = h2::client::handshake(near);
        let (mut requests, connection) = runtime.unwrap().block_on(begun).unwrap();
        let streams = [(); 2].map(|()| {
            let request = Request::get("http://x/").body(()).unwrap();
            let (response, stream) = requests.send_request(request, true).unwrap();
            let stream = Rc::new(RefCell::new(stream));
            let counted = heads.untaken.count(&stream);
            Counting {
                response,
                _stream: stream,
                counted,
            }
        });
        (connection, streams)
    }

    /// A stream that waits for its response.
    struct Counting {
        response: ResponseFuture,
        _stream: Rc<Handle>,
        counted: Counted,
    }

    impl Counting {
        fn is_cut(&mut self) -> bool {
            let polled = Pin::new(&mut self.response).poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Pending => false,
                Poll::Ready(end) => end.unwrap_err().reason() == Some(Reason::ENHANCE_YOUR_CALM),
            }
        }
    }

    #[test]
    fn heads_that_are_taken_have_no_limit_and_others_end_their_stream_alone() {
        for step in [1, 7, 109, 4096] {
            let mut heads = Heads::default();
            let (_connection, [mut one, mut other]) = streams(&heads);
            for _ in 0..5000 {
                interim(1).chunks(step).for_each(|piece| heads.saw(piece));
                one.counted.taken();
            }
            heads.untaken.cut();
            assert!(!one.is_cut(), "{step}");
            let most = MOST / (EACH + 100);
            let flood = interim(1).repeat(most);
            flood.chunks(step).for_each(|piece| heads.saw(piece));
            assert!(!heads.untaken.is_over(), "{step}");
            // The next one is one too many as soon as its length is known.
            heads.saw(&interim(1)[..FRAME_HEAD]);
            assert!(heads.untaken.is_over(), "{step}");
            heads.saw(&interim(1)[FRAME_HEAD..]);
            heads.untaken.cut();
            assert!(!heads.untaken.is_over());
            assert!(one.is_cut(), "{step}");
            heads.saw(&flood);
            heads.saw(&interim(3));
            heads.untaken.cut();
            assert!(!other.is_cut(), "{step}");
            assert_eq!(heads.untaken.streams.borrow().len(), 1);
            drop(other);
            assert!(heads.untaken.streams.borrow().is_empty());
        }
    }
}
