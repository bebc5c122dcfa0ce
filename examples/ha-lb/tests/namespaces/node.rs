//! One host under test: its private /etc, /run and /var/lib, its daemon, its syslog listener.

use std::{
    fs,
    net::{IpAddr, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Child,
    sync::{Arc, Mutex},
    time::Duration,
};

use ha_lb::lab::{Host, HostCommand, Lab};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::wait_for;

/// The program under test.
const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// A host, its files and the one daemon that runs on it.
pub(crate) struct Node {
    pub(crate) host: Host,
    /// The program that is started.
    pub(crate) program: PathBuf,
    folder: PathBuf,
    /// Files of this host's own that lie over the machine's, beside its folders.
    overlays: Vec<(PathBuf, PathBuf)>,
    daemon: Option<Child>,
    /// Another program that the daemon needs.
    helper: Option<Child>,
    /// Somebody else prints the log of a test that failed.
    pub(crate) quiet: bool,
    syslog: Arc<Mutex<Vec<String>>>,
}

impl Node {
    /// A host called `name` with `addresses` on `interface`; files live below `scratch`.
    pub(crate) fn new(
        lab: &Lab,
        scratch: &Path,
        name: &str,
        interface: &str,
        addresses: &[&str],
    ) -> Self {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        let host = lab.host(name, interface, &addresses).unwrap();
        let folder = scratch.join(name);
        write_root(&folder);
        let syslog = Arc::new(Mutex::new(Vec::new()));
        let socket = host
            .run(|| Ok(UdpSocket::bind("127.0.0.1:514").unwrap()))
            .unwrap();
        let lines = Arc::clone(&syslog);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(len) = socket.recv(&mut buffer) {
                lines
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&buffer[..len]).into_owned());
            }
        });
        Self {
            host,
            program: PathBuf::from(HA_LB),
            folder,
            overlays: Vec::new(),
            daemon: None,
            helper: None,
            quiet: false,
            syslog,
        }
    }

    /// A file below this host's folder; `etc/...`, `run/...` and `var-lib/...` are what programs on it see.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A program on this host that sees its private folders.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> HostCommand<'_> {
        let command = self
            .host
            .command(program)
            .bind(self.path("etc"), "/etc")
            .bind(self.path("run"), "/run")
            .bind(self.path("var-lib"), "/var/lib");
        let overlays = self.overlays.iter();
        overlays.fold(command, |command, (source, target)| {
            command.bind(source, target)
        })
    }

    /// Lays a file of this host's own over one of the machine's, for programs started from now on.
    pub(crate) fn lay_over(&mut self, source: PathBuf, target: impl Into<PathBuf>) {
        self.overlays.push((source, target.into()));
    }

    /// Writes a shell script that this host sees as `/NAME`.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A file that this host sees as `/NAME` is there, or is not: what its scripts look at.
    pub(crate) fn flag(&self, name: &str, is_there: bool) {
        let path = self.path(name);
        if is_there {
            fs::write(path, "").unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&mut self, keepalived: Option<&Path>, haproxy: &[&Path]) {
        self.start_with(&[], keepalived, haproxy);
    }

    /// The same with more flags.
    pub(crate) fn start_with(
        &mut self,
        flags: &[&str],
        keepalived: Option<&Path>,
        haproxy: &[&Path],
    ) {
        let mut command = self
            .command(&self.program)
            .arg("run")
            .args(flags)
            .output(self.path("log"));
        if let Some(path) = keepalived {
            command = command.arg("-k").arg(path);
        }
        for path in haproxy {
            command = command.arg("-x").arg(path);
        }
        let daemon = command
            .arg("--control")
            .arg(self.path("control"))
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        let deadline = Duration::from_secs(10);
        wait_for(&format!("{} answers", self.host.name()), deadline, || {
            let exited = self
                .daemon
                .as_mut()
                .and_then(|daemon| daemon.try_wait().unwrap());
            assert!(
                exited.is_none(),
                "{}: {exited:?}\n{}",
                self.host.name(),
                self.log()
            );
            self.status()
        });
    }

    /// Starts Debian's keepalived.
    pub(crate) fn start_keepalived(&mut self, config: &Path) {
        self.start_keepalived_with(&[], config);
    }

    /// The same with more flags.
    pub(crate) fn start_keepalived_with(&mut self, flags: &[&str], config: &Path) {
        let keepalived = self
            .command("keepalived")
            .args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"])
            .args(flags)
            .arg("--use-file")
            .arg(config)
            .output(self.path("log"))
            .spawn()
            .unwrap();
        self.daemon = Some(keepalived);
    }

    /// Starts FRRouting's vrrpd with the file called `keepalived.conf` here.
    pub(crate) fn start_frr(&mut self) {
        self.start_frr_with("vrrpd", "keepalived.conf");
    }

    /// Starts FRRouting's bfdd with the file called `bfdd.conf` here.
    pub(crate) fn start_bfdd(&mut self) {
        self.start_frr_with("bfdd", "bfdd.conf");
    }

    /// One of its programs, and the zebra that it needs.
    fn start_frr_with(&mut self, name: &str, config: &str) {
        fs::write(self.path("etc/group"), "root:x:0:\nfrrvty:x:107:root\n").unwrap();
        for folder in ["run/frr", "etc/frr"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        let empty = self.path("zebra.conf");
        fs::write(&empty, "").unwrap();
        let program = |name: &str, config: &Path| {
            let command = self.command(Path::new("/usr/lib/frr").join(name));
            let command = command.args(["-u", "root", "-g", "root", "--log", "stdout", "-f"]);
            let command = command.arg(config).args(["--vty_socket", "/run/frr"]);
            let command = command.args(["-z", "/run/frr/zserv.api", "-i"]);
            let command = command.arg(format!("/run/frr/{name}.pid"));
            command.output(self.path("log")).spawn().unwrap()
        };
        let zebra = program("zebra", &empty);
        let socket = self.path("run/frr/zserv.api");
        wait_for("zebra listens", Duration::from_secs(10), || {
            socket.exists().then_some(())
        });
        let daemon = program(name, &self.path(config));
        self.helper = Some(zebra);
        self.daemon = Some(daemon);
    }

    /// Kills bfdd.
    pub(crate) fn kill_bfdd(&mut self) {
        self.kill_daemon();
    }

    /// Kills vrrpd; its host loses the addresses as in a power cut.
    pub(crate) fn kill_frr(&mut self) {
        self.kill_daemon();
        let deletion = ["link", "del", "vrrp"];
        let output = self.host.command("ip").args(deletion).capture().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// What `ha-lb status --json` says, if the daemon answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let control = self.path("control");
        let output = self
            .host
            .command(HA_LB)
            .args(["status", "--json", "--control"])
            .arg(control)
            .capture()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Runs `ha-lb` with these arguments against this host's daemon.
    pub(crate) fn ha_lb(&self, arguments: &[&str]) -> std::process::Output {
        let command = self.host.command(HA_LB).args(arguments);
        command
            .arg("--control")
            .arg(self.path("control"))
            .capture()
            .unwrap()
    }

    /// A string or number of the status, by JSON pointer.
    pub(crate) fn ask(&self, pointer: &str) -> Option<Value> {
        self.status()?.pointer(pointer).cloned()
    }

    /// State of the first virtual router.
    pub(crate) fn state(&self) -> String {
        self.ask("/instances/0/state")
            .and_then(|state| Some(state.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    /// State of the virtual router of that name.
    pub(crate) fn state_of(&self, instance: &str) -> String {
        let status = self.status().unwrap_or_default();
        let instances = status["instances"].as_array().into_iter().flatten();
        let mut found = instances.filter(|one| one["name"] == instance);
        let state = found.next().and_then(|one| one["state"].as_str());
        state.unwrap_or_default().to_owned()
    }

    /// Whether the kernel of this host has `address` with a full prefix.
    pub(crate) fn holds(&self, address: &str) -> bool {
        self.device_of(address).is_some()
    }

    /// The interface on which the kernel of this host has `address` with a full prefix.
    pub(crate) fn device_of(&self, address: &str) -> Option<String> {
        let wanted = format!(" {} ", with_prefix(address));
        let text = self.ip(&["-o", "address", "show"]);
        let line = text.lines().find(|line| line.contains(&wanted))?;
        Some(line.split_whitespace().nth(1)?.to_owned())
    }

    /// What `ip` with these words prints on this host.
    pub(crate) fn ip(&self, words: &[&str]) -> String {
        let output = self.host.command("ip").args(words).capture().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Tells the daemon, whichever it is, to read its files again.
    pub(crate) fn hang_up(&self) {
        let daemon = Pid::from_child(self.daemon.as_ref().unwrap());
        kill_process(daemon, Signal::HUP).unwrap();
    }

    /// Ends the daemon in order and returns its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal_daemon(Signal::TERM);
        self.exit_code()
    }

    /// Waits for the end of the daemon.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.daemon.take()?.wait().unwrap().code()
    }

    /// Sends a signal to each of these processes of the daemon.
    pub(crate) fn signal(&self, roles: &[&str], signal: Signal) {
        for pid in self.pids(roles) {
            let _ = kill_process(pid, signal);
        }
    }

    fn pids(&self, roles: &[&str]) -> Vec<Pid> {
        let status = self.status().unwrap_or_default();
        let pid = |role: &&str| status.pointer(&format!("/{role}/pid"))?.as_i64();
        let pids = roles.iter().filter_map(pid);
        pids.filter_map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()))
            .collect()
    }

    /// Sends a signal to the process that was started.
    pub(crate) fn signal_daemon(&self, signal: Signal) {
        let daemon = self.daemon.as_ref().unwrap();
        kill_process(Pid::from_child(daemon), signal).unwrap();
    }

    /// Kills every process of the daemon at once: the supervisor has no time to replace one, nor they to hear that it
    /// is gone.
    pub(crate) fn kill(&mut self) {
        let children = self.pids(&["vrrp", "balancer"]);
        self.signal_daemon(Signal::STOP);
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        self.kill_daemon();
    }

    /// Kills keepalived and its children at once and forgets what a power cut forgets: /run and added addresses.
    pub(crate) fn kill_keepalived(&mut self, vips: &[&str]) {
        if let Some(daemon) = &self.daemon {
            let children = format!("/proc/{0}/task/{0}/children", daemon.id());
            for child in fs::read_to_string(children)
                .unwrap_or_default()
                .split_whitespace()
            {
                let _ = kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), Signal::KILL);
            }
        }
        self.kill_daemon();
        fs::remove_dir_all(self.path("run")).unwrap();
        fs::create_dir_all(self.path("run")).unwrap();
        for vip in vips {
            let address = with_prefix(vip);
            let device = self.device_of(vip);
            // A device with a virtual MAC address goes as a whole.
            let deletion: &[&str] = match device.as_deref() {
                Some(device) if device != self.host.interface() => &["link", "del", device],
                Some(device) => &["address", "del", &address, "dev", device],
                None => continue,
            };
            let output = self.host.command("ip").args(deletion).capture().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    /// Ends the daemon however it can be ended; the namespaces take its children.
    pub(crate) fn end(&mut self) {
        for program in [self.daemon.take(), self.helper.take()].iter().flatten() {
            let _ = kill_process(Pid::from_child(program), Signal::TERM);
        }
    }

    fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            daemon.wait().unwrap();
        }
    }

    /// What the daemon wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Lines that arrived at this host's syslog listener.
    pub(crate) fn syslog(&self) -> Vec<String> {
        self.syslog.lock().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.quiet {
            println!("--- {}\n{}", self.host.name(), self.log());
        }
    }
}

