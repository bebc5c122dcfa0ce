//! Normal forms of targets, variables set by converters, the rule that ended an evaluation, signatures of tokens.

use std::{io, path::Path, sync::Arc};

use super::{build, feed};
use crate::{
    expr::{Definitions, Expr, Value, testing::World},
    head::HeadMut,
    request::{Scope, Side},
    rules::{ContentVerdict, ProxyRules, ProxySide, RequestVerdict, RulesBuilder},
};

/// The verdict on a request, and the target that is left.
fn ask(rules: &ProxyRules, world: &mut World, target: &str) -> (RequestVerdict, String) {
    let mut head = crate::expr::testing::request("GET", target, &["Host: h"]);
    let mut bytes = HeadMut::new(&mut head, b"");
    let now = world.connection.accepted_at;
    let verdict = rules.on_request(now, &world.connection, &mut bytes, &mut world.state);
    let target = String::from_utf8_lossy(bytes.as_ref().target()).into_owned();
    (verdict, target)
}

#[test]
fn targets_are_normalized_and_strict_ones_refused() {
    let rules = build(&[
        "http-request normalize-uri path-merge-slashes",
        "http-request normalize-uri path-strip-dotdot full",
        "http-request normalize-uri percent-decode-unreserved strict if { path_beg /strict }",
        "http-request set-path /seen if { path /a/b }",
    ]);
    let mut world = World::new();
    let (verdict, target) = ask(&rules, &mut world, "//a//x/../b?q=//");
    assert_eq!(verdict, RequestVerdict::Continue);
    assert_eq!(
        target, "/seen?q=//",
        "later rules see what earlier ones left"
    );
    let (verdict, _) = ask(&rules, &mut world, "/strict/%zz");
    let refused = RequestVerdict::Deny {
        status: 400,
        reply: None,
    };
    assert_eq!(verdict, refused);
    let mut builder = RulesBuilder::new(ProxySide::Listen, &super::load);
    let error = feed(&mut builder, "http-request normalize-uri slashes").unwrap_err();
    assert_eq!(error.word, 1);
    assert!(error.expected.unwrap().contains("path-merge-slashes"));
}

#[test]
fn converters_set_variables_that_later_converters_see() {
    let world = World::new();
    let value = |text: &str| {
        let expr = Expr::parse(text, &Definitions::default()).unwrap();
        let value = expr.value(&world.view())?;
        Some(String::from_utf8(value.into_text().into_owned()).unwrap())
    };
    assert_eq!(
        value("str(ab),set-var(txn.a),upper,concat(-,txn.a)").as_deref(),
        Some("AB-ab")
    );
    assert_eq!(value("var(txn.a)").as_deref(), Some("ab"));
    for (expression, after) in [
        ("int(5),set-var(sess.n)", Some("5")),
        ("int(3),set-var(sess.n,ifgt)", Some("3")),
        ("int(4),set-var(sess.n,ifgt)", Some("3")),
        ("int(9),set-var(sess.n,ifnotset)", Some("3")),
        ("int(9),set-var(sess.n,ifexists,iflt)", Some("9")),
        ("str(),set-var(sess.n,ifnotempty)", Some("9")),
        ("int(0),unset-var(sess.n)", None),
    ] {
        assert!(
            value(expression).is_some(),
            "{expression}: the value goes on"
        );
        assert_eq!(value("var(sess.n)").as_deref(), after, "{expression}");
    }
    let wrong = |text: &str| Expr::parse(text, &Definitions::default()).unwrap_err();
    let error = wrong("int(1),set-var(sess.n,iflarger)");
    assert!(error.expected.unwrap().contains("ifgt"));
    assert!(wrong("int(1),set-var(n)").message.contains("variable"));
}

#[test]
fn converters_capture_what_later_rules_and_the_log_see() {
    let rules = build(&[
        "capture request header x-a len 9",
        "capture response header x-b len 9",
        "http-request set-query %[path,capture-req(0),length]:%[capture.req.hdr(0)]",
        "http-request set-query %[query]:%[path,capture-req(7),capture-res(0)]",
    ]);
    let mut world = World::new();
    let (_, target) = ask(&rules, &mut world, "/path");
    assert_eq!(target, "/path?5:/path:/path");
    world.state.settle_captures();
    let captures = &world.state.captures;
    assert_eq!(captures.request, [Some(b"/path".to_vec())]);
    assert_eq!(captures.response, [Some(b"/path".to_vec())]);
    world.state.begin_transaction();
    assert_eq!(world.state.captured(Side::Request, 0), None);
}

#[test]
fn what_converters_set_ends_with_its_scope() {
    let mut world = World::new();
    for text in ["int(1),set-var(sess.kept)", "int(2),set-var(txn.gone)"] {
        let expr = Expr::parse(text, &Definitions::default()).unwrap();
        expr.value(&world.view()).unwrap();
    }
    let sibling = world.state.of_connection();
    let of = |state: &crate::request::RuleState, name: &str| {
        state.variable(Scope::Session, name).map(Value::into_owned)
    };
    assert_eq!(of(&sibling, "sess.kept"), Some(Value::Int(1)));
    assert_eq!(of(&sibling, "txn.gone"), None);
    world.state.begin_transaction();
    assert_eq!(of(&world.state, "sess.kept"), Some(Value::Int(1)));
    assert_eq!(of(&world.state, "txn.gone"), None);
}

