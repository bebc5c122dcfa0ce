//! `ha-lb upgrade`: the new program is asked whether it can go on, the children are told that they will be succeeded,
//! and then it is executed in the place of this one. Until that moment everything runs on, and a refusal changes nothing.
//!
//! ```text
//! Checking    the new program reads the document on trial
//! Quiet       notify scripts end: one that waits would be lost
//! Settling    speaker and balancer acknowledge; nothing is told to them any more
//! Ready       signals that were caught are noted, from now on they wait in the kernel
//! execve      (supervisor::upgrade), and `succession` there
//! ```

mod leave;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{process::Command, sync::oneshot, time::timeout};

use super::{Daemon, Event, Phase, Slot, stop::FOREVER};
use crate::{
    admin::status,
    ipc::message::{ToBalancer, ToSpeaker},
    supervisor::{
        child::Role,
        control::Request,
        upgrade::{self, Refusal},
    },
};

/// How long the new program may take to look at the document.
const TRIAL: u64 = 10;
/// How long notify scripts may keep an upgrade waiting.
const QUIET: Duration = Duration::from_secs(65);
/// How long the children may take to acknowledge.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// An upgrade that is under way.
#[derive(Debug)]
pub(super) struct Upgrade {
    program: PathBuf,
    reply: Option<oneshot::Sender<String>>,
    stage: Stage,
    /// Signals that came when it was too late: for the new program.
    signals: Vec<Signal>,
}

#[derive(Debug)]
enum Stage {
    Checking,
    Quiet {
        look: Instant,
        until: Instant,
    },
    Settling {
        speaker: bool,
        balancer: bool,
        look: Instant,
        until: Instant,
    },
    /// At the next turn; those that did not acknowledge are lost.
    Ready {
        speaker: bool,
        balancer: bool,
    },
}

impl Upgrade {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Checking | Stage::Ready { .. } => None,
            Stage::Quiet { look, .. } | Stage::Settling { look, .. } => Some(*look),
        }
    }

    /// Whether the children wait for their successors.
    pub(super) fn is_settling(&self) -> bool {
        matches!(self.stage, Stage::Settling { .. } | Stage::Ready { .. })
    }

    /// Whether the new program is to be executed now.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. })
    }

    /// Tells whoever asked.
    fn answer(&mut self, refusal: Option<String>) {
        if let Some(reply) = self.reply.take() {
            let answer = status::UpgradeAnswer { refusal };
            let answer = serde_json::to_string(&answer).unwrap_or_default();
            let _ = reply.send(format!("{answer}\n"));
        }
    }
}

impl Daemon {
    /// `ha-lb upgrade`; `words` are the path of the new program, or nothing for the file of the running one.
    pub(super) fn upgrade_asked(&mut self, request: Request, words: &str) {
        let mut upgrade = Upgrade {
            program: PathBuf::from(words),
            reply: Some(request.reply),
            stage: Stage::Checking,
            signals: Vec::new(),
        };
        let begun = self.obstacle().map_or(Ok(()), Err).and_then(|()| {
            if words.is_empty() {
                upgrade.program = upgrade::own_program().map_err(|e| e.to_string())?;
            }
            self.try_out(&upgrade.program)
        });
        if let Err(why) = begun {
            tracing::error!("upgrade refused: {why}");
            upgrade.answer(Some(why));
            return;
        }
        tracing::info!(
            "upgrade: asking {} whether it can go on",
            upgrade.program.display()
        );
        self.upgrade = Some(upgrade);
    }

    /// Why no upgrade can begin now.
    fn obstacle(&self) -> Option<String> {
        // One that waits for its successor can wait for another one.
        let starts = |ready: Option<bool>, role| {
            ready == Some(false) && self.predecessors.left(role).is_none()
        };
        if !self.phase.is_running() {
            Some("the daemon ends".to_owned())
        } else if self.upgrade.is_some() {
            Some("an upgrade is under way".to_owned())
        } else if self.reload_is_under_way()
            || self.leaving.serves()
            || !self.leaving.speakers.is_empty()
        {
            Some("a reload is under way".to_owned())
        } else if starts(self.speaker.as_ref().map(Slot::ready), Role::Speaker)
            || starts(self.balancer.as_ref().map(Slot::ready), Role::Balancer)
        {
            Some("a process is being started; try again when it runs".to_owned())
        } else {
            None
        }
    }

    /// Lets the new program read the document, beside everything else.
    fn try_out(&self, program: &Path) -> Result<(), String> {
        let document = self.document().write().map_err(|e| e.to_string())?;
        let child = Command::new(program)
            .arg(upgrade::CHECK)
            .stdin(Stdio::from(document))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let child = child.map_err(|e| Refusal::Unable(program.to_owned(), e).to_string())?;
        let (events, program) = (self.events.clone(), program.to_owned());
        tokio::spawn(async move {
            let ended = timeout(Duration::from_secs(TRIAL), child.wait_with_output()).await;
            let verdict = match ended {
                Ok(Ok(output)) if upgrade::agrees(&output) => Ok(()),
                Ok(Ok(output)) => match String::from_utf8_lossy(&output.stderr).trim() {
                    "" => Err(Refusal::Stranger(program)),
                    said => Err(Refusal::Checked(program, said.to_owned())),
                },
                Ok(Err(error)) => Err(Refusal::Unable(program, error)),
                Err(_) => Err(Refusal::Silent(program, TRIAL)),
            };
            let _ = events.send(Event::TriedOut(verdict.map_err(|e| e.to_string())));
        });
        Ok(())
    }

