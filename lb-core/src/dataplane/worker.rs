//! A worker: one thread, one event loop, everything of its connections.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    task::Poll,
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Balancer, Events, Session, StartError, StatsService, clock,
    http1::Exchange,
    http2,
    idle::{IdlePool, Shelf},
    listener::{self, Identities, Leaving, Listener, Post, Relief, Reliefs},
    pipe,
    registry::Registry,
    rt::{self, EventLoop, Pulse},
    sink::Sinks,
};
use crate::{
    log::events::{self, level},
    server::ServerKey,
    stats::{ProcessCounters, set_worker},
};

/// How often idle server connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// So many connections are told of at once: other tasks have their turn in between.
const SESSIONS: usize = 256;

/// What other threads may ask of a worker.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer, to show that the loop turns.
    Ping(oneshot::Sender<()>),
    /// Close listeners and idle connections.
    StopAccepting,
    /// Another configuration is in force.
    Adopt(Box<Orders>),
    /// A server went down: close its idle connections, and with `cut_sessions` those in use.
    ServerDown {
        server: ServerKey,
        cut_sessions: bool,
    },
    /// An active server came up: cut the sessions of this backup server.
    BackupRelieved(ServerKey),
    /// A server has another address: close idle connections to it.
    ServerMoved(ServerKey),
    /// Cut the sessions of a server.
    CutSessions(ServerKey),
    /// Tell which connections there are from this place on, and where the next ones begin.
    Sessions(usize, oneshot::Sender<(Vec<Session>, Option<usize>)>),
    /// Cut the connection of that number, and tell whether it was there.
    CutOne(u64, oneshot::Sender<bool>),
    /// Tell when no connection is left.
    Drained(oneshot::Sender<()>),
    /// Cut every connection: how many each of these proxies has, by its place in the configuration.
    Cut(Vec<(usize, u32)>),
    /// End when no connection is left.
    ExitWhenDrained,
    /// End now.
    Exit,
}

/// What a configuration means to a worker.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) balancer: Arc<Balancer>,
    /// Every listener there is.
    pub(super) listeners: Arc<[Listener]>,
    /// The worker's own sockets and the places of their listeners.
    pub(super) sockets: Vec<(usize, OwnedFd)>,
    /// The sockets of all workers: any other one is no longer listened on.
    pub(super) kept: Arc<Identities>,
    /// Sockets of other workers, for while those stand still.
    pub(super) reliefs: Vec<Relief>,
    /// The idle server connections of every worker.
    pub(super) shelves: Arc<[Arc<Shelf>]>,
}

/// A started worker.
#[derive(Debug, Clone)]
pub(super) struct WorkerHandle {
    /// Not bounded, for neither the checks nor operators are to wait for a worker that stands still (which is seen by its
    /// pulse): what they bring about meanwhile waits, a command of some words for each change of a server, each configuration
    /// and each question, whose asker waits for the answer.
    commands: mpsc::UnboundedSender<Command>,
    pulse: Arc<Pulse>,
    shelf: Arc<Shelf>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Disconnected when the thread's work is done.
    ended: Arc<Mutex<Receiver<()>>>,
}

impl WorkerHandle {
    /// Sends a command; a worker that has ended needs none.
    pub(super) fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Shows whether its loop turns.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Its idle server connections.
    pub(super) fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf)
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

    /// Waits for the end of its work, for so long.
    pub(super) fn ended_within(&self, patience: Duration) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(patience);
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
    /// The configuration in force.
    pub(super) current: RefCell<Current>,
    /// Counters of the process.
    pub(super) process: Arc<ProcessCounters>,
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
    /// Tasks that wait for a stream of HTTP/2.
    pub(super) lanes: http2::Lanes,
    /// Memory of HTTP exchanges, for the next ones.
    #[expect(
        clippy::vec_box,
        reason = "they come and go with every connection, and are large"
    )]
    pub(super) exchanges: RefCell<Vec<Box<Exchange>>>,
    /// Connections that wait for a request and keep the memory of the last one.
    pub(super) waiting: Cell<usize>,
    /// Memory for a log line.
    pub(super) line: RefCell<Vec<u8>>,
    /// Where it may accept for others.
    pub(super) reliefs: Reliefs,
    /// Where it accepts.
    posts: RefCell<Vec<Rc<Post>>>,
}

