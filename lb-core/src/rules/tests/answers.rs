//! Actions that end a request: refusals, challenges, replies, redirections.

use super::*;
use crate::config::ErrorPage;

#[test]
fn final_actions() {
    for (rule, expected) in [
        (
            "http-request tarpit",
            RequestVerdict::Tarpit {
                status: 500,
                reply: None,
            },
        ),
        ("http-request reject", RequestVerdict::Reject),
        ("http-request silent-drop", RequestVerdict::SilentDrop),
        (
            "http-request auth",
            RequestVerdict::Auth { realm: "fe".into() },
        ),
        (
            "http-request auth realm My~Site",
            RequestVerdict::Auth {
                realm: "My Site".into(),
            },
        ),
        (
            "http-request auth unless { http_auth(users) }",
            RequestVerdict::Continue,
        ),
        (
            "http-request deny if { http_auth_group(users) ops }",
            RequestVerdict::Deny {
                status: 403,
                reply: None,
            },
        ),
        (
            "http-request deny if { http_auth_group(users) dev }",
            RequestVerdict::Continue,
        ),
    ] {
        let (verdict, _) = run(&[rule], "/", &["Authorization: Basic dXNlcjpwYXNz"]);
        assert_eq!(verdict, expected, "{rule}");
    }
    let (verdict, _) = run(
        &["http-request auth unless { http_auth(users) }"],
        "/",
        &["Authorization: Basic eA=="],
    );
    assert_eq!(verdict, RequestVerdict::Auth { realm: "fe".into() });
}

#[test]
fn replies() {
    for (rule, status, content_type, body, raw) in [
        ("return", 200, None, "", false),
        ("return status 204", 204, None, "", false),
        ("return string a~~b", 200, Some("text/plain"), "a  b", false),
        (
            "return content-type a/b lf-string <%[path]>",
            200,
            Some("a/b"),
            "</p>",
            false,
        ),
        (
            "return status 503 content-type text/html file /page",
            503,
            Some("text/html"),
            "<p>",
            false,
        ),
        ("return errorfile /page.http", 418, None, "", true),
    ] {
        let (verdict, _) = run(
            &[&format!("http-request {rule} hdr X-A %[path] if TRUE")],
            "/p",
            &[],
        );
        let expected = Reply {
            status,
            content_type: content_type.map(Arc::from),
            headers: vec![(Arc::from("x-a"), b"/p".to_vec())],
            body: body.into(),
            default_page: false,
            page: raw.then(|| {
                let page = ErrorPage::parse(b"HTTP/1.0 418 Teapot\r\n\r\n");
                Arc::new(page.unwrap())
            }),
        };
        assert_eq!(
            verdict,
            RequestVerdict::Return(Box::new(expected)),
            "{rule}"
        );
    }
}

#[test]
fn redirections() {
    let fields = ["Host: h.example:81"];
    for (rule, target, status, location, cookies) in [
        (
            "scheme https",
            "/a?b",
            302,
            "https://h.example:81/a?b",
            &[][..],
        ),
        (
            "scheme https code 301",
            "http://x/a?b",
            301,
            "https://h.example:81/a?b",
            &[],
        ),
        ("location /login%[path]", "/a", 302, "/login/a", &[]),
        (
            "prefix https://www code 308",
            "/a?b",
            308,
            "https://www/a?b",
            &[],
        ),
        (
            "prefix https://www drop-query append-slash",
            "/a?b",
            302,
            "https://www/a/",
            &[],
        ),
        ("prefix / drop-query", "/a?b", 302, "/a", &[]),
        (
            "location / set-cookie SEEN=1 clear-cookie USER=",
            "/a",
            302,
            "/",
            &["SEEN=1; path=/;", "USER=; path=/; Max-Age=0;"],
        ),
        (
            "location / clear-cookie USER",
            "/a",
            302,
            "/",
            &["USER; path=/; Max-Age=0;"],
        ),
    ] {
        let expected = Redirect {
            status,
            location: location.into(),
            cookies: cookies.iter().map(|c| c.as_bytes().to_vec()).collect(),
        };
        for line in [
            format!("http-request redirect {rule}"),
            format!("redirect {rule} if TRUE"),
        ] {
            let (verdict, _) = run(&[&line], target, &fields);
            assert_eq!(
                verdict,
                RequestVerdict::Redirect(Box::new(expected.clone())),
                "{line}"
            );
        }
    }
    let (verdict, _) = run(
        &["http-request redirect location %[req.hdr(none)] ignore-empty"],
        "/",
        &[],
    );
    assert_eq!(verdict, RequestVerdict::Continue);
}

#[test]
fn rules_on_answers_wait_for_their_bytes_and_no_longer() {
    let rules = build(&[
        "tcp-response inspect-delay 1s",
        "tcp-response content accept if { res.payload(0,2) -m str ok }",
        "tcp-response content set-var(txn.len) res.len",
        "tcp-response content reject if { res.payload(0,2) -m str no }",
        "tcp-response content close if { res.ssl_hello_type 2 }",
    ]);
    let world = World::new();
    let now = world.connection.accepted_at;
    let verdict = |answer: &[u8], complete| {
        let mut state = RuleState::default();
        let heads = (None, None);
        rules.on_answer(
            now,
            &world.connection,
            heads,
            (answer, complete),
            &mut state,
        )
    };
    let within = Duration::from_secs(1);
    assert_eq!(verdict(b"", false), AnswerVerdict::NeedMore { within });
    assert_eq!(verdict(b"n", false), AnswerVerdict::NeedMore { within });
    assert_eq!(verdict(b"ok", false), AnswerVerdict::Accept);
    assert_eq!(verdict(b"no", false), AnswerVerdict::Reject);
    assert_eq!(verdict(b"n", true), AnswerVerdict::Accept);
    let hello = b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03";
    assert_eq!(
        verdict(hello.get(..8).unwrap(), false),
        AnswerVerdict::NeedMore { within }
    );
    assert_eq!(verdict(hello, false), AnswerVerdict::Close);

    // Without a time nothing is waited for, nor seen.
    let rules = build(&["tcp-response content reject if { res.len gt 0 }"]);
    let mut state = RuleState::default();
    let seen = rules.on_answer(
        now,
        &world.connection,
        (None, None),
        (b"no", false),
        &mut state,
    );
    assert_eq!(seen, AnswerVerdict::Accept);
}
