//! When a server's settings, which are the first frame it sends (RFC 9113 §3.4), have come: what they allow is known
//! from then on.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
};

/// Bytes of a frame's head, the first three of which are the length of what follows.
const FRAME_HEAD: usize = 9;

/// How much of the first frame has been read.
#[derive(Debug, Default)]
pub(super) struct Preface {
    length: Cell<[u8; 3]>,
    read: Cell<usize>,
    settled: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Preface {
    /// These bytes came.
    pub(super) fn saw(&self, bytes: &[u8]) {
        if self.settled.get() {
            return;
        }
        let read = self.read.get();
        let mut length = self.length.get();
        for (place, byte) in length.iter_mut().skip(read).zip(bytes) {
            *place = *byte;
        }
        self.length.set(length);
        self.read.set(read.saturating_add(bytes.len()));
    }

    /// What came has been looked at: whoever waits goes on, if the frame is complete.
    pub(super) fn looked_at(&self) {
        let [high, middle, low] = self.length.get().map(usize::from);
        let whole = FRAME_HEAD + (high << 16 | middle << 8 | low);
        if !self.settled.get() && self.read.get() >= whole {
            self.end();
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.settled.set(true);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits for the frame.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.settled.get() {
            return Poll::Ready(());
        }
        self.waiting.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_first_frame_counts_whole_however_it_is_split() {
        let frame = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0];
        let cx = Context::from_waker(Waker::noop());
        for split in 0..frame.len() {
            let preface = Preface::default();
            for part in [&frame[..split], &frame[split..]] {
                assert!(preface.poll(&cx).is_pending(), "{split}");
                preface.saw(part);
                if split < 15 && part.len() == split {
                    preface.looked_at();
                }
            }
            preface.looked_at();
            assert!(preface.poll(&cx).is_ready(), "{split}");
        }
    }
}
