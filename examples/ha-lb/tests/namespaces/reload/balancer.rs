//! The balancer's half of a reload: its successor takes over on the same sockets, or the one before stays.

use super::*;

fn asking(node: &Node, address: &str, over: &AtomicBool, served: &AtomicUsize) -> Vec<String> {
    let mut failed = Vec::new();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close";
    let asked = node.host.run(|| {
        while !over.load(Ordering::SeqCst) {
            match get(address.parse().unwrap(), request, PATIENCE) {
                Ok(answer) if answer.status == 200 => {
                    served.fetch_add(1, Ordering::SeqCst);
                }
                other => failed.push(format!("{other:?}")),
            }
        }
        Ok(failed)
    });
    asked.unwrap()
}

fn haproxy(global: &str, port: u16) -> String {
    format!(
        "global\n nbthread 2\n{global}defaults\n mode http\n timeout client 5s\n timeout server 5s\n \
         timeout connect 5s\nlisten web\n bind *:{port}\n http-request return status 200\n"
    )
}

#[test]
fn a_balancer_in_another_chroot_takes_over_on_the_same_sockets() {
    enclosed(
        "reload::balancer::a_balancer_in_another_chroot_takes_over_on_the_same_sockets",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let cfg = node.path("haproxy.cfg");
            fs::write(&cfg, haproxy("", 80)).unwrap();
            node.start(None, &[&cfg]);
            let first = node.ask("/balancer/pid").unwrap();
            let jail = node.path("jail");
            fs::create_dir(&jail).unwrap();
            let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
            thread::scope(|scope| {
                let client = scope.spawn(|| asking(&node, "10.77.0.11:80", &over, &served));
                let more = || {
                    let wanted = served.load(Ordering::SeqCst) + 50;
                    wait_for("requests", PATIENCE, || {
                        (served.load(Ordering::SeqCst) >= wanted).then_some(())
                    });
                };
                more();
                let pidfile = node.path("run/ha.pid");
                let global = format!(
                    " chroot {}\n pidfile {}\n",
                    jail.display(),
                    pidfile.display()
                );
                fs::write(&cfg, haproxy(&global, 80)).unwrap();
                let reload = hang_up(&node, 1);
                assert_eq!(reload["applied"], true, "{reload}");
                assert!(reload["changes"].to_string().contains("chroot"), "{reload}");
                let second = wait_for("another balancer", PATIENCE, || {
                    let status = node.status()?;
                    let pid = status["balancer"]["pid"].clone();
                    (status["balancer"]["ready"] == true && pid != first).then_some(pid)
                });
                let root = fs::read_link(format!("/proc/{second}/root")).unwrap();
                assert_eq!(root, jail);
                let supervisor = node.ask("/supervisor/pid").unwrap();
                let written = fs::read_to_string(&pidfile).unwrap();
                assert_eq!(written.trim(), supervisor.to_string());
                more();
                wait_for("the first one ends", PATIENCE, || {
                    (!Path::new(&format!("/proc/{first}/exe")).exists()).then_some(())
                });
                over.store(true, Ordering::SeqCst);
                assert_eq!(
                    client.join().unwrap(),
                    Vec::<String>::new(),
                    "{}",
                    node.log()
                );
                fs::write(
                    &cfg,
                    haproxy(&global, 80).replace(&pidfile.display().to_string(), "/run/b.pid"),
                )
                .unwrap();
                assert_eq!(hang_up(&node, 2)["applied"], true, "{}", node.log());
                assert!(!pidfile.exists() && node.path("run/b.pid").exists());
            });
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        },
    );
}

#[test]
fn a_balancer_that_cannot_take_over_leaves_the_one_before_and_the_files_can_be_mended() {
    enclosed(
        "reload::balancer::a_balancer_that_cannot_take_over_leaves_the_one_before_and_the_files_can_be_mended",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let cfg = node.path("haproxy.cfg");
            fs::write(&cfg, haproxy("", 80)).unwrap();
            node.start(None, &[&cfg]);
            let serves = |what: &str| {
                let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close";
                let address = "10.77.0.11:80".parse().unwrap();
                let asked = node.host.run(|| Ok(get(address, request, PATIENCE)));
                assert_eq!(asked.unwrap().unwrap().status, 200, "{what}");
            };
            wait_for("the first one", PATIENCE, || {
                (node.ask("/balancer/ready")? == true).then_some(())
            });
            // A user that exists and that nobody can become in this enclosure.
            fs::write(&cfg, haproxy(" user haproxy\n", 80)).unwrap();
            assert_eq!(hang_up(&node, 1)["applied"], true, "{}", node.log());
            wait_for("it fails", PATIENCE, || {
                node.log().contains("balancer: ").then_some(())
            });
            serves("the one before");
            fs::write(&cfg, haproxy("", 80)).unwrap();
            assert_eq!(hang_up(&node, 2)["applied"], true, "{}", node.log());
            wait_for("another balancer", PATIENCE, || {
                (node.ask("/balancer/ready")? == true).then_some(())
            });
            serves("the next one");
            let supervisor = node.ask("/supervisor/pid").unwrap();
            wait_for("the one before ends", PATIENCE, || {
                let path = format!("/proc/{supervisor}/task/{supervisor}/children");
                let list = fs::read_to_string(path).unwrap();
                (list.split_whitespace().count() == 1).then_some(())
            });
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        },
    );
}

