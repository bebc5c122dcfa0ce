//! The running data plane: its workers, its checks, and how one configuration replaces another.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Balancer, Events, ListenerFd, Options, Session, SessionsAt, StartError, StatsService, clock,
    idle::Shelf,
    listener::{self, Listener, Relief},
    probe::Checks,
    worker::{self, Command, Orders, Parts, WorkerHandle},
};
use crate::{backend::StateChange, config::Config, server::ServerKey};

/// The running data plane.
pub struct DataPlane {
    running: Mutex<Running>,
    /// Duplicates of what is listened on, for configurations that differ in servers alone.
    listening: Mutex<Vec<ListenerFd>>,
    checks: Mutex<Option<Checks>>,
    stats: Option<Arc<dyn StatsService>>,
    events: Arc<dyn Events>,
}

/// What runs now.
struct Running {
    balancer: Arc<Balancer>,
    /// Workers that ever ran: one that is no longer wanted serves what it has, then waits to be wanted again.
    workers: Arc<[WorkerHandle]>,
}

/// A configuration that is ready to run; dropping it refuses it and closes its sockets.
#[must_use = "dropping it refuses the configuration"]
pub struct Prepared {
    balancer: Arc<Balancer>,
    listeners: Arc<[Listener]>,
    sockets: Vec<Vec<(usize, OwnedFd)>>,
    listening: Vec<ListenerFd>,
    /// Workers beyond those that run.
    added: Vec<WorkerHandle>,
}

impl std::fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataPlane").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for worker in self.added.drain(..) {
            worker.send(Command::Exit);
            worker.join();
        }
    }
}

/// Tells what would keep a plane from starting besides its sockets and threads: certificates, keys and lists that cannot
/// be used, for one.
pub fn check(config: Arc<Config>) -> Result<(), StartError> {
    Balancer::new(config, 0, clock::now()).map(drop)
}

/// Starts the workers and the health checks.
pub fn start(config: Arc<Config>, options: Options) -> Result<DataPlane, StartError> {
    let balancer = Balancer::new(config, options.utc_offset, clock::now())?;
    let empty = Arc::new(Balancer::new(
        Arc::default(),
        options.utc_offset,
        clock::now(),
    )?);
    let plane = DataPlane {
        running: Mutex::new(Running {
            balancer: empty,
            workers: Arc::new([]),
        }),
        listening: Mutex::default(),
        checks: Mutex::new(None),
        stats: options.stats,
        events: options.events,
    };
    let prepared = plane.with_listeners(balancer, options.workers, options.listeners)?;
    let events = Arc::clone(&plane.events);
    let checks = Checks::start(&prepared.balancer, events, options.programs)?;
    *plane.checks() = Some(checks);
    plane.commit(prepared);
    Ok(plane)
}

fn duplicates(listeners: &[ListenerFd]) -> Result<Vec<ListenerFd>, StartError> {
    let duplicate = |listener: &ListenerFd| {
        let fd = listener.fd.try_clone().map_err(StartError::Descriptor)?;
        Ok(ListenerFd { fd, ..*listener })
    };
    listeners.iter().map(duplicate).collect()
}

impl DataPlane {
    /// An operator changed a server: the logs of its proxy hear of it, as of what checks find.
    pub fn log_change(&self, change: StateChange) {
        if let Some(checks) = &*self.checks() {
            checks.log(change);
        }
    }

    /// What workers share now; a reload replaces it.
    pub fn balancer(&self) -> Arc<Balancer> {
        Arc::clone(&self.running().balancer)
    }

    /// Makes everything ready for another configuration while the present one runs on undisturbed. `listeners`
    /// are all that there are to be: a duplicate of a descriptor that is already listened on goes on without a gap,
    /// whichever worker it is for.
    pub fn prepare(
        &self,
        config: Arc<Config>,
        workers: usize,
        listeners: Vec<ListenerFd>,
    ) -> Result<Prepared, StartError> {
        let balancer = self.balancer().renewed(config, clock::now())?;
        self.with_listeners(balancer, workers, listeners)
    }

