//! `k8s-ingress/`: three Kubernetes masters share 192.168.10.10 and balance HTTP and HTTPS over three origins.

use std::{
    collections::BTreeMap, io::Write, net::Shutdown, os::unix::net::UnixStream, path::Path,
    time::Duration,
};

use ha_lb::lab::{Answer, Host, Lab, Origin, get};

use crate::{
    node::{Node, write_certificate},
    support::{Needs, enclosed, users_file, wait_for},
};

const VIP: &str = "192.168.10.10";
const PATIENCE: Duration = Duration::from_secs(10);
/// Down interval of the slowest host at 2 s, with room for start-up.
const ELECTION: Duration = Duration::from_secs(15);

struct Cluster {
    lab: Lab,
    masters: Vec<Node>,
    client: Host,
    _rancher: (Host, Origin),
    _origins: Vec<Origin>,
}

impl Cluster {
    fn start(scratch: &Path) -> Self {
        let lab = Lab::new().unwrap();
        let mut masters = Vec::new();
        let mut origins = Vec::new();
        for number in 1..=3 {
            let address = format!("192.168.10.1{number}");
            let name = format!("m{number}");
            let node = Node::new(&lab, scratch, &name, "ens37", &[&format!("{address}/24")]);
            write_certificate(&node.path("etc/haproxy/ssl/server.pem"));
            let listen = format!("{address}:30080").parse().unwrap();
            origins.push(Origin::start(&node.host, listen, &format!("master{number}")).unwrap());
            masters.push(node);
        }
        let rancher = lab
            .host("rancher", "eth0", &["192.168.10.19/24".parse().unwrap()])
            .unwrap();
        let rancher_origin =
            Origin::start(&rancher, "192.168.10.19:6860".parse().unwrap(), "rancher").unwrap();
        let client = lab
            .host("client", "eth0", &["192.168.10.50/24".parse().unwrap()])
            .unwrap();
        for (node, number) in masters.iter_mut().zip(1..) {
            start_master(node, number);
        }
        Self {
            lab,
            masters,
            client,
            _rancher: (rancher, rancher_origin),
            _origins: origins,
        }
    }

    fn get(&self, port: u16, head: &str) -> Answer {
        let address = format!("{VIP}:{port}").parse().unwrap();
        self.client
            .run(|| Ok(get(address, head, PATIENCE).unwrap()))
            .unwrap()
    }

    fn try_get(&self, head: &str) -> Option<Answer> {
        let address = format!("{VIP}:80").parse().unwrap();
        let answer = self
            .client
            .run(|| Ok(get(address, head, PATIENCE)))
            .unwrap();
        answer.ok().filter(|answer| answer.status == 200)
    }

    fn holders(&self) -> Vec<&str> {
        self.masters
            .iter()
            .filter(|node| node.holds(VIP))
            .map(|node| node.host.name())
            .collect()
    }
}

fn start_master(node: &mut Node, number: usize) {
    let keepalived = users_file(&format!("k8s-ingress/keepalived-master{number}.conf"));
    node.start(Some(&keepalived), &[&users_file("k8s-ingress/haproxy.cfg")]);
}

#[test]
fn three_masters_run_the_users_files() {
    let programs = ["unshare", "ip", "openssl", "curl"];
    enclosed(
        "k8s_ingress::three_masters_run_the_users_files",
        Needs::Users,
        &programs,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut cluster = Cluster::start(scratch.path());
            the_most_preferred_holds_the_address(&cluster);
            requests_spread_over_the_origins(&cluster);
            the_other_backend_is_chosen_by_host(&cluster);
            tls_is_terminated(&cluster);
            statistics_are_served(&cluster);
            requests_are_logged(&cluster);
            a_thousand_requests_without_an_error(&cluster);
            the_next_takes_over_and_gives_back(&mut cluster);
        },
    );
}

fn the_most_preferred_holds_the_address(cluster: &Cluster) {
    wait_for("m1 Active alone", ELECTION, || {
        (cluster.holders() == ["m1"]).then_some(())
    });
    for (node, priority) in cluster.masters.iter().zip([110, 109, 108]) {
        wait_for("effective priority", ELECTION, || {
            (node.ask("/instances/0/effective_priority")? == priority).then_some(())
        });
        assert_eq!(
            node.state(),
            if priority == 110 { "Active" } else { "Backup" },
            "{}",
            node.log()
        );
    }
}

