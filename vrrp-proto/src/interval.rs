//! Advertisement interval (RFC 3768 §5.3.7 in seconds, RFC 9568 §5.2.7 in centiseconds).

use core::{fmt, num::NonZeroU16, time::Duration};

use crate::Version;

/// Advertisement interval as it can stand in a packet: never zero, in whole seconds up to 255
/// (VRRPv2) or in centiseconds up to 4095 (VRRPv3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    centiseconds: NonZeroU16,
}

impl Interval {
    /// One second, the default of both versions.
    pub const DEFAULT: Self = Self {
        centiseconds: NonZeroU16::MIN.saturating_add(99),
    };

    const MAX_SECONDS: u16 = 255;
    const MAX_CENTISECONDS: u16 = 4095;

    /// The interval nearest to `duration` that `version` can say; `None` if that is zero or too
    /// long.
    pub fn from_duration(version: Version, duration: Duration) -> Option<Self> {
        let unit: u128 = match version {
            Version::V2 => 1_000_000_000,
            Version::V3 => 10_000_000,
        };
        let units = u16::try_from(duration.as_nanos().checked_add(unit / 2)? / unit).ok()?;
        match version {
            Version::V2 => Self::from_seconds(u8::try_from(units).ok()?),
            Version::V3 => Self::from_centiseconds(units),
        }
    }

    /// VRRPv2's unit; `None` for 0.
    pub const fn from_seconds(seconds: u8) -> Option<Self> {
        // At most 25 500: no overflow.
        match NonZeroU16::new(seconds as u16 * 100) {
            Some(centiseconds) => Some(Self { centiseconds }),
            None => None,
        }
    }

    /// VRRPv3's unit; `None` for 0 and for more than 4095.
    pub const fn from_centiseconds(centiseconds: u16) -> Option<Self> {
        if centiseconds > Self::MAX_CENTISECONDS {
            return None;
        }
        match NonZeroU16::new(centiseconds) {
            Some(centiseconds) => Some(Self { centiseconds }),
            None => None,
        }
    }

    /// The length of time.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.centiseconds.get() as u64 * 10)
    }

    /// VRRPv2's field; `None` if the interval is no whole number of seconds.
    pub(crate) fn seconds(self) -> Option<u8> {
        let centiseconds = self.centiseconds.get();
        if !centiseconds.is_multiple_of(100) || centiseconds / 100 > Self::MAX_SECONDS {
            return None;
        }
        u8::try_from(centiseconds / 100).ok()
    }

    /// VRRPv3's field; `None` if the interval is longer than the field.
    pub(crate) fn centiseconds(self) -> Option<u16> {
        let centiseconds = self.centiseconds.get();
        (centiseconds <= Self::MAX_CENTISECONDS).then_some(centiseconds)
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// In tcpdump's units: `2s` where it is whole seconds, else `50cs`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds() {
            Some(seconds) => write!(f, "{seconds}s"),
            None => write!(f, "{}cs", self.centiseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(version: Version, millis: u64) -> Option<Duration> {
        Interval::from_duration(version, Duration::from_millis(millis)).map(Interval::duration)
    }

    #[test]
    fn version_2_rounds_to_whole_seconds() {
        assert_eq!(from(Version::V2, 1_499), Some(Duration::from_secs(1)));
        assert_eq!(from(Version::V2, 1_500), Some(Duration::from_secs(2)));
        assert_eq!(from(Version::V2, 255_000), Some(Duration::from_secs(255)));
    }

    #[test]
    fn version_3_rounds_to_centiseconds() {
        assert_eq!(from(Version::V3, 14), Some(Duration::from_millis(10)));
        assert_eq!(
            from(Version::V3, 40_950),
            Some(Duration::from_millis(40_950))
        );
    }

    #[test]
    fn zero_and_what_the_field_cannot_hold_are_refused() {
        assert_eq!(from(Version::V2, 499), None);
        assert_eq!(from(Version::V2, 256_000), None);
        assert_eq!(from(Version::V3, 4), None);
        assert_eq!(from(Version::V3, 40_960), None);
        assert_eq!(
            Interval::from_duration(Version::V3, Duration::MAX),
            None,
            "no overflow"
        );
        assert_eq!(Interval::from_centiseconds(4096), None);
        assert_eq!(Interval::from_seconds(0), None);
    }

    #[test]
    fn an_interval_of_one_version_need_not_fit_the_other() {
        assert_eq!(Interval::from_seconds(41).unwrap().centiseconds(), None);
        assert_eq!(Interval::from_centiseconds(150).unwrap().seconds(), None);
        assert_eq!(Interval::DEFAULT.seconds(), Some(1));
        assert_eq!(Interval::DEFAULT.centiseconds(), Some(100));
    }
}
