//! What the supervisor tells a running speaker.

use std::{cell::RefCell, rc::Rc};

use tokio::{
    sync::{
        Notify,
        mpsc::{Sender, UnboundedSender},
    },
    task::spawn_local,
    time::Instant,
};
use vrrp_fsm::driver::Control;

use super::{
    command,
    handover::{Asked, Farewell},
    health,
    reload::{self, Prepared, Results},
    status, track,
    words::Words,
};
use crate::ipc::{
    channel::Channel,
    message::{FromSpeaker, ToSpeaker},
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
    /// Ends a delayed start.
    pub(super) stopping: Rc<Notify>,
    /// When the routers take part.
    pub(super) begins: Instant,
    prepared: Option<Prepared>,
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
    ) -> Self {
        Self {
            supervisor,
            control,
            words,
            told,
            results: Results::new(),
            stopping: Rc::default(),
            begins: Instant::now(),
            prepared: None,
            farewell: None,
            deaf: false,
        }
    }

    /// Takes note of a script's result.
    pub(super) fn script(&mut self, name: String, passed: bool) {
        track(&self.control, &self.words.borrow(), &name, passed);
        self.results.insert(name, health(passed));
    }

    /// Obeys until something needs the driver; may be dropped and called again at any moment.
    pub(super) async fn next(&mut self) -> Interrupt {
        loop {
            if self.deaf {
                return std::future::pending().await;
            }
            if let Some(farewell) = &mut self.farewell {
                match farewell.asked(&self.supervisor).await {
                    Asked::Give(successor) => return Interrupt::Give(successor),
                    Asked::Resign => self.resign(),
                }
                continue;
            }
            match self.supervisor.recv::<ToSpeaker>().await {
                Ok(Some((ToSpeaker::Script { name, passed }, _))) => self.script(name, passed),
                Ok(Some((ToSpeaker::Status, _))) => {
                    let (words, control) = (Rc::clone(&self.words), self.control.clone());
                    spawn_local(status(words, control, self.told.clone(), self.begins));
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

    fn resign(&mut self) {
        self.deaf = true;
        self.stopping.notify_one();
        command(&self.control, Control::Shutdown);
    }
}
