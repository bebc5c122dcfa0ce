//! The only clocks of the crate: `CLOCK_BOOTTIME`, read and waited for. It goes on while the host is
//! suspended, so that a router that slept knows that it did. The time of day is read for the stamps
//! of `auth_hmac` alone.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::Instant;

/// `CLOCK_BOOTTIME` now.
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Instant::ZERO + Duration::new(secs, nanos)
}

/// The time of day, since 1970.
#[cfg(feature = "auth")]
pub(super) fn time_of_day() -> Duration {
    let time = clock_gettime(ClockId::Realtime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A timerfd.
#[derive(Debug)]
pub(super) struct Timer {
    fd: AsyncFd<OwnedFd>,
    armed: Option<Instant>,
}

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that could change their descriptor; an OwnedFd cannot"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd, armed: None })
    }

    /// Makes sure that `expired` completes at the deadline or before. A deadline that moved away
    /// (each advert that a Backup hears moves one) costs no system call: the timer fires early,
    /// once, and is set anew, unless it `moves` again and again, so that a wake-up each time would cost more.
    pub(super) fn arm(&mut self, deadline: Option<Instant>, moves: bool) -> io::Result<()> {
        let Some(at) = deadline else { return Ok(()) };
        if self
            .armed
            .is_some_and(|armed| armed == at || armed < at && !moves)
        {
            return Ok(());
        }
        // Zero would disarm it.
        let since = at.since_epoch().max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: since.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: since.subsec_nanos().into(),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        self.armed = Some(at);
        Ok(())
    }

    /// Completes when the armed time has come.
    pub(super) async fn expired(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.fd.readable().await?;
            let mut ticks = [0; 8];
            let read = guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut ticks)?));
            match read {
                Ok(read) => {
                    read?;
                    // It fires again only once it is armed anew: not asked until then.
                    guard.clear_ready();
                    self.armed = None;
                    return Ok(());
                }
                // Set anew since it fired.
                Err(_would_block) => {}
            }
        }
    }
}
