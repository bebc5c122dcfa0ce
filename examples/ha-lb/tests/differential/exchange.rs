//! Files of TLS that are exchanged through the runtime socket: what is answered, and what clients and servers are
//! shown afterwards.

use std::{fs, process::Command};

use crate::{
    peer::{Peer, Program, haproxy_is_installed},
    pki::Pki,
};

const CONFIG: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
    retries 0
frontend front
    bind {front}
    http-response set-header x-shown %[ssl_s_sha1,hex]
    http-response set-header x-tls \"%[ssl_bc] %[ssl_bc_protocol] %[ssl_bc_cipher] %[ssl_bc_alpn] %[ssl_bc_use_keysize] \
%[ssl_bc_alg_keysize]\"
    http-response set-header x-leaf \"%[ssl_s_s_dn] %[ssl_s_i_dn(CN)] %[ssl_s_serial,hex] %[ssl_s_notafter] \
%[ssl_s_notbefore] %[ssl_s_version] %[ssl_s_sig_alg] %[ssl_s_key_alg] %[ssl_s_der,sha1,hex] \
%[ssl_s_chain_der,sha1,hex]\"
    use_backend b%[req.hdr(x-case)]
frontend tls
    bind {front2} ssl crt-list {pki}/list strict-sni ca-file {pki}/ca.crt verify optional crt-ignore-err all \
ca-ignore-err all alpn http/1.1
    bind {front3} ssl crt {pki}/one.pem
    http-request return status 200 content-type text/plain lf-string \"client %[ssl_c_s_dn(CN)] %[ssl_c_verify]\"
backend b0
    server s {front2} ssl verify none sni str(one.test) no-ssl-reuse
backend b1
    server s {front2} ssl verify none sni str(two.test) crt {pki}/client.pem no-ssl-reuse alpn http/1.1
backend b2
    server s {front3} ssl verify required ca-file {pki}/other.crt crt {pki}/client.pem no-ssl-reuse
backend b3
    server s {front2} ssl verify none sni str(one.test) crt {pki}/client.pem no-ssl-reuse
";

fn pki() -> Pki {
    let pki = Pki::new();
    for name in ["one", "two", "three"] {
        pki.server(name, &format!("DNS:{name}.test,DNS:www.{name}.test"));
    }
    for client in ["client", "later"] {
        pki.leaf("ca", client);
        let parts = [format!("{client}.crt"), format!("{client}.key")];
        pki.join(&[&parts[0], &parts[1]], &format!("{client}.pem"));
    }
    pki.itself("other", "/CN=other");
    pki.lists();
    let list = format!("{}\n", pki.path("one.pem").display());
    fs::write(pki.path("list"), list).unwrap();
    pki
}

fn start(program: Program, pki: &Pki) -> Peer {
    let folder = pki.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    Peer::start(program, &CONFIG.replace("{pki}", folder))
}

