//! The command line: what each subcommand is called, takes and prints. What it does is elsewhere.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    balancer, demo,
    ipc::message::Sources,
    logging,
    mail::courier,
    supervisor::{self, child::Role, launch::Launch, sink::Targets},
    vrrp,
};

mod check;
mod diff;
mod haproxy;
mod keepalived;
mod status;
mod upgrade;

const KEEPALIVED_CONF: &str = "/etc/keepalived/keepalived.conf";
const HAPROXY_CFG: &str = "/etc/haproxy/haproxy.cfg";

const EXAMPLES: &str = "\
Examples:
  ha-lb check                              both files under /etc, without running anything
  sudo ha-lb run                           both files under /etc
  sudo ha-lb run -k keepalived.conf        virtual addresses only
  ha-lb run -x haproxy.cfg                 balancing only; no root if all ports are above 1023
  ha-lb status                             what the running daemon does
  ha-lb status --watch                     the same again and again
  ha-lb status --json | jq '.instances[] | {name, state, effective_priority}'
  ha-lb check --diff                       what a reload would change; then `kill -HUP` the daemon
  ha-lb upgrade                            the program file was replaced: the daemon goes over to the new one
  ha-lb demo                               a cluster on this machine, with failures; no root";

/// keepalived and HAProxy in one daemon: reads their configuration files, holds virtual addresses, balances traffic
#[derive(Debug, Parser)]
#[command(name = "ha-lb", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Run(Run),
    /// Read the configuration and report what is wrong with it; needs neither root nor the interfaces
    Check(Check),
    /// Show what a running daemon does
    Status(Status),
    /// Put another program file in the place of the running daemon; no address moves, no connection is refused
    Upgrade(Upgrade),
    /// Show a cluster of three hosts on this machine, with failures and the gaps that a client sees
    Demo(Demo),
    /// Be haproxy: its flags, words and exit codes (as when called by that name)
    Haproxy(Passed),
    /// Be keepalived: its options, words and exit codes (as when called by that name)
    Keepalived(Passed),
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct Passed {
    /// The program's own arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
struct Files {
    /// keepalived's configuration [default: /etc/keepalived/keepalived.conf if neither -k nor -x is given]
    #[arg(short = 'k', long = "keepalived", value_name = "KEEPALIVED_CONF")]
    keepalived: Option<PathBuf>,
    /// HAProxy's configuration; may be repeated [default: /etc/haproxy/haproxy.cfg if neither -k nor -x is given]
    #[arg(short = 'x', long = "haproxy", value_name = "HAPROXY_CFG")]
    haproxy: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    files: Files,
    /// When a failed check with a weight takes from the priority of the Active host, it resigns at once (priority 0)
    /// instead of letting better hosts wait for their timers
    #[arg(long)]
    resign_at_once: bool,
    /// What log lines look like [default: $HA_LB_LOG_FORMAT, else text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<logging::Format>,
    /// Where log lines go [default: $HA_LB_LOG_TARGET, else the journal if it reads standard error, else there]
    #[arg(long, value_name = "TARGET")]
    log_target: Option<logging::Target>,
    /// Socket that `ha-lb status` asks [default: /run/ha-lb.sock, or in $XDG_RUNTIME_DIR without root]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    files: Files,
    /// One JSON document instead of lines
    #[arg(long)]
    json: bool,
    /// Warnings are errors: whatever would be done otherwise than written is refused
    #[arg(long, conflicts_with = "diff")]
    strict: bool,
    /// Show what a reload (SIGHUP) of the running daemon with these files would do, without doing it; without -k and
    /// -x, with the daemon's own files
    #[arg(long)]
    diff: bool,
    /// Compare with this keepalived configuration instead of a running daemon
    #[arg(long, requires = "diff", value_name = "KEEPALIVED_CONF")]
    old_keepalived: Option<PathBuf>,
    /// Compare with this HAProxy configuration instead of a running daemon; may be repeated
    #[arg(long, requires = "diff", value_name = "HAPROXY_CFG")]
    old_haproxy: Vec<PathBuf>,
    /// The daemon's socket [default: /run/ha-lb.sock, or in $XDG_RUNTIME_DIR without root]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Status {
    /// The JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Prometheus' text format: virtual routers and processes, without the balancer, which serves its own
    #[arg(long, conflicts_with = "json")]
    metrics: bool,
    /// Again and again, every so many seconds; in place on a terminal
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = seconds)]
    watch: Option<Duration>,
    /// The daemon's socket [default: /run/ha-lb.sock, or in $XDG_RUNTIME_DIR without root]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

