//! A worker: one thread, one current-thread runtime, everything of its connections.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, mpsc::Sender},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
};

use super::{
    Balancer, Events, StartError, StatsService, clock,
    http1::Exchange,
    idle::IdlePool,
    listener::{self, Listener},
    registry::Registry,
    sink::{self, Sinks},
};
use crate::stats::set_worker;

/// How often idle server connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// What other threads may ask of a worker.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer, to show that the loop turns.
    Ping(oneshot::Sender<()>),
    /// Close listeners and idle connections.
    StopAccepting,
    /// A server went down: close its idle connections, and with `cut_sessions` those in use.
    ServerDown {
        backend: usize,
        server: usize,
        cut_sessions: bool,
    },
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
    thread: Mutex<Option<JoinHandle<()>>>,
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
    pub(super) fn join(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// What a worker's connections share.
pub(super) struct Worker {
    /// What all workers share.
    pub(super) balancer: Arc<Balancer>,
    /// The stats page.
    pub(super) stats: Option<Arc<dyn StatsService>>,
    /// The operator.
    pub(super) events: Arc<dyn Events>,
    /// Log sockets.
    pub(super) sinks: Sinks,
    /// Idle server connections.
    pub(super) idle: IdlePool,
    /// Its connections.
    pub(super) registry: Rc<Registry>,
    /// Memory of HTTP exchanges, for the next ones.
    pub(super) exchanges: RefCell<Vec<Exchange>>,
    /// Memory for a log line.
    pub(super) line: RefCell<Vec<u8>>,
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) number: usize,
    pub(super) balancer: Arc<Balancer>,
    pub(super) stats: Option<Arc<dyn StatsService>>,
    pub(super) events: Arc<dyn Events>,
    pub(super) listeners: Vec<Listener>,
}

/// Starts a worker.
pub(super) fn spawn(parts: Parts, ended: Sender<()>) -> Result<WorkerHandle, StartError> {
    let number = parts.number;
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
            set_worker(number);
            let local = LocalSet::new();
            local.block_on(&runtime, run(parts, inbox));
            // Connections that are left are cut here.
            drop(local);
            drop(runtime);
            let _ = ended.send(());
        })
        .map_err(failed)?;
    Ok(WorkerHandle {
        commands,
        thread: Mutex::new(Some(thread)),
    })
}

async fn run(parts: Parts, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let worker = Rc::new(Worker {
        sinks: Sinks::new(Arc::clone(&parts.balancer)),
        balancer: parts.balancer,
        stats: parts.stats,
        events: parts.events,
        idle: IdlePool::default(),
        registry: Rc::default(),
        exchanges: RefCell::default(),
        line: RefCell::default(),
    });
    worker.sinks.prepare();
    let mut accepting: Vec<_> = parts
        .listeners
        .into_iter()
        .map(|l| tokio::task::spawn_local(listener::run(Rc::clone(&worker), l)))
        .collect();
    let sweeping = tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    let (exit, mut exiting) = oneshot::channel();
    let mut exit = Some(exit);
    loop {
        let command = tokio::select! {
            command = inbox.recv() => command,
            _ = &mut exiting => break,
        };
        match command {
            None | Some(Command::Exit) => break,
            Some(Command::Ping(reply)) => {
                let _ = reply.send(());
            }
            Some(Command::StopAccepting) => {
                for task in accepting.drain(..) {
                    task.abort();
                }
                // One worker speaks for all.
                if parts.number == 0 && !worker.registry.is_finishing() {
                    worker.log_stopped();
                }
                worker.registry.finish_all();
            }
            Some(Command::ServerDown {
                backend,
                server,
                cut_sessions,
            }) => {
                worker.idle.purge(backend, server);
                if cut_sessions {
                    worker.registry.server_down(backend, server);
                }
            }
            Some(Command::Drained(reply)) => worker.registry.when_empty(reply),
            Some(Command::ExitWhenDrained) => {
                if let Some(exit) = exit.take() {
                    worker.registry.when_empty(exit);
                }
            }
        }
    }
    sweeping.abort();
    worker.idle.clear();
}

impl Worker {
    /// Cuts the sessions of servers that an operator took out of service, where `on-marked-down
    /// shutdown-sessions` says so. (Checks tell by [`Command::ServerDown`].)
    fn cut_sessions(&self) {
        for (index, backend) in self.balancer.backends.iter().enumerate() {
            for server in backend.servers() {
                if server.config().shutdown_sessions_on_down && !server.accepts_persistent() {
                    self.registry.server_down(index, server.index().index());
                }
            }
        }
    }

    /// The line of each proxy that stops.
    fn log_stopped(&self) {
        let balancer = &self.balancer;
        for (index, proxy) in balancer.config.proxies.iter().enumerate() {
            let accepted = balancer
                .frontend_of(index)
                .and_then(|(at, _)| balancer.frontend_counters.get(at))
                .map_or(0, |counters| counters.connections_total.value());
            let served = balancer
                .backend_of(index)
                .map_or(0, |(_, b)| b.counters().traffic.total(|c| &c.sessions));
            let text = format!(
                "Proxy {} stopped (cumulated conns: FE: {accepted}, BE: {served}).",
                proxy.name
            );
            self.sinks.log(proxy, sink::WARNING, text.as_bytes());
        }
    }
}

/// Looks after idle server connections.
async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        worker.idle.sweep(clock::now());
        worker.cut_sessions();
    }
}
