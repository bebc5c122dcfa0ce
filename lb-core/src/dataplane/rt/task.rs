//! Tasks: futures of one thread, and wakers for them that any thread may use.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    mem::ManuallyDrop,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use rustix::event::{EventfdFlags, eventfd};
use slab::Slab;

use super::Core;

/// What a task may receive and send before others have their turn.
const BUDGET: u32 = 128;
/// The key of the future that the loop was started for.
pub(super) const ROOT: usize = usize::MAX;

/// What the thread of a loop touches without locks.
struct Local {
    /// The loop that runs here; 0 is none.
    number: Cell<u64>,
    ready: RefCell<VecDeque<usize>>,
    budget: Cell<u32>,
}

thread_local! {
    /// Nothing is dropped with the thread, so that no use of it has to look whether that has happened: [`leave`] empties it.
    static LOCAL: ManuallyDrop<Local> = const {
        ManuallyDrop::new(Local {
            number: Cell::new(0),
            ready: RefCell::new(VecDeque::new()),
            budget: Cell::new(0),
        })
    };
}

/// What other threads know of a loop.
pub(super) struct Shared {
    number: u64,
    /// Tasks that other threads woke.
    woken: Mutex<Vec<usize>>,
    /// There are some.
    any: AtomicBool,
    /// Ends the loop's wait.
    bell: OwnedFd,
}

impl Shared {
    pub(super) fn new() -> io::Result<Self> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Ok(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            woken: Mutex::default(),
            any: AtomicBool::new(false),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Called by other threads. The first since the loop last looked rings.
    fn push(&self, key: usize) {
        self.woken().push(key);
        if !self.any.swap(true, Ordering::AcqRel) {
            // It can only fail when the bell rings already.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    /// Makes ready what other threads woke.
    pub(super) fn collect(&self) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.bell, &mut count);
        // In this order: whoever pushes after the swap rings again.
        self.any.swap(false, Ordering::AcqRel);
        let mut woken = self.woken();
        LOCAL.with(|local| {
            let mut ready = local.ready.borrow_mut();
            for key in woken.drain(..) {
                // What others ask of the loop itself is not to wait for all that its tasks have to do.
                match key {
                    ROOT => ready.push_front(key),
                    _ => ready.push_back(key),
                }
            }
        });
    }

    fn woken(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What wakers know of a task.
pub(super) struct Header {
    key: usize,
    queued: AtomicBool,
    cancelled: AtomicBool,
    shared: Arc<Shared>,
}

impl Header {
    pub(super) fn new(key: usize, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            key,
            queued: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            shared: Arc::clone(shared),
        })
    }

    /// The task is about to be polled: from now on it may be woken again.
    pub(super) fn begin(&self) {
        self.queued.swap(false, Ordering::AcqRel);
        LOCAL.with(|local| local.budget.set(BUDGET));
    }
}

impl Wake for Header {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        LOCAL.with(|local| {
            if local.number.get() == self.shared.number {
                local.ready.borrow_mut().push_back(self.key);
            } else {
                self.shared.push(self.key);
            }
        });
    }
}

/// A task that was spawned. Dropping this leaves it running.
pub(in crate::dataplane) struct Task(Option<Arc<Header>>);

impl Task {
    /// Ends it when its turn comes.
    pub(in crate::dataplane) fn abort(&self) {
        if let Some(header) = &self.0 {
            header.cancelled.store(true, Ordering::Release);
            header.wake_by_ref();
        }
    }
}

struct Stored {
    future: Pin<Box<dyn Future<Output = ()>>>,
    header: Arc<Header>,
    waker: Waker,
}

/// The tasks of a loop. The place of the one that is being polled is empty.
pub(super) struct Tasks {
    places: RefCell<Slab<Option<Stored>>>,
    shared: Arc<Shared>,
}

impl Tasks {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            places: RefCell::default(),
            shared: Arc::clone(shared),
        }
    }

    fn add(&self, future: Pin<Box<dyn Future<Output = ()>>>) -> Arc<Header> {
        let mut places = self.places.borrow_mut();
        let place = places.vacant_entry();
        let header = Header::new(place.key(), &self.shared);
        place.insert(Some(Stored {
            future,
            waker: Waker::from(Arc::clone(&header)),
            header: Arc::clone(&header),
        }));
        header.wake_by_ref();
        header
    }

    /// Polls a task. A waker that outlived its task may name another one, which is then polled for nothing.
    pub(super) fn run(&self, key: usize) {
        let stored = self.places.borrow_mut().get_mut(key).and_then(Option::take);
        let Some(mut stored) = stored else {
            return;
        };
        stored.header.begin();
        let over = stored.header.cancelled.load(Ordering::Acquire) || {
            let mut cx = Context::from_waker(&stored.waker);
            stored.future.as_mut().poll(&mut cx).is_ready()
        };
        if over {
            // What it owns may look at other tasks while it goes.
            drop(stored);
            self.places.borrow_mut().try_remove(key);
        } else if let Some(place) = self.places.borrow_mut().get_mut(key) {
            *place = Some(stored);
        }
    }

    /// Drops all of them, and those that are spawned by dropping them.
    pub(super) fn clear(&self) {
        loop {
            let places = std::mem::take(&mut *self.places.borrow_mut());
            if places.is_empty() {
                return;
            }
            drop(places);
        }
    }
}

/// Starts a task on the loop of this thread.
pub(in crate::dataplane) fn spawn(future: impl Future<Output = ()> + 'static) -> Task {
    Task(Core::current().map(|core| core.tasks.add(Box::pin(future))))
}

/// Lets every other task have its turn.
pub(in crate::dataplane) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// This thread turns the loop from now on.
pub(super) fn enter(shared: &Shared) {
    LOCAL.with(|local| local.number.set(shared.number));
}

/// It no longer does.
pub(super) fn leave() {
    LOCAL.with(|local| {
        local.number.set(0);
        local.ready.take();
    });
}

/// How many tasks are to be polled.
pub(super) fn ready() -> usize {
    LOCAL.with(|local| local.ready.borrow().len())
}

/// The next one.
pub(super) fn next() -> Option<usize> {
    LOCAL.with(|local| local.ready.borrow_mut().pop_front())
}

/// Whether the running task may go on; if not it is woken again after the others.
pub(super) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    LOCAL.with(|local| match local.budget.get().checked_sub(1) {
        Some(left) => {
            local.budget.set(left);
            Poll::Ready(())
        }
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}
