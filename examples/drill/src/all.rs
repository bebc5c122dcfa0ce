//! Every drill, one after the other, each a process of its own.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use clap::Args;
use segment_sim::soak;

use crate::{Fatal, exit, report};

/// Their long forms, and how much of each is enough to see that it works.
const DRILLS: &[(&str, &str)] = &[
    ("kill --rounds 20", "kill --setup v3-100ms-fault"),
    ("reload --rounds 100", "reload --rounds 5"),
    ("race --rounds 20", "race --rounds 2 --interval 100"),
    ("instances --seconds 60", "instances --seconds 5"),
    ("garbage --count 9000000", "garbage --count 300000"),
    (
        "garbage --strangers 100 --count 9000000",
        "garbage --strangers 100 --count 300000",
    ),
    ("soak --days 10000", "soak --days 20"),
];

/// All of these, one after the other
#[derive(Debug, Args)]
pub(crate) struct All {
    /// Their short forms: what they measure is worth less
    #[arg(long)]
    short: bool,
}

/// Simulate days of misfortunes in memory
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// How many days
    #[arg(long, default_value_t = 10_000)]
    days: u64,
    /// The first of the seeds, one for each day
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Soak {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let options = soak::Options::of_days(self.days, self.seed);
        Ok(soak::run(&mut std::io::stdout().lock(), options)?)
    }
}

impl All {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let program = std::env::current_exe()?;
        let mut rows = Vec::new();
        for &(long, short) in DRILLS {
            let words = if self.short { short } else { long };
            report::say(&format!("\n==== drill {words}\n"));
            let began = Instant::now();
            let status = Command::new(&program)
                .args(words.split_ascii_whitespace())
                .status()?;
            rows.push((words, began.elapsed(), status.success()));
        }
        report::all(&rows);
        Ok(exit(rows.iter().all(|(_, _, good)| *good)))
    }
}
