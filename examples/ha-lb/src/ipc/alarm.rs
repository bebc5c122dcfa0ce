//! A timer that wakes an event loop once, when its time has come: the wheel of tokio's timers also wakes whoever waits for
//! long while it sorts them, which for signs of life five times a second is every third wake-up.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A timerfd of the monotonic clock, as [`Instant`].
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: AsyncFd<OwnedFd>,
    set: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that could change their descriptor; an OwnedFd cannot"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd, set: None })
    }

    /// Completes at `deadline` or soon after, and never without one. May be dropped and asked again.
    pub(crate) async fn at(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        if self.set != Some(deadline) {
            let left = deadline.saturating_duration_since(Instant::now());
            timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &once(left))?;
            self.set = Some(deadline);
        }
        loop {
            let mut guard = self.fd.readable().await?;
            let mut ticks = [0; 8];
            let read = guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut ticks)?));
            if let Ok(read) = read {
                self.set = None;
                return read.map(drop);
            }
        }
    }
}

/// Zero would disarm it.
fn once(left: Duration) -> Itimerspec {
    let left = left.max(Duration::from_nanos(1));
    Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_at_its_time_however_often_it_is_asked_and_set_anew() {
        let mut alarm = Alarm::new().unwrap();
        let begun = Instant::now();
        let far = begun + Duration::from_secs(60);
        let near = begun + Duration::from_millis(30);
        tokio::select! {
            biased;
            _ = alarm.at(Some(far)) => panic!("too early"),
            () = tokio::task::yield_now() => {}
        }
        alarm.at(Some(near)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(30));
        // One that has passed rings at once, and again.
        alarm.at(Some(near)).await.unwrap();
        alarm.at(Some(begun)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
