//! `option httpchk` and `http-check`.

use std::sync::Arc;

use lb_core::{
    config::CheckKind,
    health::{
        CheckStatus,
        script::{Act, Expect, FieldMatch, HttpPattern, Pattern, Request, Script, TextMatch},
    },
};

use super::{findings, load_text, pair, quiet};

fn check(lines: &str) -> CheckKind {
    let (config, said) = load_text(&pair("", lines));
    let old = lines.contains(r"\r\n");
    assert!(
        said.iter()
            .all(|said| old && said.message.contains("is deprecated")),
        "{said}"
    );
    let config = config.unwrap();
    config.proxies[1].backend.as_ref().unwrap().check.clone()
}

fn script(lines: &str) -> Arc<Script> {
    match check(lines) {
        CheckKind::Script(script) => script,
        _ => panic!("{lines}"),
    }
}

fn request(script: &Script, number: usize) -> &Request {
    let mut requests = script.steps.iter().filter_map(|step| match &step.act {
        Act::Request(request) => Some(request),
        _ => None,
    });
    requests.nth(number).unwrap()
}

fn expectation(rule: &str) -> Expect {
    let script = script(&format!("option httpchk\n http-check expect {rule}"));
    match &script.steps.last().unwrap().act {
        Act::Expect(expect) => expect.clone(),
        act => panic!("{act:?}"),
    }
}

fn asks(method: &str, target: &str, version: &str, headers: &[(&str, &str)]) -> Request {
    let headers = headers
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    }
}

