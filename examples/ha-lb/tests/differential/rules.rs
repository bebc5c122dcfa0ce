//! Rules, routing, cookies, forwardfor, connection modes, stick tables.

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
};

const RULES: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    errorloc 429 https://calm.example/down?a=b
    option forwardfor except 10.0.0.0/8
    acl admin path_beg /admin
    acl local src 127.0.0.0/8
    acl elsewhere hdr_dom(host) -i example.org
    acl post method POST
    capture request header X-Cap len 10
    capture response header Server len 20
    http-request deny if { path /denied }
    http-request deny deny_status 429 if { path /slow-down }
    http-request redirect location /there if { path /moved }
    http-request redirect prefix https://o.example code 301 if { path_beg /prefix }
    http-request redirect scheme https if { path /scheme }
    http-request redirect location /drop drop-query set-cookie A=b if { path /cookie }
    http-request return status 200 content-type text/plain string \"hello\" if { path /return }
    http-request set-header X-Set a%[src]b
    http-request add-header X-Add one
    http-request add-header X-Add two if post
    http-request del-header X-Del
    http-request set-header X-Host %[req.hdr(host),lower]
    http-request set-path /new%[path] if { path_beg /rewrite }
    http-request set-query a=b if { path /query }
    http-request replace-header X-Rep (.*)c \\1d
    http-request auth realm Secret if { path /secret } !{ hdr(authorization) -m found }
    http-request tarpit if { path /tarpit }
    timeout tarpit 300ms
    http-response set-header X-Resp %[status]
    http-response del-header X-Gone
    use_backend cookies if { path_beg /cookies }
    use_backend second if elsewhere || admin local
    use_backend nowhere if { path_beg /nowhere }
    use_backend closing_backend if { path_beg /bclose }
    use_backend stuck if { path_beg /stick }
    use_backend chosen if { path_beg /chosen }
    default_backend first
backend first
    server one {a}
backend second
    http-request set-header X-Backend second
    redirect location /old-form if { path /admin/old }
    http-request deny if { path /admin/denied }
    server two {b}
backend cookies
    cookie SRV insert indirect nocache
    http-after-response replace-header Set-Cookie (SRV=.*) \"\\1; SameSite=Lax\"
    server one {a} cookie c1
    server two {b} cookie c2
backend chosen
    option forwardfor if-none
    use-server off if { path_beg /chosen }
    use-server %[path,field(4,/)] if { path_beg /chosen/by-name }
    use-server two if { path_end /two }
    server off {a} disabled
    server one {a}
    server two {b}
backend nowhere
    errorloc303 503 /sorry
backend closing_backend
    option httpclose
    server one {a}
backend stuck
    stick-table type ip size 1k expire 1m
    stick on src
    server one {a}
    server two {b}
frontend closing
    bind {front2}
    option httpclose
    option forwardfor if-none
    default_backend first
frontend server_closing
    bind {front3}
    option http-server-close
    option forwardfor header X-Client except 127.0.0.0/8
    default_backend first
";

const fn get(name: &'static str, steps: &'static [Step]) -> Case {
    sends(name, steps)
}

