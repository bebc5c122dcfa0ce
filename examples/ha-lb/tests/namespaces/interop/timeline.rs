//! What happened in a cell and when: what was done, what was on the wire, which host's kernel had which address.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::frames::Advert;

/// One thing that happened. Hosts are numbered in the order of the cell's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The test did something.
    Done(String),
    Advert {
        from: usize,
        advert: Advert,
    },
    /// A gratuitous ARP or an unsolicited neighbour advertisement.
    Announced {
        from: usize,
    },
    /// The witness asked and this host said that it has the address.
    Answered {
        from: usize,
    },
    Added {
        on: usize,
        address: IpAddr,
    },
    Removed {
        on: usize,
        address: IpAddr,
    },
}

/// A log that the witness writes and the cell reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    events: Vec<(Instant, Event)>,
    held: BTreeSet<(usize, IpAddr)>,
    /// Adverts and announcements whole, for another decoder.
    frames: Vec<(usize, Vec<u8>)>,
}

impl Timeline {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn record(&self, at: Instant, event: Event) {
        let mut log = self.log();
        match event {
            // A refresh of an address is no news.
            Event::Added { on, address } if !log.held.insert((on, address)) => return,
            Event::Removed { on, address } if !log.held.remove(&(on, address)) => return,
            _ => {}
        }
        log.events.push((at, event));
    }

    pub(crate) fn keep(&self, from: usize, frame: Vec<u8>) {
        self.log().frames.push((from, frame));
    }

    /// Says what the test does now.
    pub(crate) fn done(&self, what: impl Into<String>) -> Instant {
        let at = Instant::now();
        self.record(at, Event::Done(what.into()));
        at
    }

    pub(crate) fn holds(&self, host: usize, address: IpAddr) -> bool {
        self.log().held.contains(&(host, address))
    }

    /// Everything since then, in the order of time.
    pub(crate) fn since(&self, since: Instant) -> Vec<(Instant, Event)> {
        let log = self.log();
        let events = log.events.iter().filter(|(at, _)| *at >= since);
        let mut events: Vec<_> = events.cloned().collect();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    fn all(&self) -> Vec<(Instant, Event)> {
        let mut events = self.log().events.clone();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// Adverts of a host since then, those of priority 0 included.
    pub(crate) fn adverts(&self, host: usize, since: Instant) -> Vec<(Instant, Advert)> {
        let events = self.since(since).into_iter();
        let adverts = events.filter_map(|(at, event)| match event {
            Event::Advert { from, advert } if from == host => Some((at, advert)),
            _ => None,
        });
        adverts.collect()
    }

    /// The last advert of a host that is no resignation: its first copy, where each of several peers gets one.
    pub(crate) fn last_advert(&self, host: usize) -> Option<Instant> {
        const COPIES: Duration = Duration::from_millis(20);
        let log = self.log();
        let all = || {
            log.events.iter().filter_map(|(at, event)| match event {
                Event::Advert { from, advert } if *from == host && advert.priority > 0 => Some(*at),
                _ => None,
            })
        };
        let last = all().max()?;
        all().filter(|at| *at + COPIES >= last).min()
    }

    /// Hosts that answered the witness since then.
    pub(crate) fn answers(&self, since: Instant) -> Vec<(Instant, usize)> {
        let events = self.since(since).into_iter();
        let answers = events.filter_map(|(at, event)| match event {
            Event::Answered { from } => Some((at, from)),
            _ => None,
        });
        answers.collect()
    }

    /// Adverts and announcements of a host.
    pub(crate) fn frames(&self, host: usize) -> Vec<Vec<u8>> {
        let log = self.log();
        let frames = log.frames.iter().filter(|(from, _)| *from == host);
        frames.map(|(_, frame)| frame.clone()).collect()
    }

    /// Answers of a host that, for `grace` at least, was not the one whose adverts or announcements were heard last.
    pub(crate) fn usurpers(&self, since: Instant, grace: Duration) -> Vec<(Instant, usize)> {
        let all = self.all();
        let mut speaker: Option<(usize, Instant)> = None;
        let mut wrong = Vec::new();
        for (at, event) in all {
            match event {
                Event::Advert { advert, .. } if advert.priority == 0 => {}
                Event::Advert { from, .. } | Event::Announced { from } => {
                    speaker = speaker.filter(|(who, _)| *who == from).or(Some((from, at)));
                }
                Event::Answered { from } if at >= since => {
                    let other = speaker.filter(|(who, began)| *who != from && *began + grace < at);
                    wrong.extend(other.map(|_| (at, from)));
                }
                _ => {}
            }
        }
        wrong
    }

    /// Who spoke as Active since then, in order, each once until another did.
    pub(crate) fn speakers(&self, since: Instant) -> Vec<usize> {
        let mut speakers: Vec<usize> = self
            .since(since)
            .into_iter()
            .filter_map(|(_, event)| match event {
                Event::Advert { from, advert } if advert.priority > 0 => Some(from),
                _ => None,
            })
            .collect();
        speakers.dedup();
        speakers
    }

    /// One line for each event; repeated ones are counted.
    pub(crate) fn text(&self, names: &[String]) -> String {
        let all = self.all();
        let Some(began) = all.first().map(|(at, _)| *at) else {
            return "nothing happened\n".to_owned();
        };
        let name = |host: &usize| names.get(*host).cloned().unwrap_or_default();
        let mut text = String::new();
        let mut repeated = 0;
        let mut before = String::new();
        for (at, event) in &all {
            let what = match event {
                Event::Done(what) => format!("--- {what}"),
                Event::Advert { from, advert } => format!("{}: {advert:?}", name(from)),
                Event::Announced { from } => format!("{}: announces", name(from)),
                Event::Answered { from } => format!("{}: answers", name(from)),
                Event::Added { on, address } => format!("{}: has {address}", name(on)),
                Event::Removed { on, address } => format!("{}: lost {address}", name(on)),
            };
            if what == before && !matches!(event, Event::Advert { .. }) {
                repeated += 1;
                continue;
            }
            if repeated > 0 {
                let _ = writeln!(text, "          (and {repeated} more)");
                repeated = 0;
            }
            let since = at.duration_since(began).as_secs_f64();
            let _ = writeln!(text, "{since:9.4} {what}");
            before = what;
        }
        text
    }
}
