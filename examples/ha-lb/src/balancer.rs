//! The traffic process: gets its sockets and its configuration from the supervisor, gives up every right, and
//! runs the data plane.
//!
//! It never opens a file. When the supervisor's socket ends, it ends.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use lb_core::{
    config::Config,
    dataplane::{self, DataPlane, Event, Events, ListenerFd, Options},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{LocalSet, spawn_local},
    time::timeout,
};

use crate::{
    config::{diagnostic::Diagnostics, load},
    ipc::{
        channel::Channel,
        message::{Configuration, FromBalancer, Listener, ToBalancer},
    },
    privileges::Identity,
};

/// The role's entry point; standard input is the supervisor's socket.
pub fn main() -> ExitCode {
    let _ = rustix::thread::set_name(c"ha-lb-balancer");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(LocalSet::new().run_until(run()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("balancer: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let supervisor = Channel::new(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut sockets: Vec<(Listener, OwnedFd)> = Vec::new();
    let started = loop {
        match supervisor.recv::<ToBalancer>().await? {
            Some((ToBalancer::Listeners(listeners), descriptors)) => {
                sockets.extend(listeners.into_iter().zip(descriptors));
            }
            Some((
                ToBalancer::Start {
                    configuration,
                    workers,
                    ..
                },
                _,
            )) => {
                break start(&configuration, workers, sockets);
            }
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
    plane: Rc<DataPlane>,
    events: UnboundedReceiver<Event>,
}

/// Threads inherit the rights of the thread that starts them: rights are given up before the first one.
fn start(
    configuration: &Configuration,
    workers: usize,
    sockets: Vec<(Listener, OwnedFd)>,
) -> Result<Running, String> {
    let mut diagnostics = Diagnostics::new();
    let config: Config = load::load(
        &configuration.sources,
        &configuration.bundle,
        &mut diagnostics,
    )
    .and_then(|loaded| loaded.balancer)
    .ok_or_else(|| format!("the configuration does not read as it did before:\n{diagnostics}"))?;
    let identity = Identity::of(&config.global).map_err(|e| e.to_string())?;
    identity.assume().map_err(|e| e.to_string())?;
    let (told, events) = unbounded_channel();
    let mut options = Options::new(Arc::new(Told(told)));
    options.workers = workers;
    for (listener, fd) in sockets {
        if let Listener::Bind {
            proxy,
            bind,
            worker,
        } = listener
        {
            options.listeners.push(ListenerFd {
                proxy,
                bind,
                worker,
                fd,
            });
        }
    }
    let plane = dataplane::start(Arc::new(config), options).map_err(|e| e.to_string())?;
    Ok(Running {
        plane: Rc::new(plane),
        events,
    })
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
        let (pongs, mut beaten) = unbounded_channel();
        loop {
            tokio::select! {
                message = supervisor.recv::<ToBalancer>() => match message? {
                    Some((ToBalancer::Ping(number), _)) => {
                        let (plane, pongs) = (Rc::clone(&self.plane), pongs.clone());
                        spawn_local(async move {
                            plane.heartbeat().await;
                            let _ = pongs.send(number);
                        });
                    }
                    Some((ToBalancer::Stop { grace }, _)) => {
                        self.drain(grace).await;
                        return Ok(());
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                Some(number) = beaten.recv() => supervisor.send(&FromBalancer::Pong(number), &[]).await?,
                Some(event) = self.events.recv() => log(&event),
            }
        }
    }

    async fn drain(&self, grace: Duration) {
        self.plane.stop_accepting();
        if timeout(grace, self.plane.drained()).await.is_err() {
            tracing::warn!(
                "balancer: requests still ran after {} s and were cut",
                grace.as_secs()
            );
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::Server { text, up: true, .. } => tracing::info!("{text}"),
        Event::Server { text, .. } | Event::Notice { text } => tracing::warn!("{text}"),
        Event::NoServer { text, .. } => tracing::error!("{text}"),
        _ => {}
    }
}
