//! Everything outside of a process that reading a configuration may ask for: files, directories, host names
//! and environment variables.
//!
//! The supervisor reads through a [`Recorder`]; what was asked and answered travels as a [`Bundle`] to the
//! children, which parse the same text again and get the same answers without any access of their own. A
//! question that was not asked the first time is answered with `NotFound`. Nothing here ever writes.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, ToSocketAddrs},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// Where a configuration reader gets its input from.
pub trait Files {
    /// The contents of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The full paths of a directory's entries in byte order of their names; an error of kind
    /// `NotADirectory` when `path` is a file.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// The addresses of a host name in the resolver's order. A source that cannot ask answers nothing.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let _ = host;
        Ok(Vec::new())
    }

    /// The permission bits of a file. A source that cannot ask answers nothing.
    fn mode(&self, path: &Path) -> Option<u32> {
        let _ = path;
        None
    }

    /// An environment variable, if it is set and is text. A source without an environment answers nothing.
    fn variable(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// The running system.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in (host, 0).to_socket_addrs()? {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        Ok(addresses)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        let found = std::fs::metadata(path).ok()?;
        Some(found.permissions().mode() & 0o7777)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// A failed question, kept so that the replay fails in the same words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    code: Option<i32>,
    message: String,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        Self {
            code: error.raw_os_error(),
            message: error.to_string(),
        }
    }

    fn again(&self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(self.message.clone()),
        }
    }
}

/// Questions and their answers. Answers with itself when used as [`Files`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    files: BTreeMap<PathBuf, Result<Vec<u8>, Failure>>,
    directories: BTreeMap<PathBuf, Result<Vec<PathBuf>, Failure>>,
    hosts: BTreeMap<String, Result<Vec<IpAddr>, Failure>>,
    variables: BTreeMap<String, Option<String>>,
}

impl Bundle {
    /// Adds a file, as if it had been read; for tests and generated configurations.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), Ok(contents.into()));
        self
    }

    /// For a process that has no use for the contents of these files: `instead` stands in each.
    #[must_use]
    pub fn without(mut self, secrets: &[PathBuf], instead: &[u8]) -> Self {
        for path in secrets {
            if let Some(Ok(contents)) = self.files.get_mut(path) {
                *contents = instead.to_vec();
            }
        }
        self
    }
}

fn replay<T: Clone>(answer: Option<&Result<T, Failure>>, question: &str) -> io::Result<T> {
    match answer {
        Some(Ok(answer)) => Ok(answer.clone()),
        Some(Err(failure)) => Err(failure.again()),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("{question} was not read when the configuration was loaded"),
        )),
    }
}

impl Files for Bundle {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        replay(self.files.get(path), &path.display().to_string())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        replay(self.directories.get(path), &path.display().to_string())
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        replay(self.hosts.get(host), host)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned().flatten()
    }
}

/// How long all look-ups of names may take together at a reload: meanwhile the process does nothing else.
const LOOK_UPS: Duration = Duration::from_secs(10);

/// A source with the answers of an earlier reading, for a reload: a host name that has no answer now, or none in time,
/// keeps the addresses that it had (`init-addr last`), and nothing that does not answer (a pipe, a dead file server)
/// holds the reader up for long.
#[derive(Debug)]
pub struct Remembering<F> {
    source: F,
    before: Bundle,
    /// What is left of the time for everything asked.
    left: Mutex<Duration>,
}

impl<F: Files + Clone + Send + 'static> Remembering<F> {
    /// Remembers `before`.
    pub fn new(source: F, before: Bundle) -> Self {
        Self {
            source,
            before,
            left: Mutex::new(LOOK_UPS),
        }
    }

    /// Asks on a thread that is left alone when time is up: neither the resolver nor a file can be interrupted.
    fn in_time<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&F) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, (told, answer)) = (Instant::now(), mpsc::channel());
        let source = self.source.clone();
        thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                let _ = told.send(ask(&source));
            })?;
        let found = answer.recv_timeout(*left);
        *left = left.saturating_sub(begun.elapsed());
        found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<F: Files + Clone + Send + 'static> Files for Remembering<F> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = path.to_owned();
        self.in_time(move |source| {
            // Whoever opens a pipe waits for its writer.
            if std::fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
                return Err(io::Error::other("not a regular file"));
            }
            source.read(&path)
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let path = path.to_owned();
        self.in_time(move |source| source.list(&path))
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let name = host.to_owned();
        let found = self.in_time(move |source| source.resolve(&name));
        let fails = found.as_ref().map_or(true, Vec::is_empty);
        match self.before.resolve(host) {
            Ok(before) if fails && !before.is_empty() => {
                tracing::warn!("host '{host}' has no address now: what it had stays");
                Ok(before)
            }
            _ => found,
        }
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        self.source.mode(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.source.variable(name)
    }
}

/// Passes questions on and remembers the answers; a question asked twice gets the first answer.
#[derive(Debug, Default)]
pub struct Recorder<F> {
    source: F,
    bundle: Mutex<Bundle>,
}

