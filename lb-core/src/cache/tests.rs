use proptest::prelude::*;

use super::*;
use crate::{
    head::{Head, HeadMut},
    log::date::write_http,
    test_clock,
};

/// 2026-11-20 22:51:45 GMT.
const DATE: u64 = 1_795_215_105;

fn date() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(DATE)
}

fn http_date(seconds: u64) -> String {
    let mut text = Vec::new();
    write_http(i64::try_from(seconds).unwrap(), &mut text);
    String::from_utf8(text).unwrap()
}

fn head(fields: &[(&str, &str)]) -> Head {
    let mut head = Head::default();
    let mut edit = HeadMut::new(&mut head, b"");
    for (name, value) in fields {
        edit.add(name.as_bytes(), value.as_bytes());
    }
    head
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Head {
    let mut request = head(fields);
    let mut edit = HeadMut::new(&mut request, b"");
    edit.set_method(method.as_bytes());
    edit.set_target(target.as_bytes());
    edit.add(b"host", b"www.example");
    request
}

fn response(status: u16, fields: &[(&str, &str)]) -> Head {
    let mut response = head(fields);
    HeadMut::new(&mut response, b"").set_status(status, b"OK");
    response
}

/// One exchange: true if the response came from the cache.
fn exchange(
    cache: &Arc<Cache>,
    now: Instant,
    request: &Head,
    response: &Head,
    body: &[u8],
) -> bool {
    let mut visit = Visit::default();
    visit.look(cache, now, HeadRef::new(request, b""));
    if visit.found().is_some() {
        return true;
    }
    visit.store(cache, (now, date()), HeadRef::new(response, b""));
    for candidate in visit.take_candidates() {
        if let Some(mut keeping) = candidate.begin()
            && keeping.add(body)
        {
            keeping.finish();
        }
    }
    false
}

fn found(cache: &Arc<Cache>, now: Instant, request: &Head) -> Option<Found> {
    let mut visit = Visit::default();
    visit.look(cache, now, HeadRef::new(request, b""));
    visit.found().cloned()
}

fn cache(adjust: impl FnOnce(&mut CacheConfig)) -> Arc<Cache> {
    let mut config = CacheConfig::new(1 << 20);
    adjust(&mut config);
    Arc::new(Cache::new("c", config))
}

/// Whether a response to a plain GET is found again.
fn is_kept(status: u16, fields: &[(&str, &str)]) -> bool {
    let (cache, now) = (cache(|_| {}), test_clock::now());
    let get = request("GET", "/", &[]);
    exchange(&cache, now, &get, &response(status, fields), b"body");
    found(&cache, now, &get).is_some()
}

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
    assert!(!exchange(
        &cache,
        now,
        &asked("gzip", "a"),
        &answer("gzip", both),
        b"gzip a"
    ));
    assert!(!exchange(
        &cache,
        now,
        &asked("br", "a"),
        &answer("br", both),
        b"br a"
    ));
    assert!(!exchange(
        &cache,
        now,
        &asked("br, gzip", "b"),
        &answer("gzip, br", both),
        b"b"
    ));
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
    exchange(
        &cache,
        now,
        &asked("first", "a"),
        &answer("gzip", both),
        b"",
    );
    exchange(
        &cache,
        now,
        &asked("first", "a"),
        &answer("first", both),
        b"",
    );
    exchange(
        &cache,
        now,
        &asked("first", "a"),
        &answer("", "cookie"),
        b"",
    );
    assert!(found(&cache, now, &any).is_none());
    // Without a coding it is for everybody who does not refuse that.
    exchange(
        &cache,
        now,
        &asked("first", "a"),
        &answer("", both),
        b"plain",
    );
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
fn memory_is_never_more_than_allowed_and_what_was_used_goes_last() {
    let now = test_clock::now();
    let cache = cache(|config| (config.total, config.object) = (64 << 10, 20 << 10));
    let answer = response(200, &[("etag", "\"1\"")]);
    let get = |n: usize| request("GET", &format!("/{n}"), &[]);
    let body = vec![b'x'; 7000];
    for n in 0..100 {
        exchange(&cache, now, &get(n), &answer, &body);
        assert!(
            found(&cache, now, &get(0)).is_some(),
            "{n}: the one in use went"
        );
    }
    let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
    assert_eq!(kept + cache.available_blocks(), 64);
    assert_eq!(cache.listed(now).len(), 8);
    assert!(found(&cache, now, &get(99)).is_some());
    assert!(found(&cache, now, &get(50)).is_none());
    // More than one may have is not kept, and takes nothing with it.
    let large = response(200, &[("etag", "\"1\""), ("content-length", "21504")]);
    exchange(&cache, now, &get(1000), &large, &[b'x'; 21 << 10]);
    assert!(found(&cache, now, &get(1000)).is_none());
    assert_eq!(cache.listed(now).len(), 8);
    // What is being sent keeps its memory, so it stays.
    let sending: Vec<_> = (0..100)
        .filter_map(|n| found(&cache, now, &get(n)))
        .collect();
    assert_eq!(sending.len(), 8);
    exchange(&cache, now, &get(1001), &answer, &[b'x'; 19 << 10]);
    assert!(found(&cache, now, &get(1001)).is_none());
    assert_eq!(cache.listed(now)[0].users, 1);
    drop(sending);
    exchange(&cache, now, &get(1001), &answer, &[b'x'; 19 << 10]);
    assert!(found(&cache, now, &get(1001)).is_some());
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

proptest! {
    /// A response is served as long as the least of what it says and `max-age` allows, less its age, and not a second
    /// longer; its age is told right all the time.
    #[test]
    fn nothing_is_served_past_its_time(
        most in 1u64..100,
        stated in prop::option::of(0u64..120),
        shared in prop::option::of(0u64..120),
        expires in prop::option::of(0u64..120),
        age in prop::option::of(0u64..120),
        steps in prop::collection::vec(0u64..150, 1..20),
    ) {
        let cache = cache(|config| config.max_age = Duration::from_secs(most));
        let mut fields = vec![("etag".to_owned(), "\"1\"".to_owned())];
        let mut field = |name: &str, value: String| fields.push((name.to_owned(), value));
        if let Some(stated) = stated {
            field("cache-control", format!("max-age={stated}"));
        }
        if let Some(shared) = shared {
            field("cache-control", format!("s-maxage={shared}"));
        }
        if let Some(expires) = expires {
            field("expires", http_date(DATE + expires));
        }
        if let Some(age) = age {
            field("age", age.to_string());
        }
        let said = shared.or(stated).or(expires).unwrap_or(most);
        let lifetime = said.saturating_sub(age.unwrap_or(0)).min(most);
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let (start, get) = (test_clock::now(), request("GET", "/", &[]));
        exchange(&cache, start, &get, &response(200, &fields), b"");
        for step in steps {
            let now = start + Duration::from_secs(step);
            let found = found(&cache, now, &get);
            prop_assert_eq!(found.is_some(), step < lifetime, "at {} of {}", step, lifetime);
            if let Some(found) = found {
                prop_assert_eq!(found.object.age(now), age.unwrap_or(0) + step);
            }
        }
    }

    /// Whatever is asked for and kept, no more memory is taken than there is, and all of it is given back.
    #[test]
    fn memory_is_accounted_for(
        acts in prop::collection::vec((0usize..12, 0usize..9000, 0u8..5), 1..200)
    ) {
        let now = test_clock::now();
        let cache = cache(|config| (config.total, config.object) = (40 << 10, 8 << 10));
        let answer = response(200, &[("etag", "\"1\"")]);
        let mut held = Vec::new();
        for (name, size, act) in acts {
            let get = request("GET", &format!("/{name}"), &[]);
            match act {
                0 => held.extend(found(&cache, now, &get)),
                1 => held.truncate(held.len() / 2),
                2 => {
                    let post = request("POST", &format!("/{name}"), &[]);
                    exchange(&cache, now, &post, &response(200, &[]), b"");
                }
                _ => {
                    exchange(&cache, now, &get, &answer, &vec![b'x'; size]);
                }
            }
            let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
            prop_assert!(kept + cache.available_blocks() <= 40);
        }
        held.clear();
        let kept: usize = cache.listed(now).iter().map(|entry| entry.blocks).sum();
        prop_assert_eq!(kept + cache.available_blocks(), 40);
    }
}
