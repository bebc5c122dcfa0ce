//! Readiness: what the kernel has told of each socket, and which tasks wait for it. Edges are reported once; what was
//! reported stands until an attempt finds nothing left.
//!
//! What is known of the sockets of a loop belongs to its thread; a socket itself may go to another one, which takes it
//! out of the epoll here and leaves a note of that ([`Home`]).

use std::{
    cell::{Cell, RefCell},
    io,
    mem::ManuallyDrop,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
};
use slab::Slab;

use super::task;

/// Events taken in one go.
const BATCH: usize = 256;
/// The event of the bell.
const BELL: u64 = u64::MAX;

/// Receiving may succeed.
pub(super) const READ: u8 = 1;
/// Sending may succeed.
pub(super) const WRITE: u8 = 2;
/// Receiving finds the end, for good.
const READ_CLOSED: u8 = 4;
/// Sending fails, for good.
pub(super) const WRITE_CLOSED: u8 = 8;
/// There is an error to be asked for.
pub(super) const FAULT: u8 = 16;
/// Something urgent has come at some time (`MSG_OOB`): an attempt to receive may end before it, though more lies behind.
pub(super) const URGENT: u8 = 32;

/// One socket.
struct Source {
    /// Tells it from an earlier one in the same place.
    number: u32,
    ready: u8,
    /// What is waited for: [`READ`], [`WRITE`].
    waits: u8,
    /// The kernel tells when sending may succeed.
    watches_out: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What other threads know of a loop's sockets.
pub(super) struct Home {
    epoll: OwnedFd,
    /// Keys of sockets that have gone to other loops, or were closed there.
    gone: Mutex<Vec<usize>>,
    /// There are some.
    any_gone: AtomicBool,
}

impl Home {
    /// With an epoll that hears the bell.
    pub(super) fn new(bell: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, bell, EventData::new_u64(BELL), flags)?;
        Ok(Self {
            epoll,
            gone: Mutex::default(),
            any_gone: AtomicBool::new(false),
        })
    }

    /// Takes a socket out that stays open.
    pub(super) fn take_out(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Called by other threads: the loop forgets the socket when it next makes one known. News of it that come until
    /// then wake nobody but who waited for it once.
    pub(super) fn leave(&self, key: usize) {
        self.gone().push(key);
        self.any_gone.store(true, Ordering::Release);
    }

    fn gone(&self) -> MutexGuard<'_, Vec<usize>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// Nothing is dropped with the thread, so that no use of it has to look whether that has happened: [`leave`] empties it.
    static HERE: ManuallyDrop<Reactor> = const {
        ManuallyDrop::new(Reactor {
            home: RefCell::new(None),
            sources: RefCell::new(Slab::new()),
            numbers: Cell::new(0),
            events: RefCell::new(Vec::new()),
        })
    };
}

/// The sockets of the loop that this thread turns.
pub(super) struct Reactor {
    home: RefCell<Option<Arc<Home>>>,
    sources: RefCell<Slab<Source>>,
    numbers: Cell<u32>,
    events: RefCell<Vec<Event>>,
}

/// That of this thread.
pub(super) fn here<T>(act: impl FnOnce(&Reactor) -> T) -> T {
    HERE.with(|reactor| act(reactor))
}

/// This thread turns the loop of these sockets from now on.
pub(super) fn enter(home: &Arc<Home>) {
    here(|reactor| {
        reactor.home.replace(Some(Arc::clone(home)));
        reactor.events.borrow_mut().reserve(BATCH);
    });
}

/// It no longer does.
pub(super) fn leave() {
    here(|reactor| {
        reactor.home.take();
        reactor.events.take();
        let left = reactor.sources.take();
        drop(left);
    });
}

/// Forgets a socket that is closed next, which takes it out of the epoll.
pub(super) fn forget(home: &Home, key: usize) {
    here(|reactor| match reactor.is(home) {
        true => reactor.forget(key),
        false => home.leave(key),
    });
}

impl Reactor {
    fn is(&self, home: &Home) -> bool {
        let own = self.home.borrow();
        own.as_ref().is_some_and(|own| std::ptr::eq(&**own, home))
    }

    fn forget(&self, key: usize) {
        let gone = self.sources.borrow_mut().try_remove(key);
        drop(gone);
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.sources.borrow().len()
    }

    /// The loop that turns here.
    pub(super) fn home(&self) -> io::Result<Arc<Home>> {
        let home = self.home.borrow().clone();
        home.ok_or_else(|| io::Error::other("no event loop turns on this thread"))
    }

    /// Makes a socket known, of which `ready` is assumed. With `watches_out` the kernel tells from the start when
    /// sending may succeed, else from the first time that it did not.
    pub(super) fn add(
        &self,
        home: &Home,
        fd: BorrowedFd<'_>,
        ready: u8,
        watches_out: bool,
    ) -> io::Result<usize> {
        let number = self.numbers.get().wrapping_add(1);
        self.numbers.set(number);
        let mut sources = self.sources.borrow_mut();
        if home.any_gone.load(Ordering::Relaxed) {
            home.any_gone.store(false, Ordering::Relaxed);
            for key in home.gone().drain(..) {
                sources.try_remove(key);
            }
        }
        let place = sources.vacant_entry();
        let key = place.key();
        epoll::add(&home.epoll, fd, data(key, number), flags(watches_out))?;
        place.insert(Source {
            number,
            ready,
            waits: 0,
            watches_out,
            reader: None,
            writer: None,
        });
        Ok(key)
    }