/// A time between two looks.
fn seconds(text: &str) -> Result<Duration, String> {
    let given = text.parse().ok().filter(|seconds| *seconds >= 0.1);
    given
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds is expected, 0.1 or more".to_owned())
}

impl Status {
    fn run(self) -> Result<ExitCode, String> {
        let form = match (self.json, self.metrics) {
            (true, _) => status::Form::Json,
            (_, true) => status::Form::Metrics,
            _ => status::Form::Text,
        };
        let path = control(self.control);
        match self.watch {
            Some(every) => status::watch(&path, form, every),
            None => status::run(&path, form),
        }
    }
}

#[derive(Debug, Args)]
struct Upgrade {
    /// The new program [default: the file that the daemon was started from, which was replaced meanwhile]
    program: Option<PathBuf>,
    /// The daemon's socket [default: /run/ha-lb.sock, or in $XDG_RUNTIME_DIR without root]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Demo {
    /// One JSON document at the end instead of text
    #[arg(long)]
    json: bool,
    /// Lines instead of the live screen, as when the output is no terminal
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// No story: act yourself, by one key each
    #[arg(long, short, conflicts_with_all = ["json", "plain"])]
    interactive: bool,
}

impl Check {
    fn run(self) -> Result<ExitCode, String> {
        let old = Sources {
            keepalived: self.old_keepalived,
            haproxy: self.old_haproxy,
            ..Sources::default()
        };
        if !self.diff {
            return Ok(check::run(&self.files.sources()?, self.json, self.strict));
        }
        if old != Sources::default() {
            return diff::files(&old, &self.files.sources()?, self.json);
        }
        let given = Sources {
            keepalived: self.files.keepalived,
            haproxy: self.files.haproxy,
            ..Sources::default()
        };
        diff::daemon(&control(self.control), &given, self.json)
    }
}

impl Files {
    /// The files that are meant; without any, the usual ones that exist.
    fn sources(self) -> Result<Sources, String> {
        let mut sources = Sources {
            keepalived: self.keepalived,
            haproxy: self.haproxy,
            ..Sources::default()
        };
        if sources == Sources::default() {
            let existing = |path: &str| Some(PathBuf::from(path)).filter(|p| Path::exists(p));
            sources.keepalived = existing(KEEPALIVED_CONF);
            sources.haproxy = existing(HAPROXY_CFG).into_iter().collect();
        }
        if sources == Sources::default() {
            return Err(format!(
                "there is neither {KEEPALIVED_CONF} nor {HAPROXY_CFG}; name the files with -k and -x"
            ));
        }
        Ok(sources)
    }
}

/// Whose command line this is.
#[derive(Debug, PartialEq, Eq)]
enum Called {
    HaLb,
    Haproxy,
    Keepalived,
    Child(Role),
    UpgradeCheck,
    Courier,
}

/// By the name that the program was called by. The children have one of these names too and one word behind it,
/// which neither haproxy nor keepalived takes.
fn called(arguments: &[OsString]) -> Called {
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (Path::new(name).file_name(), rest),
        None => (None, arguments),
    };
    if matches!(rest, [word] if word == supervisor::upgrade::CHECK) {
        return Called::UpgradeCheck;
    }
    if matches!(rest, [word] if word == courier::SUBCOMMAND) {
        return Called::Courier;
    }
    let known = match name.and_then(OsStr::to_str) {
        Some("haproxy") => Called::Haproxy,
        Some("keepalived") => Called::Keepalived,
        _ => return Called::HaLb,
    };
    match rest {
        [role] if role == Role::Speaker.subcommand() => Called::Child(Role::Speaker),
        [role] if role == Role::Balancer.subcommand() => Called::Child(Role::Balancer),
        _ => known,
    }
}

