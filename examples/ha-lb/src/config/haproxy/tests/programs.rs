//! `option external-check` and what it needs.

use lb_core::config::{CheckKind, ExternalCheck};

use super::{findings, load_text, quiet};

const GLOBAL: &str = "global\n external-check\n insecure-fork-wanted\n";

fn file(global: &str, defaults: &str, lines: &str) -> String {
    format!(
        "{global}defaults\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n {defaults}\nbackend b\n {lines}\n \
         server s 10.0.0.1:80 check\n"
    )
}

fn check(defaults: &str, lines: &str) -> CheckKind {
    let config = quiet(&file(GLOBAL, defaults, lines));
    let backend = config.proxies[0].backend.as_ref();
    backend.unwrap().check.clone()
}

#[test]
fn the_program_of_a_backend_is_that_of_its_last_lines() {
    let program = |command: &str, path: Option<&str>| {
        CheckKind::External(
            ExternalCheck {
                command: command.to_owned(),
                path: path.map(str::to_owned),
            }
            .into(),
        )
    };
    let asked = "option external-check\n external-check command";
    assert_eq!(
        check("", &format!("{asked} /bin/a")),
        program("/bin/a", None)
    );
    let inherited = format!("{asked} a\n external-check path /x:/y");
    assert_eq!(check(&inherited, ""), program("a", Some("/x:/y")));
    assert_eq!(
        check(&inherited, "external-check command b"),
        program("b", Some("/x:/y"))
    );
    // The kind of check that was asked for last holds.
    let (config, told) = load_text(&file(GLOBAL, &inherited, "option tcp-check"));
    let config = config.unwrap();
    let backend = config.proxies[0].backend.as_ref().unwrap();
    assert!(!matches!(backend.check, CheckKind::External(_)), "{told}");
    let lines = format!("{asked} /bin/a");
    assert_eq!(check("option httpchk", &lines), program("/bin/a", None));
}

#[test]
fn what_a_program_lacks_is_told_in_haproxy_s_words() {
    let wrong = |global: &str, lines: &str| {
        let told = findings(&file(global, "", lines));
        assert!(!told.is_empty(), "{lines}");
        told.join("\n")
    };
    for (lines, words) in [
        (
            "option external-check",
            "h.cfg:10:9: error: backend 'b' : 'option external-check' unable to find required 'external-check command'.",
        ),
        (
            "option external-check\n external-check command x",
            "'external-check command' does not have a leading '/' and 'external-check path' is not set.",
        ),
        (
            "external-check command /x",
            "h.cfg:10:25: warning: 'external-check command' will be ignored for backend 'b' (requires 'option external-check').",
        ),
        (
            "external-check word /x",
            "'external-check' only supports 'command' and 'path'. but got 'word'.",
        ),
        ("external-check path", "'path' lacks an argument"),
        (
            "external-check command a b",
            "'external-check' takes no further argument",
        ),
        (
            "no option external-check",
            "negation/default is not supported for option 'external-check'.",
        ),
        (
            "option external-check\n external-check command /x\n no option pgsql-check",
            "h.cfg:12:12: error: negation/default is not supported for option 'pgsql-check'.",
        ),
    ] {
        let told = wrong(GLOBAL, lines);
        assert!(told.contains(words), "{told}");
    }
    let asked = "option external-check\n external-check command /x";
    let told = wrong("global\n insecure-fork-wanted\n", asked);
    let words = "'option external-check' unable to find required 'global.external-check'.";
    assert!(told.contains(words), "{told}");
}

#[test]
fn forks_that_are_not_wanted_are_warned_about_and_needed_by_nobody_here() {
    let asked = "option external-check\n external-check command /x";
    for global in [
        "global\n external-check\n",
        "global\n external-check\n insecure-fork-wanted\n no insecure-fork-wanted\n",
    ] {
        let (config, told) = load_text(&file(global, "", asked));
        assert!(config.is_some());
        let told = told.to_string();
        let words = "'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail.";
        assert!(told.contains(words), "{told}");
    }
}
