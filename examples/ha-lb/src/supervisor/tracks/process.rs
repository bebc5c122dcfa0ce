//! `vrrp_track_process` (keepalived.conf(5)): processes of a name are counted.
//!
//! On a thread of its own, which reads `/proc` twice a second and holds a descriptor of each process that it counts:
//! that one has ended is known at once, that there is a new one within half a second. keepalived hears both from the
//! kernel's process connector, which tells nobody inside a network namespace.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{News, Stopped};
use crate::config::keepalived::Parameters;

/// How often new ones are looked for.
const EVERY: Duration = Duration::from_millis(500);
/// The kernel keeps so much of a process's name.
const NAME: usize = 15;
/// The end of more than these is noticed at the next look.
const DESCRIPTORS: usize = 256;

/// A process as the watcher needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessWatch {
    /// Name in the configuration.
    pub name: String,
    /// Name of the process, or the first word of its command line.
    pub program: String,
    /// Which parameters it has.
    pub parameters: Parameters,
    /// Its command line is looked at instead of its name.
    pub full_command: bool,
    /// How many there are to be.
    pub quorum: Quorum,
}

/// Whether there are as many as there are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The fewest.
    pub least: u32,
    /// The most.
    pub most: Option<u32>,
    /// How long there must be more until it counts.
    pub fork_delay: Duration,
    /// How long there must be fewer until it counts.
    pub terminate_delay: Duration,
}

/// A quorum while it is watched.
#[derive(Debug, Default)]
struct Count {
    count: Option<u32>,
    told: bool,
    /// When the opposite of what was told is to be told.
    due: Option<Instant>,
}

impl Count {
    /// There are so many; what is to be told from now on, if that changes.
    fn counted(&mut self, quorum: &Quorum, now: Instant, count: u32) -> Option<bool> {
        let holds = quorum.least <= count && quorum.most.is_none_or(|most| count <= most);
        let before = self.count.replace(count);
        if holds == self.told && before.is_some() {
            self.due = None;
            return None;
        }
        let delay = match before {
            None => Duration::ZERO,
            Some(before) if count > before => quorum.fork_delay,
            Some(_) => quorum.terminate_delay,
        };
        if now < *self.due.get_or_insert(now + delay) {
            return None;
        }
        self.due = None;
        self.told = holds;
        Some(holds)
    }
}

/// Watches until it is stopped; `report` hears of each change.
pub(super) fn watch(process: &ProcessWatch, stopped: &Stopped, mut report: impl FnMut(News)) {
    let mut found: BTreeMap<i32, Option<OwnedFd>> = BTreeMap::new();
    let mut count = Count::default();
    let mut counted = None;
    loop {
        let now = Instant::now();
        if let Ok(all) = all(process) {
            found.retain(|pid, _| all.contains(pid));
            for pid in all {
                let room = found.len() < DESCRIPTORS;
                let open = || pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
                found
                    .entry(pid)
                    .or_insert_with(|| room.then(open).flatten());
            }
            let number = u32::try_from(found.len()).unwrap_or(u32::MAX);
            if counted.replace(number) != Some(number) {
                report(News::Counted(number));
            }
            if let Some(holds) = count.counted(&process.quorum, now, number) {
                report(News::Found(holds.into(), format!("{number} run")));
            }
        }
        let until = count
            .due
            .map_or(EVERY, |due| due.duration_since(now).min(EVERY));
        if wait(stopped, &mut found, until) {
            return;
        }
    }
}

/// Whether it was stopped; otherwise one of the processes has ended, or the time is over.
fn wait(stopped: &Stopped, found: &mut BTreeMap<i32, Option<OwnedFd>>, longest: Duration) -> bool {
    let mut waits = vec![PollFd::new(stopped, PollFlags::IN)];
    let descriptors = found.values().flatten();
    waits.extend(descriptors.map(|fd| PollFd::new(fd, PollFlags::IN)));
    let longest = Timespec::try_from(longest).ok();
    let _ = poll(&mut waits, longest.as_ref());
    let stop = waits.first().is_some_and(|end| !end.revents().is_empty());
    let ended: Vec<bool> = waits
        .iter()
        .skip(1)
        .map(|one| !one.revents().is_empty())
        .collect();
    let mut ended = ended.into_iter();
    // A zombie is counted no more.
    found.retain(|_, fd| fd.is_none() || !ended.next().unwrap_or(false));
    stop
}

fn all(process: &ProcessWatch) -> io::Result<Vec<i32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
            && is_one(process, pid)
        {
            all.push(pid);
        }
    }
    Ok(all)
}

