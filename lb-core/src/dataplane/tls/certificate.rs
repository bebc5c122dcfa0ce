//! A certificate with its key, ready to be shown.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    Error, InconsistentKeys, SignatureAlgorithm, SupportedCipherSuite,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{super::clock, staple::Staple, table::Choice, x509::Parsed};
use crate::{config::TlsCertificate, request::Certificate};

/// What became of a [`TlsCertificate`]; binds that name the same file share it.
#[derive(Debug)]
pub(super) struct Loaded {
    key: Arc<CertifiedKey>,
    /// The same with a response of the authority, as long as that is fresh.
    stapled: RwLock<Option<(Arc<CertifiedKey>, Staple)>>,
    /// Names in it, in lower case.
    pub(super) names: Vec<String>,
    /// What rules and the command line see of it.
    pub(super) seen: Arc<Certificate>,
}

impl Loaded {
    /// Takes a bundle apart; the reason where it cannot be used.
    pub(super) fn new(given: &TlsCertificate, provider: &CryptoProvider) -> Result<Self, String> {
        let key = identity(&given.pem, provider)?;
        let leaf = key.cert.first().cloned().ok_or("no certificate in it")?;
        let parsed = Parsed::new(&leaf);
        let mut names: Vec<String> = webpki::EndEntityCert::try_from(&leaf)
            .map(|leaf| {
                leaf.valid_dns_names()
                    .map(str::to_ascii_lowercase)
                    .collect()
            })
            .unwrap_or_default();
        for common in parsed.iter().filter_map(Parsed::common_name) {
            if !names.contains(&common) {
                names.push(common);
            }
        }
        let loaded = Self {
            seen: Arc::new(parsed.map(|p| p.describe(&leaf)).unwrap_or_default()),
            key: Arc::new(key),
            stapled: RwLock::default(),
            names,
        };
        if let Some(ocsp) = &given.ocsp {
            loaded.staple(ocsp)?;
        }
        Ok(loaded)
    }

    /// Hands out `response` from now on.
    pub(super) fn staple(&self, response: &[u8]) -> Result<(), String> {
        let staple = Staple::new(response, Parsed::new(&self.seen.der).as_ref())?;
        let mut key = CertifiedKey::clone(&self.key);
        key.ocsp = Some(staple.der.clone());
        let mut stapled = self.stapled.write().unwrap_or_else(PoisonError::into_inner);
        *stapled = Some((Arc::new(key), staple));
        Ok(())
    }

    /// Whether it is any use to the client: of the right kind of key for one of the suites that are `spoken`.
    pub(super) fn suits(&self, hello: &ClientHello<'_>, spoken: &[SupportedCipherSuite]) -> bool {
        if self
            .key
            .key
            .choose_scheme(hello.signature_schemes())
            .is_none()
        {
            return false;
        }
        let kind = self.key.key.algorithm();
        let mut common = spoken
            .iter()
            .filter(|suite| hello.cipher_suites().contains(&suite.suite()));
        common.any(|suite| suite.usable_for_signature_algorithm(kind))
    }

    /// Whether the key is an RSA key, which costs most.
    pub(super) fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
}

/// Chain and key together, if they belong together.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let key = provider.key_provider.load_private_key(key);
    let certified = CertifiedKey::new(chain, key.map_err(|e| e.to_string())?);
    let leaf = certified.cert.first().and_then(|leaf| Parsed::new(leaf));
    let own = certified.key.public_key();
    let matches = match (leaf.as_ref().and_then(Parsed::key), own) {
        (Some(shown), Some(own)) if *own == *shown => Ok(()),
        (Some(_), Some(_)) => Err(InconsistentKeys::KeyMismatch.into()),
        _ => certified.keys_match(),
    };
    match matches {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(error.to_string()),
    }
}

/// Chain and key of a PEM text.
pub(super) fn identity(pem: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let key =
        PrivateKeyDer::from_pem_slice(pem).map_err(|e| format!("no usable private key: {e}"))?;
    certified(chain, key, provider)
}

impl ResolvesServerCert for Loaded {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let stapled = self.stapled.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = stapled
            .as_ref()
            .filter(|(_, staple)| staple.is_fresh(clock::wall()));
        Some(Arc::clone(fresh.map_or(&self.key, |(key, _)| key)))
    }
}

/// Reads each file once, however many binds name it.
#[derive(Debug, Default)]
pub(in crate::dataplane) struct Loader(HashMap<PathBuf, Arc<Loaded>>);

impl Loader {
    /// What is in use and stays: all but the file called `changed`.
    pub(super) fn know(&mut self, choices: &[Arc<Choice>], changed: &Path) {
        for choice in choices {
            let path = &choice.given.path;
            if path != changed && !self.0.contains_key(path) {
                self.0.insert(path.clone(), Arc::clone(&choice.loaded));
            }
        }
    }

    pub(super) fn load(
        &mut self,
        given: &TlsCertificate,
        provider: &CryptoProvider,
    ) -> Result<Arc<Loaded>, String> {
        if let Some(known) = self.0.get(&given.path) {
            return Ok(Arc::clone(known));
        }
        let loaded = Arc::new(Loaded::new(given, provider)?);
        self.0.insert(given.path.clone(), Arc::clone(&loaded));
        Ok(loaded)
    }
}
