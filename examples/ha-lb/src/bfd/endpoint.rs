//! The sessions of a process, and the task that keeps them.

use std::{
    collections::hash_map::RandomState, fmt, future::poll_fn, hash::BuildHasher as _, net::IpAddr,
    sync::Arc, task::Poll, time::Duration,
};

use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel},
        oneshot,
    },
    task::yield_now,
    time::{Instant, sleep_until},
};

pub(crate) use super::running::{Found, Saved};
use super::{
    packet::Packet,
    running::{Running, Way},
    socket::{self, Arrived},
};
use crate::{
    admin::status::Neighbour,
    config::keepalived::Bfd,
    latest::{Latest, Teller, latest},
};

/// Datagrams that are read in one go.
const TOGETHER: usize = 64;
/// After which a socket that could not be opened is tried again: at first a predecessor may not have ended yet.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_secs(5);
/// When it has lasted for about so long, it is told, and then at every minute or so.
const TOLD: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_secs(60);

/// What the task is asked.
enum Order {
    /// Other sessions from now on; those that stay go on.
    Become(Vec<Bfd>),
    /// How they are, for a successor.
    Save(oneshot::Sender<Vec<Saved>>),
    /// How they are, for people.
    Report(oneshot::Sender<Vec<Neighbour>>),
}

/// The line to the task; when it is gone, the sessions end.
pub(crate) struct Sessions {
    /// Not bounded: whoever asks waits for the answer, and other sessions are wanted once in a reload.
    orders: UnboundedSender<Order>,
    over: Option<oneshot::Receiver<()>>,
}

