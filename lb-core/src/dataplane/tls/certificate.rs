//! A certificate with its key, ready to be shown.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    SignatureAlgorithm,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{super::clock, staple::Staple, x509::Parsed};
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
        let chain = CertificateDer::pem_slice_iter(&given.pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(&given.pem)
            .map_err(|e| format!("no usable private key: {e}"))?;
        let leaf = chain.first().cloned().ok_or("no certificate in it")?;
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
            key: CertifiedKey::from_der(chain, key, provider)
                .map(Arc::new)
                .map_err(|e| e.to_string())?,
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

    /// Whether it is any use to the client: of the right kind of key.
    pub(super) fn suits(&self, hello: &ClientHello<'_>) -> bool {
        /// The suites of TLS 1.2 that sign in other ways than these.
        const ECDSA: [u16; 3] = [0xc02b, 0xc02c, 0xcca9];
        const RSA: [u16; 3] = [0xc02f, 0xc030, 0xcca8];
        if self
            .key
            .key
            .choose_scheme(hello.signature_schemes())
            .is_none()
        {
            return false;
        }
        let suites = match self.key.key.algorithm() {
            SignatureAlgorithm::RSA => RSA,
            _ => ECDSA,
        };
        let mut offered = hello.cipher_suites().iter().map(|suite| u16::from(*suite));
        offered.any(|suite| matches!(suite, 0x1301..=0x1303) || suites.contains(&suite))
    }

    /// Whether the key is an RSA key, which costs most.
    pub(super) fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
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
