use std::io;

use proptest::prelude::*;

use super::*;
use crate::expr::Value;

fn files(text: &str) -> (PatternFiles, Arc<PatternFile>) {
    let files = PatternFiles::default();
    let file = files
        .file("m", Use::Map, None, || Ok(text.as_bytes().to_vec()))
        .unwrap();
    (files, file)
}

fn found(view: &LiveMap, text: &str) -> Option<String> {
    let value = view.of_text(text.as_bytes())?;
    Some(String::from_utf8(value.into_owned()).unwrap())
}

#[test]
fn views_follow_changes() {
    let (files, file) = files("a 1\nb 2\n");
    let view = file.view(MapMatch::Exact).unwrap();
    assert_eq!(found(&view, "a").as_deref(), Some("1"));
    file.add(b"c", b"3").unwrap();
    assert_eq!(found(&view, "c").as_deref(), Some("3"));
    assert!(file.set(Which::Key(b"a"), b"one").unwrap());
    assert!(!file.set(Which::Key(b"x"), b"one").unwrap());
    assert_eq!(found(&view, "a").as_deref(), Some("one"));
    assert!(file.remove(Which::Number(2)));
    assert!(!file.remove(Which::Number(2)));
    assert_eq!(found(&view, "b"), None);
    file.put(b"d", b"4");
    file.put(b"d", b"5");
    assert_eq!(found(&view, "d").as_deref(), Some("5"));
    assert_eq!(file.entries().len(), 3);
    assert!(file.remove(Which::All));
    assert_eq!(found(&view, "a"), None);
    assert!(files.named("m").is_some());
}

#[test]
fn a_change_that_one_view_cannot_take_is_none() {
    let (_, file) = files("10.0.0.0/8 ten\n");
    let text = file.view(MapMatch::Exact).unwrap();
    let networks = file.view(MapMatch::Network).unwrap();
    file.add(b"nonsense", b"x").unwrap_err();
    assert_eq!(found(&text, "nonsense"), None);
    file.add(b"10.1.0.0/16", b"small").unwrap();
    let pairs: [(&[u8], &[u8]); 2] = [(b"10.2.0.0/16", b"two"), (b"nonsense", b"x")];
    file.add_all(pairs).unwrap_err();
    assert_eq!(file.entries().len(), 2);
    file.add_all(pairs[..1].iter().copied()).unwrap();
    assert_eq!(file.entries().len(), 3);
    let address = "10.1.2.3".parse().unwrap();
    assert_eq!(networks.of_address(address).as_deref(), Some(&b"small"[..]));
}

#[test]
fn a_version_is_prepared_aside() {
    let (_, file) = files("a 1\n");
    let view = file.view(MapMatch::Exact).unwrap();
    let version = file.prepare();
    assert!(file.add_prepared(version, b"b", b"2"));
    assert!(!file.add_prepared(version + 1, b"b", b"2"));
    assert_eq!(found(&view, "b"), None);
    assert!(file.commit(version).unwrap());
    assert!(!file.commit(version).unwrap());
    assert_eq!(found(&view, "a"), None);
    assert_eq!(found(&view, "b").as_deref(), Some("2"));
    assert_eq!(file.versions(), (version, version, 1));
    let other = file.prepare();
    assert!(file.discard(other));
}

#[test]
fn acls_follow_changes_and_a_wrong_pattern_is_none() {
    let files = PatternFiles::default();
    let text = b"# nets\n10.0.0.0/8\r\n\n192.0.2.1\n";
    let origin = |line| Origin {
        file: "h.cfg".into(),
        line,
    };
    let load = || Ok(text.to_vec());
    let file = files.file("n", Use::Acl, Some(&origin(3)), load).unwrap();
    let again = || -> io::Result<Vec<u8>> { unreachable!("a file is read once") };
    files.file("n", Use::Acl, Some(&origin(9)), again).unwrap();
    assert_eq!(
        file.description(),
        "pattern loaded from file 'n' used by acl at file 'h.cfg' line 3, by acl at file 'h.cfg' line 9"
    );
    assert!(files.file("n", Use::Map, None, again).is_err());
    let networks = file.matcher(Method::Ip, false).unwrap();
    let holds = |address: &str| networks.matches(&Value::text(address.as_bytes()));
    assert!(holds("10.1.2.3") && holds("192.0.2.1") && !holds("172.16.0.1"));
    file.add(b"172.16.0.0/12", b"").unwrap();
    assert!(holds("172.16.0.1"));
    file.add(b"nonsense", b"").unwrap_err();
    assert!(file.remove(Which::Key(b"10.0.0.0/8")));
    assert!(!holds("10.1.2.3") && holds("192.0.2.1"));
    let version = file.prepare();
    assert!(file.add_prepared(version, b"::1", b""));
    assert!(file.commit(version).unwrap());
    assert!(holds("::1") && !holds("192.0.2.1"));
}

