//! Rewrites that fail, and what follows from that (`strict-mode`).

use super::*;

/// Runs the rules of both lists one after the other, as those of a frontend and a backend; how the last one ended, the
/// request, and how many rewrites failed.
fn run_both(lists: [&[&str]; 2]) -> (RequestVerdict, String, u32) {
    let mut world = World::new();
    let mut head = request("GET", "/a", &["Host: h"]);
    let mut last = RequestVerdict::Continue;
    for rules in lists.map(build) {
        last = rules.on_request(
            world.connection.accepted_at,
            &world.connection,
            &mut HeadMut::new(&mut head, b""),
            &mut world.state,
        );
        if last != RequestVerdict::Continue {
            break;
        }
    }
    let failed = world.state.marked().failed_rewrites;
    (last, shown(&head), failed)
}

const NO_METHOD: &str = "http-request set-method A~B";
const NO_TARGET: &str = "http-request set-uri %[var(txn.nothing)]";
const OFF: &str = "http-request strict-mode off";
const AFTER: &str = "http-request set-header x after";

#[test]
fn a_rewrite_that_fails_ends_the_request_unless_the_rules_before_it_say_otherwise() {
    for (lists, verdict, fields, failed) in [
        ([&[NO_METHOD, AFTER][..], &[]], RequestVerdict::Fail, "", 1),
        ([&[NO_TARGET, AFTER], &[]], RequestVerdict::Fail, "", 1),
        (
            [&[OFF, NO_METHOD, NO_TARGET, AFTER], &[]],
            RequestVerdict::Continue,
            "|x: after",
            2,
        ),
        (
            [
                &[OFF, NO_METHOD, "http-request strict-mode on", NO_METHOD],
                &[],
            ],
            RequestVerdict::Fail,
            "",
            2,
        ),
        // The next list of rules begins strictly.
        (
            [&[OFF, AFTER], &[NO_METHOD]],
            RequestVerdict::Fail,
            "|x: after",
            1,
        ),
    ] {
        let expected = (verdict, format!("GET /a|Host: h{fields}"), failed);
        assert_eq!(run_both(lists), expected, "{lists:?}");
    }
}

#[test]
fn what_rules_add_to_one_message_is_bounded() {
    let add = format!("http-request add-header x-much {}", "y".repeat(30_000));
    let (verdict, head, failed) = run_both([&[&add, &add], &[&add]]);
    assert_eq!((verdict, failed), (RequestVerdict::Fail, 1));
    assert!((60_000..65_536).contains(&head.len()), "{}", head.len());
}

#[test]
fn a_rewrite_of_a_response_that_fails_is_an_error_too() {
    let add = format!("http-response set-header x-much {}", "y".repeat(70_000));
    for (lines, expected) in [
        (vec![add.as_str()], ResponseVerdict::Fail),
        (
            vec!["http-response strict-mode off", &add],
            ResponseVerdict::Continue,
        ),
    ] {
        let mut world = World::new().response(200, &[]);
        let mut head = world.response.take().unwrap();
        let verdict = build(&lines).on_response(
            world.connection.accepted_at,
            &world.connection,
            None,
            &mut HeadMut::new(&mut head, b""),
            &mut world.state,
        );
        assert_eq!(verdict, expected);
        assert_eq!(shown(&head), "200 OK");
    }
}
