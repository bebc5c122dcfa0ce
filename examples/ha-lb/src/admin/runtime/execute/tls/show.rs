//! The texts of `show ssl cert`, `show ssl ca-file` and `show ssl crl-file`.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf};

use lb_core::{
    dataplane::{
        CertificateFacts, RevocationFacts, TlsContent, certificate_facts, ocsp_facts,
        revocation_facts,
    },
    request::DistinguishedName,
};

use super::{Runtime, TlsKind, Work, ocsp, open};

/// Between certificates and between lists stands a line with one space: an empty one would end the answer.
const GAP: &str = " \n";

impl Runtime {
    /// The files of a kind, behind the one that is being changed.
    pub(super) fn list(&self, kind: TlsKind, work: &Work) -> String {
        let files = self.balancer().tls_files();
        let of_kind =
            |((other, path), _): (&(u8, PathBuf), _)| (*other == kind as u8).then(|| path.clone());
        let mut paths: BTreeSet<PathBuf> = work.unused.iter().filter_map(of_kind).collect();
        match kind {
            TlsKind::Certificate => paths.extend(files.certificates.into_keys()),
            TlsKind::Authorities => paths.extend(files.authorities.into_keys()),
            TlsKind::Revoked => paths.extend(files.revoked.into_keys()),
        }
        let mut text = String::new();
        if let Some(open) = open(kind, work) {
            let count = counted(kind, Some(&open.parts.content(kind)));
            let _ = write!(text, "# transaction\n*{}{count}\n", open.path);
        }
        text.push_str("# filename\n");
        for path in paths {
            let content = self.find_file(kind, &path, work);
            let count = counted(kind, content.and_then(|(content, _)| content).as_ref());
            let _ = writeln!(text, "{}{count}", path.display());
        }
        text
    }

    /// One file, or one of what it holds (`FILE:1`); `*FILE` is the one that is being changed.
    pub(super) fn details(&self, kind: TlsKind, name: &str, work: &Work) -> Result<String, String> {
        let find = |name: &str| match (name.strip_prefix('*'), open(kind, work)) {
            (Some(name), Some(open)) if open.path == name => {
                Some((Some(open.parts.content(kind)), false))
            }
            (Some(_), _) => None,
            (None, _) => self.find_file(kind, name.as_ref(), work),
        };
        if kind == TlsKind::Certificate {
            let missing =
                "Can't display the certificate: Not found or the certificate is a bundle!\n";
            if let Some(found) = find(name) {
                return Ok(certificate(name, found));
            }
            let response = name.strip_suffix(".ocsp").and_then(find);
            return match response.ok_or(missing)? {
                (Some(TlsContent::Certificate(_, Some(response))), _) => {
                    ocsp_facts(&response).map(|facts| ocsp::details(&facts))
                }
                _ => Ok(String::new()),
            };
        }
        let (found, name, index) = match (find(name), name.rsplit_once(':')) {
            (Some(found), _) => (Some(found), name, None),
            (None, Some((name, index))) => (find(name), name, index.parse::<usize>().ok()),
            (None, None) => (None, name, None),
        };
        let called = if kind == TlsKind::Revoked {
            "CRL"
        } else {
            "CA"
        };
        let missing = || format!("Can't display the {called} file : Not found!\n");
        let (content, used) = found.ok_or_else(missing)?;
        let mut text = format!(
            "Filename: {name}\nStatus: {}\n",
            status(content.as_ref(), used)
        );
        let items: Vec<String> = match content {
            Some(TlsContent::Authorities(pem)) => {
                let all = certificate_facts(&pem)?;
                (1..)
                    .zip(&all)
                    .map(|(n, one)| format!("Certificate #{n}:\n{}", described(one)))
                    .collect()
            }
            Some(TlsContent::Revoked(pem)) => {
                let all = revocation_facts(&pem)?;
                let title = "Certificate Revocation List #";
                (1..)
                    .zip(&all)
                    .map(|(n, one)| format!("{title}{n}:\n{}", listed(one)))
                    .collect()
            }
            _ => Vec::new(),
        };
        for (number, item) in (1..).zip(items) {
            if index.is_none_or(|index| index == number) {
                text.push_str(GAP);
                text.push_str(&item);
            }
        }
        Ok(text)
    }
}