impl Sessions {
    /// Begins these sessions, where `saved` says that another process had them as it left them. Each is told of at once
    /// as it is. To be called within a `LocalSet`.
    pub(crate) fn begin(wanted: Vec<Bfd>, saved: &[Saved]) -> (Self, Latest<Arc<str>, bool>) {
        let (orders, asked) = unbounded_channel();
        let (found, findings) = latest();
        let (done, over) = oneshot::channel();
        let mut endpoint = Endpoint {
            running: Vec::new(),
            receivers: [None, None],
            deaf: None,
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

    /// The way to ask how they are.
    pub(crate) fn inquirer(&self) -> Inquirer {
        Inquirer(self.orders.downgrade())
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

/// Asks the task, and does not keep it from ending.
#[derive(Clone)]
pub(crate) struct Inquirer(WeakUnboundedSender<Order>);

impl Inquirer {
    /// How the sessions are; none once they have ended.
    pub(crate) async fn report(&self) -> Vec<Neighbour> {
        let Some(orders) = self.0.upgrade() else {
            return Vec::new();
        };
        let (reply, answer) = oneshot::channel();
        let _ = orders.send(Order::Report(reply));
        drop(orders);
        answer.await.unwrap_or_default()
    }
}

/// A socket to hear by could not be opened.
struct Deaf {
    why: String,
    since: Instant,
    /// When it is tried again, and how long it is waited the time after.
    retry: Instant,
    patience: Duration,
    /// When it is told again.
    tell: Instant,
}

struct Endpoint {
    running: Vec<Running>,
    /// Over IPv4 and IPv6, as far as they are needed.
    receivers: [Option<tokio::net::UdpSocket>; 2],
    deaf: Option<Deaf>,
    numbers: u64,
    refused: u64,
    /// Packets of the network decide how often it is told: of each session the last word counts.
    found: Teller<Arc<str>, bool>,
}

impl Endpoint {
    async fn serve(mut self, mut asked: UnboundedReceiver<Order>) {
        loop {
            let deadlines = self.running.iter().map(|one| one.session.next_deadline());
            let retry = self.deaf.as_ref().map(|deaf| deaf.retry);
            let deadline = deadlines.chain([retry]).flatten().min();
            tokio::select! {
                biased;
                order = asked.recv() => match order {
                    Some(Order::Become(wanted)) => self.become_(wanted, &[], Instant::now()),
                    Some(Order::Save(reply)) => drop(reply.send(self.save())),
                    Some(Order::Report(reply)) => drop(reply.send(self.report(Instant::now()))),
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
                let way = |bfd: &Bfd| (bfd.neighbour, Way::of(bfd));
                one.bfd.name == bfd.name && way(&one.bfd) == way(&bfd)
            };
            if let Some(at) = before.iter().position(same) {
                let mut one = before.swap_remove(at);
                one.becomes(bfd, now);
                self.running.push(one);
                continue;
            }
            let one = match saved.iter().find(|one| one.is_of(&bfd)) {
                Some(left) => Running::resume(bfd, left, now),
                None => Running::new(bfd, self.number(), now),
            };
            self.found.tell(Arc::clone(&one.bfd.name), one.reached);
            self.running.push(one);
        }
        before.into_iter().for_each(Running::end);
        self.open(now);
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
    fn open(&mut self, now: Instant) {
        let mut failed = None;
        for (place, v4) in self.receivers.iter_mut().zip([true, false]) {
            let needed = self
                .running
                .iter()
                .any(|one| one.bfd.neighbour.is_ipv4() == v4);
            if !needed {
                *place = None;
            } else if place.is_none() {
                match socket::receiver(v4) {
                    Ok(socket) => *place = Some(socket),
                    Err(error) => failed = Some(error.to_string()),
                }
            }
        }
        let Some(why) = failed else {
            if self.deaf.take().is_some_and(|deaf| deaf.told()) {
                tracing::info!("BFD packets are heard again");
            }
            return;
        };
        let deaf = self.deaf.get_or_insert_with(|| Deaf::new(now));
        deaf.goes_on(why, now);
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
                    Ok(Some(arrived)) => {
                        let bytes = buffer.get(..arrived.length).unwrap_or_default();
                        self.take(bytes, &arrived, Instant::now());
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
    fn take(&mut self, bytes: &[u8], arrived: &Arrived, now: Instant) {
        let &Arrived {
            source,
            destination,
            hops,
            ..
        } = arrived;
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(why) => return self.refuse(source, format_args!("it is malformed: {why:?}")),
        };
        // Two sessions with one neighbour are told apart by our address until it knows our numbers.
        let ours = |one: &&mut Running| {
            let meant = match packet.yours {
                0 => one.bfd.source.is_none_or(|ours| ours == destination),
                number => one.session.number() == number,
            };
            one.bfd.neighbour == source && meant
        };
        let Some(one) = self.running.iter_mut().find(ours) else {
            return self.refuse(source, format_args!("no session is its"));
        };
        if one.bfd.least_hops().is_some_and(|least| hops < least) {
            return self.refuse(source, format_args!("only {hops} hops are left to it"));
        }
        one.hears(&packet, now, &self.found);
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
            one.tell(change, now, &self.found);
            if let Some(packet) = one.session.transmit(now) {
                one.send(&packet.emit());
            }
        }
        if self.deaf.as_ref().is_some_and(|deaf| deaf.retry <= now) {
            self.open(now);
        }
    }

    fn report(&self, now: Instant) -> Vec<Neighbour> {
        let deaf = |v4: bool| match (v4, &self.receivers) {
            (true, [None, _]) | (false, [_, None]) => self.deaf.as_ref(),
            _ => None,
        };
        let report = |one: &Running| {
            let report = one.report(now);
            let deaf = deaf(one.bfd.neighbour.is_ipv4());
            let unheard = deaf.map(|deaf| format!("packets cannot be heard: {}", deaf.why));
            Neighbour {
                failure: unheard.or(report.failure),
                ..report
            }
        };
        self.running.iter().map(report).collect()
    }

    fn save(&self) -> Vec<Saved> {
        self.running.iter().map(Running::save).collect()
    }

    fn end(self) {
        self.running.into_iter().for_each(Running::end);
    }
}

impl Deaf {
    fn new(now: Instant) -> Self {
        Self {
            why: String::new(),
            since: now,
            retry: now,
            patience: SOON,
            tell: now + TOLD,
        }
    }

    /// Whether an operator knows of it.
    fn told(&self) -> bool {
        self.tell != self.since + TOLD
    }

    fn goes_on(&mut self, why: String, now: Instant) {
        if now >= self.tell {
            tracing::error!(
                "BFD packets have not been heard for {:.1?}, which is tried again: {why}",
                now - self.since
            );
            self.tell = now + AGAIN;
        }
        self.why = why;
        self.retry = now + self.patience;
        self.patience = (self.patience * 2).min(LATER);
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
    use super::*;

    #[test]
    fn who_cannot_hear_says_so_after_a_moment_and_again_every_minute() {
        let start = Instant::now();
        let mut deaf = Deaf::new(start);
        let mut told = Vec::new();
        while deaf.retry < start + Duration::from_secs(130) {
            let (at, tell) = (deaf.retry, deaf.tell);
            deaf.goes_on("Address already in use".to_owned(), at);
            if deaf.tell != tell {
                assert!(deaf.told());
                told.push((at - start).as_secs());
            }
            assert!(deaf.retry > at && deaf.retry <= at + LATER);
        }
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told.first(), Some(&0));
    }
}
