//! Error pages and replies of one's own, variables, header names, addresses in headers.

use crate::{
    case::{Case, Step, sends},
    compare::assert_alike,
    peer::haproxy_is_installed,
};

const CONFIG: &str = "{global}    set-var proc.base int(40)
    set-var proc.answer var(proc.none,2),add(proc.base)
    set-var-fmt proc.text \"is %[var(proc.answer)]\"
http-errors site
    errorfile 400 DIR/site-400
    errorfile 404 DIR/site-404
http-errors other
    errorfile 403 DIR/other-403
{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
    errorfiles site
    errorfile 404 DIR/own-404
    errorfile 405 DIR/endless
frontend front
    bind {front}
    errorfiles other 403
    option originalto except 127.0.0.0/8
    http-error status 410 content-type text/plain hdr x-path \"p=%[path]\" lf-string \"gone: %[path]\"
    http-error status 413 errorfiles other
    http-error status 400 default-errorfiles
    http-error status 429 errorfile DIR/own-404
    http-request set-var(txn.after) path if { path /after }
    http-after-response set-status 451 if { var(txn.after) -m found }
    http-request deny if { path /after }
    http-request deny deny_status 400 if { path /400 }
    http-request deny if { path /403 }
    http-request deny deny_status 404 if { path /404 }
    http-request deny deny_status 405 if { path /405 }
    http-request deny deny_status 410 if { path /410 }
    http-request deny deny_status 429 if { path /429 }
    http-request deny deny_status 404 errorfiles site if { path /site-404 }
    http-request deny deny_status 500 errorfile /dev/null if { path /empty }
    http-request return status 404 default-errorfiles if { path /default }
    http-request return default-errorfiles if { path /ready }
    http-request return errorfiles other if { path /no-page }
    http-request deny deny_status 422 errorfiles other if { path /no-page-422 }
    http-request return status 200 content-type text/html if { path /bodyless }
    http-request return status 200 file /dev/null content-type text/html if { path /empty-file }
    http-request return status 200 hdr x-blank a hdr x-none %[var(txn.nothing)] hdr x-read %[req.hdr(x-cap)] content-type a/b lf-string \"%[path]\" if { path /reply }
    http-request set-var(txn.a) str(first)
    http-request set-var(txn.a,ifnotset) str(second)
    http-request set-var(txn.b,ifset) str(second)
    http-request set-var(txn.n) int(5)
    http-request set-var(txn.n,ifgt) int(9)
    http-request set-var(txn.m) int(5)
    http-request set-var(txn.m,iflt) int(9)
    http-request set-var(txn.e,ifnotempty) req.hdr(x-none)
    http-request set-var-fmt(txn.f,ifnotexists) \"%[var(txn.a)]!\"
    http-request set-header x-vars \"%[var(txn.a)] %[var(txn.b)] %[var(txn.n)] %[var(txn.m)] %[var(txn.e)] %[var(txn.f)] %[var(proc.answer)] %[var(proc.text)]\"
    http-request set-header x-spaced \" in \"
    http-request set-header x-read \"%[req.fhdr(x-spaced)]|\"
    http-request set-header x-mapped %[path,map_regm(DIR/groups,none)]
    http-request set-header x-cookies \"%[req.cook()] %[req.cook(b)] %[req.cook_val()] %[req.cook_val(b)] %[req.hdr_val(x-number)]\"
    http-request set-header x-mask %[req.hdr_ip(x-ip),ipmask(255.0.255.0,ffff::ffff:0)]
    http-request set-header x-hash \"%[path,wt6] %[path,wt6(1)] %[http_auth_bearer] %[http_auth_bearer(x-token)]\"
    http-request set-header x-language \"%[req.fhdr(accept-language),language(es;fr;en-gb,none)] %[int(1600000000),ltime(%Y.%m)]\"
    http-request set-uri elsewhere.example/x if { path /authority }
    http-request set-path /placed if { hdr(x-place) 1 }
    use_backend delete if { path_beg /delete }
    use_backend reject if { path_beg /reject }
    default_backend first
backend first
    timeout tunnel 9s
    http-request set-timeout server 7s
    http-request set-timeout tunnel int(3000)
    http-request set-header x-be \"%[be_server_timeout] %[cur_server_timeout] %[be_tunnel_timeout] %[cur_tunnel_timeout]\"
    http-response set-header x-server \"%[srv_id] %[srv_name]\"
    server one {a}
backend delete
    option http-restrict-req-hdr-names delete
    option forwardfor header X-From
    http-error status 403 content-type a/b string never
    server one {a}
backend reject
    option http-restrict-req-hdr-names reject
    http-error status 403 content-type a/b hdr x-of %[be_name] string rejected
    server one {a}
";

const fn get(name: &'static str, steps: &'static [Step]) -> Case {
    sends(name, steps)
}

const CASES: &[Case] = &[
    get("replies_400", &[Step::Send(b"GET /400 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_400_no_request", &[Step::Send(b"GET\r\n\r\n")]),
    get("replies_after", &[Step::Send(b"GET /after HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_403", &[Step::Send(b"GET /403 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_404", &[Step::Send(b"GET /404 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_405_without_length", &[Step::Send(b"GET /405 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_410", &[Step::Send(b"GET /410 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_410_head", &[Step::Send(b"HEAD /410 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_429", &[Step::Send(b"GET /429 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_site_404", &[Step::Send(b"GET /site-404 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_empty", &[Step::Send(b"GET /empty HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_default", &[Step::Send(b"GET /default HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_ready", &[Step::Send(b"GET /ready HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_no_page", &[Step::Send(b"GET /no-page HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_no_page_422", &[Step::Send(b"GET /no-page-422 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_bodyless", &[Step::Send(b"GET /bodyless HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_empty_file", &[Step::Send(b"GET /empty-file HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("replies_reply", &[Step::Send(b"GET /reply HTTP/1.1\r\nHost: h\r\nX-Cap: c\r\n\r\n")]),
    get("replies_variables", &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a=7; b=2; c=3\r\nX-Ip: 10.1.2.3\r\nAuthorization: Bearer abc.d\r\nX-Token: bearer t\r\nAccept-Language: de, en-GB;q=0.5, fr-CH;q=0.7, es;q=0\r\n\r\n")]),
    get("replies_mapped", &[Step::Send(b"GET /v12/list HTTP/1.1\r\nHost: h\r\nCookie: b=x; b=7y\r\nX-Number: 12px\r\nAccept-Language: en, de;q=0.3\r\nX-Ip: 1:2:3:4:5:6:7:8\r\n\r\n")]),
    get("replies_authority", &[Step::Send(b"GET /authority HTTP/1.1\r\nHost: h\r\nX-Place: 1\r\n\r\n")]),
    get("replies_names_deleted", &[Step::Send(b"GET /delete HTTP/1.1\r\nHost: h\r\nX_a: 1\r\nx-b: 2\r\nx.c: 3\r\nd~: 4\r\n\r\n")]),
    get("replies_names_rejected", &[Step::Send(b"GET /reject HTTP/1.1\r\nHost: h\r\nX_a: 1\r\n\r\n")]),
    get("replies_names_plain", &[Step::Send(b"GET /reject HTTP/1.1\r\nHost: h\r\nX-a: 1\r\n\r\n")]),
];

#[test]
fn replies_and_variables_are_alike() {
    if !haproxy_is_installed("replies_and_variables_are_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let page = |status: &str, text: &str| {
        let length = text.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nX-Page: {text}\r\n\r\n{text}")
    };
    for (name, text) in [
        ("site-400", page("400 Bad", "site 400")),
        ("site-404", page("404 Missing", "site 404")),
        ("own-404", page("404 Gone", "own 404")),
        ("other-403", page("403 No", "other 403")),
        (
            "endless",
            "HTTP/1.1 405 No\r\nX-Page: endless\r\n\r\nendless".to_owned(),
        ),
        ("groups", "^/v([0-9]+)/(.*)$ \\2 of \\1\n".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let config = CONFIG.replace("DIR", &folder.path().to_string_lossy());
    assert_alike("replies_and_variables_are_alike", &config, CASES);
}
