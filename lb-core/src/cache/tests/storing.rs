//! What is kept, and what is not.

use super::*;

#[test]
fn what_is_meant_for_everybody_and_for_later_is_kept() {
    let fresh = ("cache-control", "max-age=5");
    let future = http_date(DATE + 5);
    for fields in [
        &[fresh][..],
        &[("cache-control", "s-maxage=5, max-age=0")],
        &[("cache-control", "public, Max-Age=\"5\"")],
        &[("etag", "\"1\"")],
        &[("last-modified", "Thu, 22 Oct 2020 16:51:12 GMT")],
        &[("expires", future.as_str())],
        &[("cache-control", "max-age=5"), ("expires", "0")],
        &[fresh, ("age", "4")],
        &[
            ("cache-control", "max-age=5, public"),
            ("set-cookie", "a=b"),
        ],
        &[("cache-control", "ext=\"no-store, private\", max-age=5")],
        &[("cache-control", r#"ext="a\", private, b", max-age=5"#)],
    ] {
        assert!(is_kept(200, fields), "{fields:?}");
    }
}

#[test]
fn what_is_not_is_not() {
    let fresh = ("cache-control", "max-age=5");
    let past = http_date(DATE - 1);
    for (status, fields) in [
        (200, &[][..]),
        (200, &[("cache-control", "public")]),
        (200, &[("cache-control", "max-age=0")]),
        (200, &[("cache-control", "max-age=x")]),
        (200, &[("cache-control", "s-maxage=0, max-age=5")]),
        (200, &[("cache-control", "max-age=5, max-age=0")]),
        (200, &[("cache-control", "max-age=5, no-store")]),
        (
            200,
            &[
                ("cache-control", "max-age=5"),
                ("cache-control", "No-Cache"),
            ],
        ),
        (200, &[("cache-control", "max-age=5, private=\"x-y\"")]),
        (
            200,
            &[("cache-control", "max-age=5, no-cache=\"set-cookie\"")],
        ),
        (
            200,
            &[("cache-control", r#"max-age=5, ext="a\"b", private"#)],
        ),
        (200, &[("cache-control", r#"max-age=5, ext="a, b"#)]),
        (200, &[("cache-control", r#"max-age=5, ext="a\""#)]),
        (200, &[fresh, ("pragma", "no-cache")]),
        (200, &[fresh, ("set-cookie", "a=b")]),
        (200, &[fresh, ("age", "5")]),
        (200, &[fresh, ("age", "abc")]),
        (200, &[fresh, ("age", "1"), ("age", "2")]),
        (200, &[fresh, ("vary", "accept-encoding")]),
        (200, &[fresh, ("vary", "*")]),
        (200, &[("expires", past.as_str()), ("etag", "\"1\"")]),
        (200, &[("expires", "0"), ("etag", "\"1\"")]),
        (200, &[fresh, ("content-length", "5000")]),
        (206, &[fresh]),
        (301, &[fresh]),
        (404, &[fresh]),
    ] {
        assert!(!is_kept(status, fields), "{status} {fields:?}");
    }
}

#[test]
fn requests_say_whether_they_are_served_and_whether_their_responses_are_kept() {
    let now = test_clock::now();
    let plain = request("GET", "/", &[]);
    let answer = response(200, &[("cache-control", "max-age=50"), ("age", "3")]);
    for (method, fields, served, stored) in [
        ("GET", &[][..], true, true),
        ("HEAD", &[], true, false),
        ("OPTIONS", &[], false, false),
        ("GET", &[("cache-control", "no-cache")], false, true),
        ("GET", &[("pragma", "no-cache")], false, true),
        (
            "GET",
            &[("pragma", "no-cache"), ("cache-control", "x")],
            true,
            true,
        ),
        ("GET", &[("cache-control", "no-store")], false, false),
        ("GET", &[("cache-control", "max-age=0")], false, true),
        ("GET", &[("cache-control", "max-age=2")], false, true),
        ("GET", &[("cache-control", "max-age=3")], true, true),
        ("GET", &[("authorization", "Basic eDp5")], false, false),
        ("GET", &[("content-length", "4")], false, false),
        ("GET", &[("content-length", "0")], true, true),
        ("GET", &[("transfer-encoding", "chunked")], false, false),
        ("GET", &[("range", "bytes=0-1")], true, true),
    ] {
        let asked = request(method, "/", fields);
        let warm = cache(|_| {});
        exchange(&warm, now, &plain, &answer, b"body");
        assert_eq!(
            found(&warm, now, &asked).is_some(),
            served,
            "{method} {fields:?}"
        );
        let cold = cache(|_| {});
        exchange(&cold, now, &asked, &answer, b"body");
        assert_eq!(
            found(&cold, now, &plain).is_some(),
            stored,
            "{method} {fields:?}"
        );
    }
}

#[test]
fn a_change_makes_void_what_is_kept_and_what_is_on_its_way() {
    let now = test_clock::now();
    let (get, answer) = (
        request("GET", "/x", &[]),
        response(200, &[("etag", "\"1\"")]),
    );
    for (method, status, stays) in [
        ("POST", 200, false),
        ("PUT", 204, false),
        ("DELETE", 303, false),
        ("POST", 400, true),
        ("POST", 503, true),
        ("OPTIONS", 200, true),
    ] {
        let cache = cache(|_| {});
        exchange(&cache, now, &get, &answer, b"body");
        let authorized = [("authorization", "Basic eDp5"), ("content-length", "1")];
        let change = request(method, "/x", &authorized);
        exchange(&cache, now, &change, &response(status, &[]), b"");
        assert_eq!(
            found(&cache, now, &get).is_some(),
            stays,
            "{method} {status}"
        );
    }
    let cache = cache(|_| {});
    let mut visit = Visit::default();
    visit.look(&cache, now, HeadRef::new(&get, b""));
    visit.store(&cache, (now, date()), HeadRef::new(&answer, b""));
    let old = visit.take_candidates().pop().unwrap().begin().unwrap();
    exchange(
        &cache,
        now,
        &request("PUT", "/x", &[]),
        &response(200, &[]),
        b"",
    );
    old.finish();
    assert!(found(&cache, now, &get).is_none());
}

#[test]
fn a_content_counts_even_if_the_head_does_not_tell_of_it() {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let get = request("GET", "/", &[]);
    let answer = response(200, &[("cache-control", "max-age=5")]);
    exchange(&cache, now, &get, &answer, b"body");
    let mut visit = Visit::default();
    visit.note_content(true);
    visit.look(&cache, now, HeadRef::new(&get, b""));
    assert!(visit.found().is_none());
    visit.store(&cache, (now, date()), HeadRef::new(&answer, b""));
    assert!(visit.take_candidates().is_empty());
}

#[test]
fn heads_are_kept_without_what_belongs_to_one_connection() {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let fields = [
        ("ETag", "\"1\""),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x"),
        ("proxy-authenticate", "Basic"),
        ("age", "1"),
        ("server", "s"),
    ];
    let get = request("GET", "/", &[]);
    exchange(&cache, now, &get, &response(200, &fields), b"body");
    let found = found(&cache, now + Duration::from_secs(3), &get).unwrap();
    let kept = HeadRef::new(found.object.head(), b"");
    let names: Vec<_> = kept.fields().map(|(name, _)| name).collect();
    assert_eq!((kept.status(), kept.reason()), (200, &b"OK"[..]));
    assert_eq!(names, [&b"ETag"[..], b"server"]);
    assert_eq!(found.object.age(now + Duration::from_secs(3)), 4);
}

#[test]
fn what_does_not_come_whole_was_never_there() {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let (get, answer) = (
        request("GET", "/", &[]),
        response(200, &[("etag", "\"1\"")]),
    );
    let free = cache.available_blocks();
    let begin = || {
        let mut visit = Visit::default();
        visit.look(&cache, now, HeadRef::new(&get, b""));
        visit.store(&cache, (now, date()), HeadRef::new(&answer, b""));
        visit.take_candidates().pop().unwrap().begin()
    };
    let mut first = begin().unwrap();
    assert!(first.add(b"half"));
    assert!(cache.available_blocks() < free);
    // One at a time: the memory for the same is not taken twice.
    assert!(begin().is_none());
    drop(first);
    assert_eq!(cache.available_blocks(), free);
    assert!(found(&cache, now, &get).is_none());
    begin().unwrap().finish();
    assert!(found(&cache, now, &get).is_some());
}
