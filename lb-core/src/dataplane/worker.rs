//! A worker: one thread, one current-thread runtime, everything of its connections.

use std::{io, sync::mpsc::Sender, thread::JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::StartError;

/// What other threads may ask of a worker.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer, to show that the loop turns.
    Ping(oneshot::Sender<()>),
    /// Close listeners and idle connections.
    StopAccepting,
    /// Tell when no connection is left.
    Drained(oneshot::Sender<()>),
    /// End when no connection is left.
    ExitWhenDrained,
    /// End now.
    Exit,
}

/// A started worker.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

impl WorkerHandle {
    /// Sends a command; a worker that has ended needs none.
    pub(super) fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Completes when the worker's loop has turned, or at once when it has ended.
    pub(super) async fn ping(&self) {
        let (reply, turned) = oneshot::channel();
        self.send(Command::Ping(reply));
        let _ = turned.await;
    }

    /// Completes when the worker has no connection.
    pub(super) async fn drained(&self) {
        let (reply, empty) = oneshot::channel();
        self.send(Command::Drained(reply));
        let _ = empty.await;
    }

    /// Waits for the end of the thread.
    pub(super) fn join(self) {
        drop(self.commands);
        let _ = self.thread.join();
    }
}

/// Starts a worker.
pub(super) fn spawn(number: usize, ended: Sender<()>) -> Result<WorkerHandle, StartError> {
    let failed = |source: io::Error| StartError::Worker {
        worker: number,
        source,
    };
    let (commands, inbox) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let thread = std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            runtime.block_on(run(inbox));
            let _ = ended.send(());
        })
        .map_err(failed)?;
    Ok(WorkerHandle { commands, thread })
}

async fn run(mut inbox: mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Ping(reply) | Command::Drained(reply) => {
                let _ = reply.send(());
            }
            Command::StopAccepting => {}
            Command::ExitWhenDrained | Command::Exit => return,
        }
    }
}
