//! What the kernel tells of the daemon's processes: proc(5). A process that is gone, or that may not be looked at,
//! leaves fields empty.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::admin::status::Process;

/// Fills in what the kernel knows of `process.pid`.
pub fn look_at(process: Process) -> Process {
    let Some(pid) = process.pid else {
        return process;
    };
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
    };
    // The second of real, effective, saved and file system's.
    let effective = |name: &str| field(name)?.split_whitespace().nth(1)?.parse().ok();
    let root = fs::read_link(folder.join("root"));
    Process {
        uid: effective("Uid"),
        gid: effective("Gid"),
        capabilities: field("CapEff").and_then(capabilities),
        no_new_privs: field("NoNewPrivs").map(|flag| flag.trim() == "1"),
        root: root.ok().map(|path| path.to_string_lossy().into_owned()),
        threads: field("Threads").and_then(|threads| threads.trim().parse().ok()),
        memory: field("VmRSS").and_then(kilobytes),
        descriptors: descriptors(&folder.join("fd")),
        descriptor_limit: descriptor_limit(&folder),
        cpu: processor_time(&folder),
        ..process
    }
}

/// What a process had of processors, and whether it wants one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// One of its threads runs, or would if there were a processor for it.
    pub wants: bool,
    /// Processor time of all of them together.
    pub had: Duration,
}

/// What it is at; `None` if it is gone or cannot be looked at (no file can be opened).
pub fn effort(pid: u32) -> Option<Effort> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let mut threads = fs::read_dir(folder.join("task")).ok()?.flatten();
    let runs = |thread: &Path| {
        let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, fields)| fields);
        state.is_some_and(|fields| fields.starts_with('R'))
    };
    let wants = threads.any(|thread| runs(&thread.path()));
    let had = Duration::from_secs_f64(processor_time(&folder)?);
    Some(Effort { wants, had })
}

fn kilobytes(text: &str) -> Option<u64> {
    let number: u64 = text.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

/// Names of the bits; `all` for as many as the kernel knows.
fn capabilities(bits: &str) -> Option<Vec<String>> {
    let bits = u64::from_str_radix(bits.trim(), 16).ok()?;
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    let last: Option<u32> = last.and_then(|text| text.trim().parse().ok());
    if last.is_some_and(|last| bits.count_ones() == last + 1) {
        return Some(vec!["all".to_owned()]);
    }
    let mut names: Vec<_> = caps::all()
        .into_iter()
        .filter(|capability| bits & capability.bitmask() != 0)
        .collect();
    names.sort_by_key(caps::Capability::index);
    Some(names.iter().map(ToString::to_string).collect())
}

/// Newer kernels tell the number without a look at each.
fn descriptors(folder: &Path) -> Option<u64> {
    match fs::metadata(folder).ok()?.size() {
        0 => u64::try_from(fs::read_dir(folder).ok()?.count()).ok(),
        size => Some(size),
    }
}

fn descriptor_limit(folder: &Path) -> Option<u64> {
    let limits = fs::read_to_string(folder.join("limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time, fields 14 and 15; the name before them may hold anything but is in brackets.
fn processor_time(folder: &Path) -> Option<f64> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    let ticks = ticks()? + ticks()?;
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some(ticks / f64::from(per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_as_it_is() {
        let process = look_at(Process {
            pid: Some(std::process::id()),
            ..Process::default()
        });
        assert_eq!(process.uid, Some(rustix::process::geteuid().as_raw()));
        assert_eq!(process.gid, Some(rustix::process::getegid().as_raw()));
        assert!(
            process.memory.is_some_and(|bytes| bytes > 500_000),
            "{process:?}"
        );
        assert!(process.threads.is_some_and(|threads| threads >= 1));
        assert!(process.descriptors.is_some_and(|open| open >= 3));
        assert!(process.descriptor_limit > process.descriptors);
        assert!(process.cpu.is_some());
        assert_eq!(process.root.as_deref(), Some("/"));
    }

    #[test]
    fn a_thread_that_works_is_seen_and_so_is_what_it_got() {
        let own = effort(std::process::id()).unwrap();
        // This one, at least.
        assert!(own.wants);
        let mut sleeps = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while effort(sleeps.id()).unwrap().wants {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        while effort(std::process::id()).unwrap().had < own.had + Duration::from_millis(20) {
            assert!(std::time::Instant::now() < deadline);
        }
        sleeps.kill().unwrap();
        sleeps.wait().unwrap();
        assert_eq!(effort(sleeps.id()), None);
    }

    #[test]
    fn bits_have_names() {
        let names = capabilities("0000000000003000").unwrap();
        assert_eq!(names, ["CAP_NET_ADMIN", "CAP_NET_RAW"]);
        assert_eq!(capabilities("0000000000000000").unwrap(), [""; 0]);
    }

    #[test]
    fn a_process_that_is_gone_leaves_its_fields_empty() {
        let gone = Process {
            pid: Some(u32::MAX),
            ..Process::default()
        };
        assert_eq!(look_at(gone.clone()), gone);
    }
}
