//! The master's command line (`haproxy -W -S`), beside Debian's HAProxy where it is installed.
#![expect(clippy::unwrap_used, reason = "tests")]

mod reserve;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use reserve::free_address;
use rustix::process::{Pid, Signal, kill_process};

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PEER: &str = "/usr/sbin/haproxy";
const PATIENCE: Duration = Duration::from_secs(20);

/// Two that start at the same instant may both take the usual control socket.
static STARTS: Mutex<()> = Mutex::new(());

/// A running master with a folder of its own.
struct Master {
    folder: tempfile::TempDir,
    /// Where its proxy listens.
    address: SocketAddr,
    child: Child,
}

impl Master {
    fn start(program: &Path, socket_options: &str) -> Self {
        let alone = STARTS.lock();
        let master = Self::begin(program, socket_options);
        master.wait("a worker", || {
            let processes = master.asked("show proc\n")?;
            (workers(&processes).len() == 1).then_some(())
        });
        drop(alone);
        master
    }

    /// Returns before anything is there.
    fn begin(program: &Path, socket_options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let text = format!(
            "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nlisten x\n bind \
             {address}\n server s 127.0.0.1:9\n"
        );
        fs::write(folder.path().join("h.cfg"), text).unwrap();
        let socket = format!("{}{socket_options}", folder.path().join("m").display());
        let child = Command::new(program)
            .args(["-W", "-S", &socket, "-f", "h.cfg"])
            .current_dir(folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            folder,
            address,
            child,
        }
    }

