//! How long clients wait when the Active host dies, is stopped, or loses its link: beside what the protocol says.

use std::{
    fs,
    time::{Duration, Instant},
};

use ha_lb::lab::{Host, Lab, Origin, Traffic};
use rustix::process::Signal;

use crate::{
    gauge::Gauge,
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PRIORITIES: [u16; 2] = [150, 100];
/// Requests lost at the wrong moment wait for their own 100 ms each; the rest is a machine's that has other work.
/// Shorter than an advertisement interval: one advert more than the theory's is seen.
const SLACK: Duration = Duration::from_millis(400);

struct Site {
    lab: Lab,
    nodes: Vec<Node>,
    traffic: Traffic,
    gauge: Gauge,
    _origin: (Host, Origin),
    _client: Host,
    _scratch: tempfile::TempDir,
}

impl Site {
    /// Two hosts, the first preferred and Active, and a client that asks all the time. VRRPv2.
    fn start(interval: u64) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let web = lab
            .host("web", "eth0", &["10.77.0.20/24".parse().unwrap()])
            .unwrap();
        let origin = Origin::start(&web, "10.77.0.20:8080".parse().unwrap(), "web").unwrap();
        let mut nodes = Vec::new();
        for (number, priority) in (1..).zip(PRIORITIES) {
            let address = format!("10.77.0.1{number}/24");
            let mut node = Node::new(
                &lab,
                scratch.path(),
                &format!("h{number}"),
                "eth0",
                &[&address],
            );
            let (keepalived, haproxy) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
            let instance = format!(
                "vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
                 advert_int {interval}\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
            );
            fs::write(&keepalived, instance).unwrap();
            fs::write(&haproxy, HAPROXY_CFG).unwrap();
            node.start(Some(&keepalived), &[&haproxy]);
            nodes.push(node);
        }
        let client = lab
            .host("client", "eth0", &["10.77.0.100/24".parse().unwrap()])
            .unwrap();
        let traffic = Traffic::start(
            &client,
            format!("{VIP}:80").parse().unwrap(),
            Duration::from_millis(5),
        )
        .unwrap();
        let site = Self {
            lab,
            nodes,
            traffic,
            gauge: Gauge::start(),
            _origin: (web, origin),
            _client: client,
            _scratch: scratch,
        };
        wait_for("h1 Active alone", Duration::from_secs(20), || {
            (site.nodes[0].holds(VIP) && !site.nodes[1].holds(VIP)).then_some(())
        });
        let before = site.traffic.answers();
        wait_for("answers", Duration::from_secs(5), || {
            (site.traffic.answers() > before + 20).then_some(())
        });
        site
    }

    /// Does `event`, waits for answers from the second host, and compares the gap.
    fn gap(&mut self, what: &str, theory: Duration, event: impl FnOnce(&Lab, &mut Node)) {
        let at = Instant::now();
        event(&self.lab, &mut self.nodes[0]);
        wait_for("h2 Active", theory + Duration::from_secs(5), || {
            self.nodes[1].holds(VIP).then_some(())
        });
        let taken_at = Instant::now();
        wait_for("answers of h2", Duration::from_secs(10), || {
            self.traffic.latest().filter(|latest| *latest > taken_at)
        });
        let gap = self.traffic.longest_gap(at).length();
        let slack = self.slack(at);
        println!("{what}: the client waited {gap:.3?}, the protocol allows {theory:.3?}");
        assert!(
            gap <= theory + slack,
            "{what}: {gap:?} > {theory:?} and {slack:?}\n{}",
            self.nodes[1].log()
        );
    }
}

impl Site {
    /// And what the machine stood still since then, which it did for all.
    fn slack(&self, since: Instant) -> Duration {
        SLACK + self.gauge.halts(since).iter().sum::<Duration>()
    }
}

/// Skew_Time of the second host in VRRPv2 (RFC 3768 §6.1).
fn skew() -> Duration {
    Duration::from_secs(256 - u64::from(PRIORITIES[1])) / 256
}

fn silent_death(interval: u64) {
    let mut site = Site::start(interval);
    let theory = Duration::from_secs(3 * interval) + skew();
    site.gap(
        &format!("silent death at {interval} s"),
        theory,
        |lab, node| {
            lab.cut_cable(&node.host).unwrap();
            node.kill();
        },
    );
}

