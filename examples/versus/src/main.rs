//! Races ha-lb against HAProxy, nginx and a bare relay: the same configuration, the same origin, the same load,
//! rounds interleaved, every answer verified.
//!
//! Read in this order: `scenario` (what is raced), `contender` (who races), `race` (how a round runs), `load` and
//! `origin` (the two ends), `process` (what is measured), `report`; `endurance` and `slow` are other questions to the same
//! ends.

mod admin;
mod certificate;
mod config;
mod contender;
mod cpus;
mod endurance;
mod histogram;
mod idle;
mod load;
mod origin;
mod poll;
mod process;
mod race;
mod relay;
mod report;
mod scenario;
mod slow;
mod syscalls;

use std::{error::Error, net::SocketAddrV4, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

/// What ends the program.
type Fatal = Box<dyn Error>;

const EXAMPLES: &str = "\
Examples:
  versus                                        every scenario, 3 rounds of 3 s each
  versus --scenario h1-128 --scenario tcp-128   two of them
  versus --haproxy ~/haproxy-3.4/haproxy        one more HAProxy beside the installed one
  versus --list                                 the scenarios
  versus endurance                              100,000 connections of every kind: is anything lost?
  versus slow-readers                           2,000 readers that take next to nothing: who feels it?";

/// Races ha-lb against HAProxy, nginx and a bare relay
#[derive(Debug, Parser)]
#[command(name = "versus", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    race: Race,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is raced, and how long.
#[derive(Debug, Args)]
pub(crate) struct Race {
    /// A further HAProxy binary; may be repeated
    #[arg(long, value_name = "PATH")]
    haproxy: Vec<PathBuf>,
    /// The ha-lb binary [default: the one beside this program]; may be repeated, to compare builds
    #[arg(long, value_name = "PATH")]
    ha_lb: Vec<PathBuf>,
    /// Only this scenario; may be repeated
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How often each contender runs each scenario
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each run is measured
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// At the end also the table of the README
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Show the scenarios and what each is
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Opens and closes many connections of every kind: is memory or a descriptor lost?
    Endurance(endurance::Endurance),
    /// Clients that ask for much and take next to nothing of it: do the others feel them, and what do they cost?
    SlowReaders(slow::SlowReaders),
    /// The floor: bytes from each client to ORIGIN and back, nothing else
    #[command(hide = true)]
    Relay {
        listen: SocketAddrV4,
        origin: SocketAddrV4,
        workers: usize,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds")?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "more than none".to_owned())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Endurance(endurance)) => endurance::run(&endurance),
        Some(Command::SlowReaders(readers)) => slow::run(&readers),
        Some(Command::Relay {
            listen,
            origin,
            workers,
        }) => relay::run(listen, origin, workers).map(|()| true),
        None if cli.race.list => {
            report::list();
            Ok(true)
        }
        None => race::run(&cli.race),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(told) => {
            eprintln!("versus: {told}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(seconds("0.2").is_ok() && seconds("0").is_err() && seconds("x").is_err());
    }
}
