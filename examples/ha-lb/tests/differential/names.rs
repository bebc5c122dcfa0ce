//! Which certificate and which settings a client gets for the name that it asks for, and how old or odd handshakes
//! end.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    peer::{Peer, Program, free_addresses, haproxy_is_installed},
    pki::Pki,
};

const HEAD: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    http-request return status 200 content-type text/plain lf-string %[ssl_fc_sni]
";

/// What stands behind `bind ADDRESS ssl`; words with a dot are files.
const BINDS: [&str; 9] = [
    "crt one.pem crt two.pem",
    "crt one.pem crt two.pem strict-sni",
    "crt-list list.txt",
    "crt-list list.txt strict-sni alpn http/1.0 ssl-min-ver TLSv1.3",
    "crt both.pem",
    "crt-list bundle.txt",
    "crt certs.d",
    "crt one.pem ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256 curves P-384",
    "crt one.rsa.pem ssl-max-ver TLSv1.2 ciphers ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:RC4-SHA",
];

const NAMES: [&str; 11] = [
    "",
    "one",
    "one.test",
    "ONE.test",
    "two.test",
    "a.two.test",
    "a.b.two.test",
    "secure.wild.test",
    "x.wild.test",
    "minus.test",
    "nobody.test",
];

/// Words of `openssl s_client`.
const WAYS: [&[&str]; 9] = [
    &[],
    &["-tls1_2"],
    &["-tls1_3"],
    &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"],
    &["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"],
    &["-sigalgs", "ECDSA+SHA256"],
    &["-groups", "P-256"],
    &["-alpn", "http/1.0,http/1.1"],
];

fn pki() -> Pki {
    let pki = Pki::new();
    pki.server("one", "DNS:one.test");
    pki.server("two", "DNS:two.test,DNS:*.two.test");
    pki.server("minus", "DNS:minus.test,DNS:plus.test");
    for (kind, file) in [("ec", "both.pem.ecdsa"), ("rsa", "both.pem.rsa")] {
        let made = pki.server(&format!("both-{kind}"), "DNS:both.test");
        fs::rename(made, pki.path(file)).unwrap();
    }
    fs::copy(pki.path("both.pem.rsa"), pki.path("one.rsa.pem")).unwrap();
    let list = "one.pem !*\n# a comment\n\ntwo.pem [alpn http/1.1] *.wild.test !secure.wild.test\n\
                minus.pem !minus.test\none.pem [ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2] two.test\n";
    for (name, text) in [
        ("list.txt", list),
        ("bundle.txt", "two.pem\nboth.pem one.test\n"),
    ] {
        let absolute: Vec<String> = text
            .lines()
            .map(|line| match line.split_once(".pem") {
                Some((file, rest)) => {
                    format!("{}{rest}", pki.path(&format!("{file}.pem")).display())
                }
                None => line.to_owned(),
            })
            .collect();
        fs::write(pki.path(name), absolute.join("\n") + "\n").unwrap();
    }
    let folder = pki.path("certs.d");
    fs::create_dir(&folder).unwrap();
    fs::copy(pki.path("one.crt"), folder.join("a.pem")).unwrap();
    fs::copy(pki.path("one.key"), folder.join("a.pem.key")).unwrap();
    fs::copy(pki.path("two.pem"), folder.join("b.pem")).unwrap();
    fs::write(folder.join("b.pem.issuer"), "none").unwrap();
    pki
}

fn start(program: Program, pki: &Pki) -> (Peer, [SocketAddr; BINDS.len()]) {
    let fronts = free_addresses();
    let mut config = HEAD.to_owned();
    for (front, words) in fronts.iter().zip(BINDS) {
        let file = |word: &str| {
            [".pem", ".txt", "certs.d"]
                .iter()
                .any(|end| word.ends_with(end))
        };
        let words = words.split(' ').map(|word| match file(word) {
            true => pki.path(word).display().to_string(),
            false => word.to_owned(),
        });
        let words: Vec<String> = words.collect();
        config += &format!("    bind {front} ssl {}\n", words.join(" "));
    }
    (Peer::start(program, &config), fronts)
}

/// Subject, version, suite, key exchange and protocol, as `openssl s_client` sees them; or that there is no session.
fn shaken(front: SocketAddr, name: &str, way: &[&str]) -> String {
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-connect", &front.to_string()])
        .args(way);
    match name {
        "" => client.arg("-noservername"),
        _ => client.args(["-servername", name]),
    };
    let output = client.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = [
        "subject=",
        "New, ",
        "Server Temp Key",
        "ALPN protocol",
        "No ALPN",
    ];
    let lines = text
        .lines()
        .filter(|line| told.iter().any(|t| line.starts_with(t)));
    let lines: Vec<&str> = lines.collect();
    match lines.iter().any(|line| line.starts_with("subject=")) {
        true => lines.join("; "),
        false => "none".to_owned(),
    }
}

/// What HAProxy 2.6 does less well: of a bundle it has one certificate only for names nobody has, and clients that
/// speak nothing but TLS 1.3 get the RSA certificate.
fn intended(words: &str, way: &[&str], theirs: &str, ours: &str) -> bool {
    let of_default = words == "crt both.pem" && theirs == "none" && ours.contains("CN = both-rsa");
    let newer = way == ["-tls1_3"] && theirs.contains("both-rsa") && ours.contains("both-ec");
    of_default || newer
}

