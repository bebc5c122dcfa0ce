//! Certificates of clients: `verify`, `ca-file`, `crl-file` and the faults that are let pass.

use std::{cell::Cell, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime, pem::PemObject,
};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::{
    fault::{self, Fault, code},
    x509::{Parsed, Validity},
};
use crate::{
    config::{ClientVerify, IgnoredFaults, PemFile, TlsSettings},
    request::Verified,
};

thread_local! {
    /// What was refused last on this thread. The library calls the verifier while the handshake is polled and has no
    /// way to tell more than its own kinds of errors: whoever polled looks here, before anything else is polled.
    static REFUSED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Whether what the handshake that has just failed refused was the client's own certificate; `None` if it failed over
/// something else.
pub(super) fn refused_own() -> Option<bool> {
    REFUSED.take().map(|fault| fault.depth == 0)
}

/// Verifies clients of one kind of `bind`.
pub(super) struct Clients {
    /// Where chains may end, as with OpenSSL: certificates that bear their issuer's name.
    roots: RootCertStore,
    /// The roots again.
    certificates: Vec<CertificateDer<'static>>,
    /// What else the files hold: it may stand in a chain that the client did not send whole.
    others: Vec<CertificateDer<'static>>,
    /// Name of each root, and when it holds: the library does not look at that.
    dates: Vec<(Vec<u8>, Validity)>,
    named: Vec<DistinguishedName>,
    revoked: Vec<CertRevocationList<'static>>,
    required: bool,
    passed: (IgnoredFaults, IgnoredFaults),
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

/// A file that cannot be used, and why.
pub(super) type Unusable = (PemFile, String);

impl Clients {
    /// `None` where no certificate is asked for.
    pub(super) fn new(
        settings: &TlsSettings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<Self>>, Unusable> {
        if settings.verify == ClientVerify::None {
            return Ok(None);
        }
        let mut clients = Self {
            roots: RootCertStore::empty(),
            certificates: Vec::new(),
            others: Vec::new(),
            dates: Vec::new(),
            named: Vec::new(),
            revoked: Vec::new(),
            required: settings.verify == ClientVerify::Required,
            passed: (
                settings.certificate_faults.clone(),
                settings.authority_faults.clone(),
            ),
            provider: Arc::clone(provider),
        };
        if let Some(file) = &settings.authorities {
            clients.trust(file)?;
        }
        if !settings.no_ca_names {
            let all = clients.certificates.iter().chain(&clients.others);
            let subjects = all.filter_map(|der| anchor(der));
            clients.named = subjects
                .map(|anchor| DistinguishedName::in_sequence(&anchor.subject))
                .collect();
        }
        if let Some(file) = &settings.more_authorities {
            clients.trust(file)?;
        }
        if let Some(file) = &settings.revoked {
            clients.revoked = revoked(&file.1).map_err(|reason| (file.clone(), reason))?;
        }
        Ok(Some(Arc::new(clients)))
    }

    fn trust(&mut self, file: &PemFile) -> Result<(), Unusable> {
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

    /// What a client's certificate comes to now; `None` if it would be refused.
    pub(super) fn verified(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Verified> {
        let (leaf, rest) = chain.split_first()?;
        self.judge(leaf, rest, now).ok()
    }

    /// Verifies, and goes on behind each fault that is let pass, so that the next one is found as well.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Verified, Fault> {
        let shown = EndEntityCert::try_from(leaf).map_err(|_| Fault {
            code: code::UNSPECIFIED,
            depth: 0,
        })?;
        let known = self.others.iter().cloned();
        let rest: Vec<CertificateDer<'_>> = rest.iter().cloned().chain(known).collect();
        let chain = Chain::new(leaf, &rest);
        let mut verified = Verified::default();
        let (mut at, mut look_up) = (now, true);
        loop {
            let crls: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
            let revocation = look_up.then(|| options(&crls)).flatten();
            let outcome = shown.verify_for_usage(
                self.provider.signature_verification_algorithms.all,
                &self.roots.roots,
                &rest,
                at,
                KeyUsage::client_auth(),
                revocation,
                None,
            );
            let error = match outcome {
                Ok(path) => {
                    let depth = path.intermediate_certificates().count() + 1;
                    let named = |(name, _): &&(Vec<u8>, _)| **name == *path.anchor().subject;
                    let dates = self.dates.iter().filter(named).map(|(_, dates)| dates);
                    let now = now.as_secs();
                    // Of several with one name and key, the one that still holds counts.
                    if !dates.clone().any(|dates| dates.contains(&now))
                        && let Some(dates) = dates.clone().next()
                    {
                        let code = match now < *dates.start() {
                            true => code::NOT_YET_VALID,
                            false => code::EXPIRED,
                        };
                        let depth = u32::try_from(depth).unwrap_or(u32::MAX);
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

    fn pass(&self, fault: Fault, verified: &mut Verified) -> Result<(), Fault> {
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
}

/// What the verifying library keeps of an authority.
fn anchor<'d>(der: &'d CertificateDer<'_>) -> Option<TrustAnchor<'d>> {
    webpki::anchor_from_trusted_cert(der).ok()
}

/// The lists of a `crl-file`.
pub(super) fn revoked(pem: &[u8]) -> Result<Vec<CertRevocationList<'static>>, String> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem)
        .map(|list| {
            let list = list.map_err(|e| e.to_string())?;
            let list = OwnedCertRevocationList::from_der(&list).map_err(|e| e.to_string())?;
            Ok(list.into())
        })
        .collect::<Result<Vec<_>, String>>()?;
    match lists.is_empty() {
        true => Err(String::from("no list of revoked certificates in it")),
        false => Ok(lists),
    }
}

/// Each certificate below the authority must be in no list, and its issuer must have one that is not too old.
pub(super) fn options<'c>(
    lists: &'c [&'c CertRevocationList<'c>],
) -> Option<RevocationOptions<'c>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}

/// What a client sent, in the order in which each is signed by the next.
struct Chain(Vec<Parsed>);

impl Chain {
    fn new(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Self {
        let mut others: Vec<Parsed> = rest.iter().filter_map(|der| Parsed::new(der)).collect();
        let mut chain: Vec<Parsed> = Parsed::new(leaf).into_iter().collect();
        while let Some(last) = chain.last().filter(|last| !last.is_root()) {
            let Some(next) = others.iter().position(|other| last.is_issued_by(other)) else {
                break;
            };
            chain.push(others.swap_remove(next));
        }
        Self(chain)
    }

    fn at(&self, wanted: impl FnMut(&Parsed) -> bool) -> Option<u32> {
        u32::try_from(self.0.iter().position(wanted)?).ok()
    }

    /// Which certificate an error is about: the library does not say.
    fn fault(&self, error: &webpki::Error, now: u64, lists: &[CertRevocationList<'_>]) -> Fault {
        let number = fault::number(error);
        let top = u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(0);
        let its_own_issuer = self.0.last().is_some_and(Parsed::is_root);
        let (code, depth) = match number {
            code::EXPIRED => (number, self.at(|c| *c.validity().end() < now)),
            code::NOT_YET_VALID => (number, self.at(|c| *c.validity().start() > now)),
            code::REVOKED => (
                number,
                self.at(|c| {
                    lists
                        .iter()
                        .any(|list| matches!(list.find_serial(c.serial()), Ok(Some(_))))
                }),
            ),
            code::NO_ISSUER if its_own_issuer && top == 0 => (code::SELF_SIGNED, Some(0)),
            code::NO_ISSUER if its_own_issuer => (code::SELF_SIGNED_IN_CHAIN, Some(top)),
            code::PURPOSE if its_own_issuer && top == 0 => (code::SELF_SIGNED, Some(0)),
            code::NO_ISSUER => (number, Some(top)),
            _ => (number, Some(0)),
        };
        // Dates of an authority that the client did not send are wrong at the end of what it sent.
        Fault {
            code,
            depth: depth.unwrap_or(top + 1),
        }
    }

    /// What else is wrong with certificates nobody vouches for, which `first` has said.
    fn alone(&self, first: Fault, now: u64, lists: &[CertRevocationList<'_>]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let own = |code| Fault { code, depth: 0 };
        if first == own(code::NO_ISSUER) {
            faults.push(own(code::LEAF_UNVERIFIED));
        }
        let listed = |leaf: &Parsed| lists.iter().any(|list| leaf.is_issued_as(list.issuer()));
        if !lists.is_empty() && !self.0.first().is_some_and(listed) {
            faults.push(own(code::NO_CRL));
        }
        for (depth, certificate) in (0..).zip(&self.0) {
            let validity = certificate.validity();
            let code = match now {
                _ if now > *validity.end() => code::EXPIRED,
                _ if now < *validity.start() => code::NOT_YET_VALID,
                _ => continue,
            };
            faults.push(Fault { code, depth });
        }
        faults
    }

    /// A moment at which all of it held, in seconds since 1970.
    fn good_time(&self) -> Option<std::time::Duration> {
        let start = self.0.iter().map(|c| *c.validity().start()).max()?;
        let end = self.0.iter().map(|c| *c.validity().end()).min()?;
        (start <= end).then(|| std::time::Duration::from_secs(end))
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
                REFUSED.set(Some(fault));
                Err(Error::InvalidCertificate(fault::told(fault)))
            }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_good_as_long_as_it_holds() {
        let pem: &[u8] = include_bytes!("../../../tests/plane/data/one.test.pem");
        let chain = [CertificateDer::from_pem_slice(pem).unwrap()];
        let mut settings = TlsSettings {
            verify: ClientVerify::Required,
            authorities: Some(("one.pem".into(), pem.into())),
            ..TlsSettings::default()
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
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
