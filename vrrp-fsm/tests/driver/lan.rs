//! Hosts in memory, on a wire.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use vrrp_fsm::{
    Attachment, Instant, RouterConfig, RouterId, RouterSet, RouterStatus, StateKind,
    driver::{Command, Control, Datagram, Driver, Host, HostEvent, Observation, now},
    track::Track,
};
use vrrp_proto::{Envelope, Family, Priority, Version, Vrid};

use crate::{INTERVAL, PATIENCE, ROUTER};

/// A wire between hosts, and what each of them holds.
#[derive(Clone, Default)]
pub(crate) struct Lan(Arc<Mutex<Vec<Port>>>);

#[derive(Default)]
pub(crate) struct Port {
    pub(crate) inbox: VecDeque<(Datagram, Vec<u8>)>,
    /// So many errors before what is in the inbox.
    pub(crate) errors: usize,
    events: VecDeque<HostEvent>,
    waker: Option<Waker>,
    commands: Vec<Command>,
    holding: bool,
    pub(crate) refuses: bool,
    /// How long packets wait here before they are received.
    pub(crate) waited: Duration,
    /// What the driver said of whether that matters.
    pub(crate) stamps: Vec<bool>,
    /// Before that they are not seen.
    pub(crate) appear: Option<Instant>,
    /// The router whose sockets are not open yet.
    pub(crate) deaf: Option<RouterId>,
}

impl Port {
    fn is_dark(&self) -> bool {
        self.appear.is_some_and(|at| now() < at)
    }
}

pub(crate) struct MemoryHost {
    pub(crate) lan: Lan,
    pub(crate) number: usize,
}

impl Lan {
    pub(crate) fn with<T>(&self, number: usize, what: impl FnOnce(&mut Port) -> T) -> T {
        let mut ports = self.0.lock().unwrap();
        let port = &mut ports[number];
        let value = what(port);
        if let Some(waker) = port.waker.take() {
            waker.wake();
        }
        value
    }

    pub(crate) fn event(&self, number: usize, event: HostEvent) {
        self.with(number, |port| port.events.push_back(event));
    }

    pub(crate) fn holders(&self) -> Vec<usize> {
        let ports = self.0.lock().unwrap();
        (0..ports.len())
            .filter(|number| ports[*number].holding)
            .collect()
    }

    pub(crate) fn commands(&self, number: usize) -> Vec<Command> {
        self.0.lock().unwrap()[number].commands.clone()
    }
}

impl Host for MemoryHost {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let port = &mut self.lan.0.lock().unwrap()[self.number];
        if (port.inbox.is_empty() || port.is_dark()) && port.events.is_empty() {
            port.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        let port = &mut self.lan.0.lock().unwrap()[self.number];
        if let Some(left) = port.errors.checked_sub(1) {
            port.errors = left;
            return Err(io::ErrorKind::NetworkDown.into());
        }
        if port.is_dark() {
            return Ok(None);
        }
        Ok(port.inbox.pop_front().map(|(datagram, bytes)| {
            buffer[..bytes.len()].copy_from_slice(&bytes);
            datagram
        }))
    }

    fn send(
        &mut self,
        _router: RouterId,
        protocol: u8,
        envelope: &Envelope,
        packet: &[u8],
    ) -> io::Result<()> {
        let ports = self.lan.0.lock().unwrap().len();
        for to in (0..ports).filter(|to| *to != self.number) {
            self.lan.with(to, |port| {
                let datagram = Datagram {
                    interface: 1,
                    protocol,
                    envelope: *envelope,
                    len: packet.len(),
                    waited: port.waited,
                };
                port.inbox.push_back((datagram, packet.to_vec()));
            });
        }
        Ok(())
    }

    fn stamp(&mut self, on: bool) {
        self.lan.with(self.number, |port| port.stamps.push(on));
    }

    fn hears(&self, router: RouterId) -> bool {
        self.lan.0.lock().unwrap()[self.number].deaf != Some(router)
    }

    fn enqueue(&mut self, router: RouterId, command: Command) {
        self.lan.with(self.number, |port| {
            port.commands.push(command);
            let done = match command {
                Command::Install if port.refuses => HostEvent::Failed {
                    router,
                    command,
                    error: io::Error::from(io::ErrorKind::PermissionDenied),
                },
                Command::Install => HostEvent::Installed { router },
                Command::Remove => HostEvent::Removed { router },
                Command::Announce { .. } => return,
            };
            port.holding = matches!(done, HostEvent::Installed { .. });
            port.events.push_back(done);
        });
    }

    fn poll_event(&mut self) -> Option<HostEvent> {
        self.lan.0.lock().unwrap()[self.number].events.pop_front()
    }
}

/// One driver at work.
pub(crate) struct Node {
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) seen: mpsc::UnboundedReceiver<Observation>,
    pub(crate) task: JoinHandle<io::Result<()>>,
}

pub(crate) fn address(number: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(number + 1).unwrap()])
}

/// A host on that wire, and the router that runs on it.
pub(crate) fn driver(lan: &Lan, priority: u8, tracks: Vec<Track>) -> Driver<MemoryHost> {
    let number = {
        let mut ports = lan.0.lock().unwrap();
        ports.push(Port::default());
        ports.len() - 1
    };
    let mut attachment = Attachment::new(1, Family::Ipv4);
    attachment.tracks = tracks;
    let mut set = RouterSet::new();
    set.insert(attachment, config(51, priority)).unwrap();
    // What a host finds at its start.
    lan.event(
        number,
        HostEvent::PrimaryAddress {
            router: ROUTER,
            address: Some(address(number)),
        },
    );
    let host = MemoryHost {
        lan: lan.clone(),
        number,
    };
    Driver::new(set, host).unwrap()
}

pub(crate) fn config(vrid: u8, priority: u8) -> RouterConfig {
    let vip = IpAddr::from([192, 0, 2, 100]);
    let vrid = Vrid::new(vrid).unwrap();
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec![vip]);
    config.priority = Priority::new(priority);
    config.interval = INTERVAL;
    config
}

pub(crate) fn node(lan: &Lan, priority: u8, tracks: Vec<Track>) -> Node {
    run(driver(lan, priority, tracks))
}

pub(crate) fn run(mut driver: Driver<MemoryHost>) -> Node {
    let (control, commands) = mpsc::channel(4);
    let (tell, seen) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let observer = |_, observation| {
            let _ = tell.send(observation);
        };
        driver.run(commands, observer).await
    });
    Node {
        control,
        seen,
        task,
    }
}

impl Node {
    /// Waits for a transition to that state and returns its text.
    pub(crate) async fn becomes(&mut self, state: StateKind) -> String {
        let wait = async {
            while let Some(observation) = self.seen.recv().await {
                if let Observation::Transition(transition) = observation
                    && transition.to == state
                {
                    return transition.to_string();
                }
            }
            "the driver ended".to_owned()
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap()
    }

    pub(crate) async fn tell(&self, control: Control) {
        self.control.send(control).await.unwrap();
    }

    pub(crate) async fn status(&self) -> RouterStatus {
        let (reply, answer) = oneshot::channel();
        self.tell(Control::Snapshot(reply)).await;
        let mut all = tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(all.routers.len(), 1);
        all.routers.remove(0).status
    }

    pub(crate) async fn stop(self) {
        self.tell(Control::Shutdown).await;
        let ended = tokio::time::timeout(PATIENCE, self.task).await.unwrap();
        ended.unwrap().unwrap();
    }
}
