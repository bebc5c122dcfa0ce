//! Lists of certificates that were taken back. The verifying library reads those of version 2 with the extensions of
//! RFC 5280; here are the others, such as `openssl ca -gencrl` makes without further settings.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls_pki_types::{CertificateRevocationListDer, SignatureVerificationAlgorithm};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::{
    der::{
        self, Decode, Encode, Reader, SliceReader, Tag, Tagged,
        asn1::{AnyRef, BitString, ContextSpecific},
    },
    ext::Extensions,
    name::Name,
    spki::AlgorithmIdentifierOwned,
    time::Time,
};

use super::{
    fault::code,
    x509::{self, Parsed},
};

/// A list.
pub(super) struct Revoked {
    /// For the library, if it understands it.
    pub(super) understood: Option<CertRevocationList<'static>>,
    list: List,
    serials: BTreeSet<Vec<u8>>,
}

/// What such a list says.
pub(super) struct List {
    signed: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
    /// 1 or 2.
    pub(super) version: u8,
    pub(super) issuer: Name,
    pub(super) this_update: Time,
    pub(super) next_update: Option<Time>,
    /// Serial number, and since when it does not hold.
    pub(super) entries: Vec<(Vec<u8>, Time)>,
    /// Something in it must be understood and is not.
    restricted: bool,
}

impl List {
    /// Reads a list in DER.
    pub(super) fn new(der: &[u8]) -> Result<Self, String> {
        Self::read(der).map_err(|error| format!("no list of revoked certificates: {error}"))
    }

    fn read(der: &[u8]) -> der::Result<Self> {
        SliceReader::new(der)?.sequence(|list| {
            let signed = list.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierOwned::decode(list)?;
            let signature = BitString::decode(list)?;
            SliceReader::new(signed)?.sequence(|content| {
                let version = match content.peek_tag()? {
                    Tag::Integer => u8::decode(content)?.saturating_add(1),
                    _ => 1,
                };
                AlgorithmIdentifierOwned::decode(content)?;
                let issuer = Name::decode(content)?;
                let this_update = Time::decode(content)?;
                let next = next_is(content, &[Tag::UtcTime, Tag::GeneralizedTime]);
                let next_update = next.then(|| Time::decode(content)).transpose()?;
                let mut entries = Vec::new();
                if next_is(content, &[Tag::Sequence]) {
                    content.sequence(|all| {
                        while !all.is_finished() {
                            entries.push(all.sequence(entry)?);
                        }
                        Ok(())
                    })?;
                }
                let extensions = match content.is_finished() {
                    true => None,
                    false => Some(ContextSpecific::<Extensions>::decode(content)?.value),
                };
                Ok(Self {
                    signed: signed.to_vec(),
                    algorithm,
                    signature,
                    version,
                    issuer,
                    this_update,
                    next_update,
                    entries,
                    restricted: extensions.iter().flatten().any(|one| one.critical),
                })
            })
        })
    }

    /// How it is signed, in OpenSSL's long name.
    pub(super) fn signed_by(&self) -> String {
        x509::long_name(&self.algorithm.oid)
    }
}

fn entry<'d>(entry: &mut impl Reader<'d>) -> der::Result<(Vec<u8>, Time)> {
    let number = AnyRef::decode(entry)?;
    number.tag().assert_eq(Tag::Integer)?;
    let number = number.value();
    let zeroes = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeroes..).unwrap_or_default().to_vec();
    let since = Time::decode(entry)?;
    while !entry.is_finished() {
        AnyRef::decode(entry)?;
    }
    Ok((number, since))
}

fn next_is<'d>(reader: &impl Reader<'d>, tags: &[Tag]) -> bool {
    !reader.is_finished() && reader.peek_tag().is_ok_and(|tag| tags.contains(&tag))
}

impl Revoked {
    /// Reads a list in DER.
    pub(super) fn new(der: &CertificateRevocationListDer<'_>) -> Result<Self, String> {
        let list = List::new(der)?;
        let understood = OwnedCertRevocationList::from_der(der).ok();
        Ok(Self {
            understood: understood.map(Into::into),
            serials: list
                .entries
                .iter()
                .map(|(serial, _)| serial.clone())
                .collect(),
            list,
        })
    }

    /// Whether it is from the issuer of `certificate`.
    pub(super) fn is_about(&self, certificate: &Parsed) -> bool {
        certificate.is_issued_as(&self.list.issuer)
    }

    /// Whether it names `certificate`.
    pub(super) fn names(&self, certificate: &Parsed) -> bool {
        self.is_about(certificate) && self.serials.contains(certificate.serial())
    }

    /// Whether `issuer` has signed it. SHA-1 is good enough for a file that the operator has put there.
    fn is_signed_by(
        &self,
        issuer: &Parsed,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let List {
            signed,
            algorithm,
            signature,
            ..
        } = &self.list;
        issuer.has_signed_by_any(algorithms, algorithm, signed, signature)
            || (x509::long_name(&algorithm.oid) == "sha1WithRSAEncryption"
                && UnparsedPublicKey::new(
                    &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    issuer.key_bits(),
                )
                .verify(signed, signature.raw_bytes())
                .is_ok())
    }
}

/// Why `certificate` is taken back, or why it cannot be said that it is not; `now` is in seconds since 1970.
pub(super) fn look_up(
    lists: &[Revoked],
    certificate: &Parsed,
    issuer: &Parsed,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: u64,
) -> Option<u32> {
    let mut about = lists
        .iter()
        .filter(|revoked| !revoked.list.restricted && revoked.is_about(certificate));
    let Some(revoked) = about.next() else {
        return Some(code::NO_CRL);
    };
    if !revoked.is_signed_by(issuer, algorithms) {
        return Some(code::CRL_SIGNATURE);
    }
    let next = revoked.list.next_update.as_ref();
    if next.is_some_and(|next| next.to_unix_duration().as_secs() < now) {
        return Some(code::CRL_EXPIRED);
    }
    let named = revoked.names(certificate) || about.any(|other| other.names(certificate));
    named.then_some(code::REVOKED)
}

/// What stands inside a sequence, in DER.
pub(super) fn inside(sequence: &impl Encode) -> Option<Vec<u8>> {
    let der = sequence.to_der().ok()?;
    Some(AnyRef::from_der(&der).ok()?.value().to_vec())
}
