//! Two hosts that speak for many virtual routers, with this program or with Debian's keepalived, and who listens.

mod awake;
mod ear;
mod gauge;
mod plan;
mod usage;

use std::{
    fs,
    path::PathBuf,
    process::Child,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ha_lb::lab::{Host, Lab, LabError, pair};
use ipnet::IpNet;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

pub(crate) use awake::Awake;
use ear::Place;
pub(crate) use ear::{Ear, Heard, Said, Topic};
pub(crate) use gauge::Gauge;
pub(crate) use plan::{PASSWORD, Plan, Wire};
pub(crate) use usage::{Memory, Usage, memory, tree};

use crate::{Fatal, settle_in};

/// Where the hosts keep their files.
const FOLDER: &str = "/run/drill";
/// What each calls its end of the cable.
const INTERFACE: &str = "eth0";
/// How often things are looked at.
const POLL: Duration = Duration::from_millis(10);

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Speaker {
    /// This program.
    HaLb,
    /// keepalived, as it is installed.
    Keepalived,
}

impl Speaker {
    /// What it is called in a table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HaLb => "ha-lb",
            Self::Keepalived => "keepalived",
        }
    }
}

/// Two hosts, on a bridge or on one cable.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// None where they are on one cable.
    lab: Option<Lab>,
    pub(crate) hosts: [Host; 2],
    folder: PathBuf,
    speaker: Speaker,
    running: [Option<Child>; 2],
}

impl Fleet {
    /// The hosts; nothing runs on them yet.
    pub(crate) fn new() -> Result<Self, Fatal> {
        let lab = Lab::new()?;
        let hosts = [host(&lab, "h1", 1)?, host(&lab, "h2", 2)?];
        Self::of(Some(lab), hosts)
    }

    /// The same on one cable.
    pub(crate) fn without_bridge() -> Result<Self, Fatal> {
        Self::of(
            None,
            pair(INTERFACE, [("h1", address(1)?), ("h2", address(2)?)])?,
        )
    }

    fn of(lab: Option<Lab>, hosts: [Host; 2]) -> Result<Self, Fatal> {
        let folder = PathBuf::from(FOLDER);
        settle_in(&folder)?;
        Ok(Self {
            lab,
            hosts,
            folder,
            speaker: Speaker::HaLb,
            running: [None, None],
        })
    }

    /// Another host on the bridge.
    pub(crate) fn third(&self, name: &str) -> Result<Host, Fatal> {
        host(self.lab.as_ref().ok_or("there is no bridge")?, name, 9)
    }