fn orderly_stop(interval: u64) {
    let mut site = Site::start(interval);
    site.gap(&format!("SIGTERM at {interval} s"), skew(), |_, node| {
        assert_eq!(node.terminate(), Some(0), "{}", node.log());
        assert!(!node.holds(VIP));
    });
}

/// Ctrl-C, or `KillMode=control-group`: every process gets the signal.
fn stop_of_all_processes() {
    let mut site = Site::start(1);
    site.gap("SIGINT to every process", skew(), |_, node| {
        let before = node.log();
        // The children hear it twice.
        let all = ["vrrp", "balancer", "vrrp", "balancer", "supervisor"];
        node.signal(&all, Signal::INT);
        assert_eq!(node.exit_code(), Some(0), "{}", node.log());
        assert!(!node.holds(VIP));
        let log = node.log();
        assert!(!log[before.len()..].contains("ERROR"), "{log}");
    });
}

fn link_loss(interval: u64) {
    let mut site = Site::start(interval);
    let theory = Duration::from_secs(3 * interval) + skew();
    let cut_at = Instant::now();
    let mut given_up = cut_at;
    site.gap(
        &format!("link loss at {interval} s"),
        theory,
        |lab, node| {
            lab.cut_cable(&node.host).unwrap();
            wait_for("h1 gives the address up", Duration::from_secs(5), || {
                (!node.holds(VIP)).then_some(())
            });
            given_up = Instant::now();
        },
    );
    let (took, slack) = (given_up - cut_at, site.slack(cut_at));
    let allowed = Duration::from_secs(1) + slack;
    assert!(took < allowed, "given up after {took:?}, {allowed:?}");
    // The link comes back: the preferred host takes the address again, without a gap worth the name.
    let at = Instant::now();
    site.lab.mend_cable(&site.nodes[0].host).unwrap();
    wait_for(
        "h1 Active alone again",
        theory + Duration::from_secs(5),
        || (site.nodes[0].holds(VIP) && !site.nodes[1].holds(VIP)).then_some(()),
    );
    let gap = site.traffic.longest_gap(at).length();
    println!("return at {interval} s: the client waited {gap:.3?}");
    let slack = site.slack(at);
    assert!(gap <= slack, "return: {gap:?}, {slack:?}");
}

#[test]
fn silent_death_at_1_s() {
    enclosed(
        "failover::silent_death_at_1_s",
        Needs::Namespaces,
        &["unshare", "ip"],
        || silent_death(1),
    );
}

#[test]
fn silent_death_at_2_s() {
    enclosed(
        "failover::silent_death_at_2_s",
        Needs::Namespaces,
        &["unshare", "ip"],
        || silent_death(2),
    );
}

#[test]
fn orderly_stop_at_1_s() {
    enclosed(
        "failover::orderly_stop_at_1_s",
        Needs::Namespaces,
        &["unshare", "ip"],
        || orderly_stop(1),
    );
}

#[test]
fn orderly_stop_at_2_s() {
    enclosed(
        "failover::orderly_stop_at_2_s",
        Needs::Namespaces,
        &["unshare", "ip"],
        || orderly_stop(2),
    );
}

#[test]
fn a_signal_to_every_process_is_an_orderly_stop() {
    enclosed(
        "failover::a_signal_to_every_process_is_an_orderly_stop",
        Needs::Namespaces,
        &["unshare", "ip"],
        stop_of_all_processes,
    );
}

#[test]
fn link_loss_at_1_s() {
    enclosed(
        "failover::link_loss_at_1_s",
        Needs::Namespaces,
        &["unshare", "ip"],
        || link_loss(1),
    );
}

#[test]
fn link_loss_at_2_s() {
    enclosed(
        "failover::link_loss_at_2_s",
        Needs::Namespaces,
        &["unshare", "ip"],
        || link_loss(2),
    );
}

const HAPROXY_CFG: &str = "defaults
 mode http
 timeout connect 1s
 timeout client 10s
 timeout server 10s
frontend www
 bind *:80
 default_backend web
backend web
 server web 10.77.0.20:8080
";
