//! One case, once: calm, blow, what follows, relief, calm again.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use super::{
    DrillError, Outcome, Site,
    case::{Blow, Case, EVERYBODY, Gap, Role},
    node::signal,
    site::VIP,
};
use crate::lab::probe::{PERIOD, Span};

/// After the allowed time something that does not come will not come.
const PATIENCE: Duration = Duration::from_secs(8);
/// How much longer than allowed a state is kept, so that what comes too late is seen.
const MARGIN: Duration = Duration::from_millis(500);
/// Half-sent requests that make a balancer ask for memory.
const HUNGRY: usize = 2000;

/// A prober that paused for so long was kept from running by the machine, and so was everybody.
const STALL: Duration = Duration::from_millis(250);
/// Rounds that the machine may spoil.
const SPOILT: usize = 3;

/// Strikes as `case` says and measures what follows, until all is well again. A round in which the machine itself
/// stood still is held again; that two hosts answered counts in it all the same.
pub fn round(site: &mut Site, case: &Case) -> Result<Outcome, DrillError> {
    let (mut doubles, mut return_doubles, mut spoilt) = (Vec::new(), Vec::new(), 0);
    loop {
        let outcome = once(site, case)?;
        doubles.extend(outcome.doubles.iter().copied());
        return_doubles.extend(outcome.return_doubles.iter().copied());
        if outcome.resolution < STALL || spoilt == SPOILT {
            return Ok(Outcome {
                doubles,
                return_doubles,
                spoilt,
                ..outcome
            });
        }
        spoilt += 1;
    }
}

fn once(site: &mut Site, case: &Case) -> Result<Outcome, DrillError> {
    site.heal();
    site.calm()?;
    let mut struck = strike(site, case)?;
    outlive(site, case, struck.at);
    let relieved = Instant::now();
    relieve(site, case, &mut struck)?;
    site.calm()?;
    // What flaps would now be seen.
    site.watch(Instant::now() + site.setup.interval * 2 + MARGIN);
    let end = Instant::now();
    let at = struck.at;
    let tally = site.traffic.since(at);
    let outcome = site.prober.look(|history| {
        let host = usize::from(case.blow == Blow::Leftover);
        let last = history.last_answer(host, at);
        let doubles = history.doubles(at).into_iter();
        let doubles = doubles.filter(|double| double.length() > PERIOD);
        let (return_doubles, doubles): (Vec<_>, Vec<_>) =
            doubles.partition(|double| double.from >= relieved);
        let lengths = |spans: Vec<Span>| spans.into_iter().map(Span::length).collect();
        Outcome {
            doubles: lengths(doubles),
            return_doubles: lengths(return_doubles),
            silence: history.longest_silence(at, relieved).length(),
            last_answer: case
                .silent
                .map(|_| last.map_or(Duration::ZERO, |last| last.saturating_duration_since(at))),
            client: site.traffic.longest_gap_between(at, relieved).length(),
            refused: tally.refused,
            failed: tally.failed,
            return_silence: history.longest_silence(relieved, end).length(),
            return_client: site
                .traffic
                .longest_gap_between(relieved, end)
                .since(relieved),
            resolution: history.longest_pause(at),
            spoilt: 0,
        }
    });
    Ok(outcome)
}

/// What was done and must be undone.
struct Struck {
    at: Instant,
    stopped: Vec<Pid>,
}

fn strike(site: &mut Site, case: &Case) -> Result<Struck, DrillError> {
    let mut struck = Struck {
        at: Instant::now(),
        stopped: Vec::new(),
    };
    match case.blow {
        Blow::Kill(roles) => {
            struck.at = kill(site, roles)?;
        }
        Blow::Stop(roles) => {
            struck.stopped = everyone(site, roles)?;
            struck.at = Instant::now();
            signal(&struck.stopped, Signal::STOP);
        }
        Blow::Death => {
            let pids = everyone(site, EVERYBODY)?;
            struck.at = Instant::now();
            site.lab.cut_cable(&site.first.host)?;
            signal(&pids, Signal::KILL);
        }
        Blow::Cut => {
            site.lab.cut_cable(&site.first.host)?;
        }
        Blow::Again(times) => {
            let mut before = restarts(site);
            struck.at = kill(site, &[Role::Balancer])?;
            for _ in 1..times {
                await_balancer_after(site, before)?;
                before = restarts(site);
                kill(site, &[Role::Balancer])?;
            }
        }
        Blow::Memory => {
            struck.at = starve(site)?;
        }
        Blow::Crash => {
            struck.at = kill(site, EVERYBODY)?;
            site.wait_for_first_to_end()?;
            site.first.start()?;
        }
        Blow::Leftover => {
            site.second.terminate();
            let leftover = format!("{VIP}/32");
            let add = ["address", "add", &leftover, "dev", "eth0"];
            site.second.host.command("ip").args(add).capture()?;
            site.second.start()?;
            site.wait("the second host runs", PATIENCE, |site| {
                site.second
                    .status()
                    .is_some_and(|status| status.vrrp.is_some_and(|speaker| speaker.ready))
            })?;
            struck.at = Instant::now();
        }
    }
    site.scarred = case.only_the_balancer().then(Instant::now);
    Ok(struck)
}