    fn with_listeners(
        &self,
        balancer: Balancer,
        workers: usize,
        given: Vec<ListenerFd>,
    ) -> Result<Prepared, StartError> {
        let count = workers.max(1);
        let balancer = Arc::new(balancer);
        let mut sockets: Vec<_> = (0..count).map(|_| Vec::new()).collect();
        let mut listeners: Vec<Listener> = Vec::new();
        let listening = duplicates(&given)?;
        let heard: listener::Identities = {
            let present = self.listening();
            present
                .iter()
                .map(|one| listener::identity(&one.fd))
                .collect()
        };
        for given in given {
            let place = (given.proxy, given.bind);
            let known = listeners.iter().position(|l| l.place() == place);
            let index = match known {
                Some(index) => index,
                None => {
                    listeners.push(Listener::new(&given, &balancer)?);
                    listeners.len() - 1
                }
            };
            let Some(of_worker) = sockets.get_mut(given.worker) else {
                return Err(StartError::UnknownListener {
                    proxy: given.proxy,
                    bind: given.bind,
                    worker: given.worker,
                });
            };
            // One that is new is listened on before the configuration is in force.
            if !heard.contains(&listener::identity(&given.fd))
                && let Some(listener) = listeners.get(index)
            {
                listener.tune(&given.fd);
            }
            of_worker.push((index, given.fd));
        }
        let mut prepared = Prepared {
            balancer,
            listeners: listeners.into(),
            sockets,
            listening,
            added: Vec::new(),
        };
        let running = self.running().workers.len();
        for number in running..count {
            let parts = Parts {
                number,
                stats: self.stats.clone(),
                events: Arc::clone(&self.events),
                orders: prepared.orders(Vec::new(), Vec::new(), Arc::default(), Arc::default()),
            };
            prepared.added.push(worker::spawn(parts)?);
        }
        Ok(prepared)
    }

    /// Puts a prepared configuration into force. Connections go over to it at their next request; those of
    /// listeners that are gone finish, for at most `hard-stop-after`.
    pub fn commit(&self, mut prepared: Prepared) {
        let mut running = self.running();
        *self.listening() = std::mem::take(&mut prepared.listening);
        prepared.balancer.take_over(&running.balancer, clock::now());
        let known = running.workers.iter().cloned();
        running.workers = known.chain(prepared.added.drain(..)).collect();
        let sockets = std::mem::take(&mut prepared.sockets);
        // Not before: those that are listened on already stay as they are if the configuration is refused.
        for (index, fd) in sockets.iter().flatten() {
            if let Some(listener) = prepared.listeners.get(*index) {
                listener.tune(fd);
            }
        }
        let kept = sockets.iter().flatten();
        let kept = Arc::new(kept.map(|(_, fd)| listener::identity(fd)).collect());
        let mut reliefs = listener::relieve(&running.workers, &sockets).into_iter();
        let shelves: Arc<[_]> = running.workers.iter().map(WorkerHandle::shelf).collect();
        let mut sockets = sockets.into_iter();
        for worker in running.workers.iter() {
            let own = sockets.next().unwrap_or_default();
            let reliefs = reliefs.next().unwrap_or_default();
            let orders = prepared.orders(own, reliefs, Arc::clone(&kept), Arc::clone(&shelves));
            worker.send(Command::Adopt(Box::new(orders)));
        }
        running.balancer = Arc::clone(&prepared.balancer);
        if let Some(checks) = &*self.checks() {
            checks.adopt(&running.balancer, &running.workers);
        }
    }

    /// Puts a configuration into force that differs from the present one in servers alone, at once.
    pub fn replace_servers(&self, config: Arc<Config>) -> Result<(), StartError> {
        let listeners = duplicates(&self.listening())?;
        let workers = listeners
            .iter()
            .map(|listener| listener.worker + 1)
            .max()
            .unwrap_or(1);
        let present = self.balancer();
        let mut balancer = present.renewed(config, clock::now())?;
        balancer.keep_tls_of(&present);
        let prepared = self.with_listeners(balancer, workers, listeners)?;
        self.commit(prepared);
        Ok(())
    }

    /// Closes the listeners; running connections go on, idle ones are closed.
    pub fn stop_accepting(&self) {
        self.listening().clear();
        for worker in self.workers().iter() {
            worker.send(Command::StopAccepting);
        }
    }

    /// Ends the conversations with peers, and tells the process that has taken the place of this one (as its sockets or
    /// the addresses of its `peers` sections show) all that the stick tables hold. Completes when that is done, or there
    /// is none such; for use after [`DataPlane::stop_accepting`]. Works under any executor.
    pub async fn teach_successor(&self) {
        // Not to be called by itself.
        self.heartbeat().await;
        let (reply, told) = oneshot::channel();
        if let Some(checks) = &*self.checks() {
            checks.teach(reply);
        }
        let _ = told.await;
    }

