use super::*;

fn matcher(method: &str, patterns: &[&str], ignore_case: bool) -> Matcher {
    let patterns: Vec<(usize, String)> = patterns.iter().map(|p| (0, (*p).to_string())).collect();
    Matcher::new(Method::named(method).unwrap(), &patterns, ignore_case).unwrap()
}

#[test]
fn text_methods() {
    for (method, patterns, text, plain, without_case) in [
        ("str", &["b", "A"][..], "a", false, true),
        ("str", &["b", "a"], "a", true, true),
        ("str", &["b"], "bb", false, false),
        ("beg", &["/API"], "/api/v1", false, true),
        ("beg", &["/x", "/api"], "/api", true, true),
        ("beg", &["/apix"], "/api", false, false),
        ("end", &[".PHP"], "/a.php", false, true),
        ("sub", &["Needle"], "a needle b", false, true),
        ("sub", &["needle"], "a needle b", true, true),
        ("sub", &["needle!"], "needle", false, false),
        ("dir", &["b/c"], "/a/b/c/d", true, true),
        ("dir", &["/B/"], "/a/b", false, true),
        ("dir", &["b"], "/a/bc", false, false),
        ("dom", &["example.com"], "www.example.com", true, true),
        ("dom", &["example.com"], "example.com:80", true, true),
        ("dom", &["EXAMPLE.com"], "example.com", false, true),
        ("dom", &["example.com"], "notexample.com", false, false),
        ("dom", &["example.com"], "example.community", false, false),
        ("dom", &["example"], "notexample.example.org", true, true),
        ("reg", &["^/a+$", "b"], "/aaa", true, true),
        ("reg", &["^X"], "xy", false, true),
        ("len", &["3"], "abc", true, true),
        ("len", &["lt", "3"], "abc", false, false),
        ("bin", &["616263"], "abc", true, true),
        ("found", &[], "", true, true),
    ] {
        let value = Value::text(text.as_bytes());
        let shown = format!("{method} {patterns:?} {text}");
        assert_eq!(
            matcher(method, patterns, false).matches(&value),
            plain,
            "{shown}"
        );
        assert_eq!(
            matcher(method, patterns, true).matches(&value),
            without_case,
            "-i {shown}"
        );
    }
}

#[test]
fn integer_ranges_and_comparisons() {
    for (patterns, inside, outside) in [
        (&["5"][..], 5, 6),
        (&["1", "3"], 3, 2),
        (&["10:20"], 20, 21),
        (&[":20"], -5, 21),
        (&["10:"], i64::MAX, 9),
        (&["gt", "5"], 6, 5),
        (&["ge", "5"], 5, 4),
        (&["lt", "-5"], -6, -5),
        (&["le", "5"], 5, 6),
        (&["eq", "5"], 5, 4),
        (&["gt", "3.1"], 3 << 16 | 2, 3 << 16 | 1),
    ] {
        let matcher = matcher("int", patterns, false);
        assert!(matcher.matches(&Value::Int(inside)), "{patterns:?}");
        assert!(!matcher.matches(&Value::Int(outside)), "{patterns:?}");
    }
    for wrong in [&["x"][..], &["9:1"], &["gt"], &["gt", "1:2"]] {
        let patterns: Vec<(usize, String)> = wrong.iter().map(|p| (0, (*p).to_string())).collect();
        assert!(
            Matcher::new(Method::Int, &patterns, false).is_err(),
            "{wrong:?}"
        );
    }
    assert!(!matcher("int", &["5"], false).matches(&Value::text(b"five")));
    assert!(matcher("int", &["5"], false).matches(&Value::text(b"5")));
}

#[test]
fn networks() {
    let networks = matcher(
        "ip",
        &[
            "10.0.0.0/8",
            "192.168.1.1",
            "172.16.0.0/255.240.0.0",
            "2001:db8::/32",
            "::1",
        ],
        false,
    );
    for (address, expected) in [
        ("10.255.0.1", true),
        ("11.0.0.1", false),
        ("192.168.1.1", true),
        ("192.168.1.2", false),
        ("172.31.255.255", true),
        ("172.32.0.0", false),
        ("::ffff:10.1.2.3", true),
        ("2001:db8:1::1", true),
        ("2001:db9::1", false),
        ("::1", true),
    ] {
        let value = Value::Address(address.parse().unwrap());
        assert_eq!(networks.matches(&value), expected, "{address}");
        let value = Value::text(address.as_bytes());
        assert_eq!(networks.matches(&value), expected, "{address} as text");
    }
    for wrong in [
        "10.0.0.0/33",
        "example.com",
        "10.0.0",
        "10.0.0.0/255.0.255.0",
    ] {
        assert!(Matcher::new(Method::Ip, &[(2, wrong.into())], false).is_err_and(|e| e.word == 2));
    }
    assert!(matcher("ip", &["0.0.0.0/0"], false).matches(&Value::text(b"203.0.113.9")));
}
