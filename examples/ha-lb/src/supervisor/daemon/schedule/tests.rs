//! Times of every form, clocks that are put, and files that come and go.

use chrono::{FixedOffset, MappedLocalTime};

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
    assert_eq!(read(&path).unwrap().0.len(), 256);
}

/// Central Europe in 2026: an hour more from March 29th to October 25th, each at 01:00 UTC.
#[derive(Debug, Clone, Copy)]
struct CentralEurope;

impl CentralEurope {
    fn offset(is_summer: bool) -> FixedOffset {
        FixedOffset::east_opt(if is_summer { 7200 } else { 3600 }).unwrap()
    }

    fn is_summer(utc: &NaiveDateTime) -> bool {
        let from = at("2026-03-29T01:00:00Z").naive_utc();
        let to = at("2026-10-25T01:00:00Z").naive_utc();
        (from..to).contains(utc)
    }
}

impl TimeZone for CentralEurope {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, date: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&date.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let fits = |is_summer: bool| {
            let offset = Self::offset(is_summer);
            (Self::is_summer(&(*local - offset)) == is_summer).then_some(offset)
        };
        match (fits(true), fits(false)) {
            (Some(first), Some(second)) => MappedLocalTime::Ambiguous(first, second),
            (None, None) => MappedLocalTime::None,
            (one, other) => one
                .or(other)
                .map_or(MappedLocalTime::None, MappedLocalTime::Single),
        }
    }

    fn offset_from_utc_date(&self, date: &NaiveDate) -> FixedOffset {
        self.offset_from_utc_datetime(&date.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        Self::offset(Self::is_summer(utc))
    }
}

#[test]
fn a_clock_that_is_put_forward_skips_no_reload_and_one_that_is_put_back_repeats_none() {
    let after = |now: &str, text: &str| next(text, at(now), &CentralEurope).unwrap();
    // Half past two is left out on that night: it is when it would have been.
    let left_out = Some(at("2026-03-29T01:30:00Z"));
    assert_eq!(after("2026-03-28T22:00:00Z", "02:30:00"), left_out);
    assert_eq!(
        after("2026-03-28T22:00:00Z", "2026-03-29 02:30:00"),
        left_out
    );
    assert_eq!(
        after("2026-03-29T01:30:00Z", "02:30:00"),
        Some(at("2026-03-30T00:30:00Z"))
    );
    // It is there twice on that one: the first counts.
    let first = at("2026-10-25T00:30:00Z");
    assert_eq!(after("2026-10-24T22:00:00Z", "02:30:00"), Some(first));
    assert_eq!(
        after("2026-10-25T00:30:00Z", "02:30:00"),
        Some(at("2026-10-26T01:30:00Z"))
    );
}

#[test]
fn a_clock_that_jumps_moves_a_time_of_day_and_no_date() {
    let (_folder, path, wanted) = planned();
    let began = Instant::now();
    let second = Duration::from_secs(1);
    let due = |text: &str, before: &str, after: &str| {
        fs::write(&path, text).unwrap();
        let mut schedule = Schedule::default();
        assert!(!look(&mut schedule, &wanted, began, at(before)));
        assert!(!look(&mut schedule, &wanted, began + second, at(before)));
        let due = look(&mut schedule, &wanted, began + 2 * second, at(after));
        (due, schedule.due.map(|due| due.to_rfc3339()))
    };
    // A host that booted without a clock and has asked for the time since.
    let (booted, now) = ("1970-01-01T00:00:00Z", "2026-11-21T16:00:00Z");
    let tonight = Some("2026-11-21T18:00:00+00:00".to_owned());
    assert_eq!(due("18:00:00Z", booted, now), (false, tonight.clone()));
    assert_eq!(
        due("18:00:00Z", "2026-11-23T17:00:00Z", now),
        (false, tonight.clone())
    );
    assert_eq!(due("2026-11-21 18:00:00Z", booted, now), (false, tonight));
    // A date that was jumped over has come; so has a time of day that was missed by minutes.
    assert_eq!(due("2026-11-21 15:00:00Z", booted, now), (true, None));
    assert_eq!(due("15:59:00Z", "2026-11-21T15:58:00Z", now), (true, None));
}

#[test]
fn a_time_that_passed_while_the_host_stood_still_has_come() {
    let (_folder, path, mut wanted) = planned();
    let began = Instant::now();
    let second = Duration::from_secs(1);
    // `Instant` stands still in a suspend, and both clocks do while a virtual machine is paused, until its time is put.
    let mut after_pause = |text: &str, asleep: &str, awake: &str, repeat: bool| {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        let written = at(asleep) - TimeDelta::hours(2);
        file.set_modified(written.into()).unwrap();
        wanted.repeat = repeat;
        let mut schedule = Schedule::default();
        assert!(!look(&mut schedule, &wanted, began, at(asleep)));
        let due = look(&mut schedule, &wanted, began + second, at(awake));
        let again = look(&mut schedule, &wanted, began + 2 * second, at(awake));
        assert!(!again, "{text}: once");
        (due, schedule.due.map(|due| due.to_rfc3339()))
    };
    let (asleep, awake) = ("2026-11-21T16:00:00Z", "2026-11-22T07:00:00Z");
    assert_eq!(after_pause("18:00:00Z", asleep, awake, false), (true, None));
    assert_eq!(
        after_pause("2026-11-21 18:00:00Z", asleep, awake, false),
        (true, None)
    );
    let weeks_later = "2026-12-24T07:00:00Z";
    assert_eq!(
        after_pause("18:00:00Z", asleep, weeks_later, false),
        (true, None)
    );
    // Daily: once for all that were missed, and then as before.
    let tonight = Some("2026-12-24T18:00:00+00:00".to_owned());
    assert_eq!(
        after_pause("18:00:00Z", asleep, weeks_later, true),
        (true, tonight)
    );
    let later = Some("2026-11-22T08:00:00+00:00".to_owned());
    assert_eq!(
        after_pause("08:00:00Z", asleep, awake, false),
        (false, later)
    );
}

#[test]
fn a_file_of_a_time_that_no_calendar_has_is_read() {
    let (_folder, path, _) = planned();
    fs::write(&path, "18:00:00Z").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let ages = SystemTime::UNIX_EPOCH + Duration::from_secs(9_000_000_000_000);
    if file.set_modified(ages).is_ok() {
        assert_eq!(read(&path).unwrap().0, "18:00:00Z");
    }
    assert_eq!(by_calendar(ages), None);
}
