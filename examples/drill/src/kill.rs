//! Every death, many times.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use ha_lb::{
    drill::{CASES, Case, Outcome, SETUPS, Setup, Site, Slack, round},
    lab::enclosure,
};
use serde::Serialize;

use crate::{Fatal, enclosed, exit, report, settle_in};

/// Where the hosts keep their files.
const FOLDER: &str = "/run/drill";

/// A release build on a machine that does little else.
const SLACK: Slack = Slack {
    kill: Duration::from_millis(5),
    address: Duration::from_millis(50),
    // A request that was lost in the moment of a takeover waits for the client's own 300 ms.
    client: Duration::from_millis(400),
};

/// Kill, stop, starve and cut off the host that holds the address
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// How often each case is held
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only this case; may be repeated
    #[arg(long, value_name = "NAME", value_parser = Case::named_or_not)]
    case: Vec<&'static Case>,
    /// Only this setup; may be repeated
    #[arg(long, value_name = "NAME", value_parser = Setup::named_or_not)]
    setup: Vec<&'static Setup>,
    /// One JSON document for each setup instead of tables
    #[arg(long)]
    json: bool,
    /// Show the cases and setups
    #[arg(long)]
    list: bool,
}

/// All rounds of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    /// Of the case.
    pub(crate) name: &'static str,
    /// What each round measured.
    pub(crate) rounds: Vec<Outcome>,
    /// The bars that were missed, with the number of the round.
    pub(crate) missed: Vec<String>,
}

impl Kill {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        if self.list {
            report::list();
            return Ok(ExitCode::SUCCESS);
        }
        let setups = match self.setup.is_empty() {
            true => SETUPS.iter().collect(),
            false => self.setup.clone(),
        };
        if enclosure::is_inside() {
            let setup = setups.first().ok_or("no setup")?;
            return self.hold(setup);
        }
        // Each setup in namespaces of its own: what one leaves behind is no other's business.
        let mut good = true;
        for setup in setups {
            good &= enclosed(&self.arguments(setup))?;
        }
        Ok(exit(good))
    }

    fn arguments(&self, setup: &Setup) -> Vec<String> {
        let rounds = self.rounds.to_string();
        let mut words = vec!["kill", "--rounds", &rounds, "--setup", setup.name];
        for case in &self.case {
            words.extend(["--case", case.name]);
        }
        if self.json {
            words.push("--json");
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// Inside: one setup, every case that suits it.
    fn hold(&self, setup: &Setup) -> Result<ExitCode, Fatal> {
        let folder = Path::new(FOLDER);
        settle_in(folder)?;
        let chosen = |case: &&Case| match self.case.is_empty() {
            true => case.suits(setup),
            false => self.case.contains(case),
        };
        let began = Instant::now();
        let mut site = Site::start(*setup, Path::new("/proc/self/exe"), folder)?;
        if !self.json {
            report::head(setup, self.rounds);
        }
        let mut all = Vec::new();
        for case in CASES.iter().filter(chosen) {
            let held = self.case_many_times(&mut site, case)?;
            if !self.json {
                report::row(&held);
            }
            all.push(held);
        }
        let good = all.iter().all(|held| held.missed.is_empty());
        if self.json {
            report::json(setup, &all, SLACK)?;
        } else {
            report::foot(&all, SLACK, began.elapsed());
        }
        Ok(exit(good))
    }

    fn case_many_times(&self, site: &mut Site, case: &'static Case) -> Result<Held, Fatal> {
        let mut held = Held {
            name: case.name,
            rounds: Vec::new(),
            missed: Vec::new(),
        };
        for number in 1..=self.rounds {
            let outcome = round(site, case)
                .map_err(|error| format!("{}, round {number}: {error}", case.name))?;
            let missed = outcome.missed(case, &site.setup, SLACK);
            if !missed.is_empty() {
                eprintln!(
                    "{}, round {number}: {missed:?}\n{}",
                    case.name,
                    site.describe()
                );
            }
            let missed = missed
                .into_iter()
                .map(|bar| format!("round {number}: {bar}"));
            held.missed.extend(missed);
            held.rounds.push(outcome);
        }
        Ok(held)
    }
}