    /// What has been reported of a socket.
    pub(super) fn ready(&self, key: usize) -> u8 {
        self.sources.borrow().get(key).map_or(0, |s| s.ready)
    }

    /// An attempt found nothing left to receive, or no room to send.
    pub(super) fn exhausted(&self, key: usize, direction: u8) {
        if let Some(source) = self.sources.borrow_mut().get_mut(key) {
            source.ready &= !direction;
        }
    }

    /// Something urgent has come, and more may lie behind.
    pub(super) fn is_marked(&self, key: usize) {
        if let Some(source) = self.sources.borrow_mut().get_mut(key) {
            source.ready |= READ | URGENT;
        }
    }

    /// Less came than there was room for: nothing is left, unless something urgent ended the attempt.
    pub(super) fn ran_short(&self, key: usize) {
        if let Some(source) = self.sources.borrow_mut().get_mut(key)
            && source.ready & URGENT == 0
        {
            source.ready &= !READ;
        }
    }

    /// Completes once an attempt may succeed, and the running task may make one.
    pub(super) fn poll_ready(
        &self,
        home: &Home,
        fd: BorrowedFd<'_>,
        key: usize,
        direction: u8,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        ready!(self.poll_reported(home, fd, key, direction, cx));
        task::poll_budget(cx)
    }

    /// Completes once it has been reported that an attempt may succeed.
    pub(super) fn poll_reported(
        &self,
        home: &Home,
        fd: BorrowedFd<'_>,
        key: usize,
        direction: u8,
        cx: &Context<'_>,
    ) -> Poll<()> {
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key) else {
            return Poll::Pending;
        };
        // The bit of an end lies two above that of its direction.
        if source.ready & (direction | direction << 2) != 0 {
            return Poll::Ready(());
        }
        source.waits |= direction;
        let waker = match direction {
            READ => &mut source.reader,
            _ => &mut source.writer,
        };
        if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        if direction == WRITE && !source.watches_out {
            source.watches_out = true;
            // Tells at once if there is room by now.
            let _ = epoll::modify(&home.epoll, fd, data(key, source.number), flags(true));
        }
        Poll::Pending
    }

    /// Completes when sending fails for good. Nobody can wait to receive meanwhile: it stands for that.
    pub(super) fn poll_broken(&self, key: usize, cx: &Context<'_>) -> Poll<()> {
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key) else {
            return Poll::Pending;
        };
        if source.ready & WRITE_CLOSED != 0 {
            return Poll::Ready(());
        }
        source.waits |= READ;
        if source
            .reader
            .as_ref()
            .is_none_or(|w| !w.will_wake(cx.waker()))
        {
            source.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits for events, for `timeout` at most.
    pub(super) fn wait(&self, home: &Home, timeout: Option<Duration>) {
        let mut events = self.events.borrow_mut();
        events.clear();
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        // Interrupted by a signal: the caller turns again.
        let _ = epoll::wait(&home.epoll, spare_capacity(&mut events), timeout.as_ref());
    }

    /// Wakes whom the events concern.
    pub(super) fn tell(&self) {
        let events = self.events.borrow();
        let mut sources = self.sources.borrow_mut();
        for event in events.iter() {
            let (data, flags) = (event.data.u64(), event.flags);
            if let Some(source) = source(&mut sources, data) {
                source.tell(flags);
            }
        }
    }
}

impl Source {
    fn tell(&mut self, flags: EventFlags) {
        let mut ready = 0;
        for (flag, means) in [
            (EventFlags::IN, READ),
            (EventFlags::PRI, READ | URGENT),
            (EventFlags::OUT, WRITE),
            (EventFlags::RDHUP, READ | READ_CLOSED),
            (EventFlags::HUP, READ | WRITE | READ_CLOSED | WRITE_CLOSED),
            // The next attempt takes the error, and may find nothing else wrong.
            (EventFlags::ERR, READ | WRITE | FAULT),
        ] {
            if flags.contains(flag) {
                ready |= means;
            }
        }
        self.ready |= ready;
        let wanted = self.waits & ready;
        self.waits &= !wanted;
        for (direction, waker) in [(READ, &self.reader), (WRITE, &self.writer)] {
            if wanted & direction != 0
                && let Some(waker) = waker
            {
                waker.wake_by_ref();
            }
        }
    }
}

fn flags(watches_out: bool) -> EventFlags {
    let flags = EventFlags::IN | EventFlags::PRI | EventFlags::RDHUP | EventFlags::ET;
    if watches_out {
        flags | EventFlags::OUT
    } else {
        flags
    }
}

/// What an event says of its source.
fn data(key: usize, number: u32) -> EventData {
    let key = u32::try_from(key).unwrap_or(u32::MAX);
    EventData::new_u64(u64::from(number) << 32 | u64::from(key))
}

fn source(sources: &mut Slab<Source>, data: u64) -> Option<&mut Source> {
    let key = usize::try_from(data & u64::from(u32::MAX)).ok()?;
    let source = sources.get_mut(key)?;
    // Late news of one that is gone; the bell has no source.
    (u64::from(source.number) == data >> 32).then_some(source)
}
