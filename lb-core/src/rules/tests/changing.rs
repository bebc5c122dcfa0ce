//! Rules that change the patterns of ACLs, that tell clients something before the response, and that ask how much there
//! is of a message.

use super::*;

#[test]
fn keys_of_acls_come_and_go_by_rules() {
    let rules = build(&[
        "acl listed path -f /list",
        "http-request add-acl(/list) %[path] if { method PUT }",
        "http-request del-acl(/list) %[path] if { method DELETE }",
        "http-request set-header x-listed yes if listed",
    ]);
    let ask = |method: &str, target: &str| {
        let mut world = World::new();
        let mut head = request(method, target, &[]);
        rules.on_request(
            world.connection.accepted_at,
            &world.connection,
            &mut HeadMut::new(&mut head, b""),
            &mut world.state,
        );
        shown(&head).ends_with("|x-listed: yes")
    };
    assert!(ask("GET", "/one"));
    assert!(!ask("GET", "/two"));
    assert!(ask("PUT", "/two"));
    assert!(ask("PUT", "/two"));
    assert!(ask("GET", "/two"));
    // It was there once, however often it was added.
    assert!(!ask("DELETE", "/two"));
    assert!(!ask("GET", "/two"));
    assert!(ask("GET", "/one"));
}

#[test]
fn the_file_of_a_rule_that_changes_it_must_be_there() {
    let mut builder = RulesBuilder::new(ProxySide::Listen, &load);
    for (line, message) in [
        (
            "http-request add-acl(/none) a",
            "cannot read '/none': entity not found",
        ),
        (
            "http-request del-acl a",
            "'del-acl' misses the file of its ACL",
        ),
    ] {
        let error = feed(&mut builder, line).unwrap_err();
        assert_eq!((error.word, error.message.as_str()), (0, message));
    }
}

#[test]
fn early_hints_wait_in_order_until_they_are_sent() {
    let rules = build(&[
        "http-request early-hint Link </s.css>;rel=preload",
        "http-request early-hint x-made %[url_param(a),url_dec]",
    ]);
    let mut world = World::new();
    let mut head = request("GET", "/?a=1%0d%0aSet-Cookie:e", &[]);
    rules.on_request(
        world.connection.accepted_at,
        &world.connection,
        &mut HeadMut::new(&mut head, b""),
        &mut world.state,
    );
    let hints = text(&world.state.marked().hints).into_owned();
    assert_eq!(
        hints,
        "link: </s.css>;rel=preload\r\nx-made: 1%0D%0ASet-Cookie:e\r\n"
    );
}

#[test]
fn a_message_has_the_length_that_haproxy_logs() {
    let rule = "http-request set-header x-len %[req.len]:%[internal.strm.is_htx]";
    let fields = ["Host: 127.0.0.1", "X-Cust: foobar"];
    // 20 for the line, 8 for the version, the words, the fields and the end.
    let (_, head) = run(&[rule], "/converter", &fields);
    assert!(head.ends_with("|x-len: 67:1"), "{head}");
}

#[test]
fn a_precedence_stays_within_its_bounds() {
    let lines = [
        "http-request set-priority-class int(-9999)",
        "http-request set-priority-offset req.hdr(x-late)",
        "http-request set-header x %[prio_class]:%[prio_offset]",
    ];
    for (late, expected) in [
        ("7", "-2047:7"),
        ("9999999", "-2047:524287"),
        ("no", "-2047:0"),
    ] {
        let (_, head) = run(&lines, "/", &[&format!("x-late: {late}")]);
        assert!(head.ends_with(&format!("|x: {expected}")), "{head}");
    }
}
