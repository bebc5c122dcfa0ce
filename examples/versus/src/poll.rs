//! epoll, as small as the load, the origin and the relay need it.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::event::{
    Timespec,
    epoll::{self, CreateFlags, Event, EventData, EventFlags},
};

pub(crate) use rustix::event::epoll::EventFlags as Interest;

/// An epoll instance and what it last reported.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(256),
        })
    }

    /// Reports what happens to `fd` under the name `token`, until it is closed.
    pub(crate) fn add(&self, fd: impl AsFd, token: usize, interest: EventFlags) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(token as u64),
            interest,
        )?)
    }

    /// Changes what is reported of `fd`.
    pub(crate) fn change(
        &self,
        fd: impl AsFd,
        token: usize,
        interest: EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            fd,
            EventData::new_u64(token as u64),
            interest,
        )?)
    }

    /// Waits; then [`Self::event`] has what happened.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(count) => Ok(count),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(failed) => Err(failed.into()),
        }
    }

    /// Name and kind of an event.
    pub(crate) fn event(&self, index: usize) -> Option<(usize, EventFlags)> {
        let event = self.events.get(index)?;
        Some((usize::try_from(event.data.u64()).ok()?, event.flags))
    }
}

/// What a call on a socket that never waits came to.
pub(crate) fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failed) if failed.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(failed) if failed.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(failed) => Err(failed),
    }
}
