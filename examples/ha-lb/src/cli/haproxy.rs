//! `haproxy`: its command line, its words and its exit codes (haproxy(1), management guide §3).

mod flags;
mod report;
mod version;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use flags::{Flags, Parsed};
use lb_core::config::Config;
use report::{Report, alert};

use crate::{
    config::{
        files::DiskFiles,
        haproxy::{self, condition},
        load::Loaded,
    },
    ipc::message::{Overrides, Sources},
    logging,
    supervisor::{
        self, control,
        launch::{Launch, Program},
        listeners::OpenError,
        sink::Targets,
        start::{self, Options, Read, Refusal},
    },
};

/// `-c`: nothing listens.
const NO_LISTENER: u8 = 2;
/// syslog's facility for daemons.
const DAEMON: u8 = 3;

/// Runs as haproxy with these arguments (without the program's name).
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let _ = rustix::thread::set_name(c"haproxy");
    let flags = match flags::parse(arguments) {
        Parsed::Flags(flags) => *flags,
        Parsed::Usage => {
            version::print();
            eprint!("{}", flags::USAGE);
            return ExitCode::FAILURE;
        }
        Parsed::Wrong(told) => return refuse(false, &told),
    };
    match flags.version {
        0 => {}
        1 => return version::print(),
        _ => return version::print_details(),
    }
    if let Some(text) = &flags.condition {
        return match condition::holds_as_typed(text, &|name| std::env::var(name).ok()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(fault) => {
                let told = format!("config : Failed to evaluate condition: {fault}");
                refuse(flags.quiet, &told);
                ExitCode::from(2)
            }
        };
    }
    if let Some(folder) = &flags.folder
        && let Err(error) = std::env::set_current_dir(folder)
    {
        let told = format!(
            "Could not change to directory {} : {}",
            folder.display(),
            report::words(&error)
        );
        return refuse(flags.quiet, &told);
    }
    // A folder without any file is no file.
    let mut files = flags.files.iter();
    if files.all(|path| haproxy::expand(path, &DiskFiles).is_empty()) {
        version::print();
        eprint!("{}", flags::USAGE);
        return ExitCode::FAILURE;
    }
    configured(&flags)
}

fn configured(flags: &Flags) -> ExitCode {
    let sources = Sources {
        keepalived: None,
        haproxy: flags.files.clone(),
        overrides: Overrides {
            maxconn: flags.maxconn,
            proxy_maxconn: flags.proxy_maxconn,
            memory: flags.memory,
            local_peer: flags.local_peer.clone(),
            master: flags.master,
            one_process: !flags.master,
            ..Overrides::default()
        },
    };
    let mut read = start::read(&sources);
    if flags.check {
        let refused = read.loaded.as_ref().and_then(Loaded::refused);
        read.diagnostics.extend(refused);
    }
    let report = Report::of(&read.diagnostics, &flags.remarks);
    if !flags.quiet {
        eprint!("{report}");
    }
    let Some(config) = read
        .loaded
        .as_ref()
        .filter(|_| !read.diagnostics.has_errors())
    else {
        return ExitCode::FAILURE;
    };
    if flags.zero_warning && report.warnings > 0 {
        let told = "config : Some warnings were found and 'zero-warning' is set. Aborting.";
        return refuse(flags.quiet, told);
    }
    let listens = config.balancer.as_ref().is_some_and(listens);
    if flags.check {
        return checked(flags, report.warnings > 0, listens);
    }
    if !listens {
        let told =
            "[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting.";
        return refuse(flags.quiet, told);
    }
    run(flags, sources, read)
}

fn checked(flags: &Flags, warned: bool, listens: bool) -> ExitCode {
    let mut out = std::io::stdout();
    let mut say = |text: &str| {
        if !flags.quiet {
            let _ = writeln!(out, "{text}");
        }
    };
    if !listens {
        say("Configuration file has no error but will not start (no listener) => exit(2).");
        return ExitCode::from(NO_LISTENER);
    }
    if warned {
        say("Warnings were found.");
    }
    say("Configuration file is valid");
    ExitCode::SUCCESS
}

/// A `stats socket` is enough: a file may do nothing but check servers.
fn listens(config: &Config) -> bool {
    if !config.global.stats_sockets.is_empty() {
        return true;
    }
    let mut enabled = config.proxies.iter().filter(|proxy| !proxy.disabled);
    enabled.any(|proxy| proxy.frontend.as_ref().is_some_and(|f| !f.binds.is_empty()))
}

fn run(flags: &Flags, sources: Sources, read: Read) -> ExitCode {
    let global = read
        .loaded
        .as_ref()
        .and_then(|loaded| loaded.balancer.as_ref());
    let global = global.map(|config| &config.global);
    let background = !flags.foreground && (flags.daemon || global.is_some_and(|g| g.daemon));
    // haproxy leaves a pid file only where a master or a background process stays.
    let pid_file = flags.pid_file.clone();
    let pid_file = pid_file.or_else(|| global.and_then(|global| global.pidfile.clone()));
    let options = Options {
        sources,
        control: control::path_of("ha-lb-haproxy"),
        launch: Launch {
            program: Program::Haproxy,
            background,
            notify: flags.notify,
            pid_file: pid_file.filter(|_| background || flags.master),
            log: log(flags, background),
            relieved: flags.relieved.clone(),
            relieve_at_once: flags.relieve_at_once,
            master: if flags.master {
                flags.master_sockets.clone()
            } else {
                Vec::new()
            },
            dies_of_signals: !flags.master,
            ..Launch::default()
        },
    };
    logging::init();
    supervisor::serve(read, &options).unwrap_or_else(|refusal| {
        if !flags.quiet {
            eprint!("{}", refused(&refusal));
        }
        ExitCode::FAILURE
    })
}

/// A background process has no terminal to write to.
fn log(flags: &Flags, background: bool) -> Option<Targets> {
    (background || flags.quiet).then(|| Targets {
        console: !flags.quiet,
        syslog: background.then_some((DAEMON, "haproxy".into())),
        file: None,
    })
}

/// What haproxy says of it.
fn refused(refusal: &Refusal) -> String {
    let Refusal::Listener(OpenError::Socket {
        origin,
        address,
        owner,
        step,
        source,
        ..
    }) = refusal
    else {
        return report::preamble() + &alert(&refusal.to_string());
    };
    let step = match *step {
        "listen on" => "cannot listen to socket",
        _ => "cannot bind socket",
    };
    let reason = report::words(source);
    report::preamble()
        + &alert(&format!(
            "Binding [{origin}] for {owner}: {step} ({reason}) for [{address}]"
        ))
        + &alert("[haproxy.main()] Some protocols failed to start their listeners! Exiting.")
}

fn refuse(quiet: bool, told: &str) -> ExitCode {
    if !quiet {
        eprint!("{}{}", report::preamble(), alert(told));
    }
    ExitCode::FAILURE
}
