//! No text can make the reader panic, and it is refused exactly when an error was said.

use proptest::prelude::*;

use super::{super::keywords::TABLES, *};

/// Lines made of words that the reader knows, so that it gets further than "unknown keyword".
fn line() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = TABLES
        .iter()
        .flat_map(|(_, table)| *table)
        .flat_map(|entry| entry.names)
        .copied()
        .chain([
            "global",
            "defaults",
            "frontend",
            "backend",
            "listen",
            "userlist",
            "no",
            "if",
            "{",
            "}",
            "a",
            "b",
            "80",
            ":80",
            "*:8000-8010",
            "10.0.0.1:80",
            "10.0.0.1:+5",
            "[::1]:9",
            "/tmp/x",
            "10s",
            "1m",
            "GET",
            "/",
            "HTTP/1.1\r\nHost:x",
            "type",
            "ip",
            "size",
            "store",
            "gpc0_rate(1s)",
            "from",
            "x:y",
            "\"",
            "'",
            "\\",
            "${PORT}",
            "\"${PORT}\"",
            "#",
            "web.example:80",
            "expect",
            "status",
            "200-299",
            "send",
            "hdr",
        ])
        .collect();
    prop::collection::vec(prop::sample::select(names), 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".*(\n.*){0,12}") {
        fuzz(text.as_bytes());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
    }

    #[test]
    fn known_words_in_any_order_never_panic(lines in prop::collection::vec(line(), 0..20)) {
        let (config, diagnostics) = load_text(&lines.join("\n"));
        prop_assert_eq!(config.is_none(), diagnostics.has_errors());
    }

    #[test]
    fn every_finding_has_a_place_in_the_text(lines in prop::collection::vec(line(), 0..20)) {
        let text = lines.join("\n");
        let count = text.split('\n').count();
        let (_, diagnostics) = load_text(&text);
        for finding in diagnostics.iter() {
            prop_assert!(finding.span.line >= 1 && finding.span.line as usize <= count);
            prop_assert!(finding.span.column >= 1);
        }
    }
}
