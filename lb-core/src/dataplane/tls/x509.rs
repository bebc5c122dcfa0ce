//! Certificates decoded into what rules see.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_cert::{
    Version,
    der::{Decode, Encode, asn1::ObjectIdentifier},
    name::Name,
    time::Time,
};

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

    /// Whether `other` bears the name of its issuer.
    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        self.0.tbs_certificate.issuer == other.0.tbs_certificate.subject
    }

    /// Whether its issuer bears that name, in DER without the head.
    pub(super) fn is_issued_as(&self, name: &[u8]) -> bool {
        let issuer = self.0.tbs_certificate.issuer.to_der().unwrap_or_default();
        issuer.ends_with(name) && issuer.len() <= name.len() + 4
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
        }
    }
}

fn called(oid: &ObjectIdentifier, names: &[(&str, &str)]) -> String {
    let oid = oid.to_string();
    let known = names.iter().find(|(number, _)| *number == oid);
    known.map_or(oid, |(_, name)| (*name).to_owned())
}

fn name(name: &Name) -> DistinguishedName {
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