#[test]
fn either_half_begins_and_ends_with_the_files() {
    enclosed(
        "reload::balancer::either_half_begins_and_ends_with_the_files",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let (conf, cfg) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
            let told = node.path("told");
            let (log, fifo) = (told.display(), node.path("fifo"));
            let notify = node.script("notify", &format!("echo $1 $2 $3 $4 >> {log}"));
            let deleted = node.script("deleted", &format!("echo script $# >> {log}"));
            let vrrp = |more: &str| {
                let words = format!(" notify {}\n{more} ", notify.display());
                let global = format!("global_defs {{\n vrrp_notify_fifo {}\n}}\n", fifo.display());
                let one = instance("A", 51, VIP)
                    .replace(" version 3\n", &format!(" version 3\n{words}\n"));
                global + &one
            };
            fs::write(&conf, "global_defs {\n}\n").unwrap();
            fs::write(&cfg, haproxy("", 80)).unwrap();
            node.start(Some(&conf), &[&cfg]);
            assert_eq!(node.ask("/vrrp"), Some(Value::Null));

            // The first virtual router, and a fifo.
            let marker = format!(" notify_deleted {}\n", deleted.display());
            fs::write(&conf, vrrp(&marker)).unwrap();
            let reload = hang_up(&node, 1);
            assert_eq!(reload["applied"], true, "{reload}\n{}", node.log());
            wait_for("the speaker", PATIENCE, || {
                (node.state() == "Active" && node.holds(VIP)).then_some(())
            });
            let mut options = fs::OpenOptions::new();
            let mut lines = options.read(true).write(true).open(&fifo).unwrap();
            let balancer = node.ask("/balancer/pid").unwrap();

            // The last proxy goes, then comes again.
            fs::write(&cfg, "global\n nbthread 2\n").unwrap();
            assert_eq!(hang_up(&node, 2)["applied"], true, "{}", node.log());
            assert_eq!(node.ask("/balancer"), Some(Value::Null));
            wait_for("the balancer ends", PATIENCE, || {
                (!Path::new(&format!("/proc/{balancer}/exe")).exists()).then_some(())
            });
            let refused = node
                .host
                .run(|| Ok(TcpStream::connect("10.77.0.11:80").is_err()));
            assert!(refused.unwrap());
            fs::write(&cfg, haproxy("", 80)).unwrap();
            assert_eq!(hang_up(&node, 3)["applied"], true, "{}", node.log());
            let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close";
            wait_for("the balancer", PATIENCE, || {
                let asked = node
                    .host
                    .run(|| Ok(get("10.77.0.10:80".parse().unwrap(), request, PATIENCE).is_ok()));
                asked.unwrap().then_some(())
            });
            assert_eq!(node.state(), "Active");

            // The last virtual router goes: its scripts hear of it, the fifo closes.
            fs::write(&conf, "global_defs {\n}\n").unwrap();
            assert_eq!(hang_up(&node, 4)["applied"], true, "{}", node.log());
            wait_for("the address is gone", PATIENCE, || {
                (!node.holds(VIP)).then_some(())
            });
            let said = wait_for("DELETED", PATIENCE, || {
                let said = fs::read_to_string(&told).unwrap_or_default();
                said.contains("DELETED").then_some(said)
            });
            let expected =
                "INSTANCE A BACKUP 100\nINSTANCE A MASTER 100\nscript 0\nINSTANCE A DELETED 100\n";
            assert_eq!(said, expected);
            let mut heard = [0; 256];
            let count = lines.read(&mut heard).unwrap();
            let heard = String::from_utf8_lossy(&heard[..count]).into_owned();
            assert!(heard.starts_with("INSTANCE \"A\" BACKUP 100\n"), "{heard}");
            wait_for("the fifo goes", PATIENCE, || (!fifo.exists()).then_some(()));
            assert_eq!(node.ask("/vrrp"), Some(Value::Null));

            // Nothing at all is no configuration.
            fs::write(&cfg, "global\n nbthread 2\n").unwrap();
            let reload = hang_up(&node, 5);
            assert_eq!(reload["applied"], false, "{reload}");
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        },
    );
}
