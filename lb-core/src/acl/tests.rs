use std::{io, path::Path};

use super::*;
use crate::{
    expr::{Definitions, Stage, testing::World},
    rules::{RuleError, RuleWarning},
};

fn load(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/list") => Ok(b"# comment\n\n/one\r\n  /two\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Declares ACLs, one a line, and compiles the condition.
fn compile(
    acls: &[&str],
    condition: &str,
    stage: Stage,
) -> Result<(Condition, Vec<RuleWarning>), RuleError> {
    let definitions = Definitions::default();
    let site = Site {
        definitions: &definitions,
        loader: &load,
        stage,
    };
    let mut set = AclSet::default();
    let mut warnings = Vec::new();
    for line in acls {
        let words: Vec<&str> = line.split(' ').collect();
        warnings.extend(set.declare(
            &words,
            Site {
                stage: Stage::Any,
                ..site
            },
        )?);
    }
    let words: Vec<&str> = condition.split(' ').collect();
    let condition = set.condition(&words, site, &mut warnings)?;
    Ok((condition, warnings))
}

fn holds(acls: &[&str], condition: &str, world: &World) -> bool {
    let (condition, _) = compile(acls, condition, Stage::Request)
        .unwrap_or_else(|e| panic!("{acls:?} {condition}: {e}"));
    condition.holds(&world.view())
}

#[test]
fn hdr_dom_matches_whole_labels_with_port_and_case() {
    let acl = ["rancher hdr_dom(host) -i rancher.monitor.viettq.com"];
    for (host, expected) in [
        ("rancher.monitor.viettq.com", true),
        ("x.rancher.monitor.viettq.com", true),
        ("RANCHER.monitor.VIETTQ.com:80", true),
        ("notrancher.monitor.viettq.com", false),
        ("rancher.monitor.viettq.com.evil", true),
        ("rancher.monitor.viettq.community", false),
        ("other", false),
    ] {
        let line = format!("Host: {host}");
        let world = World::new().request("GET", "/", &[&line]);
        assert_eq!(holds(&acl, "if rancher", &world), expected, "{host}");
    }
}

#[test]
fn terms_combine_by_and_or_and_not() {
    let acls = [
        "get method GET",
        "api path_beg /api",
        "api path_beg /v1",
        "local src 192.0.2.0/24",
    ];
    let world = World::new().request("GET", "/v1/x", &["Host: h"]);
    for (condition, expected) in [
        ("if get", true),
        ("unless get", false),
        ("if get api local", true),
        ("if get !api", false),
        ("if ! get", false),
        ("if !!get", true),
        ("if !get or api", true),
        ("if !get || !api", false),
        ("unless !get || !api", true),
        ("if get { hdr(host) h } { path_end x }", true),
        ("if { path /nope } or get", true),
        ("if !{ path /nope }", true),
        ("if { hdr(missing) -m found }", false),
        ("if { req.hdr(host),upper H }", true),
        ("if TRUE", true),
        ("if FALSE", false),
        (
            "if METH_GET HTTP_1.1 HTTP HTTP_URL_SLASH !HTTP_URL_STAR !HTTP_URL_ABS",
            true,
        ),
        (
            "if METH_POST or HTTP_CONTENT or LOCALHOST or HTTP_1.0",
            false,
        ),
        ("if { dst_port 443 } { src_port gt 1024 } { ssl_fc }", true),
        ("if { path -f /list }", false),
        ("if { path -i -m beg -- /V1 }", true),
        ("if { path_len 5 }", true),
        ("if { int(-3) -3 }", true),
    ] {
        assert_eq!(holds(&acls, condition, &world), expected, "{condition}");
    }
    let world = World::new().request("GET", "/two", &[]);
    assert!(holds(&[], "if { path -f /list }", &world));
    assert!(holds(&[], "if { path -f /list /three }", &world));
}

#[test]
fn one_of_several_values_is_enough() {
    let world = World::new().request("GET", "/?a=1&a=2", &["Via: a, b", "Cookie: c=1; c=2"]);
    for condition in [
        "if { hdr(via) a }",
        "if { hdr(via) b }",
        "if { url_param(a) 1 }",
        "if { cook(c) 1 }",
    ] {
        assert!(holds(&[], condition, &world), "{condition}");
    }
    assert!(!holds(&[], "if { hdr(via,1) b }", &world));
}

#[test]
fn what_is_not_there_yet_is_unknown() {
    let (condition, _) = compile(
        &[],
        "if { req.len gt 3 } or { req.ssl_hello_type 1 }",
        Stage::Content,
    )
    .unwrap();
    let truth =
        |bytes: &[u8], complete| condition.truth(&World::new().payload(bytes, complete).view());
    assert_eq!(truth(b"", false), Truth::Unknown);
    assert_eq!(truth(b"GET ", false), Truth::Yes);
    assert_eq!(truth(b"GE", true), Truth::No);
    let (condition, _) = compile(&[], "unless WAIT_END", Stage::Content).unwrap();
    assert_eq!(
        condition.truth(&World::new().payload(b"", false).view()),
        Truth::Unknown
    );
    assert_eq!(
        condition.truth(&World::new().payload(b"", true).view()),
        Truth::No
    );
    let (condition, _) = compile(&[], "if FALSE WAIT_END", Stage::Content).unwrap();
    assert_eq!(
        condition.truth(&World::new().payload(b"", false).view()),
        Truth::No
    );
}

#[test]
fn errors_name_the_word() {
    for (acls, condition, word, message) in [
        (&[][..], "if nothing", 1, "no such ACL: 'nothing'"),
        (&[], "if", 1, "missing condition after 'if'"),
        (&[], "if TRUE or", 3, "missing condition after 'if'"),
        (&[], "if or TRUE", 1, "'or' without a condition before it"),
        (&[], "if TRUE !", 3, "missing ACL after '!'"),
        (&[], "if { path /", 1, "missing closing '}'"),
        (&[], "if TRUE { paht / }", 3, "unknown fetch method 'paht'"),
        (&[], "if { path -x / }", 3, "unknown ACL flag '-x'"),
        (
            &[],
            "if { path -m nope / }",
            4,
            "unknown matching method 'nope'",
        ),
        (
            &[],
            "if { src 1.2.3 }",
            3,
            "'1.2.3' is no address or network",
        ),
        (
            &[],
            "if { src -f /none }",
            4,
            "cannot read '/none': entity not found",
        ),
        (
            &[],
            "if { path -M -f x }",
            5,
            "cannot read 'x': entity not found",
        ),
        (
            &[],
            "if { path_reg ok ( }",
            4,
            "regular expression '(': unclosed group",
        ),
        (&[], "when TRUE", 0, "unexpected 'when'"),
        (
            &[],
            "if { var(txn.x) 1 }",
            2,
            "'var(txn.x)' has values of any type",
        ),
        (&["a"], "if a", 1, "missing expression"),
        (
            &["a/b src ::1"],
            "if a",
            0,
            "character '/' is not permitted in ACL name 'a/b'",
        ),
        (&["a src_port x"], "if a", 2, "'x' is no number or range"),
    ] {
        let error = compile(acls, condition, Stage::Request).unwrap_err();
        assert_eq!(
            (error.word, error.message.as_str()),
            (word, message),
            "{acls:?} {condition}"
        );
    }
    let error = compile(&["rancher src ::1"], "if ranchr", Stage::Request).unwrap_err();
    assert!(error.expected.unwrap().contains("did you mean 'rancher'?"));
}

#[test]
fn doubtful_lines_are_warned_about() {
    for (acls, condition, stage, message) in [
        (
            &["s status 200"][..],
            "if s",
            Stage::Request,
            "acl 's' will never match here",
        ),
        (
            &[],
            "if { path / }",
            Stage::Connection,
            "acl 'anonymous' will never match here",
        ),
        (
            &["p path"],
            "if p",
            Stage::Request,
            "is compared with no pattern",
        ),
        (&["t ssl_fc 1"], "if t", Stage::Request, "takes no pattern"),
    ] {
        let (_, warnings) = compile(acls, condition, stage).unwrap();
        assert!(
            warnings.iter().any(|w| w.message.contains(message)),
            "{condition}: {warnings:?}"
        );
    }
    let (_, warnings) = compile(&["p path /"], "if p TRUE", Stage::Request).unwrap();
    assert_eq!(warnings, []);
}
