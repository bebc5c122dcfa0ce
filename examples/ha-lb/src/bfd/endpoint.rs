//! The sessions of a process, and the task that keeps them.

use std::{
    collections::hash_map::RandomState,
    fmt,
    future::poll_fn,
    hash::BuildHasher as _,
    io,
    net::{IpAddr, UdpSocket},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::yield_now,
    time::{Instant, sleep_until},
};

use super::{
    packet::{LENGTH, Packet, State},
    session::{Change, Memory, Session, Settings},
    socket,
};
use crate::config::keepalived::Bfd;

/// Datagrams that are read in one go.
const TOGETHER: usize = 64;
/// After which a socket that could not be opened is tried again: at first a predecessor may not have ended yet.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_secs(5);
/// When it has lasted for about so long, it is told.
const TOLD: Duration = Duration::from_millis(100);

/// A session as another process is to go on with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    name: String,
    neighbour: IpAddr,
    port: u16,
    memory: Memory,
    /// Whether it counted as reached, which one that has ended the session goes on to do.
    #[serde(default)]
    reached: Option<bool>,
}

/// What the task is asked.
enum Order {
    /// Other sessions from now on; those that stay go on.
    Become(Vec<Bfd>),
    /// How they are.
    Save(oneshot::Sender<Vec<Saved>>),
}

/// The line to the task; when it is gone, the sessions end.
pub(crate) struct Sessions {
    orders: UnboundedSender<Order>,
    over: Option<oneshot::Receiver<()>>,
}

/// What it finds: a session is Up, or no longer.
pub(crate) type Found = (Arc<str>, bool);

impl Sessions {
    /// Begins these sessions, where `saved` says that another process had them as it left them. Each is told of at once
    /// as it is. To be called within a `LocalSet`.
    pub(crate) fn begin(wanted: Vec<Bfd>, saved: &[Saved]) -> (Self, UnboundedReceiver<Found>) {
        let (orders, asked) = unbounded_channel();
        let (found, findings) = unbounded_channel();
        let (done, over) = oneshot::channel();
        let mut endpoint = Endpoint {
            running: Vec::new(),
            receivers: [None, None],
            retry: None,
            patience: SOON,
            numbers: RandomState::new().hash_one(0_u8),
            refused: 0,
            found,
        };
        endpoint.become_(wanted, saved, Instant::now());
        tokio::task::spawn_local(async move {
            endpoint.serve(asked).await;
            let _ = done.send(());
        });
        let over = Some(over);
        (Self { orders, over }, findings)
    }

    /// Other sessions from now on.
    pub(crate) fn become_(&self, wanted: Vec<Bfd>) {
        let _ = self.orders.send(Order::Become(wanted));
    }

    /// How they are, for another process.
    pub(crate) async fn save(&self) -> Vec<Saved> {
        let (reply, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Save(reply));
        answer.await.unwrap_or_default()
    }

    /// Ends them: every neighbour is told.
    pub(crate) async fn end(self) {
        let Self { orders, over } = self;
        drop(orders);
        if let Some(over) = over {
            let _ = over.await;
        }
    }
}

/// One session with its socket.
struct Running {
    bfd: Bfd,
    session: Session,
    port: u16,
    sender: Option<UdpSocket>,
    /// What went wrong with it last has been told.
    told: Option<io::ErrorKind>,
    /// What was told of the neighbour last.
    reached: bool,
}

struct Endpoint {
    running: Vec<Running>,
    /// Over IPv4 and IPv6, as far as they are needed.
    receivers: [Option<tokio::net::UdpSocket>; 2],
    /// One of them could not be opened, and how long it is waited the next time.
    retry: Option<Instant>,
    patience: Duration,
    numbers: u64,
    refused: u64,
    found: UnboundedSender<Found>,
}

fn settings(bfd: &Bfd) -> Settings {
    Settings {
        min_rx: bfd.min_rx,
        min_tx: bfd.min_tx,
        idle_tx: bfd.idle_tx,
        multiplier: bfd.multiplier,
        passive: bfd.passive,
    }
}

impl Endpoint {
    async fn serve(mut self, mut asked: UnboundedReceiver<Order>) {
        loop {
            let deadlines = self.running.iter().map(|one| one.session.next_deadline());
            let deadline = deadlines.chain([self.retry]).flatten().min();
            tokio::select! {
                biased;
                order = asked.recv() => match order {
                    Some(Order::Become(wanted)) => self.become_(wanted, &[], Instant::now()),
                    Some(Order::Save(reply)) => drop(reply.send(self.save())),
                    None => return self.end(),
                },
                () = readable(&self.receivers) => {}
                () = wait(deadline) => {}
            }
            // What waits was sent before whatever is due now.
            let has_more = self.hear();
            self.act(Instant::now());
            if has_more {
                yield_now().await;
            }
        }
    }

