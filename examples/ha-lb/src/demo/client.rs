//! The client: asks the virtual address for a page every 10 ms, whether or not the answers come.
//!
//! As each request starts on time, no lost one delays the next, and a wait can be told to about that pace.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout_at},
};

use super::message::Failure;
use crate::lab::{Host, LabError};

/// Time from one request to the next.
const PACE: Duration = Duration::from_millis(10);
/// A request without an answer for so long has failed.
const PATIENCE: Duration = Duration::from_millis(500);
/// So late is nobody woken whose machine only has much to do.
const STILL: Duration = Duration::from_millis(100);

/// Requests that are remembered, ten minutes of them: nothing that is measured takes so long.
const KEPT: usize = 60_000;
/// Header in which each balancer names its host.
pub(super) const HOST_HEADER: &str = "x-host";

/// One request that ended.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) asked: Instant,
    pub(super) ended: Instant,
    /// How much too late the client itself was woken to ask.
    late: Duration,
    pub(super) outcome: Result<Answer, Failure>,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The host whose balancer took the request.
    pub(super) host: String,
    /// The origin that wrote the page.
    pub(super) origin: String,
}

#[derive(Debug, Default)]
struct Record {
    ended: VecDeque<Request>,
    /// Older ones that are no longer kept.
    forgotten: usize,
    /// Requests under way, oldest first by their numbers.
    under_way: BTreeMap<u64, Instant>,
    by_origin: BTreeMap<String, u64>,
    latest: Option<(Instant, Answer)>,
}

/// A running client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    record: Arc<Mutex<Record>>,
}

impl Client {
    /// Starts asking `address` from `host`, until the process ends.
    pub(super) fn start(host: &Host, address: SocketAddr) -> Result<Self, LabError> {
        let record = Arc::new(Mutex::new(Record::default()));
        let shared = Arc::clone(&record);
        let failed = |source| LabError::Io {
            what: "client".to_owned(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let namespace = host.namespace().try_clone_to_owned().map_err(failed)?;
        std::thread::spawn(move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            let namespace = std::os::fd::AsFd::as_fd(&namespace);
            if rustix::thread::move_into_link_name_space(namespace, kind).is_ok() {
                let tasks = tokio::task::LocalSet::new();
                tasks.block_on(&runtime, ask_for_ever(address, shared));
            }
        });
        Ok(Self { record })
    }

    /// Requests that ended, from the `from`th on.
    pub(super) fn ended(&self, from: usize) -> Vec<Request> {
        let record = lock(&self.record);
        let known = from.saturating_sub(record.forgotten);
        record.ended.iter().skip(known).cloned().collect()
    }

    /// When the oldest request was asked that has no answer yet.
    pub(super) fn oldest_under_way(&self) -> Option<Instant> {
        lock(&self.record).under_way.values().next().copied()
    }

    /// Good answers so far by origin.
    pub(super) fn by_origin(&self) -> BTreeMap<String, u64> {
        lock(&self.record).by_origin.clone()
    }

    /// The host that answered the latest request that was asked after `since`, if any was answered.
    pub(super) fn answered_by(&self, since: Instant) -> Option<String> {
        let record = lock(&self.record);
        let (asked, answer) = record.latest.as_ref()?;
        (*asked > since).then(|| answer.host.clone())
    }

    /// What clients saw of requests that ended after `since` or are still under way.
    pub(super) fn seen(&self, since: Instant) -> Seen {
        let record = lock(&self.record);
        let latest_first = record.ended.iter().rev();
        let ended = latest_first.take_while(|request| request.ended > since);
        Seen::of(ended, record.under_way.values().copied(), Instant::now())
    }
}

/// What clients saw over some time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The longest wait for a good answer; whose own request failed waits for the answer to the next good one.
    pub(super) longest_wait: Duration,
    pub(super) by_origin: BTreeMap<String, u64>,
    pub(super) failures: BTreeMap<Failure, u64>,
    /// The longest that the machine kept the client waiting for its turn: not the cluster's doing.
    pub(super) stall: Duration,
}

impl Seen {
    fn of<'r>(
        ended: impl Iterator<Item = &'r Request>,
        under_way: impl Iterator<Item = Instant>,
        now: Instant,
    ) -> Self {
        let mut seen = Self::default();
        // Those without a good answer by the time they were asked; the next good answer to a later one ends their wait.
        let mut waiting: VecDeque<Instant> = under_way.collect();
        let mut good = Vec::new();
        for request in ended {
            seen.stall = seen.stall.max(request.late);
            match &request.outcome {
                Ok(answer) => {
                    *seen.by_origin.entry(answer.origin.clone()).or_default() += 1;
                    good.push(request);
                    let wait = request.ended.saturating_duration_since(request.asked);
                    seen.longest_wait = seen.longest_wait.max(wait);
                }
                Err(failure) => {
                    *seen.failures.entry(*failure).or_default() += 1;
                    waiting.push_back(request.asked);
                }
            }
        }
        for asked in waiting {
            let later = good.iter().filter(|request| request.asked >= asked);
            let answered = later.map(|request| request.ended).min().unwrap_or(now);
            let wait = answered.saturating_duration_since(asked);
            seen.longest_wait = seen.longest_wait.max(wait);
        }
        seen
    }
}

