//! Who races: how each is found, started, known to be ready, and stopped.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Fatal,
    config::{self, Places},
    scenario::{Client, Kind, Proxy, Reuse, Scenario, Task},
};

/// How long a program may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that races.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: String,
    program: Program,
}

#[derive(Debug, Clone)]
enum Program {
    Floor(PathBuf),
    HaProxy(PathBuf),
    Nginx(PathBuf),
    HaLb(PathBuf),
}

/// Who plays where ha-lb alone is judged, and how that is told.
#[derive(Debug, Args)]
pub(crate) struct Beside {
    /// The ha-lb binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    ha_lb: Option<PathBuf>,
    /// Without HAProxy beside it
    #[arg(long)]
    alone: bool,
    /// One JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

impl Beside {
    /// ha-lb, which must be there, behind HAProxy, where that is and is wanted.
    pub(crate) fn contenders(&self) -> Result<Vec<Contender>, Fatal> {
        let (mut found, missing) = find(&[], self.ha_lb.as_slice())?;
        if !found.iter().any(Contender::is_ha_lb) {
            return Err(missing.join("; ").into());
        }
        found.retain(|c| c.is_ha_lb() || c.is_haproxy() && !self.alone);
        Ok(found)
    }
}

/// The programs found, the first HAProxy before the others: it is what everything is compared with. What is
/// missing is told.
pub(crate) fn find(
    others: &[PathBuf],
    ha_lb: &[PathBuf],
) -> Result<(Vec<Contender>, Vec<String>), Fatal> {
    let own = env::current_exe()?;
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let mut add = |name: String, program| found.push(Contender { name, program });
    match in_path("haproxy") {
        Some(path) => add(haproxy_version(&path)?, Program::HaProxy(path)),
        None => missing.push("haproxy is not installed".to_owned()),
    }
    for path in others {
        add(haproxy_version(path)?, Program::HaProxy(path.clone()));
    }
    match in_path("nginx") {
        Some(path) => add("nginx".to_owned(), Program::Nginx(path)),
        None => missing.push("nginx is not installed".to_owned()),
    }
    let beside = own.with_file_name("ha-lb");
    let builds = match ha_lb {
        [] => vec![beside],
        given => given.to_vec(),
    };
    for (index, path) in builds.into_iter().enumerate() {
        if path.exists() {
            let name = match index {
                0 => "ha-lb".to_owned(),
                _ => format!("ha-lb, build {}", index + 1),
            };
            add(name, Program::HaLb(path));
        } else {
            let release = match cfg!(debug_assertions) {
                true => "",
                false => " --release",
            };
            missing.push(format!(
                "{} is missing; build it: cargo build{release} -p ha-lb",
                path.display()
            ));
        }
    }
    add("floor".to_owned(), Program::Floor(own));
    Ok((found, missing))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = env::split_paths(&path).chain(usual);
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
}

fn haproxy_version(path: &Path) -> Result<String, Fatal> {
    let told = Command::new(path).arg("-v").output();
    let told = told.map_err(|e| format!("{}: {e}", path.display()))?;
    let text = String::from_utf8_lossy(&told.stdout);
    let version = text
        .split_ascii_whitespace()
        .nth(2)
        .unwrap_or("of unknown version");
    Ok(format!(
        "haproxy {}",
        version.split(['+', '~']).next().unwrap_or(version)
    ))
}

/// What a run needs besides the scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) origin: u16,
    pub(crate) syslog: u16,
    pub(crate) pem: &'a Path,
}

impl Contender {
    /// Whether everything is compared with it.
    pub(crate) fn is_haproxy(&self) -> bool {
        matches!(self.program, Program::HaProxy(_))
    }

    /// Whether it is ours.
    pub(crate) fn is_ha_lb(&self) -> bool {
        matches!(self.program, Program::HaLb(_))
    }

    /// Starts it for a scenario and waits until it accepts connections. The inner error says why it cannot do what
    /// the scenario asks for.
    pub(crate) fn start(
        &self,
        scenario: &Scenario,
        setting: Setting<'_>,
    ) -> Result<Result<Running, String>, Fatal> {
        let scratch = tempfile::Builder::new().prefix("versus-").tempdir()?;
        let listen = free_port()?;
        let places = Places {
            listen,
            origin: setting.origin,
            syslog: setting.syslog,
            pem: setting.pem,
            scratch: scratch.path(),
        };
        let command = match self.command(scenario, places)? {
            Ok(command) => command,
            Err(reason) => return Ok(Err(reason)),
        };
        self.launch(command, scratch, listen).map(Ok)
    }

