//! Debian's keepalived as the other host, with whole files. What it does on the wire is the matrix's: [`crate::interop`].

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use ha_lb::lab::Lab;

use crate::{
    node::{Node, write_certificate},
    support::{Needs, enclosed, users_file, wait_for},
};

/// Longest of the intervals below, three times, with the slowest skew and room for start-up.
const ELECTION: Duration = Duration::from_secs(15);

/// Two hosts: ours and one that runs keepalived.
pub(crate) struct Pair {
    lab: Lab,
    pub(crate) ours: Node,
    pub(crate) theirs: Node,
    vips: &'static [&'static str],
    our_files: (PathBuf, PathBuf),
    their_file: PathBuf,
    /// What `killall -0 haproxy` finds on keepalived's behalf.
    _haproxy: Child,
}

impl Pair {
    fn new(
        scratch: &Path,
        vips: &'static [&'static str],
        our_files: (PathBuf, PathBuf),
        their_file: PathBuf,
    ) -> Self {
        let lab = Lab::new().unwrap();
        let ours = Node::new(
            &lab,
            scratch,
            "ours",
            "ens37",
            &["192.168.10.11/24", "fd00:10::11/64"],
        );
        let theirs = Node::new(
            &lab,
            scratch,
            "theirs",
            "ens37",
            &["192.168.10.12/24", "fd00:10::12/64"],
        );
        write_certificate(&ours.path("etc/haproxy/ssl/server.pem"));
        let stand_in = scratch.join("haproxy");
        fs::copy("/bin/sleep", &stand_in).unwrap();
        let haproxy = theirs.host.command(&stand_in).arg("600").spawn().unwrap();
        Self {
            lab,
            ours,
            theirs,
            vips,
            our_files,
            their_file,
            _haproxy: haproxy,
        }
    }

    /// keepalived's file of our host.
    pub(crate) fn our_file(&self) -> &Path {
        &self.our_files.0
    }

    pub(crate) fn start_ours(&mut self) {
        self.ours
            .start(Some(&self.our_files.0), &[&self.our_files.1]);
    }

    pub(crate) fn start_theirs(&mut self) {
        self.theirs.start_keepalived(&self.their_file);
    }

    /// Whether a host holds all of the addresses.
    fn has_all(&self, node: &Node) -> bool {
        self.vips.iter().all(|vip| node.holds(vip))
    }

    fn has_none(&self, node: &Node) -> bool {
        !self.vips.iter().any(|vip| node.holds(vip))
    }

    pub(crate) fn wait_for_ours(&self) {
        wait_for("only ours holds the addresses", ELECTION, || {
            (self.has_all(&self.ours) && self.has_none(&self.theirs)).then_some(())
        });
    }

    pub(crate) fn wait_for_theirs(&self) {
        wait_for("only keepalived holds the addresses", ELECTION, || {
            (self.has_all(&self.theirs) && self.has_none(&self.ours)).then_some(())
        });
    }

    /// Ours is preferred: it holds the address, dies without a word, comes back, leaves in order.
    pub(crate) fn ours_is_preferred(mut self) {
        self.start_ours();
        self.start_theirs();
        self.wait_for_ours();

        self.lab.cut_cable(&self.ours.host).unwrap();
        self.ours.kill();
        wait_for("keepalived takes over", ELECTION, || {
            self.has_all(&self.theirs).then_some(())
        });

        self.lab.mend_cable(&self.ours.host).unwrap();
        self.start_ours();
        self.wait_for_ours();

        assert_eq!(self.ours.terminate(), Some(0), "{}", self.ours.log());
        wait_for(
            "keepalived takes over after priority 0",
            Duration::from_secs(5),
            || self.has_all(&self.theirs).then_some(()),
        );
        self.nobody_saw_a_bogus_packet();
    }

    /// keepalived is preferred: ours follows, takes over when it dies, and gives the address back.
    pub(crate) fn theirs_is_preferred(mut self) {
        self.start_theirs();
        self.start_ours();
        self.wait_for_theirs();

        self.theirs.kill_keepalived(self.vips);
        wait_for("ours takes over", ELECTION, || {
            self.has_all(&self.ours).then_some(())
        });
        self.start_theirs();
        self.wait_for_theirs();
        self.nobody_saw_a_bogus_packet();
    }

    pub(crate) fn nobody_saw_a_bogus_packet(&self) {
        let log = self.theirs.log();
        for word in ["bogus", "invalid", "Invalid", "mismatch", "checksum"] {
            assert!(!log.contains(word), "keepalived says {word:?}:\n{log}");
        }
        let rejected = self
            .ours
            .log()
            .lines()
            .filter(|line| line.contains("rejected"))
            .count();
        assert_eq!(rejected, 0, "{}", self.ours.log());
    }
}

/// Runs `scenario` for the users' AH files with us as master `ours` and keepalived as master `theirs`.
fn k8s_ingress(name: &str, (ours, theirs): (u8, u8), scenario: impl FnOnce(Pair)) {
    enclosed(
        name,
        Needs::Users,
        &["unshare", "ip", "openssl", "keepalived", "killall"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let file =
                |number: u8| users_file(&format!("k8s-ingress/keepalived-master{number}.conf"));
            let our_files = (file(ours), users_file("k8s-ingress/haproxy.cfg"));
            scenario(Pair::new(
                scratch.path(),
                &["192.168.10.10"],
                our_files,
                file(theirs),
            ));
        },
    );
}

/// Runs `scenario` with the same file on both hosts, but for priorities: `text` makes it of a host's number (11 is
/// ours, 12 is keepalived's) and priority.
pub(crate) fn with_files(
    name: &str,
    vips: &'static [&'static str],
    priorities: (u8, u8),
    text: impl Fn(u8, u8) -> String,
    scenario: impl FnOnce(Pair),
) {
    with_files_and(Needs::Namespaces, name, vips, priorities, text, scenario);
}

/// The same with what keepalived's own scripts need of the machine.
pub(crate) fn with_files_and(
    needs: Needs,
    name: &str,
    vips: &'static [&'static str],
    (ours, theirs): (u8, u8),
    text: impl Fn(u8, u8) -> String,
    scenario: impl FnOnce(Pair),
) {
    enclosed(
        name,
        needs,
        &["unshare", "ip", "openssl", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let file = |number: u8, priority: u8| {
                let path = scratch.path().join(format!("{number}.conf"));
                fs::write(&path, text(number, priority)).unwrap();
                path
            };
            let haproxy = scratch.path().join("haproxy.cfg");
            fs::write(&haproxy, "listen l\n bind :8080\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n server s 127.0.0.1:9\n").unwrap();
            let files = ((file(11, ours), haproxy), file(12, theirs));
            scenario(Pair::new(scratch.path(), vips, files.0, files.1));
        },
    );
}

#[test]
fn ah_we_are_preferred() {
    k8s_ingress(
        "peers::ah_we_are_preferred",
        (1, 2),
        Pair::ours_is_preferred,
    );
}
