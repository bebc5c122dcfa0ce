use std::{io, path::Path, sync::Arc};

mod answers;
mod changing;
mod noted;
mod strict;
mod tables;
mod tokens;
mod wrong;

use super::*;
use crate::{
    expr::testing::{World, request},
    head::Head,
    request::LogLevel,
};

fn load(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/page") => Ok(b"<p>".to_vec()),
        Some("/list") => Ok(b"/one\n".to_vec()),
        Some("/page.http") => Ok(b"HTTP/1.0 418 Teapot\r\n\r\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Words as the lexer gives them: apart at blanks, `~` for a blank within a word.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|w| w.replace('~', " ")).collect()
}

/// Feeds one line, with its keyword, to the builder.
fn feed(builder: &mut RulesBuilder<'_>, line: &str) -> Parsed {
    let owned = words(line);
    let list: Vec<&str> = owned.iter().map(String::as_str).collect();
    let (keyword, rest) = list.split_first().unwrap();
    match *keyword {
        "acl" => builder.acl(rest),
        "tcp-request" => builder.tcp_request(rest),
        "tcp-response" => builder.tcp_response(rest),
        "http-request" => builder.http_request(rest),
        "http-response" => builder.http_response(rest),
        "http-after-response" => builder.http_after_response(rest),
        "use_backend" => builder.use_backend(rest),
        "use-server" => builder.use_server(rest),
        "redirect" => builder.redirect(rest),
        "block" => builder.block(rest),
        "capture" => builder.capture(rest),
        "stick" => builder.stick(rest),
        "monitor" => builder.monitor_fail(rest.get(1..).unwrap()),
        other => panic!("{other}"),
    }
}

fn build(lines: &[&str]) -> ProxyRules {
    let mut builder = RulesBuilder::new(ProxySide::Listen, &load);
    let user = User {
        name: "user".into(),
        password: Password::Clear("pass".into()),
        groups: vec!["ops".into()],
    };
    builder.userlist("users", vec![user]);
    for line in lines {
        feed(&mut builder, line).unwrap_or_else(|e| panic!("{line}: {e} at word {}", e.word));
    }
    builder.build().unwrap()
}

fn shown(head: &Head) -> String {
    let head = HeadRef::new(head, b"");
    let mut out = String::new();
    if head.status() == 0 {
        out += &format!("{} {}", text(head.method()), text(head.target()));
    } else {
        out += &format!("{} {}", head.status(), text(head.reason()));
    }
    for (name, value) in head.fields() {
        out += &format!("|{}: {}", text(name), text(value));
    }
    out
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Runs `http-request` rules over a request; the verdict and the request after them.
fn run(lines: &[&str], target: &str, fields: &[&str]) -> (RequestVerdict, String) {
    let mut world = World::new();
    let mut head = request("GET", target, fields);
    let rules = build(lines);
    let verdict = rules.on_request(
        world.connection.accepted_at,
        &world.connection,
        &mut HeadMut::new(&mut head, b""),
        &mut world.state,
    );
    (verdict, shown(&head))
}

/// Each rule alone over a request with its target and always the same fields, and what becomes of it.
fn check_edits(rows: &[(&str, &str, &str)]) {
    let fields = ["Host: h", "X-A: 1, 2", "x-a: 3", "X-B: b"];
    for (rule, target, expected) in rows {
        let rule = format!("http-request {rule}");
        let (verdict, head) = run(&[&rule], target, &fields);
        assert_eq!(
            (verdict, head.as_str()),
            (RequestVerdict::Continue, *expected),
            "{rule}"
        );
    }
}

#[test]
fn the_target_follows_the_host_that_rules_set() {
    check_edits(&[
        (
            "set-header host g:81",
            "http://o:80/a?q",
            "GET http://g:81/a?q|X-A: 1, 2|x-a: 3|X-B: b|host: g:81",
        ),
        (
            "add-header host g",
            "http://o",
            "GET http://g|Host: h|X-A: 1, 2|x-a: 3|X-B: b|host: g",
        ),
        (
            r"replace-header host (.*) w.\1",
            "https://o/",
            "GET https://w.h/|Host: w.h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "replace-value host other g",
            "http://o/",
            "GET http://o/|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "set-header host a/b",
            "http://o/",
            "GET http://o/|X-A: 1, 2|x-a: 3|X-B: b|host: a/b",
        ),
    ]);
}

#[test]
fn edits_of_requests() {
    check_edits(&[
        (
            "set-header X-New %[src]:%cp",
            "/",
            "GET /|Host: h|X-A: 1, 2|x-a: 3|X-B: b|x-new: 192.0.2.7:41662",
        ),
        ("set-header x-A n", "/", "GET /|Host: h|X-B: b|x-a: n"),
        (
            "add-header X-B a~b~~c",
            "/",
            "GET /|Host: h|X-A: 1, 2|x-a: 3|X-B: b|x-b: a b  c",
        ),
        ("del-header x-a", "/", "GET /|Host: h|X-B: b"),
        ("del-header x- -m beg", "/", "GET /|Host: h"),
        (
            "del-header -b$ -m reg",
            "/",
            "GET /|Host: h|X-A: 1, 2|x-a: 3",
        ),
        (
            r"replace-header x-a (\d),.* <\1>",
            "/",
            "GET /|Host: h|X-A: <1>|x-a: 3|X-B: b",
        ),
        (
            r"replace-value x-a (\d) <\1>",
            "/",
            "GET /|Host: h|X-A: <1>,<2>|x-a: <3>|X-B: b",
        ),
        (
            "replace-value x-a 2 <2>",
            "/",
            "GET /|Host: h|X-A: 1,<2>|x-a: 3|X-B: b",
        ),
        (
            "set-path /p%[path]",
            "/a?q",
            "GET /p/a?q|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "set-pathq /n?z",
            "http://o/a?q",
            "GET http://o/n?z|Host: o|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "set-query %[query,regsub(q,r)]",
            "/a?q",
            "GET /a?r|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "set-query %[str(x),rtrim(x)]",
            "/a?q",
            "GET /a|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "set-uri http://x/y",
            "/a?q",
            "GET http://x/y|Host: x|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            r"replace-path /api/(.*) /\1",
            "/api/v1?q",
            "GET /v1?q|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            r"replace-path /nope/(.*) /\1",
            "/api?q",
            "GET /api?q|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            r"replace-pathq (/a)\?(.*) \1/\2",
            "/a?q",
            "GET /a/q|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            r"replace-uri ^/(.*) http://o/\1",
            "/a?q",
            "GET http://o/a?q|Host: o|X-A: 1, 2|x-a: 3|X-B: b",
        ),
        (
            "set-method POST",
            "/",
            "POST /|Host: h|X-A: 1, 2|x-a: 3|X-B: b",
        ),
    ]);
}

#[test]
fn no_value_carries_a_line_end_or_a_nul() {
    let evil = "/x?a=1%0D%0ASet-Cookie:%20e%00";
    let (_, head) = run(
        &[
            "http-request set-header x-evil %[query,url_dec]",
            "http-request add-header x-evil %[query,url_dec]",
            "http-request replace-header x-evil (.*) %[query,url_dec]",
            "http-request set-path /%[query,url_dec]",
        ],
        evil,
        &[],
    );
    assert!(!head.contains(['\r', '\n', '\0']), "{head:?}");
    assert!(
        head.starts_with("GET /a=1%0D%0ASet-Cookie:%20e%00?"),
        "{head}"
    );
    let (verdict, _) = run(
        &["http-request redirect location %[query,url_dec]"],
        evil,
        &[],
    );
    let RequestVerdict::Redirect(redirect) = verdict else {
        panic!()
    };
    assert_eq!(text(&redirect.location), "a=1%0D%0ASet-Cookie:%20e%00");
    let (verdict, _) = run(&["http-request return hdr x-e %[query,url_dec]"], evil, &[]);
    let RequestVerdict::Return(reply) = verdict else {
        panic!()
    };
    assert_eq!(text(&reply.headers[0].1), "a=1%0D%0ASet-Cookie: e%00");
}

#[test]
fn later_rules_see_earlier_edits_and_the_first_final_one_ends() {
    let (verdict, head) = run(
        &[
            "http-request set-var(txn.host) req.hdr(host),lower",
            "http-request set-header X-Host %[var(txn.host)]",
            "http-request set-var-fmt(req.both) %[var(txn.host)]-%fe"
                .replace("%fe", "%f")
                .as_str(),
            "http-request set-header X-Both %[var(req.both)]",
            "http-request unset-var(txn.host)",
            "http-request set-header X-Gone %[var(txn.host)] if { var(txn.host) -m found }",
            "http-request deny deny_status 429 if { req.hdr(x-host) h.example }",
            "http-request set-header X-Never 1",
        ],
        "/",
        &["Host: H.example"],
    );
    assert_eq!(
        verdict,
        RequestVerdict::Deny {
            status: 429,
            reply: None
        }
    );
    assert_eq!(
        head,
        "GET /|Host: H.example|x-host: h.example|x-both: h.example-fe"
    );
    let (verdict, _) = run(
        &["http-request allow if TRUE", "http-request deny"],
        "/",
        &[],
    );
    assert_eq!(verdict, RequestVerdict::Continue);
    let (verdict, _) = run(
        &[
            "http-request deny",
            "block unless FALSE",
            "http-request allow",
        ],
        "/",
        &[],
    );
    assert_eq!(
        verdict,
        RequestVerdict::Deny {
            status: 403,
            reply: None
        }
    );
}

#[test]
fn responses_and_what_comes_after() {
    let world = World::new().response(200, &["Server: x", "X-Powered: y"]);
    let (mut state, mut head) = (RuleState::default(), world.response.unwrap());
    let asked = request("GET", "/p", &[]);
    let rules = build(&[
        "http-response del-header server",
        "http-response set-header X-Path %[path] if { status 200 }",
        "http-response set-header X-Status %ST",
        // A reason is no target that would follow `Host`.
        "http-response set-status 418 reason http://tea/~pot",
        "http-response set-header host b",
        "http-response set-log-level silent",
        "http-after-response replace-value x-powered y z",
        "http-response deny if { status 500 }",
    ]);
    let now = world.connection.accepted_at;
    let asked = Some(HeadRef::new(&asked, b""));
    let mut message = HeadMut::new(&mut head, b"");
    let verdict = rules.on_response(now, &world.connection, asked, &mut message, &mut state);
    assert_eq!(verdict, ResponseVerdict::Continue);
    rules.on_after_response(now, &world.connection, asked, &mut message, &mut state);
    assert_eq!(
        shown(&head),
        "418 http://tea/ pot|X-Powered: z|x-path: /p|x-status: 200|host: b"
    );
    assert_eq!(state.log_level, Some(LogLevel::Silent));
    let rules = build(&["http-response deny if { status 418 }"]);
    let mut message = HeadMut::new(&mut head, b"");
    let verdict = rules.on_response(now, &world.connection, None, &mut message, &mut state);
    assert_eq!(
        verdict,
        ResponseVerdict::Deny {
            status: 502,
            reply: None
        }
    );
}

#[test]
fn connections_and_bytes_are_accepted_rejected_or_waited_for() {
    let mut world = World::new();
    let now = world.connection.accepted_at;
    for (lines, expected) in [
        (
            &["tcp-request connection reject if { src 192.0.2.0/24 }"][..],
            ConnectionVerdict::Reject,
        ),
        (
            &[
                "tcp-request connection accept",
                "tcp-request connection reject",
            ],
            ConnectionVerdict::Accept,
        ),
        (
            &[
                "tcp-request connection accept",
                "tcp-request session silent-drop",
            ],
            ConnectionVerdict::SilentDrop,
        ),
        (&["tcp-request content reject"], ConnectionVerdict::Accept),
    ] {
        let rules = build(lines);
        let (info, state) = (&world.connection, &mut world.state);
        let verdict = match rules.on_connection(now, info, state) {
            ConnectionVerdict::Accept => rules.on_session(now, info, state),
            verdict => verdict,
        };
        assert_eq!(verdict, expected, "{lines:?}");
    }
    let lines = [
        "tcp-request inspect-delay 5s",
        "tcp-request content set-var(sess.n) req.len",
        "tcp-request content accept if { req.payload(0,3) -m bin 474554 }",
        "tcp-request content reject",
    ];
    let rules = build(&lines);
    let mut ask = |rules: &ProxyRules, bytes: &[u8], complete| {
        rules.on_content(
            now,
            &world.connection,
            None,
            bytes,
            complete,
            &mut world.state,
        )
    };
    let wait = ContentVerdict::NeedMore {
        within: Duration::from_secs(5),
    };
    assert_eq!(ask(&rules, b"GE", false), wait);
    assert_eq!(ask(&rules, b"GET", false), ContentVerdict::Accept);
    assert_eq!(ask(&rules, b"GE", true), ContentVerdict::Reject);
    let impatient = build(&lines[1..]);
    assert_eq!(ask(&impatient, b"GE", false), ContentVerdict::Reject);
    assert_eq!(
        world.state.variables.value("sess.n"),
        Some(crate::expr::Value::Int(2))
    );
}

#[test]
fn captures_fill_their_slots() {
    let rules = build(&[
        "capture request header Host len 3",
        "capture request header X-None len 9",
        "capture response header Server len 9",
        "http-request capture path len 2",
        "http-request capture method id 1",
        "http-request capture method id 7",
    ]);
    let mut world = World::new().response(200, &["Server: nginx"]);
    let now = world.connection.accepted_at;
    let mut head = request("GET", "/abc", &["Host: example"]);
    let mut message = HeadMut::new(&mut head, b"");
    rules.on_request(now, &world.connection, &mut message, &mut world.state);
    let captured = [
        Some(b"exa".to_vec()),
        Some(b"GET".to_vec()),
        Some(b"/a".to_vec()),
    ];
    assert_eq!(world.state.captures.request, captured);
    let response = HeadRef::new(world.response.as_ref().unwrap(), b"");
    rules.note_response(response, &mut world.state);
    assert_eq!(world.state.captures.response, [Some(b"nginx".to_vec())]);
    world.state.begin_transaction();
    assert!(world.state.captures.request.is_empty());
}

#[test]
fn acls_may_get_lines_after_their_first_use() {
    let rules = build(&[
        "acl a path /x",
        "use_backend one if a",
        "acl a path /y",
        "use-server s2 if !a",
        "use-server s3 if METH_GET",
        "use-server %[path,field(2,/)] if METH_GET",
        "use-server s4 if METH_GET",
    ]);
    let world = World::new().request("GET", "/y", &[]);
    let mut buffer = Vec::new();
    assert_eq!(
        rules.select_backend(&world.view(), &mut buffer),
        Some("one")
    );
    let server = |known: &[&str], down: &str| {
        let find = |name: &str| known.contains(&name).then(|| name.to_owned());
        rules.select_server(&world.view(), find, |name| name != down)
    };
    assert_eq!(server(&["s2", "s3", "y"], "").as_deref(), Some("s3"));
    assert_eq!(server(&["s2", "s3", "y"], "s3").as_deref(), Some("y"));
    // Nobody is known by the dynamic name.
    assert_eq!(server(&["s2", "s3", "s4"], "s3"), None);
    assert_eq!(rules.server_names(), ["s2", "s3", "s4"].map(Arc::from));
}