/// A configuration as a worker has it.
pub(super) struct Current {
    pub(super) balancer: Arc<Balancer>,
    listeners: Rc<[Rc<Listener>]>,
}

impl Current {
    /// What stands for a listener of an earlier configuration; `None` if it is gone.
    pub(super) fn successor(&self, of: &Listener) -> Option<&Rc<Listener>> {
        successor(&self.listeners, of)
    }
}

fn successor<'a>(listeners: &'a [Rc<Listener>], of: &Listener) -> Option<&'a Rc<Listener>> {
    listeners.iter().find(|listener| listener.succeeds(of))
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) number: usize,
    pub(super) stats: Option<Arc<dyn StatsService>>,
    pub(super) events: Arc<dyn Events>,
    pub(super) orders: Orders,
}

/// Starts a worker.
pub(super) fn spawn(parts: Parts) -> Result<WorkerHandle, StartError> {
    let number = parts.number;
    let failed = |source: io::Error| StartError::Worker {
        worker: number,
        source,
    };
    let (commands, inbox) = mpsc::unbounded_channel();
    let (ending, ended) = std::sync::mpsc::channel();
    let turning = EventLoop::new().map_err(failed)?;
    let pulse = turning.pulse();
    let shelf = Arc::<Shelf>::default();
    let own = Arc::clone(&shelf);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            set_worker(number);
            // Connections that are left at its end are cut.
            turning.block_on(run(parts, own, inbox));
            let _ = ending.send(());
        })
        .map_err(failed)?;
    Ok(WorkerHandle {
        commands,
        pulse,
        shelf,
        thread: Arc::new(Mutex::new(Some(thread))),
        ended: Arc::new(Mutex::new(ended)),
    })
}

