//! The example files that keepalived's package brings: what keepalived accepts is accepted, and what is refused is
//! refused for a reason that is known here.

use std::{fs, path::Path, process::Command};

const SAMPLES: &str = "/usr/share/doc/keepalived/samples";
const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// Part of the name, and the first reason.
const REFUSED: &[(&str, &str)] = &[
    // Its scripts are for other configuration ids; keepalived goes on without the check.
    ("conditional_conf", "a script without a command"),
    ("fwmark", "a virtual server without an address"),
    // A sync group without `group`, from long ago; keepalived knows its lines no more than this.
    ("vrrp.lvs_syncd", "unknown keyword: found `VI_2`"),
    ("vrrp.rules", "this is no address: found `192.168.100./24`"),
];

#[test]
fn the_samples_load_or_are_refused_for_a_stated_reason() {
    let Ok(entries) = fs::read_dir(SAMPLES) else {
        eprintln!("skipped: {SAMPLES} is missing");
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().contains("/keepalived.conf."));
    paths.sort();
    assert!(paths.len() > 20, "{paths:?}");
    let mut wrong = Vec::new();
    for path in &paths {
        let output = Command::new(HA_LB)
            .args(["check", "-k"])
            .arg(path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = text.lines().find(|line| line.contains(": error: "));
        let known = REFUSED
            .iter()
            .find(|(name, _)| path.to_string_lossy().ends_with(name));
        let as_known = match (error, known) {
            (Some(error), Some((_, reason))) => error.contains(reason),
            (None, None) => output.status.success(),
            _ => false,
        };
        if !as_known {
            wrong.push(format!("{}\n{text}", path.display()));
        }
        if Path::new(KEEPALIVED).exists() {
            let theirs = Command::new(KEEPALIVED)
                .args(["-t", "-f"])
                .arg(path)
                .output()
                .unwrap();
            if theirs.status.success() && !output.status.success() {
                wrong.push(format!("{}: keepalived accepts it\n{text}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
