//! The control socket: one line in (`status`), one JSON document out. Only its owner may connect (mode 0600).

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::fs::{FileTypeExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::oneshot,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_LINE: u64 = 4096;
/// Binding takes microseconds.
const LOCKED: Duration = Duration::from_millis(200);

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Request {
    /// The line without its end.
    pub line: String,
    /// Takes the answer.
    pub reply: oneshot::Sender<String>,
}

/// The socket's place; dropping it removes the socket.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
}

/// The path that is used when none is given.
pub fn default_path() -> PathBuf {
    path_of("ha-lb")
}

/// The path of a daemon under a name.
pub fn path_of(name: &str) -> PathBuf {
    let folder = if rustix::process::geteuid().is_root() {
        PathBuf::from("/run")
    } else {
        std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
    };
    folder.join(format!("{name}.sock"))
}

/// Keeps others from taking a socket of this folder between the look at it and the binding. A lock that somebody else
/// keeps is not waited for long.
fn alone_beside(path: &Path) -> Option<File> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    let until = Instant::now() + LOCKED;
    while flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
        && Instant::now() < until
    {
        std::thread::yield_now();
    }
    Some(folder)
}

impl Control {
    /// Binds the socket unless a running daemon has it.
    pub fn bind(path: &Path) -> io::Result<(Self, std::os::unix::net::UnixListener)> {
        let _alone = alone_beside(path);
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another ha-lb runs with it; stop that one or give another path with --control",
            ));
        }
        // A path that was mistyped names somebody's file.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something else than a socket is there; give another path with --control",
            ));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let control = Self {
            path: path.to_owned(),
            listener: listener.try_clone()?,
        };
        Ok((control, listener))
    }

    /// The socket that the program before this one bound.
    pub fn inherited(
        path: PathBuf,
        listener: std::os::unix::net::UnixListener,
    ) -> io::Result<(Self, std::os::unix::net::UnixListener)> {
        let shared = listener.try_clone()?;
        Ok((Self { path, listener }, shared))
    }

    /// Path and descriptor for the program after this one.
    pub fn left(&self) -> (PathBuf, RawFd) {
        (self.path.clone(), self.listener.as_raw_fd())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Answers connections for ever; `ask` hands requests to the supervisor.
pub async fn serve(listener: UnixListener, ask: impl Fn(Request) + Clone + Send + 'static) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(answer(stream, ask.clone()));
            }
            Err(error) => {
                tracing::warn!("control socket: cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A client that is too slow or closes early gets no answer.
async fn answer(mut stream: UnixStream, ask: impl Fn(Request)) {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut limited = BufReader::new(reader).take(LONGEST_LINE);
    if !matches!(timeout(PATIENCE, limited.read_line(&mut line)).await, Ok(Ok(n)) if n > 0) {
        return;
    }
    let (reply, answer) = oneshot::channel();
    ask(Request {
        line: line.trim().to_owned(),
        reply,
    });
    if let Ok(answer) = answer.await {
        let _ = timeout(PATIENCE, writer.write_all(answer.as_bytes())).await;
    }
}

/// Asks a running daemon (the client's side, blocking).
pub fn ask(path: &Path, line: &str) -> io::Result<String> {
    ask_for(path, line, PATIENCE)
}

/// The same, for an answer that may take longer.
pub fn ask_for(path: &Path, line: &str, patience: Duration) -> io::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_answered_and_the_socket_goes_with_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (control, listener) = Control::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asked = path.clone();
        let client = std::thread::spawn(move || ask(&asked, "status"));
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let listener = UnixListener::from_std(listener).unwrap();
                let server = serve(listener, |request| {
                    request.reply.send(format!("<{}>", request.line)).unwrap();
                });
                tokio::select! {
                    () = server => {}
                    () = async { while !client.is_finished() { tokio::task::yield_now().await } } => {}
                }
            });
        assert_eq!(client.join().unwrap().unwrap(), "<status>");
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("haproxy.cfg");
        std::fs::write(&path, "global").unwrap();
        let told = Control::bind(&path).unwrap_err().to_string();
        assert!(told.contains("else than a socket"), "{told}");
        assert_eq!(std::fs::read(&path).unwrap(), b"global");
    }

    #[test]
    fn of_many_that_start_at_once_one_gets_the_socket_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        // What a daemon that was killed leaves behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (all, bind) = (std::sync::Barrier::new(8), || Control::bind(&path));
        let bound: Vec<_> = std::thread::scope(|scope| {
            let one = || {
                all.wait();
                bind()
            };
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            starts.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let got: Vec<_> = bound.into_iter().flatten().collect();
        assert_eq!(got.len(), 1);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn the_socket_of_a_running_daemon_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        let _running = Control::bind(&path).unwrap();
        let told = Control::bind(&path).unwrap_err().to_string();
        assert!(told.contains("another ha-lb runs"), "{told}");
        assert!(path.exists());
    }
}
