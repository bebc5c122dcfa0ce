//! One session of a process with its socket, and what is told of it.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    packet::{Diagnostic, LENGTH, Packet, State},
    session::{Change, Memory, Session, Settings},
    socket,
};
use crate::{admin::status::Neighbour, config::keepalived::Bfd, latest::Teller};

/// What is found: a session is Up, or no longer.
pub(crate) type Found = (Arc<str>, bool);

/// A session as another process is to go on with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    name: String,
    neighbour: IpAddr,
    port: u16,
    memory: Memory,
    /// Where its packets came from; absent if an older program tells of it.
    #[serde(default)]
    way: Option<Way>,
    /// Whether it counted as reached, which one that has ended the session goes on to do.
    #[serde(default)]
    reached: Option<bool>,
}

/// How packets of a session are sent: by another one they are another session's to whoever gets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Way {
    source: Option<IpAddr>,
    hop_limit: u8,
}

impl Way {
    pub(super) fn of(bfd: &Bfd) -> Self {
        Self {
            source: bfd.source,
            hop_limit: bfd.hop_limit,
        }
    }
}

impl Saved {
    /// Whether it is of that session.
    pub(super) fn is_of(&self, bfd: &Bfd) -> bool {
        let same_way = self.way.is_none_or(|way| way == Way::of(bfd));
        (&*self.name, self.neighbour) == (&*bfd.name, bfd.neighbour) && same_way
    }
}

/// One session with its socket.
pub(super) struct Running {
    pub(super) bfd: Bfd,
    pub(super) session: Session,
    port: u16,
    sender: Option<UdpSocket>,
    /// Why nothing could be sent the last time, which has been told.
    unsent: Option<(io::ErrorKind, String)>,
    /// What was told of the neighbour last.
    pub(super) reached: bool,
    /// Since when its state is what it is.
    since: Instant,
    /// Why it is not Up.
    why: Diagnostic,
    heard: u64,
    losses: u64,
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

impl Running {
    pub(super) fn new(bfd: Bfd, number: u32, now: Instant) -> Self {
        Self {
            session: Session::new(settings(&bfd), number, now),
            bfd,
            // The port is told by the number, too: one that begins anew has another.
            port: u16::try_from(number >> 16).unwrap_or_default(),
            sender: None,
            unsent: None,
            reached: false,
            since: now,
            why: Diagnostic::None,
            heard: 0,
            losses: 0,
        }
    }

    /// Goes on with what another process left.
    pub(super) fn resume(bfd: Bfd, left: &Saved, now: Instant) -> Self {
        let session = Session::resume(settings(&bfd), left.memory, now);
        Self {
            reached: left.reached.unwrap_or(session.state() == State::Up),
            session,
            port: left.port,
            ..Self::new(bfd, 1, now)
        }
    }

    /// Other settings of the same session.
    pub(super) fn becomes(&mut self, bfd: Bfd, now: Instant) {
        self.session.reconfigure(settings(&bfd), now);
        self.bfd = bfd;
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            name: self.bfd.name.to_string(),
            neighbour: self.bfd.neighbour,
            port: self.port,
            memory: self.session.memory(),
            way: Some(Way::of(&self.bfd)),
            reached: Some(self.reached),
        }
    }

    /// For the status document.
    pub(super) fn report(&self, now: Instant) -> Neighbour {
        let state = self.session.state();
        Neighbour {
            name: self.bfd.name.to_string(),
            address: self.bfd.neighbour.to_string(),
            source: self.bfd.source.map(|source| source.to_string()),
            state: state.to_string(),
            reached: self.reached,
            state_age: (now - self.since).as_secs_f64(),
            reason: (state != State::Up && self.why != Diagnostic::None)
                .then(|| self.why.to_string()),
            interval: self.session.interval().map(|time| time.as_secs_f64()),
            detection_time: self.session.detection_time().map(|time| time.as_secs_f64()),
            received: self.heard,
            losses: self.losses,
            failure: self.unsent.as_ref().map(|(_, why)| why.clone()),
        }
    }

    /// A packet of its neighbour.
    pub(super) fn hears(&mut self, packet: &Packet, now: Instant, found: &Teller<Arc<str>, bool>) {
        self.heard += 1;
        let change = self.session.hears(packet, now);
        self.tell(change, now, found);
    }

