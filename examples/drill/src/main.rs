//! Strikes a cluster of two hosts many times and measures, from a third host and from a client, what follows.
//!
//! `drill kill` holds every case of the table of deaths (`ha_lb::drill::CASES`), `drill reload` reloads both hosts
//! under load. `drill race`, `instances` and `garbage` are about many virtual routers: how long nobody speaks after a
//! death and what an advert costs, beside Debian's keepalived, and what broken adverts do. Everything runs in network
//! namespaces on this machine, without root. The hosts run this very program: whatever is not a drill is passed to
//! `ha-lb`'s command line. `drill soak` needs no network at all, and `drill all` holds every drill.
//!
//! Read in this order: `kill`, `reload`, `report`; `fleet`, `race`, `instances`, `verdict`, `garbage`, `scale_report`;
//! `all`.

mod all;
mod fleet;
mod garbage;
mod instances;
mod kill;
mod race;
mod reload;
mod report;
mod scale_report;
mod verdict;

use std::{
    error::Error,
    ffi::OsString,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use clap::{Parser, Subcommand};
use ha_lb::lab::enclosure;

/// What ends the program.
type Fatal = Box<dyn Error>;

const EXAMPLES: &str = "\
Examples:
  drill kill                                    every death once, in every setup
  drill kill --rounds 20                        the long form
  drill kill --case 'kill all' --setup v2-1s    one of them
  drill kill --list                             the cases and setups
  drill reload --rounds 100                     reloads under load
  drill race                                    silence after a death, beside keepalived
  drill instances                               250 instances for 60 s, quiet and busy, beside keepalived
  drill garbage                                 nine million broken adverts of every kind
  drill garbage --wire v2-ah --count 100000     some of one kind
  drill garbage --strangers 100                 and those of routers that nobody has
  drill soak --days 10000                       simulated days
  drill all                                     every long form, in some three hours
  drill all --short                             every short form, in some ten minutes";

/// Strikes a cluster of two hosts and measures who answers and what clients saw
#[derive(Debug, Parser)]
#[command(name = "drill", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Debug, Subcommand)]
enum Drill {
    /// Kill, stop, starve and cut off the host that holds the address
    Kill(kill::Kill),
    /// Reload both hosts again and again under load
    Reload(reload::Reload),
    /// Kill the Active host and time its successor, beside keepalived
    Race(race::Race),
    /// Many virtual routers, with and without a busy machine: stability, CPU time and memory, beside keepalived
    Instances(instances::Instances),
    /// Send garbage at full rate while an election runs
    Garbage(garbage::Garbage),
    /// Simulate days of misfortunes in memory
    Soak(all::Soak),
    /// All of these, one after the other, in their long forms
    All(all::All),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let ours = [
        "kill",
        "reload",
        "race",
        "instances",
        "garbage",
        "soak",
        "all",
        "help",
        "-h",
        "--help",
        "-V",
        "--version",
    ];
    let first = arguments.get(1).and_then(|word| word.to_str());
    if !first.is_none_or(|word| ours.contains(&word)) {
        return ha_lb::cli::main();
    }
    let result = match Cli::parse().drill {
        Drill::Kill(kill) => kill.run(),
        Drill::Reload(reload) => enclosed_or(|| reload.run()),
        Drill::Race(race) => enclosed_or(|| race.run()),
        Drill::Instances(instances) => enclosed_or(|| instances.run()),
        Drill::Garbage(garbage) => enclosed_or(|| garbage.run()),
        Drill::Soak(soak) => soak.run(),
        Drill::All(all) => all.run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("drill: {error}");
        ExitCode::FAILURE
    })
}

/// The exit code that tells whether everything held.
fn exit(good: bool) -> ExitCode {
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs a drill in namespaces of its own: this program again with the same arguments, until it is there.
fn enclosed_or(drill: impl FnOnce() -> Result<ExitCode, Fatal>) -> Result<ExitCode, Fatal> {
    match enclosure::is_inside() {
        true => drill(),
        false => Ok(exit(enclosed(
            &std::env::args().skip(1).collect::<Vec<_>>(),
        )?)),
    }
}

/// Runs this program with these arguments in namespaces of its own; whether it succeeded. Root keeps its users: only with
/// its rights over the whole machine is a daemon scheduled as it is in service.
fn enclosed(arguments: &[String]) -> Result<bool, Fatal> {
    let is_root = rustix::process::geteuid().is_root();
    let keep_users = match enclosure::permitted(is_root) {
        Ok(()) => is_root,
        Err(_) if enclosure::permitted(!is_root).is_ok() => !is_root,
        Err(error) => {
            return Err(format!(
                "this machine does not let you make namespaces ({error}): run it as root, or allow user namespaces"
            )
            .into());
        }
    };
    let program = std::env::current_exe()?;
    let status = enclosure::run(program.as_os_str(), arguments, keep_users)?;
    Ok(ExitStatus::success(&status))
}

/// Makes a folder that vanishes with the enclosure, and follows the outer process.
fn settle_in(folder: &Path) -> Result<(), Fatal> {
    enclosure::follow_the_outer_process()?;
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", "/run", "tmpfs", flags, None)?;
    std::fs::create_dir_all(folder)?;
    Ok(())
}
