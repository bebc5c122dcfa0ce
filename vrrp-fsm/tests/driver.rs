//! The tokio driver over hosts in memory, with real timers: elections at an interval of 100 ms.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

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
    Attachment, FaultReason, Instant, Object, RouterConfig, RouterId, RouterSet, RouterStatus,
    StateKind,
    driver::{Command, Control, Datagram, Driver, Host, HostEvent, Observation, now},
    track::{Health, Track},
};
use vrrp_proto::{Envelope, Family, Priority, Version, Vrid};

const ROUTER: RouterId = RouterId::new(0);
const SCRIPT: Object = Object::Script(1);
/// Nothing here takes a tenth of it unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A wire between hosts, and what each of them holds.
#[derive(Clone, Default)]
struct Lan(Arc<Mutex<Vec<Port>>>);

#[derive(Default)]
struct Port {
    inbox: VecDeque<(Datagram, Vec<u8>)>,
    /// So many errors before what is in the inbox.
    errors: usize,
    events: VecDeque<HostEvent>,
    waker: Option<Waker>,
    commands: Vec<Command>,
    holding: bool,
    refuses: bool,
    /// How long packets wait here before they are received.
    waited: Duration,
    /// Before that they are not seen.
    appear: Option<Instant>,
}

impl Port {
    fn is_dark(&self) -> bool {
        self.appear.is_some_and(|at| now() < at)
    }
}

struct MemoryHost {
    lan: Lan,
    number: usize,
}

impl Lan {
    fn with<T>(&self, number: usize, what: impl FnOnce(&mut Port) -> T) -> T {
        let mut ports = self.0.lock().unwrap();
        let port = &mut ports[number];
        let value = what(port);
        if let Some(waker) = port.waker.take() {
            waker.wake();
        }
        value
    }

    fn event(&self, number: usize, event: HostEvent) {
        self.with(number, |port| port.events.push_back(event));
    }

    fn holders(&self) -> Vec<usize> {
        let ports = self.0.lock().unwrap();
        (0..ports.len())
            .filter(|number| ports[*number].holding)
            .collect()
    }

    fn commands(&self, number: usize) -> Vec<Command> {
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
struct Node {
    control: mpsc::Sender<Control>,
    seen: mpsc::UnboundedReceiver<Observation>,
    task: JoinHandle<io::Result<()>>,
}

fn address(number: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(number + 1).unwrap()])
}

fn node(lan: &Lan, priority: u8, tracks: Vec<Track>) -> Node {
    let number = {
        let mut ports = lan.0.lock().unwrap();
        ports.push(Port::default());
        ports.len() - 1
    };
    let vip = IpAddr::from([192, 0, 2, 100]);
    let vrid = Vrid::new(51).unwrap();
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec![vip]);
    config.priority = Priority::new(priority);
    config.interval = Duration::from_millis(100);
    let mut attachment = Attachment::new(1, Family::Ipv4);
    attachment.tracks = tracks;
    let mut set = RouterSet::new();
    set.insert(attachment, config).unwrap();
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
    let (control, commands) = mpsc::channel(4);
    let (tell, seen) = mpsc::unbounded_channel();
    let mut driver = Driver::new(set, host).unwrap();
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
    async fn becomes(&mut self, state: StateKind) -> String {
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

    async fn tell(&self, control: Control) {
        self.control.send(control).await.unwrap();
    }

    async fn status(&self) -> RouterStatus {
        let (reply, answer) = oneshot::channel();
        self.tell(Control::Snapshot(reply)).await;
        let mut all = tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(all.routers.len(), 1);
        all.routers.remove(0).status
    }

    async fn stop(self) {
        self.tell(Control::Shutdown).await;
        let ended = tokio::time::timeout(PATIENCE, self.task).await.unwrap();
        ended.unwrap().unwrap();
    }
}

