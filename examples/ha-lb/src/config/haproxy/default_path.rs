//! `default-path`: the directory that relative names of files begin in (configuration manual §3.1).

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::args::{Args, Parsed};
use crate::config::files::Files;

/// Where relative names begin.
#[derive(Debug, Clone, Default)]
pub(super) enum DefaultPath {
    /// Where the process was started.
    #[default]
    Current,
    /// Where the file is that names them.
    Config,
    /// One directory above that.
    Parent,
    /// There.
    Origin(PathBuf),
}

impl DefaultPath {
    /// The words behind `default-path`. A directory among them begins where the process was started, as do the names in
    /// `files`.
    pub(super) fn read(args: &mut Args<'_>, files: &dyn Files) -> Parsed<Self> {
        const MODES: &str = "current, config, parent or origin <directory>";
        let mode = args.need("default-path", MODES)?;
        let read = match mode.text {
            "current" => Self::Current,
            "config" => Self::Config,
            "parent" => Self::Parent,
            "origin" => {
                let directory = args.need("default-path origin", "a directory")?;
                let path = PathBuf::from(directory.text);
                // Who may not list it may still open what is in it, or is told so there.
                if let Err(error) = files.list(&path)
                    && error.kind() != io::ErrorKind::PermissionDenied
                {
                    let message = format!("cannot be used as 'default-path': {error}");
                    return Err(directory.refuse(message, "a directory"));
                }
                Self::Origin(path)
            }
            other => {
                let message = format!("unsupported default-path mode '{other}' for 'default-path'");
                return Err(mode.refuse(message, MODES));
            }
        };
        args.end(&format!("default-path {}", mode.text))?;
        Ok(read)
    }

    /// The directory of what `file` names; `None` for that in which the process was started.
    pub(super) fn directory(&self, file: &Path) -> Option<PathBuf> {
        let own = || file.parent().unwrap_or(Path::new(""));
        let directory = match self {
            Self::Current => return None,
            Self::Config => own().to_owned(),
            Self::Parent => own().join(".."),
            Self::Origin(path) => path.clone(),
        };
        Some(directory).filter(|path| !path.as_os_str().is_empty())
    }
}

/// Files whose relative names begin in a directory.
pub(super) struct Based<'f> {
    files: &'f dyn Files,
    directory: Option<PathBuf>,
}

impl<'f> Based<'f> {
    /// `files`, from `directory` on.
    pub(super) fn new(files: &'f dyn Files, directory: Option<PathBuf>) -> Self {
        Self { files, directory }
    }

    fn place(&self, path: &Path) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }
}

impl Files for Based<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(&self.place(path))
    }

    /// The entries are named as the directory is.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let place = self.place(path);
        let entries = self.files.list(&place)?;
        let named = |entry: PathBuf| match entry.strip_prefix(&place) {
            Ok(rest) => path.join(rest),
            Err(_) => entry,
        };
        Ok(entries.into_iter().map(named).collect())
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.files.resolve(host)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        self.files.mode(&self.place(path))
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.files.variable(name)
    }
}