/// What is done, in order: a backend that is asked, or a command with its payload (files, or lines that begin with a
/// space). `@` stands for the folder.
const STEPS: &[(&str, &[&str])] = &[
    ("ask 0", &[]),
    ("ask 1", &[]),
    ("ask 2", &[]),
    ("ask 3", &[]),
    ("show ssl cert @/one.pem", &[]),
    ("show ssl cert nothing", &[]),
    ("set ssl cert nothing", &["two.pem"]),
    ("set ssl cert @/one.pem", &[]),
    ("set ssl cert @/one.pem", &["list"]),
    ("commit ssl cert @/one.pem", &[]),
    ("abort ssl cert @/one.pem", &[]),
    // A transaction that is given up changes nothing.
    ("set ssl cert @/one.pem", &["two.pem"]),
    ("set ssl cert @/one.pem", &["three.pem"]),
    ("show ssl cert *@/one.pem", &[]),
    ("commit ssl cert @/two.pem", &[]),
    ("abort ssl cert @/two.pem", &[]),
    ("abort ssl cert @/one.pem", &[]),
    ("ask 0", &[]),
    // A key apart from its certificate.
    ("set ssl cert @/one.pem", &["three.crt"]),
    ("commit ssl cert @/one.pem", &[]),
    ("set ssl cert @/one.pem.key", &["three.key"]),
    ("commit ssl cert @/one.pem", &[]),
    ("show ssl cert @/one.pem", &[]),
    // It has other names now.
    ("ask 0", &[]),
    ("set ssl cert @/one.pem", &["one.pem"]),
    ("commit ssl cert @/one.pem", &[]),
    ("ask 0", &[]),
    // A new one, in a list.
    ("new ssl cert @/two.pem", &[]),
    ("new ssl cert @/two.pem", &[]),
    ("show ssl cert @/two.pem", &[]),
    ("set ssl cert @/two.pem", &["two.pem"]),
    ("commit ssl cert @/two.pem", &[]),
    ("show ssl cert", &[]),
    ("show ssl cert @/two.pem", &[]),
    ("add ssl crt-list nothing @/two.pem", &[]),
    ("add ssl crt-list @/list @/nothing.pem", &[]),
    (
        "add ssl crt-list @/list",
        &[" @/two.pem [ca-file @/nothing] two.test"],
    ),
    ("add ssl crt-list @/list @/two.pem", &[]),
    ("show ssl crt-list", &[]),
    ("show ssl crt-list nothing", &[]),
    ("show ssl crt-list -n @/list", &[]),
    ("ask 1", &[]),
    ("del ssl cert @/two.pem", &[]),
    (
        "add ssl crt-list @/list",
        &[" @/two.pem [verify none] *.two.test !www.two.test"],
    ),
    ("show ssl crt-list @/list", &[]),
    ("del ssl crt-list @/list @/two.pem", &[]),
    ("del ssl crt-list @/list @/two.pem:9", &[]),
    ("del ssl crt-list @/list @/three.pem", &[]),
    ("del ssl crt-list nothing @/two.pem", &[]),
    ("del ssl crt-list @/list @/two.pem:3", &[]),
    ("del ssl crt-list @/list @/two.pem", &[]),
    ("ask 1", &[]),
    ("del ssl cert @/two.pem", &[]),
    ("del ssl cert @/two.pem", &[]),
    ("del ssl cert @/one.pem", &[]),
    // The certificate that a server is shown.
    ("set ssl cert @/client.pem", &["later.pem"]),
    ("commit ssl cert @/client.pem", &[]),
    ("ask 3", &[]),
    // Who vouches for a server.
    ("set ssl ca-file @/other.crt", &["list"]),
    ("set ssl ca-file nothing", &["ca.crt"]),
    ("set ssl ca-file @/other.crt", &["ca.crt", "inter.crt"]),
    ("show ssl ca-file *@/other.crt", &[]),
    ("show ssl ca-file @/other.crt", &[]),
    ("commit ssl ca-file @/other.crt", &[]),
    ("show ssl ca-file @/other.crt:2", &[]),
    ("show ssl ca-file nothing", &[]),
    ("ask 2", &[]),
    ("del ssl ca-file @/other.crt", &[]),
    ("new ssl ca-file next", &[]),
    ("set ssl ca-file next", &["ca.crt"]),
    ("set ssl ca-file next", &["ca.crt"]),
    ("abort ssl ca-file next", &[]),
    ("commit ssl ca-file next", &[]),
    ("del ssl ca-file next", &[]),
    ("new ssl crl-file next", &[]),
    ("show ssl crl-file next", &[]),
    ("set ssl crl-file next", &["list"]),
    ("set ssl crl-file next", &["crls.pem"]),
    ("show ssl crl-file", &[]),
    ("commit ssl crl-file next", &[]),
    ("show ssl crl-file", &[]),
    ("new ssl crl-file next", &[]),
    ("del ssl crl-file next", &[]),
    ("del ssl crl-file next", &[]),
    ("show ssl ocsp-response", &[]),
    ("show ssl ocsp-response 00", &[]),
    ("set ssl ocsp-response", &[]),
    ("set ssl ocsp-response %", &[]),
    ("commit ssl cert", &[]),
    ("abort ssl cert", &[]),
    ("new ssl ca-file", &[]),
    ("del ssl crl-file", &[]),
    ("add ssl crt-list @/list", &[]),
];

fn carry_out(peer: &Peer, pki: &Pki, (step, payload): (&str, &[&str])) -> String {
    if let Some(case) = step.strip_prefix("ask ") {
        let output = Command::new("curl")
            .args(["-si", "--max-time", "10", "-H"])
            .arg(format!("x-case: {case}"))
            .arg(format!("http://{}/", peer.fronts[0]))
            .output()
            .unwrap();
        return String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let folder = pki.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let mut command = step.to_owned();
    if !payload.is_empty() {
        command += " <<\n";
        for part in payload {
            command += &match part.strip_prefix(' ') {
                Some(line) => format!("{line}\n"),
                None => fs::read_to_string(pki.path(part)).unwrap(),
            };
        }
    }
    let answer = peer.ask(&command.replace('@', folder));
    answer.replace(folder, "@")
}

#[test]
fn files_of_tls_change_while_it_runs() {
    if !haproxy_is_installed("files_of_tls_change_while_it_runs") {
        return;
    }
    let pki = pki();
    let (haproxy, ha_lb) = (start(Program::HaProxy, &pki), start(Program::HaLb, &pki));
    let mut report = String::new();
    for step in STEPS {
        let expected = carry_out(&haproxy, &pki, *step);
        let got = carry_out(&ha_lb, &pki, *step);
        if expected != got {
            report += &format!("{step:?}\n haproxy {expected:?}\n ha-lb   {got:?}\n");
        }
    }
    assert!(report.is_empty(), "{report}");
}
