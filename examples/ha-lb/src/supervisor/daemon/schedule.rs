//! Reloads at the time that a file says (`reload_time_file`): hosts whose old and new configurations do not go together
//! change over at one moment.
//!
//! The file is looked at once a second by a thread beside the event loop, and the reload begins on the dot by what it said
//! last. What is not exactly one of keepalived's forms is said, and nothing is reloaded.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use nix::fcntl::OFlag;

use super::{Daemon, reload::reading::Read};
use crate::config::keepalived::Reloads;

/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(1);
/// What a file may hold that is looked at.
const LONGEST: u64 = 256;
/// A clock that was put by more than that was wrong before, or stood still with its host. A file that was written later
/// than that by the clock was written in its future.
const FAR: TimeDelta = TimeDelta::hours(1);
/// Longer than any hour that is left out.
const LEAP: TimeDelta = TimeDelta::hours(3);
const NONBLOCK: i32 = OFlag::O_NONBLOCK.bits();

/// A reload that is to come.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    path: Option<PathBuf>,
    /// What the file said last.
    text: Option<String>,
    /// When that was written, by the clock of whoever wrote it.
    written: Option<DateTime<Utc>>,
    due: Option<DateTime<Utc>>,
    look_at: Option<Instant>,
    /// The last look, by the clock too.
    looked: Option<(Instant, DateTime<Utc>)>,
    /// An errand is under way; there is never a second one.
    is_out: bool,
    /// The next one takes the file away.
    removes: bool,
}

impl Schedule {
    /// When it is to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// Whether a reload is due by what the file said last, and what is to be done with the file, if it is time for that.
    fn look(
        &mut self,
        wanted: &Reloads,
        now: Instant,
        clock: DateTime<Utc>,
    ) -> (bool, Option<Errand>) {
        if self.path != wanted.time_file {
            *self = Self {
                path: wanted.time_file.clone(),
                look_at: wanted.time_file.as_ref().map(|_| now),
                ..Self::default()
            };
        }
        let Some(path) = self
            .path
            .clone()
            .filter(|_| self.look_at.is_some_and(|at| at <= now))
        else {
            return (false, None);
        };
        if self.clock_was_wrong(now, clock) && self.due.is_some() && self.is_of_day() {
            self.due = self.planned(clock).or(self.due);
        }
        let is_due = self.due.take_if(|due| *due <= clock).is_some();
        if is_due && wanted.repeat {
            self.due = self.planned(clock);
        } else if is_due {
            self.text = None;
            self.removes = true;
        }
        self.wait(now, clock);
        if self.is_out {
            return (is_due, None);
        }
        self.is_out = true;
        let removes = std::mem::take(&mut self.removes);
        (is_due, Some(Errand { path, removes }))
    }

    /// Whether it has been put since the last look because it showed a wrong day: one to come, or one before the file
    /// was written. Where it only goes on after a pause of the host, a time that passed meanwhile has come.
    fn clock_was_wrong(&mut self, now: Instant, clock: DateTime<Utc>) -> bool {
        let before = self.looked.replace((now, clock));
        before.is_some_and(|(then, shown)| {
            let passed = TimeDelta::from_std(now - then).unwrap_or_default();
            let put = clock - shown - passed;
            let early = self.written.is_some_and(|written| written - shown > FAR);
            put < -FAR || put > FAR && early
        })
    }

    /// When the next reload is by the file.
    fn planned(&self, clock: DateTime<Utc>) -> Option<DateTime<Utc>> {
        next(self.text.as_deref()?, clock, &Local).ok()?
    }

    /// Whether the file names no day.
    fn is_of_day(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        !text.contains('-')
    }

    fn wait(&mut self, now: Instant, clock: DateTime<Utc>) {
        let left = self.due.and_then(|due| (due - clock).to_std().ok());
        self.look_at = Some(now + left.unwrap_or(EVERY).min(EVERY));
    }

    /// What an errand found, unless the file is another one by now, or was read before it is to go.
    fn found(&mut self, found: Found, now: Instant, clock: DateTime<Utc>) {
        if self.path.as_ref() != Some(&found.path) {
            return;
        }
        self.is_out = false;
        if !self.removes {
            self.written = found.written;
            self.take(&found.path, found.text, clock);
            self.wait(now, clock);
        }
    }

    /// Another text than before is another time.
    fn take(&mut self, path: &Path, text: Option<String>, clock: DateTime<Utc>) {
        if text == self.text {
            return;
        }
        let shown = path.display();
        let planned = self.due.take().is_some();
        match text
            .as_deref()
            .map(|text| (text, next(text, clock, &Local)))
        {
            None if planned => tracing::info!("{shown} is gone: no reload is planned any more"),
            None => {}
            Some((_, Ok(Some(due)))) => {
                let at = due.with_timezone(&Local);
                tracing::info!("{shown}: a reload is planned for {at}");
                self.due = Some(due);
            }
            Some((text, Ok(None))) => tracing::warn!("{shown}: {text} is over"),
            Some((text, Err(()))) => tracing::error!(
                "{shown}: {text:?} is no time: HH:MM:SS, YY-MM-DD HH:MM:SS or YYYY-MM-DD HH:MM:SS, perhaps with Z behind it"
            ),
        }
        self.text = text;
    }
}