fn acl(text: &str) -> Arc<PatternFile> {
    let load = || Ok(text.as_bytes().to_vec());
    let files = PatternFiles::default();
    files.file("n", Use::Acl, None, load).unwrap()
}

#[test]
fn patterns_are_added_to_many_as_fast_as_to_few() {
    // Were all of them compiled for each one, this took minutes.
    const KEYS: u32 = 10_000;
    let file = acl("first\n");
    let names = file.matcher(Method::Str, true).unwrap();
    let parts = file.matcher(Method::Beg, false).unwrap();
    for key in 0..KEYS {
        file.put(format!("Key-{key}").as_bytes(), b"");
        file.put(b"first", b"");
    }
    assert_eq!(file.entries().len(), KEYS as usize + 1);
    for key in [0, 1, 2, 3, KEYS / 2, KEYS - 1] {
        assert!(names.matches(&Value::text(format!("KEY-{key}").as_bytes())));
        assert!(parts.matches(&Value::text(format!("Key-{key}/x").as_bytes())));
    }
    assert!(names.matches(&Value::text(b"first")));
    assert!(!names.matches(&Value::text(format!("key-{KEYS}").as_bytes())));
    assert!(file.remove(Which::Key(b"Key-7")));
    assert!(!names.matches(&Value::text(b"key-7")) && names.matches(&Value::text(b"key-8")));
}

#[test]
fn expressions_that_are_too_many_for_one_set_come_and_go() {
    // Two of these are a set, three are not.
    let large = |letter: char| format!("^{letter}(?:[a-z]{{1000}}){{130}}$");
    let file = acl(&format!("{}\n{}\n^one$\n^two$\n", large('a'), large('b')));
    let view = file.matcher(Method::Reg, false).unwrap();
    let matches = |text: &str| view.matches(&Value::text(text.as_bytes()));
    file.add(large('c').as_bytes(), b"").unwrap();
    assert!(file.remove(Which::Key(b"^two$")));
    assert!(matches("one") && !matches("two"));
    assert_eq!(file.entries().len(), 4);
}

#[test]
fn numbers_that_are_asked_for_are_left_free() {
    let files = PatternFiles::default();
    for number in [None, Some(1), None] {
        files.inline("hdr", number, None, ["x".to_owned()]).unwrap();
    }
    assert!(files.inline("hdr", Some(1), None, []).is_err());
    let numbers: Vec<(usize, Option<usize>)> = files
        .numbered()
        .into_iter()
        .map(|(number, file)| (number, file.forced))
        .collect();
    assert_eq!(numbers, [(0, None), (1, Some(1)), (2, None)]);
}

#[test]
fn a_value_is_looked_up_as_each_view_would() {
    let files = PatternFiles::default();
    let load = || Ok(b"/a\n/a/b\n".to_vec());
    let file = files.file("p", Use::Acl, None, load).unwrap();
    let views = [
        (Method::Beg, false),
        (Method::Str, true),
        (Method::Len, false),
    ];
    let kept: Vec<_> = views
        .iter()
        .filter_map(|(method, blind)| file.matcher(*method, *blind).ok())
        .collect();
    assert_eq!(kept.len(), 2, "paths are no lengths");
    let found = file.look(b"/A/B");
    assert_eq!(found[0].entry, None);
    assert_eq!(found[1].entry.as_ref().unwrap().key.as_ref(), b"/a/b");
    assert!(found[1].ignore_case);
    let found = file.look(b"/a/b/c");
    assert_eq!(
        found[0].entry.as_ref().unwrap().key.as_ref(),
        b"/a/b",
        "the longest"
    );
}

