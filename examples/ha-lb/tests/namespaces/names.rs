//! Debian 12's two unit files by symlink, and who finds the processes by name.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use ha_lb::lab::{Lab, Origin};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(15);
const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// systemd as far as these units need it: variables, the notification socket, signals to the main process.
struct Unit {
    node: Node,
    folder: PathBuf,
    variables: Vec<(&'static str, &'static str)>,
    socket: UnixDatagram,
    main: Option<Child>,
}

impl Unit {
    fn new(node: Node, scratch: &Path, variables: &[(&'static str, &'static str)]) -> Self {
        let folder = scratch.join("sbin");
        fs::create_dir(&folder).unwrap();
        for name in ["haproxy", "keepalived"] {
            std::os::unix::fs::symlink(HA_LB, folder.join(name)).unwrap();
        }
        let socket = UnixDatagram::bind(scratch.join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            node,
            folder,
            variables: variables.to_vec(),
            socket,
            main: None,
        }
    }

    /// Words of an `Exec...=` line; a variable that stands alone is split at blanks.
    fn words(&self, line: &str) -> Vec<String> {
        let value = |name: &str| {
            let found = self.variables.iter().find(|(known, _)| *known == name);
            found.map_or("", |(_, value)| *value)
        };
        line.replace("/usr/sbin", &self.folder.display().to_string())
            .split_whitespace()
            .flat_map(|word| match word.strip_prefix('$') {
                Some(name) => value(name).split_whitespace().map(str::to_owned).collect(),
                None => vec![word.to_owned()],
            })
            .collect()
    }

    fn start(&mut self, line: &str) -> u32 {
        let socket = self.folder.with_file_name("notify");
        let child = self
            .node
            .command("env")
            .arg(format!("NOTIFY_SOCKET={}", socket.display()))
            .arg(format!("TMPDIR={}", self.folder.display()))
            .args(self.words(line))
            .output(self.node.path("log"))
            .spawn()
            .unwrap();
        let pid = child.id();
        self.main = Some(child);
        self.hears(&format!("READY=1\nMAINPID={pid}"));
        pid
    }

    /// Waits for this datagram; others are dropped.
    fn hears(&mut self, words: &str) {
        wait_for(&format!("{words}\n{}", self.node.log()), PATIENCE, || {
            let ended = self.main.as_mut().and_then(|main| main.try_wait().unwrap());
            let mut buffer = [0; 512];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                if String::from_utf8_lossy(&buffer[..length]).starts_with(words) {
                    return Some(());
                }
            }
            assert!(ended.is_none(), "{ended:?}\n{}", self.node.log());
            None
        });
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.main.as_ref().unwrap()), signal).unwrap();
    }

    fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.main.take().unwrap().wait().unwrap().code()
    }
}

/// Process numbers that a program prints.
fn found(program: &str, arguments: &[&str]) -> BTreeSet<u32> {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn killall(name: &str) -> bool {
    Command::new("killall")
        .args(["-q", "-0", name])
        .status()
        .unwrap()
        .success()
}

fn answer(node: &Node, address: &str) -> String {
    let address = address.to_owned();
    node.host
        .run(|| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            Ok(text)
        })
        .unwrap()
}

