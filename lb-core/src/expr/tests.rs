use proptest::prelude::*;

use super::{testing::World, *};
use crate::request::of_unix;

/// The value of an expression as text.
fn text(expression: &str, world: &World) -> Option<String> {
    let expr = Expr::parse(expression, &Definitions::default())
        .unwrap_or_else(|e| panic!("{expression}: {e}"));
    let value = expr.value(&world.view())?;
    Some(String::from_utf8_lossy(&value.into_text()).into_owned())
}

fn check(world: &World, table: &[(&str, Option<&str>)]) {
    for (expression, expected) in table {
        assert_eq!(
            text(expression, world).as_deref(),
            *expected,
            "{expression}"
        );
    }
}

#[test]
fn connection_and_internal_fetches() {
    let mut world = World::new();
    let name = Arc::from("txn.a");
    let scope = crate::request::Scope::Transaction;
    world.state.variables.set(scope, &name, Value::Int(7));
    check(
        &world,
        &[
            ("src", Some("192.0.2.7")),
            ("src_port", Some("41662")),
            ("src_is_local", Some("0")),
            ("dst", Some("198.51.100.1")),
            ("dst_is_local", Some("1")),
            ("dst_port", Some("443")),
            ("so_name", Some("public")),
            ("fe_name", Some("fe")),
            ("be_name", None),
            ("srv_name", None),
            ("ssl_fc", Some("1")),
            ("ssl_fc_sni", Some("shop.example")),
            ("ssl_fc_has_sni", Some("1")),
            ("ssl_fc_protocol", Some("TLSv1.3")),
            ("ssl_fc_cipher", Some("TLS_AES_128_GCM_SHA256")),
            ("ssl_fc_alpn", Some("h2")),
            ("ssl_fc_is_resumed", Some("0")),
            ("always_true", Some("1")),
            ("always_false", Some("0")),
            ("bool(true)", Some("1")),
            ("bool(0)", Some("0")),
            ("int(-5)", Some("-5")),
            ("str(a b)", Some("a b")),
            ("meth(GET)", Some("GET")),
            ("ipv4(10.0.0.1)", Some("10.0.0.1")),
            ("ipv6(::1)", Some("::1")),
            ("var(txn.a)", Some("7")),
            ("var(txn.b)", None),
            ("var(txn.b,none)", Some("none")),
            ("date", Some("1795215105")),
            ("date(10)", Some("1795215115")),
            ("date(0,ms)", Some("1795215105300")),
            ("date(0,us)", Some("1795215105300000")),
            ("wait_end", Some("1")),
            ("req.proto_http", Some("0")),
            ("path", None),
        ],
    );
}

#[test]
fn start_line_fetches() {
    let world = World::new().request("GET", "/a/b.html?x=1&y=2&x=3", &["Host: h.example:80"]);
    check(
        &world,
        &[
            ("method", Some("GET")),
            ("url", Some("/a/b.html?x=1&y=2&x=3")),
            ("path", Some("/a/b.html")),
            ("pathq", Some("/a/b.html?x=1&y=2&x=3")),
            ("query", Some("x=1&y=2&x=3")),
            ("base", Some("h.example:80/a/b.html")),
            ("url_param(x)", Some("1")),
            ("urlp(y)", Some("2")),
            ("urlp_val(y)", Some("2")),
            ("urlp(z)", None),
            ("req.ver", Some("1.1")),
            ("req_ver", Some("1.1")),
            ("capture.req.uri", Some("/a/b.html?x=1&y=2&x=3")),
            ("capture.req.ver", Some("HTTP/1.1")),
            ("fc_http_major", Some("1")),
            ("str(5x),add(1)", Some("6")),
            ("str(-7 or so),add(1)", Some("-6")),
            ("str(x),add(1)", Some("1")),
            (
                "str(99999999999999999999),add(0)",
                Some("9223372036854775807"),
            ),
            ("req.proto_http", Some("1")),
            ("url_ip", None),
            ("req.body_size", Some("0")),
            ("status", None),
        ],
    );
    let world = World::new().request("GET", "https://[2001:db8::1]/p;s=5", &["Content-Length: 4"]);
    check(
        &world,
        &[
            ("url_ip", Some("2001:db8::1")),
            ("url_port", Some("443")),
            ("path", Some("/p;s=5")),
            ("query", None),
            ("url_param(s,;)", Some("5")),
            ("req.body_size", Some("4")),
        ],
    );
    let mut world = World::new();
    world.connection.source = "0.0.0.0:1".parse().unwrap();
    check(&world, &[("src_is_local", Some("1"))]);
    // From one's own address to it.
    world.connection.source = "198.51.100.1:1".parse().unwrap();
    check(&world, &[("src_is_local", Some("1"))]);
    let mut world = World::new();
    world.connection.source = of_unix(1);
    world.connection.destination = of_unix(1);
    // HAProxy has no value either: a limit by `src` would hold for all of them together.
    check(
        &world,
        &[
            ("src", None),
            ("src_port", None),
            ("src_is_local", Some("1")),
            ("dst", None),
            ("fc_src", None),
        ],
    );
    let world = World::new().request("OPTIONS", "*", &[]);
    check(
        &world,
        &[("path", None), ("url", Some("*")), ("pathq", None)],
    );
}

