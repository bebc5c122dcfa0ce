//! Health checks that talk: the same servers, good and bad, as both see them.

mod programs;
mod scripts;

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read as _},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    compare::Pair,
    peer::{Peer, Program, haproxy_is_installed},
    pki::Pki,
};
use scripts::{CASES, HTTP_CASES, Says, server};

const HEAD: &str = "global
    maxconn 200
    nbthread 1
    stats socket {dir}/stats level admin
defaults
    mode tcp
    timeout connect 10s
    timeout client 5s
    timeout server 5s
    timeout check 400ms
listen front
    bind {front}
";

/// What the statistics say of each server that is not being checked right now.
fn results(peer: &Peer) -> BTreeMap<String, String> {
    const COLUMNS: [&str; 5] = [
        "status",
        "check_status",
        "check_code",
        "check_desc",
        "last_chk",
    ];
    let text = peer.ask("show stat");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    // HAProxy forgets the words of a result while the next check runs.
    let at_rest =
        |row: &Vec<&str>| row.get(1) == Some(&"s") && !row.iter().any(|c| c.starts_with("* "));
    rows.filter(at_rest)
        .map(|row| {
            let of = |name: &str| {
                let at = names.iter().position(|n| *n == name).unwrap();
                row[at]
                    .trim_start_matches("* ")
                    .trim_matches('"')
                    .to_owned()
            };
            (row[0].to_owned(), COLUMNS.map(of).join(" | "))
        })
        .collect()
}

/// The same, but that HAProxy says only in its log what a server told of itself when it passed.
fn alike(theirs: &str, ours: &str, lines: &str) -> bool {
    let said = theirs.starts_with("UP | L7OK |") && theirs.ends_with("| ");
    theirs == ours
        || said && ours.starts_with(theirs)
        || theirs.contains("| L7TOUT |") && refused_at_once(ours, lines)
}

/// HAProxy waits for a better reply until the check's time is over.
fn refused_at_once(ours: &str, lines: &str) -> bool {
    lines.starts_with("option smtpchk") && ours.starts_with("DOWN | L7STS | 5")
}

