use super::{CookieFate, CookiePolicy, Served};
use crate::{
    backend::Persistence,
    config::CookieConfig,
    head::{Head, HeadMut, HeadRef},
};

fn policy(words: &[&str]) -> CookiePolicy {
    let has = |word: &str| words.contains(&word);
    CookiePolicy::new(&CookieConfig {
        name: "SRV".into(),
        insert: has("insert"),
        rewrite: has("rewrite"),
        prefix: has("prefix"),
        indirect: has("indirect"),
        nocache: has("nocache"),
        postonly: has("postonly"),
        preserve: has("preserve"),
        httponly: has("httponly"),
        secure: has("secure"),
        domains: if has("domain") {
            vec![".example.org".into()]
        } else {
            vec![]
        },
    })
}

fn head(fields: &[(&str, &str)]) -> Head {
    let mut head = Head::default();
    for (name, value) in fields {
        HeadMut::new(&mut head, b"").add(name.as_bytes(), value.as_bytes());
    }
    head
}

fn lines(head: &Head) -> Vec<String> {
    HeadRef::new(head, b"")
        .fields()
        .map(|(n, v)| {
            format!(
                "{}: {}",
                String::from_utf8_lossy(n),
                String::from_utf8_lossy(v)
            )
        })
        .collect()
}

#[test]
fn the_cookie_is_found_and_taken_out_with_indirect() {
    for (sent, found, left) in [
        ("SRV=s1", Some("s1"), vec![]),
        ("a=b; SRV=s1", Some("s1"), vec!["cookie: a=b"]),
        ("SRV=s1; a=b", Some("s1"), vec!["cookie: a=b"]),
        ("a=b;SRV=s1;c=d", Some("s1"), vec!["cookie: a=b; c=d"]),
        (
            "a=\"x;SRV=s2\"; SRV = s1 ",
            Some("s1"),
            vec!["cookie: a=\"x;SRV=s2\""],
        ),
        ("XSRV=s1; SRVX=s1", None, vec!["cookie: XSRV=s1; SRVX=s1"]),
        ("SRV", Some(""), vec![]),
    ] {
        let policy = policy(&["insert", "indirect"]);
        let mut head = head(&[("cookie", sent)]);
        let value = policy.find(HeadRef::new(&head, b""));
        assert_eq!(value, found.map(str::as_bytes), "{sent}");
        policy.clean_request(&mut HeadMut::new(&mut head, b""));
        assert_eq!(lines(&head), left, "{sent}");
    }
}

#[test]
fn prefix_mode_shares_the_applications_cookie() {
    let policy = policy(&["prefix"]);
    let mut request = head(&[("cookie", "a=b; SRV=s1~session; c=d")]);
    assert_eq!(policy.find(HeadRef::new(&request, b"")), Some(&b"s1"[..]));
    policy.clean_request(&mut HeadMut::new(&mut request, b""));
    assert_eq!(lines(&request), ["cookie: a=b; SRV=session; c=d"]);

    let mut response = head(&[("set-cookie", "SRV=session; path=/app")]);
    let served = Served {
        server_cookie: Some("s2"),
        persistence: Persistence::None,
        is_post: false,
        ignored: false,
    };
    let fate = policy.finish_response(served, &mut HeadMut::new(&mut response, b""));
    assert_eq!(fate, CookieFate::Rewritten);
    assert_eq!(lines(&response), ["set-cookie: SRV=s2~session; path=/app"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_responses_carry() {
    use Persistence::{Down, Invalid, None as New, Valid};
    let own = "set-cookie: SRV=own; x";
    for (words, persistence, cookie, post, servers, expected, fate) in [
        (
            "insert",
            New,
            Some("s1"),
            false,
            false,
            vec!["set-cookie: SRV=s1; path=/"],
            'I',
        ),
        ("insert", Valid, Some("s1"), false, false, vec![], 'N'),
        (
            "insert",
            Down,
            Some("s1"),
            false,
            false,
            vec!["set-cookie: SRV=s1; path=/"],
            'I',
        ),
        (
            "insert nocache httponly secure domain",
            New,
            Some("s1"),
            false,
            false,
            vec![
                "set-cookie: SRV=s1; path=/; domain=.example.org; HttpOnly; Secure",
                "cache-control: private",
            ],
            'I',
        ),
        (
            "insert postonly",
            New,
            Some("s1"),
            false,
            false,
            vec![],
            'N',
        ),
        (
            "insert postonly",
            New,
            Some("s1"),
            true,
            false,
            vec!["set-cookie: SRV=s1; path=/"],
            'I',
        ),
        ("insert", Valid, Some("s1"), false, true, vec![], 'D'),
        (
            "insert preserve",
            New,
            Some("s1"),
            false,
            true,
            vec![own],
            'P',
        ),
        ("insert", New, None, false, false, vec![], 'N'),
        (
            "insert",
            Invalid,
            None,
            false,
            false,
            vec!["set-cookie: SRV=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"],
            'I',
        ),
        (
            "rewrite",
            New,
            Some("s1"),
            false,
            true,
            vec!["set-cookie: SRV=s1; x"],
            'R',
        ),
        ("rewrite", New, Some("s1"), false, false, vec![], 'N'),
    ] {
        let words: Vec<_> = words.split(' ').collect();
        let mut head = if servers {
            head(&[("set-cookie", "SRV=own; x")])
        } else {
            head(&[])
        };
        let served = Served {
            server_cookie: cookie,
            persistence,
            is_post: post,
            ignored: false,
        };
        let got = policy(&words).finish_response(served, &mut HeadMut::new(&mut head, b""));
        assert_eq!(
            (lines(&head), got.letter()),
            (expected.iter().map(ToString::to_string).collect(), fate),
            "{words:?} {persistence:?}"
        );
    }
}
