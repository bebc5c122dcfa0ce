//! Faults of certificates under OpenSSL's numbers (`openssl verify`), which configurations and rules speak of.

use webpki::Error;

/// Something is wrong with a certificate, so many steps above the one that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u32,
    pub(super) depth: u32,
}

impl Fault {
    /// One of the certificate that was shown.
    pub(super) fn of_itself(code: u32) -> Self {
        Self { code, depth: 0 }
    }
}

/// OpenSSL's numbers (`X509_V_ERR_...`).
pub(super) mod code {
    pub(in crate::dataplane::tls) const UNSPECIFIED: u32 = 1;
    pub(in crate::dataplane::tls) const NO_CRL: u32 = 3;
    pub(in crate::dataplane::tls) const CRL_SIGNATURE: u32 = 8;
    pub(in crate::dataplane::tls) const NOT_YET_VALID: u32 = 9;
    pub(in crate::dataplane::tls) const EXPIRED: u32 = 10;
    pub(in crate::dataplane::tls) const CRL_EXPIRED: u32 = 12;
    pub(in crate::dataplane::tls) const SELF_SIGNED: u32 = 18;
    pub(in crate::dataplane::tls) const SELF_SIGNED_IN_CHAIN: u32 = 19;
    pub(in crate::dataplane::tls) const NO_ISSUER: u32 = 20;
    pub(in crate::dataplane::tls) const LEAF_UNVERIFIED: u32 = 21;
    pub(in crate::dataplane::tls) const TOO_LONG: u32 = 22;
    pub(in crate::dataplane::tls) const REVOKED: u32 = 23;
    pub(in crate::dataplane::tls) const NO_AUTHORITY: u32 = 24;
    pub(in crate::dataplane::tls) const PATH_LENGTH: u32 = 25;
    pub(in crate::dataplane::tls) const PURPOSE: u32 = 26;
    pub(in crate::dataplane::tls) const CRITICAL_EXTENSION: u32 = 34;
    pub(in crate::dataplane::tls) const NAME_CONSTRAINT: u32 = 47;
}

/// OpenSSL's number for what the verifying library says.
pub(super) fn number(error: &Error) -> u32 {
    match error {
        Error::CertExpired { .. } => code::EXPIRED,
        Error::CertNotValidYet { .. } => code::NOT_YET_VALID,
        Error::CertRevoked => code::REVOKED,
        Error::CrlExpired { .. } => code::CRL_EXPIRED,
        Error::UnknownRevocationStatus => code::NO_CRL,
        // Signed by another one of that name: an issuer that is not known.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => code::NO_ISSUER,
        Error::EndEntityUsedAsCa => code::NO_AUTHORITY,
        Error::PathLenConstraintViolated => code::PATH_LENGTH,
        Error::MaximumPathDepthExceeded => code::TOO_LONG,
        Error::CaUsedAsEndEntity | Error::RequiredEkuNotFoundContext(_) => code::PURPOSE,
        Error::UnsupportedCriticalExtension => code::CRITICAL_EXTENSION,
        Error::NameConstraintViolation => code::NAME_CONSTRAINT,
        _ => code::UNSPECIFIED,
    }
}

/// What the peer is told of it (the alert follows from it).
pub(super) fn told(fault: Fault) -> rustls::CertificateError {
    use rustls::CertificateError as E;
    match fault.code {
        code::EXPIRED => E::Expired,
        code::NOT_YET_VALID => E::NotValidYet,
        code::REVOKED => E::Revoked,
        code::NO_ISSUER | code::SELF_SIGNED | code::SELF_SIGNED_IN_CHAIN | code::NO_CRL => {
            E::UnknownIssuer
        }
        code::CRL_EXPIRED => E::Expired,
        code::PURPOSE => E::InvalidPurpose,
        _ => E::ApplicationVerificationFailure,
    }
}
