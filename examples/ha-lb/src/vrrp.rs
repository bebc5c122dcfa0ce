//! The VRRP process: builds the routers from keepalived's file, runs the driver, and tells the supervisor what
//! happens. It keeps two capabilities and sees no file once it runs.
//!
//! When the supervisor's socket ends, it resigns everywhere and ends.

mod build;
mod handover;
mod heartbeat;
mod orders;
mod reload;
mod words;

#[cfg(test)]
pub(crate) use build::plan;
pub(crate) use heartbeat::SILENCE;

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender, error::TrySendError, unbounded_channel},
        oneshot,
    },
    task::spawn_local,
};
use vip_netlink::LinuxHost;
use vrrp_fsm::{
    RouterId,
    driver::{self, Control, Driver, Observation, Snapshot},
    track::Health,
};

use crate::{
    bfd::endpoint::{Inquirer, Sessions},
    config::{
        diagnostic::Diagnostics,
        keepalived::{Bfd, Config},
        load,
    },
    heap,
    ipc::{
        channel::Channel,
        message::{Configuration, FromSpeaker, ToSpeaker},
        watched::{Finding, Watched},
    },
    logging, privileges, role, scheduling,
};
use handover::{Document, Left};
use heartbeat::Heartbeat;
use orders::{Interrupt, Orders};
use words::Words;

/// The role's entry point; standard input is the supervisor's socket.
pub fn main() -> ExitCode {
    role::play("speaker", run())
}

async fn run() -> io::Result<()> {
    let supervisor = Rc::new(Channel::new(io::stdin().as_fd().try_clone_to_owned()?)?);
    let (given, line) = loop {
        match supervisor.recv::<ToSpeaker>().await? {
            Some((
                ToSpeaker::Start {
                    configuration,
                    findings,
                    succeeds,
                    hands_over,
                },
                mut descriptors,
            )) => {
                let given = Given {
                    configuration,
                    findings,
                    succeeds,
                };
                break (given, descriptors.pop().filter(|_| hands_over));
            }
            Some(_) => {}
            None => return Ok(()),
        }
    };
    let speaker = match start(&given, line.is_some()) {
        Ok(speaker) => speaker
            .after(line)
            .await
            .map_err(FromSpeaker::NotHandedOver),
        Err(why) => Err(FromSpeaker::Failed(why)),
    };
    match speaker {
        Ok(speaker) => serve(speaker, given, &supervisor).await,
        Err(failed) => supervisor.send(&failed, &[]).await,
    }
}

/// What the supervisor gave at the start.
struct Given {
    configuration: Configuration,
    findings: Vec<(Watched, Finding)>,
    succeeds: Option<Vec<String>>,
}

/// keepalived's part of a configuration that the supervisor has found to be right.
fn read(configuration: &Configuration) -> Result<Config, String> {
    let mut diagnostics = Diagnostics::new();
    load::load(
        &configuration.sources,
        &configuration.bundle,
        &mut diagnostics,
    )
    .and_then(|loaded| loaded.keepalived)
    .ok_or_else(|| format!("the configuration does not read as it did before:\n{diagnostics}"))
}

/// Rights are given up before the host starts its thread, which inherits what is left.
fn start(given: &Given, succession: bool) -> Result<Speaker, String> {
    let config = read(&given.configuration)?;
    scheduling::speaker(&config.global.process);
    privileges::leave_the_file_system();
    let rights: &[_] = match config.global.process.no_swap {
        true => &privileges::SPEAKER_IN_MEMORY,
        false => &privileges::SPEAKER,
    };
    privileges::keep_only(rights).map_err(|e| e.to_string())?;
    logging::write_aside();
    // One that is stopped goes on, finds that it is late, and ends in order.
    privileges::at_the_end_of_the_parent(Signal::CONT);
    let interfaces = build::Interfaces::of(&config).map_err(|e| e.to_string())?;
    // A daemon that has been up for longer has waited already.
    let startup_delay = match succession || given.succeeds.is_some() {
        true => Duration::ZERO,
        false => startup_delay(&config),
    };
    if !startup_delay.is_zero() {
        tracing::info!("vrrp_startup_delay: taking part in {startup_delay:.1?}");
    }
    let set = build::routers(&config, &interfaces, startup_delay)?;
    let host = build::host(&config, &interfaces, succession).map_err(|e| e.to_string())?;
    if let Some(why) = host.unfenced() {
        tracing::warn!(
            "no fence for virtual addresses ({why}): if this process is killed, its addresses answer until their \
             lease ends"
        );
    }
    let refusing = config.instances.iter().find(|instance| !instance.accept);
    if let (Some(_), Some(instance)) = (host.unfenced(), refusing) {
        let name = &instance.name;
        tracing::warn!("{name}: `no_accept` has no effect without nftables");
    }
    if let Some(why) = host.unheld() {
        tracing::warn!(
            "the fence cannot be kept open by adverts ({why}): if this process is stopped (SIGSTOP), its addresses \
             answer until their lease ends"
        );
    }
    for (interface, asked, room) in host.cramped() {
        tracing::warn!(
            "{}: the receive buffer for adverts has {room} bytes instead of {asked}: bursts of many virtual routers may \
             be lost (net.core.rmem_max)",
            interface.name()
        );
    }
    let driver = Driver::new(set, host).map_err(|e| e.to_string())?;
    Ok(Speaker {
        driver,
        words: Words::new(&config, interfaces),
        left: None,
        bfds: config.bfds,
    })
}

