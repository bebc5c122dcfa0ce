//! What follows a keyword: how many words, and whether a block.

/// What follows a keyword.
#[derive(Debug, Clone, Copy)]
pub(in crate::config::keepalived) struct Takes {
    pub(super) min: usize,
    pub(super) max: usize,
    /// What the words are, for messages.
    pub(super) what: &'static str,
    pub(super) block: bool,
    /// Words beyond those are refused, not ignored.
    pub(super) exact: bool,
}

impl Takes {
    /// Nothing, or `on`, `off` and their kind.
    pub(in crate::config::keepalived) const FLAG: Self = Self::words(0, 1, "on or off");
    /// A switch that only switches on: keepalived does not look at words behind it, and they are warned about.
    pub(in crate::config::keepalived) const FLAG_ALONE: Self = Self::words(0, 0, "nothing");
    /// A block.
    pub(in crate::config::keepalived) const BLOCK: Self = Self {
        min: 0,
        max: 0,
        what: "nothing",
        block: true,
        exact: false,
    };
    /// Any words, perhaps a block: of a keyword without effect.
    pub(in crate::config::keepalived) const ANYTHING: Self = Self::words(0, usize::MAX, "anything");

    /// One value.
    pub(in crate::config::keepalived) const fn one(what: &'static str) -> Self {
        Self::words(1, 1, what)
    }

    /// From `min` to `max` values.
    pub(in crate::config::keepalived) const fn words(
        min: usize,
        max: usize,
        what: &'static str,
    ) -> Self {
        Self {
            min,
            max,
            what,
            block: false,
            exact: false,
        }
    }

    /// From `min` to `max` words and a block.
    pub(in crate::config::keepalived) const fn block_of(
        min: usize,
        max: usize,
        what: &'static str,
    ) -> Self {
        Self {
            block: true,
            ..Self::words(min, max, what)
        }
    }

    /// So many names and a block.
    pub(in crate::config::keepalived) const fn named(names: usize, what: &'static str) -> Self {
        Self {
            min: names,
            max: names,
            what,
            block: true,
            exact: false,
        }
    }

    /// One name and a block; with another word keepalived skips the block.
    pub(in crate::config::keepalived) const fn one_name() -> Self {
        Self {
            exact: true,
            ..Self::named(1, "a name")
        }
    }
}
