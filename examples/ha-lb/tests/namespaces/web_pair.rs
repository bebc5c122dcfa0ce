//! `web-pair/`: two web servers, nginx watched by `killall -0 nginx` with a weight, AH, a source address of the
//! operator's choice, braces on the next line; and the variant that does not preempt.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed, users_file, wait_for},
};

const VIP: &str = "10.2.3.169";
/// A script's 2 s, then 3.6 s of silence; the rest is starting.
const ELECTION: Duration = Duration::from_secs(15);
const PROGRAMS: [&str; 3] = ["unshare", "ip", "killall"];

struct Pair {
    web1: Node,
    web2: Node,
    /// What `killall -0 nginx` finds.
    _nginx: Child,
}

impl Pair {
    /// Each host has an address before the one that adverts are to come from.
    fn new(scratch: &Path, interface2: &str) -> Self {
        let lab = Lab::new().unwrap();
        let mut web1 = Node::new(
            &lab,
            scratch,
            "web1",
            "eth0",
            &["10.2.3.10/24", "10.2.3.110/24"],
        );
        let mut web2 = Node::new(
            &lab,
            scratch,
            "web2",
            interface2,
            &["10.2.3.11/24", "10.2.3.111/24"],
        );
        for web in [&mut web1, &mut web2] {
            give_processes_of_its_own(web);
        }
        let stand_in = scratch.join("nginx");
        fs::copy("/bin/sleep", &stand_in).unwrap();
        let nginx = web1.host.command(&stand_in).arg("600").spawn().unwrap();
        Self {
            web1,
            web2,
            _nginx: nginx,
        }
    }

    fn start(&mut self, file2: &str) {
        self.web1
            .start(Some(&users_file("web-pair/keepalived-web1.conf")), &[]);
        self.web2.start(Some(&users_file(file2)), &[]);
    }

    fn wait_for_only(&self, name: &str) {
        wait_for(&format!("only {name} holds the address"), ELECTION, || {
            let holders = [&self.web1, &self.web2].map(|web| web.holds(VIP));
            (holders == [name == "web1", name == "web2"]).then_some(())
        });
    }

    fn wait_for_priorities(&self, priorities: [u8; 2]) {
        let what = format!("priorities {priorities:?}");
        wait_for(&what, ELECTION, || {
            let now =
                [&self.web1, &self.web2].map(|web| web.ask("/instances/0/effective_priority"));
            (now == priorities.map(|priority| Some(priority.into()))).then_some(())
        });
    }
}

/// The hosts of the lab share one table of processes. `killall` is the machine's own unless `run/nginx.down` is there.
fn give_processes_of_its_own(web: &mut Node) {
    let killall = installed("killall");
    fs::copy(&killall, web.path("etc/killall")).unwrap();
    let wrapper = web.script(
        "etc/killall.sh",
        "test ! -e /run/nginx.down && exec /etc/killall \"$@\"",
    );
    web.lay_over(wrapper, killall);
}

fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = places.find(|place| place.exists()).unwrap();
    fs::canonicalize(found).unwrap()
}

#[test]
fn the_host_whose_nginx_runs_holds_the_address() {
    enclosed(
        "web_pair::the_host_whose_nginx_runs_holds_the_address",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut pair = Pair::new(scratch.path(), "eth0");
            pair.start("web-pair/keepalived-web2.conf");
            pair.wait_for_only("web1");
            pair.wait_for_priorities([104, 102]);
            let script = pair.web1.ask("/scripts/0/answered_by").unwrap();
            assert_eq!(script, "killall -0 nginx", "executed as written");
            let source = pair.web2.ask("/instances/0/peers/0/address").unwrap();
            assert_eq!(source, "10.2.3.110", "mcast_src_ip");

            pair.web1.flag("run/nginx.down", true);
            pair.wait_for_only("web2");
            pair.wait_for_priorities([100, 102]);
            pair.web1.flag("run/nginx.down", false);
            pair.wait_for_only("web1");
            for web in [&pair.web1, &pair.web2] {
                assert!(!web.log().contains("rejected"), "{}", web.log());
            }
        },
    );
}

#[test]
fn without_preemption_a_weight_moves_nothing() {
    enclosed(
        "web_pair::without_preemption_a_weight_moves_nothing",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut pair = Pair::new(scratch.path(), "ens32");
            pair.start("web-pair/keepalived-web2-nopreempt.conf");
            pair.wait_for_only("web1");
            let log = pair.web2.log();
            assert!(log.contains("a weight with `nopreempt`"), "{log}");

            pair.web1.flag("run/nginx.down", true);
            pair.wait_for_priorities([100, 102]);
            // One more advert of the lower priority has been heard, and is obeyed.
            let adverts = || pair.web2.ask("/instances/0/peers/0/priority");
            wait_for("web2 hears 100", ELECTION, || {
                (adverts()? == 100).then_some(())
            });
            assert_eq!(pair.web2.state(), "Backup");

            assert_eq!(pair.web1.terminate(), Some(0), "{}", pair.web1.log());
            pair.wait_for_only("web2");
            // web1's own file preempts: with nginx it is the higher again.
            pair.web1.flag("run/nginx.down", false);
            pair.web1
                .start(Some(&users_file("web-pair/keepalived-web1.conf")), &[]);
            pair.wait_for_only("web1");
        },
    );
}