    pub(super) fn tell(
        &mut self,
        change: Option<Change>,
        now: Instant,
        found: &Teller<Arc<str>, bool>,
    ) {
        let Some(change) = change else {
            return;
        };
        (self.since, self.why) = (now, change.why);
        let (name, neighbour) = (&self.bfd.name, self.bfd.neighbour);
        match (change.from, change.to) {
            (_, State::Up) => {
                tracing::info!("bfd_instance {name}: {neighbour} is reached");
                self.reached = true;
                found.tell(Arc::clone(name), true);
            }
            // As keepalived has it: whoever stops BFD has not lost its network.
            (State::Up, _) if change.ended => tracing::info!(
                "bfd_instance {name}: {neighbour} has ended the session, and still counts as reached"
            ),
            (State::Up, _) => {
                tracing::warn!("bfd_instance {name}: {neighbour} is lost: {}", change.why);
                self.reached = false;
                self.losses += 1;
                found.tell(Arc::clone(name), false);
            }
            _ => {}
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8; LENGTH]) {
        let neighbour = self.bfd.neighbour;
        let socket = self.socket();
        let sent = socket.and_then(|socket| socket::send(socket, neighbour, bytes));
        let error = sent.err().map(|error| (error.kind(), error.to_string()));
        let told = self.unsent.as_ref().map(|(kind, _)| *kind);
        if let Some((kind, why)) = error.as_ref().filter(|(kind, _)| told != Some(*kind)) {
            tracing::warn!(
                "bfd_instance {}: nothing can be sent to {neighbour}: {why} ({kind:?})",
                self.bfd.name,
            );
        }
        self.unsent = error;
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
    pub(super) fn end(mut self) {
        self.session.end();
        if self.sender.is_some() {
            let last = self.session.packet().emit();
            self.send(&last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{config::diagnostic::Span, latest::latest};

    fn bfd() -> Bfd {
        Bfd {
            name: "A".into(),
            span: Span::new("f".into(), 1, 1),
            neighbour: "10.0.0.2".parse().unwrap(),
            source: None,
            min_rx: Duration::from_millis(1),
            min_tx: Duration::from_millis(1),
            idle_tx: Duration::from_secs(5),
            multiplier: 5,
            passive: false,
            hop_limit: 255,
            max_hops: Some(0),
            weight: 0,
            reverse: false,
        }
    }

    fn change(from: State, to: State, ended: bool) -> Option<Change> {
        let why = Diagnostic::NeighbourDown;
        Some(Change {
            from,
            to,
            why,
            ended,
        })
    }

    #[test]
    fn one_that_ended_the_session_counts_as_reached_after_an_upgrade_too() {
        let (found, findings) = latest();
        let now = Instant::now();
        let mut one = Running::new(bfd(), 7, now);
        let mut after_upgrade = |from, to, ended| {
            one.tell(change(from, to, ended), now, &found);
            let left = serde_json::to_string(&one.save()).unwrap();
            let resumed = Running::resume(bfd(), &serde_json::from_str(&left).unwrap(), now);
            (findings.try_recv().map(|(_, up)| up), resumed.reached)
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

    #[test]
    fn one_that_is_to_be_sent_from_elsewhere_begins_anew_after_an_upgrade() {
        let left = Running::new(bfd(), 7, Instant::now()).save();
        let left: Saved = serde_json::from_value(serde_json::to_value(left).unwrap()).unwrap();
        assert!(left.is_of(&bfd()));
        let source = Some("10.0.0.3".parse().unwrap());
        assert!(!left.is_of(&Bfd { source, ..bfd() }));
        let hop_limit = 64;
        assert!(!left.is_of(&Bfd { hop_limit, ..bfd() }));
        // A program before this one did not tell.
        let mut older = serde_json::to_value(&left).unwrap();
        older.as_object_mut().unwrap().remove("way");
        let older: Saved = serde_json::from_value(older).unwrap();
        assert!(older.is_of(&Bfd { source, ..bfd() }));
    }

    #[test]
    fn the_report_says_since_when_a_neighbour_is_lost_and_why() {
        let (found, _findings) = latest();
        let now = Instant::now();
        let mut one = Running::new(bfd(), 7, now);
        let second = Duration::from_secs(1);
        one.tell(change(State::Init, State::Up, false), now + second, &found);
        one.tell(
            change(State::Up, State::Down, false),
            now + 2 * second,
            &found,
        );
        let told = one.report(now + 5 * second);
        assert_eq!((told.state_age, told.losses), (3.0, 1));
        assert!(!told.reached);
        assert_eq!(
            told.reason.as_deref(),
            Some("the neighbour says that it is down")
        );
        assert_eq!(told.interval, Some(5.0));
    }
}
