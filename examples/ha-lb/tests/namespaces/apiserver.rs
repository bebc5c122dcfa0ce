//! `apiserver/`: TCP passthrough to Kubernetes API servers, VRRPv2 and VRRPv3, and an IPVS `virtual_server`.

use std::{collections::BTreeSet, path::Path, time::Duration};

use ha_lb::lab::{Host, Lab, Origin, get};
use serde_json::Value;

use crate::{
    node::Node,
    support::{Needs, enclosed, users_file, wait_for},
};

const VIP: &str = "192.168.10.99";
const PATIENCE: Duration = Duration::from_secs(10);
const ELECTION: Duration = Duration::from_secs(15);
const PROGRAMS: [&str; 2] = ["unshare", "ip"];

struct Site {
    _lab: Lab,
    nodes: Vec<Node>,
    client: Host,
    servers: Vec<(Host, Vec<Origin>)>,
}

impl Site {
    /// Two hosts and three API servers, each on :6443 (`api80`..) and on :8443 (`lvs80`..).
    fn new(scratch: &Path) -> Self {
        let lab = Lab::new().unwrap();
        let nodes = [("a1", "192.168.10.21/24"), ("a2", "192.168.10.22/24")]
            .map(|(name, address)| Node::new(&lab, scratch, name, "em1", &[address]));
        let servers = [80, 81, 82].map(|number| {
            let host = lab.host(
                &format!("s{number}"),
                "eth0",
                &[format!("192.168.10.{number}/24").parse().unwrap()],
            );
            let host = host.unwrap();
            let origin = |port: u16, name: &str| {
                let address = format!("192.168.10.{number}:{port}").parse().unwrap();
                Origin::start(&host, address, &format!("{name}{number}")).unwrap()
            };
            let origins = vec![origin(6443, "api"), origin(8443, "lvs")];
            (host, origins)
        });
        let client = lab
            .host("client", "eth0", &["192.168.10.50/24".parse().unwrap()])
            .unwrap();
        Self {
            _lab: lab,
            nodes: nodes.into(),
            client,
            servers: servers.into(),
        }
    }

    /// Name of the origin that answers on `address`, over a new connection.
    fn origin(&self, address: &str) -> Option<String> {
        let address = address.parse().unwrap();
        let head = "GET /k HTTP/1.1\r\nHost: k\r\nConnection: close";
        let answer = self
            .client
            .run(|| Ok(get(address, head, PATIENCE)))
            .unwrap()
            .ok()?;
        (answer.status == 200).then(|| answer.body.lines().next().unwrap().to_owned())
    }

    /// Names that answer over nine connections.
    fn origins(&self, address: &str) -> BTreeSet<String> {
        (0..9).map(|_| self.origin(address).unwrap()).collect()
    }
}

