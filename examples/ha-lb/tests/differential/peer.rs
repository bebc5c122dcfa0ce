//! HAProxy and ha-lb as processes, each with what it needs around it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{normal, origin::Origin};

const PATIENCE: Duration = Duration::from_secs(20);

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    HaProxy,
    HaLb,
}

/// A running proxy, its origins and its log.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) fronts: Vec<SocketAddr>,
    /// The names of the sections that listen there.
    sections: Vec<String>,
    pub(crate) origins: Vec<Origin>,
    log: Arc<Log>,
    log_address: SocketAddr,
    names: Vec<(String, String)>,
    /// Keeps the address of `{hole}` taken.
    _hole: (TcpListener, Vec<TcpStream>),
}

/// What came to the address of the log.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    /// Raised when a [`MARK`] has come.
    marks: Condvar,
}

/// What the test sends there itself: all that was logged before is in front of it.
const MARK: &str = "mark";

/// Whether HAProxy is there; else the test says so, and fails where `CI` is set.
pub(crate) fn haproxy_is_installed(test: &str) -> bool {
    let found = Command::new("haproxy")
        .arg("-v")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: haproxy is not installed"
        );
        println!("{test}: skipped: haproxy is not installed");
    }
    found
}

/// What `{global}` stands for.
pub(crate) const GLOBAL: &str = "global
    log {log} local0
    maxconn 200
    nbthread 1
    stats socket {dir}/stats level admin
";

/// What `{http}` stands for: the head of the usual `defaults`.
const HTTP: &str = "defaults
    mode http
    log global
    option httplog
";

impl Peer {
    /// Starts `program` on `config`, in which `{front}`, `{front2}`, `{front3}`, `{a}`, `{b}` (origins), `{dead}` (refuses),
    /// `{hole}` (never accepts), `{log}` and `{dir}` stand for what this peer gets; `{global}` and `{http}` for what most
    /// files begin with.
    pub(crate) fn start(program: Program, config: &str) -> Self {
        Self::start_by(program, config, |file, folder| spawn(program, file, folder))
    }

    /// The same, as haproxy is called: beside `before`, which it relieves once it serves.
    pub(crate) fn start_as_haproxy(program: Program, config: &str, before: Option<&Self>) -> Self {
        Self::start_by(program, config, |file, folder| {
            let mut command = match program {
                Program::HaProxy => Command::new("haproxy"),
                Program::HaLb => {
                    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-lb"));
                    command.arg("haproxy");
                    command
                }
            };
            command.arg("-db").arg("-f").arg(file);
            if let Some(before) = before {
                command.arg("-sf").arg(before.child.id().to_string());
            }
            run(command, folder)
        })
    }

    fn start_by(program: Program, config: &str, spawn: impl FnOnce(&Path, &Path) -> Child) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origins = vec![Origin::start(), Origin::start()];
        let [fronts @ .., dead] = free_addresses::<4>();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let log_address = socket.local_addr().unwrap();
        let hole = hole();
        let mut names = vec![
            ("{front}".to_owned(), fronts[0].to_string()),
            ("{front2}".to_owned(), fronts[1].to_string()),
            ("{front3}".to_owned(), fronts[2].to_string()),
            ("{a}".to_owned(), origins[0].address.to_string()),
            ("{b}".to_owned(), origins[1].address.to_string()),
            ("{dead}".to_owned(), dead.to_string()),
            (
                "{hole}".to_owned(),
                hole.0.local_addr().unwrap().to_string(),
            ),
            ("{log}".to_owned(), log_address.to_string()),
            ("{dir}".to_owned(), folder.path().display().to_string()),
        ];
        let text = config.replace("{global}", GLOBAL).replace("{http}", HTTP);
        let text = names
            .iter()
            .fold(text, |text, (name, value)| text.replace(name, value));
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        names.retain(|(name, _)| name != "{log}");
        let names = names
            .into_iter()
            .map(|(name, value)| (value, name))
            .collect();
        let child = spawn(&file, folder.path());
        let log = Arc::<Log>::default();
        let lines = Arc::clone(&log);
        thread::spawn(move || listen(&socket, &lines));
        let peer = Self {
            child,
            folder,
            fronts: fronts.to_vec(),
            sections: ["{front}", "{front2}", "{front3}"]
                .map(|front| listening(config, front))
                .to_vec(),
            origins,
            log,
            log_address,
            names,
            _hole: hole,
        };
        peer.wait_until_ready(program);
        peer
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Log lines since the last call of [`Peer::forget`], made comparable.
    pub(crate) fn log(&self) -> Vec<String> {
        let lines = self.log.lines.lock().unwrap();
        lines
            .iter()
            .map(|line| normal::log_line(line, &self.names))
            .collect()
    }

