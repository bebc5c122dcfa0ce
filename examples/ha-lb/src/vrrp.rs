//! The VRRP process: builds the routers from keepalived's file, runs the driver, and tells the supervisor what
//! happens. It keeps two capabilities and sees no file once it runs.
//!
//! When the supervisor's socket ends, it resigns everywhere and ends.

mod build;
mod reload;
mod words;

#[cfg(test)]
pub(crate) use build::plan;

use std::{cell::RefCell, io, os::fd::AsFd as _, process::ExitCode, rc::Rc, time::Duration};

use tokio::{
    sync::{
        Notify,
        mpsc::{self, UnboundedReceiver, UnboundedSender, error::TrySendError, unbounded_channel},
        oneshot,
    },
    task::spawn_local,
    time::timeout_at,
};
use vip_netlink::LinuxHost;
use vrrp_fsm::{
    RouterId, RouterStatus, Warning,
    driver::{self, Control, Driver, Observation},
    track::Health,
};

use crate::{
    admin::status::State,
    config::{diagnostic::Diagnostics, keepalived::Config, load},
    ipc::{
        channel::Channel,
        message::{self, Configuration, FromSpeaker, ToSpeaker},
    },
    privileges, role,
};
use reload::{Prepared, Results};
use words::Words;

/// The role's entry point; standard input is the supervisor's socket.
pub fn main() -> ExitCode {
    role::play("speaker", run())
}