fn names(prefix: &str, numbers: &[u8]) -> BTreeSet<String> {
    numbers
        .iter()
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

fn server_states(status: &Value, backend: &str) -> Option<Vec<String>> {
    let backend = status["backends"]
        .as_array()?
        .iter()
        .find(|candidate| candidate["name"] == backend)?;
    let servers = backend["servers"].as_array()?;
    servers
        .iter()
        .map(|server| Some(server["status"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn tcp_passthrough_with_checks_under_vrrp_v2() {
    enclosed(
        "apiserver::tcp_passthrough_with_checks_under_vrrp_v2",
        Needs::Users,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut site = Site::new(scratch.path());
            let (keepalived, haproxy) = (
                users_file("apiserver/keepalived.conf"),
                users_file("apiserver/haproxy.cfg"),
            );
            site.nodes[0].start(Some(&keepalived), &[&haproxy]);
            wait_for("a1 Active", ELECTION, || {
                site.nodes[0].holds(VIP).then_some(())
            });
            // Equal priorities: the one that starts later stays Backup though its address is higher.
            site.nodes[1].start(Some(&keepalived), &[&haproxy]);
            wait_for("a2 Backup", ELECTION, || {
                (site.nodes[1].state() == "Backup").then_some(())
            });

            wait_for("all servers up", ELECTION, || {
                let states = server_states(&site.nodes[0].status()?, "kube-apiserver")?;
                (states == ["UP", "UP", "UP"]).then_some(())
            });
            assert_eq!(
                site.origins(&format!("{VIP}:8443")),
                names("api", &[80, 81, 82])
            );
            assert!(site.nodes[0].holds(VIP) && !site.nodes[1].holds(VIP));

            drop(site.servers.remove(2));
            wait_for("the third down", ELECTION, || {
                let states = server_states(&site.nodes[0].status()?, "kube-apiserver")?;
                states.last()?.starts_with("DOWN").then_some(())
            });
            assert_eq!(
                site.origins(&format!("{VIP}:8443")),
                names("api", &[80, 81])
            );
            let page = site.client.run(|| {
                let address = format!("{VIP}:8888").parse().unwrap();
                Ok(get(
                    address,
                    "GET /haproxy?stats HTTP/1.1\r\nHost: s\r\nConnection: close",
                    PATIENCE,
                )
                .unwrap())
            });
            let page = page.unwrap();
            // `stats refresh 30s`: the page asks again itself, in place; a browser without scripts reloads it.
            assert!(
                page.status == 200
                    && page.body.contains("data-refresh=30 ")
                    && page
                        .body
                        .contains("<noscript><meta http-equiv=refresh content=\"30;")
                    && page.body.contains("kube-apiserver"),
                "{page:?}"
            );

            let connects = site.nodes[0].syslog();
            let connect = connects
                .iter()
                .find(|line| line.contains("Connect from"))
                .unwrap();
            assert!(
                connect.starts_with("<158>")
                    && connect.ends_with(" to 192.168.10.99:8443 (kube-apiserver/TCP)"),
                "{connect}"
            );
        },
    );
}

#[test]
fn a_virtual_server_is_balanced_beside_the_listener() {
    enclosed(
        "apiserver::a_virtual_server_is_balanced_beside_the_listener",
        Needs::Users,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut site = Site::new(scratch.path());
            let (keepalived, haproxy) = (
                users_file("apiserver/keepalived-lvs.conf"),
                users_file("apiserver/haproxy.cfg"),
            );
            for node in &mut site.nodes {
                node.start(Some(&keepalived), &[&haproxy]);
            }
            // nopreempt and equal priorities, started together: one follows the other.
            wait_for("one Active, one that hears it", ELECTION, || {
                let follows = |node: &Node| {
                    let heard = node.ask("/instances/0/active_address");
                    node.state() == "Backup" && heard.is_some_and(|from| from.is_string())
                };
                let followers = site.nodes.iter().filter(|node| follows(node)).count();
                let holders = site.nodes.iter().filter(|node| node.holds(VIP)).count();
                (followers == 1 && holders == 1).then_some(())
            });
            let sticky = wait_for("the virtual server", ELECTION, || {
                site.origin(&format!("{VIP}:8443"))
            });
            assert!(sticky.starts_with("lvs"), "{sticky}");
            // persistence_timeout: one client stays with one server.
            assert_eq!(
                site.origins(&format!("{VIP}:8443")),
                BTreeSet::from([sticky])
            );
            // The listener on 0.0.0.0:8443 answers on the host's own address.
            wait_for("all servers up", ELECTION, || {
                let states = server_states(&site.nodes[0].status()?, "kube-apiserver")?;
                (states == ["UP", "UP", "UP"]).then_some(())
            });
            assert_eq!(
                site.origins("192.168.10.21:8443"),
                names("api", &[80, 81, 82])
            );
            let warnings = site.nodes[0]
                .log()
                .lines()
                .filter(|line| line.contains("IPVS"))
                .count();
            assert_eq!(warnings, 1, "{}", site.nodes[0].log());
        },
    );
}

#[test]
fn a_virtual_server_alone_starts_a_balancer() {
    enclosed(
        "apiserver::a_virtual_server_alone_starts_a_balancer",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut site = Site::new(scratch.path());
            site.nodes[0].start(Some(&users_file("apiserver/keepalived-lvs.conf")), &[]);
            assert!(site.nodes[0].ask("/balancer/pid").unwrap().is_number());
            let origin = wait_for("the virtual server", ELECTION, || {
                site.origin(&format!("{VIP}:8443"))
            });
            assert!(origin.starts_with("lvs"), "{origin}");
        },
    );
}
