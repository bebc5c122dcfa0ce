//! A daemon on loopback, servers and clients.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub(crate) use crate::reserve::free_address;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon, ended with the test.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    folder: tempfile::TempDir,
    reloads: u64,
}

impl Daemon {
    pub(crate) fn start(config: impl FnOnce(&str) -> String) -> Self {
        Self::start_by(Command::new(HA_LB), config, |_| {})
    }

    /// The same with an environment.
    pub(crate) fn start_as(
        config: impl FnOnce(&str) -> String,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        Self::start_by(Command::new(HA_LB), config, adjust)
    }

    /// In a user namespace of its own, where not even root may have more open files than these.
    pub(crate) fn start_with_files(files: usize, config: impl FnOnce(&str) -> String) -> Self {
        let mut program = Command::new("unshare");
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        program.args(["-Ur", "sh", "-c", &script, HA_LB]);
        Self::start_by(program, config, |_| {})
    }

    fn start_by(
        mut command: Command,
        config: impl FnOnce(&str) -> String,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = config(&folder.path().display().to_string());
        fs::write(folder.path().join("haproxy.cfg"), text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command
            .args(["run", "-x"])
            .arg(folder.path().join("haproxy.cfg"))
            .arg("--control")
            .arg(folder.path().join("control"))
            .stdin(Stdio::null())
            .stderr(log);
        adjust(&mut command);
        let child = command.spawn().unwrap();
        let daemon = Self {
            child,
            folder,
            reloads: 0,
        };
        daemon.wait("the balancer serves", |status| {
            status["balancer"]["ready"] == true
        });
        daemon
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, config: impl FnOnce(&str) -> String) {
        let text = config(&self.folder.path().display().to_string());
        fs::write(self.path("haproxy.cfg"), text).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    pub(crate) fn status(&self) -> Option<Value> {
        let output = Command::new(HA_LB)
            .args(["status", "--json", "--control"])
            .arg(self.path("control"))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status()
                && condition(&status)
            {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}\n{}", self.log());
            thread::yield_now();
        }
    }

    /// Sends SIGHUP and returns what `status` says of the reload when it is over.
    pub(crate) fn reload(&mut self) -> Value {
        self.reloads += 1;
        self.hang_up();
        let number = self.reloads;
        let status = self.wait("the reload ends", |s| s["reload"]["number"] == number);
        status["reload"].clone()
    }

    pub(crate) fn hang_up(&self) {
        kill(i64::from(self.child.id()), Signal::HUP);
    }

    /// `ha-lb upgrade` to the same program.
    pub(crate) fn upgrade(&self) {
        let output = Command::new(HA_LB)
            .args(["upgrade", "--control"])
            .arg(self.path("control"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}\n{}", self.log());
    }

    /// `ha-lb upgrade`, not waited for.
    pub(crate) fn ask_for_upgrade(&self) -> Child {
        Command::new(HA_LB)
            .args(["upgrade", "--control"])
            .arg(self.path("control"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub(crate) fn diff(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(HA_LB)
            .args(["check", "--diff", "--control"])
            .arg(self.path("control"))
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    }

    /// Sends SIGTERM and waits for the end; the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        kill(i64::from(self.child.id()), Signal::TERM);
        self.end()
    }

    /// Waits for the end; the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "{}", self.log());
            thread::yield_now();
        }
    }

    /// What `ha-lb status` prints.
    pub(crate) fn shown(&self) -> String {
        let output = Command::new(HA_LB)
            .args(["status", "--control"])
            .arg(self.path("control"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The number of the balancer.
    pub(crate) fn balancer(&self) -> i64 {
        let status = self.status().unwrap();
        status["balancer"]["pid"].as_i64().unwrap()
    }

    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.path("stats")).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A column of `show stat`.
    pub(crate) fn stat(&self, proxy: &str, server: &str, column: &str) -> String {
        let table = self.ask("show stat");
        let mut lines = table.lines();
        let header = lines.next().unwrap().trim_start_matches("# ");
        let at = header.split(',').position(|c| c == column).unwrap();
        let prefix = format!("{proxy},{server},");
        let line = lines.find(|line| line.starts_with(&prefix));
        line.map_or_else(String::new, |line| {
            line.split(',').nth(at).unwrap().to_owned()
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn kill(pid: i64, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// One request on its own connection; the whole answer.
pub(crate) fn request(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A server that answers with its name.
pub(crate) fn origin(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                while read_head(&mut stream).is_some() {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                        name.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A head, or nothing at the end of the stream.
pub(crate) fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Waits for the end of a connection; whether that is what comes.
pub(crate) fn is_cut(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            Ok(count) => return count == 0,
        }
    }
}

/// One request; the name of who answered.
pub(crate) fn get(stream: &mut TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let head = read_head(stream).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut name = [0];
    stream.read_exact(&mut name).unwrap();
    String::from_utf8_lossy(&name).into_owned()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn config(folder: &str, threads: usize, sections: &str) -> String {
    format!(
        "global
    nbthread {threads}
    stats socket {folder}/stats mode 600 level admin
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
{sections}"
    )
}