const EVERY_COMPARISON: [MapMatch; 9] = [
    MapMatch::Exact,
    MapMatch::Beginning,
    MapMatch::End,
    MapMatch::Within,
    MapMatch::Directory,
    MapMatch::Domain,
    MapMatch::Regex,
    MapMatch::Network,
    MapMatch::Number,
];

proptest! {
    #[test]
    fn keys_that_change_one_by_one_make_the_map_that_a_file_of_them_is(
        steps in prop::collection::vec((0_u8..4, 0_u8..12, 0_u8..3), 1..40),
    ) {
        for by in EVERY_COMPARISON {
            let key = |number: u8| match by {
                MapMatch::Network => format!("10.{}.0.0/{}", number / 4, 8 + 8 * (number % 4)),
                MapMatch::Number => format!("{number}:{}", number + 3),
                _ => "/a.b/c.d/e.f"[..=usize::from(number)].to_owned(),
            };
            let (_, file) = files(&format!("{} first\n{} second\n", key(3), key(3)));
            let view = file.view(by).unwrap();
            for (step, number, value) in &steps {
                let (key, value) = (key(*number), value.to_string());
                let (key, value) = (key.as_bytes(), value.as_bytes());
                match step {
                    0 => file.put(key, value),
                    1 => file.add(key, value).unwrap(),
                    2 => drop(file.set(Which::Key(key), value).unwrap()),
                    _ => drop(file.remove(Which::Key(key))),
                }
            }
            let lines = file.entries().into_iter().map(|(_, entry)| {
                [&*entry.key, b" ", &*entry.value, b"\n"].concat()
            });
            let anew = files(&String::from_utf8(lines.collect::<Vec<_>>().concat()).unwrap());
            let anew = anew.1.view(by).unwrap();
            for number in 0..14_u8 {
                let text = format!("/a.b/c.d/e.f{number}");
                let text = &text.as_bytes()[..=usize::from(number).min(text.len() - 1)];
                prop_assert_eq!(view.of_text(text), anew.of_text(text));
                prop_assert_eq!(view.of_number(number.into()), anew.of_number(number.into()));
                let address = [10, number / 4, number % 2, 1].into();
                prop_assert_eq!(view.of_address(address), anew.of_address(address));
            }
        }
    }

    #[test]
    fn patterns_that_come_one_by_one_match_what_a_file_of_them_does(
        steps in prop::collection::vec((0_u8..8, 0_u8..40), 1..60),
    ) {
        for method in [Method::Str, Method::End, Method::Sub, Method::Dom, Method::Reg, Method::Int, Method::Ip] {
            let key = |number: u8| match method {
                Method::Ip => format!("10.{}.0.0/{}", number / 4, 8 + 8 * (number % 4)),
                Method::Int => format!("{number}:{}", number + 3),
                _ => format!("w{number}.b"),
            };
            let file = acl(&format!("{}\n{}\n", key(3), key(3)));
            let view = file.matcher(method, false).unwrap();
            for (step, number) in &steps {
                let key = key(*number);
                match step {
                    0 => drop(file.remove(Which::Key(key.as_bytes()))),
                    1 => file.add(key.as_bytes(), b"").unwrap(),
                    _ => file.put(key.as_bytes(), b""),
                }
            }
            let lines = file.entries().into_iter().map(|(_, entry)| [&*entry.key, b"\n"].concat());
            let anew = acl(&String::from_utf8(lines.collect::<Vec<_>>().concat()).unwrap());
            let anew = anew.matcher(method, false).unwrap();
            for number in 0..44_u8 {
                for text in [format!("w{number}.b"), number.to_string(), format!("10.{number}.0.1")] {
                    let value = Value::text(text.as_bytes());
                    prop_assert_eq!(view.matches(&value), anew.matches(&value), "{}", text);
                }
            }
        }
    }
}
