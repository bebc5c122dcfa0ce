//! OCSP responses: what authorities say of the certificates that are shown.

use std::fmt::Write as _;

use base64::Engine as _;
use lb_core::dataplane::{OcspFacts, TlsContent, ocsp_facts};

use super::{
    Runtime,
    show::{date, hex, spaced},
};

/// A response out of base64, in whatever lines.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| "'set ssl ocsp-response' received invalid base64 encoded response.".to_owned())
}

impl Runtime {
    /// `show ssl ocsp-response`: which there are, or one of them.
    pub(super) fn show_response(&self, id: Option<&str>) -> Result<String, String> {
        let files = self.balancer().tls_files();
        let responses = files.certificates.values().filter_map(|(_, ocsp)| {
            let facts = ocsp_facts(ocsp.as_deref()?).ok()?;
            Some(facts)
        });
        let mut responses: Vec<OcspFacts> = responses.collect();
        responses.sort_by(|a, b| a.id.cmp(&b.id));
        responses.dedup_by(|a, b| a.id == b.id);
        if let Some(id) = id {
            let known = responses
                .iter()
                .find(|facts| hex(&facts.id).eq_ignore_ascii_case(id));
            let unknown = "Certificate ID does not match any certificate.\n";
            return known.map(details).ok_or_else(|| unknown.to_owned());
        }
        let mut text = match responses.is_empty() {
            true => String::new(),
            false => "# Certificate IDs\n".to_owned(),
        };
        for facts in &responses {
            let _ = writeln!(
                text,
                "Certificate ID key : {}\n Certificate ID:\n   Issuer Name Hash: {}\n   Issuer Key Hash: {}\n   \
                 Serial Number: {}",
                hex(&facts.id).to_lowercase(),
                hex(&facts.name_hash),
                hex(&facts.key_hash),
                hex(&facts.serial)
            );
        }
        Ok(text)
    }

    /// `set ssl ocsp-response`: hands out a newer one with the certificates that it is about.
    pub(super) fn set_response(&self, text: &str) -> Result<String, String> {
        let response = decoded(text).map_err(|told| format!("{told}\n"))?;
        let facts = ocsp_facts(&response).map_err(|told| format!("{told}\n"))?;
        let now = chrono::Utc::now().timestamp();
        let is_over = |next: u64| i64::try_from(next).is_ok_and(|next| next < now);
        if facts.next_update.is_some_and(is_over) {
            return Err("OCSP single response: no longer valid.\n".to_owned());
        }
        let mut found = false;
        for (path, (pem, known)) in self.balancer().tls_files().certificates {
            let known = known.and_then(|known| ocsp_facts(&known).ok());
            if known.is_none_or(|known| known.id != facts.id) {
                continue;
            }
            let content = TlsContent::Certificate(pem, Some(response.clone().into()));
            let path = path.to_string_lossy();
            self.exchange(&path, content)
                .map_err(|told| format!("{told}\n"))?;
            found = true;
        }
        match found {
            true => Ok("OCSP Response updated!\n".to_owned()),
            false => Err(
                "OCSP single response: Certificate ID does not match any certificate or issuer.\n"
                    .to_owned(),
            ),
        }
    }
}

/// A response as `openssl ocsp -text` writes it, without its signature.
pub(super) fn details(facts: &OcspFacts) -> String {
    let responder = match facts.responder_key.is_empty() {
        true => spaced(&facts.responder),
        false => hex(&facts.responder_key),
    };
    let mut text = format!(
        "OCSP Response Data:\n    OCSP Response Status: successful (0x0)\n    Response Type: Basic OCSP Response\n    \
         Version: 1 (0x0)\n    Responder Id: {responder}\n    Produced At: {}\n    Responses:\n    Certificate ID:\n      \
         Hash Algorithm: sha1\n      Issuer Name Hash: {}\n      Issuer Key Hash: {}\n      Serial Number: {}\n    \
         Cert Status: {}\n    This Update: {}\n",
        date(facts.produced),
        hex(&facts.name_hash),
        hex(&facts.key_hash),
        hex(&facts.serial),
        facts.status,
        date(facts.this_update),
    );
    if let Some(next) = facts.next_update {
        let _ = writeln!(text, "    Next Update: {}", date(next));
    }
    let _ = writeln!(text, "    Signature Algorithm: {}", facts.signed_by);
    text
}