#[test]
fn debian_s_haproxy_unit_runs_verbatim() {
    enclosed(
        "names::debian_s_haproxy_unit_runs_verbatim",
        Needs::Users,
        &["unshare", "ip", "pidof", "killall", "pgrep"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let _origin =
                Origin::start(&node.host, "10.77.0.11:8080".parse().unwrap(), "web").unwrap();
            // The package's own file, and something to do.
            let config = "global\n log /dev/log local0\n log /dev/log local1 notice\n chroot /var/lib/haproxy\n \
                stats socket /run/haproxy/admin.sock mode 660 level admin\n stats timeout 30s\n user haproxy\n \
                group haproxy\n daemon\ndefaults\n log global\n mode http\n option httplog\n option dontlognull\n \
                timeout connect 5000\n timeout client 50000\n timeout server 50000\nlisten web\n bind *:80\n \
                server web 10.77.0.11:8080\n";
            fs::write(node.path("etc/haproxy/haproxy.cfg"), config).unwrap();
            fs::create_dir(node.path("run/haproxy")).unwrap();
            let mut unit = Unit::new(
                node,
                scratch.path(),
                &[
                    ("CONFIG", "/etc/haproxy/haproxy.cfg"),
                    ("PIDFILE", "/run/haproxy.pid"),
                    ("EXTRAOPTS", "-S /run/haproxy-master.sock"),
                ],
            );
            let pid = unit.start("/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS");
            assert!(answer(&unit.node, "10.77.0.11:80").starts_with("HTTP/1.1 200"));
            let pid_file = unit.node.path("run/haproxy.pid");
            assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{pid}\n"));
            // Master and worker, as with haproxy.
            let processes = found("pidof", &["haproxy"]);
            assert!(
                processes.contains(&pid) && processes.len() == 2,
                "{processes:?}"
            );
            assert_eq!(found("pgrep", &["-x", "haproxy"]), processes);
            assert!(killall("haproxy") && !killall("keepalived"));
            // Signals that are sent by name harm no one.
            for sent in [Signal::TTOU, Signal::TTIN, Signal::QUIT] {
                for found in &processes {
                    let found = Pid::from_raw(i32::try_from(*found).unwrap()).unwrap();
                    kill_process(found, sent).unwrap();
                }
            }
            for worker in processes.iter().filter(|p| **p != pid) {
                let worker = Pid::from_raw(i32::try_from(*worker).unwrap()).unwrap();
                kill_process(worker, Signal::USR1).unwrap();
                kill_process(worker, Signal::USR2).unwrap();
            }

            let check = unit.words("/usr/sbin/haproxy -Ws -f $CONFIG -c -q $EXTRAOPTS");
            let output = unit
                .node
                .command(&check[0])
                .args(&check[1..])
                .capture()
                .unwrap();
            assert!(
                output.status.success() && output.stdout.is_empty(),
                "{output:?}"
            );
            assert!(output.stderr.is_empty(), "{output:?}");
            let changed = config.replace("bind *:80", "bind *:80\n http-request deny");
            fs::write(unit.node.path("etc/haproxy/haproxy.cfg"), changed).unwrap();
            unit.signal(Signal::USR2);
            unit.hears("RELOADING=1");
            unit.hears("READY=1");
            wait_for("the new rule", PATIENCE, || {
                let answer = answer(&unit.node, "10.77.0.11:80");
                answer.starts_with("HTTP/1.1 403").then_some(())
            });
            assert!(found("pidof", &["haproxy"]).contains(&pid));

            // KillMode=mixed.
            assert_eq!(unit.stop(), Some(0), "{}", unit.node.log());
            unit.hears("STOPPING=1");
            assert!(!pid_file.exists() && !killall("haproxy"));
        },
    );
}

#[test]
fn debian_s_keepalived_unit_runs_verbatim() {
    enclosed(
        "names::debian_s_keepalived_unit_runs_verbatim",
        Needs::Users,
        &["unshare", "ip", "pidof", "killall"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let config = "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n advert_int \
                1\n version 3\n virtual_ipaddress {\n 10.77.0.10\n }\n}\n";
            fs::write(node.path("etc/keepalived/keepalived.conf"), config).unwrap();
            let mut unit = Unit::new(node, scratch.path(), &[("DAEMON_ARGS", "")]);
            let line = "/usr/sbin/keepalived --dont-fork $DAEMON_ARGS";
            let pid = unit.start(line);
            let number = |name: &str| -> u32 {
                let text = fs::read_to_string(unit.node.path(name)).unwrap();
                text.trim().parse().unwrap()
            };
            assert_eq!(number("run/keepalived.pid"), pid);
            let both = BTreeSet::from([pid, number("run/vrrp.pid")]);
            assert_eq!(found("pidof", &["keepalived"]), both);
            assert!(killall("keepalived") && !killall("haproxy"));
            wait_for("the address", PATIENCE, || {
                unit.node.holds("10.77.0.10").then_some(())
            });
            // A second one leaves the first alone.
            let words = unit.words(line);
            let second = unit
                .node
                .command(&words[0])
                .args(&words[1..])
                .capture()
                .unwrap();
            assert_eq!(second.status.code(), Some(1));
            let told = String::from_utf8_lossy(&second.stderr).into_owned();
            assert!(told.contains("already running"), "{told}");
            for signal in [Signal::USR1, Signal::USR2] {
                unit.signal(signal);
            }
            unit.signal(Signal::HUP);
            unit.hears("READY=1");
            assert!(unit.node.holds("10.77.0.10"));
            assert_eq!(unit.stop(), Some(0), "{}", unit.node.log());
            assert!(!unit.node.holds("10.77.0.10"));
            assert!(!unit.node.path("run/keepalived.pid").exists());
            assert!(!unit.node.path("run/vrrp.pid").exists());
        },
    );
}

