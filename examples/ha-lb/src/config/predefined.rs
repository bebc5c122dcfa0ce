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
    use std::fs;

    use super::*;
    use crate::{
        config::{diagnostic::Diagnostics, haproxy},
        ipc::message::Overrides,
    };

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

    #[test]
    fn rules_learn_it_too_whatever_the_file_did_to_its_own_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.cfg");
        let sources = Sources {
            haproxy: vec![path.clone()],
            overrides: Overrides {
                master: true,
                ..Overrides::default()
            },
            ..Sources::default()
        };
        // Values as HAProxy 2.6 has them.
        let own = path.display().to_string();
        for (lines, peer, master) in [
            ("localpeer lb1", Some("lb1"), Some("1")),
            (
                "localpeer lb1\n setenv HAPROXY_LOCALPEER b",
                Some("b"),
                Some("1"),
            ),
            ("resetenv PATH\n setenv HAPROXY_CLI mine", None, None),
        ] {
            let sockets =
                "stats socket /run/h.sock\n stats socket 127.0.0.1:9999\n stats socket [::1]:9998";
            fs::write(&path, format!("global\n {lines}\n {sockets}\n")).unwrap();
            let mut diagnostics = Diagnostics::new();
            let files = Predefined::of(&sources);
            let config = haproxy::load(&sources.haproxy, &files, &mut diagnostics);
            let variables = config.unwrap_or_else(|| panic!("{diagnostics}")).variables;
            let value = |name: &str| variables.environment(name);
            assert_eq!(value("HAPROXY_LOCALPEER").as_deref(), peer, "{lines}");
            assert_eq!(value("HAPROXY_MWORKER").as_deref(), master, "{lines}");
            assert_eq!(value("HAPROXY_CFGFILES"), Some(own.clone()), "{lines}");
            assert_eq!(
                value("HAPROXY_CLI").as_deref(),
                Some("unix@/run/h.sock;ipv4@127.0.0.1:9999;ipv6@[::1]:9998")
            );
        }
    }
}
