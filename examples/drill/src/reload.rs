//! Reloads of both hosts under load, with and without keep-alive: none may be noticed, and nothing may pile up.

use std::{
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use ha_lb::{
    drill::{Node, Role, Setup, Site, VIP},
    lab::{Habits, Traffic, probe::PERIOD},
};
use rustix::process::Signal;
use serde::Serialize;

use crate::{Fatal, exit, report, settle_in};

const FOLDER: &str = "/run/drill";
/// How long a reload may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests between two reloads, at least, of every client.
const REQUESTS: usize = 500;
/// What a busy machine may add to the address's absence, which must be none.
const SLACK: Duration = Duration::from_millis(50);
/// Rounds after which everything that a reload may keep for a while has been seen.
const WARM: u32 = 10;

/// Reload both hosts again and again under load
#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// How many reloads
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
}

/// What a client got.
#[derive(Debug, Serialize)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) answers: usize,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
    pub(crate) longest_wait: Duration,
}

/// Something that must not pile up.
#[derive(Debug, Serialize)]
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) first: u64,
    pub(crate) most: u64,
    pub(crate) last: u64,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Reloads {
    pub(crate) rounds: u32,
    pub(crate) took: Duration,
    pub(crate) doubles: usize,
    pub(crate) silence: Duration,
    pub(crate) clients: Vec<Client>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) missed: Vec<String>,
}

impl Reload {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let reloads = hold(self.rounds)?;
        report::reloads(&reloads, self.json)?;
        Ok(exit(reloads.missed.is_empty()))
    }
}

fn hold(rounds: u32) -> Result<Reloads, Fatal> {
    let folder = Path::new(FOLDER);
    settle_in(folder)?;
    let setup = *Setup::named("v3-100ms-fault").ok_or("no setup")?;
    let mut site = Site::start(setup, Path::new("/proc/self/exe"), folder)?;
    let clients = start_clients(&site)?;
    let began = Instant::now();
    let mut resources = Resources::default();
    for round in 1..=rounds {
        let since = Instant::now();
        for node in [&site.first, &site.second] {
            write_files(node, round, &setup)?;
            node.signal(&[Role::Supervisor], Signal::HUP);
        }
        for node in [&site.first, &site.second] {
            await_reload(&site, node, round)?;
        }
        site.wait("requests after a reload", PATIENCE, |_| {
            let mut served = clients
                .iter()
                .map(|(_, client)| client.since(since).answers);
            served.all(|answers| answers >= REQUESTS)
        })?;
        resources.look(&site.first, round);
    }
    let end = Instant::now();
    let clients: Vec<Client> = clients
        .iter()
        .map(|(name, traffic)| {
            let tally = traffic.since(began);
            Client {
                name,
                answers: tally.answers,
                refused: tally.refused,
                failed: tally.failed,
                longest_wait: tally.longest_wait,
            }
        })
        .collect();
    let (doubles, silence) = site.prober.look(|history| {
        let doubles = history.doubles(began);
        let doubles = doubles
            .iter()
            .filter(|double| double.length() > PERIOD)
            .count();
        (doubles, history.longest_silence(began, end).length())
    });
    let mut missed = resources.missed();
    for client in clients
        .iter()
        .filter(|client| client.refused + client.failed > 0)
    {
        let lost = client.refused + client.failed;
        missed.push(format!("{}: {lost} requests were lost", client.name));
    }
    if doubles > 0 {
        missed.push(format!("two hosts answered {doubles} times"));
    }
    if silence > SLACK {
        missed.push(format!("nobody answered for {silence:.0?}"));
    }
    let restarts = |node: &Node| {
        let status = node.status().unwrap_or_default();
        let processes = [status.vrrp, status.balancer].into_iter().flatten();
        processes.map(|process| process.restarts).sum::<u32>()
    };
    if restarts(&site.first) + restarts(&site.second) > 0 {
        missed.push("a process was started again".to_owned());
    }
    site.first.terminate();
    site.second.terminate();
    Ok(Reloads {
        rounds,
        took: end - began,
        doubles,
        silence,
        clients,
        resources: resources.rows,
        missed,
    })
}

