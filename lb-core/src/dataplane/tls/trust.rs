//! Who vouches for certificates: `ca-file`, `ca-verify-file`, `crl-file` and the faults that are let pass, the same
//! for those of clients and of servers.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime, pem::PemObject,
};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};

use x509_cert::der::{
    asn1::ObjectIdentifier,
    oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH},
};

use super::{
    chain::Chain,
    fault::{Fault, code},
    first_version,
    revocation::Revoked,
    x509::{Parsed, Validity},
};
use crate::{
    config::{IgnoredFaults, PemFile},
    request::Verified,
};

/// A file that cannot be used, and why.
pub(super) type Unusable = (PemFile, String);

/// Whose certificates are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Client,
    Server,
}

impl Usage {
    fn key_usage(self) -> KeyUsage {
        match self {
            Self::Client => KeyUsage::client_auth(),
            Self::Server => KeyUsage::server_auth(),
        }
    }

    /// The same as certificates have it.
    pub(super) fn purpose(self) -> ObjectIdentifier {
        match self {
            Self::Client => ID_KP_CLIENT_AUTH,
            Self::Server => ID_KP_SERVER_AUTH,
        }
    }
}

/// Verifies certificates.
pub(super) struct Trust {
    /// Where chains may end, as with OpenSSL: certificates that bear their issuer's name.
    roots: RootCertStore,
    /// The roots again.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// What else the files hold: it may stand in a chain that was not shown whole.
    others: Vec<CertificateDer<'static>>,
    /// Name of each root, and when it holds: the library does not look at that.
    dates: Vec<(Vec<u8>, Validity)>,
    pub(super) revoked: Vec<Revoked>,
    passed: (IgnoredFaults, IgnoredFaults),
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    /// Nobody is trusted yet. `passed` are the faults of a certificate and of those above it that are let pass.
    pub(super) fn new(
        passed: (IgnoredFaults, IgnoredFaults),
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        Self {
            roots: RootCertStore::empty(),
            certificates: Vec::new(),
            others: Vec::new(),
            dates: Vec::new(),
            revoked: Vec::new(),
            passed,
            provider: Arc::clone(provider),
        }
    }

    /// Trusts the authorities of a file.
    pub(super) fn trust(&mut self, file: &PemFile) -> Result<(), Unusable> {
        let wrong = |reason: String| (file.clone(), reason);
        let certificates = CertificateDer::pem_slice_iter(&file.1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| wrong(e.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong(String::from("no certificate of an authority in it")));
        }
        for certificate in certificates {
            let parsed = Parsed::new(&certificate);
            if parsed.as_ref().is_some_and(|c| !c.is_root()) {
                self.others.push(certificate);
                continue;
            }
            if let (Some(parsed), Some(anchor)) = (parsed, anchor(&certificate)) {
                self.dates
                    .push((anchor.subject.to_vec(), parsed.validity()));
            }
            // What is not understood in a bundle of a system is left out.
            self.roots.add_parsable_certificates([certificate.clone()]);
            self.certificates.push(certificate);
        }
        Ok(())
    }

    /// Refuses what the lists of a file name.
    pub(super) fn revoke(&mut self, file: &PemFile) -> Result<(), Unusable> {
        let lists = lists(&file.1).map_err(|reason| (file.clone(), reason))?;
        self.revoked.extend(lists);
        Ok(())
    }

    /// Names of all that were read, in DER.
    pub(super) fn names(&self) -> impl Iterator<Item = Vec<u8>> {
        let all = self.certificates.iter().chain(&self.others);
        all.filter_map(|der| Some(anchor(der)?.subject.to_vec()))
    }

