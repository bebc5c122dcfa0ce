//! What each process may do: which capabilities it needs and holds, the account it runs as, its root
//! directory, and the sentences that tell an operator what is missing and how to grant it.
//!
//! Rights are only ever given up here, never gained (capabilities(7), prctl(2) PR_SET_NO_NEW_PRIVS).

use std::{
    io,
    path::{Path, PathBuf},
};

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};
use nix::unistd::{Gid, Group, Uid, User};
use rustix::process::Signal;

/// What the speaker keeps: addresses and nftables; raw sockets and ARP.
pub const SPEAKER: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];

/// The same with `vrrp_no_swap`: without it a limit on locked memory would be one on memory.
pub const SPEAKER_IN_MEMORY: [Capability; 3] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_IPC_LOCK,
];

/// A user or group of the configuration that does not exist.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {kind} '{name}' does not exist on this host: create it ({command}) or change `{kind} {name}`"
)]
pub struct AccountError {
    kind: &'static str,
    name: String,
    command: String,
}

/// Giving up rights failed. The process must not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DropError {
    /// `chroot` names a directory that cannot be used.
    #[error("cannot chroot to {}: {source}{}", path.display(), chroot_hint(path, source))]
    Chroot {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A change of identity failed.
    #[error("cannot change to {what}: {source}; {}", grant_command())]
    Identity {
        /// `user x`, `group y` or `no supplementary groups`.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Capabilities could not be dropped.
    #[error("cannot give up capabilities: {0}")]
    Capabilities(#[from] CapsError),
    /// `no_new_privs` could not be set.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivileges(io::Error),
}

fn chroot_hint(path: &Path, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => format!(
            "; create it (`sudo mkdir -p {}`) or remove the `chroot` line",
            path.display()
        ),
        io::ErrorKind::PermissionDenied => {
            format!(
                "; it needs the capability CAP_SYS_CHROOT: {}",
                grant_command()
            )
        }
        _ => String::new(),
    }
}

/// Number of a user given by name or number.
pub fn user_id(name: &str) -> Result<u32, AccountError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => Err(AccountError {
            kind: "user",
            name: name.to_owned(),
            command: format!("`sudo useradd --system --no-create-home {name}`"),
        }),
    }
}

/// Number of a group given by name or number.
pub fn group_id(name: &str) -> Result<u32, AccountError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(AccountError {
            kind: "group",
            name: name.to_owned(),
            command: format!("`sudo groupadd --system {name}`"),
        }),
    }
}

/// Primary group of a user given by name; `None` for numbers and unknown names.
pub fn primary_group(user: &str) -> Option<u32> {
    User::from_name(user).ok().flatten().map(|u| u.gid.as_raw())
}

/// Who the balancer is to be, looked up while `/etc/passwd` can still be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `user`.
    pub user: Option<u32>,
    /// `group`.
    pub group: Option<u32>,
    /// `chroot`.
    pub chroot: Option<PathBuf>,
}

impl Identity {
    /// Looks up the accounts of a `global` section.
    pub fn of(global: &lb_core::config::Global) -> Result<Self, AccountError> {
        Ok(Self {
            user: global.user.as_deref().map(user_id).transpose()?,
            group: global.group.as_deref().map(group_id).transpose()?,
            chroot: global.chroot.clone(),
        })
    }

    /// Becomes it, for good: root directory, groups, user, no capability at all. Call it while the process
    /// has one thread.
    pub fn assume(&self) -> Result<(), DropError> {
        bound_to(&CapsHashSet::new())?;
        if let Some(path) = &self.chroot {
            let failed = |source: io::Error| DropError::Chroot {
                path: path.clone(),
                source,
            };
            std::env::set_current_dir(path).map_err(failed)?;
            nix::unistd::chroot(path).map_err(|e| failed(e.into()))?;
            std::env::set_current_dir("/").map_err(failed)?;
        }
        let failed = |what: String| {
            move |source: nix::Error| DropError::Identity {
                what,
                source: source.into(),
            }
        };
        if let Some(group) = self.group {
            let is_other = Gid::effective().as_raw() != group;
            if is_other || Uid::effective().is_root() {
                nix::unistd::setgroups(&[])
                    .map_err(failed("no supplementary groups".to_owned()))?;
                nix::unistd::setgid(Gid::from_raw(group))
                    .map_err(failed(format!("group {group}")))?;
            }
        }
        if let Some(user) = self.user
            && Uid::effective().as_raw() != user
        {
            nix::unistd::setuid(Uid::from_raw(user)).map_err(failed(format!("user {user}")))?;
        }
        keep_only(&[])
    }
}

