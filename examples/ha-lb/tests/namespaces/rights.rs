//! What each process may do, read from /proc: user, capabilities, root directory, no_new_privs, seccomp, how it is
//! scheduled, and who is killed first when memory runs out.

use std::{collections::BTreeMap, fmt, fs, io, path::Path, process::Command};

use nix::libc;
use serde_json::Value;

use crate::{
    processes::Site,
    support::{Needs, enclosed},
};

const NONE: &str = "0000000000000000";
/// CAP_NET_ADMIN (12) and CAP_NET_RAW (13).
const NETWORK: &str = "0000000000003000";

/// A row of the table.
struct Process {
    role: &'static str,
    status: BTreeMap<String, String>,
    root: String,
    oom: i32,
    scheduled: Scheduled,
}

/// How the kernel schedules a thread, proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scheduled {
    nice: i32,
    real_time: u32,
    policy: i32,
}

impl Scheduled {
    const ORDINARY: Self = Self {
        nice: 0,
        real_time: 0,
        policy: libc::SCHED_OTHER,
    };

    /// Scheduled right behind it, if that is in real time.
    fn behind(self) -> Self {
        Self {
            real_time: self.real_time.saturating_sub(1).max(self.real_time.min(1)),
            ..self
        }
    }

    /// What the folder of a thread in `/proc` says.
    fn of(folder: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(folder.join("stat"))?;
        // The name, which may hold anything, ends with the last parenthesis; the state is field 3.
        let (_, rest) = text.rsplit_once(") ").unwrap();
        let fields: Vec<&str> = rest.split(' ').collect();
        Ok(Self {
            nice: fields[19 - 3].parse().unwrap(),
            real_time: fields[40 - 3].parse().unwrap(),
            policy: fields[41 - 3].parse().unwrap(),
        })
    }
}

/// A thread of a process.
struct Thread {
    is_main: bool,
    name: String,
    status: BTreeMap<String, String>,
    scheduled: Scheduled,
}

impl Thread {
    /// Those of a process; some may end while one looks at them.
    fn all(process: &Path) -> Vec<Self> {
        let tasks = fs::read_dir(process.join("task")).unwrap();
        let threads = tasks.map(|task| Self::of(process, &task.unwrap().path()));
        threads.flatten().collect()
    }

    fn of(process: &Path, folder: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(folder.join("status"))?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(Self {
            is_main: folder.file_name() == process.file_name(),
            name: fs::read_to_string(folder.join("comm"))?.trim().to_owned(),
            status: fields
                .filter(|(name, _)| RIGHTS.contains(name))
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
            scheduled: Scheduled::of(folder)?,
        })
    }
}

impl fmt::Display for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.policy {
            libc::SCHED_RR => write!(f, "rr {}", self.real_time),
            _ => write!(f, "nice {}", self.nice),
        }
    }
}

impl Process {
    fn of(role: &'static str, pid: &Value) -> Self {
        let folder = Path::new("/proc").join(pid.to_string());
        let threads = Thread::all(&folder);
        let main = threads.iter().find(|thread| thread.is_main).unwrap();
        let started = Scheduled::of(Path::new("/proc/self")).unwrap();
        for thread in &threads {
            assert_eq!(thread.status, main.status, "{role}");
            // Threads of the supervisor that only read or write are ordinary, and the one that writes the speaker's log
            // lines is scheduled as the daemon was when it was started. The one that changes addresses lets adverts go
            // first.
            let wanted = match (role, &*thread.name) {
                ("supervisor", _) => continue,
                ("speaker", "log") => started,
                ("speaker", "vip-netlink") => main.scheduled.behind(),
                _ => main.scheduled,
            };
            assert_eq!(thread.scheduled, wanted, "{role} {}", thread.name);
        }
        let (status, scheduled) = (main.status.clone(), main.scheduled);
        let root = fs::read_link(folder.join("root")).unwrap();
        let oom = fs::read_to_string(folder.join("oom_score_adj")).unwrap();
        Self {
            role,
            status,
            root: root.display().to_string(),
            oom: oom.trim().parse().unwrap(),
            scheduled,
        }
    }

    fn all(status: &Value) -> [Self; 3] {
        let table = [
            Self::of("supervisor", &status["supervisor"]["pid"]),
            Self::of("speaker", &status["vrrp"]["pid"]),
            Self::of("balancer", &status["balancer"]["pid"]),
        ];
        println!(
            "process    | user  | group | groups | effective        | permitted        | bounding         | \
             ambient          | no_new_privs | seccomp | oom  | scheduled | root"
        );
        table.iter().for_each(|row| println!("{row}"));
        table
    }

