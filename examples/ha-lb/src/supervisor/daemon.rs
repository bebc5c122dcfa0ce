//! The supervisor's event loop: children, scripts, the control socket, signals and deadlines, one event after
//! the other. No event takes long; whatever waits is a task of its own that reports back.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    task::yield_now,
};

use super::{
    child::{Report, Room},
    control::Request,
    launch::Launched,
    listeners::Open,
    liveness::Liveness,
    master_cli::{Ask, MasterSocket, Which},
    pulse::Pulse,
    slot::Slot,
    start::Traces,
    tracks::{Tracks, Turn},
    vigil::Vigil,
};
use crate::{
    admin::status,
    config::load::Loaded,
    ipc::{
        alarm::Alarm,
        message::{Configuration, FromBalancer, FromSpeaker, ServerState, ToBalancer, ToSpeaker},
        watched::{Finding, Watched},
    },
    mail::{Attempt, Post},
    notify::Notifier,
};

mod begin;
mod children;
mod dumps;
mod hangs;
mod leaving;
mod mail;
mod master;
mod programs;
mod reload;
mod report;
mod schedule;
mod signals;
mod stop;
mod succession;
mod upgrade;
mod vmacs;
mod words;

use leaving::Leaving;
use master::WaitsForReload;
use programs::Programs;
use reload::{
    Adoption, Reload, Repeat,
    reading::{self, Reading},
};
pub use reload::{Difference, absolute};
pub(super) use report::History;
use report::Waiting;
use schedule::Schedule;
use signals::Heard;
pub(crate) use signals::{JSON, STATS_CLEAR};
use stop::Phase;
use succession::Predecessors;
use upgrade::Upgrade;

/// Whatever happens.
#[derive(Debug)]
pub(super) enum Event {
    Speaker(u64, Report<FromSpeaker>, Room),
    Balancer(u64, Report<FromBalancer>, Room),
    Script(Turn),
    /// An attempt to send a letter has ended.
    Mail(Attempt),
    /// A program that checks a server.
    Program(programs::Turn),
    Control(Request),
    Master(Ask),
    Signal(i32, signals::Asked),
    /// The program of an upgrade has looked at the state that it would find.
    TriedOut(Result<(), String>),
    /// Files were read, as somebody had asked.
    Read(Box<reading::Read>),
    /// A child of the program before has ended.
    Ended(u32),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    configuration: Configuration,
    /// What it says.
    loaded: Loaded,
    sockets: Vec<Open>,
    master: Vec<MasterSocket>,
    router_id: Option<String>,
    workers: usize,
    grace: Duration,
    hard_stop_after: Option<Duration>,
    /// The signal that the process is to die of.
    dies_of: Option<Signal>,
    /// By SIGINT, of which HAProxy's master tells in its status.
    interrupted: bool,
    launched: Launched,
    speaker: Option<Slot<ToSpeaker>>,
    balancer: Option<Slot<ToBalancer>>,
    /// Signs of life of the balancer's event loops.
    heartbeat: Option<Pulse>,
    liveness: Liveness,
    /// Signs of life of the speaker's event loop.
    vigil: Option<Vigil>,
    tracks: Tracks,
    programs: Programs,
    notifier: Notifier,
    /// The fifos are to get every state, as soon as the speaker has told of its routers.
    states_due: bool,
    post: Post,
    /// The instances that are Active, as the speaker told.
    active: BTreeSet<String>,
    /// What the next balancer should know of the servers.
    servers: BTreeMap<(String, String), ServerState>,
    instances: Vec<status::Instance>,
    /// Packets for none of them.
    stray: Vec<status::Rejected>,
    strangers: Vec<status::Stranger>,
    neighbours: Vec<status::Neighbour>,
    /// What could not be done of what is static.
    retrying_static: Option<status::Failure>,
    /// Their last changes of state, latest first.
    history: BTreeMap<String, History>,
    /// When the speaker told of them.
    instances_at: Option<Instant>,
    /// When they are looked at again: now and then for the balancer, which shows them; without one, when one changes.
    view_at: Option<Instant>,
    traffic: status::Traffic,
    /// When the balancer told of it.
    traffic_at: Option<Instant>,
    waiting: Vec<Waiting>,
    /// Where the counters of keepalived's files begin.
    stats: dumps::Begin,
    /// Who writes them.
    writers: dumps::Writers,
    phase: Phase,
    started: Instant,
    events: UnboundedSender<Event>,
    traces: Traces,
    /// The files are being read for a reload.
    reading: Option<Reading>,
    /// A reload that waits for the children.
    reload: Option<Reload>,
    /// One that the children have been ordered to run.
    adoption: Option<Adoption>,
    /// Another one was asked for meanwhile.
    reload_again: bool,
    reload_repeat: Repeat,
    /// One that is planned.
    schedule: Schedule,
    reload_waiters: Vec<WaitsForReload>,
    /// Who waits until a worker serves.
    worker_waiters: Vec<(Which, oneshot::Sender<u32>)>,
    last_reload: Option<status::Reload>,
    upgrade: Option<Upgrade>,
    last_upgrade: Option<status::Upgrade>,
    predecessors: Predecessors,
    leaving: Leaving,
}