    fn become_(&mut self, wanted: Vec<Bfd>, saved: &[Saved], now: Instant) {
        let mut before = std::mem::take(&mut self.running);
        for bfd in wanted {
            let same = |one: &Running| {
                let way = |bfd: &Bfd| (bfd.neighbour, bfd.source, bfd.hop_limit);
                one.bfd.name == bfd.name && way(&one.bfd) == way(&bfd)
            };
            if let Some(at) = before.iter().position(same) {
                let mut one = before.swap_remove(at);
                one.session.reconfigure(settings(&bfd), now);
                one.bfd = bfd;
                self.running.push(one);
                continue;
            }
            let mut left = saved.iter();
            let left = left.find(|one| (&*one.name, one.neighbour) == (&*bfd.name, bfd.neighbour));
            let one = match left {
                Some(left) => Running::resume(bfd, left, now),
                None => Running::new(bfd, self.number(), now),
            };
            let _ = self.found.send((Arc::clone(&one.bfd.name), one.reached));
            self.running.push(one);
        }
        before.into_iter().for_each(Running::end);
        self.open();
    }

    /// A number that no other session here has.
    fn number(&mut self) -> u32 {
        loop {
            self.numbers = self
                .numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let [a, b, c, d, ..] = self.numbers.to_be_bytes();
            let number = u32::from_be_bytes([a, b, c, d]);
            let taken = self
                .running
                .iter()
                .any(|one| one.session.number() == number);
            if number != 0 && !taken {
                return number;
            }
        }
    }

    /// The sockets that the sessions need.
    fn open(&mut self) {
        self.retry = None;
        for (place, v4) in self.receivers.iter_mut().zip([true, false]) {
            let needed = self
                .running
                .iter()
                .any(|one| one.bfd.neighbour.is_ipv4() == v4);
            if !needed {
                *place = None;
            } else if place.is_none() {
                match socket::receiver(v4) {
                    Ok(socket) => {
                        *place = Some(socket);
                        self.patience = SOON;
                    }
                    Err(error) => {
                        if (TOLD..TOLD * 2).contains(&self.patience) {
                            tracing::error!(
                                "BFD packets cannot be heard, which is tried again: {error}"
                            );
                        }
                        self.retry = Some(Instant::now() + self.patience);
                        self.patience = (self.patience * 2).min(LATER);
                    }
                }
            }
        }
    }

    /// Whether there may be more, for which others are not to wait.
    fn hear(&mut self) -> bool {
        let mut buffer = [0; 128];
        let mut has_more = false;
        for place in 0..self.receivers.len() {
            for left in (0..TOGETHER).rev() {
                let Some(Some(receiver)) = self.receivers.get(place) else {
                    break;
                };
                has_more |= left == 0;
                match socket::receive(receiver, &mut buffer) {
                    Ok(Some((length, source, hops))) => {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        self.take(bytes, source, hops, Instant::now());
                    }
                    // An error that the network told about something we sent concerns nobody here.
                    Err(_) => {}
                    Ok(None) => break,
                }
            }
        }
        has_more
    }

    /// RFC 5880 §6.8.6, RFC 5881 §5.
    fn take(&mut self, bytes: &[u8], source: IpAddr, hops: u8, now: Instant) {
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(why) => return self.refuse(source, format_args!("it is malformed: {why:?}")),
        };
        let ours = |one: &&mut Running| {
            let known = packet.yours == 0 || one.session.number() == packet.yours;
            one.bfd.neighbour == source && known
        };
        let Some(one) = self.running.iter_mut().find(ours) else {
            return self.refuse(source, format_args!("no session is its"));
        };
        if one.bfd.least_hops().is_some_and(|least| hops < least) {
            return self.refuse(source, format_args!("only {hops} hops are left to it"));
        }
        let change = one.session.hears(&packet, now);
        one.tell(change, &self.found);
    }

    fn refuse(&mut self, source: IpAddr, why: fmt::Arguments<'_>) {
        self.refused += 1;
        if self.refused.is_power_of_two() {
            tracing::warn!(
                "a BFD packet from {source} is discarded: {why} ({} by now)",
                self.refused
            );
        }
    }

    fn act(&mut self, now: Instant) {
        for one in &mut self.running {
            let change = one.session.timeout(now);
            one.tell(change, &self.found);
            if let Some(packet) = one.session.transmit(now) {
                one.send(&packet.emit());
            }
        }
        if self.retry.is_some_and(|at| at <= now) {
            self.open();
        }
    }

    fn save(&self) -> Vec<Saved> {
        self.running.iter().map(Running::save).collect()
    }

    fn end(self) {
        self.running.into_iter().for_each(Running::end);
    }
}

impl Running {
    fn new(bfd: Bfd, number: u32, now: Instant) -> Self {
        Self {
            session: Session::new(settings(&bfd), number, now),
            bfd,
            // The port is told by the number, too: one that begins anew has another.
            port: u16::try_from(number >> 16).unwrap_or_default(),
            sender: None,
            told: None,
            reached: false,
        }
    }