fn requests_spread_over_the_origins(cluster: &Cluster) {
    // All three must be up before the spread is exact.
    wait_for("three servers up", ELECTION, || {
        let status = cluster.masters.first()?.status()?;
        let backend = status["backends"]
            .as_array()?
            .iter()
            .find(|backend| backend["name"] == "backend_ingress")?
            .clone();
        backend["servers"]
            .as_array()?
            .iter()
            .all(|server| server["status"] == "UP")
            .then_some(())
    });
    let mut seen = BTreeMap::new();
    for _ in 0..30 {
        let answer = cluster.get(80, "GET /apple HTTP/1.1\r\nHost: 192.168.10.10");
        assert_eq!(answer.status, 200);
        let body = answer.body.to_ascii_lowercase();
        assert!(body.contains("x-forwarded-for: 192.168.10.50"), "{body}");
        assert!(body.contains("x-forwarded-proto: https"), "{body}");
        *seen
            .entry(body.lines().next().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    let expected = ["master1", "master2", "master3"].map(|name| (name.to_owned(), 10));
    assert_eq!(seen, BTreeMap::from(expected));
}

fn the_other_backend_is_chosen_by_host(cluster: &Cluster) {
    for host in [
        "rancher.monitor.viettq.com",
        "RANCHER.monitor.viettq.com:80",
        "x.rancher.monitor.viettq.com",
    ] {
        let answer = cluster.get(80, &format!("GET / HTTP/1.1\r\nHost: {host}"));
        assert!(
            answer.body.starts_with("rancher\n"),
            "{host}: {}",
            answer.body
        );
    }
    let answer = cluster.get(80, "GET / HTTP/1.1\r\nHost: notrancher.monitor.viettq.com");
    assert!(answer.body.starts_with("master"), "{}", answer.body);
}

fn tls_is_terminated(cluster: &Cluster) {
    let output = cluster
        .client
        .command("curl")
        .args(["-sk", "https://192.168.10.10/tls"])
        .capture()
        .unwrap();
    let body = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        body.starts_with("master") && body.contains("GET /tls HTTP/1.1"),
        "{body}"
    );
}

fn statistics_are_served(cluster: &Cluster) {
    let denied = cluster.get(8085, "GET /stats HTTP/1.1\r\nHost: s\r\nConnection: close");
    assert_eq!(denied.status, 401);
    assert!(
        denied
            .head
            .contains("www-authenticate: Basic realm=\"HAProxy-04 Statistics\""),
        "{}",
        denied.head
    );
    let authorised = "Host: s\r\nAuthorization: Basic YWRtaW46cGFzc3dvcmQ=\r\nConnection: close";
    let page = cluster.get(8085, &format!("GET /stats HTTP/1.1\r\n{authorised}"));
    assert!(
        page.status == 200 && page.body.contains("backend_ingress"),
        "{}",
        page.head
    );
    let csv = cluster.get(8085, &format!("GET /stats;csv HTTP/1.1\r\n{authorised}"));
    assert!(
        csv.body.contains("\nbackend_ingress,viettq-master1,"),
        "{}",
        csv.body
    );

    let active = cluster.masters.first().unwrap();
    for socket in ["var-lib/haproxy/stats", "run/haproxy.sock"] {
        let mut stream = UnixStream::connect(active.path(socket)).unwrap();
        stream.write_all(b"show info\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let text = std::io::read_to_string(stream).unwrap();
        assert!(text.contains("\nMaxconn: 4000\n"), "{socket}: {text}");
    }
    let script = "echo 'show servers state' | socat - TCP:127.0.0.1:1999";
    let output = active
        .host
        .command("sh")
        .args(["-c", script])
        .capture()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains(" backend_ingress 1 viettq-master1 192.168.10.11 2 0 1 1 "),
        "{text}"
    );
}

fn requests_are_logged(cluster: &Cluster) {
    let active = cluster.masters.first().unwrap();
    let line = wait_for("httplog line", PATIENCE, || {
        active
            .syslog()
            .into_iter()
            .find(|line| line.contains("GET /apple HTTP/1.1"))
    });
    assert!(line.starts_with("<134>"), "{line}");
    assert!(
        line.contains("]: 192.168.10.50:")
            && line.contains(" frontend_ssl_443 backend_ingress/viettq-master"),
        "{line}"
    );
    assert!(
        line.contains(" 200 ")
            && line.contains(" - - ---- ")
            && line.ends_with("\"GET /apple HTTP/1.1\""),
        "{line}"
    );
    let tls = wait_for("TLS line", PATIENCE, || {
        active
            .syslog()
            .into_iter()
            .find(|line| line.contains("GET /tls "))
    });
    assert!(tls.contains(" frontend_ssl_443~ "), "{tls}");
}

fn a_thousand_requests_without_an_error(cluster: &Cluster) {
    for number in 0..1000 {
        let answer = cluster.get(80, "GET /calm HTTP/1.1\r\nHost: 192.168.10.10");
        assert_eq!(answer.status, 200, "request {number}");
    }
}

fn the_next_takes_over_and_gives_back(cluster: &mut Cluster) {
    let (first, lab) = (cluster.masters.first_mut().unwrap(), &cluster.lab);
    lab.cut_cable(&first.host).unwrap();
    first.kill();
    wait_for("m2 Active", ELECTION, || {
        cluster.masters[1].holds(VIP).then_some(())
    });
    // The dead host was an origin too: until checks have noticed, a request may be lost on it.
    wait_for("an answer of m2", ELECTION, || {
        cluster.try_get("GET / HTTP/1.1\r\nHost: a")
    });

    let (first, lab) = (cluster.masters.first_mut().unwrap(), &cluster.lab);
    lab.mend_cable(&first.host).unwrap();
    start_master(first, 1);
    // Its sequence numbers begin anew; the others must take it back all the same.
    wait_for("m1 Active alone again", ELECTION, || {
        (cluster.holders() == ["m1"]).then_some(())
    });
    wait_for("an answer of m1", ELECTION, || {
        cluster.try_get("GET / HTTP/1.1\r\nHost: a")
    });
    for node in &mut cluster.masters {
        assert_eq!(node.terminate(), Some(0), "{}", node.log());
        assert!(
            !node.holds(VIP),
            "{} still has the address",
            node.host.name()
        );
    }
}
