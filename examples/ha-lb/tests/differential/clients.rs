//! Certificates of clients: who is let in, what rules see of them, and the log lines about the others.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    peer::{Peer, Program, free_addresses, haproxy_is_installed},
    pki::Pki,
};

const HEAD: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    http-request return status 200 content-type text/plain lf-string \"used=%[ssl_c_used] has=%[ssl_fc_has_crt] \
verify=%[ssl_c_verify] err=%[ssl_c_err] ca=%[ssl_c_ca_err]@%[ssl_c_ca_err_depth] dn=%[ssl_c_s_dn] \
cn=%[ssl_c_s_dn(cn)] OU2=%[ssl_c_s_dn(OU,2)] OU-1=%[ssl_c_s_dn(OU,-1)] OU3=%[ssl_c_s_dn(OU,3)] \
rfc=%[ssl_c_s_dn(,0,rfc2253)] i=%[ssl_c_i_dn] serial=%[ssl_c_serial,hex] sha1=%[ssl_c_sha1,hex] \
nb=%[ssl_c_notbefore] na=%[ssl_c_notafter] v=%[ssl_c_version] sig=%[ssl_c_sig_alg] key=%[ssl_c_key_alg] \
der=%[ssl_c_der,hex] chain=%[ssl_c_chain_der,hex] f=%[ssl_f_s_dn(CN)] %[ssl_f_version] %[ssl_f_sig_alg] \
%[ssl_f_serial,hex] %[ssl_fc_protocol] %[ssl_fc_cipher] %[ssl_fc_use_keysize] %[ssl_fc_alg_keysize] \
sni=%[ssl_fc_sni] alpn=%[ssl_fc_alpn] %sslc %sslv\\n\"
";

/// What stands behind `bind ADDRESS ssl crt server.pem`.
const BINDS: [&str; 12] = [
    "verify required ca-file ca.crt",
    "verify optional ca-file ca.crt name named",
    "verify optional ca-file ca.crt crt-ignore-err all ca-ignore-err all",
    "verify required ca-file ca.crt crl-file crls.pem",
    "verify required ca-file ca.crt crl-file crl.pem",
    "verify required ca-file ca.crt crl-file crls.pem crt-ignore-err all ca-ignore-err all",
    "verify required ca-file ca.crt crt-ignore-err 10",
    "verify required ca-file inter.crt",
    "verify required ca-file inter.crt ca-verify-file ca.crt",
    "verify none",
    "verify required ca-file ca.crt crl-file plain.pem",
    "verify required ca-file ca.crt crl-file plain.pem crt-ignore-err all ca-ignore-err all",
];

const CLIENTS: [&str; 11] = [
    "",
    "good",
    "gone",
    "old",
    "deep",
    "deepchain",
    "stranger",
    "itself",
    "ancient",
    "ancientgone",
    "ancientold",
];

fn pki() -> Pki {
    let pki = Pki::new();
    pki.server("server", "DNS:server.test");
    for name in ["good", "gone"] {
        pki.leaf("ca", name);
    }
    pki.expired("old");
    pki.leaf("inter", "deep");
    pki.join(&["deep.crt", "inter.crt"], "deepchain.crt");
    pki.join(&["deep.key"], "deepchain.key");
    pki.itself("itself", "/CN=itself");
    pki.first_version("ancient", "0x2001", &["-days", "9"]);
    pki.first_version("ancientgone", "0x2002", &["-days", "9"]);
    pki.first_version("ancientold", "0x2003", &["-days", "-1"]);
    pki.revoke("gone");
    pki.revoke("ancientgone");
    pki.lists();
    pki.plain_list("plain.pem");
    let other = Pki::new();
    other.leaf("ca", "stranger");
    for file in ["stranger.crt", "stranger.key"] {
        std::fs::copy(other.path(file), pki.path(file)).unwrap();
    }
    pki
}

fn start(program: Program, pki: &Pki) -> (Peer, [SocketAddr; BINDS.len()]) {
    let fronts = free_addresses();
    let mut config = HEAD.to_owned();
    for (front, words) in fronts.iter().zip(BINDS) {
        let words =
            words.split(' ').map(
                |word| match word.contains(".crt") || word.contains(".pem") {
                    true => pki.path(word).display().to_string(),
                    false => word.to_owned(),
                },
            );
        let words: Vec<String> = words.collect();
        let server = pki.path("server.pem");
        config += &format!(
            "    bind {front} ssl crt {} {}\n",
            server.display(),
            words.join(" ")
        );
    }
    (Peer::start(program, &config), fronts)
}

/// How curl ended, what it got, and what the log said.
fn seen(peer: &Peer, front: SocketAddr, pki: &Pki, client: &str, more: &[&str]) -> [String; 3] {
    peer.forget();
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--max-time", "10"]).args(more);
    if !client.is_empty() {
        curl.arg("--cert").arg(pki.path(&format!("{client}.crt")));
        curl.arg("--key").arg(pki.path(&format!("{client}.key")));
    }
    let output = curl.arg(format!("https://{front}/")).output().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while peer.log().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Without a certificate OpenSSL says that the handshake has failed, rustls that one is required: curl tells them
    // apart in TLS 1.2.
    let code = output
        .status
        .code()
        .map(|code| if code == 98 { 35 } else { code });
    [
        format!("{code:?}"),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        peer.log().join("; "),
    ]
}

#[test]
fn client_certificates() {
    if !haproxy_is_installed("client_certificates") {
        return;
    }
    let pki = pki();
    let ((haproxy, theirs), (ha_lb, ours)) =
        (start(Program::HaProxy, &pki), start(Program::HaLb, &pki));
    let mut report = String::new();
    for (index, words) in BINDS.iter().enumerate() {
        for client in CLIENTS {
            let versions: &[&[&str]] = match index {
                0 => &[&[], &["--tls-max", "1.2"]],
                _ => &[&[]],
            };
            for more in versions {
                let expected = seen(&haproxy, theirs[index], &pki, client, more);
                let got = seen(&ha_lb, ours[index], &pki, client, more);
                if expected != got {
                    report += &format!(
                        "{words}, {client} {more:?}\n haproxy {expected:?}\n ha-lb   {got:?}\n"
                    );
                }
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}
