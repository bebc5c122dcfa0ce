//! What monitoring reads of keepalived's files: the way of the Prometheus exporters, the collectd and Zabbix
//! templates, which look for lines by their indent and their name.

use std::collections::BTreeMap;

/// Lines by name, of each instance or script.
pub(super) type Read = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What they look for in `keepalived.data`.
const INSTANCE: &[&str] = &[
    "State",
    "Wantstate",
    "Interface",
    "Virtual Router ID",
    "Gratuitous ARP delay",
    "Priority",
    "Effective priority",
    "Virtual IP",
    "Virtual IP Excluded",
    "Tracked scripts",
];
const SCRIPT: &[&str] = &["Status", "State", "Weight", "Rise", "Fall"];

/// The instances and the scripts of `keepalived.data`.
pub(super) fn data(text: &str) -> (Read, Read) {
    (
        sections(text, " VRRP Instance = ", INSTANCE),
        sections(text, " VRRP Script = ", SCRIPT),
    )
}

/// What stands behind lines that begin with `head`: `   Name = value`, or `   Name :` and values that are indented more.
fn sections(text: &str, head: &str, wanted: &[&str]) -> Read {
    let mut read = Read::new();
    let (mut section, mut list) = (None, String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(head) {
            section = Some(name.to_owned());
            read.entry(name.to_owned()).or_default();
            continue;
        }
        let Some(of) = section.as_ref().and_then(|name| read.get_mut(name)) else {
            continue;
        };
        if !line.starts_with("   ") {
            section = None;
        } else if let Some(value) = line.strip_prefix("     ") {
            if wanted.contains(&list.as_str()) {
                of.entry(list.clone()).or_default().push(value.to_owned());
            }
        } else if let Some((name, value)) = line.split_once(" = ") {
            list.clear();
            if wanted.contains(&name.trim()) {
                let values = of.entry(name.trim().to_owned()).or_default();
                values.push(value.to_owned());
            }
        } else if let Some(name) = line.trim().strip_suffix(':') {
            list = name.split(" (").next().unwrap().trim().to_owned();
        }
    }
    read
}

/// The counters of `keepalived.stats`, each by instance, section and name.
pub(super) fn stats(text: &str) -> BTreeMap<(String, String, String), u64> {
    let (mut instance, mut section) = (String::new(), String::new());
    let mut read = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap();
        match line.len() - line.trim_start().len() {
            0 => instance = value.trim().to_owned(),
            2 if value.is_empty() => section = name.trim().to_owned(),
            indent => {
                if indent == 2 {
                    section.clear();
                }
                let key = (instance.clone(), section.clone(), name.trim().to_owned());
                read.insert(key, value.trim().parse().unwrap());
            }
        }
    }
    read
}