    fn ours(socket_options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start(&called_haproxy(folder.path()), socket_options)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is answered to these lines until the connection closes.
    fn asked(&self, lines: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.path("m")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(lines.as_bytes()).ok()?;
        stream.shutdown(std::net::Shutdown::Write).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn ask(&self, lines: &str) -> String {
        self.asked(lines).unwrap()
    }

    fn wait<T>(&self, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(done) = done() {
                return done;
            }
            let log = fs::read_to_string(self.path("log")).unwrap();
            assert!(Instant::now() < deadline, "{what}\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Answers of either program, with their own numbers and versions made alike.
    fn alike(&self, lines: &str) -> String {
        let worker = workers(&self.ask("show proc\n")).remove(0);
        let version = self.ask("show version\n");
        self.ask(&lines.replace("WORKER", &worker))
            .replace(&worker, "WORKER")
            .replace(version.trim(), "VERSION")
            .replace(&self.child.id().to_string(), "MASTER")
    }

    fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("h.cfg")).unwrap();
        assert!(text.contains(from));
        fs::write(self.path("h.cfg"), text.replace(from, to)).unwrap();
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// This program by that name, in a folder.
fn called_haproxy(folder: &Path) -> PathBuf {
    let program = folder.join("haproxy");
    std::os::unix::fs::symlink(HA_LB, &program).unwrap();
    program
}

/// Numbers of the present workers in `show proc`.
fn workers(processes: &str) -> Vec<String> {
    let lines = processes.lines().skip_while(|line| *line != "# workers");
    let lines = lines.skip(1).take_while(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

/// The columns of a line, but for times and the width of a version.
fn columns(processes: &str) -> Vec<Vec<String>> {
    let words = |line: &str| {
        let words = line.split_whitespace().map(str::to_owned);
        words.filter(|word| !word.starts_with("0d00h")).collect()
    };
    processes.lines().map(words).collect()
}

#[test]
fn the_master_answers_in_haproxy_s_words() {
    let ours = Master::ours(",mode,600");
    let mode = fs::metadata(ours.path("m")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What 2.6 answered, in case that there is no peer.
    assert_eq!(
        ours.alike("@!99999999 show version\n"),
        "Can't find the target PID matching the prefix '@!99999999'\n"
    );
    assert_eq!(ours.alike("show version\n"), "VERSION\n\n");
    if !Path::new(PEER).exists() {
        eprintln!("skipped the comparison: no {PEER}");
        return;
    }
    let theirs = Master::start(Path::new(PEER), ",mode,600");
    for lines in [
        "show version\n",
        "@1 show version\n",
        "@1;show version\n",
        "@1\n",
        "@!WORKER show version\n",
        "@!99999999 show version\n",
        "@7 show version\n",
        "@1 show version; show version\n",
        "show cli level\n",
        "show version; show version\n",
        "@1 add map nonesuch <<\nkey value\nother two words\n\n",
        "prompt\nshow version\n@1\nshow version\n@master\n@1 show version\n",
    ] {
        assert_eq!(ours.alike(lines), theirs.alike(lines), "{lines}");
    }
    let ask = "show proc\n";
    assert_eq!(columns(&ours.alike(ask)), columns(&theirs.alike(ask)));
    // Every command of ours is one of theirs.
    for ask in ["help\n", "show\n"] {
        let known = theirs.ask(ask);
        for line in ours.ask(ask).lines() {
            assert!(known.contains(line), "{ask}{line}\n{known}");
        }
    }
}

#[test]
fn a_worker_that_starts_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let _alone = STARTS.lock();
    let master = Master::begin(&called_haproxy(folder.path()), "");
    let answer = master.wait("a master", || master.asked("@1 show info\n"));
    assert!(answer.contains("\nProcess_num: 1\n"), "{answer}");
    assert!(
        master
            .ask("@!1 show info\n")
            .starts_with("Can't find the target PID")
    );
}

#[test]
fn a_reload_says_how_it_ended_and_keeps_the_worker() {
    let master = Master::ours("");
    let worker = workers(&master.ask("show proc\n")).remove(0);
    master.change(
        "server s 127.0.0.1:9",
        "server s 127.0.0.1:9\n server t 127.0.0.1:9",
    );
    let answer = master.ask("reload\n");
    assert!(
        answer.starts_with("Success=1\n--\n") && answer.ends_with("\n\n"),
        "{answer}"
    );
    assert!(answer.contains("1 change applied"), "{answer}");
    assert!(
        master
            .ask("@1 show servers state\n")
            .contains(" t 127.0.0.1 ")
    );
    master.change("listen x", "lissten x");
    let answer = master.ask("reload\n");
    assert!(answer.starts_with("Success=0\n--\nrefused: "), "{answer}");
    assert!(answer.contains("h.cfg:6"), "{answer}");
    let processes = master.ask("show proc\n");
    assert!(processes.contains("2 [failed: 1]"), "{processes}");
    master.change("lissten x", "listen x");
    assert!(master.ask("reload\n").starts_with("Success=1\n"));
    let processes = master.ask("show proc\n");
    assert!(processes.contains("3 [failed: 0]"), "{processes}");
    assert_eq!(workers(&processes), [worker]);
    // Who asks while one is under way hears of the one after it.
    let both: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| master.ask("reload\n")))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(
        both.iter().all(|answer| answer.starts_with("Success=1\n")),
        "{both:?}"
    );
}

#[test]
fn whoever_comes_after_a_reload_was_said_to_be_applied_meets_nothing_of_the_old_configuration() {
    let master = Master::ours("");
    let server = " server s 127.0.0.1:9\n";
    let rule = |round: u32| format!(" http-request return string round-{round}\n{server}");
    master.change(server, &rule(0));
    master.change("defaults\n", "global\n nbthread 8\ndefaults\n");
    master.change(" timeout client 1s\n", " timeout client 20s\n");
    let answer = || {
        let mut stream = TcpStream::connect(master.address).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for round in 1..=30 {
        let said = master.ask("reload\n");
        assert!(said.starts_with("Success=1\n"), "{said}");
        for _ in 0..8 {
            let (answer, wanted) = (answer(), format!("round-{}", round - 1));
            assert!(answer.ends_with(&wanted), "{wanted}: {answer}");
        }
        master.change(&rule(round - 1), &rule(round));
    }
}

#[test]
fn rights_hold_on_either_side_and_the_socket_goes_with_the_master() {
    let mut master = Master::ours(",level,operator");
    assert_eq!(master.ask("show cli level\n"), "operator\n\n");
    assert_eq!(master.ask("@1 show cli level\n"), "operator\n\n");
    assert_eq!(
        master.ask("@1 disable server x/s\n"),
        "Permission denied\n\n"
    );
    assert_eq!(master.ask("user; reload\n"), "Permission denied\n\n");
    assert_eq!(master.ask("user; operator\n"), "Permission denied\n\n");
    kill_process(Pid::from_child(&master.child), Signal::TERM).unwrap();
    assert!(master.child.wait().unwrap().success());
    assert!(!master.path("m").exists());
}

#[test]
fn one_process_that_only_checks_goes_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("haproxy");
    std::os::unix::fs::symlink(HA_LB, &program).unwrap();
    let log = UdpSocket::bind("127.0.0.1:0").unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    let (socket, target) = (folder.path().join("s"), log.local_addr().unwrap());
    let text = format!(
        "global\n stats socket {}\nbackend b\n timeout connect 1s\n timeout server 1s\n option \
         log-health-checks\n log {target} daemon\n server s 127.0.0.1:1 check inter 100ms fall 1\n",
        socket.display()
    );
    fs::write(folder.path().join("h.cfg"), text).unwrap();
    let alone = STARTS.lock();
    let mut child = Command::new(&program)
        .args(["-f", "h.cfg"])
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = vec![0; 1024];
    let length = log.recv(&mut line).unwrap();
    let line = String::from_utf8_lossy(&line[..length]).into_owned();
    drop(alone);
    let number = child.id();
    assert!(line.contains(&format!(" haproxy[{number}]: ")), "{line}");
    assert!(line.contains("server b/s failed, reason: Layer4"), "{line}");
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"show info\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(&format!("\nPid: {number}\n")), "{answer}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
}

#[test]
fn an_upgrade_keeps_the_socket() {
    let master = Master::ours(",level,operator");
    let before = workers(&master.ask("show proc\n"));
    // Whoever comes second has its number in the path.
    let number = format!("ha-lb-haproxy.{}.sock", master.child.id());
    let names = [number.as_str(), "ha-lb-haproxy.sock"];
    let folders = [master.folder.path(), Path::new("/run")];
    let mut paths = names
        .iter()
        .flat_map(|name| folders.map(|folder| folder.join(name)));
    let control = paths.find(|path| path.exists()).unwrap();
    let upgraded = Command::new(HA_LB)
        .args(["upgrade", "--control"])
        .arg(&control)
        .output()
        .unwrap();
    assert!(upgraded.status.success(), "{upgraded:?}");
    master.wait("another worker", || {
        let processes = master.asked("show proc\n")?;
        let now = workers(&processes);
        (now.len() == 1 && now != before).then_some(())
    });
    assert_eq!(master.ask("@1 show cli level\n"), "operator\n\n");
}