#[tokio::test]
async fn two_hosts_elect_and_an_orderly_stop_hands_over() {
    let lan = Lan::default();
    let (mut low, mut high) = (node(&lan, 100, vec![]), node(&lan, 200, vec![]));
    high.becomes(StateKind::Active).await;
    assert_eq!(lan.holders(), [1]);
    low.becomes(StateKind::Backup).await;

    high.stop().await;
    let text = low.becomes(StateKind::Active).await;
    // On a busy machine the timer may have been quicker than the advert of priority 0.
    assert!(text.starts_with("Backup -> Active: "), "{text}");
    assert_eq!(lan.holders(), [0], "removed before `run` returned");
    let status = low.status().await;
    assert_eq!(status.state, StateKind::Active);
    assert_eq!(status.active, Some(address(0)));
    assert_eq!(status.peers[0].source, address(1));
    assert!(status.statistics.adverts_sent > 0);
    low.stop().await;
    assert_eq!(lan.holders(), [0; 0]);
}

#[tokio::test]
async fn a_silent_death_is_noticed_by_a_real_timer() {
    let lan = Lan::default();
    let (mut low, mut high) = (node(&lan, 100, vec![]), node(&lan, 200, vec![]));
    high.becomes(StateKind::Active).await;
    high.task.abort();
    let text = low.becomes(StateKind::Active).await;
    assert!(text.contains("no advert from 192.0.2.2 for "), "{text}");
    low.stop().await;
}

