//! The daemon's beginning: what is listened to before the first turn of the loop, the scripts around it, and what is
//! taken over from a program before.

use std::{
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    net::UnixListener,
    sync::mpsc::{self, UnboundedSender},
};

use super::{
    Daemon, Event, dumps,
    leaving::Leaving,
    programs::Programs,
    reload::Repeat,
    schedule::Schedule,
    signals::{self, Heard},
    stop::Phase,
    succession::Predecessors,
};
use crate::{
    admin::status,
    heap,
    mail::{Post, Settings},
    notify::Notifier,
    supervisor::{
        child::Role,
        command::Command,
        control,
        launch::{End, Launched, Program},
        liveness::Liveness,
        slot::Slot,
        start::Prepared,
        tracks::{Tracks, Turn},
        upgrade::Inherited,
    },
};

/// How long requests may go on after SIGTERM unless `hard-stop-after` says otherwise.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// A script of the start or the end; whatever becomes of it, the daemon goes on.
async fn run_once(keyword: &str, script: Option<(Command, Duration)>) {
    if let Some((command, limit)) = script {
        let outcome = command.run(limit).await;
        match outcome.passed() {
            true => tracing::info!("{keyword}: {outcome}"),
            false => tracing::warn!("{keyword}: {outcome}"),
        }
    }
}

impl Daemon {
    /// Runs until a signal ends it.
    pub(in crate::supervisor) async fn run(
        prepared: Prepared,
        launched: Launched,
        inherited: Inherited,
    ) -> io::Result<End> {
        // Not bounded in itself, for signals do not wait: what children say holds a place in their room until it is heard, whoever
        // asks waits for the answer, and a script or a letter ends once.
        let (events, mut queue) = mpsc::unbounded_channel();
        signals::listen(launched.program, &events)?;
        let listener = UnixListener::from_std(prepared.listener.try_clone()?)?;
        let asked = events.clone();
        tokio::spawn(control::serve(listener, move |request| {
            let _ = asked.send(Event::Control(request));
        }));
        for socket in &prepared.master {
            let asked = events.clone();
            socket.serve(move |ask| {
                let _ = asked.send(Event::Master(ask));
            })?;
        }
        let mut heard = Heard::listen()?;
        // An upgraded program is no start.
        if inherited.upgrade.is_none() {
            let ends = tokio::select! {
                () = run_once("startup_script", prepared.loaded.startup()) => None,
                _ = heard.terminate.recv() => Some(("SIGTERM", Signal::TERM)),
                _ = heard.interrupt.recv() => Some(("SIGINT", Signal::INT)),
            };
            if let Some((name, signal)) = ends {
                tracing::info!("{name}: ending, startup_script is killed");
                launched.stops();
                run_once("shutdown_script", prepared.loaded.shutdown()).await;
                return Ok(End {
                    code: ExitCode::SUCCESS,
                    signal: launched.dies_of_signals().then_some(signal),
                });
            }
        }
        let mut daemon = Self::new(prepared, launched, inherited, events);
        heap::give_back();
        let code = daemon.react(&mut queue, &mut heard).await?;
        run_once("shutdown_script", daemon.loaded.shutdown()).await;
        let interrupted = daemon.interrupted && daemon.launched.program == Program::Haproxy;
        Ok(End {
            // As a shell tells of a program that died of it.
            code: if interrupted {
                ExitCode::from(130)
            } else {
                code
            },
            signal: daemon.dies_of,
        })
    }

    fn new(
        prepared: Prepared,
        launched: Launched,
        mut inherited: Inherited,
        events: UnboundedSender<Event>,
    ) -> Self {
        let now = Instant::now();
        let resumed = inherited.upgrade.is_some();
        let loaded = &prepared.loaded;
        let keepalived = loaded.keepalived.as_ref();
        let grace = loaded
            .balancer
            .as_ref()
            .and_then(|c| c.global.hard_stop_after);
        let speaker = loaded
            .needs_speaker()
            .then(|| Slot::new(Role::Speaker, now, resumed));
        let balancer = loaded
            .balancer
            .is_some()
            .then(|| Slot::new(Role::Balancer, now, resumed));
        let turned = turning(&events);
        let mut tracks = Tracks::knowing(std::mem::take(&mut inherited.findings), resumed);
        tracks.replan(loaded.watches(), balancer.is_some(), turned);
        let predecessors = Predecessors::adopt(&mut inherited, &events);
        let mut liveness = Liveness::default();
        if predecessors.balancer_serves() {
            liveness.serves();
        }
        let servers = inherited.servers.into_iter();
        let servers = servers.map(|state| ((state.backend.clone(), state.server.clone()), state));
        let mail = keepalived.and_then(|config| Settings::of(&config.global));
        let notifier = Notifier::new(loaded.hooks()).with_fifos(prepared.fifos);
        Self {
            configuration: prepared.configuration,
            router_id: keepalived.and_then(|config| config.global.router_id.clone()),
            sockets: prepared.sockets,
            master: prepared.master,
            workers: prepared.workers,
            grace: grace.unwrap_or(GRACE),
            hard_stop_after: grace,
            dies_of: None,
            interrupted: false,
            launched,
            speaker,
            balancer,
            heartbeat: None,
            liveness,
            vigil: None,
            tracks,
            programs: Programs::default(),
            notifier,
            states_due: false,
            post: Post::new(mail, inherited.letters, now),
            active: inherited.active.into_iter().collect(),
            servers: servers.collect(),
            instances: Vec::new(),
            stray: Vec::new(),
            strangers: Vec::new(),
            neighbours: Vec::new(),
            retrying_static: None,
            history: inherited.history,
            instances_at: None,
            view_at: Some(now),
            traffic: status::Traffic::default(),
            traffic_at: None,
            waiting: Vec::new(),
            stats: dumps::Begin::default(),
            writers: dumps::Writers::default(),
            phase: Phase::Running,
            started: now.checked_sub(inherited.uptime).unwrap_or(now),
            events,
            traces: prepared.traces,
            reading: None,
            reload: None,
            adoption: None,
            reload_again: inherited.reload_again,
            reload_waiters: Vec::new(),
            worker_waiters: Vec::new(),
            reload_repeat: Repeat::default(),
            schedule: Schedule::default(),
            last_reload: inherited.reload,
            upgrade: None,
            last_upgrade: inherited.upgrade,
            predecessors,
            leaving: Leaving::default(),
            loaded: prepared.loaded,
        }
    }
}

/// Passes verdicts of scripts on.
pub(super) fn turning(events: &UnboundedSender<Event>) -> impl Fn(Turn) + Clone + Send + use<> {
    let events = events.clone();
    move |turn| {
        let _ = events.send(Event::Script(turn));
    }
}
