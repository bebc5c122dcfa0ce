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
    time::{Duration, Instant},
};

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use nix::fcntl::OFlag;

use super::{Daemon, reload::reading::Read};
use crate::config::keepalived::Reloads;

/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(1);
/// What a file may hold that is looked at.
const LONGEST: u64 = 256;
const NONBLOCK: i32 = OFlag::O_NONBLOCK.bits();

/// A reload that is to come.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    path: Option<PathBuf>,
    /// What the file said last.
    text: Option<String>,
    due: Option<DateTime<Utc>>,
    look_at: Option<Instant>,
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
        let is_due = self.due.take_if(|due| *due <= clock).is_some();
        if is_due && wanted.repeat {
            self.due = self
                .text
                .as_deref()
                .and_then(|text| next(text, clock, &Local).ok()?);
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
}

impl Errand {
    fn run(self) -> Found {
        let Self { path, removes } = self;
        if removes && let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{}: {error}", path.display());
        }
        let text = match read(&path) {
            Ok(text) => Some(text.lines().next().unwrap_or_default().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        Found { path, text }
    }
}

/// The beginning of a file. Whoever opens a pipe would wait for its writer.
fn read(path: &Path) -> io::Result<String> {
    let mut options = fs::File::options();
    let file = options.read(true).custom_flags(NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
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
mod tests {
    use chrono::FixedOffset;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// A look, and the errand at once.
    fn look(schedule: &mut Schedule, wanted: &Reloads, now: Instant, clock: DateTime<Utc>) -> bool {
        let (is_due, errand) = schedule.look(wanted, now, clock);
        if let Some(errand) = errand {
            schedule.found(errand.run(), now, clock);
        }
        is_due
    }

    /// A file that is to be looked at, not there yet, and the folder that goes with the test.
    fn planned() -> (tempfile::TempDir, PathBuf, Reloads) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reload");
        let wanted = Reloads {
            time_file: Some(path.clone()),
            ..Reloads::default()
        };
        (folder, path, wanted)
    }

    #[test]
    fn keepalived_s_forms_and_no_others_are_times() {
        let now = at("2026-11-21T16:00:00Z");
        let east = FixedOffset::east_opt(3600).unwrap();
        let next = |text: &str| next(text, now, &east);
        assert_eq!(next("18:00:00"), Ok(Some(at("2026-11-21T17:00:00Z"))));
        assert_eq!(next("18:00:00Z"), Ok(Some(at("2026-11-21T18:00:00Z"))));
        assert_eq!(
            next("17:00:00"),
            Ok(Some(at("2026-11-22T16:00:00Z"))),
            "tomorrow"
        );
        assert_eq!(
            next("26-12-01 01:00:00"),
            Ok(Some(at("2026-12-01T00:00:00Z")))
        );
        assert_eq!(
            next("2026-12-01 01:00:00Z"),
            Ok(Some(at("2026-12-01T01:00:00Z")))
        );
        assert_eq!(next("2026-11-21 16:59:59"), Ok(None), "it is over");
        for text in [
            "",
            "18:00",
            " 18:00:00",
            "18:00:00 ",
            "24:00:00",
            "2026-13-01 00:00:00",
            "2026-12-01  1:00:00",
            "+8:00:00",
        ] {
            assert_eq!(next(text), Err(()), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_comes_changes_and_goes_plans_a_reload_once() {
        let (_folder, path, wanted) = planned();
        let (began, clock) = (Instant::now(), at("2026-11-21T16:00:00Z"));
        let mut schedule = Schedule::default();
        let mut look = |second: u64| {
            let passed = Duration::from_secs(second);
            let due = look(&mut schedule, &wanted, began + passed, clock + passed);
            (
                due,
                schedule
                    .deadline()
                    .map(|at| at.duration_since(began + passed)),
            )
        };
        assert_eq!(look(0), (false, Some(EVERY)));
        fs::write(&path, "16:00:09Z\n").unwrap();
        assert_eq!(look(1), (false, Some(EVERY)));
        fs::write(&path, "16:00:05Z\nmore").unwrap();
        assert_eq!(look(2), (false, Some(EVERY)));
        assert_eq!(look(5), (true, Some(EVERY)));
        assert!(!path.exists(), "it would be due tomorrow again");
        assert_eq!(look(9), (false, Some(EVERY)));
        fs::write(&path, "16:00:20Z").unwrap();
        assert!(!look(10).0);
        fs::remove_file(&path).unwrap();
        assert!(!look(11).0);
        assert!(!look(20).0, "it was called off");
    }

    #[test]
    fn a_time_that_repeats_stays_and_is_due_every_day() {
        let (_folder, path, mut wanted) = planned();
        fs::write(&path, "16:00:05Z").unwrap();
        wanted.repeat = true;
        let (began, clock) = (Instant::now(), at("2026-11-21T16:00:00Z"));
        let mut schedule = Schedule::default();
        let mut look = |second: u64| {
            let passed = Duration::from_secs(second);
            look(&mut schedule, &wanted, began + passed, clock + passed)
        };
        assert!(!look(0));
        assert!(look(5));
        assert!(!look(6));
        assert!(look(5 + 86_400));
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_cannot_be_read_in_time_holds_up_neither_the_supervisor_nor_the_reload() {
        let (_folder, path, wanted) = planned();
        fs::write(&path, "16:00:05Z").unwrap();
        let (began, clock) = (Instant::now(), at("2026-11-21T16:00:00Z"));
        let mut schedule = Schedule::default();
        let mut look = |second: u64| {
            let passed = Duration::from_secs(second);
            schedule.look(&wanted, began + passed, clock + passed)
        };
        let (_, errand) = look(0);
        let found = errand.unwrap().run();
        assert!(look(1).1.is_none(), "one at a time");
        schedule.found(found, began, clock);
        let mut look = |second: u64| {
            let passed = Duration::from_secs(second);
            schedule.look(&wanted, began + passed, clock + passed)
        };
        let (_, errand) = look(2);
        let late = errand.unwrap().run();
        assert!(look(5).0, "by what was read last");
        let (now, clock) = (
            began + Duration::from_secs(6),
            clock + Duration::from_secs(6),
        );
        schedule.found(late, now, clock);
        let (_, errand) = schedule.look(&wanted, now, clock);
        assert_eq!(errand.unwrap().run().text, None, "it is taken away");
        assert_eq!(schedule.due, None, "what was read before plans nothing");

        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&path).is_err(), "nobody writes to it");
        fs::remove_file(&path).unwrap();
        fs::write(&path, [b'1'; 1000]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 256);
    }
}
