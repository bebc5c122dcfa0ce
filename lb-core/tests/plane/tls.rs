//! TLS towards clients.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use lb_core::{
    config::{
        BindAddress, ClientVerify, Config, Mode, ProxyConfig, TlsBind, TlsCertificate, TlsSettings,
    },
    dataplane,
};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};

use crate::{
    common::{Origin, PATIENCE, Plane, SHORT, connect, listen, read_all},
    reload::{Port, until},
};

// Self-signed certificates of P-256 keys made for these tests: `one.test`, and `two.test` with `*.two.test`.
const ONE: &[u8] = include_bytes!("data/one.test.pem");
const TWO: &[u8] = include_bytes!("data/two.test.pem");

fn given(path: &str, pem: &[u8]) -> TlsCertificate {
    TlsCertificate {
        path: PathBuf::from(path),
        pem: Arc::from(pem),
        ..TlsCertificate::default()
    }
}

/// A proxy in TLS before this origin.
pub(crate) fn secured(
    origin: &Origin,
    mode: Mode,
    adjust: impl FnOnce(&mut TlsBind),
) -> ProxyConfig {
    let mut proxy = listen("tls", mode, &[origin.address]);
    let mut tls = TlsBind {
        certificates: vec![given("one.pem", ONE), given("two.pem", TWO)],
        settings: TlsSettings {
            alpn: vec![String::from("http/1.1")],
            ..TlsSettings::default()
        },
        ..TlsBind::default()
    };
    adjust(&mut tls);
    if let Some(frontend) = &mut proxy.frontend {
        frontend.binds[0].tls = Some(tls);
    }
    proxy
}

/// A client that trusts exactly this certificate, and remembers its sessions.
fn trusting(trusted: &[u8]) -> Arc<ClientConfig> {
    offering(trusted, |_| {})
}

/// The same that offers something of its own.
fn offering(trusted: &[u8], adjust: impl FnOnce(&mut CryptoProvider)) -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    adjust(&mut provider);
    let provider = Arc::new(provider);
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted).unwrap())
        .unwrap();
    let verifier: Arc<dyn ServerCertVerifier> =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn session(
    config: &Arc<ClientConfig>,
    name: &'static str,
    address: SocketAddr,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(session, connect(address))
}

/// A client that trusts exactly this certificate.
fn client(
    plane: &Plane,
    name: &'static str,
    trusted: &[u8],
) -> StreamOwned<ClientConnection, TcpStream> {
    session(&trusting(trusted), name, plane.address())
}

fn get(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /tls HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A request in HTTP/2 for `/`, from a client that did not ask for the protocol.
const UNASKED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x0d\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x08one.test";

#[test]
fn clients_that_offer_other_protocols_alone_are_served_without_one() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![secured(&origin, Mode::Http, |_| {})]);
    let mut config = ClientConfig::clone(&trusting(ONE));
    for (offered, spoken) in [("other", None), ("http/1.1", Some(&b"http/1.1"[..]))] {
        config.alpn_protocols = vec![offered.into()];
        let mut stream = session(&Arc::new(config.clone()), "one.test", plane.address());
        assert!(get(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
        assert_eq!(stream.conn.alpn_protocol(), spoken);
    }
    plane.stop();
}

#[test]
fn clients_that_want_chacha20_most_get_it() {
    use CipherSuite::{TLS13_AES_128_GCM_SHA256 as AES, TLS13_CHACHA20_POLY1305_SHA256 as CHACHA};
    let origin = Origin::echo();
    let plane = Plane::start(vec![secured(&origin, Mode::Http, |_| {})]);
    for (wanted, spoken) in [([CHACHA, AES], CHACHA), ([AES, CHACHA], AES)] {
        let config = offering(ONE, |provider| {
            let all = std::mem::take(&mut provider.cipher_suites);
            let suites = wanted.map(|one| *all.iter().find(|suite| suite.suite() == one).unwrap());
            provider.cipher_suites.extend(suites);
        });
        let mut stream = session(&config, "one.test", plane.address());
        get(&mut stream).unwrap();
        let suite = stream.conn.negotiated_cipher_suite().unwrap();
        assert_eq!(suite.suite(), spoken);
    }
    plane.stop();
}

#[test]
fn clients_that_do_not_negotiate_may_begin_with_http_2() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![secured(&origin, Mode::Http, |_| {})]);
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config = ClientConfig::clone(&trusting(ONE));
        config.alpn_protocols = protocols;
        let mut stream = session(&Arc::new(config), "one.test", plane.address());
        stream.write_all(UNASKED).unwrap();
        let first_of_head = loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).unwrap();
            if head[3] == 1 {
                break payload[0];
            }
        };
        // `:status: 200`, of the static table.
        assert_eq!(first_of_head, 0x88);
    }
    plane.stop();
}

#[test]
fn https_requests_are_served_and_marked_in_the_log() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![secured(&origin, Mode::Http, |_| {})]);
    let mut stream = client(&plane, "one.test", ONE);
    let answer = get(&mut stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let line = plane.line();
    assert!(line.contains("] tls~ tls/s1 "), "{line}");
    plane.stop();
}

#[test]
fn the_certificate_follows_the_name_the_client_asks_for() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![secured(&origin, Mode::Http, |_| {})]);
    for (name, certificate) in [("one.test", ONE), ("two.test", TWO), ("www.two.test", TWO)] {
        assert!(
            get(&mut client(&plane, name, certificate)).is_ok(),
            "{name}"
        );
    }
    plane.stop();
}

