//! Priority of a virtual router (RFC 9568 §5.2.4).

use core::fmt;

/// Priority: 255 is the address owner, 0 says that the Active router resigns, 1-254 are all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The Active router stops taking part.
    pub const RESIGN: Self = Self(0);
    /// The router that owns the addresses.
    pub const OWNER: Self = Self(255);
    /// What a router has unless it is told otherwise.
    pub const DEFAULT: Self = Self(100);

    /// Every byte is a priority.
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
