//! What the `stats` lines of a section make of its page, and what may stand behind its address.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const PAGES: &str = "global
    stats socket {dir}/stats level admin
    node global-node
    description about the whole
defaults
    mode http
    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    use_backend plain if { path_beg /plain }
    use_backend full if { path_beg /full }
    use_backend short if { path_beg /short }
    use_backend scoped if { path_beg /scoped }
    use_backend own if { path_beg /own }
    use_backend secret if { path_beg /secret }
    use_backend unless if { path_beg /unless }
    use_backend ruled if { path_beg /ruled }
    default_backend bare
backend plain
    stats uri /plain
    server one {a}
    server spare {b} weight 30 backup
    server off {b} disabled
backend full
    stats uri /full
    stats hide-version
    stats show-legends
    stats show-node own-node
    stats show-desc about this page
    stats refresh 7s
    stats admin if TRUE
    cookie BISCUIT insert
    server one {a} cookie crumb
backend short
    stats uri /short
    stats show-node
    stats show-desc
backend scoped
    stats uri /scoped
    stats scope scoped
    stats scope plain
backend own
    stats uri /own
    stats scope .
    stats admin if { src 10.0.0.0/8 }
    server one {a}
backend secret
    stats uri /secret
    stats realm A\\ Realm
    stats auth a:b
    stats auth c:d
backend unless
    stats uri /unless
    stats admin unless { path_end x }
    server one {a}
backend ruled
    stats uri /ruled
    acl known http_auth(people)
    acl chief http_auth_group(people) chiefs
    stats http-request deny if { url_sub denied }
    stats http-request allow if { url_sub free }
    stats http-request auth realm \"Their Realm\" if { url_sub named } !known
    stats http-request auth unless known
    stats admin if chief
    server one {a}
userlist people
    group chiefs users ann
    user ann insecure-password a
    user bob insecure-password b
backend bare
    stats enable
";

const ADDRESSES: &[&str] = &[
    "/plain",
    "/plain;csv",
    "/plain;csv;norefresh",
    "/plain;csv;up",
    "/plain;csv;no-maint",
    "/plain;csv;scope=plai",
    "/plain;csv?scope=PLAI",
    "/plain?scope=plai;csv",
    "/plain?scope=nothing;csv",
    "/plain;csv;json",
    "/plain;typed",
    "/plain;json-schema",
    "/plainly",
    "/plain;st=DONE",
    "/full",
    "/full;norefresh",
    "/full;csv",
    "/full;csv;norefresh",
    "/full;json",
    "/short",
    "/scoped",
    "/scoped;csv",
    "/own",
    "/own;csv",
    "/secret",
    "/ruled",
    "/ruled?denied",
    "/ruled?denied,free",
    "/ruled?free",
    "/ruled?named",
    "/ruled?named;csv",
    "/unless",
    "/unlessx",
    "/haproxy?stats",
    "/haproxy?stats;csv",
    "/haproxy",
];

/// One request on a connection of its own.
fn request(peer: &Peer, text: &str) -> String {
    let mut stream = TcpStream::connect(peer.fronts[0]).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    peer.named(&answer)
}

/// The content of chunks. Addresses in it were replaced by their names, so their sizes are of no use.
fn joined(chunks: &str) -> String {
    let mut content = String::new();
    let mut rest = chunks;
    while let Some((size, after)) = rest.split_once("\r\n") {
        assert!(usize::from_str_radix(size, 16).is_ok(), "{size:?}");
        let Some((chunk, next)) = after.split_once("\r\n") else {
            break;
        };
        content += chunk;
        rest = next;
    }
    content
}