impl Daemon {
    /// Events go before deadlines: an answer that has arrived is never taken for missing.
    async fn react(
        &mut self,
        queue: &mut UnboundedReceiver<Event>,
        heard: &mut Heard,
    ) -> io::Result<ExitCode> {
        crate::signals::unblock()?;
        let mut last_turns = LAST_TURNS;
        let mut alarm = Alarm::new()?;
        loop {
            if let Phase::Over(code) = self.phase {
                self.give_up_mail();
                self.notifier.finish().await;
                self.predecessors.kill();
                self.leaving.kill();
                return Ok(code);
            }
            let replaces = self.upgrade.as_ref().is_some_and(Upgrade::is_ready);
            match last_turns {
                0 => {
                    self.replace();
                    continue;
                }
                LAST_TURNS if replaces => {
                    // Signals that were caught are passed on; those to come wait in the kernel.
                    self.tracks.end();
                    self.programs = Programs::default();
                    self.post.end();
                    crate::signals::block()?;
                    last_turns -= 1;
                }
                _ => last_turns -= usize::from(replaces),
            }
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                Some(event) = queue.recv() => self.event(event),
                _ = heard.terminate.recv() => self.stop(Signal::TERM),
                _ = heard.interrupt.recv() => self.stop(Signal::INT),
                _ = heard.hang_up.recv() => self.hang_up("SIGHUP", Instant::now()),
                () = yield_now(), if replaces => {}
                rung = alarm.at(deadline) => {
                    rung?;
                    self.timeout(Instant::now());
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Speaker(generation, report, _room) => {
                if self
                    .speaker
                    .as_ref()
                    .is_some_and(|s| s.is_current(generation))
                {
                    self.speaker_reports(report, now);
                } else {
                    self.leaving_speaker_reports(generation, report);
                }
            }
            Event::Balancer(generation, report, _room) => {
                if self
                    .balancer
                    .as_ref()
                    .is_some_and(|s| s.is_current(generation))
                {
                    self.balancer_reports(report, now);
                } else if matches!(report, Report::Gone(_)) {
                    self.leaving_balancer_ended(generation, now);
                }
            }
            Event::Script(turn) => {
                if let Some((watched, finding)) = self.tracks.turned(turn) {
                    self.tell_speaker_of(watched, finding);
                }
            }
            Event::Mail(attempt) => self.post.ended(&attempt, now),
            Event::Program(turn) => self.program_turned(turn),
            Event::Control(request) => self.asked(request, now),
            Event::Master(ask) => self.asked_as_master(ask, now),
            Event::Signal(number, asked) => self.signalled(number, asked),
            Event::TriedOut(verdict) => self.tried_out(verdict, now),
            Event::Read(read) => self.has_read(*read, now),
            Event::Ended(pid) => self.predecessor_ended(pid, now),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        [
            self.vigil.as_ref().and_then(Vigil::next_deadline),
            self.speaker.as_ref().and_then(Slot::next_deadline),
            self.balancer.as_ref().and_then(Slot::next_deadline),
            self.heartbeat.as_ref().and_then(Pulse::next_deadline),
            self.liveness.next_deadline(),
            self.post.next_deadline(),
            self.waiting.iter().map(|w| w.until).min(),
            self.view_at,
            self.reading.as_ref().and_then(Reading::deadline),
            self.reload.as_ref().map(Reload::deadline),
            self.adoption.as_ref().map(Adoption::deadline),
            self.upgrade.as_ref().and_then(Upgrade::deadline),
            self.phase.deadline(),
            self.schedule.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn timeout(&mut self, now: Instant) {
        if self.speaker.as_ref().is_some_and(|slot| slot.is_due(now)) {
            self.start_speaker(now);
        }
        if self.balancer.as_ref().is_some_and(|slot| slot.is_due(now)) {
            self.start_balancer(now);
        }
        self.feel_the_balancer(now);
        if let Some(verdict) = self.vigil.as_mut().and_then(|vigil| vigil.timeout(now)) {
            self.speaker_stands_still(verdict);
        }
        if let Some(passed) = self.liveness.timeout(now) {
            self.answer_for_balancer(passed);
        }
        self.send_mail(now);
        self.answer_late(now);
        self.look(now);
        self.reload_timeout(now);
        self.reload_as_planned(now);
        self.upgrade_timeout(now);
        self.stop_timeout(now);
    }

    fn balancer_lost(&mut self, now: Instant) {
        if self.phase.is_running()
            && !self.predecessor_serves()
            && !self.leaving.serves()
            && let Some(passed) = self.liveness.lost(now)
        {
            self.answer_for_balancer(passed);
        }
    }

    /// Scripts that ask whether HAProxy runs get their answer now.
    fn answer_for_balancer(&mut self, passed: bool) {
        for watched in self.tracks.balancer_turned(passed) {
            self.tell_speaker_of(watched, passed.into());
        }
    }

    fn tell_speaker_of(&self, watched: Watched, finding: Finding) {
        if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
            child.tell(ToSpeaker::Found(watched, finding), Vec::new());
        }
    }
}

/// Turns of the event loop in which a signal that was caught arrives.
const LAST_TURNS: usize = 8;
