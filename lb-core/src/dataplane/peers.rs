//! `peers` sections on the network: connections from other hosts, each with the worker that accepted it, and to them,
//! on the thread of the checks.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Balancer, Event, Events, clock,
    destination::{Destination, NotBegun, SocketOptions},
    registry::Order,
    rt::{self, Timer},
    session::Connection,
    stream::{Plain, Stream},
    tls::Connector,
};
use crate::{
    config::PeerConfig,
    peers::{Broken, Group, Session},
};

/// What is read or told in one go before others have their turn.
const TURNS: u32 = 4;
/// Longest time that connecting, and speaking TLS, may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a lesson is begun anew that breaks off.
const LESSONS: usize = 3;

/// A connection from another host.
pub(super) async fn serve(mut connection: Box<Connection>) {
    let section = match &connection.frontend().peers {
        Some(section) => Arc::clone(&section.name),
        None => return,
    };
    let Some(group) = connection.listener.balancer.groups.get(&section).cloned() else {
        return;
    };
    let session = Session::answer(Arc::clone(&group), clock::now());
    let worker = Rc::clone(&connection.worker);
    let Connection { client, member, .. } = &mut *connection;
    let over = || {
        let current = worker.current.borrow();
        let present = current.balancer.groups.get(&section);
        member.order() >= Order::Finish || !present.is_some_and(|one| Arc::ptr_eq(one, &group))
    };
    talk(&mut client.stream, session, over).await;
}

/// Speaks until the session, the connection, or that what they are for, is over.
async fn talk(
    stream: &mut Stream,
    mut session: Session,
    over: impl Fn() -> bool,
) -> Option<Broken> {
    let mut timer = Timer::default();
    let mut room = vec![0; 16 * 1024].into_boxed_slice();
    std::future::poll_fn(|cx| {
        for turn in 0.. {
            if turn == TURNS {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let now = clock::recent();
            if over() {
                return Poll::Ready(None);
            }
            session.fill(now);
            while !session.output().is_empty() {
                match stream.poll_write(cx, &[IoSlice::new(session.output())]) {
                    Poll::Ready(Ok(count)) if count > 0 => session.sent(count, now),
                    Poll::Ready(_) => return Poll::Ready(None),
                    Poll::Pending => break,
                }
            }
            if let Poll::Ready(Err(_)) = stream.poll_flush(cx) {
                return Poll::Ready(None);
            }
            if let Some(why) = session.broken() {
                return Poll::Ready(Some(why));
            }
            match stream.poll_read(cx, &mut room) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    session.receive(room.get(..count).unwrap_or_default(), clock::recent());
                    continue;
                }
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            if session.output().is_empty() && session.poll_news(cx).is_ready() {
                continue;
            }
            timer.set(Some(session.deadline()));
            ready!(timer.poll_expired(cx));
        }
        Poll::Pending
    })
    .await
}

/// A peer that is called.
pub(super) struct Called {
    group: Arc<Group>,
    index: usize,
    peer: PeerConfig,
    connector: Option<Connector>,
    task: rt::Task,
}

/// Goes over to the peers of another configuration.
pub(super) fn rearrange(
    mut before: Vec<Called>,
    balancer: &Balancer,
    events: &Arc<dyn Events>,
) -> Vec<Called> {
    let mut called = Vec::new();
    let sections = balancer
        .config
        .proxies
        .iter()
        .filter_map(|p| p.peers.as_ref());
    for section in sections {
        let Some(group) = balancer.groups.get(&section.name) else {
            continue;
        };
        let peers = section.peers.iter().enumerate();
        for (index, peer) in peers.filter(|(_, peer)| peer.address.port() > 0) {
            let connector = balancer.peer_connector(&section.name, index).cloned();
            let same = |old: &Called| {
                let place = Arc::ptr_eq(&old.group, group) && old.index == index;
                place && old.peer == *peer && old.connector == connector
            };
            if let Some(place) = before.iter().position(same) {
                called.push(before.swap_remove(place));
                continue;
            }
            let (group, peer) = (Arc::clone(group), peer.clone());
            let events = Arc::clone(events);
            let task = rt::spawn(call(
                Arc::clone(&group),
                index,
                peer.clone(),
                connector.clone(),
                events,
            ));
            called.push(Called {
                group,
                index,
                peer,
                connector,
                task,
            });
        }
    }
    end(before);
    called
}

