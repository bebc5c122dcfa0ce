//! `keepalived`: its command line, its words and its exit codes (keepalived(8)).

mod options;

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use options::{Options, Parsed};

use super::KEEPALIVED_CONF;
use crate::{
    config::{
        diagnostic::{Diagnostic, Diagnostics, Severity},
        keepalived::Process,
        load::{Loaded, Reason},
    },
    ipc::message::{Overrides, Sources},
    logging,
    supervisor::{
        self, control,
        launch::{self, Launch, Program},
        sink::{self, Targets},
        start::{self, Read, Refusal},
    },
};

/// The configuration has errors.
const CONFIG: u8 = 2;
/// Rights are missing.
const NO_PERMISSION: u8 = 4;
/// `--config-test` found errors.
const CONFIG_TEST: u8 = 5;
/// `--config-test`: scripts are run without enable_script_security.
const CONFIG_TEST_SECURITY: u8 = 6;
/// There is no configuration file.
const NO_CONFIG: u8 = 6;

/// The version whose behaviour this is, and this program's.
const VERSION: &str = concat!("Keepalived v2.2.7 (ha-lb ", env!("CARGO_PKG_VERSION"), ")");

/// Runs as keepalived with these arguments (without the program's name).
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let _ = rustix::thread::set_name(c"keepalived");
    let options = match options::parse(arguments) {
        Parsed::Options(options) => options,
        Parsed::Say(text) => {
            eprint!("{text}");
            return ExitCode::SUCCESS;
        }
        Parsed::Version => {
            eprintln!("{VERSION}");
            return ExitCode::SUCCESS;
        }
        Parsed::Signal(number) => {
            let _ = writeln!(io::stdout(), "{number}");
            return ExitCode::SUCCESS;
        }
        Parsed::Wrong(told) => {
            eprintln!("{told}");
            return ExitCode::FAILURE;
        }
    };
    let path = options
        .file
        .clone()
        .unwrap_or_else(|| KEEPALIVED_CONF.into());
    if !path.exists() {
        eprintln!("Config files missing '{}'.", path.display());
        return ExitCode::from(NO_CONFIG);
    }
    let sources = Sources {
        keepalived: Some(path),
        haproxy: Vec::new(),
        overrides: Overrides {
            no_vrrp: options.checkers && !options.vrrp,
            no_virtual_servers: options.vrrp && !options.checkers,
            config_id: options.config_id.clone(),
            every_file: options.every_file,
            ..Overrides::default()
        },
    };
    match &options.config_test {
        Some(log) => config_test(&options, &sources, log.as_deref()),
        None => run(&options, sources),
    }
}

/// `--config-test`: findings to standard error or to a file.
fn config_test(options: &Options, sources: &Sources, log: Option<&Path>) -> ExitCode {
    for told in &options.invalid {
        eprintln!("{told}");
    }
    let mut read = start::read(sources);
    if let Some(loaded) = &read.loaded {
        read.diagnostics.extend(misfits(loaded, options));
        read.diagnostics.sort();
    }
    let mut text = findings(&read.diagnostics);
    let unsecured = read.loaded.as_ref().and_then(Loaded::unsecured_scripts);
    if let Some(weak) = unsecured {
        text.push_str(
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
        );
        text.push_str(if weak {
            " There are insecure scripts.\n"
        } else {
            "\n"
        });
    }
    let told = match log {
        None => io::stderr().write_all(text.as_bytes()),
        Some(path) => fs::write(path, text),
    };
    if let Err(error) = told {
        eprintln!("cannot write the findings: {error}");
        return ExitCode::FAILURE;
    }
    // keepalived's daemon goes on with some of what its test ends with an error for; so does this one.
    let counted = read.diagnostics.iter().any(|d| d.peer_counts);
    let wrong = read.diagnostics.has_errors() || counted || !options.invalid.is_empty();
    match (unsecured, wrong) {
        (Some(_), _) => ExitCode::from(CONFIG_TEST_SECURITY),
        (None, true) => ExitCode::from(CONFIG_TEST),
        (None, false) => ExitCode::SUCCESS,
    }
}

/// What does not fit this host. keepalived says nothing of programs other than those of checks; its namespace, where
/// the interfaces are, is not entered for a test.
fn misfits(loaded: &Loaded, options: &Options) -> Vec<Diagnostic> {
    let interfaces = match options.namespace.is_some() {
        true => Vec::new(),
        false => loaded.missing_interfaces(),
    };
    let all = loaded.misfits().into_iter().chain(interfaces);
    let findings = all.map(|misfit| match misfit.reason {
        Reason::Notify => misfit.finding,
        _ => misfit.into_error(),
    });
    findings.collect()
}