    /// Cuts the sessions of a server (`shutdown sessions server`); log lines say `K`.
    pub fn shutdown_sessions(&self, server: ServerKey) {
        for worker in self.workers().iter() {
            worker.send(Command::CutSessions(server));
        }
    }

    /// Some of the connections there are (`show sess`), and where the rest begins; works under any executor. `None` if a
    /// worker does not say.
    pub async fn sessions(&self, at: SessionsAt) -> Option<(Vec<Session>, Option<SessionsAt>)> {
        let workers = self.workers();
        let Some(worker) = workers.get(at.worker) else {
            return Some((Vec::new(), None));
        };
        let (reply, told) = oneshot::channel();
        worker.send(Command::Sessions(at.entry, reply));
        let (sessions, rest) = told.await.ok()?;
        let next = match rest {
            Some(entry) => SessionsAt { entry, ..at },
            None => SessionsAt {
                worker: at.worker + 1,
                entry: 0,
            },
        };
        Some((sessions, (next.worker < workers.len()).then_some(next)))
    }

    /// Cuts one connection (`shutdown session`); its log line says `K`. False if there is none of that number.
    pub async fn shutdown_session(&self, id: u64) -> bool {
        for worker in self.workers().iter() {
            let (reply, told) = oneshot::channel();
            worker.send(Command::CutOne(id, reply));
            if told.await.unwrap_or_default() {
                return true;
            }
        }
        false
    }

    /// A server has another address: idle connections to the old one are closed, and its checks go to the new one.
    pub fn server_moved(&self, server: ServerKey) {
        let running = self.running();
        for worker in running.workers.iter() {
            worker.send(Command::ServerMoved(server));
        }
        if let Some(checks) = &*self.checks() {
            checks.adopt(&running.balancer, &running.workers);
        }
    }

    /// Completes once every worker's event loop has turned; works under any executor.
    pub async fn heartbeat(&self) {
        for worker in self.workers().iter() {
            worker.ping().await;
        }
    }

    /// Cuts every connection that is left; its log line says so (termination state `K`).
    pub fn cut(&self) {
        let running = self.running();
        let balancer = &running.balancer;
        let connections = |proxy: usize| {
            let (at, _) = balancer.frontend_of(proxy)?;
            Some(balancer.frontend_counters.get(at)?.connections.value())
        };
        let proxies = 0..balancer.config.proxies.len();
        let remaining = proxies.filter_map(|proxy| Some((proxy, connections(proxy)?)));
        let remaining: Vec<_> = remaining.filter(|(_, count)| *count > 0).collect();
        for worker in running.workers.iter() {
            worker.send(Command::Cut(remaining.clone()));
        }
    }

    /// Completes once no client connection is left; for use after [`DataPlane::stop_accepting`].
    pub async fn drained(&self) {
        for worker in self.workers().iter() {
            worker.drained().await;
        }
    }

    /// Stops accepting, lets running requests finish for `grace`, cuts what is left and ends the threads.
    /// Blocks.
    pub fn join(self, grace: Duration) {
        self.stop_accepting();
        let workers = self.workers();
        for worker in workers.iter() {
            worker.send(Command::ExitWhenDrained);
        }
        let deadline = clock::now() + grace;
        for worker in workers.iter() {
            worker.ended_within(deadline.saturating_duration_since(clock::now()));
        }
        for worker in workers.iter() {
            worker.send(Command::Exit);
        }
        if let Some(checks) = self.checks().take() {
            checks.join();
        }
        for worker in workers.iter() {
            worker.join();
        }
    }

    fn workers(&self) -> Arc<[WorkerHandle]> {
        Arc::clone(&self.running().workers)
    }

    fn listening(&self) -> MutexGuard<'_, Vec<ListenerFd>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checks(&self) -> MutexGuard<'_, Option<Checks>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prepared {
    /// What a worker is told of it.
    fn orders(
        &self,
        sockets: Vec<(usize, OwnedFd)>,
        reliefs: Vec<Relief>,
        kept: Arc<listener::Identities>,
        shelves: Arc<[Arc<Shelf>]>,
    ) -> Orders {
        Orders {
            balancer: Arc::clone(&self.balancer),
            listeners: Arc::clone(&self.listeners),
            sockets,
            kept,
            reliefs,
            shelves,
        }
    }
}