#[test]
fn the_rule_that_ended_an_evaluation_is_known() {
    let mut builder = RulesBuilder::new(ProxySide::Listen, &super::load);
    for (line, text) in (1..).zip([
        "tcp-request connection accept",
        "tcp-request content accept",
        "http-request set-var(txn.x) int(1)",
        "http-request allow if { path /allowed }",
        "http-request deny if { path /denied }",
    ]) {
        builder.origin("f.cfg".into(), line);
        feed(&mut builder, text).unwrap();
    }
    let rules = builder.build().unwrap();
    let mut world = World::new();
    let now = world.connection.accepted_at;
    rules.on_connection(now, &world.connection, &mut world.state);
    assert_eq!(world.state.last_rule, None, "there is no stream yet");
    let (info, state) = (&world.connection, &mut world.state);
    let verdict = rules.on_content(now, info, None, b"", true, state);
    assert_eq!(verdict, ContentVerdict::Accept);
    let line = |world: &World| world.state.last_rule.as_ref().map(|rule| rule.line);
    assert_eq!(line(&world), Some(2));
    ask(&rules, &mut world, "/other");
    assert_eq!(line(&world), Some(2), "setting a variable ends nothing");
    ask(&rules, &mut world, "/allowed");
    assert_eq!(line(&world), Some(4));
    ask(&rules, &mut world, "/denied");
    assert_eq!(line(&world), Some(5));
    let text = "last_rule_file,concat(:),concat(,txn.none)";
    let expr = Expr::parse(text, &Definitions::default()).unwrap();
    assert_eq!(
        expr.value(&world.view()).unwrap().into_text().as_ref(),
        b"f.cfg:"
    );
    world.state.begin_transaction();
    assert_eq!(line(&world), None);
}

/// {"alg":"ES256","typ":"JWT"}, {"sub":"alice","exp":1900000000}.
const ELLIPTIC: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
    ndEhSC9N3NlQDgyn_xwHViKCx0H6qXcDexygX0YU20Pyaiz3BnST272vv1WoaWsG0w5vk8i-p6bLcuYmWrGPpg";
/// The same with RS256.
const RSA: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
    NDM4Gn7NfURjsyrZmn8IEV7mZKsrkJbouVAZYwwoHDnAsT9psgYH5hL-C-kf4NYLA5t_GmIeBVoROAUbbjcsnkAn6Rub8WNJPYrQ\
    T_VrW6xK1U9BuNmu7-GPJ97EztDbJNe-QfpBqRlhvpViVfspYay2kBGLtfFp2jilpcoyUyNw8uFX2sreUY-lDgRvclLkiN4MzT0X\
    TCoziG1IGA5lSR6lHk2eTB-te_KN1-VffL6BL7LARHgc5gPD7eOdulKSpWQQC5jxTCLhe-V_xCU1U7iFgqDoFPk8VxacOlh6MMoR\
    X0V7RTJBIf1xrbidmSJ3HCpUdmjAxhMOAR88G5xptA";
/// The same with HS256 and the secret `hush`.
const SHARED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0.\
    PzTPAP5btiHXLe_xJRSRwPbG5wLY6izr1SAmeiewfuA";

