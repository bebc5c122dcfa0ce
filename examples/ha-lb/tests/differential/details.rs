//! Small things of rules, fetches and converters that files depend on: what `Host` has to do with the target, what is kept
//! of a value that is changed, and what a rule sees before a backend is chosen.

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
};

const DETAILS: &str = "{global}    setenv DETAILS some
    setenv DETAILS_ON 1
    setenv DETAILS_OFF 0
{http}    timeout connect 10s
    timeout client 5s
    timeout server 7s
frontend front
    bind {front}
    http-request set-header Host other.example:81 if { path_beg /set }
    http-request add-header Host other.example if { path_beg /add }
    http-request replace-header Host (.*) www.\\1 if { path_beg /replace }
    http-request replace-value Host h other if { path_beg /value }
    http-request set-header Host other.example:444 if METH_CONNECT
    http-request replace-value X-List b <b> if { path_beg /list }
    http-response replace-value X-List b <b>
    http-request set-header Connection close if { path_beg /close }
    http-request set-header X-Seen \"%[req.hdr_cnt(connection)] %[req.hdr(connection)]\" if { path_beg /seen }
    http-request set-header X-Hash \"%[url32] %[base32]\" if { path_beg /hash }
    http-request set-header X-Facts \"%[hostname] %[nbproc] %[fe_defbe] %[fe_client_timeout] %[be_conn_free(servers)] %[srv_conn_free(servers/one)] %[be_conn_free(limited)] %[srv_conn_free(limited/one)] %[str(servers/one),srv_queue]\" if { path_beg /facts }
    http-request set-header X-Variables \"%[env(DETAILS)] %[env(PATH),length] <%[env(DETAILS_NONE)]>\" if { path_beg /facts } { env(DETAILS_ON) -m bool } !{ env(DETAILS_OFF) -m bool } !{ env(DETAILS_NONE) -m bool } !{ env(DETAILS_NONE) -m found } !{ env(DETAILS) -m bool }
    http-request add-header X-Ending ending if { path_end,lower .js }
    http-request add-header X-Ending method if { path,lower -m end .js }
    http-request add-header X-Ending dom if { hdr_dom(x-n),field(1,.) a }
    http-request set-header X-Cookie \"%[req.cook(sid)] %[req.cook_cnt(sid)] %[req.cook(n)]\" if { path_beg /cookie }
    http-response set-header X-Cookie \"%[res.cook(sid)] %[res.cook_cnt(sid)]\" if { res.cook(sid) -m found }
    http-response set-header X-Status \"%ST %[status]\" if { res.cook(sid) -m found }
    http-request add-header X-Cast ten if { req.hdr(x-n) -m int 10 }
    http-request add-header X-Cast zero if { req.hdr(x-n) -m int 0 }
    http-request add-header X-Cast true if { req.hdr(x-n) -m bool }
    http-request add-header X-Cast network if { req.fhdr(x-n) -m ip 10.0.0.0/8 }
    http-request set-header X-Mask %[req.fhdr(x-n),ipmask(8)] if { path_beg /cast }
    http-request set-header X-Parameter \"%[urlp(q)] %[urlp_val(q)]\" if { path_beg /parameter }
    http-request add-header X-Expression angle if { path_reg \\\\<a }
    http-request add-header X-Expression brace if { path_reg ^/a{b }
    http-request add-header X-Expression bracket if { path_reg ^/[[&&a]+$ }
    default_backend servers
backend servers
    server one {a}
backend limited
    server one {a} maxconn 7
    server two {a} maxconn 3
    server three {a} maxconn 9 backup
listen own
    bind {front2}
    tcp-request content set-var(txn.early) be_name
    http-request set-header X-Facts \"%[fe_defbe] %[be_name] %[be_id] %[be_server_timeout] %[be_tunnel_timeout] %[var(txn.early)]\"
    server one {a}
frontend message
    bind {front3}
    option http-buffer-request
    http-request set-header X-Fields \"%[req.body,protobuf(1,int32)] %[req.body,protobuf(2)] %[req.body,protobuf(3.1,sint64)] %[req.body,protobuf(4)]\" if { path /plain }
    http-request set-header X-Fields \"%[req.body,ungrpc(1,int32)] %[req.body,ungrpc(2)]\" if { path /grpc }
    default_backend servers
";

const fn get(name: &'static str, steps: &'static [Step]) -> Case {
    sends(name, steps)
}

const CASES: &[Case] = &[
    get("details_host_set", &[Step::Send(b"GET http://h/set?q HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_host_set_https", &[Step::Send(b"GET https://h:8/set HTTP/1.1\r\nHost: h:8\r\n\r\n")]),
    get("details_host_set_origin_form", &[Step::Send(b"GET /set HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_host_add", &[Step::Send(b"GET http://h/add HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_host_replace", &[Step::Send(b"GET http://h/replace HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_host_value", &[Step::Send(b"GET http://h/value HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_host_value_kept", &[Step::Send(b"GET http://g/value HTTP/1.1\r\nHost: g\r\n\r\n")]),
    get("details_host_connect", &[Step::Send(b"CONNECT h:444 HTTP/1.1\r\nHost: h:444\r\n\r\n")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")]),
    get("details_list", &[Step::Send(b"GET /list HTTP/1.1\r\nHost: h\r\nX-List: a,b , b,  d ,\"b,b\",,b\r\n\r\n")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nX-List: a ,b,  b\r\ncontent-length: 0\r\n\r\n")]),
    get("details_close", &[Step::Send(b"GET /close HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_close_both", &[Step::Send(b"GET /close HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]),
    get("details_close_seen", &[Step::Send(b"GET /seen HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]),
    get("details_close_seen_beside", &[Step::Send(b"GET /seen HTTP/1.1\r\nHost: h\r\nConnection: close, x-a\r\n\r\n")]),
    get("details_hash", &[Step::Send(b"GET /hash?q=1 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_hash_absolute", &[Step::Send(b"GET http://h:81/hash?q=1 HTTP/1.1\r\nHost: h:81\r\n\r\n")]),
    get("details_facts", &[Step::Send(b"GET /facts HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_ending", &[Step::Send(b"GET /x.JS HTTP/1.1\r\nHost: h\r\nX-N: a.b\r\n\r\n")]),
    get("details_cookie_commas", &[Step::Send(b"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: a=1,sid=2, n=3; b={\"sid\":4,n=5\r\n\r\n")]),
    get("details_cookie_quotes", &[Step::Send(b"GET /cookie HTTP/1.1\r\nHost: h\r\nCookie: sid=\"a;n=1,\\\";b\"; n=2\r\n\r\n")]),
    get("details_cookie_set", &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=a,b; path=/\r\nContent-Length: 0\r\n\r\n")]),
    get("details_cast_port", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: 10.1.2.3:80\r\n\r\n")]),
    get("details_cast_list", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: 10.1.2.3, 1.1.1.1\r\n\r\n")]),
    get("details_cast_zeros", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: 010.1.002.3/x\r\n\r\n")]),
    get("details_cast_more", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: 10.1.2.3.4\r\n\r\n")]),
    get("details_cast_beyond", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: 10.1.2.300\r\n\r\n")]),
    get("details_cast_word", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: abc\r\n\r\n")]),
    get("details_cast_word_behind", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: 10abc\r\n\r\n")]),
    get("details_cast_blank", &[Step::Send(b"GET /cast HTTP/1.1\r\nHost: h\r\nX-N: \r\n\r\n")]),
    get("details_parameter_twice", &[Step::Send(b"GET /parameter?a?q=1?b HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_parameter_empty", &[Step::Send(b"GET /parameter?q=&q=2 HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_expression_angle", &[Step::Send(b"GET /<a HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_expression_word", &[Step::Send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_expression_brace", &[Step::Send(b"GET /a{b HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_expression_bracket", &[Step::Send(b"GET /[&a HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("details_listen", &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")]).front(1),
    get("details_protobuf", &[Step::Send(b"POST /plain HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n\x08\x96\x01\x12\x06abcdef\x1a\x02\x08\x03")]).front(2),
    get("details_grpc", &[Step::Send(b"POST /grpc HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n\0\0\0\0\x03\x08\x96\x01\0\0\0\0\x04\x12\x02hi")]).front(2),
];

#[test]
fn details() {
    assert_alike("details", DETAILS, CASES);
}