/// Keeps these capabilities (as far as they are held) and nothing else, also for programs that this process
/// might execute, and sets `no_new_privs`.
pub fn keep_only(capabilities: &[Capability]) -> Result<(), DropError> {
    let held = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = capabilities
        .iter()
        .copied()
        .filter(|c| held.contains(c))
        .collect();
    bound_to(&kept)?;
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    rustix::thread::set_no_new_privs(true).map_err(|e| DropError::NoNewPrivileges(e.into()))
}

/// No program that is executed from now on gets more than these. It is the first right to be given up: changing the
/// user takes the right to do so away.
fn bound_to(kept: &CapsHashSet) -> Result<(), CapsError> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)? {
            if !kept.contains(&capability) {
                caps::drop(None, CapSet::Bounding, capability)?;
            }
        }
    }
    Ok(())
}

/// The kernel sends this process `signal` when the process that started it dies. It says so to one that is stopped,
/// too, which no closed socket can wake. To be called after rights were given up, for that takes it back.
pub fn at_the_end_of_the_parent(signal: Signal) {
    let set = rustix::process::set_parent_process_death_signal(Some(signal));
    if let Err(error) = set {
        tracing::debug!("cannot follow the supervisor: {error}");
    }
}

/// Leaves the file system: afterwards every path ends in this process's own `/proc` entry, which holds nothing to
/// write. Without the right to do so the process goes on; its user's rights on files then still apply.
pub fn leave_the_file_system() {
    const NOWHERE: &str = "/proc/self/fdinfo";
    let left = nix::unistd::chroot(NOWHERE).map_err(io::Error::from);
    if let Err(error) = left.and_then(|()| std::env::set_current_dir("/")) {
        tracing::debug!("cannot leave the file system: {error}");
    }
}

/// The capabilities among `needed` that this process does not hold.
pub fn missing(needed: &[(Capability, &'static str)]) -> Vec<(Capability, &'static str)> {
    let held = caps::read(None, CapSet::Effective).unwrap_or_default();
    needed
        .iter()
        .copied()
        .filter(|(capability, _)| !held.contains(capability))
        .collect()
}

/// One sentence for each missing capability, and the command that grants all of them.
pub fn explain(missing: &[(Capability, &'static str)]) -> String {
    let mut text = String::new();
    for (capability, purpose) in missing {
        text.push_str(&format!(
            "this process lacks the capability {capability}, which it needs to {purpose}\n"
        ));
    }
    text.push_str(&grant_command());
    text
}

/// How to grant what the daemon can need.
pub fn grant_command() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ha-lb"));
    let program = program.display();
    format!(
        "start it as root (`sudo {program} run ...`), or grant it once with `sudo setcap \
         cap_net_admin,cap_net_raw,cap_net_bind_service,cap_setuid,cap_setgid,cap_setpcap,cap_sys_chroot,cap_kill+ep {program}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_looked_up_by_name_or_number_and_missing_ones_are_named() {
        assert_eq!(user_id("0").unwrap(), 0);
        assert_eq!(user_id("root").unwrap(), 0);
        assert_eq!(group_id("root").unwrap(), 0);
        let told = user_id("no-such-user").unwrap_err().to_string();
        assert!(told.contains("'no-such-user' does not exist"), "{told}");
        assert!(told.contains("useradd"), "{told}");
    }

    #[test]
    fn a_missing_capability_is_named_with_its_purpose_and_the_command() {
        let told = explain(&[(Capability::CAP_NET_RAW, "send VRRP adverts")]);
        assert!(
            told.contains("CAP_NET_RAW, which it needs to send VRRP adverts"),
            "{told}"
        );
        assert!(told.contains("sudo setcap"), "{told}");
    }

    #[test]
    fn a_missing_chroot_is_a_clear_error() {
        let identity = Identity {
            chroot: Some(PathBuf::from("/no/such/directory")),
            ..Identity::default()
        };
        // What it gives up, it gives up for its own thread.
        let assumed = std::thread::spawn(move || identity.assume())
            .join()
            .unwrap();
        let told = assumed.unwrap_err().to_string();
        assert!(
            told.starts_with("cannot chroot to /no/such/directory: "),
            "{told}"
        );
        assert!(told.contains("mkdir -p /no/such/directory"), "{told}");
    }
}