/// Calls nobody any more.
pub(super) fn end(called: Vec<Called>) {
    for gone in called {
        gone.task.abort();
    }
}

/// Tells the process that has taken the place of this one all that the tables of each section hold, then `done`. What
/// listens at a section's address by now is that process, or there is none.
pub(super) async fn teach(
    balancer: Arc<Balancer>,
    events: Arc<dyn Events>,
    done: oneshot::Sender<()>,
) {
    let sections = balancer.config.proxies.iter();
    for section in sections.filter_map(|proxy| proxy.peers.as_ref()) {
        let Some(group) = balancer.groups.get(&section.name) else {
            continue;
        };
        let place = section.peers.len();
        let connector = balancer.peer_connector(&section.name, place);
        for _ in 0..LESSONS {
            let Some(address) = section.local_address else {
                break;
            };
            let Some(Ok(mut stream)) = rt::timeout(CONNECT, connect(address, connector)).await
            else {
                break;
            };
            let session = Session::call(Arc::clone(group), place, clock::now());
            let why = talk(&mut stream, session, || false).await;
            let count = group.link(place).map_or(0, |link| link.told);
            let how = match why {
                Some(Broken::Told) => {
                    format!("told the process that succeeds this one {count} entries")
                }
                Some(why) => format!("the process that succeeds this one: {why}"),
                None => String::from("the process that succeeds this one has hung up"),
            };
            let text = format!("peers {}: {how}", section.name);
            events.event(match why {
                Some(Broken::Told) => Event::Done { text },
                _ => Event::Notice { text },
            });
            if why == Some(Broken::Told) {
                break;
            }
        }
    }
    let _ = done.send(());
}

/// Has a connection with a peer for ever: calls it while it has not called.
async fn call(
    group: Arc<Group>,
    index: usize,
    peer: PeerConfig,
    connector: Option<Connector>,
    events: Arc<dyn Events>,
) {
    let mut told = None;
    loop {
        if group.link(index).is_some_and(|link| link.session.is_none())
            && let Some(Ok(mut stream)) =
                rt::timeout(CONNECT, connect(peer.address, connector.as_ref())).await
        {
            let session = Session::call(Arc::clone(&group), index, clock::now());
            let why = talk(&mut stream, session, || false).await;
            let why = why.filter(|why| matches!(why, Broken::Refused(_) | Broken::Malformed));
            if let Some(why) = why.filter(|why| told != Some(*why)) {
                let text = format!("peers {}: peer {}: {why}", group.name(), peer.name);
                events.event(Event::Notice { text });
                told = Some(why);
            }
        }
        // Two that call each other at once, and hang up for each other's call, do not do so again.
        rt::sleep(Duration::from_millis(50) + jitter()).await;
    }
}

/// Some time up to two seconds.
fn jitter() -> Duration {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.subsec_micros());
    Duration::from_millis((micros % 2000).into())
}

async fn connect(address: SocketAddr, connector: Option<&Connector>) -> io::Result<Stream> {
    let error = |error| match error {
        NotBegun::Local(e) | NotBegun::Refused(e) => e,
    };
    let options = SocketOptions {
        keepalive: true,
        ..SocketOptions::default()
    };
    let begun = Destination::Ip(address).begin(None, options);
    let plain: Plain = begun.map_err(error)?;
    std::future::poll_fn(|cx| plain.poll_connected(cx)).await?;
    match connector {
        None => Ok(plain.into()),
        Some(connector) => {
            let secured = connector.connect(&[], None, plain).await?;
            Ok(tokio_rustls::TlsStream::from(secured).into())
        }
    }
}
