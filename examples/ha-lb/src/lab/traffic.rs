//! A client that asks for one page again and again and remembers when it got an answer.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Host, LabError};

/// What came back for one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head, up to the empty line.
    pub head: String,
    /// Body.
    pub body: String,
}

/// One request on a connection of its own: `head` without the final empty line is sent as it is.
pub fn get(address: SocketAddr, head: &str, patience: Duration) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("{}\r\n\r\n", head.trim_end()).as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
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
}

#[derive(Debug, Default)]
struct Record {
    answers: u64,
    failures: u64,
    by_origin: BTreeMap<String, u64>,
    answered_at: Vec<Instant>,
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
                ask_on(address, pace, &shared, &stopped);
            }
        });
        Ok(Self { record, stop })
    }

    /// Good answers so far.
    pub fn answers(&self) -> u64 {
        lock(&self.record).answers
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

    /// The longest time without an answer since `since`, counted up to now.
    pub fn longest_gap(&self, since: Instant) -> Gap {
        let record = lock(&self.record);
        let first = record
            .answered_at
            .partition_point(|at| *at < since)
            .saturating_sub(1);
        let times: Vec<Instant> = record
            .answered_at
            .iter()
            .skip(first)
            .copied()
            .chain(std::iter::once(Instant::now()))
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
                to: Instant::now(),
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

fn ask_on(address: SocketAddr, pace: Duration, record: &Mutex<Record>, stop: &AtomicBool) {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close",
        address.ip()
    );
    while !stop.load(Ordering::Relaxed) {
        let asked_at = Instant::now();
        let answer = get(address, &request, Duration::from_millis(100));
        let mut record = lock(record);
        match answer {
            Ok(Answer {
                status: 200, body, ..
            }) => {
                record.answers += 1;
                record.answered_at.push(Instant::now());
                let origin = body.lines().next().unwrap_or_default().to_owned();
                *record.by_origin.entry(origin).or_default() += 1;
            }
            Ok(_) | Err(_) => record.failures += 1,
        }
        drop(record);
        std::thread::sleep(pace.saturating_sub(asked_at.elapsed()));
    }
}
