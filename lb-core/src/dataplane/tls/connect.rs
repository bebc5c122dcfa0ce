//! TLS towards servers: one rustls configuration a server, with its own memory of sessions.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    sign::SingleCertAndKey,
};
use rustls_pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use tokio_rustls::{Connect, TlsConnector};

use super::{
    super::{StartError, stream::Plain},
    certificate::identity,
    fault,
    files::TlsChange,
    suites,
    trust::{Signatures, Trust, Usage},
    x509::{self, Parsed},
};
use crate::{
    config::{PemFile, ServerTls, cipher},
    request::{Certificate, ServerCertificate, ServerSession},
};

/// Speaks TLS to one server; what it uses may be exchanged while it runs.
#[derive(Debug, Clone)]
pub(in crate::dataplane) struct Connector(Arc<Shared>);

/// Whether they are the same one, and what is exchanged in one is in the other.
impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[derive(Debug)]
struct Shared {
    proxy: String,
    used: RwLock<Ready>,
    /// What the server showed last: mostly it shows that again.
    shown: Mutex<Option<Arc<ServerCertificate>>>,
}

/// What a [`Connector`] uses.
#[derive(Clone)]
pub(in crate::dataplane) struct Ready {
    tls: Arc<ServerTls>,
    connector: TlsConnector,
    /// The certificate that servers are shown if they ask.
    own: Option<Arc<Certificate>>,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ready")
    }
}

impl Connector {
    /// For a server of the proxy called `proxy`.
    pub(in crate::dataplane) fn new(proxy: &str, tls: &ServerTls) -> Result<Self, StartError> {
        Ok(Self(Arc::new(Shared {
            used: RwLock::new(Ready::new(proxy, tls)?),
            proxy: proxy.to_owned(),
            shown: Mutex::default(),
        })))
    }

    /// What is used now.
    pub(in crate::dataplane) fn tls(&self) -> Arc<ServerTls> {
        Arc::clone(&self.used().tls)
    }

    /// What would be used with `change`; `None` if that is none for it.
    pub(in crate::dataplane) fn changed(
        &self,
        change: &TlsChange,
    ) -> Result<Option<Ready>, StartError> {
        let mut tls = ServerTls::clone(&self.tls());
        match change.of_server(&mut tls) {
            true => Ready::new(&self.0.proxy, &tls).map(Some),
            false => Ok(None),
        }
    }

    /// Uses this from now on.
    pub(in crate::dataplane) fn replace(&self, ready: Ready) {
        *self.0.used.write().unwrap_or_else(PoisonError::into_inner) = ready;
    }

    fn used(&self) -> Ready {
        let used = self.0.used.read().unwrap_or_else(PoisonError::into_inner);
        used.clone()
    }

    /// The certificate that the server is shown if it asks.
    pub(in crate::dataplane) fn own(&self) -> Option<Arc<Certificate>> {
        self.used().own
    }

    /// Begins a handshake; `name` is what is asked for (`sni`). If there are `protocols`, they are offered in place of
    /// the server's own.
    pub(in crate::dataplane) fn connect(
        &self,
        protocols: &[String],
        name: Option<&[u8]>,
        socket: Plain,
    ) -> Connect<Plain> {
        // Without a name none is sent: addresses never are.
        let name = name
            .and_then(|name| DnsName::try_from(name).ok())
            .map_or_else(nameless, |name| ServerName::DnsName(name.to_owned()));
        let connector = self.used().connector;
        if protocols.is_empty() {
            return connector.connect(name, socket);
        }
        let protocols = protocols.iter().map(|name| name.clone().into_bytes());
        connector
            .with_alpn(protocols.collect())
            .connect(name, socket)
    }

    /// What rules may know of an established session.
    pub(in crate::dataplane) fn session(&self, session: &ClientConnection) -> ServerSession {
        let suite = session.negotiated_cipher_suite();
        let cipher = suite.and_then(|suite| cipher::find(suite.suite().into()));
        ServerSession {
            version: super::version(session.protocol_version()),
            cipher: cipher.map_or("-", |cipher| cipher.name),
            bits: cipher.map_or(0, |cipher| cipher.bits),
            alpn: session
                .alpn_protocol()
                .and_then(|protocol| std::str::from_utf8(protocol).ok())
                .map(Arc::from),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            shown: self.shown(session.peer_certificates().unwrap_or_default()),
        }
    }

