//! Clients that ask for much and take next to nothing of it: what do they cost, do the others feel them, and does each
//! end by its timeout?
//!
//! Read in this order: `kind` (what readers there are), `reader` (what one does), `ended` (what the log says of them),
//! `table`.

mod ended;
mod kind;
mod reader;
mod table;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use self::{
    ended::Ended,
    kind::{Kind, Manner},
    reader::Readers,
};
use crate::{
    Fatal,
    admin::Admin,
    certificate,
    contender::{Beside, Contender, Running, free_ports},
    cpus::{self, Cpus},
    load::{Plan, Span},
    origin, process,
    race::{self, Round},
};

/// What is played, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct SlowReaders {
    /// Requests of slow readers at once, of one kind after the other
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..=8_000))]
    readers: u32,
    /// Only this kind; may be repeated [all: h1-stuck, h1-trickle, tls-stuck, ..., see the README]
    #[arg(long, value_name = "NAME")]
    kind: Vec<String>,
    /// Ordinary requests a second, of 32 connections
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pace: u32,
    /// How long ordinary requests are measured without the readers, and as long with them
    #[arg(long, default_value = "4", value_parser = crate::seconds)]
    seconds: Duration,
    /// `timeout client`: longer than it takes to open the readers and to measure beside them
    #[arg(long, default_value = "15", value_parser = crate::seconds)]
    timeout: Duration,
    #[command(flatten)]
    beside: Beside,
}

/// What came of one kind with one proxy.
#[derive(Debug, Serialize)]
pub(crate) struct Lane {
    contender: String,
    /// Whether the verdict is about it.
    judged: bool,
    /// Ordinary requests before any reader came.
    without: Round,
    /// And while they were there.
    with: Round,
    /// Readers that had not been ended when that was over.
    held: u64,
    /// What the processes grew by at most, for each of the readers.
    bytes_per_reader: f64,
    ended: Ended,
    /// What is wrong; nothing in a sound proxy.
    faults: Vec<String>,
}

/// What came of a kind.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    kind: &'static str,
    about: &'static str,
    readers: u64,
    /// The first is what the other is compared with.
    lanes: Vec<Lane>,
}

/// The kernel's buffers: so small that a reader is felt soon, and that thousands do not use up the kernel's memory.
const KERNEL: usize = 32 << 10;
/// Bytes of what readers ask for: more than all buffers on its way.
const MUCH: usize = 4 << 20;
/// Bytes of an ordinary answer.
const LITTLE: usize = 512;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all kinds share.
struct Stage<'a> {
    asked: &'a SlowReaders,
    cpus: Cpus,
    origin: u16,
    pem: PathBuf,
}

/// Plays every kind; false if an ordinary request failed, or a reader did not end as it is configured.
pub(crate) fn run(asked: &SlowReaders) -> Result<bool, Fatal> {
    let chosen = kind::choose(&asked.kind)?;
    let contenders = asked.beside.contenders()?;
    let shown = !asked.beside.json;
    race::raise_limits()?;
    let folder = tempfile::Builder::new().prefix("versus-").tempdir()?;
    let cpus = Cpus::usable()?;
    let stage = Stage {
        asked,
        origin: origin::start_with(cpus.of_load(1).to_vec(), Some(KERNEL))?,
        cpus,
        pem: folder.path().join("versus.pem"),
    };
    certificate::write(&stage.pem)?;
    if shown {
        table::begin(asked);
    }
    let mut outcomes = Vec::new();
    for kind in chosen {
        let mut outcome = Outcome {
            kind: kind.name,
            about: kind.about,
            readers: u64::from(asked.readers),
            lanes: Vec::new(),
        };
        for contender in &contenders {
            if contender.is_ha_lb() {
                outcome.lanes.push(stage.play(kind, contender)?);
            } else {
                // Beside it for its figures alone: what becomes of it says nothing of ours.
                match stage.play(kind, contender) {
                    Ok(lane) => outcome.lanes.push(lane),
                    Err(why) => eprintln!("versus: {}: {}: {why}", kind.name, contender.name),
                }
            }
        }
        if shown {
            table::outcome(&outcome);
        }
        outcomes.push(outcome);
    }
    if !shown {
        table::json(&outcomes)?;
    }
    let judged = outcomes.iter().flat_map(|o| &o.lanes).filter(|l| l.judged);
    Ok(judged.map(|lane| lane.faults.len()).sum::<usize>() == 0)
}

/// A proxy that runs, with one listener for ordinary clients and one for slow ones.
struct Proxy {
    running: Running,
    slow: u16,
    admin: Admin,
}