/// The program.
pub fn main() -> ExitCode {
    if let Some(ended) = supervisor::resume() {
        return ended;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let behind = arguments.get(1..).unwrap_or_default();
    match called(&arguments) {
        Called::HaLb => own(),
        Called::Haproxy => haproxy::main(behind),
        Called::Keepalived => keepalived::main(behind),
        Called::Child(role) => child(role),
        Called::UpgradeCheck => supervisor::upgrade::check(),
        Called::Courier => courier::main(),
    }
}

fn child(role: Role) -> ExitCode {
    logging::init();
    match role {
        Role::Speaker => vrrp::main(),
        Role::Balancer => balancer::main(),
    }
}

fn own() -> ExitCode {
    let cli = Cli::parse();
    let target = match &cli.command {
        Command::Run(run) => logging::choose(run.log_format, run.log_target),
        _ => logging::Target::default(),
    };
    // The other two decide themselves where their lines go.
    if !matches!(cli.command, Command::Haproxy(_) | Command::Keepalived(_)) {
        logging::init();
    }
    let done = match cli.command {
        Command::Run(run) => run.files.sources().map(|mut sources| {
            sources.overrides.resign_at_once = run.resign_at_once;
            supervisor::run(&supervisor::start::Options {
                sources,
                control: control(run.control),
                launch: Launch {
                    notify: true,
                    log: (target == logging::Target::Syslog).then(to_syslog),
                    ..Launch::default()
                },
            })
        }),
        Command::Check(check) => check.run(),
        Command::Status(status) => status.run(),
        Command::Demo(demo) => Ok(demo::run(demo::Options {
            json: demo.json,
            plain: demo.plain,
            interactive: demo.interactive,
        })),
        Command::Upgrade(asked) => upgrade::run(&control(asked.control), asked.program.as_deref()),
        Command::Haproxy(passed) => Ok(haproxy::main(&passed.arguments)),
        Command::Keepalived(passed) => Ok(keepalived::main(&passed.arguments)),
    };
    done.unwrap_or_else(|told| {
        eprintln!("ha-lb: {told}");
        ExitCode::FAILURE
    })
}

/// Facility daemon.
fn to_syslog() -> Targets {
    const DAEMON: u8 = 3;
    Targets {
        syslog: Some((DAEMON, "ha-lb".into())),
        ..Targets::default()
    }
}

fn control(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(supervisor::control::default_path)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_help_has_examples() {
        Cli::command().debug_assert();
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("ha-lb run -x haproxy.cfg"), "{help}");
        assert!(!help.contains("speaker"), "{help}");
    }

    #[test]
    fn the_name_decides_whose_command_line_it_is() {
        for (line, expected) in [
            ("ha-lb run", Called::HaLb),
            ("/usr/sbin/haproxy -c -f x", Called::Haproxy),
            ("haproxy", Called::Haproxy),
            ("haproxy balancer", Called::Child(Role::Balancer)),
            ("haproxy -f balancer", Called::Haproxy),
            ("/usr/sbin/keepalived --dont-fork", Called::Keepalived),
            ("keepalived speaker", Called::Child(Role::Speaker)),
            ("keepalived balancer", Called::Child(Role::Balancer)),
            ("haproxyctl", Called::HaLb),
            ("/opt/new/ha-lb upgrade-check", Called::UpgradeCheck),
            ("/proc/self/exe courier", Called::Courier),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(called(&words), expected, "{line}");
        }
    }

    #[test]
    fn arguments_behind_a_name_are_passed_on_untouched() {
        let words = ["ha-lb", "haproxy", "-f", "a", "-c", "--", "b", "-h"];
        let Command::Haproxy(passed) = Cli::parse_from(words).command else {
            unreachable!("another command");
        };
        assert_eq!(passed.arguments, ["-f", "a", "-c", "--", "b", "-h"]);
    }

    #[test]
    fn either_file_alone_is_enough_and_excludes_the_defaults() {
        let files = Files {
            keepalived: None,
            haproxy: vec!["a.cfg".into(), "b.cfg".into()],
        };
        let sources = files.sources().unwrap();
        assert_eq!(sources.keepalived, None);
        assert_eq!(sources.haproxy.len(), 2);
    }
}
