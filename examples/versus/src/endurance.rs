//! Many connections of every kind, by count: does memory return to its level, is a descriptor lost, is everything
//! counted?
//!
//! Read in this order: `phase` (what is played), `client` (how), `level` (what is compared), `table`.

mod client;
mod level;
mod phase;
mod proxy;
mod table;

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use self::{
    client::Played,
    level::{Level, Snapshot},
    phase::{PHASES, Stage},
    proxy::Proxy,
};
use crate::{
    Fatal, certificate,
    contender::{Beside, Contender},
    cpus::Cpus,
    origin, race,
};

/// What is played, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct Endurance {
    /// Connections opened and closed, all phases together, after the warm-up
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    connections: u32,
    /// Connections that are open at once
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(10..=8_000))]
    at_once: u32,
    /// Requests, all phases together: connections with keep-alive make more of them
    #[arg(long, default_value_t = 1_000_000)]
    requests: u32,
    /// Decides the order of what clients and servers do wrong
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    beside: Beside,
}

/// What came of a phase.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    phase: &'static str,
    connections: u64,
    requests: u64,
    seconds: f64,
    level: Level,
    /// What is wrong; nothing in a sound proxy.
    faults: Vec<String>,
}

/// What came of a proxy.
#[derive(Debug, Serialize)]
pub(crate) struct Lane {
    contender: String,
    /// Whether the verdict is about it.
    judged: bool,
    /// Before anybody came.
    fresh: Level,
    /// After the warm-up: each phase once at full width.
    warm: Level,
    rows: Vec<Row>,
}

impl Lane {
    fn add(&mut self, shown: bool, row: Row) {
        if shown {
            table::row(&row);
        }
        self.rows.push(row);
    }

    fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.faults.is_empty())
    }
}

/// Plays everything; false if ha-lb has lost something.
pub(crate) fn run(endurance: &Endurance) -> Result<bool, Fatal> {
    let contenders = endurance.beside.contenders()?;
    let shown = !endurance.beside.json;
    race::raise_limits()?;
    let folder = tempfile::Builder::new().prefix("versus-").tempdir()?;
    let pem = folder.path().join("versus.pem");
    certificate::write(&pem)?;
    let stage = Stage {
        origin: origin::start(Cpus::usable()?.of_load(0).to_vec())?,
        tls: certificate::client(&pem, true)?,
        pem,
        at_once: endurance.at_once as usize,
        connections: endurance.connections as usize,
        requests: endurance.requests as usize,
        seed: endurance.seed,
    };
    let mut lanes = Vec::new();
    // Ours first: its verdict is what matters if the machine goes away meanwhile.
    for contender in contenders.iter().rev() {
        if contender.is_ha_lb() {
            lanes.push(play(contender, &stage, shown)?);
        } else {
            // Beside it for its figures alone: what becomes of it says nothing of ours.
            match play(contender, &stage, shown) {
                Ok(lane) => lanes.push(lane),
                Err(why) => eprintln!("versus: {}: {why}", contender.name),
            }
        }
    }
    if !shown {
        table::json(&lanes)?;
    }
    Ok(lanes.iter().filter(|l| l.judged).all(Lane::is_sound))
}

/// All phases with one proxy; each row is shown when it is there.
fn play(contender: &Contender, stage: &Stage, shown: bool) -> Result<Lane, Fatal> {
    let proxy = Proxy::start(contender, stage)?;
    let fresh = Level::of(&proxy)?;
    let warm_ups = PHASES
        .iter()
        .flat_map(|phase| std::iter::repeat_n(phase, phase.warm_ups()));
    for phase in warm_ups {
        let played = phase.play(stage, &proxy, stage.warm_up(phase))?;
        if let Some(error) = played.first_error {
            eprintln!(
                "versus: {}, warm-up, {}: {error}",
                contender.name, phase.name
            );
        }
    }
    let warm = level::when_quiet(&proxy)?;
    let mut lane = Lane {
        contender: contender.name.clone(),
        judged: contender.is_ha_lb(),
        fresh,
        rows: Vec::new(),
        warm,
    };
    if shown {
        table::begin(&lane);
    }
    for phase in PHASES {
        let before = Snapshot::take(&proxy)?;
        let began = Instant::now();
        let played = phase.play(stage, &proxy, stage.share(phase))?;
        let seconds = began.elapsed().as_secs_f64();
        let (level, mut faults) = level::settle(&proxy, &lane.warm)?;
        faults.extend(played.first_error.iter().map(|first| {
            format!(
                "{} of the clients were disappointed: {first}",
                played.errors
            )
        }));
        faults.extend(Snapshot::take(&proxy)?.faults(&before, phase, &played));
        let Played {
            connections,
            requests,
            ..
        } = played;
        lane.add(
            shown,
            Row {
                phase: phase.name,
                connections,
                requests,
                seconds,
                level,
                faults,
            },
        );
    }
    // The server connections that wait for another request end as well.
    let (level, faults) = level::settle_wholly(&proxy, &lane.warm)?;
    lane.add(
        shown,
        Row {
            phase: "silence",
            connections: 0,
            requests: 0,
            seconds: 0.0,
            level,
            faults,
        },
    );
    if shown {
        table::end(&lane);
    }
    Ok(lane)
}
