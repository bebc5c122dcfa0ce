//! `vrrp_priority`, `vrrp_rt_priority`, `vrrp_rlimit_rttime` and `vrrp_cpu_affinity` of keepalived.conf: how the kernel
//! schedules this process. Done before its threads start, which inherit it, and before it gives up its rights. What is
//! refused is said and does not keep the process from running.

use std::io;

use rustix::{
    process::{Resource, Rlimit, setpriority_process, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

use crate::config::keepalived::Process;

/// Carries it out; one sentence for each thing that was refused.
pub(super) fn apply(process: &Process) -> Vec<String> {
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
    if let Some(limit) = process.real_time_limit {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        note(
            "vrrp_rlimit_rttime",
            setrlimit(Resource::Rttime, limit).map_err(io::Error::from),
        );
    }
    refused
}

/// sched_setscheduler(2), SCHED_RR.
#[expect(unsafe_code, reason = "a system call that no safe wrapper has")]
fn in_real_time(priority: u8) -> io::Result<()> {
    let parameters = nix::libc::sched_param {
        sched_priority: i32::from(priority),
    };
    // SAFETY: the parameters live for the call, which only reads them; 0 is this thread.
    match unsafe { nix::libc::sched_setscheduler(0, nix::libc::SCHED_RR, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