    /// Drops the lines of all that has been logged before.
    pub(crate) fn forget(&self) {
        let mut lines = self.log.lines.lock().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(MARK.as_bytes(), self.log_address).unwrap();
        let mark = loop {
            match lines.iter().position(|line| line == MARK) {
                Some(mark) => break mark,
                None => lines = self.log.marks.wait(lines).unwrap(),
            }
        };
        lines.drain(..=mark);
    }

    /// Text with this peer's addresses replaced by their names.
    pub(crate) fn named(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (address, name)| {
                text.replace(address, name)
            })
    }

    /// The answer of the runtime socket.
    pub(crate) fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap()
    }

    /// Waits until so many are connected to the section with that front: a client sees the end of its connection before
    /// that is counted as gone.
    pub(crate) fn wait_for_clients(&self, front: usize, wanted: usize) {
        let row = format!("{},FRONTEND,,,{wanted},", self.sections[front]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.ask("show stat");
            if rows.lines().any(|line| line.starts_with(&row)) {
                return;
            }
            assert!(Instant::now() < deadline, "no {row} in {rows}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn try_ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.path("stats"))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn wait_until_ready(&self, program: Program) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_ask("show info").unwrap_or_default();
            if answer.contains("Name:") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{program:?} does not start: {}",
                self.output()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it wrote on its own output.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }
}

/// The name of the section that listens at `front`.
fn listening(config: &str, front: &str) -> String {
    let mut name = "";
    for line in config.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words {
            ["frontend" | "listen", section, ..] => name = section,
            ["bind", address, ..] if address == front => return name.to_owned(),
            _ => {}
        }
    }
    String::new()
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: Program, file: &Path, folder: &Path) -> Child {
    let command = match program {
        Program::HaProxy => {
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(file);
            command
        }
        Program::HaLb => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ha-lb"));
            command.args(["run", "-x"]).arg(file);
            command.arg("--control").arg(folder.join("control"));
            command
        }
    };
    run(command, folder)
}

fn run(mut command: Command, folder: &Path) -> Child {
    let output = fs::File::create(folder.join("output")).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}

fn listen(socket: &UdpSocket, log: &Log) {
    let mut buffer = vec![0; 65536];
    while let Ok(count) = socket.recv(&mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
        log.lines.lock().unwrap().push(line);
        log.marks.notify_all();
    }
}

/// Different ports of an address of the loopback network that no other peer uses.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    static PEERS: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() << 6 | PEERS.fetch_add(1, Ordering::Relaxed) & 0x3f;
    let ip = Ipv4Addr::from(0x7f80_0000 | number & 0x7f_ffff);
    let listeners = [(); N].map(|()| TcpListener::bind((ip, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// An address at which connections are neither taken nor refused: its queue is full.
fn hole() -> (TcpListener, Vec<TcpStream>) {
    let listener = small_listener();
    let waiting = fill(listener.local_addr().unwrap());
    (listener, waiting)
}

/// A listener that nobody takes connections from, with room for a few.
pub(crate) fn small_listener() -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(8).unwrap();
    socket.into()
}

/// Connections that fill the queue of a [`small_listener`].
pub(crate) fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let patience = Duration::from_millis(200);
    std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok()).collect()
}
