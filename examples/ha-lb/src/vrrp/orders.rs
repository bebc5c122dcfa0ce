//! What the supervisor tells a running speaker.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use tokio::{
    sync::mpsc::{Sender, UnboundedSender},
    task::spawn_local,
};
use vrrp_fsm::driver::Control;

use super::{
    command,
    handover::{Asked, Farewell},
    health,
    heartbeat::{Found as Life, Heartbeat, SILENCE},
    reload::{self, Prepared, Results},
    status, track,
    words::Words,
};
use crate::{
    bfd::endpoint::{Found, Inquirer},
    ipc::{
        channel::Channel,
        message::{FromSpeaker, ToSpeaker},
        watched::{Finding, Kind, Watched},
    },
    latest::Latest,
};

/// What needs the driver itself.
pub(super) enum Interrupt {
    /// A configuration is to be put into force.
    Commit(Box<Prepared>),
    /// A successor asks for the routers.
    Give(Channel),
    /// The driver has ended.
    Ended,
}

/// Listens to the supervisor.
pub(super) struct Orders {
    pub(super) supervisor: Rc<Channel>,
    pub(super) control: Sender<Control>,
    pub(super) words: Rc<RefCell<Words>>,
    pub(super) told: UnboundedSender<FromSpeaker>,
    pub(super) results: Results,
    /// Sessions of BFD that are up, or no longer.
    pub(super) neighbours: Latest<Arc<str>, bool>,
    sessions: Inquirer,
    prepared: Option<Prepared>,
    /// Signs of life, its own and the supervisor's.
    heartbeat: Heartbeat,
    /// The program is being replaced.
    farewell: Option<Farewell>,
    deaf: bool,
}

impl Orders {
    pub(super) fn new(
        supervisor: Rc<Channel>,
        control: Sender<Control>,
        words: Rc<RefCell<Words>>,
        told: UnboundedSender<FromSpeaker>,
        neighbours: Latest<Arc<str>, bool>,
        sessions: Inquirer,
        heartbeat: Heartbeat,
    ) -> Self {
        Self {
            supervisor,
            control,
            words,
            told,
            results: Results::new(),
            neighbours,
            sessions,
            prepared: None,
            heartbeat,
            farewell: None,
            deaf: false,
        }
    }

    /// Takes note of how something that is watched is.
    pub(super) fn found(&mut self, watched: Watched, finding: Finding) {
        let health = health(finding);
        track(&self.control, &self.words.borrow(), &watched, health);
        self.results.insert(watched, health);
    }

    /// A neighbour is reached, or is not.
    pub(super) fn reaches(&mut self, (name, up): Found) {
        self.found(Watched::new(Kind::Bfd, &*name), Finding::from(up));
    }

    /// Obeys until something needs the driver; may be dropped and called again at any moment.
    pub(super) async fn next(&mut self) -> Interrupt {
        loop {
            if self.deaf {
                return std::future::pending().await;
            }
            if let Some(farewell) = &mut self.farewell {
                tokio::select! {
                    asked = farewell.asked(&self.supervisor) => match asked {
                        Asked::Give(successor) => return Interrupt::Give(successor),
                        Asked::Resign => self.resign(),
                    },
                    Some(found) = self.neighbours.recv() => self.reaches(found),
                }
                continue;
            }
            let heard = tokio::select! {
                // What has arrived is never taken for missing.
                biased;
                heard = self.supervisor.recv::<ToSpeaker>() => heard,
                Some(found) = self.neighbours.recv() => {
                    self.reaches(found);
                    continue;
                }
                due = self.heartbeat.due() => {
                    match due {
                        Ok(()) => self.show_life(),
                        Err(_) => self.resign(),
                    }
                    continue;
                }
            };
            match heard {
                Ok(Some((ToSpeaker::Found(watched, finding), _))) => self.found(watched, finding),
                Ok(Some((ToSpeaker::Status, _))) => {
                    let (words, control) = (Rc::clone(&self.words), self.control.clone());
                    let (sessions, told) = (self.sessions.clone(), self.told.clone());
                    spawn_local(status(words, control, sessions, told));
                }
                Ok(Some((
                    ToSpeaker::Prepare {
                        reload,
                        configuration,
                    },
                    _,
                ))) => {
                    let made = reload::prepare(reload, &configuration, &self.words.borrow());
                    let ready = made.map(|made| self.prepared = Some(made));
                    let _ = self.told.send(FromSpeaker::Prepared(reload, ready));
                }
                Ok(Some((ToSpeaker::Commit(reload), _))) => {
                    if let Some(prepared) = self.prepared.take_if(|p| p.reload == reload) {
                        return Interrupt::Commit(Box::new(prepared));
                    }
                }
                Ok(Some((ToSpeaker::Abandon(_), _))) => self.prepared = None,
                Ok(Some((ToSpeaker::HandOver, _))) => {
                    let _ = self.told.send(FromSpeaker::HandsOver);
                    self.farewell = Some(Farewell::default());
                }
                Ok(Some((ToSpeaker::Start { .. }, _))) => {}
                Ok(Some((ToSpeaker::Stop, _)) | None) | Err(_) => self.resign(),
            }
        }
    }

    /// Nobody runs scripts or looks after the balancer while the supervisor stands still.
    fn show_life(&mut self) {
        // Where the kernel does not tell, nobody is ever taken for silent.
        let is_read = self.supervisor.is_read().unwrap_or(true);
        let life = self.heartbeat.turn(is_read);
        match life {
            Life::Reads | Life::ReadsAgain => {
                let _ = self.told.send(FromSpeaker::Beat);
            }
            Life::Waits | Life::StandsStill => {}
        }
        match life {
            Life::ReadsAgain => {
                tracing::warn!("the supervisor lives again");
                command(&self.control, Control::Unwatched(false));
            }
            Life::StandsStill => {
                tracing::error!(
                    "the supervisor is silent for {} ms: giving the addresses up until it lives again",
                    SILENCE.as_millis()
                );
                command(&self.control, Control::Unwatched(true));
            }
            Life::Reads | Life::Waits => {}
        }
    }

    fn resign(&mut self) {
        self.deaf = true;
        command(&self.control, Control::Shutdown);
    }
}
