//! `ha-lb upgrade` while this host holds an address and serves: nothing moves, nothing is refused, adverts go on.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ha_lb::lab::{Host, Lab, Origin, Prober, get};

use crate::{
    adverts::Adverts,
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(1);
/// How late an advert may be: as late as the protocol allows with adverts every 300 ms, and this machine may have other
/// work.
const SLACK: Duration = Duration::from_millis(600);

/// A client that asks without keep-alive, as fast as it can.
struct Client<'a> {
    served: &'a AtomicUsize,
    failed: &'a Mutex<Vec<String>>,
    over: &'a AtomicBool,
}

impl Client<'_> {
    fn run(&self, host: &Host) {
        let request = format!("GET / HTTP/1.1\r\nHost: {VIP}\r\nConnection: close");
        let asked = host.run(|| {
            while !self.over.load(Ordering::SeqCst) {
                match get(format!("{VIP}:80").parse().unwrap(), &request, PATIENCE) {
                    Ok(answer) if answer.status == 200 => {
                        self.served.fetch_add(1, Ordering::SeqCst);
                    }
                    other => self.failed.lock().unwrap().push(format!("{other:?}")),
                }
            }
            Ok(())
        });
        asked.unwrap();
    }
}

/// Ends the client when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn upgrade(node: &Node, program: Option<&Path>) -> Output {
    let mut command = node.command(&node.program).arg("upgrade");
    if let Some(program) = program {
        command = command.arg(program);
    }
    let control = node.path("control");
    command.arg("--control").arg(control).capture().unwrap()
}

fn succeeds(node: &Node, program: Option<&Path>) {
    let output = upgrade(node, program);
    assert!(output.status.success(), "{output:?}\n{}", node.log());
}

/// The file is replaced as a package manager does.
fn replace(program: &Path) {
    let new = program.with_extension("new");
    fs::copy(program, &new).unwrap();
    fs::rename(new, program).unwrap();
}

fn instance(version: u8, interval: &str, priority: u8, more: &str) -> String {
    format!(
        "vrrp_track_file maintenance {{\n file /dev/null\n}}\nvrrp_track_process itself {{\n process ha-lb\n}}\n\
         vrrp_instance VI_1 {{\n track_file {{\n maintenance\n }}\n track_process {{\n itself\n }}\n version {version}\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
         priority {priority}\n advert_int {interval}\n virtual_ipaddress {{\n {VIP}\n }}\n {more}\n}}\n"
    )
}

fn haproxy() -> &'static str {
    "global\n nbthread 2\n stats socket /run/haproxy.sock mode 600 level admin\n\
     defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
     listen web\n bind *:80\n server web 10.77.0.21:8080 check inter 200ms\n"
}

/// Copies the program under test to where it may be replaced.
fn own_program(node: &mut Node) {
    let path = node.path("ha-lb");
    fs::copy(&node.program, &path).unwrap();
    node.program = path;
}

/// Two hosts, the first preferred and Active, a web server and two hosts that look on.
struct Site {
    node: Node,
    peer: Node,
    client: Host,
    probe: Prober,
    adverts: Adverts,
    /// What the notify script of the first wrote.
    notified: PathBuf,
    notify: String,
    _origin: (Host, Origin),
    _probing: Host,
    _lab: Lab,
}