/// Both run every case; in the end their statistics say the same.
fn compare(cases: &[(String, &'static [Says])]) {
    let mut config = HEAD.to_owned();
    for (number, (lines, script)) in cases.iter().enumerate() {
        let address = server(script);
        config += &format!(
            "backend c{number}\n {lines}\n server s {address} check inter 1s rise 1 fall 1\n"
        );
    }
    let pair = Pair::start(&config);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut open: Vec<usize> = (0..cases.len()).collect();
    while !open.is_empty() {
        let (theirs, ours) = (results(&pair.haproxy), results(&pair.ha_lb));
        open.retain(|number| {
            let name = format!("c{number}");
            match (theirs.get(&name), ours.get(&name)) {
                (Some(theirs), Some(ours)) => {
                    !alike(theirs, ours, &cases[*number].0) || theirs.contains("| INI |")
                }
                (None, Some(ours)) => !refused_at_once(ours, &cases[*number].0),
                _ => true,
            }
        });
        let unlike = open.iter().map(|number| {
            let ((lines, script), name) = (&cases[*number], format!("c{number}"));
            let (theirs, ours) = (theirs.get(&name), ours.get(&name));
            format!("{lines}\n  {script:?}\n  haproxy: {theirs:?}\n  ha-lb:   {ours:?}\n")
        });
        assert!(Instant::now() < deadline, "{}", unlike.collect::<String>());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn checks_that_talk() {
    if haproxy_is_installed("checks_that_talk") {
        let cases = CASES
            .iter()
            .map(|(lines, script)| ((*lines).to_owned(), *script));
        compare(&cases.collect::<Vec<_>>());
    }
}

#[test]
fn checks_that_talk_http() {
    if haproxy_is_installed("checks_that_talk_http") {
        let cases = HTTP_CASES
            .iter()
            .map(|(lines, script)| (format!("mode http\n option httpchk\n {lines}"), *script));
        compare(&cases.collect::<Vec<_>>());
    }
}

/// Backends whose servers note the first bytes of each connection.
const NOTED: &[&str] = &[
    "server s AT check inter 10s send-proxy",
    "server s AT check inter 10s send-proxy-v2",
    "server s AT check inter 10s check-send-proxy",
    "server s {a} check inter 10s send-proxy addr AT",
    "server s {a} check inter 10s send-proxy-v2 check-send-proxy addr AT",
    "option tcp-check\n tcp-check connect send-proxy\n server s AT check inter 10s",
    "option tcp-check\n tcp-check connect send-proxy\n server s AT check inter 10s send-proxy-v2-ssl",
    "option tcp-check\n tcp-check connect default ssl\n server s AT check inter 10s verify none send-proxy-v2 ALL",
    "option tcp-check\n tcp-check connect ssl send-proxy sni a.test\n server s AT check inter 10s verify none send-proxy-v2 ALL",
    "server s AT check inter 10s send-proxy-v2-ssl-cn",
    "server s AT check inter 10s send-proxy-v2 ALL",
    "server s AT check inter 10s check-send-proxy ALL",
    "server s AT check inter 10s send-proxy-v2 proxy-v2-options authority check-ssl verify none check-sni a.test",
    "server s AT check inter 10s send-proxy-v2 ssl verify none check-sni a.test check-alpn h2 force-tlsv12 ALL",
    "server s AT check inter 10s send-proxy-v2 ssl verify none crt PEM ALL",
    "mode http\n option httpchk\n server s AT check inter 10s check-proto h2",
    "mode http\n option httpchk\n http-check connect proto h2\n server s AT check inter 10s",
    "mode http\n option httpchk\n http-check connect addr AT\n http-check set-var(check.p) str(/one)\n \
     http-check send meth GET uri-lf %[var(check.p)] ver HTTP/1.1 hdr x-a b=%[var(check.p)] hdr host h\n \
     server s {a} check inter 10s",
    "mode http\n option httpchk GET /none\n http-check send uri-lf %[var(check.none)] body-lf from\\ %[be_name]-%[srv_name]\n \
     server s AT check inter 10s",
];

/// Whatever a PROXY header may say.
const ALL: &str =
    "proxy-v2-options crc32c,cert-cn,ssl-cipher,cert-sig,cert-key,authority,unique-id";

/// A server and what its clients said first.
pub(crate) fn notes() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (note, noted) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let (mut said, mut room) = (Vec::new(), [0; 4096]);
            while !is_whole(&said) {
                match stream.read(&mut room) {
                    Ok(count @ 1..) => said.extend_from_slice(&room[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    _ => break,
                }
            }
            if note.send(said).is_err() {
                return;
            }
        }
    });
    (address, noted)
}

/// How long it is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// What a client begins with that speaks HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What version 2 of the PROXY protocol begins with.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whether nothing follows before the server answers: the preface of HTTP/2, a PROXY header in its line or with its length,
/// or a request with its body.
fn is_whole(said: &[u8]) -> bool {
    if said.starts_with(PREFACE) {
        return true;
    }
    if said.starts_with(BINARY) {
        let length = said.get(14..16).map(|bytes| [bytes[0], bytes[1]]);
        return length.is_some_and(|l| said.len() >= 16 + usize::from(u16::from_be_bytes(l)));
    }
    let text = String::from_utf8_lossy(said).to_lowercase();
    if text.starts_with("proxy ") {
        return text.ends_with('\n');
    }
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split_once("content-length: ").map(|(_, rest)| {
        let digits = rest.split('\r').next().unwrap();
        digits.parse::<usize>().unwrap()
    });
    !head.starts_with("pri ") && body.len() >= length.unwrap_or(0)
}

/// The first bytes of a check, without the ports of its addresses and what differs between libraries of HTTP/2.
fn plain(said: &[u8]) -> String {
    if said.starts_with(PREFACE) {
        return "HTTP/2".to_owned();
    }
    if said.starts_with(BINARY) {
        // TLS may follow.
        let length = usize::from(u16::from_be_bytes([said[14], said[15]]));
        return said[..16 + length].escape_ascii().to_string();
    }
    let text = said.escape_ascii().to_string();
    match text.strip_prefix("PROXY ") {
        Some(rest) => rest.split(' ').take(3).collect(),
        None => text,
    }
}

#[test]
fn checks_begin_alike() {
    if !haproxy_is_installed("checks_begin_alike") {
        return;
    }
    let pki = Pki::new();
    let pem = pki.server("rsa", "DNS:rsa.test").display().to_string();
    let said = |program| {
        // All begin at once, and each has as much time as it needs.
        let mut config = HEAD.replace("timeout check 400ms", "timeout check 10s");
        config = config.replacen("global\n", "global\n    max-spread-checks 1\n", 1);
        let servers = NOTED.iter().enumerate().map(|(number, lines)| {
            let (address, noted) = notes();
            let lines = lines.replace("AT", &address.to_string());
            let lines = lines.replace("ALL", ALL).replace("PEM", &pem);
            config += &format!("backend c{number}\n {lines}\n");
            noted
        });
        let servers: Vec<_> = servers.collect();
        let _peer = Peer::start(program, &config);
        servers
            .iter()
            .map(|noted| plain(&noted.recv_timeout(PATIENCE).unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let (theirs, ours) = (said(Program::HaProxy), said(Program::HaLb));
    for ((lines, theirs), ours) in NOTED.iter().zip(theirs).zip(ours) {
        assert_eq!(ours, theirs, "{lines}, left: ha-lb, right: haproxy");
    }
}