    /// Frames that a host has sent, of whatever kind.
    pub(crate) fn frames_from(&self, number: usize) -> Result<u64, Fatal> {
        let host = self.hosts.get(number).ok_or("no such host")?;
        let text = host.run(|| {
            let read = fs::read_to_string("/proc/thread-self/net/dev");
            read.map_err(|source| LabError::Io {
                what: "counters of the cable".into(),
                source,
            })
        })?;
        let line = text
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(INTERFACE)?.strip_prefix(':'));
        let field = line.and_then(|rest| rest.split_ascii_whitespace().nth(9)?.parse().ok());
        Ok(field.ok_or("no counters of the cable")?)
    }

    /// An ear at the cables of these hosts: at the bridge's ends, or at the other host's.
    pub(crate) fn listen(&self, hosts: &[usize], topics: &[Topic]) -> Result<Ear, Fatal> {
        let mut places = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            if hosts.contains(&number) {
                let (port, at) = match &self.lab {
                    Some(lab) => (lab.port(host), None),
                    None => (INTERFACE.to_owned(), self.hosts.get(1 - number)),
                };
                places.extend(topics.iter().map(|topic| Place {
                    host: number,
                    port: port.clone(),
                    at,
                    topic: *topic,
                }));
            }
        }
        Ear::open(&places)
    }

    /// Lets `speaker` speak on both hosts, the first of which is preferred.
    pub(crate) fn begin(&mut self, speaker: Speaker, plan: Plan) -> Result<(), Fatal> {
        self.stop();
        self.speaker = speaker;
        for (number, host) in [(0, 0), (1, 1)] {
            fs::create_dir_all(self.file(number, "run"))?;
            let _ = fs::remove_file(self.file(number, "log"));
            fs::write(
                self.file(number, "keepalived.conf"),
                plan.keepalived_conf(host),
            )?;
            self.start(number)?;
        }
        Ok(())
    }

    /// Starts the speaker of one host.
    pub(crate) fn start(&mut self, number: usize) -> Result<(), Fatal> {
        let (config, log) = (
            self.file(number, "keepalived.conf"),
            self.file(number, "log"),
        );
        let (control, run) = (self.file(number, "control"), self.file(number, "run"));
        let host = self.hosts.get(number).ok_or("no such host")?;
        let command = match self.speaker {
            Speaker::HaLb => {
                let command = host.command("/proc/self/exe").args(["run", "-k"]);
                command.arg(config).arg("--control").arg(control)
            }
            Speaker::Keepalived => {
                // One that was killed left its number here, and another process may have it now.
                fs::remove_dir_all(&run)?;
                fs::create_dir_all(&run)?;
                let command = host.command("keepalived").arg("--pid").arg(run.join("pid"));
                let command = command.arg("--vrrp_pid").arg(run.join("vrrp.pid"));
                let flags = ["--dont-fork", "--log-console", "--vrrp", "--use-file"];
                command.args(flags).arg(config)
            }
        };
        let child = command.output(log).spawn()?;
        if let Some(slot) = self.running.get_mut(number) {
            *slot = Some(child);
        }
        Ok(())
    }

    fn file(&self, number: usize, name: &str) -> PathBuf {
        self.folder.join(format!("h{}", number + 1)).join(name)
    }

    /// What the speaker of a host wrote.
    pub(crate) fn log(&self, number: usize) -> String {
        fs::read_to_string(self.file(number, "log")).unwrap_or_default()
    }

    /// The socket at which our daemon answers.
    pub(crate) fn control(&self, number: usize) -> PathBuf {
        self.file(number, "control")
    }

    /// The processes of a host's speaker.
    pub(crate) fn pids(&self, number: usize) -> Vec<u32> {
        let child = self.running.get(number).and_then(Option::as_ref);
        child.map(|child| tree(child.id())).unwrap_or_default()
    }

    /// Whether the speaker of a host still runs.
    pub(crate) fn runs(&mut self, number: usize) -> bool {
        let child = self.running.get_mut(number).and_then(Option::as_mut);
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// All processes of a host's speaker are killed as one; when that was.
    pub(crate) fn kill(&mut self, number: usize) -> Duration {
        let mut pids = self.pids(number);
        // Stopped first, and children before their parent, whose end would wake them: none has time to notice the end
        // of another.
        pids.reverse();
        for what in [Signal::STOP, Signal::KILL] {
            signal(&pids, what);
        }
        let at = wall();
        if let Some(mut child) = self.running.get_mut(number).and_then(Option::take) {
            let _ = child.wait();
        }
        // Its children are nobody's now, and nobody may ever ask what became of them: they are gone when the kernel has taken
        // back what they had open.
        until(Duration::from_secs(5), || {
            pids.iter().all(|pid| !has_open_files(*pid))
        });
        at
    }

    /// Ends the speaker of a host in order.
    pub(crate) fn end(&mut self, number: usize) {
        if let Some(mut child) = self.running.get_mut(number).and_then(Option::take) {
            signal(&[child.id()], Signal::TERM);
            let _ = child.wait();
        }
    }

    /// Ends both speakers in order.
    pub(crate) fn stop(&mut self) {
        for child in self.running.iter().flatten() {
            signal(&[child.id()], Signal::TERM);
        }
        for mut child in self.running.iter_mut().filter_map(Option::take) {
            let _ = child.wait();
        }
    }
}

fn host(lab: &Lab, name: &str, number: u8) -> Result<Host, Fatal> {
    Ok(lab.host(name, INTERFACE, &[address(number)?])?)
}

fn address(number: u8) -> Result<IpNet, Fatal> {
    Ok(IpNet::new(Wire::V3.source(number), 16)?)
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}

fn signal(pids: &[u32], what: Signal) {
    let pids = pids
        .iter()
        .filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?));
    for pid in pids {
        let _ = kill_process(pid, what);
    }
}

/// The clock by which frames are stamped.
pub(crate) fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn has_open_files(pid: u32) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    open.is_ok_and(|mut open| open.next().is_some())
}

/// Waits until something holds; whether it did in time.
pub(crate) fn until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        sleep(POLL);
    }
    true
}
