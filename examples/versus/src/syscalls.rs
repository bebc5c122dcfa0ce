//! System calls per request, counted by `strace -c -f` while a fixed number of requests runs.

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::{
    Fatal,
    contender::Running,
    load::{self, Plan, Span},
    process,
    race::Round,
};

/// Requests that are counted over: strace slows everything down.
const REQUESTS: u64 = 3_000;

/// Calls per request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Calls {
    pub(crate) all: f64,
    pub(crate) by_name: BTreeMap<String, f64>,
}

/// Counts; the inner error says why that is not possible here.
pub(crate) fn count(running: &Running, mut plan: Plan<'_>) -> Result<Result<Round, String>, Fatal> {
    plan.span = Span::Answers(REQUESTS / 10);
    load::run(&plan, &mut |_| {})?;
    let pids = process::tree(running.pid())?;
    let table = tempfile::NamedTempFile::new()?;
    let mut command = Command::new("strace");
    command.args(["-c", "-f", "-qq", "-o"]).arg(table.path());
    for pid in &pids {
        command.arg("-p").arg(pid.to_string());
    }
    let Ok(mut strace) = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return Ok(Err("strace is not installed".to_owned()));
    };
    if !attached(&pids, &mut strace)? {
        let _ = strace.kill();
        let _ = strace.wait();
        return Ok(Err("strace may not attach here".to_owned()));
    }
    plan.span = Span::Answers(REQUESTS);
    let tally = load::run(&plan, &mut |_| {})?;
    if let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::INT)?;
    }
    strace.wait()?;
    let calls = parse(&fs::read_to_string(table.path())?, tally.answers.max(1));
    Ok(Ok(Round {
        calls: Some(calls),
        requests_per_second: 0.0,
        ..Round::from(tally)
    }))
}

/// Waits until every thread is traced.
fn attached(pids: &[u32], strace: &mut Child) -> Result<bool, Fatal> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let traced = |pid: &u32| {
        process::threads(*pid).iter().all(|thread| {
            let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status"));
            status.is_ok_and(|s| !s.contains("TracerPid:\t0"))
        })
    };
    while !pids.iter().all(traced) {
        if strace.try_wait()?.is_some() || Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

/// Reads strace's table: share, seconds, usecs/call, calls, perhaps errors, name.
fn parse(table: &str, requests: u64) -> Calls {
    let mut calls = Calls::default();
    for line in table.lines() {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let (Some(count), Some(name)) = (words.get(3), words.last()) else {
            continue;
        };
        let Ok(count) = count.parse::<u32>() else {
            continue;
        };
        let each = f64::from(count) / requests as f64;
        if *name == "total" {
            continue;
        }
        calls.all += each;
        calls.by_name.insert((*name).to_owned(), each);
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straces_table_is_understood() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
             50.00    0.000010           1       200           recvfrom\n\
             50.00    0.000010           1       100        50 sendto\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000020           1       300        50 total\n";
        let calls = parse(table, 100);
        assert!((calls.all - 3.0).abs() < 1e-9);
        assert_eq!(calls.by_name.get("recvfrom"), Some(&2.0));
        assert_eq!(calls.by_name.len(), 2);
    }
}
