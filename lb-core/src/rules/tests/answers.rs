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
            &["USER=; path=/; Max-Age=0;"],
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