fn start_clients(site: &Site) -> Result<Vec<(&'static str, Traffic)>, Fatal> {
    let host = site.client().ok_or("no client")?;
    let start = |keep_alive| {
        let habits = Habits {
            pace: Duration::from_millis(1),
            patience: Duration::from_secs(5),
            keep_alive,
        };
        Traffic::with(host, (VIP, 80).into(), habits)
    };
    Ok(vec![
        ("keep-alive", start(true)?),
        ("keep-alive, a second one", start(true)?),
        ("without keep-alive", start(false)?),
    ])
}

fn await_reload(site: &Site, node: &Node, round: u32) -> Result<(), Fatal> {
    let done = |_: &Site| {
        let status = node.status().unwrap_or_default();
        status
            .reload
            .is_some_and(|reload| reload.number == u64::from(round))
    };
    site.wait("the reload ends", PATIENCE, done)?;
    let reload = node.status().and_then(|status| status.reload);
    match reload.filter(|reload| !reload.applied) {
        None => Ok(()),
        Some(refused) => Err(format!("reload {round} was refused: {}", refused.outcome).into()),
    }
}

/// Another configuration in each round: a listener comes and goes, sections change places, a server comes and goes,
/// the number of threads changes, a second address comes and goes.
fn write_files(node: &Node, round: u32, setup: &Setup) -> Result<(), Fatal> {
    let threads = 1 + round % 4;
    let extra = if round.is_multiple_of(2) {
        "listen extra\n bind *:8081\n server web1 10.77.0.21:8080\n"
    } else {
        ""
    };
    let servers = match round % 3 {
        0 => " server web1 10.77.0.21:8080 check\n",
        1 => " server web1 10.77.0.21:8080 check\n server web2 10.77.0.22:8080 check\n",
        _ => " server web2 10.77.0.22:8080 check\n server web1 10.77.0.21:8080 check\n",
    };
    let backend = format!("backend web\n balance roundrobin\n{servers}");
    let frontend = "frontend www\n bind *:80\n default_backend web\n";
    let sections = if round % 5 < 2 {
        format!("{extra}{backend}{frontend}")
    } else {
        format!("{frontend}{backend}{extra}")
    };
    let haproxy = format!(
        "global\n nbthread {threads}\ndefaults\n mode http\n timeout connect 1s\n timeout client 10s\n \
         timeout server 10s\n{sections}"
    );
    node.write("haproxy.cfg", &haproxy)?;
    let keepalived = node.keepalived_conf(setup);
    let second = format!("{VIP}\n  10.77.0.20");
    let keepalived = match round % 4 {
        0 | 1 => keepalived,
        _ => keepalived.replace(&VIP.to_string(), &second),
    };
    node.write("keepalived.conf", &keepalived)?;
    Ok(())
}

/// What the first host's balancer uses, from round to round.
#[derive(Debug, Default)]
struct Resources {
    rows: Vec<Resource>,
    warm: Vec<u64>,
}

impl Resources {
    fn look(&mut self, node: &Node, round: u32) {
        let now = usage(node);
        if self.rows.is_empty() {
            self.rows = now
                .iter()
                .map(|(name, value)| Resource {
                    name,
                    first: *value,
                    most: 0,
                    last: 0,
                })
                .collect();
        }
        for (row, (_, value)) in self.rows.iter_mut().zip(&now) {
            row.most = row.most.max(*value);
            row.last = *value;
        }
        if round <= WARM {
            self.warm = self.rows.iter().map(|row| row.most).collect();
        }
    }

    /// What is more in the end than it was at most in the first rounds.
    fn missed(&self) -> Vec<String> {
        let rows = self.rows.iter().zip(&self.warm);
        // Memory is given back in its own time; descriptors are a handful more or fewer with each idle connection.
        let grown = rows.filter(|(row, warm)| row.last > *warm + *warm / 4 + 16);
        grown
            .map(|(row, warm)| format!("{}: {} in the end, {warm} before", row.name, row.last))
            .collect()
    }
}

fn usage(node: &Node) -> Vec<(&'static str, u64)> {
    let mut usage = Vec::new();
    let count = |folder: String| {
        let entries = fs::read_dir(folder).map(Iterator::count);
        u64::try_from(entries.unwrap_or_default()).unwrap_or_default()
    };
    for pid in node.pids(&[Role::Balancer]) {
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        usage.push(("descriptors", count(format!("{folder}/fd"))));
        usage.push(("threads", count(format!("{folder}/task"))));
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rss| rss.trim().strip_suffix(" kB")?.parse().ok());
        usage.push(("resident memory, kB", rss.unwrap_or_default()));
    }
    usage
}
