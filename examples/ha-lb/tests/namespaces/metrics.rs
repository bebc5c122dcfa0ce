//! `/metrics`: what a scraper of HAProxy's exporter finds here, beside Debian's HAProxy on the same file; and the
//! VRRP half and the histograms, which that one does not have.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use ha_lb::lab::{Host, Lab, Origin};

use crate::{
    exposition::{self, Document},
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(15);

const HAPROXY_CFG: &str = "\
global
  maxconn 1000
  log 127.0.0.1:514 local0
  stats socket /run/stats.sock level admin
defaults
  mode http
  log global
  option httplog
  timeout client 5s
  timeout server 5s
  timeout connect 5s
  timeout check 5s
frontend web
  option socket-stats
  bind *:80
  bind *:82,*:83
  bind *:86 name more
  bind *:84 id 7
  bind *:85
  tcp-request connection reject if { dst_port 85 }
  http-request deny if { path /no }
  http-request track-sc0 src table seen
  http-request use-service prometheus-exporter if { path /metrics }
  default_backend app
backend app
  option httpchk
  server up 10.77.0.3:8080 check inter 200
  server down 10.77.0.3:8081 check inter 200 maxconn 10
  server away 10.77.0.3:8082 check disabled
  server plain 10.77.0.3:8080 weight 0
backend seen
  stick-table type ip size 100k expire 30s store http_req_rate(10s)
listen tcp
  mode tcp
  bind *:81
  server x 10.77.0.3:8080
";

fn fetch(client: &Host, url: &str) -> String {
    let done = client.command("curl").args(["-s", url]).capture().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

/// Metrics once both checked servers have a result and a state, and once three requests and those that are denied are
/// counted.
fn scrape(client: &Host, host: &str) -> Document {
    let url = format!("http://{host}/metrics");
    let up = [("proxy", "app"), ("server", "up"), ("state", "L7OK")];
    let down = [("proxy", "app"), ("server", "down"), ("state", "L4CON")];
    wait_for(&format!("checks of {host}"), PATIENCE, || {
        let document = exposition::parse(&fetch(client, &url));
        let family = document.families.get("haproxy_server_check_status")?;
        let seen = |labels: &[(&str, &str)]| {
            let labels = exposition::labels(labels);
            family
                .samples
                .iter()
                .any(|one| one.1 == labels && one.2 == 1.0)
        };
        let lost = [("proxy", "app"), ("server", "down"), ("state", "DOWN")];
        let is_lost = document.value("haproxy_server_status", &lost) == 1.0;
        (seen(&up) && seen(&down) && is_lost).then_some(())
    });
    for _ in 0..3 {
        assert!(!fetch(client, &format!("http://{host}/")).is_empty());
    }
    for path in [":82/no", ":84/no", ":84/no", ":85/"] {
        fetch(client, &format!("http://{host}{path}"));
    }
    // An answer is there before it is counted.
    wait_for(&format!("counters of {host}"), PATIENCE, || {
        let document = exposition::parse(&fetch(client, &url));
        let answered = [("proxy", "app"), ("code", "2xx")];
        let answered = document.value("haproxy_backend_http_responses_total", &answered);
        let listener = |family: &str, name: &str| {
            document.value(
                &format!("haproxy_listener_{family}_total"),
                &[("proxy", "web"), ("listener", name)],
            )
        };
        let denied = (
            listener("requests_denied", "sock-7"),
            listener("denied_connections", "sock-6"),
        );
        (answered == 3.0 && denied == (2.0, 1.0)).then_some(document)
    })
}

/// Names, types, HELP lines and labels of all that HAProxy's exporter has.
fn shape(document: &Document) -> BTreeSet<String> {
    let families = document.families.iter();
    let families = families.filter(|(name, _)| name.starts_with("haproxy_"));
    families
        .flat_map(|(name, family)| {
            let head = format!("{name} {} {}", family.kind, family.help);
            let samples = family.samples.iter().map(|(name, labels, value)| {
                let mut labels = labels.clone();
                labels.remove("version");
                format!("{name} {labels:?} NaN: {}", value.is_nan())
            });
            std::iter::once(head).chain(samples)
        })
        .collect()
}

#[test]
fn the_exporter_is_haproxy_s_name_by_name() {
    enclosed(
        "metrics::the_exporter_is_haproxy_s_name_by_name",
        Needs::Namespaces,
        &["unshare", "ip", "haproxy", "curl"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = |name: &str, address: &str| {
                Node::new(&lab, scratch.path(), name, "eth0", &[address])
            };
            let mut ours = node("ours", "10.77.0.11/24");
            let theirs = node("theirs", "10.77.0.12/24");
            let client = lab
                .host("client", "eth0", &["10.77.0.3/24".parse().unwrap()])
                .unwrap();
            let _origin = Origin::start(&client, "10.77.0.3:8080".parse().unwrap(), "web").unwrap();
            let file = scratch.path().join("haproxy.cfg");
            fs::write(&file, HAPROXY_CFG).unwrap();
            ours.start(None, &[&file]);
            let mut haproxy = theirs
                .command("haproxy")
                .args(["-db", "-f"])
                .arg(&file)
                .output(theirs.path("log"))
                .spawn()
                .unwrap();

            let (mine, other) = (scrape(&client, "10.77.0.11"), scrape(&client, "10.77.0.12"));
            let (mine_shape, other_shape) = (shape(&mine), shape(&other));
            let missing: Vec<_> = other_shape.difference(&mine_shape).collect();
            let added: Vec<_> = mine_shape.difference(&other_shape).collect();
            assert!(
                missing.is_empty() && added.is_empty(),
                "{missing:#?}\n{added:#?}"
            );
            same_values(&mine, &other);
            for query in [
                "scope=frontend",
                "scope=listener",
                "scope=server&no-maint",
                "scope=sticktable",
                "scope=global",
            ] {
                let of = |host: &str| {
                    let text = fetch(&client, &format!("http://{host}/metrics?{query}"));
                    shape(&exposition::parse(&text))
                };
                assert_eq!(of("10.77.0.11"), of("10.77.0.12"), "{query}");
            }
            let refused = fetch(&client, "http://10.77.0.11/metrics?scope=nonsense");
            assert_eq!(
                refused,
                fetch(&client, "http://10.77.0.12/metrics?scope=nonsense")
            );

            assert_eq!(listeners(&ours), listeners(&theirs));
            latencies(&mine);
            assert_eq!(logged(&ours), logged(&theirs));
            haproxy.kill().unwrap();
            haproxy.wait().unwrap();
        },
    );
}

/// Values that do not depend on the moment.
fn same_values(mine: &Document, other: &Document) {
    for (name, labels) in [
        (
            "haproxy_backend_http_responses_total",
            &[("proxy", "app"), ("code", "2xx")][..],
        ),
        (
            "haproxy_server_status",
            &[("proxy", "app"), ("server", "away"), ("state", "MAINT")],
        ),
        (
            "haproxy_backend_agg_server_status",
            &[("proxy", "app"), ("state", "DOWN")],
        ),
        (
            "haproxy_backend_agg_check_status",
            &[("proxy", "app"), ("state", "L7OK")],
        ),
        (
            "haproxy_listener_sessions_total",
            &[("proxy", "web"), ("listener", "sock-7")],
        ),
        (
            "haproxy_listener_requests_denied_total",
            &[("proxy", "web"), ("listener", "sock-7")],
        ),
        (
            "haproxy_listener_denied_connections_total",
            &[("proxy", "web"), ("listener", "sock-6")],
        ),
        (
            "haproxy_listener_limit_sessions",
            &[("proxy", "web"), ("listener", "sock-1")],
        ),
        (
            "haproxy_frontend_status",
            &[("proxy", "web"), ("state", "UP")],
        ),
        (
            "haproxy_sticktable_size",
            &[("name", "seen"), ("type", "ip")],
        ),
        (
            "haproxy_sticktable_used",
            &[("name", "seen"), ("type", "ip")],
        ),
        (
            "haproxy_server_limit_sessions",
            &[("proxy", "app"), ("server", "down")],
        ),
    ] {
        assert_eq!(
            mine.value(name, labels),
            other.value(name, labels),
            "{name} {labels:?}"
        );
    }
}

/// Rows of `show stat` for listeners, but for columns that depend on the moment or on the length of answers.
fn listeners(node: &Node) -> Vec<Vec<String>> {
    let mut socket = UnixStream::connect(node.path("run/stats.sock")).unwrap();
    socket.write_all(b"show stat web 8 -1\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let mut lines = text.trim_end().lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows = lines.map(|line| {
        let cells = names.iter().zip(line.split(','));
        let lasting = cells.filter(|(name, cell)| {
            !["scur", "smax", "stot", "bin", "bout"].contains(*name) && !cell.is_empty()
        });
        lasting
            .map(|(name, cell)| format!("{name}={cell}"))
            .collect()
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 6, "{text}");
    rows
}

/// What the log says of the request for a scope that does not exist, but for its size: HAProxy counts its own way.
fn logged(node: &Node) -> String {
    let line = wait_for("a log line", PATIENCE, || {
        let mut lines = node.syslog().into_iter();
        lines.find(|line| line.contains("nonsense"))
    });
    let words = line.trim_end().split(' ').skip_while(|word| *word != "web");
    let words = words.enumerate().filter(|(place, _)| *place != 4);
    words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// The three requests, wherever they are counted.
fn latencies(document: &Document) {
    for (name, labels) in [
        ("ha_lb_frontend_total_time_seconds", &[("proxy", "web")][..]),
        ("ha_lb_backend_response_time_seconds", &[("proxy", "app")]),
        (
            "ha_lb_server_total_time_seconds",
            &[("proxy", "app"), ("server", "up")],
        ),
    ] {
        assert_eq!(
            document.value(&format!("{name}_count"), labels),
            3.0,
            "{name}"
        );
        let sum = document.value(&format!("{name}_sum"), labels);
        assert!(sum > 0.0 && sum < 5.0, "{name}: {sum}");
    }
}

#[test]
fn one_page_tells_of_both_halves() {
    enclosed(
        "metrics::one_page_tells_of_both_halves",
        Needs::Namespaces,
        &["unshare", "ip", "curl"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let vrrp = "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority 100\n \
                        advert_int 1\n virtual_ipaddress {\n 10.77.0.10\n }\n}\n";
            let (keepalived, haproxy) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
            fs::write(&keepalived, vrrp).unwrap();
            fs::write(&haproxy, HAPROXY_CFG).unwrap();
            let files: [&Path; 1] = [&haproxy];
            node.start(Some(&keepalived), &files);
            let state = |document: &Document, state: &str| {
                let labels = exposition::labels(&[("instance", "VI_1"), ("state", state)]);
                let family = document.families.get("ha_lb_vrrp_state")?;
                let mut found = family.samples.iter().filter(|one| one.1 == labels);
                found.next().map(|one| one.2)
            };
            let both = wait_for("Active", PATIENCE, || {
                let document = exposition::parse(&fetch(&node.host, "http://10.77.0.11/metrics"));
                (state(&document, "Active") == Some(1.0)).then_some(document)
            });
            assert!(both.families.contains_key("haproxy_process_uptime_seconds"));
            assert_eq!(
                both.value("ha_lb_process_up", &[("process", "balancer")]),
                1.0
            );
            let sent = both.value("ha_lb_vrrp_adverts_sent_total", &[("instance", "VI_1")]);
            assert!(sent >= 1.0);

            // Pushed, not asked for: the page is never older than the second between two looks and some.
            wait_for("another advert", PATIENCE, || {
                let text = fetch(&node.host, "http://10.77.0.11/metrics?scope=vrrp");
                let document = exposition::parse(&text);
                assert!(
                    document
                        .families
                        .keys()
                        .all(|name| name.starts_with("ha_lb_"))
                );
                let labels = [("instance", "VI_1")];
                (document.value("ha_lb_vrrp_adverts_sent_total", &labels) > sent).then_some(())
            });

            // With the balancer dead for good the supervisor still tells of the other half.
            let stopped = rustix::process::Signal::STOP;
            node.signal(&["balancer"], stopped);
            let alone = String::from_utf8(node.ha_lb(&["status", "--metrics"]).stdout).unwrap();
            assert_eq!(state(&exposition::parse(&alone), "Active"), Some(1.0));
        },
    );
}
