//! Mode and owner of UNIX sockets.

use std::{
    fs::Permissions,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::Path,
};

use lb_core::config::{BindAddress, Config, SocketRights};
use rustix::fs::{FileType, Mode, OFlags};

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

    /// Gives them to the socket at `path`. Others may write to the folder: a link is not followed, and what is no socket
    /// keeps its mode and owner.
    pub(super) fn give(&self, path: &Path) -> Step<()> {
        let owned = self.user.is_some() || self.group.is_some();
        if self.mode.is_none() && !owned {
            return Ok(());
        }
        let socket = hold(path).map_err(|error| ("set mode or owner of", error))?;
        // The kernel goes from here to the very file that is held, whatever lies at the path by now.
        let held = format!("/proc/self/fd/{}", socket.as_raw_fd());
        if let Some(mode) = self.mode {
            std::fs::set_permissions(&held, Permissions::from_mode(mode))
                .map_err(|error| ("set the mode of", error))?;
        }
        if owned {
            std::os::unix::fs::chown(&held, self.user, self.group)
                .map_err(|error| ("set the owner of", error))?;
        }
        Ok(())
    }
}

/// The socket that lies at `path` itself, not where a link leads to.
fn hold(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::open(path, flags, Mode::empty())?;
    let mode = rustix::fs::fstat(&held)?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::Socket => Ok(held),
        _ => Err(io::Error::other("it is not a socket")),
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