/// The longer of `vrrp_startup_delay` and what is left of `vrrp_delay_after_boot`.
fn startup_delay(config: &Config) -> Duration {
    let up = driver::now().since_epoch();
    let after_boot = config.global.delay_after_boot.saturating_sub(up);
    config.global.startup_delay.max(after_boot)
}

/// A speaker that is ready to run.
struct Speaker {
    driver: Driver<LinuxHost>,
    words: Words,
    /// What a predecessor handed over.
    left: Option<Document>,
    /// Neighbours that are watched.
    bfds: Vec<Bfd>,
}

impl Speaker {
    /// Everything stands ready: takes over from the predecessor, if there is one.
    async fn after(mut self, line: Option<OwnedFd>) -> Result<Self, String> {
        if let Some(line) = line {
            let line = Channel::new(line).map_err(|e| e.to_string())?;
            let left = handover::take(&line).await;
            let left =
                left.map_err(|why| format!("the speaker before did not hand over: {why}"))?;
            for left in &left.routers {
                self.words
                    .remember(&left.instance, left.last_change.clone());
            }
            self.left = Some(left);
        }
        Ok(self)
    }
}

/// Runs the driver until it has resigned; everything else happens beside it.
async fn serve(speaker: Speaker, given: Given, supervisor: &Rc<Channel>) -> io::Result<()> {
    let (control, mut commands) = mpsc::channel(256);
    // Not bounded, for the driver is never to wait. Packets bring about little: what is wrong with them is told the 1st, 2nd,
    // 4th time; and states change at intervals of the protocol. While the supervisor does not read, that much waits.
    let (observed, observations) = unbounded_channel();
    let (told, reports) = unbounded_channel();
    let Speaker {
        mut driver,
        words,
        left,
        bfds,
    } = speaker;
    let words = Rc::new(RefCell::new(words));
    let observer = move |id: RouterId, observation| {
        let _ = observed.send((id.index(), observation));
    };
    let saved = left.as_ref().map(|left| &*left.sessions);
    let (sessions, neighbours) = Sessions::begin(bfds, saved.unwrap_or_default());
    let mut orders = Orders::new(
        Rc::clone(supervisor),
        control.clone(),
        Rc::clone(&words),
        told.clone(),
        neighbours,
        sessions.inquirer(),
        Heartbeat::new()?,
    );
    // How each of them is now.
    while let Some(found) = orders.neighbours.try_recv() {
        orders.reaches(found);
    }
    for (watched, finding) in given.findings {
        orders.found(watched, finding);
    }
    match (&left, given.succeeds) {
        (Some(left), active) => {
            resume(&mut driver, &left.routers, &orders, &observer);
            for change in words.borrow().changed_since(&active.unwrap_or_default()) {
                let _ = told.send(FromSpeaker::Transition(change));
            }
        }
        (None, Some(active)) => {
            let routers = active.iter().filter_map(|name| words.borrow().router(name));
            routers.for_each(|router| command(&control, Control::Succeed(router)));
        }
        (None, None) => {}
    }
    let renames = told.clone();
    let reporter = spawn_local(tell(Rc::clone(&words), observations, told));
    supervisor.send(&FromSpeaker::Ready, &[]).await?;
    let sender = spawn_local(pass_on(Rc::clone(supervisor), reports));
    heap::give_back();
    // Each round ends with the driver, or with something that needs it.
    loop {
        let drive = driver.run_with(&mut commands, &observer);
        let interrupt = tokio::select! {
            biased;
            ended = drive => ended.map(|()| Interrupt::Ended)?,
            interrupt = orders.next() => interrupt,
        };
        match interrupt {
            Interrupt::Ended => break,
            Interrupt::Commit(prepared) => {
                let reload = prepared.reload;
                sessions.become_(prepared.bfds());
                let words = &mut words.borrow_mut();
                let renamed =
                    reload::apply(*prepared, &mut driver, words, &orders.results, &observer);
                for change in renamed {
                    let _ = renames.send(FromSpeaker::Transition(change));
                }
                let _ = renames.send(FromSpeaker::Adopted(reload));
                heap::give_back();
            }
            Interrupt::Give(successor) => {
                let saved = sessions.save().await;
                let left = leaving(&driver, &words.borrow());
                handover::leave(&successor, left, saved).await;
            }
        }
    }
    sessions.end().await;
    // What was observed at the very end is told too.
    drop((observer, driver, commands, orders, renames));
    let _ = reporter.await;
    let _ = sender.await;
    Ok(())
}

