use std::{io, path::Path, path::PathBuf};

use super::*;
use crate::config::files::Files;

struct Variables;

impl Files for Variables {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "FOO").then(|| "a b".to_owned())
    }
}

fn read(text: &str) -> (Vec<Line>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let mut environment = Environment::new(&Variables);
    let lexed = lex(
        &Arc::from("h.cfg"),
        text,
        &mut environment,
        &mut diagnostics,
    );
    (lexed.lines, diagnostics)
}

fn words(text: &str) -> Vec<Vec<String>> {
    let (lines, diagnostics) = read(text);
    assert!(diagnostics.is_empty(), "{diagnostics}");
    lines
        .into_iter()
        .map(|line| line.words.into_iter().map(|word| word.text).collect())
        .collect()
}

#[test]
fn words_are_unquoted_as_haproxy_2_6_does() {
    // Each pair was compared with the word that `haproxy -c` 2.6 names in its message.
    for (text, expected) in [
        (r"a\ b", vec!["a b"]),
        (r#""a b\x41\tc""#, vec!["a bA\tc"]),
        (r"'a\x41 \ b'", vec![r"a\x41 \ b"]),
        (r"a\", vec![r"a\"]),
        (r"a#b", vec!["a"]),
        (r"a\#b", vec!["a#b"]),
        (r"a\qb", vec![r"a\qb"]),
        (r#""a\qb""#, vec![r"a\qb"]),
        (r#""a#b" 'c#d' # e"#, vec!["a#b", "c#d"]),
        (r#"k "" x"#, vec!["k", "", "x"]),
        (r#""$FOO"x"#, vec!["a bx"]),
        (r#""${FOO-d}""#, vec!["a b"]),
        (r#""${NOP-d}""#, vec!["d"]),
        ("$FOO", vec!["$FOO"]),
        (r#"'$FOO'"#, vec!["$FOO"]),
        (r#""\$FOO""#, vec!["$FOO"]),
        (r#"x "${FOO[*]}""#, vec!["x", "a", "b"]),
        (
            r"stats realm HAProxy-04\ Statistics",
            vec!["stats", "realm", "HAProxy-04 Statistics"],
        ),
    ] {
        assert_eq!(words(text), [expected], "{text}");
    }
}

#[test]
fn blank_lines_and_comments_give_nothing_and_lines_keep_their_numbers() {
    let (lines, _) = read("\n# c\n  \r\n\tglobal x # y\r\n\"${NOP}\" z\n");
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].number, 4);
    assert_eq!(lines[0].words[0].column, 2);
    assert_eq!(lines[0].span(1).to_string(), "h.cfg:4:9");
    assert_eq!(lines[0].span(9).to_string(), "h.cfg:4:10");
}

#[test]
fn columns_count_characters_as_written() {
    let (lines, _) = read(r#"é "q w" z\ y end"#);
    let columns: Vec<u32> = lines[0].words.iter().map(|word| word.column).collect();
    assert_eq!(columns, [1, 3, 9, 14]);
}

#[test]
fn variables_set_by_the_file_hold_for_the_lines_behind() {
    let text = "setenv A 1\npresetenv A 2\npresetenv B 3\n\"$A$B$FOO\"\nresetenv A\nx\"$A$B$FOO\"\nunsetenv A\nx\"$A\"";
    let found = words(text);
    assert_eq!(found[3], ["13a b"]);
    assert_eq!(found[5], ["x1"]);
    assert_eq!(found[7], ["x"]);
}

#[test]
fn a_faulty_line_is_named_and_left_out() {
    for (text, message) in [
        (
            "x \"a",
            "h.cfg:1:3: error: unmatched quote: expected the same quote again before the end of the line",
        ),
        (
            "x a\\x4",
            "h.cfg:1:4: error: truncated or invalid hexadecimal sequence: expected two hexadecimal digits after `\\x`",
        ),
        (
            "\"${FOO\"",
            "h.cfg:1:2: error: unmatched brace in environment variable name: expected `${NAME}`, `${NAME-default}` or `${NAME[*]}`",
        ),
        (
            "\"$ \"",
            "h.cfg:1:2: error: forbidden first char in environment variable name: expected a letter or `_` after `$` (write `\\$` for the character itself)",
        ),
    ] {
        let (lines, diagnostics) = read(text);
        assert!(lines.is_empty());
        assert_eq!(diagnostics.to_string().trim_end(), message);
    }
}

#[test]
fn bytes_that_are_no_text_are_warned_about() {
    let (lines, diagnostics) = read("a \"b\\xE0\" c\n# \u{fffd}\nd \\xc3\\xa9\n");
    assert_eq!(lines[0].text(1), "b\u{fffd}");
    assert_eq!(lines[1].text(1), "\u{e9}");
    let said = diagnostics.to_string();
    assert!(
        said.contains("h.cfg:1:3") && said.contains("bytes that are no UTF-8"),
        "{said}"
    );
    assert_eq!(said.matches("U+FFFD").count(), 1, "{said}");
}
