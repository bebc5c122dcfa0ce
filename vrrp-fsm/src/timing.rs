//! The times of RFC 9568 §6.1 at full precision.

use core::time::Duration;

use vrrp_proto::{Priority, Version};

/// Skew_Time: `(256 - priority) / 256` of Active_Adver_Interval (v3, RFC 9568 §6.1), or of one
/// second whatever the interval (v2, RFC 3768 §6.1).
pub fn skew_time(
    version: Version,
    active_adver_interval: Duration,
    priority: Priority,
) -> Duration {
    let unit = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => active_adver_interval,
    };
    unit * (256 - u32::from(priority.value())) / 256
}

/// Active_Down_Interval: `adverts` intervals (the RFC says 3) and Skew_Time.
pub fn active_down_interval(
    version: Version,
    active_adver_interval: Duration,
    priority: Priority,
    adverts: u8,
) -> Duration {
    active_adver_interval * u32::from(adverts) + skew_time(version, active_adver_interval, priority)
}

/// Nanoseconds of the part of an interval whose adverts go out together: an eighth, if that is five milliseconds at least
/// (or a half at most), and fifty milliseconds at most.
///
/// Fewer and larger parts cost less for each advert, but whoever is heard together is missed together: all of a part
/// take over in one moment when their Active router dies, and the last of them is announced when the others have been.
pub(crate) fn part_of(interval: Duration) -> u64 {
    const LONGEST: u64 = 50_000_000;
    // A wake-up costs as much as ten adverts: thousands of them a second are not to be had.
    const SHORTEST: u64 = 5_000_000;
    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    let fewest = (interval / SHORTEST).clamp(2, 8);
    (interval / interval.div_ceil(LONGEST).max(fewest)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(version: Version, millis: u64, priority: u8) -> u128 {
        active_down_interval(
            version,
            Duration::from_millis(millis),
            Priority::new(priority),
            3,
        )
        .as_micros()
    }

    #[test]
    fn examples_of_the_field() {
        assert_eq!(down(Version::V2, 1000, 150), 3_414_062);
        assert_eq!(down(Version::V2, 1000, 100), 3_609_375);
        assert_eq!(down(Version::V2, 2000, 109), 6_574_218);
        assert_eq!(down(Version::V3, 1000, 100), 3_609_375);
        assert_eq!(down(Version::V3, 10, 100), 36_093);
        assert_eq!(down(Version::V3, 10, 254), 30_078);
    }
}