    fn has(&self, sets: &[&str], value: &str) {
        for set in sets {
            assert_eq!(self.status[*set], value, "{} {set}", self.role);
        }
    }
}

const RIGHTS: [&str; 10] = [
    "Uid",
    "Gid",
    "Groups",
    "CapEff",
    "CapPrm",
    "CapBnd",
    "CapAmb",
    "CapInh",
    "NoNewPrivs",
    "Seccomp",
];

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |field: &str| self.status[field].split('\t').next().unwrap().to_owned();
        let groups = self.status["Groups"].split_whitespace().count();
        write!(
            f,
            "{:<10} | {:<5} | {:<5} | {groups:<6} | {} | {} | {} | {} | {:<12} | {:<7} | {:<4} | {:<9} | {}",
            self.role,
            first("Uid"),
            first("Gid"),
            self.status["CapEff"],
            self.status["CapPrm"],
            self.status["CapBnd"],
            self.status["CapAmb"],
            self.status["NoNewPrivs"],
            self.status["Seccomp"],
            self.oom,
            self.scheduled.to_string(),
            self.root,
        )
    }
}

fn have_only_what_they_need(processes: &[Process; 3]) {
    let [supervisor, speaker, balancer] = processes;
    speaker.has(&["CapEff", "CapPrm", "CapBnd"], NETWORK);
    speaker.has(&["CapInh", "CapAmb"], NONE);
    balancer.has(&["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"], NONE);
    for child in [speaker, balancer] {
        child.has(&["NoNewPrivs"], "1");
    }
    // Stated as it is: there is no filter of system calls.
    for process in processes {
        process.has(&["Seccomp"], "0");
    }
    assert!(balancer.oom > supervisor.oom.max(speaker.oom));
    assert!(speaker.root.ends_with("/fdinfo"), "{}", speaker.root);
}

/// Adverts do not wait for others' work, where this machine permits it.
fn are_scheduled_by_their_work(processes: &[Process; 3]) {
    let may = Command::new("chrt").args(["-r", "1", "true"]).status();
    let own = Scheduled::of(Path::new("/proc/self")).unwrap();
    if own != Scheduled::ORDINARY || !may.is_ok_and(|status| status.success()) {
        println!("scheduling is not looked at: {own}, or no right to change it");
        return;
    }
    let scheduled = processes.each_ref().map(|process| process.scheduled);
    let preferred = Scheduled {
        nice: -10,
        ..Scheduled::ORDINARY
    };
    let real_time = Scheduled {
        real_time: 2,
        policy: libc::SCHED_RR,
        ..Scheduled::ORDINARY
    };
    assert_eq!(scheduled, [preferred, real_time, Scheduled::ORDINARY]);
}

#[test]
fn of_a_daemon_that_root_starts() {
    enclosed(
        "rights::of_a_daemon_that_root_starts",
        Needs::Users,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let empty = scratch.path().join("empty");
            fs::create_dir(&empty).unwrap();
            let global = format!("user 65534\n group 65533\n chroot {}", empty.display());
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", &global);
            let processes = Process::all(&site.node.status().unwrap());
            have_only_what_they_need(&processes);
            let [supervisor, speaker, balancer] = &processes;
            balancer.has(&["Uid"], "65534\t65534\t65534\t65534");
            balancer.has(&["Gid"], "65533\t65533\t65533\t65533");
            balancer.has(&["Groups"], "");
            assert_eq!(Path::new(&balancer.root), empty);
            // What it was started with, less 500 where CAP_SYS_RESOURCE (24) permits it, and 100 more.
            let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
            let own: i32 = own.trim().parse().unwrap();
            let capabilities = u64::from_str_radix(&supervisor.status["CapEff"], 16).unwrap();
            let less = if capabilities & 1 << 24 == 0 { 0 } else { 500 };
            let scores = [supervisor.oom, speaker.oom, balancer.oom];
            assert_eq!(scores, [own - less, own - less, own + 100]);
            are_scheduled_by_their_work(&processes);
        },
    );
}

#[test]
fn of_a_daemon_in_an_unprivileged_enclosure() {
    enclosed(
        "rights::of_a_daemon_in_an_unprivileged_enclosure",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            let processes = Process::all(&site.node.status().unwrap());
            have_only_what_they_need(&processes);
        },
    );
}
