//! Runs a command of the configuration (a track script, a notify script, a check of a server) as keepalived does: no shell, its own
//! process group, its own user; when it takes too long SIGTERM to the group, then SIGKILL.

use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process_group},
    thread::set_no_new_privs,
};
use tokio::{process, runtime::Handle, time::timeout};

use super::{adopted, memory};

/// How long a script may go on after SIGTERM.
const MERCY: Duration = Duration::from_secs(2);
/// How long SIGKILL may take to end it: a process that waits for a dead disk does not die at all.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub words: Vec<String>,
    /// User to run as; the daemon's own when absent.
    pub uid: Option<u32>,
    /// Group to run as.
    pub gid: Option<u32>,
    /// Why it is not run: there is no such user or group.
    pub denied: Option<String>,
    /// All that its environment holds; the daemon's own when absent.
    pub environment: Option<Vec<(&'static str, String)>>,
    /// No file that it executes gives it rights, whatever setuid bits say.
    pub gains_no_rights: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// It exited by itself or by a signal of somebody else.
    Exited(ExitStatus),
    /// It was ended because it took too long.
    TimedOut,
    /// The same, but it does not die: the kernel waits for something on its behalf.
    Stuck,
    /// It could not be started.
    NotStarted(io::Error),
}

impl Outcome {
    /// Whether it exited with status 0.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }

    /// Whether it took too long.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Stuck)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exit status {code}"),
                (None, Some(signal)) => write!(f, "killed by signal {signal}"),
                (None, None) => write!(f, "{status}"),
            },
            Self::TimedOut => f.write_str("timed out"),
            Self::Stuck => f.write_str("timed out, and SIGKILL does not end it"),
            Self::NotStarted(error) => write!(f, "cannot be started: {error}"),
        }
    }
}

impl Command {
    /// Runs it to its end, `limit` at most (and a little for dying). Nothing of its process group is left when
    /// it timed out.
    pub async fn run(&self, limit: Duration) -> Outcome {
        self.run_noting(limit, || ()).await.0
    }

    /// The same; `late` hears at once that the limit is over. A process that does not die comes back too.
    pub async fn run_noting(
        &self,
        limit: Duration,
        late: impl FnOnce(),
    ) -> (Outcome, Option<process::Child>) {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return (Outcome::NotStarted(error), None),
        };
        let group = child.id().and_then(adopted::pid);
        let running = Running(group);
        if let Ok(ended) = timeout(limit, child.wait()).await {
            running.has_ended();
            return (
                ended.map_or_else(Outcome::NotStarted, Outcome::Exited),
                None,
            );
        }
        late();
        signal(group, Signal::TERM);
        let _ = timeout(MERCY, child.wait()).await;
        drop(running);
        match timeout(LAST_BREATH, child.wait()).await {
            Ok(_) => (Outcome::TimedOut, None),
            Err(_) => (Outcome::Stuck, Some(child)),
        }
    }

    /// Starts it; dropping the child kills it.
    pub fn start(&self) -> io::Result<process::Child> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        if let Some(why) = &self.denied {
            return Err(io::Error::other(why.clone()));
        }
        let mut command = process::Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true);
        if let Some(environment) = &self.environment {
            let variables = environment.iter().map(|(name, value)| (name, value));
            command.env_clear().envs(variables);
        }
        if let Some(gid) = self.gid {
            command.gid(gid);
        }
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        let child = match self.gains_no_rights {
            true => spawn_without_gains(&mut command)?,
            false => command.spawn()?,
        };
        if let Some(pid) = child.id() {
            memory::ordinary(pid);
        }
        Ok(child)
    }
}

/// `no_new_privs` is of a thread and of those that it starts, and never goes away: a thread of its own starts the command.
fn spawn_without_gains(command: &mut process::Command) -> io::Result<process::Child> {
    let runtime = Handle::current();
    let spawn = || {
        let _entered = runtime.enter();
        set_no_new_privs(true)?;
        command.spawn()
    };
    thread::scope(|scope| {
        let spawning = thread::Builder::new().spawn_scoped(scope, spawn)?;
        let ended = spawning.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it has panicked")))
    })
}