fn keys(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/ec.pem") => Ok(ELLIPTIC_KEY.into()),
        Some("/rsa.pem") => Ok(RSA_CERTIFICATE.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[test]
fn tokens_are_verified_by_secrets_keys_and_certificates() {
    let verified = |token: &str, algorithm: &str, key: &str| {
        let mut builder = RulesBuilder::new(ProxySide::Listen, &keys);
        let line = format!(
            "http-request set-var(txn.ok) var(txn.token),jwt_verify({algorithm},\"{key}\")"
        );
        feed(&mut builder, &line).unwrap();
        let rules = builder.build().unwrap();
        let mut world = World::new();
        for (name, text) in [
            ("txn.token", token),
            ("txn.alg", "ES256"),
            ("txn.key", "/ec.pem"),
        ] {
            let value = Value::String(text.as_bytes().to_vec().into());
            let name = Arc::from(name);
            world.state.set_variable(Scope::Transaction, &name, value);
        }
        ask(&rules, &mut world, "/");
        let found = world.state.variable(Scope::Transaction, "txn.ok");
        found.unwrap().integer().unwrap()
    };
    assert_eq!(verified(SHARED, "HS256", "hush"), 1);
    assert_eq!(verified(SHARED, "HS256", "hash"), 0);
    assert_eq!(
        verified(SHARED, "HS512", "hush"),
        -3,
        "a code of another length"
    );
    assert_eq!(verified(&SHARED[..60], "HS256", "hush"), -3, "two parts");
    assert_eq!(
        verified(&format!("{SHARED}.x"), "HS256", "hush"),
        -3,
        "four parts"
    );
    // Public keys need the library that speaks TLS.
    let there = i64::from(cfg!(feature = "tokio"));
    let known = |right: i64| if there == 1 { right } else { -5 };
    assert_eq!(verified(ELLIPTIC, "ES256", "/ec.pem"), known(1));
    assert_eq!(verified(ELLIPTIC, "txn.alg", "/ec.pem"), known(1));
    assert_eq!(verified(RSA, "RS256", "/rsa.pem"), known(1));
    assert_eq!(verified(RSA, "RS384", "/rsa.pem"), known(0));
    assert_eq!(
        verified(RSA, "RS256", "/ec.pem"),
        known(0),
        "another kind of key"
    );
    assert_eq!(verified(RSA, "RS256", "/none.pem"), -5);
    assert_eq!(
        verified(&format!("{}Q", &RSA[..RSA.len() - 1]), "RS256", "/rsa.pem"),
        known(0)
    );
    for (algorithm, fault) in [
        ("ES512", "HS, RS or ES"),
        ("PS256", "HS, RS or ES"),
        ("none", "HS, RS"),
    ] {
        let text = format!("str(x),jwt_verify({algorithm},k)");
        let error = Expr::parse(&text, &Definitions::default()).unwrap_err();
        assert!(error.expected.unwrap().contains(fault), "{algorithm}");
    }
    let of = |text: &str| {
        let expr = Expr::parse(text, &Definitions::default()).unwrap();
        let value = expr.value(&World::new().view()).map(Value::into_owned);
        value.map(|v| String::from_utf8(v.into_text().into_owned()).unwrap())
    };
    let query = |end: &str| of(&format!("str({SHARED}),{end}"));
    assert_eq!(query("jwt_header_query($.alg)").as_deref(), Some("HS256"));
    assert_eq!(query("jwt_payload_query($.sub)").as_deref(), Some("alice"));
    assert_eq!(
        query("jwt_payload_query($.exp,int)").as_deref(),
        Some("1900000000")
    );
    assert_eq!(
        query("jwt_payload_query").as_deref(),
        Some("{\"sub\":\"alice\",\"exp\":1900000000}")
    );
    assert_eq!(of("str(no),jwt_payload_query"), None);
}

const ELLIPTIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZI3ZcU3XGDv5PmLKYiuw+yOaR9IS\n\
rKDXuVafOX22XLZv0d/SFI8qbsRYJdbT69F37Us4dfvE3vHTp8Ih7OsMeg==\n\
-----END PUBLIC KEY-----";

const RSA_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIDBTCCAe2gAwIBAgIUdpMM53DY+sk1fbp9XuMwSCYNICUwDQYJKoZIhvcNAQEL\n\
BQAwETEPMA0GA1UEAwwGdG9rZW5zMCAXDTI2MTEyMTE2MjUwOFoYDzIxMjYxMDI4\n\
MTYyNTA4WjARMQ8wDQYDVQQDDAZ0b2tlbnMwggEiMA0GCSqGSIb3DQEBAQUAA4IB\n\
DwAwggEKAoIBAQDfMO/QTfd17DWJsKF/qKOfJIXvkUagge7iliTDSlo9aGhyjYbU\n\
Dhq94llOscoTbTg5LT2E5mC/aaW0RF4iuEf9CsjTkDNd/x9LYIsQsuipeAcudZjS\n\
BNG7lonFyewhGS3uo4+QJiMympcr+1xWRwIVolhwTPlP3j/iirUwyWeFovTueDS0\n\
P41k2UJzlxNez98S6UKN1tftgcYQTHhJZJEy2lQgMoYCMq8CSri+Aj8NYMUS/h7X\n\
Lq4rdWeKmnJVSrSjOn5ewyOL/x/iCh77X90ij72rel9ZAhVHpfWNgb7vQqwqoXeM\n\
ZHP5XG5zDolYMDR9PHzb5UqQRniaBNAXNG2PAgMBAAGjUzBRMB0GA1UdDgQWBBQF\n\
XiXe2b2ceRFrQvOH/eM9YmS0xTAfBgNVHSMEGDAWgBQFXiXe2b2ceRFrQvOH/eM9\n\
YmS0xTAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQDMC7u2IAOr\n\
L0CKcempACRdfls9zOvt1s3zrb7VfowqmyW/sfG1WDYNcN/pm35A4cQ1TAyjLxwv\n\
Mcyv5VtFKtdSc0LPj9F1Zwd/Ap9MWsJa4jimIpoNMx/xKOLsVhhKjeKcjKp6ktyJ\n\
ZfNidMiupJ3asyR2Wa5SyMZ5vw3j3p+MBQS68G4xpZ3ghNYrfWfqJOHeBVsIybDT\n\
ae9BCu1OMVxlrGnBrFus1HeGRMh87G5A/z1DovhWvvByM9DHv+F70E589oDaNoL3\n\
JWiZUDGDB4r9hTAqvuQNGV4OCYhNek+P0bYCSs0LZ/w77ZGQTqccyQmW8dQ1Xln9\n\
ThnYsEieqB25\n\
-----END CERTIFICATE-----";
