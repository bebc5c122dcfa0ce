//! Certificates decoded into what rules see.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::SignatureVerificationAlgorithm;
use x509_cert::{
    Version,
    der::{
        self, Decode, Encode, Reader, SliceReader,
        asn1::{BitString, ObjectIdentifier, UintRef},
        oid::{AssociatedOid, db::rfc5280::ANY_EXTENDED_KEY_USAGE},
    },
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints},
    name::Name,
    spki::AlgorithmIdentifierOwned,
    time::Time,
};

use super::revocation::inside;
use crate::request::{Certificate, DistinguishedName, NamePart};

/// OpenSSL's short names of the parts of names.
const PARTS: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// OpenSSL's short names of algorithms.
const ALGORITHMS: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.5", "RSA-SHA1"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA-SHA256"),
    ("1.2.840.113549.1.1.12", "RSA-SHA384"),
    ("1.2.840.113549.1.1.13", "RSA-SHA512"),
    ("1.2.840.10045.2.1", "id-ecPublicKey"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
];

/// Keys on curves, with their bits.
const CURVES: &[(&str, &str)] = &[
    ("1.2.840.10045.3.1.7", "EC256"),
    ("1.3.132.0.34", "EC384"),
    ("1.3.132.0.35", "EC521"),
];

/// Seconds since 1970 between which a certificate holds.
pub(super) type Validity = std::ops::RangeInclusive<u64>;

/// A certificate as far as this module understands it.
#[derive(Debug)]
pub(super) struct Parsed(x509_cert::Certificate);

impl Parsed {
    /// `None` where it is too strange; TLS may use it all the same.
    pub(super) fn new(der: &[u8]) -> Option<Self> {
        x509_cert::Certificate::from_der(der).ok().map(Self)
    }

    /// When it holds.
    pub(super) fn validity(&self) -> Validity {
        let validity = &self.0.tbs_certificate.validity;
        let seconds = |time: &Time| time.to_unix_duration().as_secs();
        seconds(&validity.not_before)..=seconds(&validity.not_after)
    }

    /// Whether it cannot have extensions.
    pub(super) fn is_of_first_version(&self) -> bool {
        self.0.tbs_certificate.version != Version::V3
    }

    /// Its key in DER, as certificates carry it.
    pub(super) fn key(&self) -> Option<Vec<u8>> {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        key.to_der().ok()
    }

    /// Its key as it is given to who verifies.
    pub(super) fn key_bits(&self) -> &[u8] {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        key.subject_public_key.raw_bytes()
    }

    /// Kind and bits of its key, if they are told.
    fn size_of_key(&self) -> Option<String> {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        match called(&key.algorithm.oid, ALGORITHMS).as_str() {
            "rsaEncryption" => {
                let mut reader = SliceReader::new(self.key_bits()).ok()?;
                let bits = reader.sequence(|key| {
                    let modulus = UintRef::decode(key)?;
                    UintRef::decode(key)?;
                    let first = modulus.as_bytes().first();
                    let zeroes = first.map_or(0, |byte| byte.leading_zeros() as usize);
                    Ok(modulus.as_bytes().len() * 8 - zeroes)
                });
                Some(format!("RSA{}", bits.ok()?))
            }
            "id-ecPublicKey" => {
                let curve = key.algorithm.parameters.as_ref()?;
                let curve = curve.decode_as::<ObjectIdentifier>().ok()?.to_string();
                let known = CURVES.iter().find(|(number, _)| *number == curve);
                known.map(|(_, name)| (*name).to_owned())
            }
            _ => None,
        }
    }

    /// Whether it says that it may sign others for that purpose, with `below` authorities between.
    pub(super) fn may_sign(&self, below: usize, purpose: ObjectIdentifier) -> bool {
        self.try_may_sign(below, purpose).unwrap_or(false)
    }

    fn try_may_sign(&self, below: usize, purpose: ObjectIdentifier) -> der::Result<bool> {
        let tbs = &self.0.tbs_certificate;
        let understood = [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID];
        let mut extensions = tbs.extensions.iter().flatten();
        let plain = extensions.all(|one| !one.critical || understood.contains(&one.extn_id));
        let constraints = tbs.get::<BasicConstraints>()?;
        let long_enough = constraints.is_some_and(|(_, constraints)| {
            let allowed = constraints.path_len_constraint;
            constraints.ca && allowed.is_none_or(|length| usize::from(length) >= below)
        });
        let usage = tbs.get::<KeyUsage>()?;
        let signs = usage.is_none_or(|(_, usage)| usage.key_cert_sign());
        let purposes = tbs.get::<ExtendedKeyUsage>()?;
        let fits = purposes.is_none_or(|(_, purposes)| {
            purposes.0.contains(&purpose) || purposes.0.contains(&ANY_EXTENDED_KEY_USAGE)
        });
        // Names are of no use where the certificate below cannot be held to them.
        let bounded = tbs.get::<NameConstraints>()?.is_some();
        Ok(plain && long_enough && signs && fits && !bounded)
    }

    /// The extension of that kind.
    pub(super) fn extension<'a, E: Decode<'a> + AssociatedOid>(&'a self) -> Option<E> {
        let (_, extension) = self.0.tbs_certificate.get().ok()??;
        Some(extension)
    }