/// What can be seen of an answer in either program's words.
fn seen(peer: &Peer, address: &str) -> String {
    // Not HTTP/1.0: HAProxy sends even that in chunks.
    let answer = request(
        peer,
        &format!("GET {address} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = match head.contains("transfer-encoding: chunked") {
        true => joined(body),
        false => body.to_owned(),
    };
    let mut seen = head.lines().next().unwrap().to_owned();
    for field in head.lines().skip(1) {
        // Our page refreshes itself by other means, and says more about itself.
        let name = field.split(':').next().unwrap();
        let is_page = head.contains("text/html");
        if ["www-authenticate", "cache-control"].contains(&name)
            || !is_page && ["refresh", "content-type"].contains(&name)
        {
            seen += &format!(" | {field}");
        }
    }
    if body.starts_with("# ") || body.starts_with("F.") {
        let rows = body.lines().filter(|line| !line.starts_with("# "));
        for row in rows.take(40) {
            let cells: Vec<_> = match body.starts_with('#') {
                // Names, and what follows from the servers' states.
                true => row
                    .split(',')
                    .enumerate()
                    .filter(|(place, _)| [0, 1, 17, 18, 19, 20].contains(place))
                    .map(|(_, cell)| cell)
                    .collect(),
                false => row.split(':').take(3).collect(),
            };
            seen += &format!(" {}", cells.join("/"));
        }
    } else if body.starts_with('{') || body.starts_with('[') {
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        seen += &format!(" json with {:?} rows", json.as_array().map(Vec::len));
    } else {
        let refreshes = body.contains("http-equiv=refresh") || head.contains("refresh: ");
        seen += &format!(" refreshes: {refreshes}");
        let form = body.contains("method=post") || body.contains("method=\"post\"");
        seen += &format!(" form: {form}");
        for word in [
            "2.6.12",
            "own-node",
            "global-node",
            "about the whole",
            "about this page",
            "crumb",
            "BISCUIT",
        ] {
            seen += &format!(" {word}: {}", body.contains(word));
        }
        for proxy in ["front", "plain", "full", "scoped", "own", "bare"] {
            let shown = [
                format!("<a name=\"{proxy}\">"),
                format!("<h3 id=\"{proxy}\">"),
            ];
            let shown = shown.iter().any(|shown| body.contains(shown));
            seen += &format!(" {proxy}: {shown}");
        }
    }
    seen
}

#[test]
fn stats_lines_make_the_page_that_haproxy_makes_of_them() {
    if !haproxy_is_installed("stats_lines_make_the_page_that_haproxy_makes_of_them") {
        return;
    }
    let pair = Pair::start(PAGES);
    for address in ADDRESSES {
        let (theirs, ours) = (seen(&pair.haproxy, address), seen(&pair.ha_lb, address));
        assert_eq!(ours, theirs, "{address} (left: ha-lb)");
    }
    // Only these three methods are for the page.
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        let text = format!("{method} /plain HTTP/1.0\r\n\r\n");
        let asked = |peer: &Peer| request(peer, &text).lines().next().map(str::to_owned);
        let (theirs, ours) = (asked(&pair.haproxy), asked(&pair.ha_lb));
        assert_eq!(ours, theirs, "{method} (left: ha-lb)");
    }
    for address in [
        "/full",
        "/full;up;norefresh?scope=fu",
        "/own",
        "/plain",
        "/unless",
        "/unlessx",
    ] {
        let posted = |peer: &Peer| {
            let form = "s=one&b=own&action=ready";
            let length = form.len();
            let text = format!("POST {address} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{form}");
            request(peer, &text)
        };
        let (theirs, ours) = (posted(&pair.haproxy), posted(&pair.ha_lb));
        assert_eq!(ours, theirs, "POST {address} (left: ha-lb)");
    }
    // ann:a is one of the chiefs, bob:b is not, ann:b is wrong.
    for who in ["YW5uOmE=", "Ym9iOmI=", "YW5uOmI="] {
        for address in ["/ruled", "/ruled?named", "/ruled?denied", "/ruled?free"] {
            let shown = |peer: &Peer| {
                let text = format!(
                    "GET {address} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Basic {who}\r\n\r\n"
                );
                let answer = request(peer, &text);
                let asks = answer
                    .find("www-authenticate")
                    .map(|at| answer[at..].lines().next().unwrap().to_owned());
                (answer.lines().next().unwrap().to_owned(), asks)
            };
            let (theirs, ours) = (shown(&pair.haproxy), shown(&pair.ha_lb));
            assert_eq!(ours, theirs, "{who} {address} (left: ha-lb)");
            let posted = |peer: &Peer| {
                let form = "s=one&b=ruled&action=ready";
                let length = form.len();
                let text = format!(
                    "POST {address} HTTP/1.0\r\nAuthorization: Basic {who}\r\nContent-Length: {length}\r\n\r\n{form}"
                );
                request(peer, &text)
            };
            let (theirs, ours) = (posted(&pair.haproxy), posted(&pair.ha_lb));
            assert_eq!(ours, theirs, "{who} POST {address} (left: ha-lb)");
        }
    }
}
