//! TLS termination, as curl sees it.

use std::{fs, process::Command};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const TLS: &str = "global
    log {log} local0
    maxconn 200
    nbthread 1
    stats socket {dir}/stats level admin
defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front} ssl crt PEM
    http-request set-header X-Proto https if { ssl_fc }
    http-request redirect location /x if { path /moved }
    default_backend servers
backend servers
    server one {a}
";

fn curl(peer: &Peer, arguments: &[&str], path: &str) -> String {
    let url = format!("https://{}{path}", peer.fronts[0]);
    let output = Command::new("curl")
        .args([
            "-sik",
            "--max-time",
            "10",
            "-H",
            "User-Agent:",
            "-H",
            "Host: h",
        ])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    format!(
        "{:?} {}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout)
    )
}

#[test]
fn tls_termination() {
    if !haproxy_is_installed("tls_termination") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key"), folder.path().join("crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=h",
            "-days",
            "2",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let pem = folder.path().join("both.pem");
    let text = fs::read_to_string(certificate).unwrap() + &fs::read_to_string(key).unwrap();
    fs::write(&pem, text).unwrap();
    let pair = Pair::start(&TLS.replace("PEM", pem.to_str().unwrap()));
    let seen = |peer: &Peer, arguments: &[&str], path: &str| {
        peer.forget();
        peer.origins[0].play(crate::case::ANSWERS);
        let answer = curl(peer, arguments, path);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while peer.log().is_empty() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let origin: Vec<String> = peer.origins[0]
            .requests()
            .iter()
            .map(|r| r.escape_ascii().to_string())
            .collect();
        (answer, origin, peer.log())
    };
    for (arguments, path) in [
        (&["--http1.1"][..], "/"),
        (&["--http1.1", "--tlsv1.2", "--tls-max", "1.2"], "/"),
        (&["--http1.1", "-d", "body"], "/post"),
        (&["--http1.1"], "/moved"),
        (&["--http1.0"], "/old"),
    ] {
        let (theirs, ours) = (
            seen(&pair.haproxy, arguments, path),
            seen(&pair.ha_lb, arguments, path),
        );
        assert_eq!(
            ours, theirs,
            "{arguments:?} {path}, left: ha-lb, right: haproxy"
        );
    }
}
