//! The order of events: for each scenario, rounds; in each round every contender once, one after the other.

use std::{collections::BTreeSet, fs, net::UdpSocket, time::Duration};

use serde::Serialize;

use crate::{
    Fatal, Race, certificate,
    contender::{self, Contender, Running, Setting},
    cpus::{self, Cpus},
    idle,
    load::{self, Edge, Plan, Span, Tally},
    origin, process, report,
    scenario::{ALL, Kind, Reuse, Scenario, Task},
    syscalls,
};

/// What one contender did in one round.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Round {
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// Microseconds of the proxy's whole process tree.
    pub(crate) cpu_per_request: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    /// Milliseconds.
    pub(crate) p99: f64,
    /// Bytes.
    pub(crate) peak_memory: u64,
    /// Bytes for each connection that waits.
    pub(crate) bytes_per_connection: Option<f64>,
    /// System calls, all and by name, for each request.
    pub(crate) calls: Option<syscalls::Calls>,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// What one contender did in a scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lane {
    pub(crate) contender: String,
    /// Why it did not take part.
    pub(crate) absent: Option<String>,
    pub(crate) rounds: Vec<Round>,
}

/// A scenario and its lanes; the first is what the others are compared with.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lanes: Vec<Lane>,
}

/// What all runs share.
pub(crate) struct Track {
    pub(crate) cpus: Cpus,
    pub(crate) measured: Duration,
    origin: u16,
    syslog: UdpSocket,
    folder: tempfile::TempDir,
}

/// Races; false if there was an error anywhere.
pub(crate) fn run(race: &Race) -> Result<bool, Fatal> {
    let chosen = choose(&race.scenario)?;
    let (contenders, missing) = contender::find(&race.haproxy, &race.ha_lb)?;
    for told in &missing {
        eprintln!("versus: {told}");
    }
    if !contenders.iter().any(|c| c.is_haproxy() || c.is_ha_lb()) {
        return Err("neither HAProxy nor ha-lb is here".into());
    }
    raise_limits()?;
    let cpus = Cpus::usable()?;
    let track = Track {
        measured: race.seconds,
        origin: origin::start(cpus.of_load(1).to_vec())?,
        // Never read: what does not fit is dropped by the kernel.
        syslog: UdpSocket::bind("127.0.0.1:0")?,
        folder: tempfile::Builder::new().prefix("versus-").tempdir()?,
        cpus,
    };
    if chosen.iter().any(|s| s.proxy.kind == Kind::Tls) {
        certificate::write(&track.pem())?;
    }
    report::begin(race, &track);
    let mut outcomes = Vec::new();
    for scenario in chosen {
        let outcome = track.scenario(scenario, &contenders, race.rounds)?;
        if !race.json {
            report::outcome(&outcome);
        }
        outcomes.push(outcome);
    }
    if race.json {
        report::json(&outcomes)?;
    }
    if race.markdown {
        report::markdown::table(&outcomes);
    }
    let rounds = outcomes
        .iter()
        .flat_map(|o| &o.lanes)
        .flat_map(|l| &l.rounds);
    Ok(rounds.map(|r| r.errors).sum::<u64>() == 0)
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>, Fatal> {
    let known: BTreeSet<_> = ALL.iter().map(|s| s.name).collect();
    if let Some(unknown) = names.iter().find(|n| !known.contains(n.as_str())) {
        return Err(format!("there is no scenario {unknown}; --list shows them").into());
    }
    let wanted = |s: &&Scenario| names.is_empty() || names.iter().any(|n| n == s.name);
    Ok(ALL.iter().filter(wanted).collect())
}

/// Both ends of 5,000 connections and of 2,000 servers are in this process, the rest in the proxies.
pub(crate) fn raise_limits() -> Result<(), Fatal> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

impl Track {
    pub(crate) fn pem(&self) -> std::path::PathBuf {
        self.folder.path().join("versus.pem")
    }

    fn scenario(
        &self,
        scenario: &'static Scenario,
        contenders: &[Contender],
        rounds: u32,
    ) -> Result<Outcome, Fatal> {
        let mut lanes: Vec<Lane> = contenders
            .iter()
            .map(|c| Lane {
                contender: c.name.clone(),
                absent: None,
                rounds: Vec::new(),
            })
            .collect();
        // Counts do not vary.
        let rounds = if scenario.task == Task::Race {
            rounds
        } else {
            1
        };
        for _ in 0..rounds {
            for (contender, lane) in contenders.iter().zip(&mut lanes) {
                if lane.absent.is_some() {
                    continue;
                }
                match self.start(contender, scenario)? {
                    Ok(running) => match self.round(&running, scenario)? {
                        Ok(round) => lane.rounds.push(round),
                        Err(reason) => lane.absent = Some(reason),
                    },
                    Err(reason) => lane.absent = Some(reason),
                }
            }
        }
        Ok(Outcome {
            scenario: scenario.name,
            about: scenario.about,
            lanes,
        })
    }

    /// Starts a contender on the proxy's CPUs.
    fn start(
        &self,
        contender: &Contender,
        scenario: &Scenario,
    ) -> Result<Result<Running, String>, Fatal> {
        let pem = self.pem();
        let setting = Setting {
            origin: self.origin,
            syslog: self.syslog.local_addr()?.port(),
            pem: &pem,
        };
        let workers = scenario.proxy.workers;
        cpus::pin(self.cpus.of_proxy(workers))?;
        let started = contender.start(scenario, setting);
        cpus::pin(self.cpus.of_load(workers))?;
        started
    }

    fn round(
        &self,
        running: &Running,
        scenario: &Scenario,
    ) -> Result<Result<Round, String>, Fatal> {
        let request = request(scenario);
        let plan = self.plan(running, scenario, &request)?;
        // A socket that accepts may be held by a process whose workers are still to come.
        let first = Plan {
            connections: 1,
            pace: None,
            span: Span::Answers(1),
            tls: plan.tls.clone(),
            ..plan
        };
        load::run(&first, &mut |_| {})?;
        match scenario.task {
            Task::Race => self.race(running, scenario, &plan).map(Ok),
            Task::Idle(connections) => idle::measure(running, &plan, connections).map(Ok),
            Task::Syscalls => syscalls::count(running, plan),
        }
    }

    fn plan<'a>(
        &self,
        running: &Running,
        scenario: &Scenario,
        request: &'a [u8],
    ) -> Result<Plan<'a>, Fatal> {
        let client = scenario.client;
        let resume = client.reuse == Reuse::Resume;
        let tls = match scenario.proxy.kind {
            Kind::Tls => Some(certificate::client(&self.pem(), resume)?),
            _ => None,
        };
        Ok(Plan {
            target: running.address,
            request,
            body: client.body,
            connections: client.connections,
            closes: client.reuse != Reuse::KeepAlive,
            tls,
            streams: (scenario.proxy.kind == Kind::Http2).then_some(16),
            pace: client.pace,
            span: Span::Time {
                warm_up: (self.measured / 4).min(Duration::from_millis(500)),
                measured: self.measured,
            },
        })
    }

    fn race(
        &self,
        running: &Running,
        scenario: &Scenario,
        plan: &Plan<'_>,
    ) -> Result<Round, Fatal> {
        let (mut round, resumed) = measure(running, plan)?;
        if scenario.client.reuse == Reuse::Resume && resumed * 10 < round.requests * 9 {
            round.errors += 1;
            let answers = round.requests;
            let share = format!("only {resumed} of {answers} sessions were resumed");
            round.first_error.get_or_insert(share);
        }
        Ok(round)
    }
}

