//! Normal forms of targets, variables set by converters, the rule that ended an evaluation.

use super::{build, feed};
use crate::{
    expr::{Definitions, Expr, Value, testing::World},
    head::HeadMut,
    request::{Scope, Side},
    rules::{ContentVerdict, ProxyRules, ProxySide, RequestVerdict, RulesBuilder},
};

/// The verdict on a request, and the target that is left.
fn ask(rules: &ProxyRules, world: &mut World, target: &str) -> (RequestVerdict, String) {
    let mut head = crate::expr::testing::request("GET", target, &["Host: h"]);
    let mut bytes = HeadMut::new(&mut head, b"");
    let now = world.connection.accepted_at;
    let verdict = rules.on_request(now, &world.connection, &mut bytes, &mut world.state);
    let target = String::from_utf8_lossy(bytes.as_ref().target()).into_owned();
    (verdict, target)
}

#[test]
fn targets_are_normalized_and_strict_ones_refused() {
    let rules = build(&[
        "http-request normalize-uri path-merge-slashes",
        "http-request normalize-uri path-strip-dotdot full",
        "http-request normalize-uri percent-decode-unreserved strict if { path_beg /strict }",
        "http-request set-path /seen if { path /a/b }",
    ]);
    let mut world = World::new();
    let (verdict, target) = ask(&rules, &mut world, "//a//x/../b?q=//");
    assert_eq!(verdict, RequestVerdict::Continue);
    assert_eq!(
        target, "/seen?q=//",
        "later rules see what earlier ones left"
    );
    let (verdict, _) = ask(&rules, &mut world, "/strict/%zz");
    let refused = RequestVerdict::Deny {
        status: 400,
        reply: None,
    };
    assert_eq!(verdict, refused);
    let mut builder = RulesBuilder::new(ProxySide::Listen, &super::load);
    let error = feed(&mut builder, "http-request normalize-uri slashes").unwrap_err();
    assert_eq!(error.word, 1);
    assert!(error.expected.unwrap().contains("path-merge-slashes"));
}

#[test]
fn converters_set_variables_that_later_converters_see() {
    let world = World::new();
    let value = |text: &str| {
        let expr = Expr::parse(text, &Definitions::default()).unwrap();
        let value = expr.value(&world.view())?;
        Some(String::from_utf8(value.into_text().into_owned()).unwrap())
    };
    assert_eq!(
        value("str(ab),set-var(txn.a),upper,concat(-,txn.a)").as_deref(),
        Some("AB-ab")
    );
    assert_eq!(value("var(txn.a)").as_deref(), Some("ab"));
    for (expression, after) in [
        ("int(5),set-var(sess.n)", Some("5")),
        ("int(3),set-var(sess.n,ifgt)", Some("3")),
        ("int(4),set-var(sess.n,ifgt)", Some("3")),
        ("int(9),set-var(sess.n,ifnotset)", Some("3")),
        ("int(9),set-var(sess.n,ifexists,iflt)", Some("9")),
        ("str(),set-var(sess.n,ifnotempty)", Some("9")),
        ("int(0),unset-var(sess.n)", None),
    ] {
        assert!(
            value(expression).is_some(),
            "{expression}: the value goes on"
        );
        assert_eq!(value("var(sess.n)").as_deref(), after, "{expression}");
    }
    let wrong = |text: &str| Expr::parse(text, &Definitions::default()).unwrap_err();
    let error = wrong("int(1),set-var(sess.n,iflarger)");
    assert!(error.expected.unwrap().contains("ifgt"));
    assert!(wrong("int(1),set-var(n)").message.contains("variable"));
}

#[test]
fn converters_capture_what_later_rules_and_the_log_see() {
    let rules = build(&[
        "capture request header x-a len 9",
        "capture response header x-b len 9",
        "http-request set-query %[path,capture-req(0),length]:%[capture.req.hdr(0)]",
        "http-request set-query %[query]:%[path,capture-req(7),capture-res(0)]",
    ]);
    let mut world = World::new();
    let (_, target) = ask(&rules, &mut world, "/path");
    assert_eq!(target, "/path?5:/path:/path");
    world.state.settle_captures();
    let captures = &world.state.captures;
    assert_eq!(captures.request, [Some(b"/path".to_vec())]);
    assert_eq!(captures.response, [Some(b"/path".to_vec())]);
    world.state.begin_transaction();
    assert_eq!(world.state.captured(Side::Request, 0), None);
}

#[test]
fn what_converters_set_ends_with_its_scope() {
    let mut world = World::new();
    for text in ["int(1),set-var(sess.kept)", "int(2),set-var(txn.gone)"] {
        let expr = Expr::parse(text, &Definitions::default()).unwrap();
        expr.value(&world.view()).unwrap();
    }
    let sibling = world.state.of_connection();
    let of = |state: &crate::request::RuleState, name: &str| {
        state.variable(Scope::Session, name).map(Value::into_owned)
    };
    assert_eq!(of(&sibling, "sess.kept"), Some(Value::Int(1)));
    assert_eq!(of(&sibling, "txn.gone"), None);
    world.state.begin_transaction();
    assert_eq!(of(&world.state, "sess.kept"), Some(Value::Int(1)));
    assert_eq!(of(&world.state, "txn.gone"), None);
}

#[test]
fn the_rule_that_ended_an_evaluation_is_known() {
    let mut builder = RulesBuilder::new(ProxySide::Listen, &super::load);
    for (line, text) in (1..).zip([
        "tcp-request connection accept",
        "tcp-request content accept",
        "http-request set-var(txn.x) int(1)",
        "http-request allow if { path /allowed }",
        "http-request deny if { path /denied }",
    ]) {
        builder.origin("f.cfg".into(), line);
        feed(&mut builder, text).unwrap();
    }
    let rules = builder.build().unwrap();
    let mut world = World::new();
    let now = world.connection.accepted_at;
    rules.on_connection(now, &world.connection, &mut world.state);
    assert_eq!(world.state.last_rule, None, "there is no stream yet");
    let (info, state) = (&world.connection, &mut world.state);
    let verdict = rules.on_content(now, info, None, b"", true, state);
    assert_eq!(verdict, ContentVerdict::Accept);
    let line = |world: &World| world.state.last_rule.as_ref().map(|rule| rule.line);
    assert_eq!(line(&world), Some(2));
    ask(&rules, &mut world, "/other");
    assert_eq!(line(&world), Some(2), "setting a variable ends nothing");
    ask(&rules, &mut world, "/allowed");
    assert_eq!(line(&world), Some(4));
    ask(&rules, &mut world, "/denied");
    assert_eq!(line(&world), Some(5));
    let text = "last_rule_file,concat(:),concat(,txn.none)";
    let expr = Expr::parse(text, &Definitions::default()).unwrap();
    assert_eq!(
        expr.value(&world.view()).unwrap().into_text().as_ref(),
        b"f.cfg:"
    );
    world.state.begin_transaction();
    assert_eq!(line(&world), None);
}
