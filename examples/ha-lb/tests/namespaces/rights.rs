//! What each process may do, read from /proc: user, capabilities, root directory, no_new_privs, seccomp, how it is
//! scheduled, and who is killed first when memory runs out.

use std::{collections::BTreeMap, fmt, fs, path::Path, process::Command};

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

    fn of(stat: &Path) -> Self {
        let text = fs::read_to_string(stat).unwrap();
        // The name, which may hold anything, ends with the last parenthesis; the state is field 3.
        let (_, rest) = text.rsplit_once(") ").unwrap();
        let fields: Vec<&str> = rest.split(' ').collect();
        Self {
            nice: fields[19 - 3].parse().unwrap(),
            real_time: fields[40 - 3].parse().unwrap(),
            policy: fields[41 - 3].parse().unwrap(),
        }
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
        // Every thread has the same.
        let mut threads = fs::read_dir(folder.join("task")).unwrap().map(|thread| {
            let text = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let fields = text.lines().filter_map(|line| line.split_once(':'));
            fields
                .filter(|(name, _)| RIGHTS.contains(name))
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect::<BTreeMap<_, _>>()
        });
        let status = threads.next().unwrap();
        assert!(threads.all(|other| other == status), "{role}");
        let mut tasks = fs::read_dir(folder.join("task")).unwrap();
        let scheduled = Scheduled::of(&folder.join("stat"));
        // Threads of the supervisor that only read or write are ordinary, and the one that writes the speaker's log lines
        // is scheduled as the daemon was when it was started.
        let started = Scheduled::of(Path::new("/proc/self/stat"));
        let alike = |task: fs::DirEntry| {
            let name = fs::read_to_string(task.path().join("comm")).unwrap();
            let wanted = match (role, name.trim()) {
                ("speaker", "log") => started,
                _ => scheduled,
            };
            Scheduled::of(&task.path().join("stat")) == wanted
        };
        assert!(
            role == "supervisor" || tasks.all(|task| alike(task.unwrap())),
            "{role}"
        );
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
    let own = Scheduled::of(Path::new("/proc/self/stat"));
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
        real_time: 1,
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
