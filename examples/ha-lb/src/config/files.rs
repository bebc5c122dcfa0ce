//! Where configuration text comes from: the disk, or a recorded bundle of what was read before.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    path::{Path, PathBuf},
};

/// A source of files.
pub trait Files {
    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The entries of a directory (whole paths, sorted), for `include` with a pattern and for
    /// certificate directories.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// The addresses of a host name in a `server` line. A source that cannot ask answers nothing.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let _ = host;
        Ok(Vec::new())
    }

    /// An environment variable, for `"${NAME}"`. A source without an environment answers nothing.
    fn variable(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// The disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = std::fs::read_dir(directory)?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0)
            .to_socket_addrs()?
            .map(|address| address.ip())
            .collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
