//! `ha-lb run --resign-at-once`: a failed check with a weight moves the address within Skew_Time.

use std::{
    fs,
    time::{Duration, Instant},
};

use ha_lb::lab::Lab;

use crate::{
    gauge::Gauge,
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(15);

/// Starts the preferred host and another that does not preempt; how long after the check failed the other one holds
/// the address, and for how long of that the machine stood still.
fn moves(flags: &[&str]) -> (Duration, Duration) {
    let scratch = tempfile::tempdir().unwrap();
    let lab = Lab::new().unwrap();
    let mut nodes = [(1, 150, ""), (2, 100, "nopreempt")].map(|(number, priority, more)| {
        let address = format!("10.77.0.1{number}/24");
        let name = format!("h{number}");
        let node = Node::new(&lab, scratch.path(), &name, "eth0", &[&address]);
        let text = format!(
            "vrrp_script check {{\n script \"/usr/bin/test -e /run/well\"\n interval 0.1\n weight -60\n}}\n\
             vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n state BACKUP\n {more}\n \
             priority {priority}\n track_script {{\n check\n }}\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
        );
        fs::write(node.path("keepalived.conf"), text).unwrap();
        node.flag("run/well", true);
        node
    });
    for node in &mut nodes {
        node.start_with(flags, Some(&node.path("keepalived.conf")), &[]);
    }
    let [preferred, other] = &nodes;
    wait_for("h1 alone", PATIENCE, || {
        (preferred.holds(VIP) && !other.holds(VIP)).then_some(())
    });
    let gauge = Gauge::start();
    let failed = Instant::now();
    preferred.flag("run/well", false);
    wait_for("the address moves", PATIENCE, || {
        (other.holds(VIP) && !preferred.holds(VIP)).then_some(())
    });
    let took = failed.elapsed();
    (took, gauge.halts(failed).iter().sum())
}

#[test]
fn a_weight_moves_the_address_at_once_even_to_one_that_does_not_preempt() {
    enclosed(
        "resign::a_weight_moves_the_address_at_once_even_to_one_that_does_not_preempt",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let (moved, halts) = moves(&["--resign-at-once"]);
            println!("with --resign-at-once the address moved after {moved:?}");
            // The check is run every 0.1 s, Skew_Time of priority 100 is 0.61 s.
            let allowed = Duration::from_millis(2000) + halts;
            assert!(moved < allowed, "{moved:?}, {allowed:?}");
            // Without it nothing moves: web_pair::without_preemption_a_weight_moves_nothing.
        },
    );
}
