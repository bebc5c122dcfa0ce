//! What the log says of connections that fail: `error-log-format`, `option httpslog`, `fc_err`, `bc_err` and their kin.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
    pki::Pki,
};

const CONFIG: &str = "{global}
defaults
    mode http
    log global
    timeout connect 10s
    timeout client 3s
    timeout server 3s
    retries 0
frontend ends-tls
    bind {front} ssl crt DIR/srv.pem verify required ca-file DIR/ca.crt ssl-max-ver TLSv1.2
    option httpslog
    error-log-format \"E %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %rc %sq/%bq %hr %hs %{+Q}r \
%[fc_err]:%[fc_err_str]:%[ssl_fc_err]:%[ssl_fc_err_str]:%[ssl_c_err]:%[ssl_c_ca_err] %[ssl_c_s_dn] %[ssl_fc_sni] %sslc\"
    http-request return status 500 if { path /wrong }
    default_backend good
frontend proxied
    bind {front2} accept-proxy name inside
    option httplog
    option logasap
    option log-separate-errors
    default_backend good
frontend plain
    bind {front3}
    log-format \"%b %ST %tsc %[bc_err]:%[bc_err_str]:%[ssl_bc_err]:%[ssl_bc_err_str]\"
    error-log-format \"for connections, as with HAProxy 2.6, whatever its manual says of other errors\"
    http-request deny if { path /denied }
    use_backend %[req.hdr(x-case)]
backend good
    server one {a}
backend met
    server s {front} ssl verify none crt DIR/cli.pem
backend unknown
    server s {front} ssl ca-file DIR/other.crt crt DIR/cli.pem
backend else
    server s {front} ssl ca-file DIR/ca.crt verifyhost else crt DIR/cli.pem
";

/// What somebody does who is not let in.
type Deed = fn(&Peer, &Pki);

fn curl(peer: &Peer, more: &[&str]) {
    let url = format!("https://{}/", peer.fronts[0]);
    let _ = Command::new("curl")
        .args(["-sk", "--max-time", "5"])
        .args(more)
        .arg(url)
        .output()
        .unwrap();
}

fn say(peer: &Peer, front: usize, bytes: &[u8]) {
    let mut stream = TcpStream::connect(peer.fronts[front]).unwrap();
    stream.write_all(bytes).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn ask(peer: &Peer, case: &str, path: &str) {
    peer.origins[0].play(crate::case::ANSWERS);
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nx-case: {case}\r\nconnection: close\r\n\r\n");
    say(peer, 2, request.as_bytes());
}

/// Each with the number of lines that tell of it: those through TLS are logged twice.
const DEEDS: &[(&str, usize, Deed)] = &[
    ("no certificate", 1, |peer, _| curl(peer, &[])),
    ("no suite", 1, |peer, pki| {
        let pem = pki.path("cli.pem").display().to_string();
        let suite = ["--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"];
        curl(
            peer,
            &[&["-E", &pem, "--tls-max", "1.2"], &suite[..]].concat(),
        );
    }),
    ("a stranger", 1, |peer, pki| {
        curl(peer, &["-E", &pki.path("own.pem").display().to_string()]);
    }),
    ("not TLS", 1, |peer, _| say(peer, 0, b"hello, is this TLS?")),
    ("HTTP", 1, |peer, _| say(peer, 0, b"GET / HTTP/1.0\r\n\r\n")),
    ("silence", 1, |peer, _| say(peer, 0, b"")),
    ("a request", 1, |peer, pki| {
        peer.origins[0].play(crate::case::ANSWERS);
        let pem = pki.path("cli.pem").display().to_string();
        curl(peer, &["-E", &pem, "-H", "Host: h", "-H", "User-Agent:"]);
    }),
    ("no header", 1, |peer, _| {
        say(peer, 1, b"GET / HTTP/1.0\r\n\r\n")
    }),
    ("nobody", 1, |peer, _| say(peer, 1, b"")),
    ("another family", 1, |peer, _| {
        say(peer, 1, b"PROXY TCP7 127.0.0.1 127.0.0.1 1 2\r\n");
    }),
    ("a bad header", 1, |peer, _| {
        say(peer, 1, b"PROXY TCP4 127.0.0.1 x 1 2\r\n");
    }),
    ("before the end", 1, |peer, _| {
        peer.origins[0].play(crate::case::ANSWERS);
        say(
            peer,
            1,
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        );
    }),
    ("met", 2, |peer, _| ask(peer, "met", "/a")),
    ("unknown", 2, |peer, _| ask(peer, "unknown", "/a")),
    ("else", 2, |peer, _| ask(peer, "else", "/a")),
    ("denied", 1, |peer, _| ask(peer, "good", "/denied")),
];

/// What the log says, once it has said so many lines.
fn said(peer: &Peer, pki: &Pki, deed: Deed, lines: usize) -> Vec<String> {
    peer.forget();
    deed(peer, pki);
    let deadline = Instant::now() + Duration::from_secs(5);
    while peer.log().len() < lines && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut said = peer.log();
    // Why a server is not let in is told it by alerts that each library chooses for itself.
    said.retain(|line| !line.contains(" alert ") || line.contains("unknown ca"));
    said.sort();
    said
}

#[test]
fn connections_that_fail_are_told_of() {
    if !haproxy_is_installed("connections_that_fail_are_told_of") {
        return;
    }
    let pki = Pki::new();
    pki.server("srv", "DNS:h");
    pki.leaf("ca", "cli");
    pki.join(&["cli.crt", "cli.key"], "cli.pem");
    for name in ["own", "other"] {
        pki.itself(name, &format!("/CN={name}"));
    }
    pki.join(&["own.crt", "own.key"], "own.pem");
    let folder = pki.path("").display().to_string();
    let pair = Pair::start(&CONFIG.replace("DIR/", &folder));
    let mut unlike = String::new();
    for (name, lines, deed) in DEEDS {
        let [theirs, ours] =
            [&pair.haproxy, &pair.ha_lb].map(|peer| said(peer, &pki, *deed, *lines));
        if theirs != ours {
            unlike += &format!("{name}\n  haproxy: {theirs:#?}\n  ha-lb:   {ours:#?}\n");
        }
    }
    assert!(unlike.is_empty(), "{unlike}");
}
