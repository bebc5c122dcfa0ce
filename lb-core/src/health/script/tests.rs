use proptest::prelude::*;

use super::{
    Act, Around, Connect, Conversation, Expect, FieldMatch, Formatted, HttpPattern, Known, Live,
    MysqlLogin, Pattern, Request, Script, Slot, Source, Step, TextMatch, Verdict, Want,
};
use crate::{expr::Written, health::CheckStatus, request::Assignment};

fn written(acts: Vec<Act>) -> Script {
    Script {
        is_written: true,
        ..Script::of(acts)
    }
}

fn text(bytes: &[u8]) -> Expect {
    Expect::new(Pattern::Text(bytes.to_vec()))
}

/// Plays `pieces` to whoever receives, then the end.
fn play(script: &Script, pieces: &[&[u8]]) -> Verdict {
    let mut pieces = pieces.iter();
    let mut conversation = Conversation::new(script, Known::default());
    loop {
        match conversation.poll() {
            Want::Connect(_) | Want::Send(_) => {}
            Want::Receive => match pieces.next() {
                Some(piece) => conversation.received(piece),
                None => conversation.ended(),
            },
            Want::Done(verdict) => return verdict,
        }
    }
}

#[test]
fn each_question_waits_for_its_answer() {
    let script = written(vec![
        Act::Send(b"PING\r\n".to_vec()),
        Act::Expect(text(b"+PONG")),
        Act::Send(b"ROLE\r\n".to_vec()),
        Act::Expect(text(b"master")),
    ]);
    let good = play(&script, &[b"+PO", b"NG\r\n", b"mas", b"ter"]);
    assert_eq!(
        (good.status, &*good.detail),
        (CheckStatus::L7Ok, "(tcp-check)")
    );
    let slave = play(&script, &[b"+PONG\r\n", b"slave"]);
    assert_eq!(slave.status, CheckStatus::L7Response);
    assert_eq!(
        slave.detail,
        "TCPCHK did not match content 'master' at step 4"
    );
    // What came before a question is no answer to it.
    let early = play(&script, &[b"+PONG master\r\n"]);
    assert_eq!(early.detail, "TCPCHK got an empty response at step 4");
}

#[test]
fn failures_name_the_step_in_progress() {
    let second = Connect {
        port: Some(143),
        ..Connect::default()
    };
    let script = written(vec![
        Act::Connect(Connect::default()),
        Act::Expect(text(b"+OK")),
        Act::Connect(second),
    ]);
    let mut conversation = Conversation::new(&script, Known::default());
    assert!(matches!(conversation.poll(), Want::Connect(Some(_))));
    let refused = conversation.failed(CheckStatus::L4Connection, "Connection refused", true);
    assert_eq!(
        refused.detail,
        "Connection refused at step 1 of tcp-check (connect)"
    );
    assert_eq!(conversation.poll(), Want::Receive);
    let late = conversation.timed_out(None);
    assert_eq!(late.status, CheckStatus::L7Timeout);
    assert_eq!(late.detail, " at step 2 of tcp-check (expect string '+OK')");
    conversation.received(b"+OK\r\n");
    assert!(matches!(conversation.poll(), Want::Connect(Some(c)) if c.port == Some(143)));
    let late = conversation.timed_out(Some(CheckStatus::L4Timeout));
    assert_eq!(late.detail, " at step 3 of tcp-check (connect port 143)");
}

#[test]
fn a_flood_is_judged_by_its_first_bytes() {
    let script = written(vec![Act::Expect(text(b"end"))]);
    let flood = vec![b'x'; 10_000];
    let verdict = play(&script, &[&flood, &flood, b"end"]);
    assert_eq!(verdict.status, CheckStatus::L7Response);
}

#[test]
fn mysql_errors_carry_the_servers_code() {
    let script = Script::mysql(Some(("ha", MysqlLogin::Post41)));
    let greeting = b"\x02\x00\x00\x00\x0a8";
    let ok = b"\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00";
    assert_eq!(play(&script, &[greeting, ok]).status, CheckStatus::L7Ok);
    let denied = play(&script, &[greeting, b"\x06\x00\x00\x02\xff\x15\x04abc"]);
    assert_eq!(
        (denied.status, denied.code, &*denied.detail),
        (CheckStatus::L7Status, Some(1045), "abc")
    );
    assert_eq!(play(&script, &[greeting]).status, CheckStatus::L7Response);
}