#[test]
fn the_daemon_of_both_is_found_by_both_names() {
    enclosed(
        "names::the_daemon_of_both_is_found_by_both_names",
        Needs::Namespaces,
        &["unshare", "ip", "pidof", "killall", "pgrep"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let (keepalived, haproxy) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
            let text = "vrrp_script chk {\n script \"killall -0 haproxy\"\n}\nvrrp_instance VI_1 {\n interface eth0\n \
                virtual_router_id 51\n virtual_ipaddress {\n 10.77.0.10\n }\n track_script {\n chk\n }\n}\n";
            fs::write(&keepalived, text).unwrap();
            let text = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nlisten x\n \
                bind *:80\n server s 10.77.0.11:8080\n";
            fs::write(&haproxy, text).unwrap();
            node.start(Some(&keepalived), &[&haproxy]);
            let ready = wait_for("both serve", PATIENCE, || {
                let status = node.status()?;
                let ready = status["balancer"]["ready"] == true && status["vrrp"]["ready"] == true;
                ready.then_some(status)
            });
            for (role, name) in [("balancer", "haproxy"), ("vrrp", "keepalived")] {
                let pid = u32::try_from(ready[role]["pid"].as_u64().unwrap()).unwrap();
                assert_eq!(found("pidof", &[name]), BTreeSet::from([pid]), "{name}");
                assert_eq!(
                    found("pgrep", &["-x", name]),
                    BTreeSet::from([pid]),
                    "{name}"
                );
                assert!(killall(name), "{name}");
            }
            assert_eq!(ready["scripts"][0]["answered_by"], "balancer", "{ready}");
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        },
    );
}

#[test]
fn a_file_may_name_namespace_instance_and_how_it_is_scheduled() {
    enclosed(
        "names::a_file_may_name_namespace_instance_and_how_it_is_scheduled",
        Needs::Users,
        &["unshare", "ip", "nsenter"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let steps = node.path("steps");
            let step = node.script("step", &format!("echo $1 >> {}", steps.display()));
            let config = "net_namespace blue\ninstance one\nglobal_defs {\n startup_script \"STEP up\"\n \
                shutdown_script \"STEP down\"\n script_user root\n umask 022\n vrrp_priority 5\n \
                vrrp_cpu_affinity 0\n vrrp_no_swap\n vrrp_rt_priority 3\n vrrp_rlimit_rttime 500000\n}\nvrrp_instance VI_1 {\n interface blue0\n \
                virtual_router_id 51\n version 3\n advert_int 0.1\n virtual_ipaddress {\n 10.88.0.10\n }\n}\n";
            let config = config.replace("STEP", &step.display().to_string());
            fs::write(node.path("etc/keepalived/keepalived.conf"), config).unwrap();
            let own = scratch.path().join("keepalived");
            std::os::unix::fs::symlink(HA_LB, &own).unwrap();
            // What `ip netns` makes is seen by what the same shell starts.
            let script = format!(
                "ip netns add blue && ip -n blue link add blue0 type veth peer name blue1 && \
                 ip -n blue address add 10.88.0.1/24 dev blue0 && ip -n blue link set blue0 up && \
                 ip -n blue link set blue1 up && ip -n blue link set lo up && exec {} -n -l -P",
                own.display()
            );
            let mut daemon = node
                .command("sh")
                .args(["-c", &script])
                .output(node.path("log"))
                .spawn()
                .unwrap();
            let folder = node.path("run/keepalived/keepalived_blue");
            let speaker = wait_for(&format!("pid files\n{}", node.log()), PATIENCE, || {
                let number = |name: &str| fs::read_to_string(folder.join(name)).ok();
                number("keepalived_one.pid")?;
                number("vrrp_one.pid")?.trim().parse::<u32>().ok()
            });
            wait_for("the address in the namespace", PATIENCE, || {
                let output = Command::new("nsenter")
                    .args(["-t", &speaker.to_string(), "-n", "ip", "-o", "address"])
                    .output()
                    .unwrap();
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.contains("10.88.0.10/32").then_some(())
            });
            assert!(!node.holds("10.88.0.10"));
            assert_eq!(
                fs::read_to_string(&steps).unwrap(),
                "up\n",
                "{}",
                node.log()
            );
            let status = fs::read_to_string(format!("/proc/{speaker}/status")).unwrap();
            assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
            // What writes log lines keeps out of its way.
            let processors = |status: &str| {
                let mut lines = status.lines();
                let line = lines.find(|line| line.starts_with("Cpus_allowed_list:"));
                line.map(str::to_owned)
            };
            let threads = fs::read_dir(format!("/proc/{speaker}/task")).unwrap();
            // One may end while one looks.
            let read = |one: fs::DirEntry| fs::read_to_string(one.path().join("status")).ok();
            let mut statuses = threads.filter_map(|one| read(one.unwrap()));
            let log = statuses.find(|status| status.starts_with("Name:\tlog\n"));
            let own = fs::read_to_string("/proc/self/status").unwrap();
            assert_eq!(processors(&log.unwrap()), processors(&own));
            let stat = fs::read_to_string(format!("/proc/{speaker}/stat")).unwrap();
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            assert_eq!(fields[16], "5", "nice: {stat}");
            let limits = fs::read_to_string(format!("/proc/{speaker}/limits")).unwrap();
            let limit = limits
                .lines()
                .find(|line| line.starts_with("Max realtime timeout"));
            assert!(limit.unwrap().contains("500000"), "{limits}");
            locked_or_told(&status, &node.log());
            kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
            assert_eq!(daemon.wait().unwrap().code(), Some(0), "{}", node.log());
            assert_eq!(
                fs::read_to_string(&steps).unwrap(),
                "up\ndown\n",
                "{}",
                node.log()
            );
            assert!(!folder.join("keepalived_one.pid").exists());
        },
    );
}

