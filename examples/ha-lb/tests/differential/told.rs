//! What PROXY headers tell servers of clients, byte for byte.

use std::{net::SocketAddr, process::Command, sync::mpsc::Receiver};

use crate::{
    checks::{PATIENCE, notes},
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
    pki::Pki,
};

const HEAD: &str = "{global}defaults
    mode tcp
    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front} ssl crt DIR/ec.pem alpn http/1.1 ca-file DIR/ca.crt verify optional crt-ignore-err all ca-ignore-err all
    bind {front2} ssl crt DIR/rsa.pem
    bind {front3}
    unique-id-format its-%[dst_port,mul(0)]
    use_backend %[ssl_fc_sni] if { ssl_fc }
    default_backend b7
";

/// What stands behind `server s ADDRESS`.
const WORDS: [&str; 8] = [
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "send-proxy-v2 proxy-v2-options cert-key",
    "send-proxy-v2 proxy-v2-options cert-sig",
    "send-proxy-v2 proxy-v2-options ssl-cipher",
    "send-proxy-v2 proxy-v2-options unique-id,crc32c,authority",
    "send-proxy-v2 proxy-v2-options crc32c,cert-cn,ssl-cipher,cert-sig,cert-key,authority,unique-id",
];

/// A client that comes to one of the addresses, with a certificate of that name.
const CLIENTS: [(usize, Option<&str>); 4] =
    [(0, None), (0, Some("good")), (0, Some("itself")), (1, None)];

fn come(to: SocketAddr, url: &str, pki: &Pki, certificate: Option<&str>) {
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--http1.1", "--max-time", "10", "--connect-to"]);
    curl.arg(format!("::{to}")).arg(url);
    if let Some(name) = certificate {
        curl.arg("--cert").arg(pki.path(&format!("{name}.crt")));
        curl.arg("--key").arg(pki.path(&format!("{name}.key")));
    }
    // The server leaves as soon as it has been told.
    curl.output().unwrap();
}

/// The header, without the addresses and the sum over them: each peer listens at its own.
fn told(noted: &Receiver<Vec<u8>>, peer: &Peer) -> String {
    let told = noted.recv_timeout(PATIENCE);
    assert!(told.is_ok(), "{told:?}: {}", peer.output());
    let mut told = told.unwrap();
    let length = usize::from(u16::from_be_bytes([told[14], told[15]]));
    told.truncate(16 + length);
    told[16..28].fill(0);
    if told.get(28..31) == Some(&[3, 0, 4]) {
        told[31..35].fill(0);
    }
    told.escape_ascii().to_string()
}

#[test]
fn headers_tell_of_clients() {
    if !haproxy_is_installed("headers_tell_of_clients") {
        return;
    }
    let pki = Pki::new();
    pki.server("ec", "DNS:ec.test");
    pki.server("rsa", "DNS:rsa.test");
    pki.leaf("ca", "good");
    pki.itself("itself", "/CN=itself");
    let mut config = HEAD.replace("DIR", &pki.path("").display().to_string());
    let servers = WORDS.iter().enumerate().map(|(number, words)| {
        let (address, noted) = notes();
        config += &format!("backend b{number}\n    server s {address} {words}\n");
        noted
    });
    let servers: Vec<_> = servers.collect();
    let pair = Pair::start(&config);
    let agree = |front: usize, url: &str, certificate, number: usize| {
        let [theirs, ours] = [&pair.haproxy, &pair.ha_lb].map(|peer| {
            come(peer.fronts[front], url, &pki, certificate);
            told(&servers[number], peer)
        });
        let words = WORDS[number];
        assert_eq!(
            ours, theirs,
            "{words}, {url} at {front} with {certificate:?}, left: ha-lb, right: haproxy"
        );
    };
    for (front, certificate) in CLIENTS {
        for number in 0..WORDS.len() {
            let url = format!("https://b{number}/");
            agree(front, &url, certificate, number);
        }
    }
    agree(2, "http://plain/", None, WORDS.len() - 1);
}
