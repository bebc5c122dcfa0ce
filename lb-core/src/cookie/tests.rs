use std::time::Duration;

use super::{CookieFate, CookiePolicy, Dates, Served};
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
        ..CookieConfig::default()
    })
}

/// What a request's cookie names.
fn named(policy: &CookiePolicy, head: &Head) -> Option<Vec<u8>> {
    let given = policy.find(HeadRef::new(head, b""), Duration::ZERO);
    given.map(|given| given.value)
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
        (
            "SRV=s1; a=b; SRV=s2; SRV=s3",
            Some("s1"),
            vec!["cookie: a=b"],
        ),
    ] {
        let policy = policy(&["insert", "indirect"]);
        let mut head = head(&[("cookie", sent)]);
        let value = named(&policy, &head);
        assert_eq!(value.as_deref(), found.map(str::as_bytes), "{sent}");
        policy.clean_request(&mut HeadMut::new(&mut head, b""));
        assert_eq!(lines(&head), left, "{sent}");
    }
}

/// As long a list as could come in many crumbs, and longer: seconds of a worker if each copy cost a look at all of it.
#[test]
fn copies_of_the_cookie_are_taken_out_in_one_go() {
    let policy = policy(&["insert", "indirect"]);
    let sent = "a;".repeat(100_000) + &"SRV;".repeat(50_000) + "b=c";
    let mut head = head(&[("cookie", &sent)]);
    let begun = crate::test_clock::now();
    policy.clean_request(&mut HeadMut::new(&mut head, b""));
    let took = begun.elapsed();
    assert_eq!(
        lines(&head),
        [format!("cookie: {}; b=c", ["a"; 100_000].join(";"))]
    );
    println!("150000 pairs: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn prefix_mode_shares_the_applications_cookie() {
    let policy = policy(&["prefix"]);
    let mut request = head(&[("cookie", "a=b; SRV=s1~session; c=d")]);
    assert_eq!(named(&policy, &request).as_deref(), Some(&b"s1"[..]));
    policy.clean_request(&mut HeadMut::new(&mut request, b""));
    assert_eq!(lines(&request), ["cookie: a=b; SRV=session; c=d"]);

    let mut response = head(&[("set-cookie", "SRV=session; path=/app")]);
    let served = Served {
        server_cookie: Some("s2"),
        persistence: Persistence::None,
        is_post: false,
        ignored: false,
        dates: Dates::default(),
        now: Duration::ZERO,
    };
    let fate = policy.finish_response(served, &mut HeadMut::new(&mut response, b""));
    assert_eq!(fate, CookieFate::Rewritten);
    assert_eq!(lines(&response), ["set-cookie: SRV=s2~session; path=/app"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_responses_carry() {
    use Persistence::{Down, None as New, Stuck, Valid};
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
        ("insert", Stuck, Some("s1"), false, false, vec![], 'N'),
        (
            "insert",
            New,
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
            dates: Dates::default(),
            now: Duration::ZERO,
        };
        let got = policy(&words).finish_response(served, &mut HeadMut::new(&mut head, b""));
        assert_eq!(
            (lines(&head), got.letter()),
            (expected.iter().map(ToString::to_string).collect(), fate),
            "{words:?} {persistence:?}"
        );
    }
}

/// Each row as HAProxy 2.6 answers: the cookie that came, how it stands (`V`, or stale), what the client gets back.
#[test]
fn cookies_with_dates_are_followed_for_their_time_and_renewed() {
    const NOW: u64 = 1_795_303_293;
    let date = |ago: i64| {
        let mut text = String::new();
        super::dates::encode(NOW.saturating_add_signed(-ago) + 3, &mut text);
        text
    };
    let policy = |idle: Option<u64>, life: Option<u64>| {
        CookiePolicy::new(&CookieConfig {
            name: "SRV".into(),
            insert: true,
            max_idle: idle.map(Duration::from_secs),
            max_life: life.map(Duration::from_secs),
            ..CookieConfig::default()
        })
    };
    let (idle, life) = (policy(Some(60), None), policy(None, Some(60)));
    let both = policy(Some(60), Some(300));
    let (now, old) = (date(0), date(3000));
    let (just, late) = (date(10), date(100));
    for (policy, sent, state, got) in [
        (&idle, String::new(), 'V', Some(now.clone())),
        (&idle, just.clone(), 'V', Some(now.clone())),
        (&idle, date(-3000), 'V', None),
        (&idle, date(-90_000), 'E', Some(now.clone())),
        (&idle, late.clone(), 'E', Some(now.clone())),
        (&idle, format!("{just}{old}"), 'V', Some(now.clone())),
        (&idle, "|!!!!!".into(), 'V', Some(now.clone())),
        (&life, String::new(), 'V', Some(format!("{now}{now}"))),
        (&life, just.clone(), 'V', Some(format!("{now}{now}"))),
        (
            &life,
            format!("{just}{just}"),
            'V',
            Some(format!("{now}{just}")),
        ),
        (
            &life,
            format!("{just}{late}"),
            'O',
            Some(format!("{now}{now}")),
        ),
        (&life, format!("{}{just}", date(-9)), 'V', None),
        (
            &both,
            format!("{just}{late}"),
            'V',
            Some(format!("{now}{late}")),
        ),
        (
            &both,
            format!("{just}{old}"),
            'O',
            Some(format!("{now}{now}")),
        ),
        (
            &both,
            format!("{old}{old}"),
            'O',
            Some(format!("{now}{now}")),
        ),
        (
            &self::policy(&["insert"]),
            just.clone(),
            'V',
            Some(String::new()),
        ),
    ] {
        let request = head(&[("cookie", &format!("SRV=s1{sent}"))]);
        let now = Duration::from_secs(NOW);
        let given = policy.find(HeadRef::new(&request, b""), now).unwrap();
        assert_eq!(given.value, b"s1");
        let letter = given.stale.map_or('V', super::Stale::letter);
        let mut response = head(&[]);
        let served = Served {
            server_cookie: Some("s1"),
            persistence: match given.stale {
                Some(_) => Persistence::None,
                None => Persistence::Valid,
            },
            is_post: false,
            ignored: false,
            dates: given.dates,
            now,
        };
        let fate = policy.finish_response(served, &mut HeadMut::new(&mut response, b""));
        let expected = got.map(|dates| format!("set-cookie: SRV=s1{dates}; path=/"));
        let expected_fate = match (&expected, given.stale) {
            (None, _) => CookieFate::None,
            (_, None) => CookieFate::Updated,
            _ => CookieFate::Inserted,
        };
        assert_eq!(letter, state, "{sent}");
        assert_eq!(lines(&response), Vec::from_iter(expected), "{sent}");
        assert_eq!(fate, expected_fate, "{sent}");
    }
}

#[test]
fn limits_are_whole_seconds_and_zero_is_none() {
    const NOW: u64 = 1_795_303_292;
    let stale = |limit: Duration, ago: u64| {
        let policy = CookiePolicy::new(&CookieConfig {
            name: "SRV".into(),
            insert: true,
            max_idle: Some(limit),
            max_life: Some(limit),
            ..CookieConfig::default()
        });
        let mut cookie = "SRV=s1".to_owned();
        super::dates::encode(NOW - ago, &mut cookie);
        super::dates::encode(NOW - ago, &mut cookie);
        let request = head(&[("cookie", &cookie)]);
        let given = policy.find(HeadRef::new(&request, b""), Duration::from_secs(NOW));
        given.unwrap().stale.is_some()
    };
    assert!(!stale(Duration::ZERO, 1_000_000));
    // Dates are in steps of four seconds.
    assert!(!stale(Duration::from_millis(3001), 4));
    assert!(stale(Duration::from_millis(3000), 4));
}