fn status(content: Option<&TlsContent>, used: bool) -> &'static str {
    match (content, used) {
        (None, _) => "Empty",
        (Some(_), true) => "Used",
        (Some(_), false) => "Unused",
    }
}

fn counted(kind: TlsKind, content: Option<&TlsContent>) -> String {
    let count = match content {
        Some(TlsContent::Authorities(pem)) => certificate_facts(pem).map_or(0, |all| all.len()),
        _ => 0,
    };
    match kind {
        TlsKind::Authorities => format!(" - {count} certificate(s)"),
        _ => String::new(),
    }
}

fn certificate(name: &str, (content, used): (Option<TlsContent>, bool)) -> String {
    let mut text = format!(
        "Filename: {name}\nStatus: {}\n",
        status(content.as_ref(), used)
    );
    let Some(TlsContent::Certificate(pem, response)) = content else {
        text.push_str("OCSP Response Key: \n");
        return text;
    };
    let chain = certificate_facts(&pem).unwrap_or_default();
    if let Some(leaf) = chain.first() {
        text.push_str(&described(leaf));
    }
    let facts = response.and_then(|response| ocsp_facts(&response).ok());
    let key = facts.map_or_else(String::new, |facts| hex(&facts.id).to_lowercase());
    let _ = writeln!(text, "OCSP Response Key: {key}");
    for above in chain.iter().skip(1) {
        let (subject, issuer) = (&above.certificate.subject, &above.certificate.issuer);
        let _ = writeln!(text, "Chain Subject: {}", slashed(subject));
        let _ = writeln!(text, "Chain Issuer: {}", slashed(issuer));
    }
    text
}

fn described(facts: &CertificateFacts) -> String {
    let certificate = &facts.certificate;
    format!(
        "Serial: {}\nnotBefore: {}\nnotAfter: {}\nSubject Alternative Name: {}\nAlgorithm: {}\nSHA1 FingerPrint: \
         {}\nSubject: {}\nIssuer: {}\n",
        hex(&certificate.serial),
        date(facts.validity.0),
        date(facts.validity.1),
        facts.names.join(", "),
        certificate
            .key
            .as_ref()
            .unwrap_or(&certificate.key_algorithm),
        hex(&certificate.sha1),
        slashed(&certificate.subject),
        slashed(&certificate.issuer),
    )
}

fn listed(facts: &RevocationFacts) -> String {
    let mut text = format!(
        "Version {}\nSignature Algorithm: {}\nIssuer: {}\nLast Update: {}\n",
        facts.version,
        facts.signed_by,
        slashed(&facts.issuer),
        date(facts.this_update),
    );
    if let Some(next) = facts.next_update {
        let _ = writeln!(text, "Next Update: {}", date(next));
    }
    text.push_str(match facts.entries.is_empty() {
        true => "No Revoked Certificates.\n",
        false => "Revoked Certificates:\n",
    });
    for (serial, since) in &facts.entries {
        let (serial, since) = (hex(serial), date(*since));
        let _ = write!(
            text,
            "    Serial Number: {serial}\n        Revocation Date: {since}\n"
        );
    }
    text
}

fn slashed(name: &DistinguishedName) -> String {
    String::from_utf8_lossy(&name.one_line()).into_owned()
}

/// `C = FR, CN = x`.
pub(super) fn spaced(name: &DistinguishedName) -> String {
    let part = |part: &lb_core::request::NamePart| {
        format!("{} = {}", part.key, String::from_utf8_lossy(&part.value))
    };
    name.0.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// `Jun 10 08:54:19 2021 GMT`.
pub(super) fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).ok();
    let date = seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    date.map_or_else(String::new, |date| {
        date.format("%b %e %H:%M:%S %Y GMT").to_string()
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