async fn ask_for_ever(address: SocketAddr, record: Arc<Mutex<Record>>) {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        address.ip()
    );
    let request: Rc<str> = request.into();
    let mut ticks = interval(PACE);
    // A machine that was too busy to ask on time does not catch up by a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        let late = ticks.tick().await.elapsed();
        // A timer's own inaccuracy is no stall.
        let late = if late > PACE { late } else { Duration::ZERO };
        let (record, request) = (Arc::clone(&record), Rc::clone(&request));
        tokio::task::spawn_local(async move {
            let asked = Instant::now();
            lock(&record).under_way.insert(number, asked);
            let outcome = ask(address, &request).await;
            let mut record = lock(&record);
            record.under_way.remove(&number);
            if let Ok(answer) = &outcome {
                *record.by_origin.entry(answer.origin.clone()).or_default() += 1;
                if record
                    .latest
                    .as_ref()
                    .is_none_or(|(latest, _)| *latest < asked)
                {
                    record.latest = Some((asked, answer.clone()));
                }
            }
            record.ended.push_back(Request {
                asked,
                ended: Instant::now(),
                late,
                outcome,
            });
            if record.ended.len() > KEPT {
                record.ended.pop_front();
                record.forgotten += 1;
            }
        });
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask(address: SocketAddr, request: &str) -> Result<Answer, Failure> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = match in_time(exchange).await {
        None => return Err(Failure::Silent),
        Some(Err(error)) => {
            return Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => Failure::Refused,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    Failure::Silent
                }
                _ => Failure::Cut,
            });
        }
        Some(Ok(answer)) => answer,
    };
    read(&String::from_utf8_lossy(&answer))
}

/// What `work` comes to within [`PATIENCE`]. Where the time was over while this machine stood still, so did everybody who
/// would have answered: they have it once more.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        let deadline = Instant::now() + PATIENCE;
        if let Ok(done) = timeout_at(deadline.into(), work.as_mut()).await {
            return Some(done);
        }
        if deadline.elapsed() < STILL {
            return None;
        }
    }
}

/// The balancer names its host in a header, the origin itself in the first line of the page.
fn read(answer: &str) -> Result<Answer, Failure> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(Failure::Cut)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    if status != Some("200") {
        return Err(Failure::Bad);
    }
    let host = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case(HOST_HEADER))
        .map(|(_, value)| value.trim().to_owned());
    Ok(Answer {
        host: host.ok_or(Failure::Bad)?,
        origin: body.lines().next().map(str::to_owned).ok_or(Failure::Cut)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(asked: u64, ended: u64, outcome: Result<&str, Failure>) -> Request {
        let began = began();
        Request {
            asked: began + Duration::from_millis(asked),
            ended: began + Duration::from_millis(ended),
            late: Duration::ZERO,
            outcome: outcome.map(|origin| Answer {
                host: "lb1".to_owned(),
                origin: origin.to_owned(),
            }),
        }
    }

    fn began() -> Instant {
        static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BEGAN.get_or_init(Instant::now)
    }

    fn wait(requests: &[Request], under_way: &[u64]) -> u128 {
        let at = |ms: &u64| began() + Duration::from_millis(*ms);
        let seen = Seen::of(requests.iter(), under_way.iter().map(at), at(&5000));
        seen.longest_wait.as_millis()
    }

    #[test]
    fn a_lost_request_waits_until_a_later_one_is_answered() {
        let requests = [
            request(0, 3, Ok("web1")),
            request(10, 510, Err(Failure::Silent)),
            request(20, 520, Err(Failure::Silent)),
            // Asked before the first lost one was: its late answer ends nobody's wait.
            request(5, 105, Ok("web2")),
            request(1500, 1503, Ok("web3")),
            request(1510, 1512, Ok("web1")),
        ];
        assert_eq!(wait(&requests, &[]), 1493);
        assert_eq!(wait(&requests[..4], &[]), 4990, "it waits until now");
    }

    #[test]
    fn a_slow_answer_is_a_wait_of_its_own_even_while_others_are_quick() {
        let requests = [
            request(0, 180, Ok("web1")),
            request(10, 11, Ok("web2")),
            request(20, 21, Ok("web2")),
        ];
        assert_eq!(wait(&requests, &[]), 180);
        assert_eq!(
            wait(&requests, &[4000]),
            1000,
            "nor is one under way forgotten"
        );
    }

    #[test]
    fn an_answer_names_the_host_and_the_origin() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Host: lb2\r\n\r\nweb3\nGET /";
        let answer = read(text).unwrap();
        assert_eq!(
            (answer.host.as_str(), answer.origin.as_str()),
            ("lb2", "web3")
        );
        assert_eq!(
            read("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            Err(Failure::Bad)
        );
        assert_eq!(read("HTTP/1.1 200 OK\r\nConte"), Err(Failure::Cut));
    }
}
