//! TLS towards servers: one rustls configuration a server, with its own memory of sessions.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, DnsName, PrivateKeyDer, ServerName, UnixTime,
    pem::PemObject,
};
use tokio_rustls::{Connect, TlsConnector};

use super::{
    super::{StartError, stream::Plain},
    suites,
};
use crate::config::{PemFile, ServerTls};

/// Speaks TLS to one server.
#[derive(Clone)]
pub(in crate::dataplane) struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// For a server of the proxy called `proxy`.
    pub(in crate::dataplane) fn new(proxy: &str, tls: &ServerTls) -> Result<Self, StartError> {
        let wrong = |file: Option<&PemFile>, reason: String| StartError::Certificate {
            proxy: proxy.to_owned(),
            file: file.map_or_else(|| String::from("-"), |f| f.0.display().to_string()),
            reason,
        };
        let provider = suites::provider(&tls.algorithms);
        let authorities = match &tls.authorities {
            None => None,
            Some(file) => Some(
                Authorities::new(&provider, &file.1, tls.revoked.as_ref())
                    .map_err(|reason| wrong(Some(file), reason))?,
            ),
        };
        let verifier = Verifier {
            authorities,
            host: match &tls.host {
                None => None,
                Some(host) => Some(
                    ServerName::try_from(host.clone())
                        .map_err(|e| wrong(None, format!("verifyhost {host}: {e}")))?,
                ),
            },
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(suites::versions(tls.tls12_only, tls.tls13_only))
            .map_err(|e| wrong(None, e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &tls.certificate {
            None => config.with_no_client_auth(),
            Some(file) => {
                let (chain, key) = identity(&file.1).map_err(|reason| wrong(Some(file), reason))?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|e| wrong(Some(file), e.to_string()))?
            }
        };
        config.alpn_protocols = tls.alpn.iter().map(|p| p.clone().into_bytes()).collect();
        if tls.no_resumption {
            config.resumption = Resumption::disabled();
        }
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Begins a handshake; `name` is what is asked for (`sni`).
    pub(in crate::dataplane) fn connect(
        &self,
        name: Option<&[u8]>,
        socket: Plain,
    ) -> Connect<Plain> {
        // Without a name none is sent: addresses never are.
        let name = name
            .and_then(|name| DnsName::try_from(name).ok())
            .map_or_else(nameless, |name| ServerName::DnsName(name.to_owned()));
        self.0.connect(name, socket)
    }
}

/// Stands for a server that is asked for by no name.
fn nameless() -> ServerName<'static> {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()
}

/// Who vouches for a server.
#[derive(Debug)]
struct Authorities {
    chain: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    fn new(
        provider: &Arc<CryptoProvider>,
        pem: &[u8],
        revoked: Option<&PemFile>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())?;
        // Bundles of systems hold certificates that are not understood; the others are good all the same.
        let (good, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        if good == 0 {
            return Err(String::from("no certificate of an authority in it"));
        }
        let roots = Arc::new(roots);
        let mut chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
        if let Some((path, pem)) = revoked {
            let lists = CertificateRevocationListDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| format!("{}: {e}", path.display()))?;
            chain = chain.with_crls(lists).enforce_revocation_expiration();
        }
        let chain = chain.build().map_err(|e| e.to_string())?;
        Ok(Self {
            chain,
            certificates,
        })
    }

    /// Whether `error` only says that the certificate is an authority's, and it is one of these: a certificate that
    /// has signed itself, trusted by being in the file. Its dates have been looked at before.
    fn trust_itself(&self, certificate: &CertificateDer<'_>, error: &Error) -> bool {
        let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else {
            return false;
        };
        other.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
            && self.certificates.contains(certificate)
    }
}

fn has_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|parsed| parsed.verify_is_valid_for_subject_name(name).is_ok())
}

fn identity(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let key =
        PrivateKeyDer::from_pem_slice(pem).map_err(|e| format!("no usable private key: {e}"))?;
    Ok((chain, key))
}

/// What `verify`, `ca-file` and `verifyhost` ask of a certificate.
#[derive(Debug)]
struct Verifier {
    /// `None`: any certificate will do.
    authorities: Option<Authorities>,
    host: Option<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name that was asked for comes first, as with HAProxy.
        let name = match &self.host {
            Some(host) if *server_name == nameless() => host,
            _ => server_name,
        };
        let verified = authorities.chain.verify_server_cert(
            end_entity,
            intermediates,
            name,
            ocsp_response,
            now,
        );
        let good = match &verified {
            Ok(_) => true,
            // The name is looked at last: the chain is good, and nobody said which name it should be.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => *name == nameless(),
            Err(error) => {
                authorities.trust_itself(end_entity, error)
                    && (*name == nameless() || has_name(end_entity, name))
            }
        };
        match good {
            true => Ok(ServerCertVerified::assertion()),
            false => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
