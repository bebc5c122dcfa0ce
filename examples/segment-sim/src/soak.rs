//! `segment-sim soak`: many simulated days, each on a segment of its own that is drawn from a seed. Misfortunes of up to
//! forty faults, healing and calms of hours follow each other until the day is over; after each healing exactly one
//! router must be Active, and in a calm nothing may change.

use std::{
    error::Error,
    io::Write,
    panic,
    process::ExitCode,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use vrrp_fsm::simulation::{Rng, Trial};

const DAY: Duration = Duration::from_secs(86_400);
/// The longest calm.
const CALM: Duration = Duration::from_secs(4 * 3600);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many days.
    days: u64,
    /// The first of the seeds, one for each day.
    seed: u64,
    threads: usize,
}

/// What became of a day.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Day {
    faults: u64,
    calms: u64,
}

impl Options {
    /// So many days from that seed on, with a thread for each processor.
    #[must_use]
    pub fn of_days(days: u64, seed: u64) -> Self {
        Self {
            days,
            seed,
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// `[--days N] [--seed N] [--threads N]`
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self::of_days(10_000, 0);
        while let Some(option) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{option} needs a number"))?;
            match option.as_str() {
                "--days" => options.days = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--threads" => options.threads = value.parse::<usize>()?.max(1),
                _ => {
                    return Err(format!("{option}: --days, --seed or --threads is expected").into());
                }
            }
        }
        Ok(options)
    }
}

/// Runs the days on all threads; the exit code tells whether all held.
pub fn run(out: &mut impl Write, options: Options) -> std::io::Result<ExitCode> {
    let Options {
        days,
        seed,
        threads,
    } = options;
    writeln!(
        out,
        "{days} days, seeds {seed} to {}, {threads} threads",
        seed + days.saturating_sub(1)
    )?;
    out.flush()?;
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let mut results = Results::default();
    thread::scope(|scope| {
        let (tell, outcomes) = mpsc::channel();
        for _ in 0..threads {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let seed = seed + number;
                    if number >= days || tell.send((seed, guarded(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (seed, outcome) in outcomes {
            results.take(seed, outcome);
            if results.days.is_multiple_of(1000) {
                writeln!(out, "{} days after {:.0?}", results.days, began.elapsed())?;
                out.flush()?;
            }
        }
        std::io::Result::Ok(())
    })?;
    for (seed, why) in &results.broken {
        writeln!(
            out,
            "seed {seed}: {why}\n  again: segment-sim soak --days 1 --seed {seed}"
        )?;
    }
    writeln!(
        out,
        "{} days in {:.1?}: {} faults, {} calms, {} days with an invariant broken",
        results.days,
        began.elapsed(),
        results.faults,
        results.calms,
        results.broken.len()
    )?;
    Ok(match results.broken.is_empty() && results.days == days {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

#[derive(Debug, Default)]
struct Results {
    days: u64,
    faults: u64,
    calms: u64,
    broken: Vec<(u64, String)>,
}

impl Results {
    fn take(&mut self, seed: u64, outcome: Result<Day, String>) {
        self.days += 1;
        match outcome {
            Ok(day) => {
                self.faults += day.faults;
                self.calms += day.calms;
            }
            Err(why) => self.broken.push((seed, why)),
        }
    }
}

/// A day; the assertions of the simulation itself are told like the others.
fn guarded(seed: u64) -> Result<Day, String> {
    panic::catch_unwind(|| endure(seed, DAY))
        .unwrap_or_else(|_| Err("an assertion failed, see above".to_owned()))
}

/// As much of a day as is asked for.
fn endure(seed: u64, time: Duration) -> Result<Day, String> {
    let mut trial = Trial::slow(seed);
    let mut rng = Rng::new(seed ^ u64::MAX);
    let mut day = Day::default();
    while trial.segment.now() < time {
        let faults = rng.index(41);
        trial.misfortune(faults);
        trial.heal();
        trial
            .calm(rng.up_to(CALM))
            .map_err(|broken| broken.to_string())?;
        day.faults += faults as u64;
        day.calms += 1;
    }
    Ok(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = String> {
        text.split_whitespace().map(str::to_owned)
    }

    #[test]
    fn three_days_break_no_invariant() {
        let mut out = Vec::new();
        let options = Options::parse(words("--days 3")).unwrap();
        let code = run(&mut out, options).unwrap();
        let text = String::from_utf8(out).unwrap();
        println!("{text}");
        assert_eq!(
            format!("{code:?}"),
            format!("{:?}", ExitCode::SUCCESS),
            "{text}"
        );
    }

    #[test]
    fn a_seed_gives_the_same_day_again() {
        let hours = |seed| endure(seed, DAY / 12);
        assert_eq!(hours(7), hours(7));
        assert_ne!(hours(7), hours(8));
    }

    #[test]
    fn options_have_numbers_and_names() {
        let options = Options::parse(words("--days 3 --seed 9 --threads 0")).unwrap();
        assert_eq!(
            options,
            Options {
                days: 3,
                seed: 9,
                threads: 1
            }
        );
        assert!(Options::parse(words("--days")).is_err());
        assert!(Options::parse(words("--years 3")).is_err());
    }
}
