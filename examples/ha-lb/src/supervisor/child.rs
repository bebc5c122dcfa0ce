//! Starts a child process (the same program in another role), carries messages both ways and notices its death.
//!
//! The child's end of the socket pair is its standard input, so that no other descriptor can leak. Death is
//! seen as the end of the socket, which the kernel closes with the process, and confirmed by its pidfd.

use std::{
    cell::Cell,
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
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, Receiver, Sender, error::TrySendError},
    },
    task::JoinHandle,
    time::timeout,
};

use crate::ipc::channel::{self, Channel};

/// How long a child that closed its socket may take to exit.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// Bytes that a child may say before the supervisor has looked at what it said until then, and so in one message:
/// thousands of servers and their counters. One that was taken over by somebody is not to fill the supervisor's memory.
const MOST_SAID: u32 = 64 << 20;
/// The least that a message counts for: half of what the event loop takes in before others have their turn may wait there,
/// however short it is.
const LEAST_SAID: u32 = MOST_SAID / 32;
/// What waits to be read by a child; one that lets more wait does not read at all.
const MOST_UNREAD: usize = 16_384;
/// So much may wait for it, and what is worth nothing later is told all the same.
const FEW_UNREAD: usize = 16;

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

/// The room that a report takes. It says more when those before it are done with and dropped.
pub type Room = Option<OwnedSemaphorePermit>;

type Outgoing<T> = (T, Vec<Arc<OwnedFd>>);

/// A running child. Dropping it closes its socket, upon which it stops by itself.
#[derive(Debug)]
pub struct Child<T> {
    /// Its process number.
    pub pid: u32,
    /// When it was started.
    pub started: Instant,
    outgoing: Sender<Outgoing<T>>,
    /// Nothing is said to it any more.
    muted: Cell<bool>,
    channel: Arc<Channel>,
    tasks: [JoinHandle<()>; 2],
}

impl<T: Serialize + Send + Sync + 'static> Child<T> {
    /// Starts `role` as a process called `name`; `report` hears of it until it is gone, each time with the room that it
    /// takes until it is dropped.
    pub fn start<F: DeserializeOwned + Send + 'static>(
        role: Role,
        name: &str,
        report: impl Fn(Report<F>, Room) + Send + Sync + 'static,
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
        let (outgoing, queue) = mpsc::channel(MOST_UNREAD);
        let writer = tokio::spawn(write(Arc::clone(&channel), queue));
        let reader = tokio::spawn(read(Arc::clone(&channel), child, report));
        Ok(Self {
            pid,
            started: Instant::now(),
            outgoing,
            muted: Cell::new(false),
            channel,
            tasks: [writer, reader],
        })
    }

    /// Sends a message with descriptors. A child that is gone hears nothing; its end is reported otherwise.
    pub fn tell(&self, message: T, descriptors: Vec<Arc<OwnedFd>>) {
        if self.muted.get() {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.outgoing.try_send((message, descriptors)) {
            tracing::error!("process {} does not read what it is told: killed", self.pid);
            self.muted.set(true);
            self.kill();
        }
    }

    /// Whether it reads what it is told, so that it is not in vain to tell it how something is at this moment.
    pub fn keeps_up(&self) -> bool {
        self.outgoing.max_capacity() - self.outgoing.capacity() < FEW_UNREAD
    }

    /// Sends a message after which nothing is said any more.
    pub fn tell_last(&self, message: T) {
        self.tell(message, Vec::new());
        self.muted.set(true);
    }

    /// Number and line of a child that is to be succeeded.
    pub fn left(&self) -> (u32, RawFd) {
        (self.pid, self.channel.as_fd().as_raw_fd())
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

async fn write<T: Serialize>(channel: Arc<Channel>, mut queue: Receiver<Outgoing<T>>) {
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
    report: impl Fn(Report<F>, Room),
) {
    listen(&channel, child.id(), &report).await;
    let status = if let Ok(status) = timeout(LAST_BREATH, child.wait()).await {
        status
    } else {
        if let Some(pid) = child.id() {
            kill(pid);
        }
        child.wait().await
    };
    report(Report::Gone(status.unwrap_or_default()), None);
}

/// Reports what it says until it has said everything.
async fn listen<F: DeserializeOwned>(
    channel: &Channel,
    pid: Option<u32>,
    report: &impl Fn(Report<F>, Room),
) {
    let room = Arc::new(Semaphore::new(MOST_SAID as usize));
    loop {
        let (message, length) = match channel.recv_at_most::<F>(MOST_SAID.into()).await {
            Ok(Some(said)) => said,
            Ok(None) => return,
            Err(error) => {
                tracing::error!("a message of process {pid:?} is broken: {error}");
                return;
            }
        };
        let length = u32::try_from(length).unwrap_or(MOST_SAID);
        let room = Arc::clone(&room).acquire_many_owned(length.clamp(LEAST_SAID, MOST_SAID));
        report(Report::Said(message), room.await.ok());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::task::yield_now;

    use super::*;

    type Heard = RefCell<Vec<(Report<String>, Room)>>;

    /// What is heard while nothing of it is dealt with.
    async fn heard(listening: &mut (impl Future<Output = ()> + Unpin), heard: &Heard) -> usize {
        let begun = async {
            while heard.borrow().is_empty() {
                yield_now().await;
            }
            // And no more, however often it is asked.
            for _ in 0..1000 {
                yield_now().await;
            }
        };
        tokio::select! {
            () = listening => {}
            () = begun => {}
        }
        std::mem::take(&mut *heard.borrow_mut()).len()
    }

    #[test]
    fn what_a_child_says_waits_until_what_it_said_before_is_dealt_with() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let told = Heard::default();
        let report = |said, room| told.borrow_mut().push((said, room));
        runtime.block_on(async {
            let (ours, theirs) = channel::pair().unwrap();
            let (ours, theirs) = (Channel::new(ours).unwrap(), Channel::new(theirs).unwrap());
            let mut listening = std::pin::pin!(listen(&ours, None, &report));
            for _ in 0..50 {
                theirs.send(&"beat", &[]).await.unwrap();
            }
            assert_eq!(heard(&mut listening, &told).await, 32);
            assert_eq!(heard(&mut listening, &told).await, 18);
            let long = "x".repeat(40 << 20);
            for _ in 0..2 {
                theirs.send(&long, &[]).await.unwrap();
            }
            assert_eq!(heard(&mut listening, &told).await, 1);
            assert_eq!(heard(&mut listening, &told).await, 1);
        });
    }
}
