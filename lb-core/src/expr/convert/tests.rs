use super::*;
use crate::expr::{Definitions, Expr, testing::World};

fn converted(expression: &str) -> Option<String> {
    let mut world = World::new();
    let name = std::sync::Arc::from("txn.v");
    let scope = crate::request::Scope::Transaction;
    world
        .state
        .variables
        .set(scope, &name, Value::text(b"12").into_owned());
    let expr = Expr::parse(expression, &Definitions::default())
        .unwrap_or_else(|e| panic!("{expression}: {e}"));
    let value = expr.value(&world.view())?;
    Some(String::from_utf8_lossy(&value.into_text()).into_owned())
}

#[test]
fn every_converter() {
    for (expression, expected) in [
        ("str(AbC),lower", Some("abc")),
        ("str(AbC),upper", Some("ABC")),
        ("str(abc),length", Some("3")),
        ("str(abcdef),bytes(2),hex", Some("63646566")),
        ("str(abcdef),bytes(2,2)", Some("cd")),
        ("str(abcdef),bytes(9)", None),
        ("str(a:b:c),field(2,:)", Some("b")),
        ("str(a:b:c),field(-1,:)", Some("c")),
        ("str(a:b:c),field(2,:,0)", Some("b:c")),
        ("str(a:b:c),field(-1,:,2)", Some("b:c")),
        ("str(a:b:c),field(-2,:,0)", Some("a:b")),
        ("str(a:b:c),field(4,:)", None),
        ("str(a::c),field(2,:)", Some("")),
        ("str(a::c),word(2,:)", Some("c")),
        ("str(/a/b/c),word(2,/)", Some("b")),
        ("str(/a/b/c),word(-1,/)", Some("c")),
        ("str(abcabc),regsub(b,X)", Some("aXcabc")),
        ("str(abcabc),regsub(b,X,g)", Some("aXcaXc")),
        ("str(aBc),regsub(b,X,i)", Some("aXc")),
        (
            "str(/old/p),regsub(\"^/old/(.*)\",\"/new/\\1\")",
            Some("/new/p"),
        ),
        ("str(a/b/),rtrim(/)", Some("a/b")),
        ("str(//a),ltrim(/)", Some("a")),
        ("str(x),concat(<,txn.v,>)", Some("x<12>")),
        ("str(12),strcmp(txn.v)", Some("0")),
        ("bool(true),iif(yes,no)", Some("yes")),
        ("int(0),iif(yes,no)", Some("no")),
        ("str(abc),base64", Some("YWJj")),
        ("str(YWJj),b64dec,hex", Some("616263")),
        ("str(abc?),ub64enc", Some("YWJjPw")),
        ("str(YWJjPw),ub64dec,hex", Some("6162633F")),
        ("str(ff),hex2i", Some("255")),
        ("str(a%20b+c?d+e),url_dec", Some("a b+c?d e")),
        ("str(a+b%41),url_dec(1)", Some("a bA")),
        ("str(a%zz),url_dec", None),
        ("str(a%4),url_dec", None),
        ("str(a b/~),url_enc", Some("a%20b%2F~")),
        ("date,http_date", Some("Fri, 20 Nov 2026 22:51:45 GMT")),
        (
            "date,http_date(86400)",
            Some("Sat, 21 Nov 2026 22:51:45 GMT"),
        ),
        ("int(5),add(3),mul(2),sub(1),div(5),mod(2)", Some("1")),
        ("int(5),add(txn.v)", Some("17")),
        ("int(5),div(0)", Some("9223372036854775807")),
        ("int(5),mod(0)", Some("0")),
        (
            "int(9223372036854775807),add(1)",
            Some("9223372036854775807"),
        ),
        ("int(5),neg", Some("-5")),
        ("int(12),and(10),or(1),xor(3)", Some("10")),
        ("int(0),cpl", Some("-1")),
        ("int(4),even", Some("1")),
        ("int(4),odd", Some("0")),
        ("int(4),bool", Some("1")),
        ("int(4),not", Some("0")),
        ("src,ipmask(24)", Some("192.0.2.0")),
        ("src,ipmask(255.255.0.0)", Some("192.0.0.0")),
        ("src,ipmask(0)", Some("0.0.0.0")),
        ("ipv6(2001:db8::1),ipmask(24,32)", Some("2001:db8::")),
        ("ipv6(2001:db8::1),ipmask(24)", None),
        ("str(h:80),host_only", Some("h")),
        ("str(h:80),port_only", Some("80")),
        ("str([::1]:80),host_only", Some("[::1]")),
        ("str(h),port_only", Some("0")),
        ("str(hello),djb2", Some("261238937")),
        ("str(hello),sdbm", Some("684824882")),
        ("str(123456789),crc32", Some("3421780262")),
    ] {
        assert_eq!(converted(expression).as_deref(), expected, "{expression}");
    }
}

#[test]
fn names_are_unique_and_text_that_needs_no_change_stays_borrowed() {
    let mut names: Vec<&str> = all().map(|c| c.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(all().all(|c| c.doc.ends_with('.')));
    let world = World::new().request("GET", "/plain", &[]);
    for expression in [
        "path,lower",
        "path,regsub(x,y)",
        "path,url_dec",
        "path,field(2,/)",
    ] {
        let expr = Expr::parse(expression, &Definitions::default()).unwrap();
        let value = expr.value(&world.view());
        assert!(
            matches!(value, Some(Value::String(std::borrow::Cow::Borrowed(_)))),
            "{expression}"
        );
    }
}