/// What is done with the file beside the event loop: a dead file server holds up nothing else.
#[derive(Debug)]
struct Errand {
    path: PathBuf,
    /// Its time has come: it goes before it is read.
    removes: bool,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::supervisor) struct Found {
    path: PathBuf,
    /// The first line, or what is wrong; `None` if there is no file.
    text: Option<String>,
    written: Option<DateTime<Utc>>,
}

impl Errand {
    fn run(self) -> Found {
        let Self { path, removes } = self;
        if removes && let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{}: {error}", path.display());
        }
        let (text, written) = match read(&path) {
            Ok((text, written)) => {
                let first = text.lines().next().unwrap_or_default().to_owned();
                (Some(first), written)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(error) => (Some(error.to_string()), None),
        };
        Found {
            path,
            text,
            written,
        }
    }
}

/// The beginning of a file, and when it was written. Whoever opens a pipe would wait for its writer.
fn read(path: &Path) -> io::Result<(String, Option<DateTime<Utc>>)> {
    let mut options = fs::File::options();
    let file = options.read(true).custom_flags(NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    let written = metadata.modified().ok().and_then(by_calendar);
    Ok((String::from_utf8_lossy(&text).into_owned(), written))
}

/// `None` if no calendar reaches so far: a file may claim any time.
fn by_calendar(time: SystemTime) -> Option<DateTime<Utc>> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    DateTime::from_timestamp(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos())
}

/// When that is next; `None` if it is over. Without `Z` it is a time of that zone.
fn next<Z: TimeZone>(
    text: &str,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Option<DateTime<Utc>>, ()> {
    match text.strip_suffix('Z') {
        Some(text) => next_in(text, now, &Utc),
        None => next_in(text, now, zone),
    }
}

fn next_in<Z: TimeZone>(
    text: &str,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Option<DateTime<Utc>>, ()> {
    let absolute = |naive: NaiveDateTime| {
        let local = zone.from_local_datetime(&naive).earliest();
        // A time that is left out when clocks are put forward is when it would have been.
        let left_out = || {
            let before = zone.from_local_datetime(&(naive - LEAP)).latest();
            before.map(|before| before + LEAP)
        };
        let local = local.or_else(left_out);
        local.map(|local| local.with_timezone(&Utc))
    };
    let form = match text.len() {
        8 if has_form(text, "00:00:00") => {
            let time = NaiveTime::parse_from_str(text, "%H:%M:%S").map_err(drop)?;
            let today = now.with_timezone(zone).date_naive();
            let days = [Some(today), today.succ_opt()];
            let mut times = days
                .into_iter()
                .flatten()
                .map(|day: NaiveDate| day.and_time(time));
            return Ok(times.find_map(|at| absolute(at).filter(|at| *at > now)));
        }
        17 if has_form(text, "00-00-00 00:00:00") => "%y-%m-%d %H:%M:%S",
        19 if has_form(text, "0000-00-00 00:00:00") => "%Y-%m-%d %H:%M:%S",
        _ => return Err(()),
    };
    let at = NaiveDateTime::parse_from_str(text, form).map_err(drop)?;
    Ok(absolute(at).filter(|at| *at > now))
}

/// Digits where the form has them, and what it has between.
fn has_form(text: &str, form: &str) -> bool {
    let pairs = text.bytes().zip(form.bytes());
    pairs.into_iter().all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    })
}

impl Daemon {
    /// A reload that was planned, if its time has come.
    pub(super) fn reload_as_planned(&mut self, now: Instant) {
        let keepalived = self.loaded.keepalived.as_ref();
        let none = Reloads::default();
        let wanted = keepalived.map_or(&none, |config| &config.global.reloads);
        let (is_due, errand) = self.schedule.look(wanted, now, Utc::now());
        if let Some(errand) = errand {
            let path = errand.path.clone();
            if let Err(error) = self.read_aside(move || Read::Time(errand.run())) {
                self.schedule.is_out = false;
                tracing::warn!(
                    "no thread can be started to read {}: {error}",
                    path.display()
                );
            }
        }
        if is_due {
            self.hang_up("reload_time_file", now);
        }
    }

    /// The file of the next reload was looked at.
    pub(super) fn found_time(&mut self, found: Found, now: Instant) {
        self.schedule.found(found, now, Utc::now());
    }
}

#[cfg(test)]
mod tests;
