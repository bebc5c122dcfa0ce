//! What a process and all its descendants use: CPU time and memory, from /proc.

use std::{fs, io, time::Duration};

use rustix::param::clock_ticks_per_second;

/// A process and its descendants.
pub(crate) fn tree(root: u32) -> io::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        // A process that has just ended is not one of them.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            let parent = fields(&stat).nth(1).and_then(|f| f.parse::<u32>().ok());
            parents.extend(parent.map(|parent| (pid, parent)));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(of) = found.get(next).copied() {
        let children = parents.iter().filter(|(_, parent)| *parent == of);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

/// The fields of a `stat` line behind the name, which may hold anything: state, parent, ...
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_ascii_whitespace()
}

/// Threads of a process.
pub(crate) fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"));
    let names = entries.into_iter().flatten().flatten();
    names
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

/// User and system time of all threads of `pids` until now.
pub(crate) fn cpu_time(pids: &[u32]) -> Duration {
    pids.iter()
        .map(|pid| exact_time(*pid).or_else(|| ticks(*pid)).unwrap_or_default())
        .sum()
}

/// From the scheduler, in nanoseconds.
fn exact_time(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in threads(pid) {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
        nanos += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// In ticks, where the kernel counts nothing finer.
fn ticks(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let both: u64 = fields(&stat)
        .skip(11)
        .take(2)
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    Some(Duration::from_secs(both) / u32::try_from(clock_ticks_per_second()).ok()?)
}

/// The sum of the largest resident sizes that `pids` have had, in bytes. What they share counts for each.
pub(crate) fn peak_memory(pids: &[u32]) -> u64 {
    sum(pids, "status", "VmHWM:")
}

/// The memory of `pids` now, in bytes; what they share counts once.
pub(crate) fn memory(pids: &[u32]) -> u64 {
    sum(pids, "smaps_rollup", "Pss:")
}

/// The resident sizes of `pids` now, in bytes, as [`peak_memory`] has the largest ones.
pub(crate) fn memory_in_use(pids: &[u32]) -> u64 {
    sum(pids, "status", "VmRSS:")
}

/// What a process holds in memory now that is no page of a file, in bytes: those of its program come and go.
pub(crate) fn resident(pid: u32) -> u64 {
    sum(&[pid], "status", "RssAnon:")
}

/// How many files a process has open that are no pipes, and how many ends of pipes.
pub(crate) fn descriptors(pid: u32) -> (usize, usize) {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let is_pipe = |entry: &fs::DirEntry| {
        fs::read_link(entry.path())
            .is_ok_and(|file| file.as_os_str().as_encoded_bytes().starts_with(b"pipe:"))
    };
    let (pipes, others): (Vec<_>, Vec<_>) = open.partition(is_pipe);
    (others.len(), pipes.len())
}

fn sum(pids: &[u32], file: &str, field: &str) -> u64 {
    let kilobytes = pids.iter().filter_map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
        rest.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    kilobytes.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn this_process_is_measured() {
        let pids = tree(process::id()).unwrap();
        assert_eq!(pids.first(), Some(&process::id()));
        assert!(memory(&pids) > 0 && peak_memory(&pids) >= 4096);
        assert!(resident(process::id()) > 0 && descriptors(process::id()).0 > 0);
        assert!(!threads(process::id()).is_empty());
        let before = cpu_time(&pids);
        while cpu_time(&pids) == before {}
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let mut fields = fields("1 (a) b) S 7 8");
        assert_eq!((fields.next(), fields.next()), (Some("S"), Some("7")));
    }
}