impl<F: Files> Recorder<F> {
    /// Records what `source` answers.
    pub fn new(source: F) -> Self {
        Self {
            source,
            bundle: Mutex::default(),
        }
    }

    /// What was asked so far, and the answers.
    pub fn into_bundle(self) -> Bundle {
        self.bundle
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<K: Ord, T: Clone>(
        &self,
        map: impl for<'b> Fn(&'b mut Bundle) -> &'b mut BTreeMap<K, Result<T, Failure>>,
        key: K,
        ask: impl FnOnce(&F) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut bundle = self.bundle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = map(&mut bundle).get(&key) {
            return answer.clone().map_err(|failure| failure.again());
        }
        let answer = ask(&self.source);
        let kept = match &answer {
            Ok(answer) => Ok(answer.clone()),
            Err(error) => Err(Failure::of(error)),
        };
        map(&mut bundle).insert(key, kept);
        answer
    }
}

impl<F: Files> Files for Recorder<F> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.ask(|b| &mut b.files, path.to_owned(), |f| f.read(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.ask(|b| &mut b.directories, path.to_owned(), |f| f.list(path))
    }

    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.ask(|b| &mut b.hosts, host.to_owned(), |f| f.resolve(host))
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        self.source.mode(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let mut bundle = self.bundle.lock().unwrap_or_else(PoisonError::into_inner);
        bundle
            .variables
            .entry(name.to_owned())
            .or_insert_with(|| self.source.variable(name))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_host_that_has_no_answer_any_more_keeps_the_one_before() {
        let answered = |host: &str, ip: &str| {
            let mut bundle = Bundle::default();
            let ip = ip.parse().unwrap();
            bundle.hosts.insert(host.to_owned(), Ok(vec![ip]));
            bundle
        };
        let ask = |now: Bundle| {
            Remembering::new(now, answered("web", "192.0.2.1"))
                .resolve("web")
                .unwrap()
        };
        assert_eq!(
            ask(Bundle::default()),
            ["192.0.2.1".parse::<IpAddr>().unwrap()]
        );
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        assert_eq!(ask(answered("web", "192.0.2.2")), [other]);
        let unknown = Remembering::new(Bundle::default(), Bundle::default());
        assert!(unknown.resolve("web").is_err());
    }

    #[test]
    fn a_resolver_that_does_not_answer_holds_a_reload_up_for_a_while_only() {
        /// Answers when its other end is gone.
        #[derive(Clone)]
        struct Silent(Arc<Mutex<mpsc::Receiver<()>>>);
        impl Files for Silent {
            fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
                Err(io::ErrorKind::NotFound.into())
            }
            fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
                Err(io::ErrorKind::NotFound.into())
            }
            fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
                let _ = self.0.lock().unwrap().recv();
                Ok(Vec::new())
            }
        }
        let (_open, waits) = mpsc::channel();
        let files = Remembering {
            left: Mutex::new(Duration::from_millis(50)),
            ..Remembering::new(Silent(Arc::new(Mutex::new(waits))), Bundle::default())
        };
        for host in ["a", "b"] {
            let told = files.resolve(host).unwrap_err();
            assert_eq!(told.kind(), io::ErrorKind::TimedOut);
        }
        assert!(files.left.lock().unwrap().is_zero());
    }

    #[test]
    fn a_bundle_answers_what_was_recorded_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let present = dir.path().join("b.cfg");
        let absent = dir.path().join("missing");
        std::fs::write(&present, "global\n").unwrap();
        std::fs::write(dir.path().join("a.cfg"), "").unwrap();

        let recorder = Recorder::new(DiskFiles);
        assert_eq!(recorder.read(&present).unwrap(), b"global\n");
        let told = recorder.read(&absent).unwrap_err().to_string();
        let listed = recorder.list(dir.path()).unwrap();
        assert_eq!(listed, [dir.path().join("a.cfg"), present.clone()]);
        assert!(recorder.list(&present).is_err());
        let local = recorder.resolve("127.0.0.1").unwrap();

        let bytes = postcard::to_stdvec(&recorder.into_bundle()).unwrap();
        let bundle: Bundle = postcard::from_bytes(&bytes).unwrap();
        std::fs::remove_file(&present).unwrap();

        assert_eq!(bundle.read(&present).unwrap(), b"global\n");
        let missing = bundle.read(&absent).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(missing.to_string(), told);
        assert_eq!(bundle.list(dir.path()).unwrap(), listed);
        assert!(bundle.list(&present).is_err());
        assert_eq!(bundle.resolve("127.0.0.1").unwrap(), local);
        assert!(bundle.read(Path::new("/never/asked")).is_err());
    }

    #[test]
    fn the_first_answer_is_kept_even_if_the_file_changes_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let recorder = Recorder::new(DiskFiles);
        assert_eq!(recorder.read(&path).unwrap(), b"one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(recorder.read(&path).unwrap(), b"one");
    }
}
