//! Dates as text: log lines, syslog headers, HTTP headers. Proleptic Gregorian calendar, no leap seconds.

use std::{
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A moment taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    year: i64,
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: usize,
}

/// Seconds and milliseconds since 1970.
pub(crate) fn epoch(date: SystemTime) -> (i64, u32) {
    match date.duration_since(UNIX_EPOCH) {
        Ok(since) => (
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            since.subsec_millis(),
        ),
        Err(_) => (0, 0),
    }
}

impl Civil {
    /// Takes apart a number of seconds since 1970, local time by adding the offset first. Years beyond 9999
    /// are cut off there.
    pub(crate) fn new(seconds: i64, utc_offset: i32) -> Self {
        let seconds = seconds
            .saturating_add(i64::from(utc_offset))
            .clamp(0, 253_402_300_799);
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        // Days are counted in eras of 400 years that begin on the first of March of the year 0.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: usize::try_from(month - 1).unwrap_or(0),
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: usize::try_from(days % 7).unwrap_or(0),
        }
    }

    fn month(&self) -> &'static str {
        MONTHS.get(self.month).copied().unwrap_or_default()
    }
}

/// `20/Nov/2026:22:51:45`.
pub(crate) fn write_log(civil: &Civil, out: &mut Vec<u8>) {
    let Civil {
        year,
        day,
        hour,
        minute,
        second,
        ..
    } = civil;
    let month = civil.month();
    // Writing to a vector cannot fail.
    drop(write!(
        out,
        "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02}"
    ));
}

/// ` +0100`.
pub(crate) fn write_zone(utc_offset: i32, out: &mut Vec<u8>) {
    let minutes = utc_offset / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    drop(write!(out, " {sign}{hours:02}{minutes:02}"));
}

/// `2026-11-20T22:51:45.000042+01:00` (RFC 3339).
pub(crate) fn write_iso(civil: &Civil, micros: u32, utc_offset: i32, out: &mut Vec<u8>) {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = civil;
    let month = month + 1;
    let sign = if utc_offset < 0 { '-' } else { '+' };
    let minutes = utc_offset.abs() / 60;
    let (zone_hours, zone_minutes) = (minutes / 60, minutes % 60);
    drop(write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}{sign}{zone_hours:02}:{zone_minutes:02}"
    ));
}

/// `Nov 20 22:51:45`, the day padded with a blank (RFC 3164 §4.1.2).
pub(crate) fn write_syslog(civil: &Civil, out: &mut Vec<u8>) {
    let Civil {
        day,
        hour,
        minute,
        second,
        ..
    } = civil;
    let month = civil.month();
    drop(write!(
        out,
        "{month} {day:2} {hour:02}:{minute:02}:{second:02}"
    ));
}

/// `Fri, 20 Nov 2026 22:51:45 GMT` (RFC 9110 §5.6.7).
pub(crate) fn write_http(seconds: i64, out: &mut Vec<u8>) {
    let civil = Civil::new(seconds, 0);
    let Civil {
        year,
        day,
        hour,
        minute,
        second,
        ..
    } = civil;
    let month = civil.month();
    let weekday = WEEKDAYS.get(civil.weekday).copied().unwrap_or_default();
    drop(write!(
        out,
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_moments_are_written_in_every_form() {
        let civil = Civil::new(1_795_215_105, 0);
        assert_eq!(text(|o| write_log(&civil, o)), "20/Nov/2026:22:51:45");
        assert_eq!(text(|o| write_syslog(&civil, o)), "Nov 20 22:51:45");
        assert_eq!(
            text(|o| write_http(1_795_215_105, o)),
            "Fri, 20 Nov 2026 22:51:45 GMT"
        );
        assert_eq!(text(|o| write_http(0, o)), "Thu, 01 Jan 1970 00:00:00 GMT");
        // A leap day and the day after it.
        assert_eq!(
            text(|o| write_http(951_782_400, o)),
            "Tue, 29 Feb 2000 00:00:00 GMT"
        );
        assert_eq!(
            text(|o| write_syslog(&Civil::new(951_868_800, 0), o)),
            "Mar  1 00:00:00"
        );
        assert_eq!(
            text(|o| write_log(&Civil::new(0, 3600), o)),
            "01/Jan/1970:01:00:00"
        );
    }

    #[test]
    fn zones_have_a_sign() {
        assert_eq!(text(|o| write_zone(0, o)), " +0000");
        assert_eq!(text(|o| write_zone(5 * 3600 + 1800, o)), " +0530");
        assert_eq!(text(|o| write_zone(-3600, o)), " -0100");
    }
}