#[test]
fn the_request_is_that_of_the_option_as_far_as_the_first_send_leaves_it() {
    assert_eq!(check(""), CheckKind::Tcp);
    let of = |lines: &str| request(&script(lines), 0).clone();
    let old = r"option httpchk GET /up HTTP/1.1\r\nHost:\ a.example";
    for (lines, wanted) in [
        ("option httpchk", asks("OPTIONS", "/", "HTTP/1.0", &[])),
        (
            "option httpchk /up",
            asks("OPTIONS", "/up", "HTTP/1.0", &[]),
        ),
        (
            old,
            asks("GET", "/up", "HTTP/1.1", &[("Host", "a.example")]),
        ),
        (
            r"option httpchk GET /up HTTP/1.1\r\nHost: a.example",
            asks("GET", "/up", "HTTP/1.1", &[("Host", "a.example")]),
        ),
        (
            "http-check send meth HEAD uri /x ver HTTP/1.1 hdr Host a\n option httpchk GET /y",
            asks("HEAD", "/x", "HTTP/1.1", &[("Host", "a")]),
        ),
        (
            &format!("{old}\n http-check connect port 81\n http-check send hdr X-Q 1"),
            asks("GET", "/up", "HTTP/1.1", &[("X-Q", "1")]),
        ),
        (
            &format!(
                "{old}\n http-check send hdr content-length 7 hdr Connection keep-alive uri /z"
            ),
            asks("GET", "/z", "HTTP/1.1", &[("Connection", "keep-alive")]),
        ),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    let body = of("option httpchk\n http-check send meth POST body hello");
    assert_eq!(body.body, b"hello");
    let last = script("option httpchk\n option tcp-check");
    assert!(last.steps.is_empty());
}

#[test]
fn a_section_with_lines_of_its_own_takes_no_request_of_its_defaults() {
    for (lines, wanted) in [
        ("", asks("GET", "/old", "HTTP/1.1", &[("X-Old", "1")])),
        ("option httpchk", asks("OPTIONS", "/", "HTTP/1.0", &[])),
        (
            "http-check send hdr X-New 1",
            asks("OPTIONS", "/", "HTTP/1.0", &[("X-New", "1")]),
        ),
    ] {
        let config = quiet(&format!(
            "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n \
             option httpchk GET /old HTTP/1.1\n http-check send hdr X-Old 1\nbackend b\n {lines}\n"
        ));
        let CheckKind::Script(script) = config.proxies[0].backend.as_ref().unwrap().check.clone()
        else {
            panic!("{lines}");
        };
        assert_eq!(*request(&script, 0), wanted, "{lines}");
    }
}

#[test]
fn a_second_request_has_a_connection_of_its_own() {
    let twice = script(
        "option httpchk GET /a\n http-check connect\n http-check expect status 200\n \
         http-check connect port 81\n http-check send uri /b\n http-check expect string ok",
    );
    assert_eq!(request(&twice, 0).target, "/a");
    assert_eq!(*request(&twice, 1), asks("OPTIONS", "/b", "HTTP/1.0", &[]));
    let kinds = twice.steps.iter().map(|step| match &step.act {
        Act::Connect(_) => "connect",
        Act::Request(_) => "send",
        Act::Expect(_) => "expect",
        Act::Send(_) => "bytes",
        Act::Set(..) | Act::Unset(_) => "variable",
    });
    let wanted = ["connect", "send", "expect", "connect", "send", "expect"];
    assert_eq!(kinds.collect::<Vec<_>>(), wanted);
    let said = findings(&pair(
        "",
        "option httpchk\n http-check expect status 200\n http-check send uri /b",
    ));
    assert!(
        said[0].contains("needs a connection of its own"),
        "{said:?}"
    );
}

#[test]
fn expectations_of_every_kind() {
    let http = |rule: &str| match expectation(rule).pattern {
        Pattern::Http(http) => http,
        pattern => panic!("{pattern:?}"),
    };
    let regex = |text: &str| regex::bytes::Regex::new(text).unwrap();
    let whole = |text: &str| TextMatch::Whole(text.to_owned());
    for (rule, wanted) in [
        (
            "status 200,301-302",
            HttpPattern::Status(vec![200..=200, 301..=302]),
        ),
        (
            "comment up status 200-404",
            HttpPattern::Status(vec![200..=404]),
        ),
        ("! rstatus ^5", HttpPattern::StatusRegex(regex("^5"))),
        ("string up", HttpPattern::Body(b"up".to_vec())),
        (
            "! rstring err|down",
            HttpPattern::BodyRegex(regex("err|down")),
        ),
        (
            "hdr name X-State",
            HttpPattern::Field(FieldMatch {
                name: whole("x-state"),
                value: None,
                whole: false,
            }),
        ),
        (
            "fhdr name -m beg X- value -m end ok",
            HttpPattern::Field(FieldMatch {
                name: TextMatch::Begins("x-".to_owned()),
                value: Some(TextMatch::Ends("ok".to_owned())),
                whole: true,
            }),
        ),
    ] {
        assert_eq!(http(rule), wanted, "{rule}");
    }
    assert!(expectation("! string err").negated);
    assert_eq!(expectation("min-recv 20 string up").min_recv, Some(20));
    let behind = expectation("status 200 min-recv 5 error-status L7RSP");
    assert_eq!(behind.min_recv, Some(5));
    assert_eq!(behind.error, CheckStatus::L7Response);
    for (rule, message) in [
        ("status 99", "not a list of status codes"),
        ("status 200 status 300", "one thing is expected already"),
        ("rstatus (", "not a regular expression"),
        ("hdr value x", "a header is looked for by its name"),
        ("hdr name -m odd x", "unknown method of comparing"),
        ("body x", "this kind of expectation is not supported"),
        (
            "on-error %[nothing] status 200",
            "unknown fetch method 'nothing'",
        ),
        (
            "hdr name-lf -m reg %[srv_name]",
            "a regular expression has no variables",
        ),
    ] {
        let said = findings(&pair(
            "",
            &format!("option httpchk\n http-check expect {rule}"),
        ));
        assert!(said[0].contains(message), "{rule}: {said:?}");
    }
}

#[test]
fn the_flags_of_a_check_are_kept() {
    let flags = script("option httpchk\n http-check send-state\n http-check disable-on-404");
    assert!(flags.send_state && flags.disable_on_404);
    let none = script("option httpchk");
    assert!(!none.send_state && !none.disable_on_404);
}

#[test]
fn variables_stand_before_and_between_the_steps() {
    let script = script(
        "option httpchk GET /a\n http-check set-var(check.p) str(/b)\n http-check connect\n \
         http-check unset-var(proc.x)\n http-check send uri-lf %[var(check.p)]\n http-check expect status 200\n \
         http-check connect\n http-check send uri /c",
    );
    let live: Vec<usize> = script.steps.iter().map(|step| step.live.len()).collect();
    // The target of the first request; and what is not said of the last answer is expected.
    assert_eq!(live, [0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(request(&script, 0).method, "GET");
    assert!(matches!(
        script.steps.last().map(|step| &step.act),
        Some(Act::Expect(_))
    ));
    for (lines, message) in [
        ("http-check set-var(txn.a) int(1)", "no variable of a check"),
        ("http-check set-var(check.a", "misses its variable"),
        ("http-check unset-var(check.a,ifset)", "takes no conditions"),
        (
            "http-check set-var(check.a) odd()",
            "unknown fetch method 'odd'",
        ),
    ] {
        let said = findings(&pair("", &format!("option httpchk\n {lines}")));
        assert!(said[0].contains(message), "{lines}: {said:?}");
    }
}
