use lb_core::config::StatsLevel::{self, Admin, Operator, User};

use super::*;

fn parse(line: &str, level: StatsLevel) -> Result<Command, String> {
    let commands = split(line);
    assert_eq!(commands.len(), 1);
    Command::parse(&commands[0], None, level)
}

fn b_s1() -> Target {
    Target {
        backend: "b".to_owned(),
        server: "s1".to_owned(),
    }
}

#[test]
fn lines_split_at_semicolons_and_blanks_unless_escaped() {
    assert_eq!(
        split(r"show stat;; set server b/a\ b\;c state ready "),
        [
            vec!["show".to_owned(), "stat".to_owned()],
            ["set", "server", "b/a b;c", "state", "ready"]
                .map(str::to_owned)
                .to_vec()
        ]
    );
    assert!(split("  ").is_empty());
}

#[test]
fn commands_that_change_servers_are_understood() {
    let parse = |line| parse(line, Admin).unwrap();
    assert_eq!(
        parse("disable server b/s1"),
        Command::SetState(b_s1(), State::Maint)
    );
    assert_eq!(
        parse("set server b/s1 state drain"),
        Command::SetState(b_s1(), State::Drain)
    );
    assert_eq!(
        parse("set weight b/s1 0"),
        Command::SetWeight(b_s1(), Weight::Absolute(0))
    );
    assert_eq!(
        parse("set server b/s1 weight 50%"),
        Command::SetWeight(b_s1(), Weight::Percent(50))
    );
    assert_eq!(
        parse("set weight b/s1 150%"),
        Command::SetWeight(b_s1(), Weight::Percent(150))
    );
    assert_eq!(
        parse("set maxconn server b/s1 5"),
        Command::SetMaxconn(b_s1(), 5)
    );
    let selection = Selection {
        proxy: Some("b".to_owned()),
        kinds: 4,
        ..Selection::default()
    };
    assert_eq!(
        parse("show stat b 4 -1 json"),
        Command::ShowStat(selection, StatForm::Json)
    );
    assert_eq!(
        parse("show stat"),
        Command::ShowStat(Selection::default(), StatForm::Csv)
    );
}

#[test]
fn refusals_are_in_haproxy_s_words() {
    for (line, told) in [
        (
            "set server b/s1 state foo",
            "'set server <srv> state' expects 'ready', 'drain' and 'maint'.",
        ),
        (
            "set server b/s1 weight 300",
            "Absolute weight can only be between 0 and 256 inclusive.",
        ),
        ("set server b/s1 weight", "Require <weight> or <weight%>."),
    ] {
        assert_eq!(parse(line, Admin).unwrap_err(), told);
    }
    for line in ["disable server b/s1", "set server b/s1 state ready"] {
        assert_eq!(parse(line, Operator).unwrap_err(), "Permission denied");
    }
    assert_eq!(
        parse("clear counters", User).unwrap_err(),
        "Permission denied"
    );
}

#[test]
fn an_unknown_command_is_answered_by_the_ones_that_come_near() {
    let told = parse("show nonsense", User).unwrap_err();
    let title = "Unknown command, but maybe one of the following ones is a better match:\n";
    assert!(told.starts_with(title), "{told}");
    assert!(
        told.contains("  show stat [json|no-maint|typed|up]*     : report counters"),
        "{told}"
    );
    assert!(!told.contains("set server"), "{told}");
    assert!(told.ends_with(": disconnect\n"), "{told}");
}

#[test]
fn help_shows_what_the_level_allows() {
    assert!(!help(&[], User).contains("set server"));
    assert!(help(&[], Admin).contains("set server"));
}
