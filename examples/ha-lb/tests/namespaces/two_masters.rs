//! Two masters at once: what the preferred one does when it hears the other (`garp_lower_prio_*`,
//! `notify_master_rx_lower_pri`).

use std::{
    fs,
    io::{BufRead as _, BufReader},
    time::Duration,
};

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_preferred_one_runs_its_script_once() {
    enclosed(
        "two_masters::the_preferred_one_runs_its_script_once",
        Needs::Namespaces,
        &["unshare", "ip", "nft"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut nodes = [(1, 150), (2, 100)].map(|(number, priority)| {
                let address = format!("10.77.0.1{number}/24");
                let name = format!("h{number}");
                let node = Node::new(&lab, scratch.path(), &name, "eth0", &[&address]);
                node.script("etc/keepalived/notify.sh", "echo \"$@\" >>/run/notified");
                let text = format!(
                    "global_defs {{\n vrrp_notify_fifo /run/fifo\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.2\n \
                     priority {priority}\n garp_lower_prio_repeat 2\n garp_lower_prio_delay 1\n \
                     notify_master \"/etc/keepalived/notify.sh master\"\n \
                     notify_master_rx_lower_pri \"/etc/keepalived/notify.sh heard lower\"\n \
                     virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
                );
                fs::write(node.path("keepalived.conf"), text).unwrap();
                node
            });
            for node in &mut nodes {
                node.start(Some(&node.path("keepalived.conf")), &[]);
            }
            let [preferred, other] = &nodes;
            wait_for("h1 alone", PATIENCE, || {
                (preferred.holds(VIP) && !other.holds(VIP)).then_some(())
            });

            // From now on the other one is deaf, but speaks.
            let deaf = "table inet deaf { chain in { type filter hook input priority 0; ip protocol 112 drop; }; }";
            let output = other.host.command("nft").arg(deaf).capture().unwrap();
            assert!(output.status.success(), "{output:?}");
            wait_for("two masters", PATIENCE, || other.holds(VIP).then_some(()));
            let notified =
                || fs::read_to_string(preferred.path("run/notified")).unwrap_or_default();
            wait_for("the script", PATIENCE, || {
                notified().contains("heard lower").then_some(())
            });
            // It is told of once, however often the other one speaks.
            let adverts = |node: &Node| {
                node.log()
                    .lines()
                    .filter(|l| l.contains("is Active too"))
                    .count()
            };
            assert_eq!(adverts(preferred), 1, "{}", preferred.log());
            assert_eq!(notified(), "master\nheard lower\n");
            assert!(preferred.holds(VIP));
            let mut fifo = fs::OpenOptions::new();
            let fifo = fifo.read(true).open(preferred.path("run/fifo")).unwrap();
            let lines = BufReader::new(fifo).lines().take(3);
            let lines: Vec<_> = lines.map(Result::unwrap).collect();
            let expected = ["BACKUP", "MASTER", "MASTER_RX_LOWER_PRI"];
            assert_eq!(
                lines,
                expected.map(|state| format!("INSTANCE \"V\" {state} 150"))
            );
        },
    );
}