#[test]
fn header_and_cookie_fetches() {
    let lines = [
        "X-List: a, b",
        "Cookie: s=1; t=1; t=2",
        "x-list: c",
        "X-Forwarded-For: 10.0.0.1:80, [2001:db8::5]:9, bad",
        "X-N: 5, x, 6",
        "Authorization: Basic dXNlcjpwYTpzcw==",
    ];
    let world = World::new().request("GET", "/", &lines);
    check(
        &world,
        &[
            ("req.hdr(X-LIST)", Some("c")),
            ("hdr(x-list,1)", Some("a")),
            ("hdr(x-list,2)", Some("b")),
            ("hdr(x-list,-1)", Some("c")),
            ("hdr(x-list,-3)", Some("a")),
            ("hdr(x-list,4)", None),
            ("req.fhdr(x-list,1)", Some("a, b")),
            ("hdr_cnt(x-list)", Some("3")),
            ("req.fhdr_cnt(x-list)", Some("2")),
            ("hdr_cnt(nothing)", Some("0")),
            ("hdr_ip(x-forwarded-for)", None),
            ("hdr_ip(x-forwarded-for,1)", Some("10.0.0.1")),
            ("hdr_ip(x-forwarded-for,-2)", Some("2001:db8::5")),
            ("hdr_val(x-n,1)", Some("5")),
            ("hdr_val(x-n)", Some("6")),
            ("req.cook(t)", Some("2")),
            ("cook(u)", None),
            ("cook_cnt(t)", Some("2")),
            ("cook_cnt(s)", Some("1")),
            ("cook_val(s)", Some("1")),
            ("http_auth_user", Some("user")),
            ("http_auth_pass", Some("pa:ss")),
            ("http_auth_type", Some("Basic")),
            (
                "req.hdr_names",
                Some("x-list,cookie,x-list,x-forwarded-for,x-n,authorization"),
            ),
        ],
    );
    let lines = ["Set-Cookie: s=9; path=/", "Vary: a,b"];
    let world = World::new().response(404, &lines);
    check(
        &world,
        &[
            ("status", Some("404")),
            ("res.hdr(vary)", Some("b")),
            ("res.hdr_cnt(vary)", Some("2")),
            ("res.cook(s)", Some("9")),
            ("res.ver", Some("1.1")),
            ("shdr_cnt(vary)", Some("2")),
        ],
    );
}

/// A vector with its length before it in two bytes.
fn vector(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&length.to_be_bytes(), content].concat()
}

/// A ClientHello with SNI `sni.example` and ALPN `h2`.
fn client_hello() -> Vec<u8> {
    let name = vector(b"sni.example");
    let sni = [&[0, 0][..], &vector(&vector(&[&[0], &name[..]].concat()))].concat();
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    let groups = [0, 10, 0, 4, 0, 2, 0, 29];
    let ticket = [0, 35, 0, 0];
    let extensions = vector(&[sni.as_slice(), &alpn, &groups, &ticket].concat());
    let head = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let message = vector(&[head, extensions].concat());
    [&[22, 3, 1][..], &vector(&[&[1, 0], &message[..]].concat())].concat()
}

#[test]
fn a_client_hello_may_be_spread_over_records() {
    let hello = client_hello();
    for size in [1, 3, 50, 70] {
        let record = |part: &[u8]| [&[22, 3, 1][..], &vector(part)].concat();
        let spread = hello[5..]
            .chunks(size)
            .map(record)
            .collect::<Vec<_>>()
            .concat();
        for cut in 0..spread.len() {
            let world = World::new().payload(&spread[..cut], false);
            assert_eq!(text("req.ssl_sni", &world), None, "{size}, {cut}");
        }
        check(
            &World::new().payload(&spread, false),
            &[
                ("req.ssl_sni", Some("sni.example")),
                ("req.ssl_alpn", Some("h2")),
                ("req.ssl_ver", Some("196611")),
            ],
        );
    }
}

#[test]
fn payload_fetches_and_when_they_are_settled() {
    let hello = client_hello();
    let world = World::new().payload(&hello, false);
    check(
        &world,
        &[
            ("req.ssl_sni", Some("sni.example")),
            ("req_ssl_hello_type", Some("1")),
            ("req.ssl_alpn", Some("h2")),
            ("req.ssl_ver", Some("196611")),
            ("req.ssl_ec_ext", Some("1")),
            ("req.ssl_st_ext", Some("1")),
            ("req.payload(0,3),hex", Some("160301")),
            ("req.payload(0,3),length", Some("3")),
        ],
    );
    let settled = |expression: &str, bytes: &[u8], complete| {
        let world = World::new().payload(bytes, complete);
        let expr = Expr::parse(expression, &Definitions::default()).unwrap();
        expr.each(&world.view(), &mut |_| true)
    };
    for cut in 0..hello.len() {
        assert_eq!(
            settled("req.ssl_sni", &hello[..cut], false),
            Settled::No,
            "{cut}"
        );
        assert_eq!(
            text("req.ssl_sni", &World::new().payload(&hello[..cut], false)),
            None
        );
    }
    assert_eq!(settled("req.ssl_sni", &hello, false), Settled::Yes);
    assert_eq!(settled("req.ssl_sni", b"GET / HTTP", false), Settled::Yes);
    assert_eq!(settled("req.len", b"abc", false), Settled::No);
    assert_eq!(settled("req.len", b"abc", true), Settled::Yes);
    assert_eq!(settled("src", b"", false), Settled::Yes);
    let rdp = b"\x03\x00\x00\x24\x1f\xe0\x00\x00\x00\x00\x00Cookie: mstshash=me\r\n\0\0\0\0";
    let world = World::new().payload(rdp, true);
    check(
        &world,
        &[
            ("req.rdp_cookie(mstshash)", Some("me")),
            ("rdp_cookie_cnt", Some("1")),
            ("rdp_cookie(other)", None),
        ],
    );
}

