//! Buffers of a few sizes from a pool of this thread. A connection holds one only while bytes are in
//! flight; an empty [`Buffer`] owns no memory.

use std::{
    cell::RefCell,
    io,
    task::{Context, Poll},
};

use super::stream::Stream;

/// Size of a pooled buffer: the default of HAProxy's `tune.bufsize`.
pub(super) const SIZE: usize = 16 * 1024;
/// Size of a buffer for what a server sends: the head of a response and 16 kB behind it come in one call, and go on in one.
pub(super) const WIDE: usize = 2 * SIZE;
/// How much is received at once for who takes next to nothing of it.
pub(super) const SIP: usize = 4 * 1024;
/// Size of a buffer for bulk data.
pub(super) const BULK: usize = 128 * 1024;
/// Bytes of free buffers that a thread keeps of each size.
const KEPT: usize = 4 << 20;

/// Free buffers of each size.
struct Pool {
    normal: Vec<Box<[u8]>>,
    wide: Vec<Box<[u8]>>,
    bulk: Vec<Box<[u8]>>,
}

impl Pool {
    fn of(&mut self, size: usize) -> &mut Vec<Box<[u8]>> {
        match size {
            SIZE => &mut self.normal,
            WIDE => &mut self.wide,
            _ => &mut self.bulk,
        }
    }
}

/// The size of a pooled buffer that holds `count` bytes, or as many of them as any does.
fn fitting(count: usize) -> usize {
    let holds = |size: &usize| *size >= count;
    [SIZE, WIDE].into_iter().find(holds).unwrap_or(BULK)
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { normal: Vec::new(), wide: Vec::new(), bulk: Vec::new() })
    };
}

fn take(size: usize) -> Box<[u8]> {
    let pooled = POOL.with_borrow_mut(|pool| pool.of(size).pop());
    pooled.unwrap_or_else(|| vec![0; size].into_boxed_slice())
}

fn give(memory: Box<[u8]>) {
    // The pool may be gone while the thread ends.
    let _ = POOL.try_with(|pool| {
        let size = memory.len();
        let mut pool = pool.borrow_mut();
        let list = pool.of(size);
        if size > 0 && list.len() < KEPT / size {
            list.push(memory);
        }
    });
}

/// Bytes that were received and are not consumed yet.
///
/// ```text
/// memory: | floor: bytes that stay readable | consumed | start .. end: waiting | room |
/// ```
#[derive(Debug, Default)]
pub(super) struct Buffer {
    memory: Box<[u8]>,
    floor: usize,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The waiting bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes kept by [`Buffer::keep`].
    pub(super) fn kept(&self) -> &[u8] {
        self.memory.get(..self.floor).unwrap_or_default()
    }

    /// Number of waiting bytes.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether no byte waits.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing more can be received before something is consumed.
    pub(super) fn is_full(&self) -> bool {
        !self.memory.is_empty() && self.len() >= self.memory.len() - self.floor
    }

    /// Whether more can be received, in larger memory if this is full and smaller than `most`.
    pub(super) fn makes_room(&mut self, most: usize) -> bool {
        let size = fitting(self.memory.len() + 1);
        if self.is_full() && self.memory.len() < most.min(size) {
            let mut memory = take(size);
            if let Some(to) = memory.get_mut(..self.memory.len()) {
                to.copy_from_slice(&self.memory);
            }
            give(std::mem::replace(&mut self.memory, memory));
        }
        !self.is_full()
    }

