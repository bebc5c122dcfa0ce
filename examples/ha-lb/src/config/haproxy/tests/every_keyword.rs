//! Every word that the installed HAProxy says it knows is known here too: it has its effect, or a finding says by its
//! name that it has none.

use std::process::Command;

use super::*;

/// The lists of `haproxy -dKall`, by their titles.
fn lists() -> Option<String> {
    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-dKall", "-q", "-c", "-f", "/dev/null"]);
    let told = haproxy.output().ok()?;
    Some(String::from_utf8_lossy(&told.stdout).into_owned())
}

/// Says so when `name` is called unknown where `text` is read.
fn unknown(text: &str, name: &str) -> Option<String> {
    let name = format!("'{name}'");
    let mut findings = findings(text).into_iter();
    findings.find(|finding| finding.contains("unknown") && finding.contains(&name))
}

fn proxy(frontend: &str, backend: &str) -> String {
    format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\nfrontend f\n bind :80\n {frontend}\n\
         backend b\n stick-table type ip size 1k\n server s 10.0.0.1:80\n {backend}\n"
    )
}

/// A word with as many arguments as the list says (`+1`).
fn with_arguments(words: &str) -> String {
    let words = words.trim_end_matches(" +-1");
    match words.rsplit_once(" +") {
        Some((name, count)) => format!("{name}{}", " 1".repeat(count.parse().unwrap_or(1))),
        None => words.to_owned(),
    }
}

/// A file in which a line of the list of keywords stands; `section` is the heading above it.
fn sample(section: &str, line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(words) = line.strip_prefix("bind <addr> ") {
        let words = with_arguments(words);
        return Some(proxy(&format!("bind :81 {words}"), ""));
    }
    if let Some(words) = line.strip_prefix("server <name> <addr> ") {
        let words = with_arguments(words);
        return Some(proxy("", &format!("server t 10.0.0.2:80 {words}")));
    }
    if let Some(option) = line.strip_prefix("option ") {
        let name = option.split(' ').next()?;
        return Some(proxy(&format!("option {name}"), &format!("option {name}")));
    }
    let rules = [
        "tcp-request",
        "tcp-response",
        "http-request",
        "http-response",
        "http-after-response",
    ];
    if rules.contains(&line.split(' ').next()?) && line.contains(' ') {
        let (rule, action) = line.rsplit_once(' ')?;
        // An asterisk: more follows the name at once.
        let action = match action.strip_suffix('*') {
            Some(name @ "track-sc") => format!("{name}0 src table b"),
            Some(name) => format!("{name}(0) 1 1"),
            None => format!("{action} 1 1"),
        };
        return Some(proxy(&format!("{rule} {action}"), ""));
    }
    match section {
        "global" if line == "stats" => Some("global\n stats socket /s\n".to_owned()),
        "global" => Some(format!("global\n {line} 1\n")),
        "listen" => Some(proxy(line, line)),
        _ => None,
    }
}

#[test]
fn every_keyword_is_known_by_its_name() {
    let Some(lists) = lists() else {
        println!("skipped: haproxy is not installed");
        return;
    };
    let (mut list, mut section) = ("", "");
    let mut wrong = Vec::new();
    let mut tried = 0;
    for line in lists.lines() {
        if let Some(title) = line.strip_prefix("# List of registered ") {
            (list, section) = (title.trim_end_matches(':'), "");
            continue;
        }
        let (name, text) = match list {
            "configuration keywords" if !line.starts_with(['\t', ' ']) => {
                section = line.trim();
                continue;
            }
            "configuration keywords" => {
                let words = line.trim().split([' ', '*']).map(str::trim);
                let is_name = |word: &&str| !word.is_empty() && !word.starts_with(['+', '[']);
                let words = words.take_while(|word| *word != "[").filter(is_name);
                (words.last().unwrap_or_default(), sample(section, line))
            }
            "ACL keywords" => {
                let name = line.split(' ').next().unwrap_or_default();
                (name, Some(proxy(&format!("acl x {name} 1"), "")))
            }
            "sample converter functions" => {
                let name = line.split(['(', ':']).next().unwrap_or_default();
                let call = if line.contains('(') { "(1,1)" } else { "" };
                let rule = format!("http-request set-header x %[src,{name}{call}]");
                (name, Some(proxy(&rule, "")))
            }
            "sample fetch functions" if line.starts_with('[') => {
                let name = line.rsplit_once("] ").map_or("", |(_, rest)| rest);
                let name = name.split(['(', ':']).next().unwrap_or_default();
                (name, Some(proxy(&format!("acl x {name} -m found"), "")))
            }
            _ => ("", None),
        };
        let Some(text) = text else {
            continue;
        };
        tried += 1;
        if let Some(finding) = unknown(&text, name) {
            wrong.push(format!("{list}: {}: {finding}", line.trim()));
        }
    }
    assert!(tried > 800, "{tried}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
