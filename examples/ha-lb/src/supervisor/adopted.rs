//! Children that another program under this process number has started: the kernel knows them as ours, tokio does not.

use std::os::fd::AsFd as _;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::{Interest, unix::AsyncFd};

/// The process with this number.
pub fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// Waits until a child has ended, and takes its status from the kernel.
pub async fn ended(number: u32) {
    let opened = pid(number).map(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK));
    let Some(Ok(child)) = opened else {
        return;
    };
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that could change their descriptor; an OwnedFd cannot"
    )]
    let watched = AsyncFd::with_interest(child, Interest::READABLE);
    if let Ok(watched) = watched {
        // A pidfd becomes readable when its process ends.
        let _ = watched.readable().await;
        let _ = waitid(
            WaitId::PidFd(watched.get_ref().as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
    }
}
