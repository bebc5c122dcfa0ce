//! The table of `src/conformance.md` names tests that exist.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

const TABLE: &str = include_str!("../src/conformance.md");
const V3: &str = include_str!("matrix/v3.txt");
const V2: &str = include_str!("matrix/v2.txt");

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Whether the table of that version has the event in that state.
fn in_matrix(matrix: &str, state: &str, event: &str) -> bool {
    let mut of_state = matrix
        .split("== ")
        .filter(|part| part.lines().next() == Some(state));
    of_state.any(|part| {
        part.lines().any(|line| {
            line.split('|')
                .next()
                .is_some_and(|name| name.trim_end() == event)
        })
    })
}

#[test]
fn every_rule_is_shown_by_a_test_that_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let codec = here.join("../vrrp-proto/src");
    let mut text = String::new();
    sources(&here.join("src"), &mut text);
    sources(&here.join("tests"), &mut text);
    // Outside the workspace the codec's sources are elsewhere.
    let whole = codec.is_dir();
    if whole {
        sources(&codec, &mut text);
    }
    let mut rules = 0;
    for line in TABLE.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let shown_by = line.split('|').nth(3).unwrap();
        let names: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        let found = match names[..] {
            [state, event] if shown_by.contains("matrix v2:") => in_matrix(V2, state, event),
            [state, event] if shown_by.contains("matrix:") => in_matrix(V3, state, event),
            [name] => text.contains(&format!("fn {name}(")) || !whole,
            _ => false,
        };
        assert!(found, "no such test: {line}");
        rules += 1;
    }
    assert!(rules >= 30, "{rules} rules");
}