impl Stage<'_> {
    fn play(&self, kind: &Kind, contender: &Contender) -> Result<Lane, Fatal> {
        let proxy = self.start(kind, contender)?;
        let request =
            format!("GET /{LITTLE} HTTP/1.1\r\nHost: versus.example\r\nUser-Agent: versus\r\n\r\n");
        let plan = Plan {
            target: proxy.running.address,
            request: request.as_bytes(),
            body: LITTLE,
            connections: 32,
            closes: false,
            tls: None,
            streams: None,
            pace: Some(self.asked.pace),
            span: Span::Time {
                warm_up: (self.asked.seconds / 4).min(Duration::from_millis(500)),
                measured: self.asked.seconds,
            },
        };
        let (without, _) = race::measure(&proxy.running, &plan)?;
        let pids = process::tree(proxy.running.pid())?;
        let (before, peak_before) = (process::memory_in_use(&pids), process::peak_memory(&pids));
        let (readers, enough) = (Readers::default(), AtomicBool::new(false));
        let with = thread::scope(|scope| {
            if kind.manner == Manner::Trickles {
                // The first ones read while the others are being opened, which may take long.
                scope.spawn(|| readers.trickle(&enough));
            }
            let opened = readers.open(kind, self.asked.readers, proxy.slow, &self.pem);
            let measured = opened.and_then(|()| race::measure(&proxy.running, &plan));
            enough.store(true, Ordering::Relaxed);
            measured
        });
        let (with, _) = with?;
        let gone = Ended::read(proxy.running.scratch())?.count;
        let peak = match process::peak_memory(&pids) {
            grown if grown > peak_before => grown,
            _ => process::memory_in_use(&pids),
        };
        let count = u64::from(self.asked.readers);
        let ended = self.wait_for_the_end(&proxy, count)?;
        let mut lane = Lane {
            contender: contender.name.clone(),
            judged: contender.is_ha_lb(),
            held: count.saturating_sub(gone),
            bytes_per_reader: peak.saturating_sub(before) as f64 / count as f64,
            faults: self.faults(kind, [&without, &with], (gone, count), &ended),
            without,
            with,
            ended,
        };
        lane.faults.extend(what_is_left(&proxy.admin)?);
        drop(readers);
        Ok(lane)
    }

    fn start(&self, kind: &Kind, contender: &Contender) -> Result<Proxy, Fatal> {
        let scratch = tempfile::Builder::new().prefix("versus-").tempdir()?;
        let [ordinary, slow] = free_ports()?;
        let admin = Admin::beside(scratch.path());
        let text = self.config(kind, (ordinary, slow), &admin.path());
        cpus::pin(self.cpus.of_proxy(1))?;
        let started = contender.start_with(&text, scratch, ordinary);
        cpus::pin(self.cpus.of_load(1))?;
        let running = started?;
        admin.wait_until_it_answers(PATIENCE)?;
        Ok(Proxy {
            running,
            slow,
            admin,
        })
    }

    /// The file, for HAProxy and ha-lb.
    fn config(&self, kind: &Kind, (ordinary, slow): (u16, u16), socket: &str) -> String {
        let bind = kind.bind(&self.pem);
        let origin = self.origin;
        format!(
            "global\n    nbthread 1\n    maxconn {}\n    stats socket {socket} level admin\n    \
             log stdout format raw local0\n    tune.sndbuf.client {KERNEL}\n    tune.rcvbuf.server {KERNEL}\n\
             defaults\n    mode http\n    timeout connect 5s\n    timeout client {}ms\n    timeout server 10m\n    \
             timeout http-request 1m\n    timeout http-keep-alive {}ms\n\
             frontend ordinary\n    bind 127.0.0.1:{ordinary}\n    default_backend origins\n\
             frontend slow\n    bind 127.0.0.1:{slow}{bind}\n    log global\n    option httplog\n    \
             default_backend origins\n\
             backend origins\n    server one 127.0.0.1:{origin}\n    server two 127.0.0.2:{origin}\n",
            self.asked.readers + 1_000,
            self.asked.timeout.as_millis(),
            self.asked.timeout.as_millis(),
        )
    }

    /// Waits until the log tells of every reader; what it tells when that takes far too long.
    fn wait_for_the_end(&self, proxy: &Proxy, count: u64) -> Result<Ended, Fatal> {
        let deadline = Instant::now() + self.asked.timeout + PATIENCE;
        loop {
            let ended = Ended::read(proxy.running.scratch())?;
            if ended.count >= count || Instant::now() > deadline {
                return Ok(ended);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn faults(
        &self,
        kind: &Kind,
        ordinary: [&Round; 2],
        (gone, count): (u64, u64),
        ended: &Ended,
    ) -> Vec<String> {
        let mut faults = Vec::new();
        for (round, when) in ordinary.into_iter().zip(["without", "with"]) {
            if round.errors > 0 {
                let first = round.first_error.as_deref().unwrap_or("no answer at all");
                let errors = round.errors;
                faults.push(format!(
                    "{errors} ordinary requests failed {when} slow readers: {first}"
                ));
            }
        }
        if kind.manner == Manner::Trickles && gone > 0 {
            faults.push(format!("{gone} readers were ended while they read"));
        }
        faults.extend(ended.faults(count, self.asked.timeout));
        faults
    }
}

/// Sessions of slow readers that are still there when the log has told of their end.
fn what_is_left(admin: &Admin) -> Result<Option<String>, Fatal> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = admin.stat()?;
        let row = rows.get(&("slow".to_owned(), "FRONTEND".to_owned()));
        let left = row.and_then(|row| row.get("scur")).copied();
        match left {
            Some(0) => return Ok(None),
            _ if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            Some(left) => return Ok(Some(format!("{left} sessions are left"))),
            None => return Ok(Some("`show stat` does not tell of them".to_owned())),
        }
    }
}
