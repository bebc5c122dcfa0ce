//! Starts a child process (the same program in another role), carries messages both ways and notices its death.
//!
//! The child's end of the socket pair is its standard input, so that no other descriptor can leak. Death is
//! seen as the end of the socket, which the kernel closes with the process, and confirmed by its pidfd.

use std::{
    cell::{Cell, RefCell},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
        unix::process::CommandExt as _,
    },
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    process,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};

use crate::ipc::channel::{self, Channel, Post};

/// How long a child that closed its socket may take to exit.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// What a child may say in one message: thousands of servers and their counters. One that was taken over by somebody is
/// not to fill the supervisor's memory.
const LONGEST_REPORT: u64 = 64 << 20;

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// VRRP.
    Speaker,
    /// Traffic.
    Balancer,
}

impl Role {
    /// The hidden subcommand that makes the program this role.
    pub fn subcommand(self) -> &'static str {
        match self {
            Self::Speaker => "speaker",
            Self::Balancer => "balancer",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.subcommand())
    }
}

/// What is heard of a child.
#[derive(Debug)]
pub enum Report<M> {
    /// It said something.
    Said(M),
    /// It is gone; nothing follows.
    Gone(ExitStatus),
}

type Outgoing<T> = (T, Vec<Arc<OwnedFd>>);

/// A running child. Dropping it closes its socket, upon which it stops by itself.
#[derive(Debug)]
pub struct Child<T> {
    /// Its process number.
    pub pid: u32,
    /// When it was started.
    pub started: Instant,
    outgoing: UnboundedSender<Outgoing<T>>,
    /// Nothing is said to it any more.
    muted: Cell<bool>,
    channel: Arc<Channel>,
    /// The sign of life that it gets.
    beat: RefCell<Option<Post>>,
    tasks: [JoinHandle<()>; 2],
}

impl<T: Serialize + Send + Sync + 'static> Child<T> {
    /// Starts `role` as a process called `name`; `report` hears of it until it is gone.
    pub fn start<F: DeserializeOwned + 'static>(
        role: Role,
        name: &str,
        report: impl Fn(Report<F>) + Send + 'static,
    ) -> io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let channel = Arc::new(Channel::new(ours)?);
        let mut command = std::process::Command::new("/proc/self/exe");
        command
            .arg0(name)
            .arg(role.subcommand())
            .stdin(Stdio::from(theirs));
        let child = process::Command::from(command).spawn()?;
        let pid = child.id().unwrap_or_default();
        let (outgoing, queue) = unbounded_channel();
        let writer = tokio::spawn(write(Arc::clone(&channel), queue));
        let reader = tokio::spawn(read(Arc::clone(&channel), child, report));
        Ok(Self {
            pid,
            started: Instant::now(),
            outgoing,
            muted: Cell::new(false),
            channel,
            beat: RefCell::default(),
            tasks: [writer, reader],
        })
    }

    /// Sends a message with descriptors. A child that is gone hears nothing; its end is reported otherwise.
    pub fn tell(&self, message: T, descriptors: Vec<Arc<OwnedFd>>) {
        if !self.muted.get() {
            let _ = self.outgoing.send((message, descriptors));
        }
    }

    /// Sends a message after which nothing is said any more.
    pub fn tell_last(&self, message: T) {
        self.beat.take();
        self.tell(message, Vec::new());
        self.muted.set(true);
    }

    /// Number and line of a child that is to be succeeded.
    pub fn left(&self) -> (u32, RawFd) {
        (self.pid, self.channel.as_fd().as_raw_fd())
    }

    /// From now on `message` is what [`Child::beat`] sends.
    pub fn beat_by(&self, message: &T) -> io::Result<()> {
        self.beat.replace(Some(self.channel.post(message)?));
        Ok(())
    }

    /// A sign of life, at once and without waiting.
    pub fn beat(&self) {
        // While it reads nothing there is no use in telling it more.
        let _ = self.beat.borrow().as_ref().map(Post::send);
    }

    /// Kills it.
    pub fn kill(&self) {
        kill(self.pid);
    }
}

impl<T> Drop for Child<T> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

async fn write<T: Serialize>(channel: Arc<Channel>, mut queue: UnboundedReceiver<Outgoing<T>>) {
    while let Some((message, descriptors)) = queue.recv().await {
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(|d| d.as_fd()).collect();
        if channel.send(&message, &borrowed).await.is_err() {
            return;
        }
    }
}

async fn read<F: DeserializeOwned>(
    channel: Arc<Channel>,
    mut child: process::Child,
    report: impl Fn(Report<F>),
) {
    loop {
        match channel.recv_at_most::<F>(LONGEST_REPORT).await {
            Ok(Some((message, _))) => report(Report::Said(message)),
            Ok(None) => break,
            Err(error) => {
                tracing::error!("a message of process {:?} is broken: {error}", child.id());
                break;
            }
        }
    }
    let status = if let Ok(status) = timeout(LAST_BREATH, child.wait()).await {
        status
    } else {
        if let Some(pid) = child.id() {
            kill(pid);
        }
        child.wait().await
    };
    report(Report::Gone(status.unwrap_or_default()));
}
