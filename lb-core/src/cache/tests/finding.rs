//! What is found for whom.

use super::*;

#[test]
fn hosts_and_targets_are_told_apart_and_their_forms_are_not() {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let answer = response(200, &[("cache-control", "max-age=5")]);
    exchange(&cache, now, &request("GET", "/a?b", &[]), &answer, b"");
    let same = request("GET", "http://WWW.example/a?b", &[]);
    assert!(found(&cache, now, &same).is_some());
    for target in ["/a", "/a?B", "/A?b", "http://other.example/a?b"] {
        assert!(
            found(&cache, now, &request("GET", target, &[])).is_none(),
            "{target}"
        );
    }
}

#[test]
fn a_host_does_not_reach_into_the_path() {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let asked = |host: &str, target: &str| {
        let mut request = head(&[("host", host)]);
        let mut edit = HeadMut::new(&mut request, b"");
        edit.set_method(b"GET");
        edit.set_target(target.as_bytes());
        request
    };
    let answer = response(200, &[("cache-control", "max-age=5")]);
    exchange(&cache, now, &asked("h/a", "/b"), &answer, b"");
    assert!(found(&cache, now, &asked("h/a", "/b")).is_some());
    assert!(found(&cache, now, &asked("h", "/a/b")).is_none());
}

#[test]
fn variants_are_told_apart_by_what_responses_vary_by() {
    let now = test_clock::now();
    let cache = cache(|config| config.process_vary = true);
    let asked = |accept: &str, referer: &str| {
        request(
            "GET",
            "/",
            &[("accept-encoding", accept), ("referer", referer)],
        )
    };
    let answer = |coding: &str, vary: &str| {
        let fields = [
            ("etag", "\"1\""),
            ("vary", vary),
            ("content-encoding", coding),
        ];
        response(200, &fields[..if coding.is_empty() { 2 } else { 3 }])
    };
    let both = "Accept-Encoding, referer";
    for (accept, referer, coding, body) in [
        ("gzip", "a", "gzip", "gzip a"),
        ("br", "a", "br", "br a"),
        ("br, gzip", "b", "gzip, br", "b"),
    ] {
        let (asked, answer) = (asked(accept, referer), answer(coding, both));
        assert!(!exchange(&cache, now, &asked, &answer, body.as_bytes()));
    }
    let body = |accept, referer| {
        let found = found(&cache, now, &asked(accept, referer))?;
        Some(found.object.body().to_vec())
    };
    assert_eq!(body("deflate, GZIP;q=0.5", "a"), Some(b"gzip a".to_vec()));
    assert_eq!(body("gzip;q=0, *", "a"), Some(b"br a".to_vec()));
    assert_eq!(body("br,gzip", "b"), Some(b"b".to_vec()));
    for (accept, referer) in [("gzip", "b"), ("identity", "a"), ("", "a"), ("br", "c")] {
        assert_eq!(body(accept, referer), None, "{accept} {referer}");
    }
    // Who names no coding takes any.
    let any = request("GET", "/", &[("referer", "a")]);
    assert!(found(&cache, now, &any).is_some());
    // What was not wished for is kept for nobody, and a coding that nobody knows neither.
    let cache = self::cache(|config| config.process_vary = true);
    let asked_first = asked("first", "a");
    for (coding, vary) in [("gzip", both), ("first", both), ("", "cookie")] {
        exchange(&cache, now, &asked_first, &answer(coding, vary), b"");
    }
    assert!(found(&cache, now, &any).is_none());
    // Without a coding it is for everybody who does not refuse that.
    exchange(&cache, now, &asked_first, &answer("", both), b"plain");
    assert!(found(&cache, now, &asked("second", "a")).is_some());
    assert!(found(&cache, now, &asked("*;q=0", "a")).is_none());
    assert!(found(&cache, now, &asked("identity;q=0, gzip", "a")).is_none());
}

#[test]
fn there_are_no_more_variants_than_allowed() {
    let now = test_clock::now();
    let cache = cache(|config| (config.process_vary, config.variants) = (true, 2));
    let answer = response(200, &[("etag", "\"1\""), ("vary", "referer")]);
    let asked = |referer: &str| request("GET", "/", &[("referer", referer)]);
    for referer in ["a", "b", "c"] {
        exchange(&cache, now, &asked(referer), &answer, b"");
    }
    assert!(found(&cache, now, &asked("a")).is_some());
    assert!(found(&cache, now, &asked("b")).is_some());
    assert!(found(&cache, now, &asked("c")).is_none());
    // Those that are no longer good make room.
    let later = now + Duration::from_secs(60);
    exchange(&cache, later, &asked("c"), &answer, b"");
    assert!(found(&cache, later, &asked("c")).is_some());
}

#[test]
fn a_client_that_has_it_is_told_so() {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let fields = [
        ("etag", "W/\"1,2\""),
        ("last-modified", "Thu, 22 Oct 2020 16:51:12 GMT"),
    ];
    exchange(
        &cache,
        now,
        &request("GET", "/", &[]),
        &response(200, &fields),
        b"",
    );
    let tag = "if-none-match";
    let since = "if-modified-since";
    for (fields, known) in [
        (&[][..], false),
        (&[(tag, "*")], true),
        (&[(tag, "\"1,2\"")], true),
        (&[(tag, "\"x\", W/\"1,2\"")], true),
        (&[(tag, "\"1\""), (tag, "\"1,2\"")], true),
        (&[(tag, "\"1\"")], false),
        (&[(since, "Thu, 22 Oct 2020 16:51:12 GMT")], true),
        (&[(since, "Thu, 22 Oct 2020 16:51:11 GMT")], false),
        (&[(since, "yesterday")], false),
        (
            &[(tag, "\"1\""), (since, "Thu, 22 Oct 2020 16:51:12 GMT")],
            false,
        ),
    ] {
        let found = found(&cache, now, &request("GET", "/", fields)).unwrap();
        assert_eq!(found.known, known, "{fields:?}");
    }
    // Without a date it was made when it came.
    exchange(
        &cache,
        now,
        &request("GET", "/new", &[]),
        &response(200, &[("etag", "\"1\"")]),
        b"",
    );
    for (at, known) in [(DATE, true), (DATE - 1, false)] {
        let asked = request("GET", "/new", &[(since, http_date(at).as_str())]);
        assert_eq!(found(&cache, now, &asked).unwrap().known, known);
    }
}