/// The processes to be struck; a blow that misses one would prove nothing.
fn everyone(site: &Site, roles: &[Role]) -> Result<Vec<Pid>, DrillError> {
    let pids = site.first.pids(roles);
    if pids.len() == roles.len() {
        return Ok(pids);
    }
    Err(DrillError::Late {
        what: format!("processes for {roles:?}"),
        how: site.describe(),
    })
}

fn kill(site: &Site, roles: &[Role]) -> Result<Instant, DrillError> {
    let pids = everyone(site, roles)?;
    let at = Instant::now();
    signal(&pids, Signal::KILL);
    Ok(at)
}

/// How often the first host's balancer was started again.
fn restarts(site: &Site) -> Option<u32> {
    Some(site.first.status()?.balancer?.restarts)
}

/// Waits until another one serves than the one after so many restarts, whose death may not have been noticed yet.
fn await_balancer_after(site: &Site, before: Option<u32>) -> Result<(), DrillError> {
    site.wait("another balancer serves", PATIENCE, |site| {
        let status = site.first.status().unwrap_or_default();
        let another = |restarts| before.is_none_or(|before| restarts > before);
        let balancer = status.balancer;
        balancer.is_some_and(|balancer| balancer.ready && another(balancer.restarts))
    })
}

/// Takes the balancer's memory and makes it ask for more, until it is gone; when it died, as well as can be told.
fn starve(site: &Site) -> Result<Instant, DrillError> {
    let before = restarts(site);
    let nothing = Rlimit {
        current: Some(1),
        maximum: None,
    };
    for pid in everyone(site, &[Role::Balancer])? {
        // Not the address space: what an allocator has reserved there may still become memory.
        prlimit(Some(pid), Resource::Data, nothing)
            .map_err(|error| DrillError::io("limit of memory")(error.into()))?;
    }
    let client = site.client().ok_or_else(|| DrillError::Late {
        what: "a client".to_owned(),
        how: String::new(),
    })?;
    let at = Instant::now();
    client.run(|| {
        let mut hungry = Vec::new();
        while hungry.len() < HUNGRY && restarts(site) == before {
            let connection = TcpStream::connect_timeout(&SocketAddr::from((VIP, 80)), MARGIN);
            let Ok(mut connection) = connection else {
                break;
            };
            let _ = connection.write_all(b"GET / HTTP/1.1\r\nHost: hungry\r\nCookie: ");
            hungry.push(connection);
        }
        Ok(())
    })?;
    site.wait("the balancer dies of hunger", PATIENCE, |site| {
        restarts(site) != before
    })?;
    Ok(at)
}

/// Waits as long as the case allows, and until somebody serves.
fn outlive(site: &Site, case: &Case, at: Instant) {
    let setup = &site.setup;
    let longest = case.address.allowed(setup).max(case.client.allowed(setup));
    // Whoever is stopped stays so for longer than anybody takes to notice it and to take over.
    let kept = match case.blow {
        Blow::Stop(_) | Blow::Cut => longest.max(setup.down()).max(Gap::Unwatched.allowed(setup)),
        _ => Duration::ZERO,
    };
    site.watch(at + kept + MARGIN);
    // If nobody serves in time, the measured gap says so.
    let patience = (at + longest + PATIENCE).saturating_duration_since(Instant::now());
    let _ = site.wait("somebody serves", patience, Site::is_served);
}

fn relieve(site: &mut Site, case: &Case, struck: &mut Struck) -> Result<(), DrillError> {
    signal(&struck.stopped, Signal::CONT);
    if matches!(case.blow, Blow::Death | Blow::Cut) {
        site.lab.mend_cable(&site.first.host)?;
    }
    Ok(())
}

impl Site {
    /// Waits until the killed daemon has been collected.
    fn wait_for_first_to_end(&mut self) -> Result<(), DrillError> {
        let deadline = Instant::now() + PATIENCE;
        while self.first.runs() {
            if Instant::now() > deadline {
                let what = "the killed daemon ends".to_owned();
                let how = self.describe();
                return Err(DrillError::Late { what, how });
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}
