//! The traffic process: gets its sockets and its configuration from the supervisor, gives up every right, and
//! runs the data plane.
//!
//! It never opens a file. When the supervisor's socket ends, it ends.

mod command_line;
mod farewell;
mod memory;
mod programs;
mod reload;
mod report;

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use lb_core::{
    backend::{Backend, StateChange},
    config::{BindAddress, Config, StatsLevel},
    dataplane::{self, DataPlane, Event, Events, ListenerFd, Options, StartError, StatsService},
    process,
    server::Server,
};
use rustix::process::Signal;
use tokio::{
    sync::{
        Semaphore,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    task::{JoinHandle, spawn_local},
};

use crate::{
    admin::{
        runtime::execute::{Renew, Runtime, ServerOrder},
        stat::service::Service,
    },
    config::{diagnostic::Diagnostics, load},
    heap,
    ipc::{
        beats::Beats,
        channel::Channel,
        message::{BalancerStart, Configuration, FromBalancer, Listener, ToBalancer},
    },
    latest::{Latest, latest},
    privileges::{self, Identity},
    role,
    supervisor::limits::Room,
};

/// Conversations on `stats socket`s at once, unless `stats maxconn` says otherwise.
const CALLERS: usize = 10;

/// The role's entry point; standard input is the supervisor's socket.
pub fn main() -> ExitCode {
    role::play("balancer", run())
}

async fn run() -> io::Result<()> {
    let supervisor = Channel::new(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut sockets: Vec<(Listener, OwnedFd)> = Vec::new();
    let started = loop {
        match supervisor.recv::<ToBalancer>().await? {
            Some((ToBalancer::Listeners(listeners), descriptors)) => {
                sockets.extend(listeners.into_iter().zip(descriptors));
            }
            Some((ToBalancer::Start(given), _)) => break start(&given, sockets),
            Some(_) => {}
            None => return Ok(()),
        }
    };
    match started {
        Ok(running) => running.serve(&supervisor).await,
        Err(why) => supervisor.send(&FromBalancer::Failed(why), &[]).await,
    }
}

/// A running data plane with what surrounds it.
struct Running {
    plane: Arc<DataPlane>,
    runtime: Arc<Runtime>,
    service: Arc<Service>,
    /// Not bounded, as the next two are not, for no worker may wait for this thread, which takes from all three at once: the
    /// changes of servers in the time that the supervisor does not read wait here, as fast as checks and their `rise` and `fall`
    /// let them change.
    events: UnboundedReceiver<Event>,
    /// Servers that operators have changed, by backend and name. What the supervisor is to keep of them is looked up when it is
    /// told: what a check finds meanwhile is told with it or behind it, and never taken back.
    changes: Latest<(String, String), ()>,
    /// What is to be done about servers: each by a command, of which so many are carried out at once as `stats maxconn` says.
    orders: UnboundedReceiver<ServerOrder>,
    /// Programs that are to check servers.
    asked: UnboundedReceiver<programs::Asked>,
    /// Those that do.
    programs: programs::Open,
    /// What operators did to servers, for the logs.
    operations: UnboundedReceiver<StateChange>,
    /// Who accepts on `stats socket`s.
    command_lines: Vec<JoinHandle<()>>,
    /// Sockets for the configuration that comes next.
    arrived: Vec<(Listener, OwnedFd)>,
    /// The configuration that waits for its order.
    prepared: Option<reload::Prepared>,
    /// Reloads that every worker has adopted.
    adopted: UnboundedReceiver<u64>,
    adopting: UnboundedSender<u64>,
}

/// The balancer's part of a configuration that the supervisor has found to be right.
///
/// No more connections are let in than there are descriptors for, and no more pipes made: `maxconn` and `maxpipes` are
/// what fits.
fn read(configuration: &Configuration, listeners: usize) -> Result<Config, String> {
    let mut diagnostics = Diagnostics::new();
    load::load(
        &configuration.sources,
        &configuration.bundle,
        &mut diagnostics,
    )
    .and_then(|loaded| loaded.balancer)
    .map(|mut config| {
        let room = Room::here(&config, listeners);
        let global = &mut config.global;
        global.maxconn = Some(room.connections);
        global.max_pipes = Some(
            global
                .max_pipes
                .map_or(room.pipes, |most| most.min(room.pipes)),
        );
        config
    })
    .ok_or_else(|| format!("the configuration does not read as it did before:\n{diagnostics}"))
}

/// Threads inherit the rights of the thread that starts them: rights are given up before the first one.
fn start(given: &BalancerStart, sockets: Vec<(Listener, OwnedFd)>) -> Result<Running, String> {
    let config = read(&given.configuration, sockets.len())?;
    let identity = Identity::of(&config.global).map_err(|e| e.to_string())?;
    identity.assume().map_err(|e| e.to_string())?;
    if given.configuration.sources.overrides.one_process
        && let Some(supervisor) = rustix::process::getppid()
    {
        process::go_by(supervisor.as_raw_nonzero().get().unsigned_abs());
    }
    // One that is stopped would else keep the sockets, to which clients of the next daemon would come.
    privileges::at_the_end_of_the_parent(Signal::KILL);
    let (told, events) = unbounded_channel();
    let service = Arc::new(Service::default());
    let mut options = Options::new(Arc::new(Told(told)));
    options.workers = given.workers;
    options.utc_offset = given.utc_offset;
    let (ask, asked) = unbounded_channel();
    options.programs = Some(Arc::new(programs::Asks(ask)));
    options.stats = Some(Arc::clone(&service) as Arc<dyn StatsService>);
    let (listeners, stats_sockets) = sort(&config, sockets);
    options.listeners = listeners;
    let plane = dataplane::start(Arc::new(config), options).map_err(|e| refusal(&e))?;
    let plane = Arc::new(plane);
    memory::restore_saved(&plane.balancer(), &given.servers);
    memory::restore(&plane.balancer(), &given.servers);
    let (changed, changes) = latest();
    let (operated, operations) = unbounded_channel();
    let tell = move |backend: &Backend, server: &Server, change| {
        changed.tell((backend.name().to_owned(), server.name().to_owned()), ());
        if let Some(change) = change {
            let _ = operated.send(change);
        }
    };
    let (order, orders) = unbounded_channel();
    let runtime = Arc::new(Runtime::new(
        plane.balancer(),
        given.workers,
        Box::new(tell),
        Box::new(move |asked| {
            let _ = order.send(asked);
        }),
        renewing(&plane),
    ));
    service.serve(Arc::clone(&runtime));
    let command_lines = serve(stats_sockets, &runtime)?;
    let served = Arc::downgrade(&plane);
    spawn_local(heap::after_peaks(move || {
        Some(served.upgrade()?.balancer().process.connections.value())
    }));
    let (adopting, adopted) = unbounded_channel();
    Ok(Running {
        plane,
        runtime,
        service,
        events,
        changes,
        orders,
        asked,
        programs: programs::Open::default(),
        operations,
        command_lines,
        arrived: Vec::new(),
        prepared: None,
        adopted,
        adopting,
    })
}

/// Weak: the plane ends while command lines are still spoken on.
fn renewing(plane: &Arc<DataPlane>) -> Renew {
    let plane = Arc::downgrade(plane);
    Box::new(move |config| {
        let plane = plane.upgrade().ok_or("This process is ending.")?;
        plane
            .replace_servers(Arc::new(config))
            .map_err(|e| refusal(&e))?;
        Ok(plane.balancer())
    })
}

/// Why a configuration cannot run, with the line of the file where that is known.
fn refusal(error: &StartError) -> String {
    let line = error.line().map(|line| format!("{line}: "));
    format!("{}{error}", line.unwrap_or_default())
}

/// A `stats socket`.
struct StatsListener {
    level: StatsLevel,
    address: BindAddress,
    fd: OwnedFd,
}

/// Sockets of the data plane and those of the command line.
fn sort(
    config: &Config,
    sockets: Vec<(Listener, OwnedFd)>,
) -> (Vec<ListenerFd>, Vec<StatsListener>) {
    let (mut binds, mut stats) = (Vec::new(), Vec::new());
    for (listener, fd) in sockets {
        match listener {
            Listener::Bind {
                proxy,
                bind,
                worker,
            } => binds.push(ListenerFd {
                proxy,
                bind,
                worker,
                fd,
            }),
            Listener::Stats(index) => {
                if let Some(socket) = config.global.stats_sockets.get(index) {
                    stats.push(StatsListener {
                        level: socket.level,
                        address: socket.address.clone(),
                        fd,
                    });
                }
            }
        }
    }
    (binds, stats)
}

/// Answers on these sockets.
fn serve(
    sockets: Vec<StatsListener>,
    runtime: &Arc<Runtime>,
) -> Result<Vec<JoinHandle<()>>, String> {
    let most = runtime.balancer().config.global.stats_maxconn;
    let most = most.and_then(|most| usize::try_from(most).ok());
    let places = Arc::new(Semaphore::new(most.unwrap_or(CALLERS)));
    let serve = |socket: StatsListener| {
        let (places, runtime) = (Arc::clone(&places), Arc::clone(runtime));
        command_line::serve(socket.address, socket.fd, socket.level, places, runtime)
    };
    let served: io::Result<_> = sockets.into_iter().map(serve).collect();
    served.map_err(|e| e.to_string())
}

/// Passes the data plane's events on to the main thread.
struct Told(UnboundedSender<Event>);

impl Events for Told {
    fn event(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

impl Running {
    async fn serve(mut self, supervisor: &Channel) -> io::Result<()> {
        supervisor.send(&FromBalancer::Ready, &[]).await?;
        let beats = self.beat(supervisor)?;
        loop {
            tokio::select! {
                message = supervisor.recv::<ToBalancer>() => match message? {
                    Some((ToBalancer::Status, _)) => {
                        let traffic = report::traffic(&self.runtime.balancer());
                        supervisor.send(&FromBalancer::Status(traffic), &[]).await?;
                    }
                    Some((ToBalancer::Daemon(status), _)) => self.service.told(*status, Instant::now()),
                    Some((ToBalancer::HandOver { grace }, _)) => {
                        drop(beats);
                        return self.hand_over(grace, supervisor).await;
                    }
                    Some((ToBalancer::Stop { grace }, _)) => {
                        self.drain(grace).await;
                        return Ok(());
                    }
                    Some((ToBalancer::Listeners(listeners), descriptors)) => {
                        self.arrived.extend(listeners.into_iter().zip(descriptors));
                    }
                    Some((ToBalancer::Prepare { reload, configuration, workers }, _)) => {
                        let done = self.prepare(reload, &configuration, workers);
                        supervisor.send(&FromBalancer::Prepared(reload, done), &[]).await?;
                    }
                    Some((ToBalancer::Commit(reload), _)) => self.commit(reload),
                    Some((ToBalancer::Abandon(_), _)) => self.prepared = None,
                    Some((ToBalancer::CommandLine(rights), descriptors)) => {
                        command_line::answer(descriptors, rights.into(), &self.runtime);
                    }
                    Some((ToBalancer::Checked(number, ended), _)) => self.programs.told(number, ended),
                    Some((ToBalancer::Start(_), _)) => {}
                    None => return Ok(()),
                },
                Some(change) = self.operations.recv() => self.plane.log_change(change),
                Some(order) = self.orders.recv() => carry_out(order, &self.plane),
                Some(asked) = self.asked.recv() => {
                    let check = self.programs.ask(asked);
                    supervisor.send(&FromBalancer::Check(check), &[]).await?;
                }
                Some(reload) = self.adopted.recv() => supervisor.send(&FromBalancer::Adopted(reload), &[]).await?,
                Some((server, ())) = self.changes.recv() => self.tell_of(&server, supervisor).await?,
                Some(event) = self.events.recv() => self.found(&event, supervisor).await?,
            }
        }
    }

    /// What checks have found goes to the log and, about a server, to the supervisor.
    async fn found(&self, event: &Event, supervisor: &Channel) -> io::Result<()> {
        log(event);
        match event {
            Event::Server {
                backend, server, ..
            } => {
                let server = (backend.to_string(), server.to_string());
                self.tell_of(&server, supervisor).await
            }
            _ => Ok(()),
        }
    }

    /// Tells the supervisor what is to be kept of a server, as it is now.
    async fn tell_of(&self, server: &(String, String), supervisor: &Channel) -> io::Result<()> {
        match memory::of(server, &self.runtime.balancer()) {
            Some(state) => supervisor.send(&FromBalancer::Server(state), &[]).await,
            None => Ok(()),
        }
    }
}

/// Does what a command wants of the data plane.
fn carry_out(order: ServerOrder, plane: &Arc<DataPlane>) {
    match order {
        ServerOrder::Sessions(at, reply) => {
            let plane = Arc::clone(plane);
            spawn_local(async move { reply.send(plane.sessions(at).await) });
        }
        ServerOrder::CutOne(id, reply) => {
            let plane = Arc::clone(plane);
            spawn_local(async move { reply.send(plane.shutdown_session(id).await) });
        }
        ServerOrder::Cut(server) => plane.shutdown_sessions(server),
        ServerOrder::Moved(server) => plane.server_moved(server),
    }
}

impl Running {
    /// Shows the supervisor that every worker's event loop turns, as long as all of them do.
    fn beat(&self, supervisor: &Channel) -> io::Result<Beats> {
        let plane = Arc::clone(&self.plane);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Beats::start(supervisor.post(&FromBalancer::Beat)?, move || {
            runtime.block_on(plane.heartbeat());
            true
        })
    }
}

fn log(event: &Event) {
    match event {
        Event::Server {
            backend,
            server,
            text,
            up: true,
        } => tracing::info!(%backend, %server, state = "UP", "{text}"),
        Event::Server {
            backend,
            server,
            text,
            ..
        } => tracing::warn!(%backend, %server, state = "DOWN", "{text}"),
        Event::Done { text } => tracing::info!("{text}"),
        Event::Notice { text } => tracing::warn!("{text}"),
        Event::NoServer { backend, text } => tracing::error!(%backend, "{text}"),
        _ => {}
    }
}
