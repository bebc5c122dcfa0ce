//! Who is killed when memory runs out (`/proc/PID/oom_score_adj`, proc_pid_oom_score_adj(5)): of this daemon the
//! balancer, which grows with its traffic and is replaced within milliseconds. The supervisor and the speaker go last:
//! with them the address would go.
//!
//! Where this process may not lower its own score the balancer's is raised all the same. Nothing is locked in memory
//! (mlockall(2)) unless `vrrp_no_swap` says so: what adverts need is touched several times a second, and the rest, a
//! takeover's code among it, comes back from the page cache.

use std::{fs, io, sync::OnceLock};

use rustix::{
    mm::{MlockAllFlags, mlockall, munlockall},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// How much less likely supervisor and speaker are to be killed than what they were started as.
const LESS: i32 = 500;
/// How much more likely the balancer is.
const MORE: i32 = 100;
const LEAST: i32 = -1000;
const MOST: i32 = 1000;

/// The score that this process was started with, which scripts get.
static ORDINARY: OnceLock<i32> = OnceLock::new();

/// Locks what this process has in memory, and what it will have as far as it touches it: neither swapped out nor given
/// back. Refused unless no limit can turn into one on memory: by CAP_IPC_LOCK, which is to be kept then, or because
/// there is none.
pub fn lock() -> io::Result<()> {
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_some() {
        // With no room at all only the capability lets one lock, and that of this machine.
        let none = Rlimit {
            current: Some(0),
            ..limit
        };
        setrlimit(Resource::Memlock, none)?;
    }
    // Stacks of threads to come are large and hardly used.
    let future = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    let locked = mlockall(MlockAllFlags::CURRENT).and_then(|()| mlockall(future));
    if locked.is_err() {
        munlockall()?;
        setrlimit(Resource::Memlock, limit)?;
    }
    Ok(locked?)
}

/// Lowers the score of this process and its speakers. An upgraded program finds it lowered already.
pub fn protect(upgraded: bool) {
    let Ok(now) = read() else {
        return;
    };
    let permitted = |score: i32| write("self", score).is_ok();
    let ordinary = if upgraded && permitted(now - 1) && permitted(now) {
        (now + LESS).min(MOST)
    } else {
        let _ = write("self", (now - LESS).max(LEAST));
        now
    };
    let _ = ORDINARY.set(ordinary);
}

/// A balancer goes first.
pub fn expose(pid: u32) {
    adjust(pid, MORE);
}

/// A script is as likely to be killed as this process would have been.
pub fn ordinary(pid: u32) {
    adjust(pid, 0);
}

fn adjust(pid: u32, by: i32) {
    if let Some(score) = ORDINARY.get() {
        let score = (score + by).clamp(LEAST, MOST);
        // One that has changed its user already is not ours to write to.
        let _ = write(&pid.to_string(), score);
    }
}

fn read() -> io::Result<i32> {
    let text = fs::read_to_string("/proc/self/oom_score_adj")?;
    text.trim().parse().map_err(io::Error::other)
}

fn write(process: &str, score: i32) -> io::Result<()> {
    fs::write(format!("/proc/{process}/oom_score_adj"), score.to_string())
}