    /// The new program has looked at the document.
    pub(super) fn tried_out(&mut self, verdict: Result<(), String>, now: Instant) {
        let obstacle = (!self.phase.is_running()).then(|| "the daemon ends".to_owned());
        let verdict = obstacle.map_or(verdict, Err);
        match verdict {
            Ok(()) => {
                if let Some(upgrade) = &mut self.upgrade {
                    upgrade.stage = Stage::Quiet {
                        look: now,
                        until: now + QUIET,
                    };
                }
                self.upgrade_timeout(now);
            }
            Err(why) => self.upgrade_refused(why, now),
        }
    }

    fn upgrade_refused(&mut self, why: String, now: Instant) {
        tracing::error!("upgrade refused, nothing has changed: {why}");
        if let Some(mut upgrade) = self.upgrade.take() {
            upgrade.answer(Some(why));
        }
        self.next_reload(now);
    }

    pub(super) fn upgrade_timeout(&mut self, now: Instant) {
        let quiet = self.notifier.is_idle();
        let Some(upgrade) = self.upgrade.as_mut() else {
            return;
        };
        match &mut upgrade.stage {
            Stage::Checking => {}
            Stage::Quiet { until, .. } if !quiet && *until <= now => {
                let why = "a notify script does not end".to_owned();
                self.upgrade_refused(why, now);
            }
            Stage::Quiet { look, .. } if !quiet => *look = now + LOOK,
            Stage::Quiet { .. } => {
                upgrade.answer(None);
                self.settle(now);
            }
            Stage::Settling {
                speaker,
                balancer,
                look,
                until,
            } => {
                let lost = (*speaker, *balancer);
                if *until <= now {
                    self.give_up(lost);
                } else if *speaker || *balancer || !quiet {
                    *look = now + LOOK;
                    return;
                }
                if let Some(upgrade) = &mut self.upgrade {
                    upgrade.stage = Stage::Ready {
                        speaker: lost.0,
                        balancer: lost.1,
                    };
                }
            }
            Stage::Ready { .. } => {}
        }
    }

    /// A signal asks for the end; whether the new program is to hear of it.
    pub(super) fn upgrade_stops(&mut self, signal: Signal) -> bool {
        match &mut self.upgrade {
            Some(upgrade) if upgrade.is_settling() => {
                upgrade.signals.push(signal);
                true
            }
            Some(upgrade) => {
                upgrade.answer(Some("the daemon ends".to_owned()));
                self.upgrade = None;
                false
            }
            None => false,
        }
    }

    /// Tells the children; what they acknowledge is the last that is said.
    fn settle(&mut self, now: Instant) {
        let grace = self.hard_stop_after.unwrap_or(FOREVER);
        (self.heartbeat, self.vigil) = (None, None);
        let (mut speaker, mut balancer) = (false, false);
        if let Some(slot) = &mut self.speaker {
            match slot.child().filter(|_| slot.ready()) {
                Some(child) => {
                    child.tell_last(ToSpeaker::HandOver);
                    speaker = true;
                }
                None => slot.relieve(),
            }
        }
        if let Some(slot) = &mut self.balancer {
            match slot.child().filter(|_| slot.ready()) {
                Some(child) => {
                    child.tell_last(ToBalancer::HandOver { grace });
                    balancer = true;
                }
                None => slot.relieve(),
            }
        }
        let stage = Stage::Settling {
            speaker,
            balancer,
            look: now + LOOK,
            until: now + PATIENCE,
        };
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.stage = stage;
        }
    }

    /// A child has acknowledged, or is gone.
    pub(super) fn settled(&mut self, role: Role, now: Instant) {
        let Some(upgrade) = self.upgrade.as_mut() else {
            return;
        };
        if let Stage::Settling {
            speaker, balancer, ..
        } = &mut upgrade.stage
        {
            match role {
                Role::Speaker => *speaker = false,
                Role::Balancer => *balancer = false,
            }
            self.upgrade_timeout(now);
        }
    }

    /// What does not acknowledge is succeeded like what has died: it must not wake up beside its successor.
    fn give_up(&mut self, (speaker, balancer): (bool, bool)) {
        match speaker || balancer {
            true => tracing::error!("upgrade: a process does not acknowledge: going on without it"),
            false => tracing::error!("upgrade: a notify script runs on: those behind it are lost"),
        }
        if let Some(slot) = self.speaker.as_mut().filter(|_| speaker) {
            slot.relieve();
        }
        if let Some(slot) = self.balancer.as_mut().filter(|_| balancer) {
            slot.relieve();
        }
    }

    /// Executes the new program; if that fails this one again, whose children wait for successors by now.
    pub(super) fn replace(&mut self) {
        let mut document = self.document();
        let Some(upgrade) = self.upgrade.take() else {
            return;
        };
        self.launched.reloads();
        tracing::info!("upgrade: executing {}", upgrade.program.display());
        let kept = document.descriptors();
        let own = Path::new("/proc/self/exe");
        for program in [&*upgrade.program, own] {
            let written = document.write();
            let executed = |memory| upgrade::execute(program, &memory, &kept, &upgrade.signals);
            let Err(error) = written.and_then(executed);
            let why = format!("cannot execute {}: {error}", program.display());
            tracing::error!("upgrade: {why}");
            document.upgrade.failure = Some(why);
        }
        self.phase = Phase::Over(std::process::ExitCode::FAILURE);
    }
}
