//! How many programs may start at once, and that one lab is built at a time. Cells mostly wait, which costs nothing;
//! this does not.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static FREE: Mutex<usize> = Mutex::new(3);
static BUILDING: Mutex<()> = Mutex::new(());
static FREED: Condvar = Condvar::new();

pub(crate) struct Permit;

/// Held while a lab is built.
pub(crate) fn build() -> MutexGuard<'static, ()> {
    BUILDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held while a program starts.
pub(crate) fn take() -> Permit {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    while *free == 0 {
        free = FREED.wait(free).unwrap_or_else(PoisonError::into_inner);
    }
    *free -= 1;
    Permit
}

impl Drop for Permit {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}