impl Site {
    fn start(scratch: &Path) -> Self {
        let lab = Lab::new().unwrap();
        let mut node = Node::new(&lab, scratch, "h1", "eth0", &["10.77.0.11/24"]);
        let mut peer = Node::new(&lab, scratch, "h2", "eth0", &["10.77.0.12/24"]);
        let host = |name: &str, addresses: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            lab.host(name, "eth0", &addresses).unwrap()
        };
        let (client, probing) = (host("client", &["10.77.0.20/24"]), host("probe", &[]));
        let web = host("web", &["10.77.0.21/24"]);
        let origin = Origin::start(&web, "10.77.0.21:8080".parse().unwrap(), "web").unwrap();
        own_program(&mut node);
        let notified = node.path("notified");
        let script = node.script("notify", &format!("echo $3 >> {}", notified.display()));
        let notify = format!("notify {}", script.display());
        for (host, priority, more) in [(&mut node, 150, notify.as_str()), (&mut peer, 100, "")] {
            let (conf, cfg) = (host.path("k.conf"), host.path("h.cfg"));
            fs::write(&conf, instance(3, "1", priority, more)).unwrap();
            fs::write(&cfg, haproxy()).unwrap();
        }
        node.start(Some(&node.path("k.conf")), &[&node.path("h.cfg")]);
        wait_for("h1 is Active", PATIENCE, || {
            (node.state() == "Active" && node.holds(VIP)).then_some(())
        });
        // It hears the first from its start on.
        peer.start(Some(&peer.path("k.conf")), &[&peer.path("h.cfg")]);
        wait_for("the notify script", PATIENCE, || {
            let lines = fs::read_to_string(&notified).unwrap_or_default();
            lines.ends_with("MASTER\n").then_some(())
        });
        let vip = "10.77.0.10:80".parse().unwrap();
        let from = "10.77.0.99".parse().unwrap();
        let probe = Prober::start(&probing, from, vip, &[&node.host, &peer.host]).unwrap();
        wait_for("the prober hears", PATIENCE, || {
            let steady = probe.look(|h| h.steady(Instant::now(), Duration::from_millis(100)));
            (steady == [0]).then_some(())
        });
        Self {
            adverts: Adverts::of("10.77.0.11".parse().unwrap(), &peer.host),
            node,
            peer,
            client,
            probe,
            notified,
            notify,
            _origin: (web, origin),
            _probing: probing,
            _lab: lab,
        }
    }

    /// Runs `work` while a client asks; `work` is given the means to wait for so many more requests. How many there
    /// were.
    fn under_load(&self, work: impl FnOnce(&dyn Fn(usize))) -> usize {
        let (served, failed) = (AtomicUsize::new(0), Mutex::default());
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking = Client {
                served: &served,
                failed: &failed,
                over: &over,
            };
            let client = &self.client;
            scope.spawn(move || asking.run(client));
            // Also after a failure, so that it is told.
            let _ends = Ends(&over);
            work(&|count| {
                let wanted = served.load(Ordering::SeqCst) + count;
                wait_for("requests", PATIENCE, || {
                    (served.load(Ordering::SeqCst) >= wanted).then_some(())
                });
            });
        });
        let log = self.node.log();
        assert_eq!(*failed.lock().unwrap(), Vec::<String>::new(), "{log}");
        served.load(Ordering::SeqCst)
    }

    /// Nobody on the wire has noticed anything since `began`.
    fn assert_undisturbed(&self, began: Instant, served: usize) {
        let history = self.probe.history();
        let silence = history.longest_silence(began, Instant::now()).length();
        let (gap, pause) = (self.adverts.longest_gap(), history.longest_pause(began));
        println!(
            "{served} requests, adverts at most {gap:?} apart, the address silent for at most {silence:?} (the \
             prober for {pause:?})"
        );
        assert!(gap < INTERVAL + SLACK + pause, "{gap:?}");
        assert!(silence < Duration::from_millis(100) + pause, "{silence:?}");
        assert_eq!(history.heard(began), [0], "only h1 answers");
        let log = self.peer.log();
        assert!(!log.contains("-> Active"), "{log}");
    }
}

#[test]
fn two_upgrades_move_no_address_and_fail_no_request() {
    enclosed(
        "upgrade::two_upgrades_move_no_address_and_fail_no_request",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut site = Site::start(scratch.path());
            let node = &site.node;
            let said = fs::read_to_string(&site.notified).unwrap();
            let since = node.ask("/instances/0/last_transition").unwrap();
            let history = node.ask("/instances/0/transitions").unwrap();
            let supervisor = node.ask("/supervisor/pid").unwrap();
            let other = node.path("ha-lb-2");
            fs::copy(&node.program, &other).unwrap();
            let began = Instant::now();
            let served = site.under_load(|more| {
                more(50);
                succeeds(node, Some(&other));
                more(50);
                assert_eq!(speaker_program(node), other);
                replace(&other);
                succeeds(node, None);
                more(50);
                vanishing(node, &other);
                more(50);
                // What is no program, or another one, changes nothing.
                let refused = upgrade(node, Some(&node.path("k.conf")));
                assert!(!refused.status.success(), "{refused:?}");
                let refused = upgrade(node, Some(Path::new("/bin/true")));
                let told = String::from_utf8_lossy(&refused.stderr).into_owned();
                assert!(told.contains("/bin/true is no ha-lb"), "{told}");
                let seen = site.adverts.count();
                wait_for("adverts", PATIENCE, || {
                    (site.adverts.count() > seen + 2).then_some(())
                });
            });
            site.assert_undisturbed(began, served);
            // It is the same daemon: process, state, last change; scripts were not run again.
            assert_eq!(node.ask("/supervisor/pid").unwrap(), supervisor);
            assert_eq!(node.ask("/instances/0/last_transition").unwrap(), since);
            assert_eq!(node.ask("/instances/0/transitions").unwrap(), history);
            assert_eq!(node.ask("/upgrade/number").unwrap(), 3);
            assert_eq!(fs::read_to_string(&site.notified).unwrap(), said);
            // It is whole: it reloads, and it resigns.
            fs::write(node.path("k.conf"), instance(3, "1", 140, &site.notify)).unwrap();
            node.signal(&["supervisor"], rustix::process::Signal::HUP);
            wait_for("the reload", PATIENCE, || {
                (node.ask("/instances/0/effective_priority")? == 140).then_some(())
            });
            assert_eq!(children(&supervisor), 2, "of the programs before");
            assert_eq!(site.node.terminate(), Some(0), "{}", site.node.log());
            assert!(!site.node.holds(VIP));
            wait_for("h2 takes over", PATIENCE, || {
                (site.peer.state() == "Active").then_some(())
            });
        },
    );
}