/// Runs a plan, and tells beside what came of it how many answers came over resumed sessions of TLS.
pub(crate) fn measure(running: &Running, plan: &Plan<'_>) -> Result<(Round, u64), Fatal> {
    let mut pids = Vec::new();
    let mut used = Duration::ZERO;
    let tally = load::run(plan, &mut |edge| {
        if edge == Edge::Begin {
            pids = process::tree(running.pid()).unwrap_or_default();
        }
        let now = process::cpu_time(&pids);
        used = if edge == Edge::Begin {
            now
        } else {
            now.saturating_sub(used)
        };
    })?;
    let resumed = tally.resumed;
    let round = Round {
        cpu_per_request: used.as_secs_f64() * 1e6 / tally.answers.max(1) as f64,
        peak_memory: process::peak_memory(&pids),
        ..Round::from(tally)
    };
    Ok((round, resumed))
}

impl From<Tally> for Round {
    fn from(tally: Tally) -> Self {
        let millis = |share| tally.latency.quantile(share).as_secs_f64() * 1e3;
        let seconds = tally.elapsed.as_secs_f64();
        let mut errors = tally.errors;
        if tally.answers == 0 {
            errors = errors.max(1);
        }
        Self {
            requests: tally.answers,
            requests_per_second: if seconds > 0.0 {
                tally.answers as f64 / seconds
            } else {
                0.0
            },
            p50: millis(0.5),
            p99: millis(0.99),
            errors,
            first_error: tally.first_error,
            ..Self::default()
        }
    }
}

fn request(scenario: &Scenario) -> Vec<u8> {
    let close = match scenario.client.reuse {
        Reuse::Close | Reuse::Resume => "Connection: close\r\n",
        Reuse::KeepAlive | Reuse::Closed => "",
    };
    let path = scenario.client.body;
    format!("GET /{path} HTTP/1.1\r\nHost: versus.example\r\nUser-Agent: versus\r\nAccept: */*\r\n{close}\r\n").into_bytes()
}

/// What the race ran on, for the report.
pub(crate) fn machine() -> String {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let model = field(&cpu, "model name").unwrap_or_default();
    let count = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let before = load.split(' ').next().unwrap_or_default();
    format!(
        "{count} x {model}, Linux {}, load before the race {before}",
        kernel.trim()
    )
}
