//! Log lines: one line per event, in plain words, with fields for programs.
//!
//! `HA_LB_LOG` sets what is logged (`info` by default, as a filter of tracing-subscriber), `HA_LB_LOG_FORMAT`
//! (`text`, `json`) the form, `HA_LB_LOG_TARGET` (`stderr`, `journald`, `syslog`) where it goes; the command line's
//! `--log-format` and `--log-target` stand above them. A reader that does not keep up loses lines; it never holds the
//! process up. What is repeated is counted (`repeats`).

mod aside;
mod journal;
mod lines;
mod repeats;

use std::{
    io::{self, IsTerminal as _, Write, stderr},
    os::unix::fs::MetadataExt as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    fmt::format::{Writer, debug_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use aside::Aside;
use lines::Lines;

/// What a line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Words.
    #[default]
    Text,
    /// One JSON object a line, with the event's fields.
    Json,
}

/// Where lines go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Standard error.
    #[default]
    Stderr,
    /// systemd's journal, with the event's fields.
    Journald,
    /// `/dev/log`.
    Syslog,
}

const FORMAT: &str = "HA_LB_LOG_FORMAT";
const TARGET: &str = "HA_LB_LOG_TARGET";

/// How long the end of a process waits for its last lines to be written.
const FAREWELL: Duration = Duration::from_secs(1);

static LOST: AtomicU64 = AtomicU64::new(0);
static ASIDE: Mutex<Option<Aside>> = Mutex::new(None);

fn lines_aside() -> MutexGuard<'static, Option<Aside>> {
    ASIDE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard error, by way of a thread where there is one.
struct Out;

impl Write for Out {
    /// Always takes the whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &*lines_aside() {
            Some(aside) if aside.put(line) => Ok(line.len()),
            Some(_) => {
                LOST.fetch_add(1, Ordering::Relaxed);
                Ok(line.len())
            }
            None => at_once(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn at_once(line: &[u8]) -> io::Result<usize> {
    let mut lines = Lines {
        out: stderr(),
        lost: &LOST,
    };
    lines.write(line)
}

/// From now on this process waits for no line, whatever standard error leads to. To be called once rights are given up,
/// which a thread would keep, and followed by [`finish`].
pub(crate) fn write_aside() {
    let started = Aside::start(|line| drop(at_once(line)));
    match started {
        Ok(aside) => *lines_aside() = Some(aside),
        Err(error) => {
            tracing::warn!("no thread for log lines ({error}): a slow disk holds this process up")
        }
    }
}

/// Lets the last lines go out.
pub(crate) fn finish() {
    let aside = lines_aside().take();
    if let Some(aside) = aside {
        aside.finish(FAREWELL);
    }
}

fn from_environment<T: ValueEnum>(name: &str) -> Option<T> {
    T::from_str(&std::env::var(name).ok()?, true).ok()
}

/// What the command line asks for, for this process and all that it starts; tells where lines go. To be called first
/// thing in `main`.
pub fn choose(format: Option<Format>, target: Option<Target>) -> Target {
    let target = target
        .or_else(|| from_environment(TARGET))
        .unwrap_or_else(|| {
            if is_read_by_the_journal() {
                Target::Journald
            } else {
                Target::Stderr
            }
        });
    let word = |value: clap::builder::PossibleValue| value.get_name().to_owned();
    if let Some(format) = format.and_then(|format| format.to_possible_value()) {
        inherit(FORMAT, &word(format));
    }
    if let Some(target) = target.to_possible_value() {
        inherit(TARGET, &word(target));
    }
    target
}

#[expect(
    unsafe_code,
    reason = "children, and another program in this one's place, see it in the environment"
)]
fn inherit(name: &str, value: &str) {
    // SAFETY: `main` has started no thread yet.
    unsafe { std::env::set_var(name, value) }
}

/// systemd.exec(5), `$JOURNAL_STREAM`: device and inode of a stream that the journal reads.
fn is_read_by_the_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let here = std::fs::metadata("/proc/self/fd/2").ok();
    named
        .zip(here)
        .is_some_and(|(named, here)| named == format!("{}:{}", here.dev(), here.ino()))
}

/// Sets up logging for this process; only the first call has an effect. To be called before files are out of reach.
pub fn init() {
    let filter = EnvFilter::try_from_env("HA_LB_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let target = from_environment(TARGET).unwrap_or_default();
    let journal = match target {
        Target::Journald => journal::Journal::connect(),
        Target::Stderr | Target::Syslog => Ok(None),
    };
    let (journal, missing) = match journal {
        Ok(journal) => (journal, None),
        Err(error) => (None, Some(error)),
    };
    let colours = target == Target::Stderr && stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Out)
        .with_ansi(colours)
        .with_target(false);
    let lines = if from_environment(FORMAT) == Some(Format::Json) {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.fmt_fields(debug_fn(only_words)).boxed()
    };
    let lines = journal.is_none().then_some(lines);
    let _ = Registry::default()
        .with(filter)
        .with(repeats::Repeats::default())
        .with(journal)
        .with(lines)
        .try_init();
    if let Some(error) = missing {
        tracing::warn!("no journal to write to ({error}): lines go to standard error");
    }
}

/// The words say all that the fields say.
fn only_words(
    out: &mut Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    if field.name() == "message" {
        write!(out, "{value:?}")
    } else {
        Ok(())
    }
}