proptest! {
    #[test]
    fn however_the_bytes_are_split_the_result_is_the_same(
        answer in prop::collection::vec(prop::sample::select(b"+OKER\xff\x00\x01\x03".to_vec()), 0..40),
        cuts in prop::collection::vec(0_usize..40, 0..6),
        negated in any::<bool>(),
        kind in 0_usize..6,
    ) {
        let pattern = match kind {
            0 => Pattern::Text(b"OK".to_vec()),
            1 => Pattern::Binary(vec![0xff, 0]),
            2 => Pattern::regex("K+E").map_err(|e| TestCaseError::fail(e.to_string()))?,
            3 => Pattern::hex_regex("FF00").map_err(|e| TestCaseError::fail(e.to_string()))?,
            4 => Pattern::MysqlLogin,
            _ => Pattern::LdapBind,
        };
        let script = written(vec![Act::Expect(Expect { negated, ..Expect::new(pattern) })]);
        let whole = play(&script, &[&answer]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(answer.len())).collect();
        cuts.extend([0, answer.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts
            .windows(2)
            .filter_map(|pair| answer.get(*pair.first()?..*pair.last()?))
            .filter(|piece| !piece.is_empty())
            .collect();
        prop_assert_eq!(play(&script, &pieces), whole);
    }
}

fn http(pattern: HttpPattern) -> Script {
    let expect = Expect::new(Pattern::Http(pattern));
    Script::of([Act::Request(Request::default()), Act::Expect(expect)])
}

#[test]
fn content_is_judged_without_its_framing_however_it_is_cut() {
    let script = http(HttpPattern::Body(b"all is well".to_vec()));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n";
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well";
    for answer in [chunked.as_slice(), long] {
        for size in 1..answer.len() {
            let pieces: Vec<&[u8]> = answer.chunks(size).collect();
            let verdict = play(&script, &pieces);
            assert_eq!(
                (verdict.status, verdict.code),
                (CheckStatus::L7Ok, Some(200))
            );
        }
    }
    let head = play(
        &script,
        &[b"HTTP/1.1 200 all is well\r\nX: all is well\r\n\r\nno"],
    );
    assert_eq!(head.detail, "HTTP content check did not match");
    assert_eq!(head.status, CheckStatus::L7Response);
}

#[test]
fn a_404_is_a_wish_for_no_more_while_the_server_is_up() {
    let mut script = http(HttpPattern::Status(vec![200..=399]));
    script.disable_on_404 = true;
    let judge = |is_down: bool| {
        let known = Known {
            is_down,
            ..Known::default()
        };
        let mut conversation = Conversation::new(&script, known);
        loop {
            match conversation.poll() {
                Want::Connect(_) | Want::Send(_) => {}
                Want::Receive => conversation.received(b"HTTP/1.1 404 Not Found\r\n\r\n"),
                Want::Done(verdict) => return verdict,
            }
        }
    };
    assert_eq!(judge(false).status, CheckStatus::L7OkConditional);
    assert_eq!(judge(true).status, CheckStatus::L7Status);
    assert_eq!(judge(true).detail, "Not Found");
}

#[test]
fn fields_are_found_by_name_and_value() {
    let answer: &[u8] =
        b"HTTP/1.1 503 Busy\r\nX-State: a, ready\r\nx-other: 1\r\nContent-Length: 0\r\n\r\n";
    let whole = |text: &str| TextMatch::Whole(text.to_owned());
    let field = |name, value, whole| http(HttpPattern::Field(FieldMatch { name, value, whole }));
    for (script, good) in [
        (field(whole("x-state"), None, false), true),
        (field(whole("x-state"), Some(whole("ready")), false), true),
        (field(whole("x-state"), Some(whole("ready")), true), false),
        (field(whole("x-state"), Some(whole("a, ready")), true), true),
        (
            field(TextMatch::Begins("x-".to_owned()), Some(whole("1")), false),
            true,
        ),
        (field(whole("x-none"), None, false), false),
    ] {
        let verdict = play(&script, &[answer]);
        let wanted = match good {
            true => (CheckStatus::L7Ok, ""),
            false => (CheckStatus::L7Status, "Busy"),
        };
        assert_eq!((verdict.status, &*verdict.detail), wanted, "{script:?}");
    }
}

/// What HAProxy 2.6.12 sends.
#[test]
fn a_request_may_say_something_else_of_its_connection() {
    for (version, fields, wanted) in [
        ("HTTP/1.1", &["upgrade"][..], Some("upgrade")),
        ("HTTP/1.1", &["close", "Upgrade"], Some("Upgrade")),
        (
            "HTTP/1.1",
            &["keep-alive, upgrade, close, te"],
            Some("upgrade, te"),
        ),
        ("HTTP/1.1", &["keep-alive"], None),
        ("HTTP/1.1", &["keep-alive, close"], Some("close")),
        ("HTTP/1.1", &[], Some("close")),
        ("HTTP/1.0", &[], None),
        ("HTTP/1.0", &["close"], None),
        ("HTTP/1.0", &["Keep-Alive"], Some("keep-alive")),
        ("HTTP/1.0", &["upgrade"], Some("upgrade")),
    ] {
        let field = |value: &&str| ("Connection".to_owned(), (*value).to_owned());
        let request = Request {
            version: version.to_owned(),
            headers: fields.iter().map(field).collect(),
            ..Request::default()
        };
        let field = wanted.map(|options| format!("connection: {options}\r\n"));
        let wanted = format!("OPTIONS / {version}\r\n{}\r\n", field.unwrap_or_default());
        let sent = String::from_utf8(request.bytes(None)).unwrap();
        assert_eq!(sent, wanted, "{fields:?}");
    }
}

#[test]
fn a_request_says_its_length_and_that_it_is_the_last() {
    let request = Request {
        method: "POST".to_owned(),
        version: "HTTP/1.1".to_owned(),
        headers: vec![("Host".to_owned(), "a".to_owned())],
        body: b"hello".to_vec(),
        ..Request::default()
    };
    assert_eq!(
        String::from_utf8(request.bytes(Some("UP"))).unwrap(),
        "POST / HTTP/1.1\r\nhost: a\r\nx-haproxy-server-state: UP\r\ncontent-length: 5\r\n\
         connection: close\r\n\r\nhello"
    );
    for (method, wanted) in [
        ("PUT", "PUT / HTTP/1.0\r\ncontent-length: 0\r\n\r\n"),
        ("HEAD", "HEAD / HTTP/1.0\r\n\r\n"),
    ] {
        let request = Request {
            method: method.to_owned(),
            ..Request::default()
        };
        assert_eq!(String::from_utf8(request.bytes(None)).unwrap(), wanted);
    }
}

#[test]
fn what_a_server_said_goes_into_the_next_question() {
    let live = |slot, source| vec![Live { slot, source }];
    let format = |text: &str| Source::Format(Formatted::parse(text).unwrap());
    let written = |text: &str| {
        Source::Expr(Written::parse(text, &crate::expr::Definitions::default()).unwrap())
    };
    let to = |name: &str| Assignment::of_check(name).unwrap();
    let mut script = written_script();
    script.steps[1].live = live(
        Slot::Sent,
        format("again %[var(check.said)] from %[srv_name]"),
    );
    script.steps.insert(
        1,
        Step {
            number: 2,
            comment: None,
            act: Act::Set(to("check.said"), written("res.payload(1,2),upper")),
            live: Vec::new(),
        },
    );
    let around = Around {
        now: crate::expr::testing::start(),
        date: std::time::UNIX_EPOCH,
        backend: "b",
        server: "s",
        world: None,
    };
    let known = Known {
        around: Some(around),
        ..Known::default()
    };
    let mut conversation = Conversation::new(&script, known);
    assert_eq!(conversation.poll(), Want::Connect(None));
    assert_eq!(conversation.poll(), Want::Receive);
    conversation.received(b"+ok");
    assert_eq!(conversation.poll(), Want::Send(b"again OK from s".to_vec()));
}

fn written_script() -> Script {
    written(vec![Act::Expect(text(b"ok")), Act::Send(Vec::new())])
}