    /// Goes on with what another process left.
    fn resume(bfd: Bfd, left: &Saved, now: Instant) -> Self {
        let session = Session::resume(settings(&bfd), left.memory, now);
        Self {
            reached: left.reached.unwrap_or(session.state() == State::Up),
            session,
            bfd,
            port: left.port,
            sender: None,
            told: None,
        }
    }

    fn save(&self) -> Saved {
        Saved {
            name: self.bfd.name.to_string(),
            neighbour: self.bfd.neighbour,
            port: self.port,
            memory: self.session.memory(),
            reached: Some(self.reached),
        }
    }

    fn tell(&mut self, change: Option<Change>, found: &UnboundedSender<Found>) {
        let Some(change) = change else {
            return;
        };
        let (name, neighbour) = (&self.bfd.name, self.bfd.neighbour);
        match (change.from, change.to) {
            (_, State::Up) => {
                tracing::info!("bfd_instance {name}: {neighbour} is reached");
                self.reached = true;
                let _ = found.send((Arc::clone(name), true));
            }
            // As keepalived has it: whoever stops BFD has not lost its network.
            (State::Up, _) if change.ended => tracing::info!(
                "bfd_instance {name}: {neighbour} has ended the session, and still counts as reached"
            ),
            (State::Up, _) => {
                tracing::warn!("bfd_instance {name}: {neighbour} is lost: {}", change.why);
                self.reached = false;
                let _ = found.send((Arc::clone(name), false));
            }
            _ => {}
        }
    }

    fn send(&mut self, bytes: &[u8; LENGTH]) {
        let neighbour = self.bfd.neighbour;
        let socket = self.socket();
        let sent = socket.and_then(|socket| socket::send(socket, neighbour, bytes));
        let error = sent.err().map(|error| (error.kind(), error));
        let kind = error.as_ref().map(|(kind, _)| *kind);
        if let Some((kind, error)) = error.filter(|(kind, _)| self.told != Some(*kind)) {
            tracing::warn!(
                "bfd_instance {}: nothing can be sent to {}: {error} ({kind:?})",
                self.bfd.name,
                self.bfd.neighbour
            );
        }
        self.told = kind;
    }

    fn socket(&mut self) -> io::Result<&UdpSocket> {
        let Bfd {
            neighbour,
            source,
            hop_limit,
            ..
        } = self.bfd;
        let socket = match self.sender.take() {
            Some(socket) => socket,
            None => {
                let socket = socket::sender(neighbour, source, hop_limit, self.port)?;
                self.port = socket.local_addr()?.port();
                socket
            }
        };
        Ok(self.sender.insert(socket))
    }

    /// RFC 5880 §6.8.16: the neighbour need not wait for its detection time.
    fn end(mut self) {
        self.session.end();
        if self.sender.is_some() {
            let last = self.session.packet().emit();
            self.send(&last);
        }
    }
}

async fn readable(receivers: &[Option<tokio::net::UdpSocket>; 2]) {
    poll_fn(|cx| {
        let mut all = receivers.iter().flatten();
        match all.any(|one| one.poll_recv_ready(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::packet::Diagnostic, *};
    use crate::config::diagnostic::Span;

    fn bfd() -> Bfd {
        Bfd {
            name: "A".into(),
            span: Span::new("f".into(), 1, 1),
            neighbour: "10.0.0.2".parse().unwrap(),
            source: None,
            min_rx: SOON,
            min_tx: SOON,
            idle_tx: LATER,
            multiplier: 5,
            passive: false,
            hop_limit: 255,
            max_hops: Some(0),
            weight: 0,
            reverse: false,
        }
    }

    #[test]
    fn one_that_ended_the_session_counts_as_reached_after_an_upgrade_too() {
        let (found, mut findings) = unbounded_channel();
        let now = Instant::now();
        let mut one = Running::new(bfd(), 7, now);
        let change = |from, to, ended| {
            let why = Diagnostic::NeighbourDown;
            Some(Change {
                from,
                to,
                why,
                ended,
            })
        };
        let mut after_upgrade = |from, to, ended| {
            one.tell(change(from, to, ended), &found);
            let left = serde_json::to_string(&one.save()).unwrap();
            let resumed = Running::resume(bfd(), &serde_json::from_str(&left).unwrap(), now);
            (findings.try_recv().ok().map(|(_, up)| up), resumed.reached)
        };
        assert_eq!(
            after_upgrade(State::Init, State::Up, false),
            (Some(true), true)
        );
        assert_eq!(after_upgrade(State::Up, State::Down, true), (None, true));
        assert_eq!(
            after_upgrade(State::Init, State::Up, false),
            (Some(true), true)
        );
        assert_eq!(
            after_upgrade(State::Up, State::Down, false),
            (Some(false), false)
        );
    }
}