    fn shown(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<ServerCertificate>> {
        let mut last = self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = || chain.iter().flat_map(|der| der.iter());
        if let Some(last) = &*last
            && last.chain.iter().eq(bytes())
        {
            return Some(Arc::clone(last));
        }
        let shown = Arc::new(ServerCertificate {
            leaf: x509::describe(chain.first()?),
            chain: bytes().copied().collect(),
        });
        *last = Some(Arc::clone(&shown));
        Some(shown)
    }
}

impl Ready {
    fn new(proxy: &str, tls: &ServerTls) -> Result<Self, StartError> {
        let wrong = |file: Option<&PemFile>, reason: String| StartError::Certificate {
            proxy: proxy.to_owned(),
            line: None,
            file: file.map(|f| f.0.display().to_string()),
            reason,
        };
        let versions = suites::versions(tls.tls12_only, tls.tls13_only);
        let provider = suites::provider(&tls.algorithms, versions);
        let trust = match &tls.authorities {
            None => None,
            Some(file) => {
                let mut trust = Trust::new(Default::default(), &provider);
                let read = trust.trust(file).and_then(|()| match &tls.revoked {
                    Some(file) => trust.revoke(file),
                    None => Ok(()),
                });
                read.map_err(|(file, reason)| wrong(Some(&file), reason))?;
                Some(trust)
            }
        };
        let verifier = Verifier {
            trust,
            host: match &tls.host {
                None => None,
                Some(host) => Some(
                    ServerName::try_from(host.clone())
                        .map_err(|e| wrong(None, format!("verifyhost {host}: {e}")))?,
                ),
            },
            signatures: Signatures(Arc::clone(&provider)),
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|e| wrong(None, e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut own = None;
        let mut config = match &tls.certificate {
            None => config.with_no_client_auth(),
            Some(file) => {
                let identity = identity(&file.1, &provider);
                let identity = identity.map_err(|reason| wrong(Some(file), reason))?;
                own = identity
                    .cert
                    .first()
                    .map(|leaf| Arc::new(x509::describe(leaf)));
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
        };
        config.alpn_protocols = tls.alpn.iter().map(|p| p.clone().into_bytes()).collect();
        if tls.no_resumption {
            config.resumption = Resumption::disabled();
        }
        Ok(Self {
            tls: Arc::new(tls.clone()),
            connector: TlsConnector::from(Arc::new(config)),
            own,
        })
    }
}

/// Stands for a server that is asked for by no name.
fn nameless() -> ServerName<'static> {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()
}

/// Whether a certificate is for that host: by the names in it, or by the common name where there are none.
fn has_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let parsed = webpki::EndEntityCert::try_from(certificate);
    if let Ok(parsed) = &parsed
        && (parsed.verify_is_valid_for_subject_name(name).is_ok()
            || parsed.valid_dns_names().next().is_some())
    {
        return parsed.verify_is_valid_for_subject_name(name).is_ok();
    }
    let (Some(common), ServerName::DnsName(name)) = (
        Parsed::new(certificate).and_then(|parsed| parsed.common_name()),
        name,
    ) else {
        return false;
    };
    let name = name.as_ref().to_ascii_lowercase();
    match (common.strip_prefix("*."), name.split_once('.')) {
        (Some(parent), Some((_, of_name))) => parent == of_name,
        _ => common == name,
    }
}

/// What `verify`, `ca-file` and `verifyhost` ask of a certificate.
#[derive(Debug)]
struct Verifier {
    /// `None`: any certificate will do.
    trust: Option<Trust>,
    host: Option<ServerName<'static>>,
    signatures: Signatures,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        trust
            .judge(leaf, rest, now, Usage::Server)
            .map_err(|fault| Error::InvalidCertificate(fault::told(fault)))?;
        // The name that was asked for comes first, as with HAProxy.
        let name = match &self.host {
            Some(host) if *server_name == nameless() => host,
            _ => server_name,
        };
        match *name == nameless() || has_name(leaf, name) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}
