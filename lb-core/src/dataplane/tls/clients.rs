//! Certificates of clients: `verify` of a `bind`.

use std::{cell::Cell, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    fault::{self, Fault},
    trust::{Signatures, Trust, Unusable, Usage},
    x509,
};
use crate::{
    config::{ClientVerify, TlsSettings},
    request::{ClientCertificate, Verified},
};

thread_local! {
    /// Who was refused last on this thread. The library calls the verifier while the handshake is polled and has no
    /// way to tell more than its own kinds of errors: whoever polled looks here, before anything else is polled.
    static REFUSED: Cell<Option<ClientCertificate>> = const { Cell::new(None) };
}

/// Whom the handshake that has just failed refused; `None` if it failed over something else.
pub(super) fn refused() -> Option<ClientCertificate> {
    REFUSED.take()
}

/// A client whose certificate, or one above it, is not good.
fn unwelcome(
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    why: Fault,
) -> ClientCertificate {
    let (certificate, authority) = match why.depth {
        0 => (why.code, 0),
        _ => (0, why.code),
    };
    ClientCertificate {
        leaf: x509::describe(leaf),
        chain: rest.iter().flat_map(|der| der.iter().copied()).collect(),
        verified: Verified {
            result: why.code,
            certificate,
            authority,
            depth: why.depth,
        },
    }
}

/// Verifies clients of one kind of `bind`.
#[derive(Debug)]
pub(super) struct Clients {
    trust: Trust,
    named: Vec<DistinguishedName>,
    required: bool,
    signatures: Signatures,
}

impl Clients {
    /// `None` where no certificate is asked for.
    pub(super) fn new(
        settings: &TlsSettings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<Self>>, Unusable> {
        if settings.verify == ClientVerify::None {
            return Ok(None);
        }
        let passed = (
            settings.certificate_faults.clone(),
            settings.authority_faults.clone(),
        );
        let mut trust = Trust::new(passed, provider);
        if let Some(file) = &settings.authorities {
            trust.trust(file)?;
        }
        let named = match settings.no_ca_names {
            true => Vec::new(),
            false => trust
                .names()
                .map(|name| DistinguishedName::in_sequence(&name))
                .collect(),
        };
        if let Some(file) = &settings.more_authorities {
            trust.trust(file)?;
        }
        if let Some(file) = &settings.revoked {
            trust.revoke(file)?;
        }
        Ok(Some(Arc::new(Self {
            trust,
            named,
            required: settings.verify == ClientVerify::Required,
            signatures: Signatures(Arc::clone(provider)),
        })))
    }

    /// What a client's certificate comes to now; `None` if it would be refused.
    pub(super) fn verified(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Verified> {
        let (leaf, rest) = chain.split_first()?;
        self.judge(leaf, rest, now).ok()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Verified, Fault> {
        self.trust.judge(leaf, rest, now, Usage::Client)
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.named
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.judge(leaf, rest, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(fault) => {
                REFUSED.set(Some(unwelcome(leaf, rest, fault)));
                Err(Error::InvalidCertificate(fault::told(fault)))
            }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::pem::PemObject as _;

    use super::{super::x509::Parsed, *};
    use crate::config::IgnoredFaults;

    #[test]
    fn a_certificate_is_good_as_long_as_it_holds() {
        let pem: &[u8] = include_bytes!("../../../tests/plane/data/one.test.pem");
        let chain = [CertificateDer::from_pem_slice(pem).unwrap()];
        let mut settings = TlsSettings {
            verify: ClientVerify::Required,
            authorities: Some(("one.pem".into(), pem.into())),
            ..TlsSettings::default()
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let dates = Parsed::new(&chain[0]).unwrap().validity();
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let clients = Clients::new(&settings, &provider).unwrap().unwrap();
        assert_eq!(
            clients.verified(&chain, at(*dates.end())),
            Some(Verified::default())
        );
        assert_eq!(clients.verified(&chain, at(dates.end() + 1)), None);
        assert_eq!(clients.verified(&chain, at(dates.start() - 1)), None);
        settings.certificate_faults = IgnoredFaults::Some(vec![10]);
        settings.authority_faults = IgnoredFaults::Some(vec![10]);
        let clients = Clients::new(&settings, &provider).unwrap().unwrap();
        let late = clients.verified(&chain, at(dates.end() + 1)).unwrap();
        assert_eq!(late.result, 10);
    }
}