const CASES: &[Case] = &[
    get("rules_plain", &[Step::Send(b"GET / HTTP/1.1\r\nHost: HH\r\nX-Del: 1\r\nX-Set: old\r\nX-Add: zero\r\nX-Rep: abc\r\nX-Cap: 0123456789abc\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nServer: s/1 \"q\"\r\nX-Gone: 1\r\nX-Resp: old\r\nContent-Length: 0\r\n\r\n")]),
    get("rules_post", &[Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")]),
    get("rules_denied", &[Step::Send(b"GET /denied HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_denied_keep_alive", &[Step::Send(b"GET /denied HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"</html>"), Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")]).logs(2),
    get("rules_denied_head", &[Step::Send(b"HEAD /denied HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_denied_http10", &[Step::Send(b"GET /denied HTTP/1.0\r\n\r\n")]),
    get("rules_denied_with_body", &[Step::Send(b"POST /denied HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"), Step::Until(b"</html>"), Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")]).logs(2),
    get("rules_denied_body_later", &[Step::Send(b"POST /denied HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\nbody"), Step::Until(b"</html>"), Step::Fill(b'x', 10000)]),
    get("rules_deny_status", &[Step::Send(b"GET /slow-down HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_redirect", &[Step::Send(b"GET /moved HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_redirect_post", &[Step::Send(b"POST /moved HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")]),
    get("rules_redirect_prefix", &[Step::Send(b"GET /prefix/a?b HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_redirect_scheme", &[Step::Send(b"GET /scheme HTTP/1.1\r\nHost: h:81\r\n\r\n")]),
    get("rules_redirect_cookie", &[Step::Send(b"GET /cookie HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_redirect_close", &[Step::Send(b"GET /moved HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]),
    get("rules_redirect_old_form", &[Step::Send(b"GET /admin/old HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_return", &[Step::Send(b"GET /return HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_return_head", &[Step::Send(b"HEAD /return HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_rewrite", &[Step::Send(b"GET /rewrite/x?q=1 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_rewrite_absolute", &[Step::Send(b"GET http://h/rewrite/x?q=1 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_query", &[Step::Send(b"GET /query?old HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_auth", &[Step::Send(b"GET /secret HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_tarpit", &[Step::Send(b"GET /tarpit HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_second", &[Step::Send(b"GET / HTTP/1.1\r\nHost: www.Example.ORG:80\r\n\r\n")]),
    get("rules_not_second", &[Step::Send(b"GET / HTTP/1.1\r\nHost: notexample.org\r\n\r\n")]),
    get("rules_admin", &[Step::Send(b"GET /admin/x HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_backend_deny", &[Step::Send(b"GET /admin/denied HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("rules_nowhere", &[Step::Send(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("use_server_behind_one_that_is_down", &[Step::Send(b"GET /chosen/two HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")]),
    get("use_server_by_name_behind_one_that_is_down", &[Step::Send(b"GET /chosen/by-name/one HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("cookie_none", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("cookie_valid", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\nCookie: a=1; SRV=c2; b=2\r\n\r\n")]),
    get("cookie_alone", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\nCookie: SRV=c2\r\n\r\n")]),
    get("cookie_before_comma", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\nCookie: SRV=c2, b=3\r\n\r\n")]),
    get("cookie_behind_comma", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\nCookie: a=1,SRV=c2; b=3\r\n\r\n")]),
    get("cookie_unknown", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\nCookie: SRV=nope\r\n\r\n")]),
    get("cookie_from_server", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\nCookie: SRV=c1\r\n\r\n")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nSet-Cookie: SRV=own; path=/\r\nSet-Cookie: other=1\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_cacheable", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_max_age", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_last_modified", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nLast-Modified: x\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_public", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_no_store", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_302", &[Step::Send(b"GET /cookies HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 302 Found\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n")]),
    get("cookie_post", &[Step::Send(b"POST /cookies HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n")]),
    get("backend_httpclose", &[Step::Send(b"GET /bclose HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("stick_same_server", &[Step::Send(b"GET /stick1 HTTP/1.1\r\nHost: h\r\nX-User: u\r\n\r\n"), Step::Until(b"ok"), Step::Send(b"GET /stick2 HTTP/1.1\r\nHost: h\r\nX-User: u\r\n\r\n"), Step::Until(b"ok"), Step::Send(b"GET /stick3 HTTP/1.1\r\nHost: h\r\nX-User: u\r\n\r\n")]).logs(3),
    get("httpclose", &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")]).front(1),
    get("httpclose_http10", &[Step::Send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")]).front(1),
    get("httpclose_forwarded_already", &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")]).front(1),
    get("httpclose_pipelined", &[Step::Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")]).front(1),
    get("http_server_close", &[Step::Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"ok"), Step::Send(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")]).front(2).logs(2),
    get("http_server_close_chunked", &[Step::Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"0\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), Act::Close]).front(2),
    get("http_server_close_until_close", &[Step::Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n")]).origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\n\r\nok"), Act::Close]).front(2),
];

#[test]
fn rules_and_modes() {
    assert_alike("rules_and_modes", RULES, CASES);
}
