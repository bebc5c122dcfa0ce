//! What HAProxy 2.6 answered and logged on `k8s-ingress/haproxy.cfg` (recorded in `tests/golden/`), asked again of us.

use std::{fs, path::Path, time::Duration};

use ha_lb::lab::{Lab, Origin};

use crate::{
    node::{Node, write_certificate},
    support::{Needs, enclosed, users_file, wait_for},
};

/// A recorded command and what it printed.
struct Step {
    command: String,
    output: String,
}

/// The steps of a transcript up to the next configuration (`exit`), and those after the origins were stopped.
fn transcript() -> (Vec<Step>, Vec<Step>) {
    let text = fs::read_to_string(golden("k8s-ingress.transcript.txt"))
        .unwrap()
        .replace('\r', "");
    let (text, _other_file) = text.split_once("\nexit 0\n").unwrap();
    let (before, after) = text.split_once("### stop ").unwrap();
    (steps(before), steps(after))
}

fn steps(text: &str) -> Vec<Step> {
    let blocks = text.split("$ ").skip(1);
    blocks
        .map(|block| {
            let (command, output) = block.split_once('\n').unwrap();
            Step {
                command: command.to_owned(),
                output: output.trim_end().to_owned(),
            }
        })
        .collect()
}

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Runs a recorded command; the recording lost its quotes.
fn ask(node: &Node, command: &str) -> String {
    let output = if let Some(script) = command.strip_prefix("bash -c ") {
        node.host
            .command("sh")
            .args(["-c", script])
            .capture()
            .unwrap()
    } else {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let mut arguments = vec!["-A".to_owned(), "curl/7.88.1".to_owned()];
        let mut rest = words.as_slice();
        while let [word, tail @ ..] = rest {
            rest = tail;
            if let ("-H", [name, value, tail @ ..]) = (*word, rest) {
                arguments.extend(["-H".to_owned(), format!("{name} {value}")]);
                rest = tail;
            } else {
                arguments.push((*word).to_owned());
            }
        }
        node.host.command("curl").args(arguments).capture().unwrap()
    };
    String::from_utf8_lossy(&output.stdout)
        .replace('\r', "")
        .trim_end()
        .to_owned()
}

/// What must be equal of a step's output: all of it, but for figures that a run cannot repeat.
fn comparable(command: &str, output: &str) -> String {
    if command.contains(";csv") {
        let (head, rows) = output.split_once("# pxname").unwrap();
        // Which columns apply is agreed, figures are not; columns of checks depend on the moment.
        let row = |row: &str| {
            let cells: Vec<&str> = row.split(',').collect();
            let applies = cells[..99]
                .iter()
                .enumerate()
                .map(|(column, cell)| match column {
                    0 | 1 => *cell,
                    36..=38 | 56 => "?",
                    _ if cell.is_empty() => "",
                    _ => "x",
                });
            applies.collect::<Vec<_>>().join(",")
        };
        let names = rows.lines().skip(1).map(row);
        // Module columns after `-` are another program's; those before it are the agreed ones.
        let columns = rows
            .lines()
            .next()
            .unwrap()
            .split(",-,")
            .next()
            .unwrap()
            .to_owned();
        format!("{head}{columns}\n{}", names.collect::<Vec<_>>().join("\n"))
    } else if command.contains("show servers state") {
        let columns = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            // Time since the last change and the progress of checks are of the moment.
            let steady = words
                .iter()
                .enumerate()
                .filter(|(index, _)| !(9..=13).contains(index))
                .map(|(_, word)| *word);
            steady.collect::<Vec<_>>().join(" ")
        };
        output.lines().map(columns).collect::<Vec<_>>().join("\n")
    } else {
        output.to_owned()
    }
}

/// A log line without process id, times and ports.
fn without_figures(line: &str) -> String {
    let (_, line) = line.split_once("]: ").unwrap();
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if words.len() > 4 && words[1].starts_with('[') {
        words[0] = words[0].split(':').next().unwrap().to_owned();
        words[1] = "[date]".to_owned();
        let timers = words[4]
            .split('/')
            .map(|timer| if timer.starts_with('-') { "-1" } else { "n" });
        words[4] = timers.collect::<Vec<_>>().join("/");
    }
    words.join(" ")
}

#[test]
fn answers_and_logs_are_those_of_haproxy() {
    let programs = ["unshare", "ip", "openssl", "curl", "socat"];
    enclosed(
        "golden::answers_and_logs_are_those_of_haproxy",
        Needs::Users,
        &programs,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let addresses =
                ["11", "12", "13", "19", "99"].map(|last| format!("192.168.10.{last}/24"));
            let mut node = Node::new(
                &lab,
                scratch.path(),
                "m1",
                "ens37",
                &addresses.each_ref().map(String::as_str),
            );
            write_certificate(&node.path("etc/haproxy/ssl/server.pem"));
            let origins = [
                "11:30080 master1",
                "12:30080 master2",
                "13:30080 master3",
                "19:6860 rancher",
            ]
            .map(|origin| {
                let (address, name) = origin.split_once(' ').unwrap();
                Origin::start(
                    &node.host,
                    format!("192.168.10.{address}").parse().unwrap(),
                    name,
                )
                .unwrap()
            });
            node.start(None, &[&users_file("k8s-ingress/haproxy.cfg")]);

            let (running, stopped) = transcript();
            for step in &running {
                compare(&node, step);
            }
            compare_log(&node);

            drop(origins);
            wait_for("all servers down", Duration::from_secs(20), || {
                let log = node.syslog();
                log.iter()
                    .any(|line| {
                        line.starts_with("<128>")
                            && line.ends_with("backend backend_ingress has no server available!")
                    })
                    .then_some(())
            });
            let down = node
                .syslog()
                .into_iter()
                .find(|line| line.contains("viettq-master1 is DOWN"))
                .unwrap();
            assert!(down.starts_with("<129>"), "{down}");
            assert!(down.contains("is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: "), "{down}");
            for step in &stopped {
                compare(&node, step);
            }
            assert_eq!(node.terminate(), Some(0), "{}", node.log());
        },
    );
}

fn compare(node: &Node, step: &Step) {
    let answer = ask(node, &step.command);
    let (ours, theirs) = (
        comparable(&step.command, &answer),
        comparable(&step.command, &step.output),
    );
    assert_eq!(ours, theirs, "$ {}\n{answer}", step.command);
}

fn compare_log(node: &Node) {
    let recorded = fs::read_to_string(golden("k8s-ingress.syslog.txt")).unwrap();
    let requests = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        lines
            .filter(|line| line.starts_with("<134>") && line.ends_with('"'))
            .map(without_figures)
            .collect()
    };
    let mut theirs = requests(
        &mut recorded
            .lines()
            .take_while(|line| !line.contains("is DOWN")),
    );
    let ours = wait_for("as many log lines", Duration::from_secs(10), || {
        let lines = node.syslog();
        let ours = requests(&mut lines.iter().map(String::as_str));
        (ours.len() >= theirs.len()).then_some(ours)
    });
    // Bytes of the statistics page in CSV depend on its figures; those of the demand for a password HAProxy counts
    // beyond what it sends.
    let mut ours = ours;
    for lines in [&mut ours, &mut theirs] {
        for line in lines.iter_mut().filter(|line| line.contains("GET /stats")) {
            let mut words: Vec<&str> = line.split(' ').collect();
            words[6] = "n";
            *line = words.join(" ");
        }
    }
    assert_eq!(ours, theirs);
}