/// `(file: Line N) ...`, as keepalived 2.2 writes it.
fn findings(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.iter() {
        let span = &diagnostic.span;
        // The place stands in front in keepalived's form, the severity only where it is no error.
        let whole = diagnostic.to_string();
        let rest = whole.strip_prefix(&format!("{span}: ")).unwrap_or(&whole);
        let rest = match diagnostic.severity {
            Severity::Error => rest.strip_prefix("error: ").unwrap_or(rest),
            _ => rest,
        };
        let _ = match span.line {
            0 => writeln!(text, "({}) {rest}", span.file),
            line => writeln!(text, "({}: Line {line}) {rest}", span.file),
        };
    }
    text
}

fn run(options: &Options, sources: Sources) -> ExitCode {
    for remark in options.invalid.iter().chain(&options.remarks) {
        eprintln!("{remark}");
    }
    let read = start::read(&sources);
    let process = read
        .loaded
        .as_ref()
        .and_then(|loaded| loaded.keepalived.as_ref());
    let mut process = process.map_or_else(Process::default, |config| config.global.process.clone());
    process.namespace = options.namespace.clone().or(process.namespace);
    process.umask = options.umask.or(process.umask);
    if let Some(mask) = process.umask {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask));
    }
    if let Some(name) = &process.namespace
        && let Err(error) = supervisor::enter_namespace(name)
    {
        eprintln!("Unable to set network namespace {name} ({error}) - exiting");
        return ExitCode::FAILURE;
    }
    let pid_file = options
        .pid_file
        .clone()
        .unwrap_or_else(|| pid_file("keepalived", &process));
    if launch::is_running(&pid_file, "keepalived") {
        eprintln!(
            "daemon is already running (pid file {})",
            pid_file.display()
        );
        return ExitCode::FAILURE;
    }
    eprint!("{}", findings(&read.diagnostics));
    let launch = Launch {
        program: Program::Keepalived,
        background: !options.foreground,
        notify: true,
        pid_file: Some(pid_file),
        speaker_pid_file: child_pid_file(&options.vrrp_pid_file, "vrrp", options, &process),
        balancer_pid_file: child_pid_file(
            &options.checkers_pid_file,
            "checkers",
            options,
            &process,
        ),
        log: log(options),
        umask: process.umask,
        ends_with_a_child: options.dont_respawn,
        logs_configuration: options.dump_conf,
        ..Launch::default()
    };
    logging::init();
    serve(
        read,
        &start::Options {
            sources,
            control: control::path_of("ha-lb-keepalived"),
            launch,
        },
    )
}

fn serve(read: Read, options: &start::Options) -> ExitCode {
    supervisor::serve(read, options).unwrap_or_else(|refusal| {
        eprintln!("{refusal}");
        ExitCode::from(match refusal {
            Refusal::Configuration | Refusal::Nothing => CONFIG,
            Refusal::Rights(_) => NO_PERMISSION,
            _ => 1,
        })
    })
}

/// keepalived's own places: with an instance or a namespace (a folder of its own, as others see it) in
/// `/run/keepalived`, which is made.
fn pid_file(name: &str, process: &Process) -> PathBuf {
    let mut folder = PathBuf::from("/run");
    if process.pid_folder || process.instance.is_some() || process.namespace.is_some() {
        folder.push("keepalived");
    }
    if let Some(namespace) = &process.namespace {
        folder.push(format!("keepalived_{namespace}"));
    }
    let _ = fs::create_dir_all(&folder);
    let instance = process.instance.as_ref();
    let instance = instance.map_or_else(String::new, |name| format!("_{name}"));
    folder.join(format!("{name}{instance}.pid"))
}

/// Without root the usual places cannot be written; named ones are tried.
fn child_pid_file(
    given: &Option<PathBuf>,
    name: &str,
    options: &Options,
    process: &Process,
) -> Option<PathBuf> {
    let usual = options.pid_file.is_none().then(|| pid_file(name, process));
    given.clone().or(usual)
}

/// keepalived writes to syslog unless told not to, and to the terminal only if told to. Without any syslog it would
/// say nothing; then the terminal hears it.
fn log(options: &Options) -> Option<Targets> {
    let syslog = !options.no_syslog && sink::syslog_listens();
    let background = !options.foreground;
    (syslog || background || options.log_file.is_some()).then(|| Targets {
        console: background || options.log_console || !syslog,
        syslog: syslog.then_some((options.facility, "Keepalived".into())),
        file: options.log_file.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{files::Bundle, keepalived};

    #[test]
    fn findings_have_keepalived_s_form() {
        let text = "vrrp_instance V {\n interface eth0\n prioirty 3\n virtual_router_id 51\n}\n";
        let files = Bundle::default().with_file("k.conf", text);
        let mut diagnostics = Diagnostics::new();
        let _ = keepalived::load(Path::new("k.conf"), &files, &mut diagnostics);
        let said = findings(&diagnostics);
        assert!(said.contains("(k.conf: Line 3) "), "{said}");
        assert!(said.contains("prioirty"), "{said}");
    }
}