#[test]
fn what_is_wrong_with_an_expression_is_told() {
    for (expression, message) in [
        ("req.hdr", "'req.hdr' misses its argument 'name'"),
        ("req.hdr(a,b)", "'req.hdr': 'b' is no good as 'occurrence'"),
        ("req.hdr(a,1,2)", "'req.hdr' has an argument too many: '2'"),
        ("src,length(1)", "'length' has an argument too many: '1'"),
        ("src,lowr", "unknown converter 'lowr'"),
        (
            "path,regsub(\"(\",x)",
            "regular expression '(': unclosed group",
        ),
        ("var(x)", "invalid variable name 'x'"),
        (
            "bool(1),ipmask(24)",
            "converter 'ipmask' cannot be applied to boolean",
        ),
        (
            "http_auth(nobody)",
            "'http_auth': 'nobody' is no good as 'userlist'",
        ),
        (
            "lua.x",
            "fetch method 'lua.x' is not supported: there is no Lua",
        ),
    ] {
        let error = Expr::parse(expression, &Definitions::default()).unwrap_err();
        assert_eq!(error.message, message, "{expression}");
    }
    let error = Expr::parse("path,lowr", &Definitions::default()).unwrap_err();
    assert_eq!(
        error.expected.as_deref(),
        Some("a converter; did you mean 'lower'?")
    );
}

/// Names and arguments that are likely to be an expression.
fn expressions() -> impl Strategy<Value = String> {
    let fetch = prop::sample::select(fetch::all().map(|f| f.name).collect::<Vec<_>>());
    let converter = prop::sample::select(convert::all().map(|c| c.name).collect::<Vec<_>>());
    let args = prop::option::of(prop::collection::vec("[a-z0-9/.:;=-]{0,6}", 0..4));
    let call = |name: &str, args: &Option<Vec<String>>| match args {
        Some(args) => format!("{name}({})", args.join(",")),
        None => name.to_string(),
    };
    let tail = prop::collection::vec((converter, args.clone()), 0..4);
    (fetch, args, tail).prop_map(move |(name, args, tail)| {
        let mut text = call(name, &args);
        for (name, args) in &tail {
            text.push(',');
            text.push_str(&call(name, args));
        }
        text
    })
}

/// Compiles `text` as an expression and, if it is one, evaluates it over `view`.
fn compile_and_evaluate(text: &str, view: &RequestView<'_>) {
    if let Ok(expr) = Expr::parse(text, &Definitions::default()) {
        expr.each(view, &mut |value| {
            let mut out = Vec::new();
            value.write_text(&mut out);
            true
        });
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
        compile_and_evaluate(&text, &World::new().view());
    }

    #[test]
    fn any_expression_is_evaluated_over_any_head(
        text in expressions(),
        method in "[A-Z]{0,5}",
        target in "[ -~]{0,30}",
        lines in prop::collection::vec("(host|cookie|x|authorization):[ -~]{0,20}", 0..5),
        payload in prop::collection::vec(any::<u8>(), 0..60),
        complete in any::<bool>(),
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let world = World::new()
            .request(&method, &target, &lines)
            .response(200, &lines)
            .payload(&payload, complete);
        compile_and_evaluate(&text, &world.view());
    }

    #[test]
    fn any_prefix_of_any_bytes_is_no_hello_or_the_same_hello(cut in 0..200_usize, flip in 0..120_usize, with: u8) {
        let mut hello = client_hello();
        if let Some(byte) = hello.get_mut(flip) {
            *byte = with;
        }
        let value = |expression: &str, bytes: &[u8]| {
            let expr = Expr::parse(expression, &Definitions::default()).unwrap();
            let world = World::new().payload(bytes, false);
            expr.value(&world.view()).map(Value::into_owned)
        };
        let part = &hello[..cut.min(hello.len())];
        for expression in ["req.ssl_sni", "req.ssl_alpn", "req.ssl_hello_type", "req.rdp_cookie"] {
            let (seen, whole) = (value(expression, part), value(expression, &hello));
            prop_assert!(seen.is_none() || seen == whole, "{expression}: {seen:?}, {whole:?}");
        }
    }
}