/// `vrrp_no_swap`: the program is in memory and stays there, or the log says why not (this enclosure's rights are not the
/// machine's).
fn locked_or_told(status: &str, log: &str) {
    let kilobytes = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    if log.contains("`vrrp_no_swap` has no effect: ") {
        assert_eq!(kilobytes("VmLck:"), 0, "{status}");
    } else {
        // All that was there at the start, its code above all.
        assert!(kilobytes("VmLck:") > kilobytes("VmExe:"), "{status}");
    }
}

#[test]
fn signals_are_heard_while_startup_script_runs() {
    enclosed(
        "names::signals_are_heard_while_startup_script_runs",
        Needs::Users,
        &[],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let (steps, gate) = (node.path("steps"), node.path("gate"));
            let up = node.script(
                "up",
                &format!(
                    "echo $$ >> {}\nwhile [ ! -e {} ]; do sleep 0.05; done",
                    steps.display(),
                    gate.display()
                ),
            );
            let down = node.script("down", &format!("echo down >> {}", steps.display()));
            let config = node.path("keepalived.conf");
            let text = format!(
                "use_pid_dir\nglobal_defs {{\n startup_script \"{}\"\n startup_script_timeout 60\n \
                 shutdown_script \"{}\"\n script_user root\n umask 027\n}}\nvrrp_instance VI_1 {{\n interface eth0\n \
                 virtual_router_id 51\n virtual_ipaddress {{\n 10.77.0.100\n }}\n}}\n",
                up.display(),
                down.display()
            );
            fs::write(&config, text).unwrap();
            let start = || {
                let _ = fs::remove_file(&steps);
                let daemon = node
                    .command(HA_LB)
                    .args(["run", "-k"])
                    .arg(&config)
                    .arg("--control")
                    .arg(node.path("control"))
                    .output(node.path("log"))
                    .spawn()
                    .unwrap();
                let script = wait_for("the script of the start", PATIENCE, || {
                    let text = fs::read_to_string(&steps).ok()?;
                    Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
                });
                (daemon, script)
            };
            for signal in [Signal::TERM, Signal::INT] {
                let (mut daemon, script) = start();
                kill_process(Pid::from_child(&daemon), signal).unwrap();
                assert_eq!(daemon.wait().unwrap().code(), Some(0), "{}", node.log());
                let told = fs::read_to_string(&steps).unwrap();
                let mode = fs::metadata(&steps).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o640, "umask 027");
                assert!(told.ends_with("down\n"), "{told}\n{}", node.log());
                let stat = format!("/proc/{}/stat", script.as_raw_nonzero());
                wait_for("the end of the script", PATIENCE, || {
                    let stat = fs::read_to_string(&stat);
                    stat.map_or(true, |stat| stat.contains(") Z "))
                        .then_some(())
                });
            }
            let (mut daemon, _) = start();
            kill_process(Pid::from_child(&daemon), Signal::HUP).unwrap();
            fs::write(&gate, "").unwrap();
            wait_for("the reload after the start", PATIENCE, || {
                let log = node.log();
                log.contains("SIGHUP: reading the configuration again")
                    .then_some(())
            });
            assert!(node.log().contains("`use_pid_dir` has no effect here"));
            kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
            assert_eq!(daemon.wait().unwrap().code(), Some(0), "{}", node.log());
        },
    );
}
