//! How the kernel schedules supervisor and speaker: before the work of others, for an advert that waits for a processor is
//! a failover, and a holder that hears of a better one too late answers beside it.
//!
//! The speaker runs in real time, at nearly the least of its priorities: it works for microseconds and sleeps. Its thread
//! that changes addresses has the least, for that work takes milliseconds where hundreds of routers take over. The supervisor is
//! preferred only, since it reads files and answers operators. Where the service manager or keepalived.conf
//! (`vrrp_priority`, `vrrp_rt_priority`, `vrrp_rlimit_rttime`, `vrrp_cpu_affinity`, `max_auto_priority 0`) says otherwise,
//! that stands; what the kernel refuses is said and keeps nobody from running. Scripts and the balancer are scheduled as
//! the supervisor was when it was started, and so is the speaker's thread that writes log lines.

use std::{io, sync::OnceLock};

use nix::libc;
use rustix::{
    process::{Resource, Rlimit, getpriority_process, setpriority_process, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::{config::keepalived::Process, supervisor::memory};

/// The speaker's priority in real time where nothing else is said: the least that leaves one below, for the thread that
/// changes addresses ([`vip_netlink`] sees to that).
const REAL_TIME: u8 = 2;
/// The supervisor's nice value where nothing else is said.
const PREFERRED: i32 = -10;

/// How the speaker was scheduled before anything was chosen for it.
static STARTED: OnceLock<Started> = OnceLock::new();

#[derive(Debug)]
struct Started {
    policy: libc::c_int,
    nice: io::Result<i32>,
    processors: io::Result<CpuSet>,
}

impl Started {
    fn now() -> Self {
        Self {
            policy: policy(),
            nice: getpriority_process(None).map_err(io::Error::from),
            processors: sched_getaffinity(None).map_err(io::Error::from),
        }
    }
}

/// Schedules this process as the supervisor. To be called before its threads start; its children are scheduled as it was.
pub(crate) fn supervisor() {
    if !is_ordinary() {
        return;
    }
    let done = set_policy(libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK, 0)
        .and_then(|()| Ok(setpriority_process(None, PREFERRED)?));
    if let Err(error) = done {
        tracing::debug!("the supervisor is scheduled as others are: {error}");
    }
}

/// Schedules this process as the speaker, before its threads start, which inherit it, and before it gives up its rights.
pub(crate) fn speaker(process: &Process) {
    STARTED.get_or_init(Started::now);
    for refused in apply(process) {
        tracing::warn!("{refused}");
    }
    let chosen = process.nice.is_some() || process.real_time.is_some() || process.never_in_advance;
    if chosen || !is_ordinary() {
        return;
    }
    if let Err(error) = in_real_time(REAL_TIME) {
        tracing::info!(
            "not scheduled in real time ({error}): where processors are busy, adverts wait for their turn"
        );
    }
}

/// Schedules the calling thread as the process was when it was started: what it does can wait, and adverts cannot.
/// Nothing to do where nothing was chosen; what the kernel refuses stays as it is.
pub(crate) fn as_started() {
    let Some(started) = STARTED.get() else {
        return;
    };
    // Who started it in real time wants all of it there.
    if policy() != started.policy && started.policy == libc::SCHED_OTHER {
        let _ = set_policy(libc::SCHED_OTHER, 0);
    }
    if let Ok(nice) = started.nice {
        let _ = setpriority_process(None, nice);
    }
    if let Ok(processors) = &started.processors {
        let _ = sched_setaffinity(None, processors);
    }
}

/// Carries out what the file says; one sentence for each thing that was refused.
fn apply(process: &Process) -> Vec<String> {
    let mut refused = Vec::new();
    let mut note = |keyword: &str, done: io::Result<()>| {
        if let Err(error) = done {
            refused.push(format!("`{keyword}` has no effect: {error}"));
        }
    };
    if !process.processors.is_empty() {
        let mut set = CpuSet::new();
        for processor in &process.processors {
            set.set(*processor);
        }
        note(
            "vrrp_cpu_affinity",
            sched_setaffinity(None, &set).map_err(io::Error::from),
        );
    }
    if let Some(nice) = process.nice {
        note(
            "vrrp_priority",
            setpriority_process(None, nice).map_err(io::Error::from),
        );
    }
    if let Some(priority) = process.real_time {
        note("vrrp_rt_priority", in_real_time(priority));
    }
    // Who asked for a limit and not for real time never had one: a start or a reload takes longer than is usual there.
    if let Some(limit) = process
        .real_time_limit
        .filter(|_| process.real_time.is_some())
    {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        note(
            "vrrp_rlimit_rttime",
            setrlimit(Resource::Rttime, limit).map_err(io::Error::from),
        );
    }
    if process.no_swap {
        note("vrrp_no_swap", memory::lock());
    }
    refused
}

/// Whether nobody has chosen how this process is scheduled.
fn is_ordinary() -> bool {
    policy() == libc::SCHED_OTHER && getpriority_process(None).is_ok_and(|nice| nice == 0)
}

/// sched_getscheduler(2) of this thread.
#[expect(unsafe_code, reason = "a system call that no safe wrapper has")]
fn policy() -> libc::c_int {
    // SAFETY: no memory is passed; 0 is this thread.
    unsafe { libc::sched_getscheduler(0) }
}

/// SCHED_RR.
fn in_real_time(priority: u8) -> io::Result<()> {
    set_policy(libc::SCHED_RR, priority)
}

/// sched_setscheduler(2).
#[expect(unsafe_code, reason = "a system call that no safe wrapper has")]
fn set_policy(policy: libc::c_int, priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    // SAFETY: the parameters live for the call, which only reads them; 0 is this thread.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
