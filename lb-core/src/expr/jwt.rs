//! JSON Web Tokens: their parts (RFC 7515 §7.1), and whether their signatures are right (RFC 7518 §3).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha384, Sha512};

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithm {
    family: Family,
    bits: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Hmac,
    Rsa,
    RsaPss,
    Ecdsa,
}

/// Why a token is not even looked at, or wrong; the numbers are the manual's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    UnknownAlgorithm = -1,
    InvalidToken = -3,
    UnknownKey = -5,
}

impl Algorithm {
    /// The algorithm of that name in RFC 7518.
    pub(crate) fn named(name: &[u8]) -> Result<Self, Fault> {
        let (family, bits) = name.split_at_checked(2).ok_or(Fault::UnknownAlgorithm)?;
        let bits = match bits {
            b"256" => 256,
            b"384" => 384,
            b"512" => 512,
            _ => return Err(Fault::UnknownAlgorithm),
        };
        let family = match (family, bits) {
            (b"HS", _) => Family::Hmac,
            (b"RS", _) => Family::Rsa,
            (b"PS", _) => Family::RsaPss,
            (b"ES", _) => Family::Ecdsa,
            _ => return Err(Fault::UnknownAlgorithm),
        };
        Ok(Self { family, bits })
    }

    /// How long a signature by ECDSA is: R and S (RFC 7518 §3.4).
    fn two_numbers(self) -> usize {
        match self.bits {
            256 => 2 * 32,
            384 => 2 * 48,
            // The curve of ES512 is P-521.
            _ => 2 * 66,
        }
    }
}

/// The three parts of a token, still in base64.
pub(crate) fn parts(token: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = token.split(|b| *b == b'.');
    let parts3 = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(parts3)
}

/// A part's bytes.
pub(crate) fn decoded(part: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Files of public keys by the names that rules write.
#[derive(Debug, Default)]
pub struct KeyFiles {
    keys: Mutex<BTreeMap<Box<[u8]>, Arc<PublicKey>>>,
}

impl KeyFiles {
    /// Reads a key or certificate in PEM; anything else is no key.
    pub(crate) fn put(&self, name: &str, text: &[u8]) {
        if let Some(key) = PublicKey::read(text) {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.insert(name.as_bytes().into(), Arc::new(key));
        }
    }

    fn key(&self, name: &[u8]) -> Option<Arc<PublicKey>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(name).cloned()
    }
}

/// Whether `token` is signed by `algorithm` with `key`: a secret, or the name of a file of a public key.
pub(crate) fn verify(
    token: &[u8],
    algorithm: &[u8],
    key: &[u8],
    files: &KeyFiles,
) -> Result<bool, Fault> {
    let algorithm = Algorithm::named(algorithm)?;
    let [header, payload, signature] = parts(token).ok_or(Fault::InvalidToken)?;
    if header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(Fault::InvalidToken);
    }
    let signature = decoded(signature).ok_or(Fault::InvalidToken)?;
    let length = header.len() + 1 + payload.len();
    let message = token.get(..length).ok_or(Fault::InvalidToken)?;
    if algorithm.family == Family::Hmac {
        // The name of a public key is no secret: a token that names its own algorithm could be signed with it.
        if files.key(key).is_some() {
            return Err(Fault::UnknownKey);
        }
        return authenticated(algorithm.bits, key, message, &signature);
    }
    let key = files.key(key).ok_or(Fault::UnknownKey)?;
    if algorithm.family == Family::Ecdsa && signature.len() != algorithm.two_numbers() {
        return Err(Fault::InvalidToken);
    }
    Ok(key.verifies(algorithm, message, &signature))
}

fn authenticated(bits: u16, key: &[u8], message: &[u8], code: &[u8]) -> Result<bool, Fault> {
    if code.len() != usize::from(bits / 8) {
        return Err(Fault::InvalidToken);
    }
    macro_rules! check {
        ($digest:ty) => {{
            let mac = Hmac::<$digest>::new_from_slice(key);
            let mut mac = mac.map_err(|_| Fault::UnknownKey)?;
            mac.update(message);
            mac.verify_slice(code).is_ok()
        }};
    }
    Ok(match bits {
        256 => check!(Sha256),
        384 => check!(Sha384),
        _ => check!(Sha512),
    })
}

/// Names of files in `word`: the second argument of `jwt_verify`.
pub(crate) fn files_in(word: &str) -> impl Iterator<Item = &str> {
    word.match_indices("jwt_verify(").filter_map(|(at, name)| {
        let inside = word.get(at + name.len()..)?;
        let key = inside.split_once(',')?.1.split(')').next()?;
        Some(key.trim_matches(['"', '\'']))
    })
}

#[cfg(feature = "tokio")]
mod public {
    //! Public keys, by the library that speaks TLS.

    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
        UnparsedPublicKey, VerificationAlgorithm,
    };
    use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
    use x509_cert::der::{Decode as _, Encode as _};

    use super::{Algorithm, Family};

    /// The bits of a public key.
    #[derive(Debug)]
    pub(super) struct PublicKey(Vec<u8>);

    impl PublicKey {
        pub(super) fn read(text: &[u8]) -> Option<Self> {
            let der = match SubjectPublicKeyInfoDer::from_pem_slice(text) {
                Ok(key) => key.to_vec(),
                Err(_) => {
                    let certificate = CertificateDer::from_pem_slice(text).ok()?;
                    let certificate = x509_cert::Certificate::from_der(&certificate).ok()?;
                    let key = certificate.tbs_certificate.subject_public_key_info;
                    key.to_der().ok()?
                }
            };
            let key = x509_cert::spki::SubjectPublicKeyInfoOwned::from_der(&der).ok()?;
            Some(Self(key.subject_public_key.as_bytes()?.to_vec()))
        }

        pub(super) fn verifies(
            &self,
            algorithm: Algorithm,
            message: &[u8],
            signature: &[u8],
        ) -> bool {
            let by: &'static dyn VerificationAlgorithm = match (algorithm.family, algorithm.bits) {
                (Family::Rsa, 256) => &RSA_PKCS1_2048_8192_SHA256,
                (Family::Rsa, 384) => &RSA_PKCS1_2048_8192_SHA384,
                (Family::Rsa, _) => &RSA_PKCS1_2048_8192_SHA512,
                (Family::RsaPss, 256) => &RSA_PSS_2048_8192_SHA256,
                (Family::RsaPss, 384) => &RSA_PSS_2048_8192_SHA384,
                (Family::RsaPss, _) => &RSA_PSS_2048_8192_SHA512,
                (Family::Ecdsa, 256) => &ECDSA_P256_SHA256_FIXED,
                (Family::Ecdsa, 384) => &ECDSA_P384_SHA384_FIXED,
                (Family::Ecdsa, _) => &ECDSA_P521_SHA512_FIXED,
                (Family::Hmac, _) => return false,
            };
            let key = UnparsedPublicKey::new(by, &self.0);
            key.verify(message, signature).is_ok()
        }
    }
}

#[cfg(not(feature = "tokio"))]
mod public {
    //! Without the library that speaks TLS there are no public keys.

    use super::Algorithm;

    /// None.
    #[derive(Debug)]
    pub(super) enum PublicKey {}

    impl PublicKey {
        pub(super) fn read(_: &[u8]) -> Option<Self> {
            None
        }

        pub(super) fn verifies(&self, _: Algorithm, _: &[u8], _: &[u8]) -> bool {
            match *self {}
        }
    }
}

use public::PublicKey;
