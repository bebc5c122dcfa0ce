//! Mode and owner of UNIX sockets.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

use lb_core::config::{BindAddress, Config, SocketRights};

use super::{Step, binds};
use crate::privileges::{self, AccountError};

/// What a socket is given.
#[derive(Debug, Default)]
pub(super) struct Rights {
    mode: Option<u32>,
    user: Option<u32>,
    group: Option<u32>,
}

impl Rights {
    /// The accounts by their numbers.
    pub(super) fn of(said: &SocketRights) -> Result<Self, AccountError> {
        let (user, group) = (said.user.as_deref(), said.group.as_deref());
        Ok(Self {
            mode: said.mode,
            user: user.map(privileges::user_id).transpose()?,
            group: group.map(privileges::group_id).transpose()?,
        })
    }

    /// Gives them to the socket at `path`.
    pub(super) fn give(&self, path: &Path) -> Step<()> {
        if let Some(mode) = self.mode {
            std::fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|error| ("set the mode of", error))?;
        }
        if self.user.is_some() || self.group.is_some() {
            std::os::unix::fs::chown(path, self.user, self.group)
                .map_err(|error| ("set the owner of", error))?;
        }
        Ok(())
    }
}

/// The same for sockets that were taken over, where a configuration says something about them.
pub fn restore(config: &Config) {
    let of_proxies = binds(config).map(|(_, _, _, bind)| (&bind.address, &bind.rights));
    let stats = config.global.stats_sockets.iter();
    let all = of_proxies.chain(stats.map(|stats| (&stats.address, &stats.rights)));
    for (address, said) in all {
        if let (BindAddress::Unix(path), Ok(rights)) = (address, Rights::of(said))
            && let Err((step, error)) = rights.give(path)
        {
            tracing::warn!("cannot {step} {}: {error}", path.display());
        }
    }
}
