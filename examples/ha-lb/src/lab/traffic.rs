//! A client that asks for one page again and again and remembers when it got an answer.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Host, LabError,
    client::{Client, Failure},
};

/// How a client asks.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// It asks at most this often.
    pub pace: Duration,
    /// It waits this long for a connection, and as long for what it reads next.
    pub patience: Duration,
    /// It keeps its connection for the next request.
    pub keep_alive: bool,
}

/// What a client got in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good answers.
    pub answers: usize,
    /// Requests that were refused: nothing listened.
    pub refused: usize,
    /// Requests that failed otherwise.
    pub failed: usize,
    /// The longest that a request waited for its good answer.
    pub longest_wait: Duration,
}

/// A time without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Last good answer before it.
    pub from: Instant,
    /// First good answer after it, or now while it lasts.
    pub to: Instant,
}

impl Gap {
    /// How long it lasted.
    pub fn length(self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }

    /// How much of it lay after `moment`.
    pub fn since(self, moment: Instant) -> Duration {
        self.to.saturating_duration_since(self.from.max(moment))
    }
}

#[derive(Debug, Default)]
struct Record {
    by_origin: BTreeMap<String, u64>,
    failures: u64,
    answered_at: Vec<Instant>,
    /// When each request ended, how, and how long it took.
    requests: Vec<(Instant, Result<(), Failure>, Duration)>,
}

/// A running client; stops with its owner.
#[derive(Debug)]
pub struct Traffic {
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    /// Starts asking `address` from `host`, a new connection each time, at most every `pace`.
    pub fn start(host: &Host, address: SocketAddr, pace: Duration) -> Result<Self, LabError> {
        let habits = Habits {
            pace,
            patience: Duration::from_millis(100),
            keep_alive: false,
        };
        Self::with(host, address, habits)
    }

    /// Starts asking `address` from `host` as `habits` say.
    pub fn with(host: &Host, address: SocketAddr, habits: Habits) -> Result<Self, LabError> {
        let (record, stop) = (
            Arc::new(Mutex::new(Record::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let (shared, stopped) = (Arc::clone(&record), Arc::clone(&stop));
        let namespace = host
            .namespace()
            .try_clone_to_owned()
            .map_err(LabError::io("traffic"))?;
        std::thread::spawn(move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            if rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)
                .is_ok()
            {
                ask_on(address, habits, &shared, &stopped);
            }
        });
        Ok(Self { record, stop })
    }

    /// Good answers so far.
    pub fn answers(&self) -> u64 {
        u64::try_from(lock(&self.record).answered_at.len()).unwrap_or(u64::MAX)
    }

    /// Requests that failed so far.
    pub fn failures(&self) -> u64 {
        lock(&self.record).failures
    }

    /// Good answers by the name that the origin gave in its first line.
    pub fn by_origin(&self) -> BTreeMap<String, u64> {
        lock(&self.record).by_origin.clone()
    }

    /// When the latest good answer came.
    pub fn latest(&self) -> Option<Instant> {
        lock(&self.record).answered_at.last().copied()
    }

    /// What the requests got that ended since `since`.
    pub fn since(&self, since: Instant) -> Tally {
        let record = lock(&self.record);
        let first = record.requests.partition_point(|(at, _, _)| *at < since);
        let mut tally = Tally::default();
        for (_, outcome, took) in record.requests.iter().skip(first) {
            match outcome {
                Ok(()) => {
                    tally.answers += 1;
                    tally.longest_wait = tally.longest_wait.max(*took);
                }
                Err(Failure::Refused) => tally.refused += 1,
                Err(_) => tally.failed += 1,
            }
        }
        tally
    }

    /// The longest time without an answer since `since`, counted up to now.
    pub fn longest_gap(&self, since: Instant) -> Gap {
        self.longest_gap_between(since, Instant::now())
    }

    /// The longest time without an answer from the last one before `since` up to `until`.
    pub fn longest_gap_between(&self, since: Instant, until: Instant) -> Gap {
        let record = lock(&self.record);
        let first = record.answered_at.partition_point(|at| *at < since);
        let answers = record.answered_at.iter().copied();
        let times: Vec<Instant> = answers
            .skip(first.saturating_sub(1))
            .take_while(|at| *at < until)
            .chain(std::iter::once(until))
            .collect();
        times
            .windows(2)
            .filter_map(|pair| {
                Some(Gap {
                    from: *pair.first()?,
                    to: *pair.last()?,
                })
            })
            .max_by_key(|gap| gap.length())
            .unwrap_or(Gap {
                from: since,
                to: until,
            })
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask_on(address: SocketAddr, habits: Habits, record: &Mutex<Record>, stop: &AtomicBool) {
    let mut client = Client::new(address, habits.patience, habits.keep_alive);
    while !stop.load(Ordering::Relaxed) {
        let asked_at = Instant::now();
        let answer = client.ask();
        let now = Instant::now();
        let mut record = lock(record);
        let took = now.saturating_duration_since(asked_at);
        let outcome = answer.as_ref().map(|_| ()).map_err(|failure| *failure);
        record.requests.push((now, outcome, took));
        match answer {
            Ok(answer) => {
                record.answered_at.push(now);
                let origin = answer.body.lines().next().unwrap_or_default().to_owned();
                *record.by_origin.entry(origin).or_default() += 1;
            }
            Err(_) => record.failures += 1,
        }
        drop(record);
        std::thread::sleep(habits.pace.saturating_sub(asked_at.elapsed()));
    }
}