    /// Its name, in DER without the head.
    pub(super) fn subject(&self) -> Vec<u8> {
        inside(&self.0.tbs_certificate.subject).unwrap_or_default()
    }

    /// Whether the key of `issuer` has signed it.
    pub(super) fn is_signed_by(
        &self,
        issuer: &Self,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let signed = self.0.tbs_certificate.to_der();
        let (algorithm, signature) = (&self.0.signature_algorithm, &self.0.signature);
        signed
            .is_ok_and(|signed| issuer.has_signed_by_any(algorithms, algorithm, &signed, signature))
    }

    /// Whether its key has made `signature`, in the way that is `named`.
    pub(super) fn has_signed_by_any(
        &self,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        named: &AlgorithmIdentifierOwned,
        message: &[u8],
        signature: &BitString,
    ) -> bool {
        let Some(named) = inside(named) else {
            return false;
        };
        let mut candidates = algorithms
            .iter()
            .filter(|algorithm| *algorithm.signature_alg_id() == *named);
        candidates.any(|algorithm| self.has_signed(*algorithm, message, signature.raw_bytes()))
    }

    /// Whether its key has made `signature` of `message` in this way.
    pub(super) fn has_signed(
        &self,
        algorithm: &dyn SignatureVerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        let fits =
            inside(&key.algorithm).is_some_and(|kind| *algorithm.public_key_alg_id() == *kind);
        let bytes = key.subject_public_key.raw_bytes();
        fits && algorithm
            .verify_signature(bytes, message, signature)
            .is_ok()
    }

    /// Whether `other` bears the name of its issuer.
    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        self.0.tbs_certificate.issuer == other.0.tbs_certificate.subject
    }

    /// Whether its issuer bears that name.
    pub(super) fn is_issued_as(&self, name: &Name) -> bool {
        self.0.tbs_certificate.issuer == *name
    }

    /// Whether it bears its issuer's name: the end of a chain.
    pub(super) fn is_root(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Its serial number, without leading zeroes.
    pub(super) fn serial(&self) -> &[u8] {
        let serial = self.0.tbs_certificate.serial_number.as_bytes();
        let zeroes = serial.iter().take_while(|byte| **byte == 0).count();
        serial.get(zeroes..).unwrap_or_default()
    }

    /// The common name of its subject, where it may be a host name.
    pub(super) fn common_name(&self) -> Option<String> {
        let subject = name(&self.0.tbs_certificate.subject);
        let common = std::str::from_utf8(subject.part(b"CN", -1)?).ok()?;
        let host =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'*' | b'_');
        (!common.is_empty() && common.bytes().all(host)).then(|| common.to_ascii_lowercase())
    }

    /// What rules see of it; `der` is all of it.
    pub(super) fn describe(&self, der: &[u8]) -> Certificate {
        let tbs = &self.0.tbs_certificate;
        let mut sha1 = [0; 20];
        sha1.copy_from_slice(
            digest(&SHA1_FOR_LEGACY_USE_ONLY, der)
                .as_ref()
                .first_chunk::<20>()
                .unwrap_or(&[0; 20]),
        );
        Certificate {
            der: der.into(),
            subject: name(&tbs.subject),
            issuer: name(&tbs.issuer),
            serial: self.serial().to_vec(),
            not_before: date(&tbs.validity.not_before),
            not_after: date(&tbs.validity.not_after),
            sha1,
            version: match tbs.version {
                Version::V1 => 1,
                Version::V2 => 2,
                Version::V3 => 3,
            },
            signature_algorithm: called(&self.0.signature_algorithm.oid, ALGORITHMS),
            key_algorithm: called(&tbs.subject_public_key_info.algorithm.oid, ALGORITHMS),
            key: self.size_of_key(),
        }
    }
}

/// What rules see of a certificate; of one that is too strange only that there is one.
pub(super) fn describe(der: &[u8]) -> Certificate {
    Parsed::new(der).map_or_else(
        || Certificate {
            der: der.into(),
            ..Certificate::default()
        },
        |parsed| parsed.describe(der),
    )
}

/// OpenSSL's long name of an algorithm of signatures.
pub(super) fn long_name(oid: &ObjectIdentifier) -> String {
    let short = called(oid, ALGORITHMS);
    match short.strip_prefix("RSA-") {
        Some(digest) => format!("{}WithRSAEncryption", digest.to_ascii_lowercase()),
        None => short,
    }
}

fn called(oid: &ObjectIdentifier, names: &[(&str, &str)]) -> String {
    let oid = oid.to_string();
    let known = names.iter().find(|(number, _)| *number == oid);
    known.map_or(oid, |(_, name)| (*name).to_owned())
}

/// The parts of a name.
pub(super) fn name(name: &Name) -> DistinguishedName {
    let groups = name.0.iter();
    let parts = groups.flat_map(|group| {
        group.0.iter().enumerate().map(|(index, part)| NamePart {
            key: called(&part.oid, PARTS),
            value: part.value.value().to_vec(),
            joined: index > 0,
        })
    });
    DistinguishedName(parts.collect())
}

/// `YYMMDDhhmmssZ`.
fn date(time: &Time) -> String {
    let date = time.to_date_time();
    format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}Z",
        date.year() % 100,
        date.month(),
        date.day(),
        date.hour(),
        date.minutes(),
        date.seconds()
    )
}
