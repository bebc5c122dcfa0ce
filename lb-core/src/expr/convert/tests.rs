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

/// A message with 150 in field 1, `testing` in 2 and a message with 150 in field 1 in 3, as HAProxy 2.6 reads it.
#[test]
fn fields_of_protocol_buffers() {
    const MESSAGE: &str = "089601120774657374696e671a03089601";
    for (input, call, expected) in [
        (MESSAGE, "protobuf(1),hex", Some("9601")),
        (MESSAGE, "protobuf(1,int32)", Some("150")),
        (MESSAGE, "protobuf(1,sint32)", Some("75")),
        (MESSAGE, "protobuf(1,fixed32)", None),
        (MESSAGE, "protobuf(2)", Some("testing")),
        (MESSAGE, "protobuf(2,int32)", None),
        (MESSAGE, "protobuf(3.1,uint64)", Some("150")),
        (MESSAGE, "protobuf(3.2)", None),
        (MESSAGE, "protobuf(1.1)", None),
        (MESSAGE, "protobuf(4)", None),
        ("0803", "protobuf(1,sint64)", Some("-2")),
        ("08ffffffffffffffffff01", "protobuf(1,int64)", Some("-1")),
        ("0d01000080", "protobuf(1,fixed32)", Some("2147483649")),
        ("0d01000080", "protobuf(1,sfixed32)", Some("-2147483647")),
        ("09000000000000f8bf", "protobuf(1,double)", Some("-1")),
        ("0d0000c03f", "protobuf(1,float)", Some("1")),
        ("08960108ac02", "protobuf(1,int32)", Some("150")),
        ("1207746573", "protobuf(2)", None),
        ("0b089601", "protobuf(1,int32)", None),
        ("0000000003089601", "ungrpc(1,int32)", Some("150")),
        (
            "00000000030896010000000003109601",
            "ungrpc(2,int32)",
            Some("150"),
        ),
        ("00000000051a03089601", "ungrpc(3.1,int32)", Some("150")),
        ("0000000004089601", "ungrpc(1,int32)", None),
        ("000000000308", "ungrpc(1,int32)", None),
    ] {
        let expression = format!("bin({input}),{call}");
        assert_eq!(converted(&expression).as_deref(), expected, "{expression}");
    }
    for wrong in [
        "protobuf(1.)",
        "protobuf(a)",
        "protobuf(1,string)",
        "ungrpc",
    ] {
        let expression = format!("bin(00),{wrong}");
        let parsed = Expr::parse(&expression, &Definitions::default());
        assert!(parsed.is_err(), "{expression}");
    }
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
        ("str(1a),strcmp(txn.v)", Some("47")),
        ("str(02),strcmp(txn.v)", Some("-1")),
        ("str(1234),strcmp(txn.v)", Some("1")),
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

/// The figures are those that HAProxy 2.6 gives.
#[test]
fn digests_codes_and_hashes() {
    for (expression, expected) in [
        (
            "str(1),sha1,hex,lower",
            "356a192b7913b04c54574d18c28d46e6395428ab",
        ),
        (
            "str(abc),digest(MD5),hex",
            "900150983CD24FB0D6963F7D28E17F72",
        ),
        (
            "str(1),sha2(224),hex,lower",
            "e25388fde8290dc286a6164fa2d97e551b53498dcbf7bc378eb1f178",
        ),
        (
            "str(1),sha2,hex,lower",
            "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
        ),
        (
            "str(1),digest(sha384),hex,lower",
            "47f05d367b0c32e438fb63e6cf4a5f35c2aa2f90dc7543f8a41a0f95ce8a40a313ab5cf36134a2068c4c969cb50db776",
        ),
        (
            "str(1),hmac(sha1,a2V5),hex,lower",
            "e23feb105f9622241bf23db1638cd2b4208b1f53",
        ),
        (
            "str(2),hmac(sha256,a2V5),hex,lower",
            "ae7b3ee87b8c9214f714df1c2042c7a985b9d711e9938a063937ad1636775a88",
        ),
        ("str(12),secure_memcmp(txn.v)", "1"),
        ("str(13),secure_memcmp(txn.v)", "0"),
        ("str(a),xxh32", "1426945110"),
        ("str(a),xxh64", "-3292477735350538661"),
        ("str(a),xxh3", "-1817709641818812897"),
        ("str(a),xxh3(5)", "2854901637758732422"),
        ("str(a),crc32c", "3251651376"),
    ] {
        assert_eq!(
            converted(expression).as_deref(),
            Some(expected),
            "{expression}"
        );
    }
}

#[test]
fn bytes_and_json() {
    for (expression, expected) in [
        ("int(1),htonl,hex", Some("00000001")),
        (
            "str(0123456789),be2dec(:,1)",
            Some("48:49:50:51:52:53:54:55:56:57"),
        ),
        (
            "str(0123456789),be2dec(-,3)",
            Some("3158322-3355701-3553080-57"),
        ),
        (
            "str(0123456789),be2dec(::,3,1)",
            Some("3158322::3355701::3553080"),
        ),
        ("str(),be2dec(:,1)", Some("")),
        ("str(abc),be2hex", Some("616263")),
        ("str(abc),be2hex(:,2)", Some("6162:63")),
        ("str(abc),be2hex(:,2,1)", Some("6162")),
        ("str(x),add_item(;,txn.v,s)", Some("x;12s")),
        ("str(),add_item(;,txn.v,s)", Some("12s")),
        ("str(x),add_item(;,txn.none)", Some("x")),
        ("str(x),add_item(;,,s)", Some("x;s")),
        (
            "int(1700000000),utime('%Y-%m-%d %H:%M:%S %a %j')",
            Some("2023-11-14 22:13:20 Tue 318"),
        ),
        ("str(foo 1/2),json", Some("foo 1\\/2")),
        ("str('a\"\u{e9}'),json", Some("a\\\"\\u00c3\\u00a9")),
        (
            "str('\u{e9}\u{1f600}'),json(utf8)",
            Some("\\u00e9\\ud83d\\ude00"),
        ),
        ("str(-4Ct),ub64dec,json(utf8)", None),
        ("str(LeAt),b64dec,json(utf8)", None),
        ("str(LeAt),b64dec,json(utf8s)", Some("--")),
        ("str(LeAt),b64dec,json(utf8p)", Some("-\\u00e0-")),
    ] {
        assert_eq!(converted(expression).as_deref(), expected, "{expression}");
    }
}

#[test]
fn a_value_is_found_in_json() {
    let text =
        r#"{"iss":"k/s","n":{"a":[1,{"b":-4}]},"d":4.5,"t":true,"my.key":"v","o":{}} and more"#;
    for (path, expected) in [
        ("'$.iss'", Some("k/s")),
        ("'$.n.a[1].b',int", Some("-4")),
        ("'$.n.a[0]'", Some("1")),
        ("'$.n.a'", Some(r#"[1,{"b":-4}]"#)),
        ("'$.d'", Some("4.5")),
        ("'$.d',int", None),
        ("'$.t'", Some("1")),
        (r"'$.my\.key'", Some("v")),
        ("'$.o'", None),
        ("'$.none'", None),
    ] {
        let expression = format!("str('{text}'),json_query({path})");
        assert_eq!(converted(&expression).as_deref(), expected, "{path}");
    }
    for wrong in ["iss", "$iss", "$.", "$[x]"] {
        let expression = format!("str(x),json_query({wrong})");
        assert!(
            Expr::parse(&expression, &Definitions::default()).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn bytes_are_text_up_to_their_first_nul() {
    for (expression, expected) in [
        ("str(QUIAQg==),b64dec", "AB"),
        ("str(QUIAQg==),b64dec,length", "2"),
        ("str(AEI=),b64dec,length", "0"),
        ("str(QUIAQg==),b64dec,hex", "41420042"),
    ] {
        assert_eq!(
            converted(expression).as_deref(),
            Some(expected),
            "{expression}"
        );
    }
}
