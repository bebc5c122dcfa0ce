//! The running system as a haproxy.cfg finds it: with the variables that HAProxy sets for its file (configuration
//! manual §2.3).

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::{
    files::{DiskFiles, Files},
    keepalived,
};
use crate::{admin::stat::info, ipc::message::Sources};

/// [`DiskFiles`] and `HAPROXY_*`.
#[derive(Debug, Clone)]
pub struct Predefined(BTreeMap<&'static str, String>);

impl Predefined {
    /// The variables of a daemon that was started with `sources`.
    pub fn of(sources: &Sources) -> Self {
        let overrides = &sources.overrides;
        let host = || {
            let system = rustix::system::uname();
            system.nodename().to_string_lossy().into_owned()
        };
        let files = sources.haproxy.iter().map(|file| file.to_string_lossy());
        let files: Vec<_> = files.collect();
        let seed = RandomState::new().hash_one(std::process::id());
        let mut variables = BTreeMap::from([
            (keepalived::SEED, seed.to_string()),
            (
                "HAPROXY_LOCALPEER",
                overrides.local_peer.clone().unwrap_or_else(host),
            ),
            ("HAPROXY_CFGFILES", files.join(";")),
            ("HAPROXY_STARTUP_VERSION", info::VERSION.to_owned()),
        ]);
        if overrides.master {
            variables.insert("HAPROXY_MWORKER", "1".to_owned());
        }
        Self(variables)
    }
}

impl Files for Predefined {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        DiskFiles.read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        DiskFiles.list(path)
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        DiskFiles.resolve(host)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        DiskFiles.mode(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let own = self.0.get(name).cloned();
        own.or_else(|| DiskFiles.variable(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::message::Overrides;

    #[test]
    fn a_file_learns_how_its_haproxy_was_called() {
        let sources = Sources {
            haproxy: vec!["a.cfg".into(), "b".into()],
            overrides: Overrides {
                local_peer: Some("lb1".to_owned()),
                master: true,
                ..Overrides::default()
            },
            ..Sources::default()
        };
        let files = Predefined::of(&sources);
        let value = |name: &str| files.variable(name);
        assert_eq!(value("HAPROXY_LOCALPEER").as_deref(), Some("lb1"));
        assert_eq!(value("HAPROXY_CFGFILES").as_deref(), Some("a.cfg;b"));
        assert_eq!(value("HAPROXY_MWORKER").as_deref(), Some("1"));
        assert_eq!(value("PATH"), std::env::var("PATH").ok());
        assert_eq!(
            Predefined::of(&Sources::default()).variable("HAPROXY_MWORKER"),
            None
        );
    }
}