/// Asks the process group of a command to end, or kills it.
pub fn end(leader: u32, kill: bool) {
    signal(
        adopted::pid(leader),
        if kill { Signal::KILL } else { Signal::TERM },
    );
}

/// A script that still runs: dropping it (the daemon ends) leaves nothing of its group behind.
struct Running(Option<Pid>);

impl Running {
    /// What it left in the background on purpose may go on.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        signal(self.0, Signal::KILL);
    }
}

/// The group may be gone already; that is what was wanted.
fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn run(words: &[&str], limit: Duration) -> Outcome {
        let command = Command {
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            ..Command::default()
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(command.run(limit))
    }

    const LONG: Duration = Duration::from_secs(20);

    fn gone(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    }

    #[test]
    fn the_exit_status_decides() {
        assert!(run(&["true"], LONG).passed());
        let failed = run(&["sh", "-c", "exit 3"], LONG);
        assert!(!failed.passed());
        assert_eq!(failed.to_string(), "exit status 3");
    }

    #[test]
    fn a_command_that_cannot_be_started_says_why() {
        let told = run(&["/no/such/program"], LONG).to_string();
        assert!(
            told.starts_with("cannot be started: No such file"),
            "{told}"
        );
    }

    #[test]
    fn a_command_whose_user_does_not_exist_is_run_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let command = Command {
            words: vec!["touch".to_owned(), path.display().to_string()],
            denied: Some("the user 'x' does not exist".to_owned()),
            ..Command::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let outcome = runtime.block_on(command.run(LONG));
        assert!(!outcome.passed());
        assert!(outcome.to_string().ends_with("the user 'x' does not exist"));
        assert!(!path.exists());
    }

    #[test]
    fn a_command_that_gains_no_rights_takes_none_from_others() {
        let own = rustix::thread::no_new_privs().unwrap();
        let script = "grep -q '^NoNewPrivs:.*1$' /proc/self/status";
        let command = Command {
            words: ["sh", "-c", script].map(str::to_owned).into(),
            gains_no_rights: true,
            ..Command::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let outcome = runtime.block_on(command.run(LONG));
        assert!(outcome.passed(), "{outcome}");
        assert_eq!(rustix::thread::no_new_privs().unwrap(), own);
    }

    #[test]
    fn a_slow_command_and_its_children_are_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", path.display());
        let began = Instant::now();
        // Time for the script to start its child on a machine that stands still meanwhile.
        let outcome = run(&["sh", "-c", &script], Duration::from_secs(2));
        assert!(matches!(outcome, Outcome::TimedOut), "{outcome}");
        assert!(began.elapsed() < Duration::from_secs(10));
        let sleeper: i32 = std::fs::read_to_string(&path)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !gone(sleeper) {
            assert!(Instant::now() < deadline, "the script's child still runs");
            thread::yield_now();
        }
    }

    #[test]
    fn a_command_that_is_given_up_leaves_no_children() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let script = format!(
            "trap '' TERM; sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait",
            path.display()
        );
        let command = Command {
            words: ["sh", "-c", &script].map(str::to_owned).into(),
            ..Command::default()
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let started = async {
            while !path.exists() {
                assert!(Instant::now() < deadline, "the script does not start");
                tokio::task::yield_now().await;
            }
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                tokio::select! {
                    _ = command.run(LONG) => {}
                    () = started => {}
                }
            });
        let sleeper: i32 = std::fs::read_to_string(&path)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        while !gone(sleeper) {
            assert!(Instant::now() < deadline, "the script's child still runs");
            thread::yield_now();
        }
    }

    #[test]
    fn a_command_that_ignores_sigterm_is_killed() {
        let began = Instant::now();
        let outcome = run(
            &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
            Duration::from_millis(100),
        );
        assert!(matches!(outcome, Outcome::TimedOut), "{outcome}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
