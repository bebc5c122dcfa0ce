//! TLS towards clients: rustls configurations from PEM bundles, certificates chosen by SNI. [`connect`] is the
//! other side.

mod connect;

pub(super) use connect::Connector;

use std::{collections::HashMap, sync::Arc};

use rustls::{
    DEFAULT_VERSIONS, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{StartError, stream::Plain};
use crate::{config::TlsBind, request::TlsInfo};

/// Chooses a certificate: the exact name, then the wildcard above it, then the first of all unless
/// `strict-sni` forbids that.
#[derive(Debug)]
struct Certificates {
    default: Option<Arc<CertifiedKey>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let exact = |name: &str| self.by_name.get(name);
        let found = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            exact(&name).or_else(|| {
                let (_, parent) = name.split_once('.')?;
                exact(&format!("*.{parent}"))
            })
        });
        found.or(self.default.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

/// The acceptor of a `bind ... ssl` line of the proxy called `proxy`.
pub(super) fn acceptor(proxy: &str, bind: &TlsBind) -> Result<TlsAcceptor, StartError> {
    let provider = Arc::new(ring::default_provider());
    let mut certificates = Certificates {
        default: None,
        by_name: HashMap::new(),
    };
    for (path, pem) in &bind.certificates {
        let wrong = |reason: String| StartError::Certificate {
            proxy: proxy.to_owned(),
            file: path.display().to_string(),
            reason,
        };
        let chain = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| wrong(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|e| wrong(format!("no usable private key: {e}")))?;
        let names = chain.first().map(names).unwrap_or_default();
        let certified = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|e| wrong(e.to_string()))
            .map(Arc::new)?;
        for name in names {
            certificates
                .by_name
                .entry(name)
                .or_insert_with(|| Arc::clone(&certified));
        }
        if !bind.strict_sni {
            certificates.default.get_or_insert(certified);
        }
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(bind.tls12_only, bind.tls13_only))
        .map_err(|e| StartError::Certificate {
            proxy: proxy.to_owned(),
            file: String::from("-"),
            reason: e.to_string(),
        })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = bind.alpn.iter().map(|p| p.clone().into_bytes()).collect();
    if let Ok(tickets) = ring::Ticketer::new() {
        config.ticketer = tickets;
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Which versions may be spoken.
fn versions(tls12_only: bool, tls13_only: bool) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_TLS12: [&SupportedProtocolVersion; 1] = [&TLS12];
    static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
    match (tls12_only, tls13_only) {
        (true, _) => &ONLY_TLS12,
        (_, true) => &ONLY_TLS13,
        _ => DEFAULT_VERSIONS,
    }
}

/// DNS names of a certificate, in lower case: the subject alternative names.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(parsed) = webpki::EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    parsed
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect()
}

/// What rules and log lines may know of an established session.
pub(super) fn info(stream: &TlsStream<Plain>) -> TlsInfo {
    let session = stream.get_ref().1;
    TlsInfo {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("-")
            .into(),
        sni: session.server_name().map(Arc::from),
        alpn: session
            .alpn_protocol()
            .and_then(|p| std::str::from_utf8(p).ok())
            .map(Arc::from),
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    }
}