/// The routers go on where the predecessor left them.
fn resume(
    driver: &mut Driver<LinuxHost>,
    left: &[Left],
    orders: &Orders,
    observer: impl FnMut(RouterId, Observation),
) {
    let words = orders.words.borrow();
    let known = |id: RouterId| {
        let name = words.instance(id.index());
        let left = left.iter().find(|left| left.instance == name)?;
        Some(left.memory())
    };
    let results = orders.results.iter();
    let healths = results.filter_map(|(one, health)| Some((words.watched(one)?, *health)));
    driver.resume(healths, known, observer);
}

/// What a successor has to know of the routers that run.
fn leaving(driver: &Driver<LinuxHost>, words: &Words) -> Vec<Left> {
    let memories = driver.memories().into_iter();
    let running = memories.filter(|(id, _)| !words.is_gone(id.index()));
    running
        .map(|(id, memory)| {
            let number = id.index();
            Left::new(words.instance(number), memory, words.last_change(number))
        })
        .collect()
}

/// Beside the driver: a supervisor that does not read must not hold an advert up.
async fn pass_on(supervisor: Rc<Channel>, mut reports: UnboundedReceiver<FromSpeaker>) {
    while let Some(report) = reports.recv().await {
        let _ = supervisor.send(&report, &[]).await;
        // Whoever is at the other end after that may understand nothing else.
        if matches!(report, FromSpeaker::HandsOver) {
            return;
        }
    }
}

fn command(control: &mpsc::Sender<Control>, command: Control) {
    // The queue is full only if the driver has not run for hundreds of commands: wait beside it.
    if let Err(TrySendError::Full(command)) = control.try_send(command) {
        let control = control.clone();
        spawn_local(async move {
            let _ = control.send(command).await;
        });
    }
}

fn track(control: &mpsc::Sender<Control>, words: &Words, watched: &Watched, health: Health) {
    if let Some(object) = words.watched(watched) {
        command(control, Control::Track { object, health });
    }
}

fn health(finding: Finding) -> Health {
    match finding {
        Finding::Passes => Health::Up,
        Finding::Fails => Health::Down,
        Finding::Value(value) => Health::Value(value),
    }
}

/// How all routers are; `None` once the driver has ended.
async fn snapshot(control: &mpsc::Sender<Control>) -> Option<Snapshot> {
    let (reply, answer) = oneshot::channel();
    control.send(Control::Snapshot(reply)).await.ok()?;
    answer.await.ok()
}

/// Tells the supervisor how everything is.
async fn status(
    words: Rc<RefCell<Words>>,
    control: mpsc::Sender<Control>,
    sessions: Inquirer,
    told: UnboundedSender<FromSpeaker>,
) {
    let Some(snapshot) = snapshot(&control).await else {
        return;
    };
    let neighbours = sessions.report().await;
    let now = driver::now();
    let words = words.borrow();
    let instances = snapshot
        .routers
        .iter()
        .filter(|report| !words.is_gone(report.status.id.index()))
        .map(|report| words.status(report, now))
        .collect();
    let mut stray = words::rejected(&snapshot.stray);
    stray.extend(words::unheard(&snapshot));
    let fixtures = snapshot.fixtures.as_ref();
    heap::give_back_talk(snapshot.routers.len());
    let _ = told.send(FromSpeaker::Status {
        instances,
        stray,
        strangers: words.strangers(&snapshot.strangers, now),
        neighbours,
        retrying_static: fixtures.map(|one| words::failure(one, now)),
    });
}

/// Logs what the driver observes, and tells the supervisor of changes of state in their order.
async fn tell(
    words: Rc<RefCell<Words>>,
    mut observations: UnboundedReceiver<(usize, Observation)>,
    told: UnboundedSender<FromSpeaker>,
) {
    while let Some((number, seen)) = observations.recv().await {
        if let Some(report) = words.borrow_mut().observed(number, seen) {
            let _ = told.send(report);
        }
    }
}
