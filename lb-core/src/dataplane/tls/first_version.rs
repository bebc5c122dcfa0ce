//! Certificates of X.509 version 1 (and 2), which have no extensions and which the verifying library does not read. Only
//! the one that is shown may be such; those between it and the authority must say that they may sign.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid, crypto::WebPkiSupportedAlgorithms,
};
use rustls_pki_types::UnixTime;

use super::{
    chain::Chain,
    fault::{Fault, code},
    trust::{Trust, Usage},
    x509::Parsed,
};
use crate::request::Verified;

/// Most certificates between one that was shown and the authority.
const LONGEST: usize = 6;

/// Verifies the first certificate of `chain`.
pub(super) fn judge(
    trust: &Trust,
    chain: &Chain,
    now: UnixTime,
    usage: Usage,
) -> Result<Verified, Fault> {
    let mut verified = Verified::default();
    let seconds = now.as_secs();
    let Some((below, root)) = authority(trust, chain.certificates(), usage) else {
        let first = chain.fault(&webpki::Error::UnknownIssuer, seconds, &trust.revoked);
        trust.pass(first, &mut verified)?;
        for fault in chain.alone(first, seconds, &trust.revoked) {
            trust.pass(fault, &mut verified)?;
        }
        return Ok(verified);
    };
    if !trust.revoked.is_empty()
        && let Some(fault) =
            chain.revoked(below, &root, &trust.revoked, trust.algorithms(), seconds)
    {
        trust.pass(fault, &mut verified)?;
    }
    let depth = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    if let Some(code) = trust.is_past(&root.subject(), now) {
        let depth = depth(below);
        trust.pass(Fault { code, depth }, &mut verified)?;
    }
    let shown = chain.certificates().iter().take(below).enumerate();
    for (index, certificate) in shown.rev() {
        let validity = certificate.validity();
        let code = match seconds {
            _ if seconds > *validity.end() => code::EXPIRED,
            _ if seconds < *validity.start() => code::NOT_YET_VALID,
            _ => continue,
        };
        let depth = depth(index);
        trust.pass(Fault { code, depth }, &mut verified)?;
    }
    Ok(verified)
}

/// How many of `shown` have signed each other, and the authority that has signed the last of these.
fn authority(trust: &Trust, shown: &[Parsed], usage: Usage) -> Option<(usize, Parsed)> {
    let algorithms = trust.algorithms();
    let roots = trust.certificates.iter();
    let mut roots: Vec<Parsed> = roots.filter_map(|der| Parsed::new(der)).collect();
    let has_signed = |issuer: &Parsed, certificate: &Parsed| {
        certificate.is_issued_by(issuer) && certificate.is_signed_by(issuer, algorithms)
    };
    for (below, last) in (1..=LONGEST).zip(shown) {
        if let Some(root) = roots.iter().position(|root| has_signed(root, last)) {
            return Some((below, roots.swap_remove(root)));
        }
        let next = shown.get(below)?;
        if !has_signed(next, last) || !next.may_sign(below - 1, usage.purpose()) {
            return None;
        }
    }
    None
}

/// Checks a signature of a handshake by the key in such a certificate.
pub(super) fn signature(
    certificate: &Parsed,
    message: &[u8],
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    is_tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    use SignatureScheme as S;
    let of_tls12 = matches!(
        signed.scheme,
        S::RSA_PKCS1_SHA1 | S::RSA_PKCS1_SHA256 | S::RSA_PKCS1_SHA384 | S::RSA_PKCS1_SHA512
    );
    let known = algorithms.mapping.iter();
    let known = known.filter(|(scheme, _)| *scheme == signed.scheme && !(is_tls13 && of_tls12));
    // A scheme of TLS 1.3 stands for one kind of key, the first of these.
    let kinds = if is_tls13 { 1 } else { usize::MAX };
    let mut candidates = known.flat_map(|(_, algorithms)| algorithms.iter().take(kinds));
    let (message, bytes) = (message, signed.signature());
    match candidates.any(|algorithm| certificate.has_signed(*algorithm, message, bytes)) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
    }
}