async fn run() -> io::Result<()> {
    let supervisor = Rc::new(Channel::new(io::stdin().as_fd().try_clone_to_owned()?)?);
    let (configuration, scripts, succeeds) = loop {
        match supervisor.recv::<ToSpeaker>().await? {
            Some((
                ToSpeaker::Start {
                    configuration,
                    scripts,
                    succeeds,
                },
                _,
            )) => break (configuration, scripts, succeeds),
            Some(_) => {}
            None => return Ok(()),
        }
    };
    match start(&configuration) {
        Ok(speaker) => serve(speaker, scripts, succeeds, &supervisor).await,
        Err(why) => supervisor.send(&FromSpeaker::Failed(why), &[]).await,
    }
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
fn start(configuration: &Configuration) -> Result<Speaker, String> {
    let config = read(configuration)?;
    privileges::leave_the_file_system();
    privileges::keep_only(&privileges::SPEAKER).map_err(|e| e.to_string())?;
    let interfaces = build::Interfaces::of(&config).map_err(|e| e.to_string())?;
    let set = build::routers(&config, &interfaces)?;
    let host = build::host(&config, &interfaces).map_err(|e| e.to_string())?;
    if let Some(why) = host.unfenced() {
        tracing::warn!(
            "no fence for virtual addresses ({why}): if this process is killed, its addresses answer until their \
             lease ends"
        );
    }
    let driver = Driver::new(set, host).map_err(|e| e.to_string())?;
    Ok(Speaker {
        driver,
        words: Words::new(&config, interfaces),
        startup_delay: config.global.startup_delay,
    })
}

/// A speaker that is ready to run.
struct Speaker {
    driver: Driver<LinuxHost>,
    words: Words,
    startup_delay: Duration,
}

/// Runs the driver until it has resigned; everything else happens beside it.
async fn serve(
    speaker: Speaker,
    scripts: Vec<(String, bool)>,
    succeeds: Option<Vec<String>>,
    supervisor: &Rc<Channel>,
) -> io::Result<()> {
    let (control, mut commands) = mpsc::channel(256);
    let (observed, observations) = unbounded_channel();
    let (told, reports) = unbounded_channel();
    let Speaker {
        mut driver,
        words,
        startup_delay,
    } = speaker;
    let words = Rc::new(RefCell::new(words));
    let mut results = Results::new();
    for (name, passed) in scripts {
        track(&control, &words.borrow(), &name, passed);
        results.insert(name, health(passed));
    }
    let startup_delay = match succeeds {
        // The daemon has been up for longer.
        Some(active) => {
            let routers = active.iter().filter_map(|name| words.borrow().router(name));
            routers.for_each(|router| command(&control, Control::Succeed(router)));
            Duration::ZERO
        }
        None => startup_delay,
    };
    if !startup_delay.is_zero() {
        tracing::info!("vrrp_startup_delay: taking part in {startup_delay:?}");
    }
    let reporter = spawn_local(tell(
        Rc::clone(&words),
        observations,
        control.clone(),
        told.clone(),
    ));
    supervisor.send(&FromSpeaker::Ready, &[]).await?;
    let sender = spawn_local(pass_on(Rc::clone(supervisor), reports));
    let stopping = Rc::new(Notify::new());
    let asked = Rc::clone(&stopping);
    let observer = move |id: RouterId, observation| {
        let _ = observed.send((id.index(), observation));
    };
    let begins = tokio::time::Instant::now() + startup_delay;
    let mut listening = true;
    let mut prepared: Option<Prepared> = None;
    // Each round ends with the driver, or with a configuration to be put into force.
    loop {
        let mut drive = Box::pin(async {
            // keepalived.conf(5), vrrp_startup_delay: as if the daemon had been started that much later.
            if timeout_at(begins, asked.notified()).await.is_ok() {
                return Ok(());
            }
            driver.run_with(&mut commands, &observer).await
        });
        let committed = loop {
            tokio::select! {
                biased;
                ended = &mut drive => {
                    ended?;
                    break None;
                }
                message = supervisor.recv::<ToSpeaker>(), if listening => match message {
                    Ok(Some((ToSpeaker::Script { name, passed }, _))) => {
                        track(&control, &words.borrow(), &name, passed);
                        results.insert(name, health(passed));
                    }
                    Ok(Some((ToSpeaker::Status, _))) => {
                        spawn_local(status(Rc::clone(&words), control.clone(), told.clone()));
                    }
                    Ok(Some((ToSpeaker::Prepare { reload, configuration }, _))) => {
                        let made = reload::prepare(reload, &configuration, &words.borrow());
                        let ready = made.map(|made| prepared = Some(made));
                        let _ = told.send(FromSpeaker::Prepared(reload, ready));
                    }
                    Ok(Some((ToSpeaker::Commit(reload), _))) => {
                        if let Some(prepared) = prepared.take_if(|p| p.reload == reload) {
                            break Some(prepared);
                        }
                    }
                    Ok(Some((ToSpeaker::Abandon(_), _))) => prepared = None,
                    Ok(Some((ToSpeaker::Start { .. }, _))) => {}
                    Ok(Some((ToSpeaker::Stop, _)) | None) | Err(_) => {
                        listening = false;
                        stopping.notify_one();
                        command(&control, Control::Shutdown);
                    }
                },
            }
        };
        drop(drive);
        let Some(prepared) = committed else {
            break;
        };
        let words = &mut words.borrow_mut();
        reload::apply(prepared, &mut driver, words, &results, &observer);
    }
    // What was observed at the very end is told too.
    drop((observer, driver, commands));
    let _ = reporter.await;
    drop(told);
    let _ = sender.await;
    Ok(())
}

/// Beside the driver: a supervisor that does not read must not hold an advert up.
async fn pass_on(supervisor: Rc<Channel>, mut reports: UnboundedReceiver<FromSpeaker>) {
    while let Some(report) = reports.recv().await {
        let _ = supervisor.send(&report, &[]).await;
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

fn track(control: &mpsc::Sender<Control>, words: &Words, name: &str, passed: bool) {
    if let Some(position) = words.script(name) {
        let object = build::script(position);
        let health = health(passed);
        command(control, Control::Track { object, health });
    }
}

fn health(passed: bool) -> Health {
    if passed { Health::Up } else { Health::Down }
}

/// How all routers are; `None` once the driver has ended.
async fn snapshot(control: &mpsc::Sender<Control>) -> Option<Vec<RouterStatus>> {
    let (reply, answer) = oneshot::channel();
    control.send(Control::Snapshot(reply)).await.ok()?;
    answer.await.ok()
}

async fn effective_priority(control: &mpsc::Sender<Control>, number: usize) -> Option<u8> {
    let routers = snapshot(control).await?;
    Some(routers.get(number)?.effective_priority.value())
}

async fn status(
    words: Rc<RefCell<Words>>,
    control: mpsc::Sender<Control>,
    told: UnboundedSender<FromSpeaker>,
) {
    let routers = snapshot(&control).await.unwrap_or_default();
    let now = driver::now();
    let words = words.borrow();
    let instances = routers
        .iter()
        .filter(|router| !words.is_gone(router.id.index()))
        .map(|router| words.status(router, now))
        .collect();
    let _ = told.send(FromSpeaker::Status(instances));
}

/// Logs what the driver observes, and tells the supervisor of changes of state in their order.
async fn tell(
    words: Rc<RefCell<Words>>,
    mut observations: UnboundedReceiver<(usize, Observation)>,
    control: mpsc::Sender<Control>,
    told: UnboundedSender<FromSpeaker>,
) {
    while let Some((number, observation)) = observations.recv().await {
        let transition = match observation {
            Observation::Transition(transition) => transition,
            other => {
                let instance = words.borrow().instance(number).to_owned();
                tracing::warn!("{instance}: {other}");
                if let Observation::Warning(Warning::TwoActives { .. }) = other {
                    let priority = effective_priority(&control, number).await;
                    let priority = priority.unwrap_or_default();
                    let _ = told.send(FromSpeaker::LowerPriority { instance, priority });
                }
                continue;
            }
        };
        let mut changed = words.borrow_mut().changed(number, transition);
        if changed.from == changed.to {
            let how = match changed.to {
                State::Fault => "still in Fault",
                _ => "waiting",
            };
            tracing::info!("{}: {how}: {}", changed.instance, changed.reason);
            continue;
        }
        let message::Transition {
            instance,
            from,
            to,
            reason,
            ..
        } = &changed;
        tracing::info!("{instance}: {from} -> {to}: {reason}");
        if let Some(priority) = effective_priority(&control, number).await {
            changed.priority = priority;
        }
        let _ = told.send(FromSpeaker::Transition(changed));
    }
}