/// proc_pid_stat(5): `PID (NAME) STATE ...`; the name may hold anything.
fn is_one(process: &ProcessWatch, pid: i32) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let Some(end) = stat.iter().rposition(|byte| *byte == b')') else {
        return false;
    };
    let name = stat.get(..end).unwrap_or_default();
    let name = name
        .iter()
        .position(|byte| *byte == b'(')
        .and_then(|at| name.get(at + 1..));
    if matches!(stat.get(end + 2), Some(b'Z' | b'X')) {
        return false;
    }
    if process.full_command {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return fits(process, &line);
    }
    let wanted = process.program.as_bytes();
    let wanted = wanted.get(..NAME).unwrap_or(wanted);
    name == Some(wanted)
}

/// A command line as the kernel has it: each word ends with a NUL.
fn fits(process: &ProcessWatch, line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\0").unwrap_or(line);
    let mut words = line.split(|byte| *byte == 0);
    if words.next() != Some(process.program.as_bytes()) {
        return false;
    }
    let words: Vec<&[u8]> = words.collect();
    let same = |wanted: &[String]| {
        wanted.len() <= words.len()
            && wanted
                .iter()
                .zip(&words)
                .all(|(wanted, word)| wanted.as_bytes() == *word)
    };
    match &process.parameters {
        Parameters::Any => true,
        Parameters::Exactly(wanted) => wanted.len() == words.len() && same(wanted),
        Parameters::First(wanted) => same(wanted),
        Parameters::Initial(wanted) => match wanted.split_last() {
            None => true,
            Some((last, before)) => {
                let word = words.get(before.len());
                words.len() == wanted.len()
                    && same(before)
                    && word.is_some_and(|word| word.starts_with(last.as_bytes()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, process::Command, sync::mpsc};

    use super::*;
    use crate::ipc::watched::Finding;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_wrong_number_counts_after_its_delay_and_not_if_it_was_short() {
        let quorum = Quorum {
            least: 2,
            most: Some(3),
            fork_delay: SECOND,
            terminate_delay: 2 * SECOND,
        };
        let mut count = Count::default();
        let start = Instant::now();
        let mut at = |seconds: f64, number| {
            count.counted(&quorum, start + Duration::from_secs_f64(seconds), number)
        };
        assert_eq!(at(0.0, 2), Some(true), "the first count decides at once");
        assert_eq!(at(1.0, 1), None);
        assert_eq!(at(2.9, 2), None, "it was short");
        assert_eq!(at(3.0, 0), None);
        assert_eq!(at(4.9, 1), None);
        assert_eq!(at(5.0, 1), Some(false));
        assert_eq!(at(6.0, 2), None);
        assert_eq!(at(7.0, 2), Some(true));
        assert_eq!(at(8.0, 4), None, "too many");
        assert_eq!(at(9.0, 4), Some(false));
    }

    #[test]
    fn command_lines_are_compared_word_by_word() {
        let process = |parameters| ProcessWatch {
            name: "p".to_owned(),
            program: "/bin/a b".to_owned(),
            parameters,
            full_command: true,
            quorum: Quorum::default(),
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let line = b"/bin/a b\0-f\0/etc/x.conf\0";
        let table = [
            (Parameters::Any, true),
            (Parameters::Exactly(words(&["-f", "/etc/x.conf"])), true),
            (Parameters::Exactly(words(&["-f"])), false),
            (Parameters::Exactly(Vec::new()), false),
            (Parameters::First(words(&["-f"])), true),
            (Parameters::First(words(&["-f", "/etc/x.conf", "y"])), false),
            (Parameters::Initial(words(&["-f", "/etc/x"])), true),
            (Parameters::Initial(words(&["-f", "/etc/y"])), false),
            (Parameters::Initial(words(&["-f"])), false),
        ];
        for (parameters, expected) in table {
            let process = process(parameters);
            assert_eq!(fits(&process, line), expected, "{:?}", process.parameters);
        }
        assert!(fits(
            &process(Parameters::Exactly(Vec::new())),
            b"/bin/a b\0"
        ));
    }

    #[test]
    fn a_process_is_found_and_its_end_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than what the kernel keeps, and no other run's.
        let name = format!("{}-tracked-by-a-test", std::process::id());
        let program = folder.path().join(&name);
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let process = ProcessWatch {
            name: "p".to_owned(),
            program: name,
            parameters: Parameters::Any,
            full_command: false,
            quorum: Quorum {
                least: 1,
                ..Quorum::default()
            },
        };
        let (stop, stopped) = UnixStream::pair().unwrap();
        let (told, news) = mpsc::channel();
        let watching = std::thread::spawn(move || {
            watch(&process, &stopped.into(), |news| {
                if let News::Found(finding, _) = news {
                    let _ = told.send((finding, Instant::now()));
                }
            });
        });
        let next = || news.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(next().0, Finding::Fails);
        let mut child = Command::new(&program).arg("600").spawn().unwrap();
        assert_eq!(next().0, Finding::Passes);
        let killed = Instant::now();
        child.kill().unwrap();
        let (finding, at) = next();
        assert_eq!(finding, Finding::Fails);
        println!("its end was known after {:?}", at.duration_since(killed));
        child.wait().unwrap();
        drop(stop);
        watching.join().unwrap();
    }
}