    /// Starts HAProxy or ha-lb with this file and waits until it accepts connections on the port.
    pub(crate) fn start_with(
        &self,
        text: &str,
        scratch: tempfile::TempDir,
        listen: u16,
    ) -> Result<Running, Fatal> {
        let file = scratch.path().join("conf");
        fs::write(&file, text)?;
        let command = match &self.program {
            Program::HaProxy(path) => haproxy(path, &file),
            Program::HaLb(path) => ha_lb(path, &file, scratch.path()),
            Program::Floor(_) | Program::Nginx(_) => {
                return Err(format!("{} does not read a haproxy.cfg", self.name).into());
            }
        };
        self.launch(command, scratch, listen)
    }

    fn launch(
        &self,
        mut command: Command,
        scratch: tempfile::TempDir,
        listen: u16,
    ) -> Result<Running, Fatal> {
        let log = fs::File::create(scratch.path().join("output"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().map_err(|e| format!("{}: {e}", self.name))?;
        let mut running = Running {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, listen)),
            scratch,
        };
        running
            .wait_until_ready()
            .map_err(|e| format!("{}: {e}", self.name))?;
        Ok(running)
    }

    fn command(
        &self,
        scenario: &Scenario,
        places: Places<'_>,
    ) -> Result<Result<Command, String>, Fatal> {
        let file = places.scratch.join("conf");
        let proxy = scenario.proxy;
        let command = match &self.program {
            Program::Floor(path) => {
                if let Some(reason) = beyond_the_floor(proxy, scenario.client, scenario.task) {
                    return Ok(Err(reason.to_owned()));
                }
                let mut command = Command::new(path);
                command
                    .arg("relay")
                    .arg(format!("127.0.0.1:{}", places.listen));
                command
                    .arg(format!("127.0.0.1:{}", places.origin))
                    .arg(proxy.workers.to_string());
                command
            }
            Program::HaProxy(path) => {
                fs::write(&file, config::haproxy(proxy, places))?;
                haproxy(path, &file)
            }
            Program::HaLb(path) => {
                fs::write(&file, config::haproxy(proxy, places))?;
                ha_lb(path, &file, places.scratch)
            }
            Program::Nginx(path) => {
                let module = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"]
                    .map(|folder| Path::new(folder).join("ngx_stream_module.so"))
                    .into_iter()
                    .find(|file| file.exists());
                match config::nginx(proxy, places, module.as_deref()) {
                    Ok(text) => fs::write(&file, text)?,
                    Err(reason) => return Ok(Err(reason)),
                }
                let mut command = Command::new(path);
                command.arg("-c").arg(&file).arg("-p").arg(places.scratch);
                command
            }
        };
        Ok(Ok(command))
    }
}

fn haproxy(program: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(file);
    command
}

fn ha_lb(program: &Path, file: &Path, scratch: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("run").arg("-x").arg(file);
    command.arg("--control").arg(scratch.join("control"));
    command
}

/// Why a bare relay cannot do it.
fn beyond_the_floor(proxy: Proxy, client: Client, task: Task) -> Option<&'static str> {
    if !matches!(proxy.kind, Kind::Http | Kind::Tcp) {
        return Some("a bare relay has neither TLS nor a log");
    }
    if proxy.servers > 1 {
        return Some("a bare relay has one server");
    }
    if client.reuse != Reuse::KeepAlive || matches!(task, Task::Idle(_)) {
        return Some("a bare relay has a server connection for each client connection");
    }
    None
}

fn free_port() -> Result<u16, Fatal> {
    let [port] = free_ports()?;
    Ok(port)
}

/// Ports that nobody has, all different.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], Fatal> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// A started program; it ends with this.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    scratch: tempfile::TempDir,
}

impl Running {
    /// Where it may write.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&mut self) -> Result<(), Fatal> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said =
                    fs::read_to_string(self.scratch.path().join("output")).unwrap_or_default();
                let how = ended.map_or("does not listen".to_owned(), |status| status.to_string());
                return Err(format!("{how}; it said: {said}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
