//! A strict reader of Prometheus' text format 0.0.4: whatever it does not allow is a failure of the test.
#![expect(clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

/// Labels in the order of their names.
pub(crate) type Labels = BTreeMap<String, String>;

/// A family: its type and its samples by name (a histogram has several) and labels.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

/// A whole document, by the families' names.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) families: BTreeMap<String, Family>,
}

impl Document {
    /// The one sample with exactly these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = self::labels(labels);
        let all = self.families.values().flat_map(|family| &family.samples);
        let found = all.clone().find(|one| one.0 == name && one.1 == labels);
        let Some(found) = found else {
            let near: Vec<_> = all.filter(|one| one.0 == name).collect();
            panic!("no {name} {labels:?}; there are {near:?}");
        };
        found.2
    }
}

/// Labels from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    pairs
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect()
}

/// Reads a document; panics with the line that is wrong.
pub(crate) fn parse(text: &str) -> Document {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line has no end"
    );
    let mut document = Document::default();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name, true), "{line}");
            let family = Family {
                help: help.to_owned(),
                ..Family::default()
            };
            let twice = document.families.insert(name.to_owned(), family);
            assert!(twice.is_none(), "a family twice: {line}");
            name.clone_into(&mut current);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert_eq!(name, current, "TYPE follows HELP: {line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let family = document.families.get_mut(name).unwrap();
            assert!(
                family.kind.is_empty() && family.samples.is_empty(),
                "{line}"
            );
            kind.clone_into(&mut family.kind);
        } else {
            let (name, labels, value) = sample(line);
            let family = document
                .families
                .get_mut(&current)
                .unwrap_or_else(|| panic!("{line}"));
            let suffix = name.strip_prefix(current.as_str());
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "" => panic!("a sample before its TYPE: {line}"),
                _ => &[""],
            };
            assert!(
                suffix.is_some_and(|s| suffixes.contains(&s)),
                "not of {current}: {line}"
            );
            assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
            assert!(
                family.kind != "counter" || value.is_nan() || value >= 0.0,
                "{line}"
            );
            family.samples.push((name, labels, value));
        }
    }
    for (name, family) in &document.families {
        assert!(!family.samples.is_empty(), "{name} has no sample");
        assert!(!family.help.is_empty(), "{name} is not explained");
        if family.kind == "histogram" {
            histogram(name, family);
        }
    }
    document
}

/// Buckets rise to +Inf, which is the count.
fn histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        if sample.ends_with("_bucket") {
            let mut labels = labels.clone();
            let bound = labels
                .remove("le")
                .unwrap_or_else(|| panic!("{name}: no le"));
            let bound = number(&bound).unwrap_or_else(|| panic!("{name}: le {bound}"));
            series.entry(labels).or_default().push((bound, *value));
        }
    }
    assert!(!series.is_empty(), "{name}");
    for (labels, buckets) in series {
        let rising = buckets
            .windows(2)
            .all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        assert!(rising, "{name} {labels:?}: {buckets:?}");
        let (bound, all) = *buckets.last().unwrap();
        assert_eq!(bound, f64::INFINITY, "{name} {labels:?}");
        let of = |suffix: &str| {
            let wanted = format!("{name}{suffix}");
            let mut found = family
                .samples
                .iter()
                .filter(|s| s.0 == wanted && s.1 == labels);
            found
                .next()
                .unwrap_or_else(|| panic!("{wanted} {labels:?}"))
                .2
        };
        assert_eq!(of("_count"), all, "{name} {labels:?}");
        assert!(of("_sum") >= 0.0);
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let name = &line[..end];
    assert!(is_name(name, true), "{line}");
    let mut labels = Labels::new();
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label, false), "{label}: {line}");
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().unwrap_or_else(|| panic!("{line}")) {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match characters.next().unwrap().1 {
                        'n' => '\n',
                        same @ ('\\' | '"') => same,
                        other => panic!("escape {other}: {line}"),
                    }),
                    (_, other) => value.push(other),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    let value = number(value).unwrap_or_else(|| panic!("{line}"));
    (name.to_owned(), labels, value)
}

/// Go's numbers, as far as they occur.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "NaN" => Some(f64::NAN),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => text.parse().ok(),
        _ => None,
    }
}

fn is_name(name: &str, with_colon: bool) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (with_colon && c == ':');
    name.chars().all(allowed) && name.starts_with(|c: char| !c.is_ascii_digit())
}

#[test]
fn what_is_not_allowed_is_found() {
    let good = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"1\"} 1\n\
                a_seconds_bucket{le=\"+Inf\"} 2\na_seconds_sum 3\na_seconds_count 2\n";
    assert_eq!(parse(good).value("a_seconds_sum", &[]), 3.0);
    for (from, to) in [
        ("count 2", "count 3"),
        ("+Inf", "inf"),
        ("\"1\"} 1", "\"1\"} 5"),
        ("# TYPE", "# TIPE"),
        ("a_seconds_sum", "b_sum"),
        ("count 2\n", "count 2"),
        ("Time.\n", "Time.\n\n"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(std::panic::catch_unwind(|| parse(&bad)).is_err(), "{bad}");
    }
}