    /// Marks `count` waiting bytes as done.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = self.floor;
            self.end = self.floor;
        }
    }

    /// Moves `count` waiting bytes that lie behind the first `from` to behind the first `to`, which is not beyond.
    pub(super) fn slide(&mut self, from: usize, to: usize, count: usize) {
        let (from, to) = (self.start + from, self.start + to);
        if to < from && from + count <= self.end {
            self.memory.copy_within(from..from + count, to);
        }
    }

    /// Forgets the last `count` waiting bytes.
    pub(super) fn shorten(&mut self, count: usize) {
        self.end = self.end.saturating_sub(count).max(self.start);
    }

    /// Consumes `count` bytes but keeps them readable by [`Buffer::kept`] until [`Buffer::forget`].
    pub(super) fn keep(&mut self, count: usize) {
        self.compact();
        self.floor = count.min(self.end);
        self.start = self.floor;
    }

    /// Ends [`Buffer::keep`].
    pub(super) fn forget(&mut self) {
        self.floor = 0;
        self.consume(0);
    }

    /// Whether its memory is for bulk data.
    pub(super) fn is_bulk(&self) -> bool {
        self.memory.len() > WIDE
    }

    /// Goes over to the smallest memory that holds what waits: it may have to wait long.
    pub(super) fn tighten(&mut self) {
        let size = fitting(self.len());
        if self.floor > 0 || size >= self.memory.len() {
            return;
        }
        let mut memory = take(size);
        let count = self.len();
        if let (Some(to), Some(from)) = (
            memory.get_mut(..count),
            self.memory.get(self.start..self.end),
        ) {
            to.copy_from_slice(from);
        }
        give(std::mem::replace(&mut self.memory, memory));
        self.start = 0;
        self.end = count;
    }

    /// Gives the memory back if nothing is in it.
    pub(super) fn release(&mut self) {
        if self.is_empty() && self.floor == 0 && !self.memory.is_empty() {
            give(std::mem::take(&mut self.memory));
            self.start = 0;
            self.end = 0;
        }
    }

    /// Appends `bytes` as far as there is room; tells how many were taken.
    #[cfg(test)]
    fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.room(SIZE);
        let count = bytes.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.end += count;
        count
    }

    /// Receives up to `most` bytes, as far as there is room; `Ok(0)` is the end of the stream. Must not be called when
    /// full. Who waits for bytes with nothing but that holds no memory.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if stream.poll_silence(cx).is_pending() {
            self.release();
            return Poll::Pending;
        }
        let polled = stream.poll_read(cx, self.room(most));
        match polled {
            Poll::Ready(Ok(count)) => self.end += count,
            _ => self.release(),
        }
        polled
    }

    /// The room for `most` bytes behind the waiting ones, made larger by moving those to the front where that is worth it.
    fn room(&mut self, most: usize) -> &mut [u8] {
        let size = fitting(most);
        if self.memory.is_empty() {
            self.memory = take(size);
        } else if size != self.memory.len() && self.floor == 0 && self.is_empty() {
            give(std::mem::replace(&mut self.memory, take(size)));
            self.consume(0);
        }
        if self.memory.len() - self.end < self.memory.len() / 4 {
            self.compact();
        }
        let end = self.memory.len().min(self.end.saturating_add(most));
        self.memory.get_mut(self.end..end).unwrap_or_default()
    }

    fn compact(&mut self) {
        if self.start > self.floor {
            self.memory.copy_within(self.start..self.end, self.floor);
            self.end = self.floor + self.len();
            self.start = self.floor;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_bytes_survive_consuming_and_appending() {
        let mut buffer = Buffer::default();
        buffer.append(b"head");
        buffer.append(b"body");
        buffer.keep(4);
        assert_eq!(
            (buffer.kept(), buffer.bytes()),
            (&b"head"[..], &b"body"[..])
        );
        buffer.consume(4);
        buffer.append(b"more");
        assert_eq!(
            (buffer.kept(), buffer.bytes()),
            (&b"head"[..], &b"more"[..])
        );
        buffer.forget();
        assert_eq!(buffer.bytes(), b"more");
    }

    #[test]
    fn an_empty_buffer_owns_no_memory() {
        let mut buffer = Buffer::default();
        buffer.append(b"x");
        buffer.consume(1);
        buffer.release();
        assert_eq!(buffer.memory.len(), 0);
    }

    #[test]
    fn what_waits_in_memory_for_bulk_goes_over_to_the_smallest_that_holds_it() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.room(WIDE + 1).len(), WIDE + 1);
        buffer.memory[SIZE..SIZE + 3].copy_from_slice(b"abc");
        buffer.end = SIZE + 3;
        buffer.tighten();
        assert_eq!((buffer.memory.len(), buffer.len()), (WIDE, SIZE + 3));
        buffer.consume(SIZE);
        buffer.tighten();
        assert_eq!((buffer.memory.len(), buffer.bytes()), (SIZE, &b"abc"[..]));
        buffer.consume(3);
        assert_eq!(buffer.room(BULK).len(), BULK);
        assert_eq!(buffer.room(100).len(), 100);
        assert_eq!(buffer.memory.len(), SIZE);
    }

    #[test]
    fn a_full_buffer_grows_as_far_as_it_may() {
        let mut buffer = Buffer::default();
        buffer.append(&[1; SIZE]);
        buffer.keep(3);
        assert!(!buffer.makes_room(SIZE));
        assert!(buffer.makes_room(WIDE));
        assert_eq!(buffer.append(&[2; SIZE]), SIZE);
        assert!(!buffer.makes_room(WIDE));
        assert!(buffer.makes_room(BULK));
        assert_eq!((buffer.kept().len(), buffer.len()), (3, WIDE - 3));
        assert_eq!(buffer.bytes()[SIZE - 4..SIZE - 2], [1, 2]);
    }

    #[test]
    fn a_full_buffer_takes_no_more() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.append(&[1; SIZE + 5]), SIZE);
        assert!(buffer.is_full());
        buffer.consume(SIZE - 1);
        assert_eq!(buffer.append(&[2; SIZE]), SIZE - 1);
    }
}
