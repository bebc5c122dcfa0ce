//! The tables of `src/conformance.md` and `src/traps.md` name tests that exist.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs, path::Path};

const RULES: &str = include_str!("../src/conformance.md");
const TRAPS: &str = include_str!("../src/traps.md");
const V3: &str = include_str!("matrix/v3.txt");
const V2: &str = include_str!("matrix/v2.txt");

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_in(&fs::read_to_string(path).unwrap()));
        }
    }
}

/// The functions that are marked as tests, within `proptest!` or not.
fn tests_in(text: &str) -> impl Iterator<Item = String> {
    let mut marked = false;
    text.lines().map(str::trim_start).filter_map(move |line| {
        marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let name = line.strip_prefix("async ").unwrap_or(line);
        let (name, _) = name.strip_prefix("fn ")?.split_once('(')?;
        std::mem::take(&mut marked).then(|| name.to_owned())
    })
}

/// Every test of the crates of this workspace. `None` outside of it, where their sources are elsewhere.
fn functions() -> Option<BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = ["vrrp-proto", "vrrp-fsm", "vip-netlink", "examples/ha-lb"];
    let mut names = BTreeSet::new();
    for one in crates.map(|one| root.join(one)) {
        for part in ["src", "tests"] {
            if !one.join(part).is_dir() {
                return None;
            }
            collect(&one.join(part), &mut names);
        }
    }
    Some(names)
}

/// The rows of a table, cell by cell, without its head.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| line.starts_with("| "));
    lines
        .skip(1)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether the table of that version has the event in that state.
fn in_matrix(matrix: &str, state: &str, event: &str) -> bool {
    let mut of_state = matrix
        .split("== ")
        .filter(|part| part.lines().next() == Some(state));
    of_state.any(|part| {
        let mut events = part.lines().filter_map(|line| line.split('|').next());
        events.any(|name| name.trim_end() == event)
    })
}

#[test]
fn a_function_that_is_no_test_shows_nothing() {
    let text = "fn helper() {}\n#[test]\n#[ignore]\nfn one() { fn inner() {} }\nfn after() {}\n\
                #[tokio::test]\nasync fn two() {}";
    assert!(tests_in(text).eq(["one", "two"]));
}

#[test]
fn every_rule_is_shown_by_a_test_that_exists() {
    let functions = functions();
    let exists = |name: &&str| functions.as_ref().is_none_or(|all| all.contains(*name));
    let mut rules = 0;
    for row in rows(RULES) {
        let [_, _, shown_by] = row[..] else {
            panic!("not a rule: {row:?}")
        };
        let names = quoted(shown_by);
        let found = match names[..] {
            [state, event] if shown_by.contains("matrix v2:") => in_matrix(V2, state, event),
            [state, event] if shown_by.contains("matrix:") => in_matrix(V3, state, event),
            [] => false,
            _ => names.iter().all(exists),
        };
        assert!(found, "no such test: {row:?}");
        rules += 1;
    }
    assert!(rules >= 60, "{rules} rules");
}

#[test]
fn every_trap_has_a_test_that_exists_or_a_reason() {
    let functions = functions();
    let mut traps = Vec::new();
    for row in rows(TRAPS) {
        let [number, _, here, shown_by] = row[..] else {
            panic!("not a trap: {row:?}")
        };
        if number.is_empty() {
            continue;
        }
        let names = quoted(shown_by);
        assert!(
            !names.is_empty() || here.starts_with("no test: "),
            "{number} has neither test nor reason"
        );
        for name in names {
            let exists = functions.as_ref().is_none_or(|all| all.contains(name));
            assert!(exists, "{number}: no test {name}");
        }
        traps.push(number.parse::<u32>().unwrap());
    }
    assert_eq!(traps, (1..=55).collect::<Vec<_>>());
}