/// A program that is gone once it was asked: the daemon goes on as it was, with other processes.
fn vanishing(node: &Node, program: &Path) {
    let path = node.path("vanishing");
    let script = format!(
        "#!/bin/sh\nrm {}\nexec {} \"$@\"\n",
        path.display(),
        program.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let output = upgrade(node, Some(&path));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{output:?}");
    assert!(told.contains("the program before goes on"), "{told}");
    assert_eq!(speaker_program(node), program);
}

/// The program file of the daemon's speaker.
fn speaker_program(node: &Node) -> PathBuf {
    let pid = node.ask("/vrrp/pid").unwrap();
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

/// How many processes the supervisor has, once those that end have ended.
fn children(supervisor: &serde_json::Value) -> usize {
    let path = format!("/proc/{supervisor}/task/{supervisor}/children");
    let count = || {
        let list = fs::read_to_string(&path).unwrap_or_default();
        list.split_whitespace().count()
    };
    let deadline = Instant::now() + PATIENCE;
    while count() > 2 && Instant::now() < deadline {
        thread::yield_now();
    }
    count()
}

#[test]
fn keepalived_hears_authenticated_adverts_count_on_over_an_upgrade_and_a_reload() {
    enclosed(
        "upgrade::keepalived_hears_authenticated_adverts_count_on_over_an_upgrade_and_a_reload",
        Needs::Namespaces,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let mut peer = Node::new(&lab, scratch.path(), "h2", "eth0", &["10.77.0.12/24"]);
            let ah = "authentication {\n auth_type AH\n auth_pass 1234\n }";
            let (conf, theirs) = (node.path("k.conf"), peer.path("k.conf"));
            fs::write(&conf, instance(2, "1", 150, ah)).unwrap();
            fs::write(&theirs, instance(2, "1", 100, ah)).unwrap();
            peer.start_keepalived(&theirs);
            node.start(Some(&conf), &[]);
            wait_for("h1 is Active", PATIENCE, || {
                (node.state() == "Active" && !peer.holds(VIP)).then_some(())
            });
            let adverts = Adverts::of("10.77.0.11".parse().unwrap(), &peer.host);
            wait_for("an advert", PATIENCE, || {
                (adverts.count() >= 1).then_some(())
            });
            let said = peer.log().matches("Entering MASTER").count();
            let program = node.program.clone();
            succeeds(&node, Some(&program));
            // Nor does a reload begin anew.
            fs::write(&conf, instance(2, "1", 140, ah)).unwrap();
            node.signal(&["supervisor"], rustix::process::Signal::HUP);
            wait_for("the reload", PATIENCE, || {
                (node.ask("/instances/0/effective_priority")? == 140).then_some(())
            });
            let seen = adverts.count();
            wait_for("adverts", PATIENCE, || {
                (adverts.count() >= seen + 4).then_some(())
            });
            let sequences = adverts.sequences();
            let steps: Vec<u32> = sequences.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(steps.iter().all(|step| *step == 1), "{sequences:?}");
            assert!(!peer.holds(VIP), "{}", peer.log());
            assert_eq!(peer.log().matches("Entering MASTER").count(), said);
        },
    );
}
