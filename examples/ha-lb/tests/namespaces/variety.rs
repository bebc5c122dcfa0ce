//! Files as guides, images and installers write them, with the mistakes they make: `keepalived -t` judges each as
//! Debian's keepalived does, or differs for a reason that is known here and says what it does instead.
//!
//! `tests/configs/variety.txt` holds them, each behind a line `=== name | keepalived's code | ours | words of ours`, with `-` for none.

use std::{fs, path::Path};

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed},
};

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const FILES: &str = include_str!("../configs/variety.txt");

/// Name, keepalived's code and ours, words that ours says, the file.
type Case = (&'static str, i32, i32, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let (_, files) = FILES.split_once("\n=== ").unwrap();
    let files = files.split("\n=== ").map(|file| {
        let (head, text) = file.split_once('\n').unwrap();
        let mut head = head.splitn(4, " | ");
        let mut next = || head.next().unwrap();
        let name = next();
        let (theirs, ours) = (next().parse().unwrap(), next().parse().unwrap());
        (name, theirs, ours, next(), text)
    });
    files.collect()
}

/// How it differs from what is expected.
fn judge(node: &Node, ours: &Path, (name, theirs, expected, words, text): &Case) -> Option<String> {
    let file = format!("/etc/{}.conf", name.replace(' ', "-"));
    fs::write(node.path(&file[1..]), text).unwrap();
    let [theirs_said, ours_said] = [Path::new("/usr/sbin/keepalived"), ours].map(|program| {
        let command = node.command(program).args(["-t", "-f", &file]);
        let output = command.capture().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    });
    let codes = (theirs_said.0, ours_said.0);
    let words = words.trim_start_matches('-');
    let holds = codes == (Some(*theirs), Some(*expected)) && ours_said.1.contains(words);
    (!holds).then(|| format!("{name}: {codes:?}\n{}{}", theirs_said.1, ours_said.1))
}

#[test]
fn files_of_every_kind_are_judged_as_keepalived_does_or_for_a_reason() {
    enclosed(
        "variety::files_of_every_kind_are_judged_as_keepalived_does_or_for_a_reason",
        Needs::Users,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let sbin = scratch.path().join("sbin");
            fs::create_dir(&sbin).unwrap();
            std::os::unix::fs::symlink(HA_LB, sbin.join("keepalived")).unwrap();
            let cases = cases();
            assert!(cases.len() > 60, "{}", cases.len());
            let judged = |part: &[Case]| -> Vec<String> {
                let ours = sbin.join("keepalived");
                part.iter()
                    .filter_map(|case| judge(&node, &ours, case))
                    .collect()
            };
            let differences: Vec<String> = std::thread::scope(|scope| {
                let parts = cases.chunks(cases.len().div_ceil(4));
                let parts = parts.map(|part| scope.spawn(|| judged(part)));
                let parts: Vec<_> = parts.collect();
                parts
                    .into_iter()
                    .flat_map(|part| part.join().unwrap())
                    .collect()
            });
            assert!(differences.is_empty(), "{}", differences.join("\n"));
        },
    );
}