#[tokio::test]
async fn a_script_without_result_holds_out_and_its_failure_faults() {
    let lan = Lan::default();
    let track = Track {
        object: SCRIPT,
        weight: 0,
        reverse: false,
    };
    let mut node = node(&lan, 100, vec![track]);
    assert_eq!(
        node.becomes(StateKind::Fault).await,
        "Initialize -> Fault: no result of script 1 yet"
    );
    let health = |health| Control::Track {
        object: SCRIPT,
        health,
    };
    node.tell(health(Health::Up)).await;
    assert_eq!(
        node.becomes(StateKind::Backup).await,
        "Fault -> Backup: the fault is gone"
    );
    node.becomes(StateKind::Active).await;
    node.tell(health(Health::Down)).await;
    assert_eq!(
        node.becomes(StateKind::Fault).await,
        "Active -> Fault: script 1 failed"
    );
    let status = node.status().await;
    assert_eq!(status.fault, Some(FaultReason::Tracked(SCRIPT)));
    assert_eq!(status.statistics.priority_zero_sent, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_router_can_be_held_by_hand_and_links_and_addresses_are_followed() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    for hold in [true, false] {
        node.tell(Control::Hold {
            router: ROUTER,
            hold,
        })
        .await;
    }
    node.becomes(StateKind::Fault).await;
    node.becomes(StateKind::Active).await;
    lan.event(0, HostEvent::LinkDown { interface: 1 });
    assert_eq!(
        node.becomes(StateKind::Fault).await,
        "Active -> Fault: the interface is down"
    );
    lan.event(0, HostEvent::LinkUp { interface: 1 });
    node.becomes(StateKind::Active).await;
    let gone = HostEvent::PrimaryAddress {
        router: ROUTER,
        address: None,
    };
    lan.event(0, gone);
    node.becomes(StateKind::Fault).await;
    node.stop().await;
}

#[tokio::test]
async fn what_the_host_could_not_install_is_announced_when_it_could() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    lan.with(0, |port| port.refuses = true);
    node.becomes(StateKind::Active).await;
    let failed = async {
        loop {
            if let Some(Observation::HostFailed { command, error, .. }) = node.seen.recv().await {
                return (command, error.kind());
            }
        }
    };
    let failed = tokio::time::timeout(PATIENCE, failed).await.unwrap();
    assert_eq!(failed, (Command::Install, io::ErrorKind::PermissionDenied));
    // The host's own next try.
    lan.event(0, HostEvent::Installed { router: ROUTER });
    let again = async {
        let announced = |command: &&Command| matches!(command, Command::Announce { .. });
        while lan.commands(0).iter().filter(announced).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();

    // Another program's doing is undone; our own lease running out is not.
    let address = IpAddr::from([192, 0, 2, 100]);
    lan.event(
        0,
        HostEvent::AddressGone {
            router: ROUTER,
            address,
        },
    );
    let repaired = async {
        let installs = |command: &&Command| **command == Command::Install;
        while lan.commands(0).iter().filter(installs).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, repaired).await.unwrap();
    lan.event(0, HostEvent::LeaseExpired { router: ROUTER });
    let text = node.becomes(StateKind::Backup).await;
    assert!(
        text.contains("the lease of the addresses ran out"),
        "{text}"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_host_that_fails_again_and_again_is_told_of_at_powers_of_two() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    let failed = || HostEvent::Failed {
        router: ROUTER,
        command: Command::Install,
        error: io::ErrorKind::NotFound.into(),
    };
    (0..5).for_each(|_| lan.event(0, failed()));
    lan.event(0, HostEvent::Installed { router: ROUTER });
    lan.event(0, failed());
    let told = async {
        let mut counts = Vec::new();
        while counts.len() < 4 {
            if let Some(Observation::HostFailed { count, .. }) = node.seen.recv().await {
                counts.push(count);
            }
        }
        counts
    };
    assert_eq!(
        tokio::time::timeout(PATIENCE, told).await.unwrap(),
        [1, 2, 4, 1],
        "and anew once the addresses were in place"
    );
    node.stop().await;
}

#[tokio::test]
async fn an_advert_that_waited_at_the_host_counts_from_when_it_came() {
    let waited = Duration::from_millis(150);
    let lan = Lan::default();
    let (low, mut high) = (node(&lan, 100, vec![]), node(&lan, 200, vec![]));
    lan.with(0, |port| port.waited = waited);
    high.becomes(StateKind::Active).await;
    let heard = async {
        loop {
            let status = low.status().await;
            let at = now();
            if let Some(peer) = status.peers.first().filter(|peer| peer.adverts > 1) {
                break at.since(peer.heard_at);
            }
        }
    };
    let ago = tokio::time::timeout(PATIENCE, heard).await.unwrap();
    assert!(ago >= waited, "heard {ago:?} ago");
    high.stop().await;
    low.stop().await;
}

#[tokio::test]
async fn whoever_is_heard_at_the_last_moment_is_not_taken_over_from() {
    let lan = Lan::default();
    let mut low = node(&lan, 100, vec![]);
    let far = now() + PATIENCE;
    lan.with(0, |port| port.appear = Some(far));
    low.becomes(StateKind::Backup).await;
    let deadline = low.status().await.deadline.unwrap();
    // The driver is awake by then, and has found nothing.
    let moment = deadline.before(Duration::from_micros(20));
    lan.with(0, |port| port.appear = Some(moment));
    let owner = node(&lan, 255, vec![]);
    let heard = async {
        while low.status().await.peers.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
    let status = low.status().await;
    assert_eq!(status.state, StateKind::Backup);
    assert_eq!(lan.holders(), [1], "it took over meanwhile");
    assert!(!lan.commands(0).contains(&Command::Install));
    owner.stop().await;
    low.stop().await;
}

#[tokio::test]
async fn dropping_every_sender_stops_in_order() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    drop(node.control);
    let ended = tokio::time::timeout(PATIENCE, node.task).await.unwrap();
    ended.unwrap().unwrap();
    assert_eq!(lan.commands(0).last(), Some(&Command::Remove));
}

/// Right VRID, wrong checksum.
fn broken() -> (Datagram, Vec<u8>) {
    let datagram = Datagram {
        interface: 1,
        protocol: 112,
        envelope: Envelope::multicast(address(8)),
        len: 8,
        waited: Duration::ZERO,
    };
    (datagram, vec![0x31, 51, 100, 1, 0, 1, 0, 0])
}

#[tokio::test]
async fn what_waits_behind_errors_is_heard_before_anything_is_decided() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    lan.with(0, |port| {
        port.errors = 3;
        port.inbox.push_back(broken());
    });
    let first = tokio::time::timeout(PATIENCE, node.seen.recv()).await;
    let first = first.unwrap().unwrap();
    assert!(matches!(first, Observation::Rejected { .. }), "{first:?}");
    node.stop().await;
}

#[tokio::test]
async fn rejected_packets_are_told_at_powers_of_two() {
    let lan = Lan::default();
    let mut node = node(&lan, 100, vec![]);
    node.becomes(StateKind::Active).await;
    for _ in 0..5 {
        lan.with(0, |port| port.inbox.push_back(broken()));
    }
    let told = async {
        let mut counts = Vec::new();
        while counts.len() < 3 {
            if let Some(Observation::Rejected { count, .. }) = node.seen.recv().await {
                counts.push(count);
            }
        }
        counts
    };
    assert_eq!(
        tokio::time::timeout(PATIENCE, told).await.unwrap(),
        [1, 2, 4]
    );
    node.stop().await;
}