async fn run(parts: Parts, shelf: Arc<Shelf>, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let balancer = Arc::clone(&parts.orders.balancer);
    let worker = Rc::new(Worker {
        sinks: Sinks::new(Arc::clone(&balancer)),
        process: Arc::clone(&balancer.process),
        current: RefCell::new(Current {
            balancer,
            listeners: Rc::default(),
        }),
        stats: parts.stats,
        events: parts.events,
        idle: IdlePool::new(shelf),
        registry: Rc::new(Registry::new(parts.number)),
        lanes: http2::Lanes::default(),
        exchanges: RefCell::default(),
        waiting: Cell::default(),
        line: RefCell::default(),
        reliefs: Reliefs::default(),
        posts: RefCell::default(),
    });
    worker.adopt(parts.orders);
    let sweeping = rt::spawn(sweep(Rc::clone(&worker), parts.number == 0));
    let helping = rt::spawn(listener::stand_in(Rc::clone(&worker)));
    let (exit, mut exiting) = oneshot::channel();
    let mut exit = Some(exit);
    loop {
        let command = std::future::poll_fn(|cx| {
            if Pin::new(&mut exiting).poll(cx).is_ready() {
                return Poll::Ready(Some(Command::Exit));
            }
            inbox.poll_recv(cx)
        })
        .await;
        match command {
            None | Some(Command::Exit) => break,
            Some(Command::Ping(reply)) => {
                let _ = reply.send(());
            }
            Some(Command::Adopt(orders)) => worker.adopt(*orders),
            Some(Command::StopAccepting) => {
                for post in worker.posts.take() {
                    post.leave(Leaving::Now);
                }
                worker.reliefs.clear();
                // One worker speaks for all.
                if parts.number == 0 && !worker.registry.is_finishing() {
                    worker.log_stopped();
                }
                worker.registry.finish_all();
            }
            Some(Command::ServerDown {
                server,
                cut_sessions,
            }) => {
                worker.idle.purge(server);
                if cut_sessions {
                    worker.registry.server_down(server);
                }
            }
            Some(Command::BackupRelieved(backup)) => worker.registry.server_up(backup),
            Some(Command::ServerMoved(server)) => worker.idle.purge(server),
            Some(Command::Cut(remaining)) => {
                if parts.number == 0 {
                    worker.log_cut(&remaining);
                }
                worker.registry.cut(|_| true);
            }
            Some(Command::CutSessions(server)) => worker.registry.kill(server),
            Some(Command::Sessions(at, reply)) => {
                let _ = reply.send(worker.registry.sessions(at, SESSIONS));
            }
            Some(Command::CutOne(id, reply)) => {
                let _ = reply.send(worker.registry.kill_one(id));
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
    helping.abort();
    worker.idle.clear();
}

impl Worker {
    /// Puts a configuration into force: sockets that stay get their new listener, new ones are accepted from, those
    /// that are gone are emptied first.
    fn adopt(self: &Rc<Self>, orders: Orders) {
        if self.registry.is_finishing() {
            return;
        }
        let listeners: Rc<[_]> = orders.listeners.iter().cloned().map(Rc::new).collect();
        let mut before = self.posts.take();
        let mut posts = Vec::new();
        for (place, fd) in orders.sockets {
            let Some(listener) = listeners.get(place) else {
                continue;
            };
            let identity = listener::identity(&fd);
            if let Some(at) = before.iter().position(|post| post.identity() == identity) {
                let post = before.swap_remove(at);
                post.serve(listener);
                posts.push(post);
                continue;
            }
            match Post::new(fd, listener) {
                Ok(post) => {
                    let post = Rc::new(post);
                    rt::spawn(listener::run(Rc::clone(self), Rc::clone(&post)));
                    posts.push(post);
                }
                Err(e) => self.notice(format!("cannot poll a listening socket: {e}")),
            }
        }
        for post in before {
            // Another worker accepts from it now, or nobody does any more.
            let kept = orders.kept.contains(&post.identity());
            post.leave(if kept {
                Leaving::Now
            } else {
                Leaving::WhenEmpty
            });
        }
        self.posts.replace(posts);
        self.reliefs.adopt(orders.reliefs, &listeners);
        self.sinks.adopt(&orders.balancer);
        self.idle.keep(&orders.balancer.server_keys());
        let global = &orders.balancer.config.global;
        pipe::set_limit(global.max_pipes);
        self.idle.adopt(orders.shelves, !global.idle_apart);
        let grace = global.hard_stop_after;
        let before = self.current.replace(Current {
            balancer: orders.balancer,
            listeners: Rc::clone(&listeners),
        });
        let is_gone = |listener: &Rc<Listener>| successor(&listeners, listener).is_none();
        // Those that went earlier have their time running.
        let any_left = before.listeners.iter().any(is_gone);
        if let Some(grace) = grace.filter(|_| any_left) {
            let worker = Rc::clone(self);
            rt::spawn(async move {
                rt::sleep(grace).await;
                // Those that went with this configuration or before, and have not come back since.
                let current = worker.current.borrow();
                worker
                    .registry
                    .cut(|l| successor(&listeners, l).is_none() && current.successor(l).is_none());
            });
        }
    }

    /// Whether it accepts at all.
    pub(super) fn accepts(&self) -> bool {
        !self.registry.is_finishing()
    }

    /// The line of each proxy that has connections yet which are cut.
    fn log_cut(&self, remaining: &[(usize, u32)]) {
        let proxies = &self.current.borrow().balancer.config.proxies;
        self.sinks
            .log_of_process(level::WARNING, events::HARD_STOP.as_bytes());
        for (index, connections) in remaining {
            if let Some(proxy) = proxies.get(*index) {
                let text = events::proxy_cut(&proxy.name, *connections);
                self.sinks.log(proxy, level::WARNING, text.as_bytes());
            }
        }
    }

    /// The line of each proxy that stops.
    fn log_stopped(&self) {
        let balancer = &self.current.borrow().balancer;
        for (index, proxy) in balancer.config.proxies.iter().enumerate() {
            let accepted = balancer
                .frontend_of(index)
                .and_then(|(at, _)| balancer.frontend_counters.get(at))
                .map_or(0, |counters| counters.connections_total.value());
            let served = balancer
                .backend_of(index)
                .map_or(0, |(_, b)| b.counters().traffic.total(|c| &c.sessions));
            let text = events::proxy_stopped(&proxy.name, accepted, served);
            self.sinks.log(proxy, level::WARNING, text.as_bytes());
        }
    }
}

/// Looks after idle server connections, and one worker after servers that start slowly.
async fn sweep(worker: Rc<Worker>, warms: bool) {
    loop {
        rt::sleep(SWEEP).await;
        worker.idle.sweep(clock::now());
        if warms {
            let listeners = worker.current.borrow();
            for backend in &listeners.balancer.backends {
                backend.warm_up(clock::now());
            }
        }
    }
}
