//! Names of UNIX sockets.

use std::{fmt, path::PathBuf};

/// The name of a UNIX stream socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UnixAddress {
    /// `unix@<path>`, or a path alone.
    Path(PathBuf),
    /// `abns@<name>`: in Linux's abstract namespace.
    Abstract(String),
}

/// Bytes of `sun_path` (unix(7)).
const ROOM: usize = 108;

impl UnixAddress {
    /// The address as the system takes it (`sun_path`). As with HAProxy, an abstract name fills all of it with zero
    /// bytes: shorter addresses are others.
    pub fn to_path(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Abstract(name) => {
                let mut text = format!("\0{name}");
                while text.len() < ROOM {
                    text.push('\0');
                }
                PathBuf::from(text)
            }
        }
    }

    /// Whether the system has no room for it.
    pub fn is_too_long(&self) -> bool {
        match self {
            Self::Path(path) => path.as_os_str().len() >= ROOM,
            Self::Abstract(name) => name.len() >= ROOM,
        }
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "abns@{name}"),
        }
    }
}

/// Who may use a UNIX socket, as far as a file says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SocketRights {
    /// `mode`: permissions.
    pub mode: Option<u32>,
    /// `user` or `uid`: name or number of the owner.
    pub user: Option<String>,
    /// `group` or `gid`: name or number.
    pub group: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_name_fills_its_address() {
        let path = UnixAddress::Abstract("web".to_owned()).to_path();
        let text = path.to_str().unwrap();
        assert_eq!(text.len(), 108);
        assert_eq!(text.trim_end_matches('\0'), "\0web");
        assert!(!UnixAddress::Abstract("x".repeat(107)).is_too_long());
        assert!(UnixAddress::Abstract("x".repeat(108)).is_too_long());
        assert!(UnixAddress::Path("x".repeat(108).into()).is_too_long());
    }
}