#[test]
fn strict_sni_refuses_names_nobody_has() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![secured(&origin, Mode::Http, |tls| {
        tls.strict_sni = true
    })]);
    assert!(get(&mut client(&plane, "three.test", ONE)).is_err());
    assert_eq!(origin.connections(), 0);
    plane.stop();
}

#[test]
fn large_bodies_pass_through_tls() {
    const SIZE: usize = 1_500_000;
    let origin = Origin::new(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&vec![byte[0]; SIZE]).unwrap();
    });
    let plane = Plane::start(vec![secured(&origin, Mode::Tcp, |_| {})]);
    let mut stream = client(&plane, "one.test", ONE);
    stream.write_all(b"z").unwrap();
    let mut body = Vec::new();
    stream.read_to_end(&mut body).unwrap();
    assert!(body == vec![b'z'; SIZE]);
    drop(stream);
    plane.stop();
}

#[test]
fn a_handshake_that_does_not_come_is_ended_by_its_timeout() {
    let origin = Origin::echo();
    let mut proxy = secured(&origin, Mode::Http, |_| {});
    proxy.timeouts.client = SHORT;
    let plane = Plane::start(vec![proxy]);
    assert!(matches!(&*read_all(&plane.connect()), "" | "<reset>"));
    plane.stop();
}

#[test]
fn the_time_of_a_request_begins_behind_the_handshake() {
    const WHOLE: Duration = Duration::from_secs(1);
    let origin = Origin::echo();
    let mut proxy = secured(&origin, Mode::Http, |_| {});
    proxy.timeouts.http_request = Some(WHOLE);
    let plane = Plane::start(vec![proxy]);
    let mut stream = client(&plane, "one.test", ONE);
    // The client says nothing for longer, and its connection does not end.
    let quiet = WHOLE + WHOLE / 5;
    stream.sock.set_read_timeout(Some(quiet)).unwrap();
    let silence = stream.sock.read(&mut [0]).unwrap_err();
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    stream.sock.set_read_timeout(None).unwrap();
    assert!(get(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
    plane.stop();
}

#[test]
fn sessions_are_resumed_by_every_worker_and_after_a_reload_that_asks_for_the_same() {
    let origin = Origin::echo();
    let mut port = Port::new();
    let config = |adjust: fn(&mut TlsBind)| {
        let mut proxy = secured(&origin, Mode::Http, adjust);
        let frontend = proxy.frontend.as_mut().unwrap();
        frontend.binds[0].address = BindAddress::Tcp(port.address);
        Arc::new(Config {
            proxies: vec![proxy],
            ..Config::default()
        })
    };
    let same = config(|_| {});
    let stricter = config(|tls| {
        tls.settings.verify = ClientVerify::Optional;
        tls.settings.authorities = Some((PathBuf::from("two.pem"), Arc::from(TWO)));
    });
    let address = port.address;
    let mut options = dataplane::Options::new(Arc::new(dataplane::Silent));
    options.workers = 2;
    options.listeners = port.shared(0, 2);
    let plane = dataplane::start(Arc::clone(&same), options).unwrap();
    let trusting = trusting(ONE);
    let kind = || {
        let mut stream = session(&trusting, "one.test", address);
        get(&mut stream).unwrap();
        stream.conn.handshake_kind().unwrap()
    };
    assert_eq!(kind(), HandshakeKind::Full);
    for _ in 0..8 {
        assert_eq!(kind(), HandshakeKind::Resumed);
    }
    // One of them all needed new keys.
    assert_eq!(plane.balancer().process.tls_keys.max(), 1);
    plane.commit(plane.prepare(same, 2, port.shared(0, 2)).unwrap());
    for _ in 0..4 {
        assert_eq!(kind(), HandshakeKind::Resumed, "after a reload");
    }
    // Clients are to show who they are from now on: old sessions do not know it.
    plane.commit(plane.prepare(stricter, 2, port.shared(0, 2)).unwrap());
    until("sessions begin anew", || kind() == HandshakeKind::Full);
    plane.join(Duration::ZERO);
}

#[test]
fn a_record_that_is_none_behind_a_request_ends_the_connection() {
    let origin = Origin::echo();
    let mut proxy = secured(&origin, Mode::Http, |_| {});
    proxy.timeouts.client = Some(PATIENCE * 3);
    let plane = Plane::start(vec![proxy]);
    let mut stream = client(&plane, "one.test", ONE);
    while stream.conn.is_handshaking() || stream.conn.wants_write() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    // A record that fills what is read at once, so that the next one is found behind it.
    let (head, end) = ("GET / HTTP/1.1\r\nHost: x\r\nX-Padding: ", "\r\n\r\n");
    let padding = "x".repeat(4096 - 22 - head.len() - end.len());
    let request = format!("{head}{padding}{end}");
    stream.conn.writer().write_all(request.as_bytes()).unwrap();
    let mut sent = Vec::new();
    stream.conn.write_tls(&mut sent).unwrap();
    assert_eq!(sent.len(), 4096);
    sent.extend([23, 3, 3, 0, 20]);
    sent.extend([0; 20]);
    stream.sock.write_all(&sent).unwrap();
    // By an end or a reset, and long before the client's time is over.
    let ended = std::io::copy(&mut stream.sock, &mut std::io::sink());
    let waited = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.as_ref().is_err_and(waited), "{ended:?}");
    plane.stop();
}
