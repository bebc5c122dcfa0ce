//! OCSP responses: what an authority says of a certificate, handed to clients together with it.

use std::time::{Duration, UNIX_EPOCH};

use x509_cert::der::Decode;
use x509_ocsp::{BasicOcspResponse, OcspResponse, OcspResponseStatus, SingleResponse};

use super::x509::Parsed;

/// How much clocks may differ (HAProxy's OCSP_MAX_RESPONSE_TIME_SKEW).
const SKEW: Duration = Duration::from_secs(300);

/// A response that fits a certificate.
#[derive(Debug, Clone)]
pub(super) struct Staple {
    /// As the authority sent it.
    pub(super) der: Vec<u8>,
    /// When it was made and when there is to be a new one, after 1970.
    times: (Duration, Option<Duration>),
}

impl Staple {
    /// Reads a response about `certificate`; where none is given, about any.
    pub(super) fn new(der: &[u8], certificate: Option<&Parsed>) -> Result<Self, String> {
        let (_, single) = single(der)?;
        let serial = single.cert_id.serial_number.as_bytes();
        let zeroes = serial.iter().take_while(|byte| **byte == 0).count();
        if certificate.is_some_and(|c| serial.get(zeroes..) != Some(c.serial())) {
            return Err(String::from(
                "OCSP single response: Certificate ID does not match certificate and issuer",
            ));
        }
        Ok(Self {
            der: der.to_vec(),
            times: (
                single.this_update.0.to_unix_duration(),
                single
                    .next_update
                    .as_ref()
                    .map(|time| time.0.to_unix_duration()),
            ),
        })
    }

    /// Whether clients would believe it now.
    pub(super) fn is_fresh(&self, now: std::time::SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (made, renewed) = self.times;
        made <= now + SKEW && renewed.is_none_or(|at| now <= at + SKEW)
    }
}

/// All of a response, and what it says of the one certificate that it is about.
pub(super) fn single(der: &[u8]) -> Result<(BasicOcspResponse, SingleResponse), String> {
    let response = OcspResponse::from_der(der).map_err(|_| "Unable to parse OCSP response")?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(String::from("OCSP response status not successful"));
    }
    let basic = response
        .response_bytes
        .and_then(|bytes| BasicOcspResponse::from_der(bytes.response.as_bytes()).ok())
        .ok_or("Failed to parse the basic OCSP response")?;
    match &*basic.tbs_response_data.responses {
        [single] => {
            let single = single.clone();
            Ok((basic, single))
        }
        _ => Err(String::from(
            "OCSP response ignored because contains multiple single responses",
        )),
    }
}
