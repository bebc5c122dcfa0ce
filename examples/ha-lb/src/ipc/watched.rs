//! What the supervisor watches for the routers, and what it finds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Watched {
    /// What it is.
    pub kind: Kind,
    /// Its name in the file.
    pub name: String,
}

/// What can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// `vrrp_script`.
    Script,
    /// `track_file`.
    File,
    /// `vrrp_track_process`.
    Process,
    /// `bfd_instance`, which the speaker watches itself.
    Bfd,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// A script passes, a process runs as often as it is to.
    Passes,
    /// It does not.
    Fails,
    /// What a file says.
    Value(i32),
}

impl Watched {
    /// That one.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// A `vrrp_script`.
    pub fn script(name: impl Into<String>) -> Self {
        Self::new(Kind::Script, name)
    }
}

impl From<bool> for Finding {
    fn from(passes: bool) -> Self {
        if passes { Self::Passes } else { Self::Fails }
    }
}

impl Kind {
    /// As `status` names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::File => "file",
            Self::Process => "process",
            Self::Bfd => "neighbour",
        }
    }

    /// The keyword that defines it.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Script => "vrrp_script",
            Self::File => "track_file",
            Self::Process => "vrrp_track_process",
            Self::Bfd => "bfd_instance",
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.keyword(), self.name)
    }
}