/// As the kernel writes an address with a full prefix.
fn with_prefix(address: &str) -> String {
    let address: IpAddr = address.parse().unwrap();
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// The folders that lie over the machine's: users, certificates, run-time files.
fn write_root(folder: &Path) {
    for sub in [
        "etc/haproxy/ssl",
        "etc/keepalived",
        "run",
        "var-lib/haproxy",
    ] {
        fs::create_dir_all(folder.join(sub)).unwrap();
    }
    let passwd =
        "root:x:0:0:root:/root:/bin/sh\nhaproxy:x:4711:4711::/var/lib/haproxy:/usr/sbin/nologin\n";
    fs::write(folder.join("etc/passwd"), passwd).unwrap();
    fs::write(folder.join("etc/group"), "root:x:0:\nhaproxy:x:4711:\n").unwrap();
    fs::write(folder.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    for kept in [
        "ld.so.cache",
        "localtime",
        "ssl/openssl.cnf",
        "alternatives",
    ] {
        let source = Path::new("/etc").join(kept);
        let target = folder.join("etc").join(kept);
        if source.is_file() {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(source, target).unwrap();
        }
    }
}

/// A self-signed certificate and its key in one file, as `bind ... ssl crt` wants it.
pub(crate) fn write_certificate(path: &Path) {
    let key = path.with_extension("key");
    let output = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", "/CN=ha-lb test", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bundle = format!(
        "{}{}",
        fs::read_to_string(path).unwrap(),
        fs::read_to_string(&key).unwrap()
    );
    fs::write(path, bundle).unwrap();
}
