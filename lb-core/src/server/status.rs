//! States of a server and the words for them.

use std::fmt;

/// What checks (or their absence) say. The numbers are those of `show servers state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Down.
    Stopped = 0,
    /// Up again and starting slowly.
    Starting = 1,
    /// Up.
    Running = 2,
    /// Up, but asking for no new streams (`NOLB`).
    Stopping = 3,
}

impl Operation {
    pub(super) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Stopped,
            1 => Self::Starting,
            3 => Self::Stopping,
            _ => Self::Running,
        }
    }
}

/// What operators, the configuration and name resolution say: a set of reasons. The bits are those of
/// `show servers state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdminState(u8);

impl AdminState {
    /// In maintenance by an operator.
    pub const MAINT: Self = Self(0x01);
    /// In maintenance because the server that it tracks is.
    pub const INHERITED_MAINT: Self = Self(0x02);
    /// In maintenance by `disabled`.
    pub const CONFIG_MAINT: Self = Self(0x04);
    /// Drained by an operator.
    pub const DRAIN: Self = Self(0x08);
    /// Drained because the server that it tracks is.
    pub const INHERITED_DRAIN: Self = Self(0x10);
    /// In maintenance because its name has no address.
    pub const RESOLUTION_MAINT: Self = Self(0x20);

    pub(super) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// As a number.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether any of the reasons of `other` holds.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds or takes away reasons.
    pub fn set(&mut self, other: Self, on: bool) {
        if on {
            self.0 |= other.0;
        } else {
            self.0 &= !other.0;
        }
    }

    /// Whether it is out of service for any reason.
    pub fn is_maintenance(self) -> bool {
        self.contains(Self(
            Self::MAINT.0
                | Self::INHERITED_MAINT.0
                | Self::CONFIG_MAINT.0
                | Self::RESOLUTION_MAINT.0,
        ))
    }

    /// Whether it only finishes what it has.
    pub fn is_draining(self) -> bool {
        self.contains(Self(Self::DRAIN.0 | Self::INHERITED_DRAIN.0))
    }
}

/// The `status` column; its `Display` is the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStatus {
    /// Out of service.
    Maintenance {
        /// Because its name has no address.
        resolution: bool,
    },
    /// Down; with checks passed and needed when some passed.
    Down(Option<(u32, u32)>),
    /// Up; with failures left and allowed when some failed.
    Up(Option<(u32, u32)>),
    /// Up without new streams, by its own wish.
    NoLb(Option<(u32, u32)>),
    /// Up without new streams, by an operator or weight 0.
    Drain,
    /// Up as far as anyone knows.
    NoCheck,
}

impl ServerStatus {
    /// `health` is (health, rise, fall) of its monitor.
    pub(super) fn new(
        admin: AdminState,
        operation: Operation,
        health: Option<(u32, u32, u32)>,
    ) -> Self {
        if admin.is_maintenance() {
            return Self::Maintenance {
                resolution: admin.contains(AdminState::RESOLUTION_MAINT),
            };
        }
        let falling = health.and_then(|(health, rise, fall)| {
            (health < rise + fall - 1).then(|| ((health + 1).saturating_sub(rise), fall))
        });
        let rising = health.and_then(|(health, rise, _)| (health > 0).then_some((health, rise)));
        match operation {
            Operation::Stopped => Self::Down(rising),
            // A weight of 0 takes no connections either, and is shown as a weight.
            _ if admin.is_draining() => Self::Drain,
            Operation::Stopping => Self::NoLb(falling),
            _ if health.is_none() => Self::NoCheck,
            Operation::Starting | Operation::Running => Self::Up(falling),
        }
    }

    /// Whether the server serves anything.
    pub fn is_up(self) -> bool {
        !matches!(self, Self::Maintenance { .. } | Self::Down(_))
    }
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, count) = match *self {
            Self::Maintenance { resolution: true } => ("MAINT (resolution)", None),
            Self::Maintenance { resolution: false } => ("MAINT", None),
            Self::Down(count) => ("DOWN", count),
            Self::Up(count) => ("UP", count),
            Self::NoLb(count) => ("NOLB", count),
            Self::Drain => ("DRAIN", None),
            Self::NoCheck => ("no check", None),
        };
        f.write_str(word)?;
        match count {
            Some((have, of)) => write!(f, " {have}/{of}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_status_column() {
        let none = AdminState::default();
        let show =
            |admin, operation, health| ServerStatus::new(admin, operation, health).to_string();
        use Operation::{Running, Stopped, Stopping};
        for (expected, admin, operation, health) in [
            ("UP", none, Running, Some((4, 2, 3))),
            ("UP 2/3", none, Running, Some((3, 2, 3))),
            ("UP 1/3", none, Running, Some((2, 2, 3))),
            ("DOWN", none, Stopped, Some((0, 2, 3))),
            ("DOWN 1/2", none, Stopped, Some((1, 2, 3))),
            ("no check", none, Running, None),
            ("NOLB", none, Stopping, Some((4, 2, 3))),
            ("NOLB", none, Stopping, None),
            ("DRAIN", AdminState::DRAIN, Running, Some((4, 2, 3))),
            ("MAINT", AdminState::MAINT, Stopped, None),
            (
                "MAINT (resolution)",
                AdminState::RESOLUTION_MAINT,
                Stopped,
                Some((2, 2, 3)),
            ),
        ] {
            assert_eq!(show(admin, operation, health), expected);
        }
    }
}