    /// Verifies, and goes on behind each fault that is let pass, so that the next one is found as well.
    pub(super) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
        usage: Usage,
    ) -> Result<Verified, Fault> {
        let known = self.others.iter().cloned();
        let rest: Vec<CertificateDer<'_>> = rest.iter().cloned().chain(known).collect();
        let chain = Chain::new(leaf, &rest);
        let first = chain.certificates().first();
        if first.is_some_and(Parsed::is_of_first_version) {
            return first_version::judge(self, &chain, now, usage);
        }
        let shown =
            EndEntityCert::try_from(leaf).map_err(|_| Fault::of_itself(code::UNSPECIFIED))?;
        let mut verified = Verified::default();
        let lists = self.revoked.iter();
        let understood: Option<Vec<_>> = lists.map(|list| list.understood.as_ref()).collect();
        // Where the library does not understand one of them, all are looked up here.
        let own = understood.is_none();
        let understood = understood.unwrap_or_default();
        let (mut at, mut look_up) = (now, true);
        loop {
            let revocation = look_up.then(|| options(&understood)).flatten();
            let outcome = shown.verify_for_usage(
                self.algorithms(),
                &self.roots.roots,
                &rest,
                at,
                usage.key_usage(),
                revocation,
                None,
            );
            let error = match outcome {
                Ok(path) => {
                    let below = path.intermediate_certificates().count() + 1;
                    let depth = u32::try_from(below).unwrap_or(u32::MAX);
                    if own && let Some(fault) = self.revoked(&chain, below, &path, now) {
                        self.pass(fault, &mut verified)?;
                    }
                    if let Some(code) = self.is_past(&path.anchor().subject, now) {
                        self.pass(Fault { code, depth }, &mut verified)?;
                    }
                    return Ok(verified);
                }
                Err(webpki::Error::CaUsedAsEndEntity) if self.certificates.contains(leaf) => {
                    return Ok(verified);
                }
                Err(error) => error,
            };
            let fault = chain.fault(&error, at.as_secs(), &self.revoked);
            self.pass(fault, &mut verified)?;
            match fault.code {
                code::EXPIRED | code::NOT_YET_VALID => match chain.good_time() {
                    Some(time) if at == now => at = UnixTime::since_unix_epoch(time),
                    _ => return Ok(verified),
                },
                code::REVOKED | code::NO_CRL | code::CRL_EXPIRED if look_up => look_up = false,
                _ => {
                    // Nobody vouches for it: only it itself can be looked at.
                    for fault in chain.alone(fault, now.as_secs(), &self.revoked) {
                        self.pass(fault, &mut verified)?;
                    }
                    return Ok(verified);
                }
            }
        }
    }

    fn revoked(
        &self,
        chain: &Chain,
        below: usize,
        path: &VerifiedPath<'_>,
        now: UnixTime,
    ) -> Option<Fault> {
        let mut roots = self.certificates.iter().filter_map(|der| Parsed::new(der));
        let root = roots.find(|root| root.subject() == *path.anchor().subject);
        let unknown = Fault::of_itself(code::NO_CRL);
        root.map_or(Some(unknown), |root| {
            chain.revoked(
                below,
                &root,
                &self.revoked,
                self.algorithms(),
                now.as_secs(),
            )
        })
    }

    /// What is wrong with the dates of an authority. Of several with one name and key, the one that holds counts.
    pub(super) fn is_past(&self, name: &[u8], now: UnixTime) -> Option<u32> {
        let mut dates = self.dates.iter().filter(|(other, _)| other == name);
        let now = now.as_secs();
        if dates.clone().any(|(_, dates)| dates.contains(&now)) {
            return None;
        }
        let (_, dates) = dates.next()?;
        Some(match now < *dates.start() {
            true => code::NOT_YET_VALID,
            false => code::EXPIRED,
        })
    }

    /// Notes a fault that is let pass; any other ends it.
    pub(super) fn pass(&self, fault: Fault, verified: &mut Verified) -> Result<(), Fault> {
        let passed = match fault.depth {
            0 => &self.passed.0,
            _ => &self.passed.1,
        };
        if !passed.contains(fault.code) {
            return Err(fault);
        }
        verified.result = fault.code;
        match fault.depth {
            0 if verified.certificate == 0 => verified.certificate = fault.code,
            1.. if verified.authority == 0 => {
                (verified.authority, verified.depth) = (fault.code, fault.depth);
            }
            _ => {}
        }
        Ok(())
    }

    /// Every way of signing that is understood.
    pub(super) fn algorithms(
        &self,
    ) -> &'static [&'static dyn rustls_pki_types::SignatureVerificationAlgorithm] {
        self.provider.signature_verification_algorithms.all
    }
}

/// Checks the signatures of handshakes, whatever the certificate.
#[derive(Debug)]
pub(super) struct Signatures(pub(super) Arc<CryptoProvider>);

impl Signatures {
    /// That of a handshake in TLS 1.2.
    pub(super) fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        match Parsed::new(certificate).filter(Parsed::is_of_first_version) {
            Some(old) => first_version::signature(&old, message, signed, algorithms, false),
            None => verify_tls12_signature(message, certificate, signed, algorithms),
        }
    }

    /// That of a handshake in TLS 1.3.
    pub(super) fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        match Parsed::new(certificate).filter(Parsed::is_of_first_version) {
            Some(old) => first_version::signature(&old, message, signed, algorithms, true),
            None => verify_tls13_signature(message, certificate, signed, algorithms),
        }
    }

    /// What may be used to sign.
    pub(super) fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What the verifying library keeps of an authority.
fn anchor<'d>(der: &'d CertificateDer<'_>) -> Option<TrustAnchor<'d>> {
    webpki::anchor_from_trusted_cert(der).ok()
}

/// The lists of a `crl-file`.
fn lists(pem: &[u8]) -> Result<Vec<Revoked>, String> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem)
        .map(|der| {
            let der = der.map_err(|e| e.to_string())?;
            Revoked::new(&der)
        })
        .collect::<Result<Vec<_>, String>>()?;
    match lists.is_empty() {
        true => Err(String::from("no list of revoked certificates in it")),
        false => Ok(lists),
    }
}

/// Each certificate below the authority must be in no list, and its issuer must have one that is not too old.
fn options<'c>(lists: &'c [&'c CertRevocationList<'c>]) -> Option<RevocationOptions<'c>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}
