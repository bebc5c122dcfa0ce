//! TLS termination, as curl sees it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    admin::agree,
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const TLS: &str = "{global}{http}    timeout connect 10s
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

/// A certificate that signs itself, for `name` and any host of site.example, with its key in one file.
fn certificate(folder: &Path, name: &str) -> PathBuf {
    let (key, certificate) = (folder.join("key"), folder.join("crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")])
        .args([
            "-addext",
            &format!("subjectAltName=DNS:{name},DNS:*.site.example"),
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let pem = folder.join(format!("{name}.pem"));
    let text = fs::read_to_string(certificate).unwrap() + &fs::read_to_string(key).unwrap();
    fs::write(&pem, text).unwrap();
    pem
}

#[test]
fn tls_termination() {
    if !haproxy_is_installed("tls_termination") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pem = certificate(folder.path(), "h");
    let pair = Pair::start(&TLS.replace("PEM", pem.to_str().unwrap()));
    let seen = |peer: &Peer, arguments: &[&str], path: &str| {
        peer.forget();
        peer.origins[0].play(crate::case::ANSWERS);
        let answer = curl(peer, arguments, path);
        let deadline = Instant::now() + Duration::from_secs(5);
        while peer.log().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
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

const TO_SERVERS: &str = "global
    maxconn 200
    nbthread 1
    stats socket {dir}/stats level admin
defaults
    mode http
    timeout connect 10s
    timeout client 5s
    timeout server 5s
    retries 0
frontend front
    bind {front}
    use_backend b%[req.hdr(x-case)]
frontend ends-tls
    bind {front2} ssl crt PEM
    http-request set-header x-asked-for %[ssl_fc_sni]
    default_backend origin
backend origin
    server one {a}
";

/// What stands behind `server s {front2} ssl`.
const SERVERS: &[&str] = &[
    "verify none",
    "verify required ca-file PEM",
    "ca-file PEM",
    "ca-file OTHER",
    "ca-file PEM verifyhost h",
    "ca-file PEM verifyhost www.site.example",
    "ca-file PEM verifyhost else",
    "ca-file PEM sni str(h)",
    "ca-file PEM sni str(else)",
    "ca-file PEM sni str(else) verifyhost h",
    "ca-file PEM sni req.hdr(host)",
    "verify none sni req.hdr(x-none)",
    "verify none sni str(anything)",
    "verify none force-tlsv12",
    "verify none ssl-min-ver TLSv1.3 alpn http/1.1",
    "verify none no-ssl-reuse",
    "verify none check inter 1s",
    "ca-file OTHER check inter 1s fall 1",
    "ca-file PEM check inter 1s check-sni h",
    "verify none check inter 1s no-check-ssl",
];

/// HTTP checks through TLS.
const CHECKED: &str = "ca-file PEM check inter 1s";

fn to_servers(folder: &Path) -> String {
    let (pem, other) = (certificate(folder, "h"), certificate(folder, "other"));
    let mut text = TO_SERVERS.to_owned();
    for (number, words) in SERVERS.iter().enumerate() {
        text += &format!("backend b{number}\n    server s {{front2}} ssl {words}\n");
    }
    let last = SERVERS.len();
    text += &format!(
        "backend b{last}\n    option httpchk GET /alive\n    server s {{front2}} ssl {CHECKED}\n"
    );
    for (more, step) in ["ssl sni h", "ssl", "ssl alpn http/1.1"].iter().enumerate() {
        text += &format!(
            "backend b{}\n    option tcp-check\n    tcp-check connect {step}\n    server s {{front2}} check inter 1s \
             verify none\n",
            last + 1 + more
        );
    }
    text.replace("PEM", pem.to_str().unwrap())
        .replace("OTHER", other.to_str().unwrap())
}

/// Status and result of the last check of each backend's server, once the checks are done.
fn checks(peer: &Peer) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = peer.ask("show stat");
        let rows = answer
            .lines()
            .filter(|line| line.starts_with('b') && line.contains(",s,"));
        let seen: Vec<String> = rows
            .map(|row| {
                let fields: Vec<&str> = row.split(',').collect();
                format!("{} {} {}", fields[0], fields[17], fields[36])
            })
            .collect();
        let settled =
            |row: &String| !row.ends_with(' ') && !row.contains('*') && !row.contains('/');
        let waiting = seen.iter().filter(|row| !row.contains("no check"));
        if waiting.clone().count() == 8 && waiting.clone().all(settled) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tls_to_servers() {
    if !haproxy_is_installed("tls_to_servers") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::start(&to_servers(folder.path()));
    agree(&pair, "checks", |peer| checks(peer).join("\n"));
    for (number, words) in SERVERS.iter().chain([&CHECKED]).enumerate() {
        for host in ["www.site.example", "else"] {
            let [theirs, ours] = [&pair.haproxy, &pair.ha_lb].map(|peer| {
                peer.origins[0].play(crate::case::ANSWERS);
                let case = format!("x-case: {number}");
                let host = format!("Host: {host}");
                let url = format!("http://{}/a http://{}/b", peer.fronts[0], peer.fronts[0]);
                let output = Command::new("curl")
                    .args([
                        "-s",
                        "-w",
                        "%{http_code}",
                        "-H",
                        "User-Agent:",
                        "-H",
                        &case,
                        "-H",
                        &host,
                    ])
                    .args(url.split(' '))
                    .output()
                    .unwrap();
                let received: Vec<String> = peer.origins[0]
                    .requests()
                    .iter()
                    .map(|request| request.escape_ascii().to_string())
                    .filter(|request| !request.contains("/alive"))
                    .collect();
                let answers = String::from_utf8_lossy(&output.stdout).into_owned();
                let answers: String = answers.chars().filter(char::is_ascii_digit).collect();
                (answers, received)
            });
            assert_eq!(
                ours,
                theirs,
                "{words}, {host}, left: ha-lb, right: haproxy; {}",
                pair.ha_lb.output()
            );
        }
    }
}

/// A server connection is used for the name that it was opened for and for no other, whoever may use it.
#[test]
fn requests_for_another_name_go_over_another_connection() {
    if !haproxy_is_installed("requests_for_another_name_go_over_another_connection") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pem = certificate(folder.path(), "h");
    let servers = "backend b0
    http-reuse always
    server s {front2} ssl verify none sni req.hdr(host)
";
    let config = (TO_SERVERS.to_owned() + servers).replace("PEM", pem.to_str().unwrap());
    let pair = Pair::start(&config);
    let hosts = ["one.example", "two.example", "one.example", "two.example"];
    for peer in [&pair.haproxy, &pair.ha_lb] {
        peer.origins[0].play(crate::case::ANSWERS);
        let url = format!("http://{}/", peer.fronts[0]);
        let mut curl = Command::new("curl");
        for (turn, host) in hosts.iter().enumerate() {
            // All of them over one connection of the client.
            let next: &[&str] = if turn > 0 { &["--next"] } else { &[] };
            curl.args(next).args(["-s", "--max-time", "10"]);
            curl.args(["-H", "x-case: 0", "-H", &format!("Host: {host}"), &url]);
        }
        assert!(curl.output().unwrap().status.success());
        let requests = peer.origins[0].requests();
        let asked = requests.iter().map(|request| {
            let text = request.escape_ascii().to_string().to_lowercase();
            let (_, rest) = text.split_once("x-asked-for: ").unwrap();
            rest.split('\\').next().unwrap().to_owned()
        });
        assert_eq!(asked.collect::<Vec<_>>(), hosts, "{}", peer.output());
    }
}
