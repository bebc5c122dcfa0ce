//! What is told of certificates, lists and responses on a command line.

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject};
use x509_cert::{
    der::Encode,
    ext::pkix::{SubjectAltName, name::GeneralName},
    time::Time,
};
use x509_ocsp::{CertStatus, ResponderId};

use super::{
    certificate::identity,
    revocation::List,
    staple::single,
    x509::{self, Parsed},
};
use crate::request::{Certificate, DistinguishedName};

/// What is told of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateFacts {
    /// What rules see of it.
    pub certificate: Certificate,
    /// When it holds, in seconds since 1970.
    pub validity: (u64, u64),
    /// Other names, as `DNS:example.com`.
    pub names: Vec<String>,
}

/// What is told of a list of certificates that were taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevocationFacts {
    /// 1 or 2.
    pub version: u8,
    /// How it is signed.
    pub signed_by: String,
    /// Who signed it.
    pub issuer: DistinguishedName,
    /// When it was made, in seconds since 1970.
    pub this_update: u64,
    /// When there is to be a new one.
    pub next_update: Option<u64>,
    /// Serial numbers, and since when they do not hold.
    pub entries: Vec<(Vec<u8>, u64)>,
}

/// What is told of an OCSP response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OcspFacts {
    /// Which certificate it is about, in DER.
    pub id: Vec<u8>,
    /// Hash of the issuer's name.
    pub name_hash: Vec<u8>,
    /// Hash of the issuer's key.
    pub key_hash: Vec<u8>,
    /// Serial number of the certificate.
    pub serial: Vec<u8>,
    /// Who says it, by name.
    pub responder: DistinguishedName,
    /// Who says it, by the hash of its key.
    pub responder_key: Vec<u8>,
    /// When it was signed, in seconds since 1970.
    pub produced: u64,
    /// `good`, `revoked` or `unknown`.
    pub status: &'static str,
    /// Since when it is known.
    pub this_update: u64,
    /// When there is to be a new one.
    pub next_update: Option<u64>,
    /// How it is signed.
    pub signed_by: String,
}

/// The certificates of a PEM text, in order.
pub fn certificate_facts(pem: &[u8]) -> Result<Vec<CertificateFacts>, String> {
    let all = CertificateDer::pem_slice_iter(pem);
    all.map(|der| {
        let der = der.map_err(|e| e.to_string())?;
        let mut facts = CertificateFacts {
            certificate: x509::describe(&der),
            ..CertificateFacts::default()
        };
        if let Some(parsed) = Parsed::new(&der) {
            facts.validity = parsed.validity().into_inner();
            facts.names = names(&parsed);
        }
        Ok(facts)
    })
    .collect()
}

/// Why chain and key of a PEM text cannot be used.
pub fn unusable_certificate(pem: &[u8]) -> Option<String> {
    identity(pem, &rustls::crypto::aws_lc_rs::default_provider()).err()
}

/// The lists of a PEM text, in order.
pub fn revocation_facts(pem: &[u8]) -> Result<Vec<RevocationFacts>, String> {
    let all = CertificateRevocationListDer::pem_slice_iter(pem);
    all.map(|der| {
        let list = List::new(&der.map_err(|e| e.to_string())?)?;
        let entries = list.entries.iter();
        Ok(RevocationFacts {
            version: list.version,
            signed_by: list.signed_by(),
            issuer: x509::name(&list.issuer),
            this_update: seconds(&list.this_update),
            next_update: list.next_update.as_ref().map(seconds),
            entries: entries
                .map(|(serial, since)| (serial.clone(), seconds(since)))
                .collect(),
        })
    })
    .collect()
}

/// An OCSP response in DER.
pub fn ocsp_facts(der: &[u8]) -> Result<OcspFacts, String> {
    let (basic, single) = single(der)?;
    let (responder, responder_key) = match &basic.tbs_response_data.responder_id {
        ResponderId::ByName(name) => (x509::name(name), Vec::new()),
        ResponderId::ByKey(key) => (DistinguishedName::default(), key.as_bytes().to_vec()),
    };
    let id = &single.cert_id;
    Ok(OcspFacts {
        id: id.to_der().map_err(|e| e.to_string())?,
        name_hash: id.issuer_name_hash.as_bytes().to_vec(),
        key_hash: id.issuer_key_hash.as_bytes().to_vec(),
        serial: id.serial_number.as_bytes().to_vec(),
        responder,
        responder_key,
        produced: basic
            .tbs_response_data
            .produced_at
            .0
            .to_unix_duration()
            .as_secs(),
        status: match single.cert_status {
            CertStatus::Good(_) => "good",
            CertStatus::Revoked(_) => "revoked",
            CertStatus::Unknown(_) => "unknown",
        },
        this_update: single.this_update.0.to_unix_duration().as_secs(),
        next_update: single
            .next_update
            .map(|time| time.0.to_unix_duration().as_secs()),
        signed_by: x509::long_name(&basic.signature_algorithm.oid),
    })
}

fn seconds(time: &Time) -> u64 {
    time.to_unix_duration().as_secs()
}

/// The names beside the subject, in OpenSSL's form.
fn names(certificate: &Parsed) -> Vec<String> {
    let Some(names) = certificate.extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(format!("DNS:{name}")),
        GeneralName::Rfc822Name(name) => Some(format!("email:{name}")),
        GeneralName::UniformResourceIdentifier(name) => Some(format!("URI:{name}")),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
            Some(format!("IP Address:{}", address.ok()?))
        }
        _ => None,
    };
    names.0.iter().filter_map(text).collect()
}
