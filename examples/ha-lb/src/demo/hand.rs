//! What a person does to the cluster by one key.

use std::{fmt, str::FromStr};

use super::{
    cluster::{Cluster, NAMED_AT_FIRST, ORIGINS},
    deed::Deed,
};

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    Cut,
    Balancer,
    Kill,
    Stop,
    Origin,
    Reload,
    Heal,
}

impl Hand {
    /// All, in the order in which they are offered.
    pub(super) const ALL: [Self; 7] = [
        Self::Cut,
        Self::Balancer,
        Self::Kill,
        Self::Stop,
        Self::Origin,
        Self::Reload,
        Self::Heal,
    ];

    /// Its key.
    pub(super) fn key(self) -> char {
        match self {
            Self::Cut => 'c',
            Self::Balancer => 'b',
            Self::Kill => 'k',
            Self::Stop => 't',
            Self::Origin => 's',
            Self::Reload => 'r',
            Self::Heal => 'h',
        }
    }

    /// What it does now; nothing if nothing is left to do it to.
    pub(super) fn deed(self, cluster: &Cluster) -> Option<Deed> {
        let active = cluster.active_now();
        match self {
            Self::Cut => active.map(Deed::Cut),
            Self::Balancer => active.map(Deed::KillBalancer),
            Self::Kill => active.map(Deed::Kill),
            Self::Stop => active.map(Deed::Stop),
            Self::Origin => {
                let named = cluster.origins.iter().take(cluster.named);
                let mut alive = named.enumerate().filter(|(_, o)| o.facts.alive());
                let (first, _) = alive.next()?;
                // Somebody has to answer.
                alive.next().map(|_| Deed::KillOrigin(first))
            }
            Self::Reload if cluster.named == ORIGINS => Some(Deed::Reload(NAMED_AT_FIRST)),
            Self::Reload => Some(Deed::Reload(ORIGINS)),
            Self::Heal => Some(Deed::Heal),
        }
    }
}

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut cable",
            Self::Balancer => "balancer",
            Self::Kill => "crash",
            Self::Stop => "stop",
            Self::Origin => "origin",
            Self::Reload => "reload",
            Self::Heal => "heal",
        })
    }
}

/// The way it travels to the inner process.
impl FromStr for Hand {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let known = Self::ALL.into_iter();
        known
            .into_iter()
            .find(|hand| hand.to_string() == text)
            .ok_or(())
    }
}
