//! TLS towards clients.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::Arc,
};

use lb_core::config::{Mode, ProxyConfig, TlsBind};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};

use crate::common::{Origin, Plane, SHORT, connect, listen, read_all};

// Self-signed certificates of P-256 keys made for these tests: `one.test`, and `two.test` with `*.two.test`.
const ONE: &[u8] = include_bytes!("data/one.test.pem");
const TWO: &[u8] = include_bytes!("data/two.test.pem");

fn secured(origin: &Origin, mode: Mode, adjust: impl FnOnce(&mut TlsBind)) -> ProxyConfig {
    let mut proxy = listen("tls", mode, &[origin.address]);
    let mut tls = TlsBind {
        certificates: vec![
            (PathBuf::from("one.pem"), Arc::from(ONE)),
            (PathBuf::from("two.pem"), Arc::from(TWO)),
        ],
        alpn: vec![String::from("http/1.1")],
        ..TlsBind::default()
    };
    adjust(&mut tls);
    if let Some(frontend) = &mut proxy.frontend {
        frontend.binds[0].tls = Some(tls);
    }
    proxy
}

/// A client that trusts exactly this certificate.
fn client(
    plane: &Plane,
    name: &'static str,
    trusted: &[u8],
) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(ring::default_provider());
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
    let name = ServerName::try_from(name).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, connect(plane.address()))
}

fn get(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /tls HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
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
    proxy.timeouts.http_request = SHORT;
    let plane = Plane::start(vec![proxy]);
    assert!(matches!(&*read_all(&plane.connect()), "" | "<reset>"));
    plane.stop();
}