#[test]
fn certificates_by_name() {
    if !haproxy_is_installed("certificates_by_name") {
        return;
    }
    let pki = pki();
    let ((_haproxy, theirs), (_ha_lb, ours)) =
        (start(Program::HaProxy, &pki), start(Program::HaLb, &pki));
    let report: Vec<String> = std::thread::scope(|scope| {
        let threads = BINDS.iter().enumerate().map(|(index, words)| {
            let (theirs, ours) = (theirs[index], ours[index]);
            scope.spawn(move || {
                let mut report = Vec::new();
                for name in NAMES {
                    for way in WAYS {
                        // Every name in the usual way, and one of them in every way.
                        if !way.is_empty() && name != "one.test" {
                            continue;
                        }
                        let (theirs, ours) = (shaken(theirs, name, way), shaken(ours, name, way));
                        if theirs != ours && !intended(words, way, &theirs, &ours) {
                            report.push(format!(
                                "{words}, {name}, {way:?}\n haproxy {theirs}\n ha-lb   {ours}"
                            ));
                        }
                    }
                }
                report
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(report.is_empty(), "{}", report.join("\n"));
}

/// A first message that `openssl s_client` sends, with `padding` protocols in it.
fn hello(padding: usize) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let names: Vec<String> = (0..padding).map(|n| format!("{n:0250}")).collect();
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &address, "-servername", "one.test"]);
    if padding > 0 {
        client.args(["-alpn", &names.join(",")]);
    }
    let mut client = client
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).unwrap();
    drop(stream);
    client.wait().unwrap();
    [&head[..], &body].concat()
}

/// What comes back: a part of a handshake, or nothing but perhaps an alert.
fn answered(front: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(front).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let mut head = [0; 6];
    match stream.read_exact(&mut head) {
        Ok(()) if head[0] == 22 => format!("handshake message {}", head[5]),
        _ => "refused".to_owned(),
    }
}

#[test]
fn odd_first_messages() {
    if !haproxy_is_installed("odd_first_messages") {
        return;
    }
    let pki = pki();
    let ((haproxy, theirs), (ha_lb, ours)) =
        (start(Program::HaProxy, &pki), start(Program::HaLb, &pki));
    let usual = hello(0);
    let large = hello(60);
    assert!((15_000..16_384).contains(&large.len()), "{}", large.len());
    let bytes: Vec<&[u8]> = usual.chunks(1).collect();
    let heartbeat = [24, 3, 1, 0, 3, 1, 0x40, 0];
    for (what, pieces) in [
        ("as it is", &[&*usual][..]),
        ("byte by byte", &bytes),
        ("16 kB", &[&large]),
        ("16 kB in two", &[&large[..9000], &large[9000..]]),
        ("HTTP", &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]),
        ("a heartbeat", &[&heartbeat]),
        ("application data", &[&[23, 3, 3, 0, 2, 1, 2]]),
    ] {
        let ended = [(&haproxy, theirs[0]), (&ha_lb, ours[0])].map(|(peer, front)| {
            peer.forget();
            let answer = answered(front, pieces);
            // What is left in its queue is read as the end: the log line may say one thing or the other.
            let deadline = std::time::Instant::now() + Duration::from_secs(5);
            while peer.log().is_empty() && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            (answer, peer.log())
        });
        let [theirs, ours] = ended;
        assert_eq!(ours, theirs, "{what}, left: ha-lb, right: haproxy");
    }
}

/// What `openssl s_client -status` says of the response that came with the certificate.
fn stapled(front: SocketAddr, name: &str) -> String {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-status",
            "-connect",
            &front.to_string(),
            "-servername",
            name,
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = [
        "OCSP response: no",
        "OCSP Response Status",
        "Cert Status",
        "Serial Number: 1",
    ];
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| told.iter().any(|t| line.starts_with(t)));
    lines.collect::<Vec<_>>().join("; ")
}

#[test]
fn responses_of_the_authority_come_with_the_certificate() {
    if !haproxy_is_installed("responses_of_the_authority_come_with_the_certificate") {
        return;
    }
    let pki = pki();
    pki.response("one", "5");
    pki.join(&["one.pem", "ca.crt"], "chained.pem");
    fs::rename(pki.path("one.pem.ocsp"), pki.path("chained.pem.ocsp")).unwrap();
    let ended = [Program::HaProxy, Program::HaLb].map(|program| {
        let [front] = free_addresses();
        let (one, two) = (pki.path("chained.pem"), pki.path("two.pem"));
        let (one, two) = (one.display(), two.display());
        let _peer = Peer::start(
            program,
            &format!("{HEAD}    bind {front} ssl crt {one} crt {two}\n"),
        );
        (stapled(front, "one.test"), stapled(front, "two.test"))
    });
    let [theirs, ours] = ended;
    assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
    assert!(ours.0.contains("Cert Status: good"), "{ours:?}");
    assert!(ours.1.contains("no response sent"), "{ours:?}");
}
