//! Includes, definitions, conditional lines.

use std::{collections::BTreeMap, io, path::PathBuf};

use super::*;

/// Files in memory.
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.0.get(path).cloned();
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let inside = |path: &&PathBuf| path.parent() == Some(directory);
        Ok(self.0.keys().filter(inside).cloned().collect())
    }
}

/// The words of `/etc/k/main.conf`, and what was said.
fn read_files(files: &[(&str, &str)]) -> (String, Vec<String>) {
    read_for(ConfigId::HostName("host"), files)
}

/// The same with a configuration id.
fn read_for(id: ConfigId<'_>, files: &[(&str, &str)]) -> (String, Vec<String>) {
    let files = files
        .iter()
        .map(|(path, text)| (Path::new("/etc/k").join(path), text.as_bytes().to_vec()))
        .collect();
    let mut diagnostics = Diagnostics::new();
    let tokens = read(
        Path::new("/etc/k/main.conf"),
        Choice {
            id,
            every_file: false,
        },
        &Memory(files),
        &mut diagnostics,
    );
    let words: Vec<&str> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.text.as_str()),
            Token::Open(_) => Some("{"),
            Token::Close(_) => Some("}"),
            Token::EndOfLine => None,
        })
        .collect();
    let said = diagnostics.iter().map(ToString::to_string).collect();
    (words.join(" "), said)
}

fn main_file(text: &str) -> (String, Vec<String>) {
    read_files(&[("main.conf", text)])
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let (_, said) = read_files(&[]);
    assert_eq!(
        said,
        ["/etc/k/main.conf: error: cannot read /etc/k/main.conf: no such file"]
    );
}

#[test]
fn includes_are_relative_to_the_including_file_and_may_be_patterns() {
    let (words, said) = read_files(&[
        ("main.conf", "a\n  include conf.d/*.conf\nz"),
        ("conf.d/2.conf", "two"),
        ("conf.d/1.conf", "one\ninclude deeper/x"),
        ("conf.d/1.conf.bak", "backup"),
        ("conf.d/.hidden.conf", "hidden"),
        ("conf.d/deeper/x", "x"),
    ]);
    assert_eq!(words, "a one x two z");
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_missing_include_is_an_error_and_an_empty_pattern_a_warning() {
    let (words, said) = main_file("a\ninclude no.conf\ninclude no.d/*\nb");
    assert_eq!(words, "a b");
    assert_eq!(
        said,
        [
            "/etc/k/main.conf:2:9: error: cannot read /etc/k/no.conf: no such file; keepalived would go on without \
             it; a file that may be missing is named by a pattern, as in `local.con[f]`",
            "/etc/k/main.conf:3:9: warning: no file matches: `no.d/*`; nothing is included",
        ]
    );
}

#[test]
fn a_file_that_includes_itself_ends() {
    for text in [
        "a\ninclude main.conf",
        "include main.conf\ninclude main.conf\ninclude main.conf",
    ] {
        let (_, said) = main_file(text);
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("without end"), "{said:?}");
    }
}

#[test]
fn definitions_are_substituted_everywhere_after_them() {
    let (words, said) = main_file(
        "$IF=eth0 # the interface\n$BASE=10.0.0\ninterface $IF\n${BASE}.1 \"on ${IF}\" $NO ${NO}",
    );
    assert_eq!(words, "interface eth0 10.0.0.1 on eth0 $NO ${NO}");
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_definition_may_have_several_lines() {
    let (words, _) = main_file("$BLOCK= a { \\\n b 1 \\\n }\n$BLOCK\nc");
    assert_eq!(words, "a { b 1 } c");
}

#[test]
fn built_in_definitions() {
    let (words, said) =
        main_file("\"x${_HASH}y${_BANG}z\" ${_PWD}/f ${_INSTANCE}\n${_RANDOM 7 7} ${_ENV NO}.");
    assert_eq!(words, "x#y!z /etc/k/f host 7 .");
    assert!(said.is_empty(), "{said:?}");
    let (words, said) = main_file("x${_HASH}y");
    assert_eq!(words, "x");
    assert!(
        said[0].contains("`#` begins a comment inside a word"),
        "{said:?}"
    );
    let (_, said) = main_file("${_DATE}");
    assert!(said[0].starts_with("/etc/k/main.conf:1:1: error: this built-in"));
}

#[test]
fn definitions_that_use_each_other_end() {
    for text in [
        "$A=${B}\n$B=${A}\nx${A}",
        "$A=a${A}\nx${A}",
        "$A=\\\n$A\n$A",
    ] {
        let (_, said) = main_file(text);
        assert_eq!(said.len(), 1, "{text}: {said:?}");
    }
}

#[test]
fn generators_have_a_limit() {
    let text = "~SEQ(A,1,1000) ~SEQ(B,1,1000) ~SEQ(C,1,1000) x";
    let (_, said) = main_file(text);
    assert!(said[0].contains("too many lines"), "{said:?}");
    let (_, said) = main_file("~SEQ(A,1,9223372036854775807) x");
    assert!(said[0].contains("too many lines"), "{said:?}");
}

#[test]
fn definitions_cannot_grow_without_bound() {
    let mut text = String::from("$A0=xxxxxxxxxxxxxxxx\n");
    for n in 1..64 {
        text.push_str(&format!("$A{n}=${{A{0}}}${{A{0}}}\n", n - 1));
    }
    text.push_str("$A63");
    let (_, said) = main_file(&text);
    assert!(said[0].contains("too long"), "{}", said[0]);
}

#[test]
fn lines_for_another_configuration_id_are_skipped() {
    let text = "@one a\n@one b\n@^one c\n@two d\n@^two e\nf\n@IP";
    for (id, wanted) in [
        ("one", "a b e f @IP"),
        ("two", "c d f @IP"),
        ("x", "c e f @IP"),
    ] {
        let (words, said) = read_for(ConfigId::Given(id), &[("main.conf", text)]);
        assert_eq!((words.as_str(), said.len()), (wanted, 0), "{id}");
    }
    // Without an id it is the host's name, which the file may not have meant: that is said.
    let (words, said) = read_for(ConfigId::HostName("one"), &[("main.conf", text)]);
    assert_eq!((words.as_str(), said.len()), ("a b e f @IP", 1));
    assert!(
        said[0].starts_with("/etc/k/main.conf:4:1: warning: a line for one configuration id"),
        "{said:?}"
    );
}
